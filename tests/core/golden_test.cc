// Runs the cases of tests/golden/core/*.txt and compares their whole output. A case is its lines, a
// line of four dashes, and what comes out; cases are separated by an empty line. NEAP_REWRITE=1
// writes the files anew: read the difference before it is committed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "autoscaler/core/messages.h"
#include "tests/core/scenario.h"

namespace neap::core {
namespace {

constexpr char kFolder[] = "tests/golden/core";

struct Case {
  std::string input;
  std::string output;
};

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Case> ReadCases(const std::string& text) {
  std::vector<Case> cases;
  Case now;
  bool in_output = false;
  std::stringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line == "----") {
      in_output = true;
    } else if (in_output && line.empty()) {
      cases.push_back(now);
      now = {};
      in_output = false;
    } else {
      (in_output ? now.output : now.input) += line + "\n";
    }
  }
  if (!now.input.empty()) cases.push_back(now);
  return cases;
}

std::vector<std::filesystem::path> Files() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Golden : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Golden, Agrees) {
  const bool rewrite = std::getenv("NEAP_REWRITE") != nullptr;
  Scenario scenario;
  std::string written;
  for (const Case& one : ReadCases(ReadFile(GetParam()))) {
    const std::string output = scenario.Run(one.input);
    EXPECT_THAT(output, testing::Not(testing::StartsWith("line "))) << one.input;
    if (!rewrite) {
      EXPECT_EQ(output, one.output) << one.input;
    }
    written += (written.empty() ? "" : "\n") + one.input + "----\n" + output;
  }
  EXPECT_FALSE(written.empty());
  if (rewrite) std::ofstream(GetParam()) << written;
}

INSTANTIATE_TEST_SUITE_P(Core, Golden, testing::ValuesIn(Files()), [](const auto& param) {
  std::string name = param.param.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// The lines of steps: "  stage     Reason   count  words".
TEST(GoldenFiles, ShowEachStageAndEachReason) {
  std::vector<bool> reasons(kReasonCount, false);
  std::vector<bool> stages(static_cast<size_t>(Stage::kGuards) + 1, false);
  for (const auto& path : Files()) {
    for (const Case& one : ReadCases(ReadFile(path))) {
      std::stringstream in(one.output);
      for (std::string line; std::getline(in, line);) {
        if (!line.starts_with("  ")) continue;
        std::stringstream words(line);
        std::string stage;
        std::string reason;
        words >> stage >> reason;
        for (size_t i = 0; i < stages.size(); ++i) {
          if (stage == StageName(static_cast<Stage>(i))) stages[i] = true;
        }
        for (size_t i = 0; i < reasons.size(); ++i) {
          if (reason == ReasonName(static_cast<Reason>(i))) reasons[i] = true;
        }
      }
    }
  }
  for (size_t i = 0; i < stages.size(); ++i)
    EXPECT_TRUE(stages[i]) << "no case shows stage " << StageName(static_cast<Stage>(i));
  for (size_t i = 0; i < reasons.size(); ++i)
    EXPECT_TRUE(reasons[i]) << "no case shows reason " << ReasonName(static_cast<Reason>(i));
}

// A name per code, or the check above could not tell them apart.
TEST(GoldenFiles, ReasonsHaveDistinctNames) {
  std::vector<std::string_view> names;
  for (int i = 0; i < kReasonCount; ++i) {
    const std::string_view name = ReasonName(static_cast<Reason>(i));
    EXPECT_FALSE(name.empty()) << i;
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 0) << name;
    names.push_back(name);
  }
}

}  // namespace
}  // namespace neap::core
