// Scenario files: what they say, everything that is wrong with them at once, and worlds that could
// never work.
#include "autoscaler/sim/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autoscaler/base/status.h"
#include "tests/support/process.h"

namespace neap::sim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kWorld = R"(
deployments:
- {name: web, namespace: shop, requests: {cpu: 500m}, cpu: {perRequest: 10m}, load: {constant: 20}}
queues:
- {name: jobs, namespace: shop, consumer: web, perPod: 5}
externalMetrics:
- {name: depth, namespace: shop, from: {queue: jobs}}
)";

std::string Object(std::string_view spec) {
  return fmt::format(R"(objects:
- apiVersion: neap.dev/v1alpha1
  kind: Autoscaler
  metadata: {{name: web, namespace: shop}}
  spec:
    scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}
    maxReplicas: 10
{})",
                     spec);
}

constexpr std::string_view kCpu =
    "    metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, "
    "averageUtilization: 60}}}]\n";
constexpr std::string_view kRedis = "    triggers: [{type: redis, metadata: {listName: jobs}}]\n";

absl::StatusOr<Scenario> Load(const testing_support::TempDir& dir, std::string_view text,
                              ScenarioOptions options = {}) {
  return LoadScenario(dir.Write("s.yaml", std::string(text)), options);
}

std::string ErrorOf(std::string_view text) {
  const testing_support::TempDir dir;
  const auto scenario = Load(dir, text);
  EXPECT_FALSE(scenario.ok()) << text;
  std::string message(base::Message(scenario.status()));
  // Whatever the directory is called.
  for (size_t at; (at = message.find(dir.path() + "/")) != std::string::npos;) {
    message.erase(at, dir.path().size() + 1);
  }
  return message;
}

TEST(Scenario, ReadsEveryField) {
  const testing_support::TempDir dir;
  const auto scenario = Load(dir, std::string(kWorld) + Object(kRedis) + R"(
name: rush hour
seed: 7
duration: 24h
start: 2026-02-03T04:05:06Z
objective: {wait: 1500ms}
triggers:
- {object: shop/web, trigger: 0, from: {queue: jobs}, via: prometheus, target: 20, activation: 5}
pipeline: {serverEvery: 30s, kubeletEvery: 5s, scrapeEvery: 10s, rateWindow: 2m,
           external: prometheus, answer: [10ms, 30ms], write: 5ms, watch: {exponential: 20ms}}
controlFaults:
- {what: ScalerSlow, metric: s0-redis, at: 10m, lasts: 5m, by: 3s, share: 0.25}
- {what: Restart, at: 1h, by: 10s, keepsHistory: true}
options: {tolerance: 0.2, downscaleStabilization: 1m, writesPerSecond: 5}
)");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  const SimulationSpec& spec = scenario->spec;
  EXPECT_EQ(scenario->name, "rush hour");
  EXPECT_EQ(spec.world.seed, 7u);
  EXPECT_EQ(spec.duration, absl::Hours(24));
  EXPECT_EQ(spec.start, absl::FromUnixSeconds(1'770'091'506));
  EXPECT_EQ(spec.world.objective, absl::Milliseconds(1500));
  ASSERT_EQ(spec.objects.size(), 1u);
  EXPECT_EQ(spec.objects[0].spec->key.Text(), "shop/web");
  ASSERT_EQ(spec.triggers.size(), 1u);
  EXPECT_EQ(spec.triggers[0].via, Via::kPrometheus);
  EXPECT_EQ(spec.triggers[0].metric.target.average_value, 20'000);
  EXPECT_EQ(spec.triggers[0].activation, 5'000);
  EXPECT_EQ(spec.triggers[0].from.what, Source::What::kQueueLength);
  EXPECT_EQ(spec.pipeline.server_every, absl::Seconds(30));
  EXPECT_EQ(spec.pipeline.kubelet_every, absl::Seconds(5));
  EXPECT_EQ(spec.pipeline.scrape_every, absl::Seconds(10));
  EXPECT_EQ(spec.pipeline.rate_window, absl::Minutes(2));
  EXPECT_EQ(spec.pipeline.external, Via::kPrometheus);
  EXPECT_EQ(spec.pipeline.answer,
            Distribution::Uniform(absl::Milliseconds(10), absl::Milliseconds(30)));
  EXPECT_EQ(spec.pipeline.watch, Distribution::Exponential(absl::Milliseconds(20)));
  ASSERT_EQ(spec.faults.size(), 2u);
  EXPECT_EQ(spec.faults[0].what, ControlFault::What::kScalerSlow);
  EXPECT_EQ(spec.faults[0].permille, 250);
  EXPECT_EQ(spec.faults[0].by, absl::Seconds(3));
  EXPECT_TRUE(spec.faults[1].keeps_history);
  EXPECT_EQ(spec.faults[1].lasts, absl::InfiniteDuration());
  EXPECT_EQ(spec.controller.hpa.tolerance, 0.2);
  EXPECT_EQ(spec.controller.hpa.downscale_stabilization, absl::Minutes(1));
  EXPECT_EQ(spec.controller.writes_per_second, 5);
  EXPECT_TRUE(spec.controller.abort_on_broken_invariant);
}

TEST(Scenario, ObjectsLieInFilesBesideIt) {
  const testing_support::TempDir dir;
  std::string object = Object(kCpu);
  object = object.substr(object.find("apiVersion"));
  dir.Write("web.yaml", object);
  for (size_t at = 0; (at = object.find("\n  ", at)) != std::string::npos; ++at)
    object.erase(at + 1, 2);
  dir.Write("web.yaml",
            object + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n");
  const auto scenario = Load(dir, std::string(kWorld) + "objects: [web.yaml]\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_EQ(scenario->spec.objects.size(), 1u);
  EXPECT_EQ(scenario->name, "s");
  EXPECT_EQ(Load(dir, std::string(kWorld) + "objects: [none.yaml]\n").status().code(),
            absl::StatusCode::kNotFound);
  // Named ones take the place of the scenario's own.
  const auto other = Load(dir, std::string(kWorld) + "objects: [none.yaml]\n",
                          {.objects = {dir.path() + "/web.yaml"}, .seed = 9});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->spec.world.seed, 9u);
}

TEST(Scenario, EveryMistakeIsNamedAtOnce) {
  const std::string error = ErrorOf(std::string(kWorld) + Object(kCpu) + R"(durations: 24h
start: yesterday
pipeline: {serverEvry: 15s, kubeletEvery: 2h}
controlFaults:
- {what: ScalerEror, at: 10m}
- {what: ScalerSlow, metric: cpuu}
options: {tolerance: 7}
)");
  EXPECT_THAT(error, HasSubstr("s.yaml:16: durations: unknown field (did you mean \"duration\"?)"));
  EXPECT_THAT(error, HasSubstr("s.yaml:17: start: "));
  EXPECT_THAT(error,
              HasSubstr("pipeline.serverEvry: unknown field (did you mean \"serverEvery\"?)"));
  EXPECT_THAT(error, HasSubstr("pipeline.kubeletEvery: Invalid value"));
  EXPECT_THAT(error,
              HasSubstr("s.yaml:20: controlFaults[0].what: Unsupported value: \"ScalerEror\""));
  EXPECT_THAT(error, HasSubstr("controlFaults[1].metric: no object has a metric \"cpuu\" (did you "
                               "mean \"cpu\"?)"));
  EXPECT_THAT(error, HasSubstr("controlFaults[1].by: Required value"));
  EXPECT_THAT(error, HasSubstr("options.tolerance: Invalid value"));
}

TEST(Scenario, ImpossibleWorldsAreRefused) {
  const auto with = [](std::string_view metric) { return std::string(kWorld) + Object(metric); };
  EXPECT_THAT(ErrorOf(kWorld), HasSubstr("objects: Required value"));
  EXPECT_THAT(ErrorOf(with(kRedis)),
              HasSubstr("s.yaml:9: shop/web: spec.triggers[0] (redis) has no source in this world: "
                        "add {object: shop/web, trigger: 0, from: ...} to triggers of s.yaml"));
  EXPECT_THAT(ErrorOf(with("    metrics: [{type: External, external: {metric: {name: depht}, "
                           "target: {type: Value, value: 5}}}]\n")),
              HasSubstr("shop/web: spec.metrics[0] (depht): no externalMetrics entry gives it"));
  EXPECT_THAT(ErrorOf(with("    metrics: [{type: Pods, pods: {metric: {name: rps}, target: {type: "
                           "AverageValue, averageValue: 5}}}]\n")),
              HasSubstr("no customMetrics entry gives it for the pods of web"));
  EXPECT_THAT(ErrorOf(with("    metrics: [{type: Resource, resource: {name: memory, target: {type: "
                           "Utilization, averageUtilization: 60}}}]\n")),
              HasSubstr("the pods of web request no memory"));
  std::string elsewhere = with(kCpu);
  elsewhere.replace(elsewhere.find("Deployment, name: web"), 21, "Deployment, name: wep");
  EXPECT_THAT(ErrorOf(elsewhere),
              HasSubstr("shop/web: its target Deployment wep is no deployment of this world in "
                        "namespace shop (did you mean \"web\"?)"));
  EXPECT_THAT(ErrorOf(with("    minReplicas: 11\n" + std::string(kCpu))),
              HasSubstr("maxReplicas: Invalid value"));
  EXPECT_THAT(ErrorOf(with(kRedis) + "triggers: [{object: shop/wep, from: {queue: jobs}}]\n"),
              HasSubstr("triggers[0].object: there is no object \"shop/wep\" (did you mean"));
  EXPECT_THAT(ErrorOf(with(kRedis) + "triggers: [{object: shop/web, trigger: 1, from: {queue: "
                                     "jobs}}]\n"),
              HasSubstr("shop/web has 1 triggers, counted from 0"));
  EXPECT_THAT(ErrorOf(with(kRedis) + "triggers: [{object: shop/web, from: {queue: jbos}}]\n"),
              HasSubstr("triggers[0].from.queue: there is no queue shop/jbos"));
  EXPECT_THAT(ErrorOf(with(kCpu) + "\n---\nseed: 1\n"), HasSubstr("expected one document"));
  EXPECT_THAT(ErrorOf("[1]"), HasSubstr("expected a map"));
}

TEST(Scenario, KedaObjectsAreRefusedByName) {
  const testing_support::TempDir dir;
  const auto scenario = Load(dir, std::string(kWorld) + R"(objects:
- apiVersion: keda.sh/v1alpha1
  kind: ScaledObject
  metadata: {name: jobs, namespace: shop}
)");
  EXPECT_EQ(scenario.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(base::Message(scenario.status())),
              HasSubstr("ScaledObject shop/jobs: KEDA's objects are not simulated"));
}

TEST(Scenario, TemplatesAreValid) {
  const testing_support::TempDir dir;
  ScenarioOptions options;
  options.open_trigger =
      [](const auto&,
         const core::TriggerSpec& trigger) -> absl::StatusOr<std::vector<core::MetricSpec>> {
    core::MetricSpec metric;
    metric.name = trigger.type;
    metric.target.average_value = 20'000;
    return std::vector{metric};
  };
  for (const char* kind : {"requests", "queue", "cpu"}) {
    const auto scenario = Load(dir, ScenarioTemplate(kind), options);
    EXPECT_TRUE(scenario.ok()) << kind << ": " << scenario.status();
  }
}

}  // namespace
}  // namespace neap::sim
