// Thousands of decisions of the real HPA controller, recorded, against ours. The format is in
// FORMAT.md beside this file.
#include "tools/neapctl/conformance/conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace neap::conformance {
namespace {

FamilyReport RunOne(const std::string& path, const std::string& family) {
  Report report;
  const absl::Status status = RunFile(path, nullptr, report);
  EXPECT_TRUE(status.ok()) << status.ToString();
  FamilyReport result = report[family];
  std::printf("%s: %d passed, %d failed\n", family.c_str(), result.passed, result.failed);
  for (const Difference& d : result.first_differences) {
    ADD_FAILURE() << d.id << " " << d.field << "\n  expected " << d.expected << "\n  actual   "
                  << d.actual;
  }
  return result;
}

TEST(Conformance, CalculatorAgreesWithTheHpa) {
  const FamilyReport report = RunOne("tests/conformance/calculator.jsonl.gz", "calculator");
  EXPECT_EQ(report.failed, 0);
  EXPECT_EQ(report.passed, 3000);
}

TEST(Conformance, ControllerAgreesWithTheHpa) {
  const FamilyReport report = RunOne("tests/conformance/controller.jsonl.gz", "controller");
  EXPECT_EQ(report.failed, 0);
  EXPECT_EQ(report.passed, 400);
}

// The runner itself must be able to fail.
TEST(Conformance, AWrongExpectationIsADifferenceWithItsField) {
  const nlohmann::json line = nlohmann::json::parse(
      R"({"id":"x","family":"calculator","method":"GetObjectPerPodMetricReplicas",
      "replicas":10,"target":1000,"tolerance":{"down":0.1,"up":0.1},"metric":{"value":20000},
      "expect":{"replicas":21,"usage":2000}})");
  FamilyReport report;
  RunCalculator(line, report);
  EXPECT_EQ(report.failed, 1);
  ASSERT_EQ(report.first_differences.size(), 1U);
  EXPECT_EQ(report.first_differences[0].field, "replicas");
  EXPECT_EQ(report.first_differences[0].actual, "20");
}

TEST(Conformance, AMissingFileIsNamed) {
  Report report;
  EXPECT_THAT(RunFile("tests/conformance/none.jsonl", nullptr, report).ToString(),
              testing::HasSubstr("none.jsonl"));
}

}  // namespace
}  // namespace neap::conformance
