// metrics.k8s.io, custom.metrics.k8s.io, external.metrics.k8s.io and the world's own pages.
#include <gmock/gmock.h>

#include "tests/playground/ground.h"

namespace neap::playground {
namespace {

using testing::HasSubstr;
using testing_support::WaitFor;

TEST(MetricsApis, PodsUseWhatTheirLoadMakes) {
  Ground ground;
  const Json list =
      ground.Get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dcheckout");
  EXPECT_EQ(list["kind"], "PodMetricsList");
  EXPECT_EQ(list["apiVersion"], "metrics.k8s.io/v1beta1");
  ASSERT_EQ(list["items"].size(), 2u);
  const Json& pod = list["items"][0];
  EXPECT_EQ(pod["metadata"]["labels"]["app"], "checkout");
  EXPECT_EQ(pod["window"], "2s");
  EXPECT_TRUE(pod.contains("timestamp"));
  EXPECT_EQ(pod["containers"][0]["name"], "app");
  EXPECT_EQ(pod["containers"][0]["usage"], Json({{"cpu", "205000000n"}, {"memory", "65536Ki"}}));
  const std::string name = pod["metadata"]["name"];
  EXPECT_EQ(ground.Get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/" + name)["kind"],
            "PodMetrics");
  EXPECT_EQ(ground.Get("/apis/metrics.k8s.io/v1beta1/pods")["items"].size(), 27u);
  EXPECT_EQ(ground.Raw({.url = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/none"}).status,
            404);
}

TEST(MetricsApis, MorePodsShareTheLoad) {
  Ground ground;
  ground.MergePatch(kScale, {{"spec", {{"replicas", 4}}}});
  EXPECT_TRUE(WaitFor([&] {
    const Json list = ground.Get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods");
    int shares = 0;
    for (const Json& pod : list["items"]) {
      shares += pod["containers"][0]["usage"]["cpu"] == "105000000n";
    }
    return shares == 4;
  }));
}

TEST(MetricsApis, CustomMetricsOfPodsAndObjects) {
  Ground ground;
  const std::string base = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";
  for (const char* every : {"/pods/*/rps", "/pods/%2A/rps"}) {
    const Json list = ground.Get(base + every + "?labelSelector=app%3Dcheckout");
    EXPECT_EQ(list["kind"], "MetricValueList");
    ASSERT_EQ(list["items"].size(), 2u);
    EXPECT_EQ(list["items"][0]["value"], "10");
    EXPECT_EQ(list["items"][0]["metric"]["name"], "rps");
    EXPECT_EQ(list["items"][0]["describedObject"]["kind"], "Pod");
  }
  EXPECT_TRUE(ground.Get(base + "/pods/*/rps?labelSelector=app%3Dworker")["items"].empty());
  const Json hits = ground.Get(base + "/services/checkout/hits");
  ASSERT_EQ(hits["items"].size(), 1u);
  EXPECT_EQ(hits["items"][0]["value"], "20");
  EXPECT_EQ(ground.Raw({.url = base + "/services/checkout/none"}).status, 404);
  const Json resources = ground.Get("/apis/custom.metrics.k8s.io/v1beta2");
  EXPECT_EQ(resources["resources"][0]["name"], "pods/rps");
}

TEST(MetricsApis, ExternalMetrics) {
  Ground ground;
  const std::string metric = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/jobs_waiting";
  const Json list = ground.Get(metric + "?labelSelector=queue%3Djobs");
  EXPECT_EQ(list["kind"], "ExternalMetricValueList");
  ASSERT_EQ(list["items"].size(), 1u);
  EXPECT_EQ(list["items"][0]["value"], "40");
  EXPECT_EQ(list["items"][0]["metricLabels"], Json({{"queue", "jobs"}}));
  EXPECT_TRUE(ground.Get(metric + "?labelSelector=queue%3Dother")["items"].empty());
}

TEST(Pages, TheWorldFollowsWhatIsAsked) {
  Ground ground;
  ground.MergePatch("/apis/apps/v1/namespaces/shop/deployments/worker/scale",
                    {{"spec", {{"replicas", 3}}}});
  // Three workers at five a second empty the queue.
  EXPECT_TRUE(WaitFor([&] { return ground.Get("/world")["queues"][0]["length"] == 0; }));
  const Json world = ground.Get("/world");
  EXPECT_EQ(world["queues"][0]["served"], 40);
  EXPECT_EQ(world["seed"], 7);
  EXPECT_GT(world["elapsedSeconds"].get<double>(), 0);
  const std::string metrics = ground.Raw({.url = "/metrics"}).body;
  EXPECT_THAT(metrics, HasSubstr("world_ready_pods{namespace=\"shop\",deployment=\"worker\"} 3\n"));
  EXPECT_THAT(metrics,
              HasSubstr("world_queue_served_total{namespace=\"shop\",queue=\"jobs\"} 40\n"));
}

}  // namespace
}  // namespace neap::playground
