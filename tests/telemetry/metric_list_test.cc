#include "autoscaler/telemetry/metric_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace neap::telemetry {
namespace {

TEST(MetricList, NamesFollowTheConventions) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : MetricList()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name << " is listed twice";
    EXPECT_TRUE(info.name.starts_with("neap_") || info.name.starts_with("process_")) << info.name;
    EXPECT_EQ(info.name.ends_with("_total"), info.type == MetricType::kCounter) << info.name;
    EXPECT_FALSE(info.help.empty()) << info.name;
    EXPECT_EQ(info.help.find('\n'), std::string_view::npos) << info.name;
  }
}

TEST(MetricList, TableHasARowPerMetric) {
  const std::string table = MetricTable();
  EXPECT_EQ(static_cast<size_t>(std::count(table.begin(), table.end(), '\n')),
            MetricList().size() + 2);
  EXPECT_THAT(table, ::testing::HasSubstr(
                         "| `neap_scaled_object_paused` | gauge | namespace, scaledObject | 1 when "
                         "the object is paused. | `keda_scaled_object_paused` |"));
}

}  // namespace
}  // namespace neap::telemetry
