#include "autoscaler/sim/world_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "autoscaler/base/status.h"
#include "tests/support/process.h"

namespace neap::sim {
namespace {

using testing::HasSubstr;
using testing::Not;

// With two traces beside it.
absl::StatusOr<WorldSpec> Parse(std::string_view text) {
  static const testing_support::TempDir dir;
  static const bool written = [] {
    dir.Write("day.csv", "0,10\n60,20\n");
    dir.Write("bad.csv", "0,10\n60,x\n");
    dir.Write("requests.csv", "time,work\n0,1\n1,2\n");
    return true;
  }();
  EXPECT_TRUE(written);
  return ParseWorld(text, "world.yaml", dir.path());
}

std::string ErrorOf(std::string_view text) {
  const auto spec = Parse(text);
  EXPECT_FALSE(spec.ok()) << text;
  return std::string(base::Message(spec.status()));
}

TEST(WorldFile, ReadsEveryField) {
  const auto spec = Parse(R"(
seed: 7
speed: 60
tick: 500ms
controllerDelay: 100ms
metrics: {window: 10s, every: 2s}
namespaces: [empty]
deployments:
- name: checkout
  namespace: shop
  replicas: 3
  labels: {app: shop, tier: front}
  container: main
  image: example/checkout
  requests: {cpu: 500m, memory: 128Mi}
  limits: {cpu: "1.5"}
  cpu: {perRequest: 20m, idle: 5m, startup: 100m}
  memory: 64Mi
  startup: {running: [1s, 2s], ready: 3s}
  termination: [100ms, 200ms]
  load: {trace: day.csv, scale: 0.5, repeat: true}
- {name: copy, count: 3, cpu: {idle: 7m}}
queues:
- {name: jobs, namespace: shop, consumer: checkout, perPod: 2.5, waiting: 9, arrivals: {constant: 12}}
externalMetrics:
- {name: jobs_waiting, namespace: shop, labels: {queue: jobs}, from: {queue: jobs}}
customMetrics:
- {name: rps, namespace: shop, pods: checkout, from: {deployment: checkout, quantity: ratePerPod}}
- name: hits
  namespace: shop
  object: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: main}
  from: {fixed: 12.5}
)");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->seed, 7u);
  EXPECT_EQ(spec->tick, absl::Milliseconds(500));
  EXPECT_EQ(spec->controller_delay, absl::Milliseconds(100));
  EXPECT_EQ(spec->metrics_window, absl::Seconds(10));
  EXPECT_EQ(spec->metrics_every, absl::Seconds(2));
  ASSERT_EQ(spec->deployments.size(), 4u);
  const DeploymentSpec& checkout = spec->deployments[0];
  EXPECT_EQ(checkout.replicas, 3);
  EXPECT_EQ(checkout.labels, (base::Labels{{"app", "shop"}, {"tier", "front"}}));
  EXPECT_EQ(checkout.container, "main");
  EXPECT_EQ(checkout.cpu_request, 500'000'000);
  EXPECT_EQ(checkout.cpu_limit, 1'500'000'000);
  EXPECT_EQ(checkout.cpu_per_request, 20'000'000);
  EXPECT_EQ(checkout.cpu_idle, 5'000'000);
  EXPECT_EQ(checkout.cpu_startup, 100'000'000);
  EXPECT_EQ(checkout.memory_request, 128 << 20);
  EXPECT_EQ(checkout.memory_usage, 64 << 20);
  EXPECT_EQ(checkout.to_running, (Range{absl::Seconds(1), absl::Seconds(2)}));
  EXPECT_EQ(checkout.to_ready, (Range{absl::Seconds(3), absl::Seconds(3)}));
  EXPECT_EQ(checkout.load.At(absl::Milliseconds(500)), 5000);
  EXPECT_EQ(checkout.load.At(absl::Milliseconds(1500)), 10'000);
  EXPECT_EQ(checkout.load.At(absl::Milliseconds(2500)), 5000);  // repeats
  EXPECT_EQ(spec->deployments[3].name, "copy-2");
  EXPECT_EQ(spec->deployments[3].ns, "default");
  EXPECT_EQ(spec->deployments[3].cpu_startup, 7'000'000);
  ASSERT_EQ(spec->queues.size(), 1u);
  EXPECT_EQ(spec->queues[0].consumer, 0);
  EXPECT_EQ(spec->queues[0].per_pod, 2500);
  EXPECT_EQ(spec->queues[0].waiting, 9);
  EXPECT_EQ(spec->external_metrics[0].from.what, Source::What::kQueueLength);
  EXPECT_EQ(spec->custom_metrics[0].pods_of, 0);
  EXPECT_EQ(spec->custom_metrics[1].resource, "ingresses.networking.k8s.io");
  EXPECT_EQ(spec->custom_metrics[1].from.fixed, 12'500);
}

TEST(WorldFile, TellsEveryMistakeWithItsLine) {
  const std::string error = ErrorOf(R"(seed: 7
speeed: 2
deployments:
- name: Web
  replicas: -1
  cpu: {perRequests: 20m}
- {name: worker, load: {constant: -3}}
queues:
- {name: jobs, consumer: workr, perPod: 1}
)");
  EXPECT_THAT(error, HasSubstr("world.yaml:2: speeed: unknown field (did you mean \"speed\"?)"));
  EXPECT_THAT(error, HasSubstr("world.yaml:4: deployments[0].name: Invalid value"));
  EXPECT_THAT(error, HasSubstr("world.yaml:5: deployments[0].replicas: Invalid value: -1"));
  EXPECT_THAT(error, HasSubstr("world.yaml:6: deployments[0].cpu.perRequests: unknown field"));
  EXPECT_THAT(error, HasSubstr("world.yaml:7: deployments[1].load.constant"));
  EXPECT_THAT(error, HasSubstr("world.yaml:9: queues[0].consumer: there is no deployment "
                               "default/workr (did you mean \"worker\"?)"));
}

TEST(WorldFile, RefusesWhatMakesNoSense) {
  EXPECT_THAT(ErrorOf("deployments: [{name: a}, {name: a}]"), HasSubstr("a second deployment"));
  EXPECT_THAT(ErrorOf("deployments: [{name: a, load: {constant: 1, trace: day.csv}}]"),
              HasSubstr("exactly one of constant"));
  EXPECT_THAT(ErrorOf("deployments: [{name: a, load: {trace: none.csv}}]"),
              HasSubstr("none.csv: no such file"));
  EXPECT_THAT(ErrorOf("deployments: [{name: a, load: {trace: bad.csv}}]"),
              HasSubstr("bad.csv:2: column 2: \"x\" is not a number"));
  EXPECT_THAT(
      ErrorOf("deployments: [{name: a, load: {steps: [{at: 5s, rate: 1}, {at: 5s, rate: 2}]}}]"),
      HasSubstr("each step must come after"));
  EXPECT_THAT(ErrorOf("deployments: [{name: a, startup: {ready: [2s, 1s]}}]"),
              HasSubstr("the most is less than the least"));
  EXPECT_THAT(ErrorOf("deployments: [{name: a, startup: {ready: 5}}]"), HasSubstr("startup.ready"));
  EXPECT_THAT(ErrorOf("queues: [{name: q, arrivals: {constant: 1}, consumer: nobody}]"),
              HasSubstr("there is no deployment default/nobody"));
  EXPECT_THAT(ErrorOf("externalMetrics: [{name: m, from: {}}]"),
              HasSubstr("exactly one of deployment"));
  EXPECT_THAT(ErrorOf("externalMetrics: [{name: a/b, from: {fixed: 1}}]"),
              HasSubstr("may not contain"));
  EXPECT_THAT(ErrorOf("customMetrics: [{name: m, from: {fixed: 1}}]"),
              HasSubstr("exactly one of pods"));
  EXPECT_THAT(ErrorOf("tick: 1h"), HasSubstr("tick: Invalid value"));
  EXPECT_THAT(ErrorOf("speed: 0"), HasSubstr("speed: Invalid value"));
  EXPECT_THAT(ErrorOf("[1, 2]"), HasSubstr("expected a map"));
  EXPECT_THAT(ErrorOf("seed: 1\n---\nseed: 2\n"), HasSubstr("expected one document"));
}

TEST(WorldFile, TracesLieBesideTheFile) {
  const testing_support::TempDir dir;
  dir.Write("day.csv", "0,10\n60,20\n");
  const std::string path =
      dir.Write("world.yaml", "deployments: [{name: a, load: {trace: day.csv}}]\n");
  const auto spec = LoadWorldFile(path);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->deployments[0].load.At(absl::ZeroDuration()), 10'000);
  EXPECT_EQ(LoadWorldFile(dir.path() + "/none.yaml").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace neap::sim
