// Thousands of decisions of the real HPA controller, recorded, against ours. The format is in
// FORMAT.md beside this file.
#include "tools/neapctl/conformance/conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/neapctl/conformance/parse.h"

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

TEST(Conformance, DifferencesNeedAReasonAndAreListedOnce) {
  const auto good = ParseDifferences("# why\n\nredis/a because of this\ncron/b  that");
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(*good, (Differences{{"cron/b", "that"}, {"redis/a", "because of this"}}));
  EXPECT_THAT(ParseDifferences("redis/a x\nredis/b \n").status().ToString(),
              testing::HasSubstr("keda_differences.txt:2: \"redis/b \" has no reason"));
  EXPECT_THAT(ParseDifferences("redis/a x\nredis/a y").status().ToString(),
              testing::HasSubstr(":2: \"redis/a\" is there twice"));
}

constexpr char kCpuRow[] = R"({"id":"cpu/base","type":"cpu",
    "input":{"metadata":{"value":"50"},"metricType":"Utilization"},
    "expect":{"ok":true,"metrics":[
        {"name":"cpu","kind":"Resource","targetType":"Utilization","target":50000}]}})";

// Rows are asked of scalers in tests/neapctl; here is what needs none.
TEST(Conformance, ParseRowsAreCountedByTheirType) {
  auto client = scalerhost::Client::Make("unix:///nobody/is/here");
  ASSERT_TRUE(client.ok()) << client.status();
  ParseRunner runner(**client, {"redis"}, {{"cpu/wrong", "on purpose"}});
  FamilyReport report;

  nlohmann::json row = nlohmann::json::parse(kCpuRow);
  runner.Run(row, report);
  EXPECT_EQ(report.passed, 1);

  row["expect"]["metrics"][0]["target"] = 60000;
  runner.Run(row, report);
  EXPECT_EQ(report.failed, 1);
  ASSERT_EQ(report.first_differences.size(), 1U);
  EXPECT_EQ(report.first_differences[0].expected, "accepted [Resource cpu Utilization 60000]");
  EXPECT_EQ(report.first_differences[0].actual, "accepted [Resource cpu Utilization 50000]");

  row["id"] = "cpu/wrong";
  runner.Run(row, report);  // differs, as it is listed
  EXPECT_EQ(report.passed, 2);
  EXPECT_EQ(runner.differed().size(), 1U);

  row["type"] = "kafka";
  runner.Run(row, report);
  EXPECT_EQ(report.skips["trigger type kafka is not built"], 1);

  // Nobody answers: no agreement, whatever the row expects.
  row["type"] = "redis";
  row["expect"] = {{"ok", false}, {"stage", "parse"}};
  for (const char* id : {"redis/a", "cpu/wrong"}) {
    row["id"] = id;
    runner.Run(row, report);
  }
  EXPECT_EQ(report.failed, 3);
  EXPECT_THAT(report.first_differences.back().actual, testing::HasSubstr("unix:///nobody/is/here"));
}

}  // namespace
}  // namespace neap::conformance
