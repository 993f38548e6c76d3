// KEDA's cpu and memory triggers against what KEDA 2.21 itself made of them.
#include "autoscaler/kube/objects/resource_trigger.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/kube/objects/support.h"

namespace neap::kube::objects {
namespace {

constexpr char kRows[] = "tests/conformance/keda/parse.jsonl.gz";

std::string ReadGzip(const char* path) {
  gzFile file = gzopen(path, "rb");
  EXPECT_NE(file, nullptr) << path;
  std::string text;
  char buffer[65536];
  for (int n = 0; file != nullptr && (n = gzread(file, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  gzclose(file);
  return text;
}

TEST(ResourceTrigger, AgreesWithEveryRecordedRow) {
  std::istringstream lines(ReadGzip(kRows));
  std::string line;
  int rows = 0;
  while (std::getline(lines, line)) {
    const nlohmann::json row = nlohmann::json::parse(line);
    const std::string type = row.at("type");
    if (!IsResourceTrigger(type)) continue;
    ++rows;
    SCOPED_TRACE(row.at("id").get<std::string>());
    const auto& input = row.at("input");
    const auto& expect = row.at("expect");
    const catalog::Texts metadata = input.value("metadata", catalog::Texts{});
    const auto got = ParseResourceTrigger(type, metadata, input.value("metricType", ""));
    ASSERT_EQ(got.ok(), expect.at("ok").get<bool>()) << got.status();
    if (!got.ok()) continue;
    ASSERT_EQ(expect.at("metrics").size(), 1u);
    const auto& metric = expect.at("metrics")[0];
    EXPECT_EQ(got->metric.name, metric.at("name"));
    EXPECT_EQ(got->metric.source_text, metric.at("kind"));
    EXPECT_EQ(got->metric.container, metric.value("container", ""));
    EXPECT_EQ(got->target_text, metric.at("targetText"));
    const core::MetricTarget& target = got->metric.target;
    const bool utilization = metric.at("targetType") == "Utilization";
    EXPECT_EQ(target.kind,
              utilization ? core::TargetKind::kUtilization : core::TargetKind::kAverageValue);
    EXPECT_EQ(target.average_utilization.has_value(), utilization);
    EXPECT_EQ(utilization ? int64_t{target.average_utilization.value_or(0)} * 1000
                          : target.average_value.value_or(0),
              metric.at("target").get<int64_t>());
  }
  EXPECT_GE(rows, 35);
}

TEST(ResourceTrigger, ErrorsAreInOneLine) {
  const auto bad = ParseResourceTrigger("cpu", {{"type", "Utilization"}}, "Bogus");
  EXPECT_EQ(
      bad.status().message(),
      "value: missing required parameter \"value\" in metadata; type: \"type\" in metadata is "
      "no longer taken: use the trigger's metricType; metricType must be Utilization or "
      "AverageValue, not \"Bogus\"");
  EXPECT_FALSE(ParseResourceTrigger("cpu", {{"value", "2147483648"}}, "Utilization").ok());
  EXPECT_FALSE(ParseResourceTrigger("cpu", {{"value", "+-5"}}, "Utilization").ok());
  EXPECT_FALSE(ParseResourceTrigger("memory", {{"value", "1Gb"}}, "AverageValue").ok());
}

}  // namespace
}  // namespace neap::kube::objects
