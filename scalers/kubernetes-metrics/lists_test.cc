#include "scalers/kubernetes-metrics/lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace neap::scalers::kubernetes_metrics {
namespace {

std::string PodList(const std::string& items) {
  return R"({"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[)" +
         items + "]}";
}

TEST(Lists, PodMetrics) {
  std::string more;
  const auto pods = DecodePodMetrics(
      PodList(R"({"metadata":{"name":"p1","namespace":"ns","labels":{"app":"web","x":"1"}},
        "timestamp":"2026-01-01T00:00:00Z","window":"15.04s","containers":[
          {"name":"app","usage":{"cpu":"12345678n","memory":"20480Ki"}},
          {"name":"side","usage":{"cpu":"1n","memory":"1Mi"}}]},
        {"metadata":{"name":"p2"},"containers":[{"name":"app","usage":{"memory":"1"}}]},
        {"metadata":{"name":"p3"},"containers":[]})"),
      more);
  ASSERT_TRUE(pods.ok()) << pods.status();
  ASSERT_EQ(pods->size(), 3U);
  const PodUsage& p1 = (*pods)[0];
  EXPECT_EQ(p1.name, "p1");
  EXPECT_EQ(p1.labels.at("app"), "web");
  EXPECT_EQ(absl::ToUnixSeconds(p1.at), 1767225600);
  EXPECT_EQ(p1.window, absl::Milliseconds(15040));
  // 12.345678m is 13m, and 1n is 1m: each container is rounded up by itself.
  EXPECT_EQ(p1.OfPod("cpu"), 14);
  EXPECT_EQ(p1.OfPod("memory"), (20480LL * 1024 + 1024 * 1024) * 1000);
  EXPECT_EQ(p1.OfContainer("side", "cpu"), 1);
  EXPECT_EQ(p1.OfContainer("none", "cpu"), std::nullopt);
  EXPECT_EQ((*pods)[1].OfPod("cpu"), std::nullopt) << "a container lacks it";
  EXPECT_EQ((*pods)[2].OfPod("cpu"), std::nullopt) << "no container at all";
}

TEST(Lists, PagesAreContinued) {
  std::string more;
  ASSERT_TRUE(DecodePodMetrics(R"({"metadata":{"continue":"abc"},"items":[]})", more).ok());
  EXPECT_EQ(more, "abc");
  ASSERT_TRUE(DecodePodMetrics(R"({"metadata":{},"items":null})", more).ok());
  EXPECT_EQ(more, "");
}

TEST(Lists, CustomMetricsOfBothVersions) {
  const auto v2 = DecodeMetricValues(R"({"kind":"MetricValueList","items":[
      {"describedObject":{"kind":"Pod","name":"p1"},"metric":{"name":"q","selector":null},
       "timestamp":"2026-01-01T00:00:00Z","windowSeconds":30,"value":"1500m"},
      {"describedObject":{"name":"p2"},"value":"2"}]})");
  ASSERT_TRUE(v2.ok()) << v2.status();
  ASSERT_EQ(v2->size(), 2U);
  EXPECT_EQ((*v2)[0].name, "p1");
  EXPECT_EQ((*v2)[0].milli, 1500);
  EXPECT_EQ((*v2)[0].window, absl::Seconds(30));
  EXPECT_EQ((*v2)[1].window, absl::Seconds(60));
  const auto v1 = DecodeMetricValues(R"({"items":[{"describedObject":{"name":"p1"},
      "metricName":"q","window":15,"value":7}]})");
  ASSERT_TRUE(v1.ok()) << v1.status();
  EXPECT_EQ((*v1)[0].milli, 7000);
  EXPECT_EQ((*v1)[0].window, absl::Seconds(15));
}

TEST(Lists, ExternalMetrics) {
  const auto values = DecodeExternalValues(R"({"kind":"ExternalMetricValueList","items":[
      {"metricName":"q","metricLabels":{"a":"b"},"timestamp":"2026-01-01T00:00:00Z","window":60,
       "value":"42"},{"value":"-500m"}]})");
  ASSERT_TRUE(values.ok()) << values.status();
  ASSERT_EQ(values->size(), 2U);
  EXPECT_EQ((*values)[0].milli, 42000);
  EXPECT_EQ((*values)[1].milli, -500);
}

TEST(Lists, WhatIsBrokenIsNamedAndNeverLeftOut) {
  std::string more;
  const auto pod_error = [&](const std::string& items) {
    return std::string(DecodePodMetrics(PodList(items), more).status().message());
  };
  EXPECT_THAT(pod_error(R"({"metadata":{}})"), testing::HasSubstr("items[0] has no metadata.name"));
  EXPECT_THAT(
      pod_error(R"({"metadata":{"name":"p"},"containers":[{"name":"c","usage":{"cpu":"1mm"}}]})"),
      testing::HasSubstr("items[0] (p), container c, usage.cpu"));
  EXPECT_THAT(
      pod_error(R"({"metadata":{"name":"p"},"containers":[{"name":"c","usage":{"cpu":null}}]})"),
      testing::HasSubstr("no quantity"));
  EXPECT_THAT(pod_error(R"({"metadata":{"name":"p"},"timestamp":"yesterday"})"),
              testing::HasSubstr("items[0].timestamp"));
  EXPECT_THAT(pod_error(R"({"metadata":{"name":"p"},"window":"5"})"),
              testing::HasSubstr("items[0].window"));
  EXPECT_THAT(pod_error("7"), testing::HasSubstr("items[0] is not an object"));
  EXPECT_THAT(DecodeExternalValues(R"({"items":[{"metricName":"q"}]})").status().ToString(),
              testing::HasSubstr("items[0] has no value"));
  EXPECT_THAT(DecodeExternalValues(R"({"kind":"Status","message":"no"})").status().ToString(),
              testing::HasSubstr("is a Status"));
  EXPECT_THAT(DecodeMetricValues("<html>").status().ToString(), testing::HasSubstr("not JSON"));
  EXPECT_THAT(DecodeMetricValues(R"({"items":{}})").status().ToString(),
              testing::HasSubstr("items is not a list"));
}

}  // namespace
}  // namespace neap::scalers::kubernetes_metrics
