// neapctl explain and replay on journals that this test writes: of true decisions, and of one that
// this build would not take.
#include "autoscaler/record/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "autoscaler/base/duration.h"
#include "tests/support/process.h"

namespace neap {
namespace {

using testing::HasSubstr;
using testing_support::Process;
using testing_support::TempDir;

struct Done {
  int code = -1;
  std::string output;  // stdout and stderr
};

class Journal : public testing::Test {
 protected:
  Journal() {
    spec_.key = {.ns = "shop", .name = "checkout"};
    spec_.uid = "u1";
    spec_.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "checkout"};
    spec_.min_replicas = 1;
    spec_.max_replicas = 50;
    core::MetricSpec& metric = spec_.metrics.emplace_back();
    metric.source = core::MetricSource::kExternal;
    metric.source_text = "External";
    metric.name = "jobs";
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = 20'000;
  }

  // Two decisions, 15 s apart: the queue of 90, then of 150. `change` may falsify one that is
  // written.
  void Write(const std::function<void(core::Decision&)>& change = {}) {
    auto writer =
        record::Writer::Open({.directory = path(), .build = "test", .options = options_},
                             [](const absl::Status& status) { FAIL() << status.ToString(); });
    ASSERT_TRUE(writer.ok()) << writer.status();
    absl::Time now = base::ParseTime("2026-03-01T10:00:00Z").value();
    core::Scale scale = {.uid = "t1",
                         .resource_version = "1",
                         .spec_replicas = 4,
                         .status_replicas = 4,
                         .selector = "app=checkout"};
    core::History history;
    core::Status status;
    uint64_t id = 0;
    for (const int64_t milli : {90'000, 150'000}) {
      core::Reading reading;
      reading.form = core::Reading::Form::kMilli;
      reading.milli = {milli};
      reading.observed_at = now;
      reading.sequence = ++id;
      const core::MetricInput input = {
          .spec = &spec_.metrics[0], .reading = &reading, .stale_after = absl::Minutes(1)};
      core::Observation seen;
      seen.now = now;
      seen.scale = &scale;
      seen.metrics = {&input, 1};
      seen.previous = &status;
      core::Decision decision = core::Decide(options_, spec_, seen, history);
      if (change) change(decision);
      (*writer)->OnDecision({.uid = spec_.uid,
                             .decision_id = id,
                             .spec = &spec_,
                             .spec_version = 1,
                             .cause = control::Cause::kPeriodic,
                             .seen = &seen,
                             .before = &history,
                             .decision = &decision},
                            now);
      const core::ApplyResult result = {
          .kind = core::ApplyResult::Kind::kApplied, .at = now, .error = {}};
      core::Outcome outcome = core::Remember(options_, spec_, seen, decision, result, history);
      (*writer)->OnOutcome(
          {.uid = spec_.uid, .decision_id = id, .result = result, .outcome = &outcome}, now);
      (*writer)->EndStep(now);
      history = std::move(outcome.history);
      status = std::move(outcome.status);
      scale.spec_replicas = scale.status_replicas = decision.desired;
      now += absl::Seconds(15);
    }
    (*writer)->Close();
  }

  Done Run(std::vector<std::string> arguments) {
    const char* bin = std::getenv("NEAP_BIN");
    EXPECT_NE(bin, nullptr) << "NEAP_BIN says where neapctl is";
    arguments.insert(arguments.begin(), std::string(bin == nullptr ? "" : bin) + "/neapctl");
    Process process(arguments, dir_.path(), "log" + std::to_string(++runs_));
    EXPECT_TRUE(testing_support::WaitFor([&] { return !process.Running(); }, absl::Seconds(60)));
    const int status = process.Stop();
    return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .output = process.Log()};
  }

  std::string path() const { return dir_.path() + "/journal"; }

  TempDir dir_;
  int runs_ = 0;
  core::HpaOptions options_;
  core::AutoscalerSpec spec_;
};

TEST_F(Journal, ReplayAgrees) {
  Write();
  const Done done = Run({"replay", path()});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("2 decisions, 0 different; 2 outcomes, 0 different\n"));
  const auto json = nlohmann::json::parse(Run({"replay", "-o", "json", path()}).output);
  EXPECT_EQ(json["decisions"], 2);
  EXPECT_EQ(json["different"], 0);
  EXPECT_EQ(json["builds"], nlohmann::json::array({"test"}));
}

TEST_F(Journal, ReplayNamesTheFirstDifferenceAndFails) {
  Write([](core::Decision& decision) {
    if (decision.desired == 8) decision.desired = 7;
  });
  const Done done = Run({"replay", path()});
  EXPECT_EQ(done.code, 1) << done.output;
  EXPECT_THAT(done.output, HasSubstr("shop/checkout at 2026-03-01T10:00:15.000000Z, decision 2: "));
  EXPECT_THAT(done.output, HasSubstr("desired: recorded 7, recomputed 8"));
  EXPECT_THAT(done.output, HasSubstr("2 decisions, 1 different"));
}

TEST_F(Journal, ReplayOfATornJournalSaysSoAndOfACorruptOneFails) {
  Write();
  const auto json = nlohmann::json::parse(
      Run({"explain", "-o", "json", path(), "--object", "shop/checkout"}).output);
  const std::string file = json["journal"]["file"];
  std::string bytes;
  {
    std::ifstream in(file, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::ofstream(file, std::ios::binary) << bytes.substr(0, bytes.size() - 3);
  Done done = Run({"replay", path()});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr(file));

  bytes[static_cast<size_t>(json["journal"]["offset"]) + 20] ^= 0x40;
  std::ofstream(file, std::ios::binary) << bytes;
  done = Run({"replay", path()});
  EXPECT_EQ(done.code, 2) << done.output;
  EXPECT_THAT(done.output, HasSubstr(file));
}

TEST_F(Journal, ExplainFindsADecisionByObjectAndTime) {
  Write();
  Done done = Run({"explain", path(), "--object", "shop/checkout"});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output,
              HasSubstr("shop/checkout, 2026-03-01T10:00:15.000000Z, because of its period: scale "
                        "from 5 to 8\n"));
  EXPECT_THAT(done.output, HasSubstr("asks for 8 (150 of 20"));
  EXPECT_THAT(done.output, HasSubstr("written\nevent SuccessfulRescale: New size: 8"));
  done = Run({"explain", path(), "--object", "shop/checkout", "--at", "2026-03-01T10:00:14Z"});
  EXPECT_THAT(done.output, HasSubstr("scale from 4 to 5\n"));
}

TEST_F(Journal, WhatIsNotThereIsNamed) {
  Write();
  Done done = Run({"explain", path(), "--object", "shop/other"});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output, HasSubstr("shop/other"));
  done = Run({"explain", path(), "--object", "shop/checkout", "--at", "noon"});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output, HasSubstr("--at: "));
  EXPECT_EQ(Run({"replay", path() + "/none"}).code, 2);
}

}  // namespace
}  // namespace neap
