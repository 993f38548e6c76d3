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

TEST(WorldFile, ReadsPodsNodesAndFaults) {
  const auto spec = Parse(R"(
deployments:
- name: web
  replicas: 2
  requests: {cpu: 500m}
  capacity: 50
  patience: 5s
  startup: {running: {exponential: 2s}, ready: {quantiles: [1s, 2s, 9s]}}
  termination: {normal: 3s, deviation: 1s}
  crash: {share: 0.25, after: [1s, 2s], backoff: 5s, mostBackoff: 1m}
  rollout:
    maxSurge: 2
    maxUnavailable: 1
    templates: [{at: 10m, perRequest: 30m}, {at: 1h, crashShare: 1}]
nodePools:
- {name: small, zones: 3, cpu: "4", memory: 16Gi, pods: 20, count: 3, min: 1, max: 9, provision: [60s, 90s], idle: 5m, price: 0.19}
- {name: large, cpu: "32"}
quotas:
- {pods: 12, cpu: "6"}
faults:
- {what: KillPods, deployment: web, count: 2, at: 1m, every: 15s, until: 1h}
- {what: LoseZone, at: 30m, lasts: 10m}
)");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const DeploymentSpec& web = spec->deployments[0];
  EXPECT_EQ(web.capacity, 50'000);
  EXPECT_EQ(web.patience, absl::Seconds(5));
  EXPECT_EQ(web.pull_and_start, Distribution::Exponential(absl::Seconds(2)));
  EXPECT_EQ(web.become_ready,
            Distribution::Quantiles({absl::Seconds(1), absl::Seconds(2), absl::Seconds(9)}));
  EXPECT_EQ(web.terminate, Distribution::Normal(absl::Seconds(3), absl::Seconds(1)));
  EXPECT_EQ(web.crash.permille, 250);
  EXPECT_EQ(web.crash.lives, Distribution::Uniform(absl::Seconds(1), absl::Seconds(2)));
  EXPECT_EQ(web.crash.backoff, absl::Seconds(5));
  EXPECT_EQ(web.crash.most_backoff, absl::Minutes(1));
  EXPECT_EQ(web.max_surge, 2);
  EXPECT_EQ(web.max_unavailable, 1);
  ASSERT_EQ(web.rollouts.size(), 2u);
  EXPECT_EQ(web.rollouts[0].at, absl::Minutes(10));
  EXPECT_EQ(web.rollouts[0].cpu_per_request, 30'000'000);
  EXPECT_EQ(web.rollouts[0].crash_permille, -1);
  EXPECT_EQ(web.rollouts[1].cpu_per_request, -1);
  EXPECT_EQ(web.rollouts[1].crash_permille, 1000);
  ASSERT_EQ(spec->pools.size(), 2u);
  const NodePoolSpec& small = spec->pools[0];
  EXPECT_EQ(small.zones, 3);
  EXPECT_EQ(small.cpu, 4'000'000'000);
  EXPECT_EQ(small.memory, int64_t{16} << 30);
  EXPECT_EQ(small.pods, 20);
  EXPECT_EQ(small.count, 3);
  EXPECT_EQ(small.min, 1);
  EXPECT_EQ(small.max, 9);
  EXPECT_EQ(small.provision, Distribution::Uniform(absl::Seconds(60), absl::Seconds(90)));
  EXPECT_EQ(small.idle, absl::Minutes(5));
  EXPECT_EQ(small.price_milli, 190);
  EXPECT_EQ(spec->pools[1].max, 1);  // as many as at the beginning
  EXPECT_EQ(spec->quotas[0].pods, 12);
  EXPECT_EQ(spec->quotas[0].cpu, 6'000'000'000);
  ASSERT_EQ(spec->faults.size(), 2u);
  EXPECT_EQ(spec->faults[0].what, WorldFault::What::kKillPods);
  EXPECT_EQ(spec->faults[0].deployment, "web");
  EXPECT_EQ(spec->faults[0].count, 2);
  EXPECT_EQ(spec->faults[0].every, absl::Seconds(15));
  EXPECT_EQ(spec->faults[0].until, absl::Hours(1));
  EXPECT_EQ(spec->faults[1].what, WorldFault::What::kLoseZone);
  EXPECT_EQ(spec->faults[1].lasts, absl::Minutes(10));
}

TEST(WorldFile, ReadsTrafficOfSingleRequests) {
  const auto spec = Parse(R"(
deployments:
- name: web
  load: {constant: 10}
  traffic:
    service: {exponential: 190ms}
    random: false
    timeout: 9s
    connections: 8
    keepAlive: true
    client: {attempts: 3, perTry: 1s, pause: [10ms, 20ms], otherEndpoint: false, onError: false}
    gateway: {attempts: 5, perTry: 2s}
    balance: LeastRequests
    endpointDelay: [50ms, 950ms]
    errors: 0.01
    delays: {share: 0.1, by: 200ms}
    eject: {after: 5, lasts: 20s, mostPercent: 30}
    concurrency: 200
    queue: 7
    boot: [7s, 9s]
    readinessProbe: false
    warmUp: {wrong: 1, lasts: 110ms}
    drain: false
- name: rows
  traffic: {service: 1s, trace: requests.csv, time: time, work: work}
)");
  ASSERT_TRUE(spec.ok()) << spec.status();
  ASSERT_TRUE(spec->deployments[0].requests);
  const RequestsSpec& web = *spec->deployments[0].requests;
  EXPECT_EQ(web.service, Distribution::Exponential(absl::Milliseconds(190)));
  EXPECT_FALSE(web.random);
  EXPECT_EQ(web.timeout, absl::Seconds(9));
  EXPECT_EQ(web.connections, 8);
  EXPECT_TRUE(web.keep_alive);
  EXPECT_EQ(web.client.attempts, 3);
  EXPECT_EQ(web.client.per_try, absl::Seconds(1));
  EXPECT_EQ(web.client.pause,
            Distribution::Uniform(absl::Milliseconds(10), absl::Milliseconds(20)));
  EXPECT_FALSE(web.client.other_endpoint);
  EXPECT_FALSE(web.client.on_error);
  EXPECT_EQ(web.gateway.attempts, 5);
  EXPECT_EQ(web.gateway.per_try, absl::Seconds(2));
  EXPECT_TRUE(web.gateway.other_endpoint);
  EXPECT_EQ(web.balance, RequestsSpec::Balance::kLeastRequests);
  EXPECT_EQ(web.endpoint_delay,
            Distribution::Uniform(absl::Milliseconds(50), absl::Milliseconds(950)));
  EXPECT_EQ(web.error_permille, 10);
  EXPECT_EQ(web.delay_permille, 100);
  EXPECT_EQ(web.delay, Distribution::Fixed(absl::Milliseconds(200)));
  EXPECT_EQ(web.eject_after, 5);
  EXPECT_EQ(web.eject_for, absl::Seconds(20));
  EXPECT_EQ(web.eject_most_percent, 30);
  EXPECT_EQ(web.concurrency, 200);
  EXPECT_EQ(web.queue, 7);
  EXPECT_EQ(web.boot, Distribution::Uniform(absl::Seconds(7), absl::Seconds(9)));
  EXPECT_FALSE(web.readiness_probe);
  EXPECT_EQ(web.boot_wrong_permille, 1000);
  EXPECT_EQ(web.warm_up, absl::Milliseconds(110));
  EXPECT_FALSE(web.drain);
  const RequestsSpec& rows = *spec->deployments[1].requests;
  EXPECT_THAT(rows.trace, testing::EndsWith("/requests.csv"));
  EXPECT_EQ(rows.trace_options.kind, TraceKind::kRequests);
  EXPECT_EQ(rows.trace_options.value_column, "work");
}

TEST(WorldFile, ReadsEveryShapeOfLoad) {
  const auto rate = [](std::string_view load, absl::Duration at) {
    const auto spec = Parse(fmt::format("speed: 2\ndeployments: [{{name: a, load: {}}}]", load));
    EXPECT_TRUE(spec.ok()) << load << ": " << spec.status();
    return spec.ok() ? spec->deployments[0].load.At(at) : -1;
  };
  // Its time runs twice as fast, that of parts not four times.
  EXPECT_EQ(rate("{ramp: {from: 0, to: 100, over: 10s}}", absl::Seconds(1)), 20'000);
  EXPECT_EQ(
      rate("{sum: [{constant: 5}, {ramp: {from: 0, to: 100, over: 10s}, scale: 0.5}], scale: 2}",
           absl::Seconds(1)),
      30'000);
  EXPECT_EQ(rate("{flashCrowd: {base: 1, peak: 9, at: 4s, rise: 2s, hold: 6s, fall: 2s}}",
                 absl::Seconds(4)),
            9'000);
  EXPECT_EQ(rate("{square: {low: 1, high: 3, period: 4s}}", absl::Milliseconds(1500)), 3'000);
  EXPECT_EQ(rate("{trace: day.csv, gap: zero}", absl::Seconds(31)), 20'000);
  EXPECT_EQ(rate("{trace: day.csv}", absl::Seconds(61)), 0);  // it is over
  EXPECT_EQ(rate("{trace: day.csv, repeat: true}", absl::Seconds(61)), 10'000);
  EXPECT_GE(rate("{poisson: {rate: 5, every: 2s}}", absl::Seconds(3)), 0);
}

TEST(WorldFile, RefusesWorldsThatCannotBe) {
  const auto deployment = [](std::string_view rest) {
    return ErrorOf(fmt::format("deployments: [{{name: a, {}}}]", rest));
  };
  EXPECT_THAT(deployment("limits: {cpu: 5m}, cpu: {idle: 5m, perRequest: 1m}"),
              HasSubstr("limits.cpu: is not above cpu.idle: a pod could do nothing"));
  EXPECT_THAT(deployment("capacity: 0"), HasSubstr("capacity: Invalid value"));
  EXPECT_THAT(deployment("rollout: {maxSurge: 0}"), HasSubstr("may not be 0 where maxSurge is 0"));
  EXPECT_THAT(deployment("rollout: {templates: [{at: 5m}, {at: 5m}]}"),
              HasSubstr("rollout.templates[1].at: each must come after"));
  EXPECT_THAT(deployment("crash: {share: 1.5}"), HasSubstr("crash.share: Invalid value"));
  EXPECT_THAT(deployment("crash: {backoff: 10m, mostBackoff: 1m}"), HasSubstr("less than backoff"));
  EXPECT_THAT(deployment("traffic: {}"), HasSubstr("traffic.service: Required value"));
  EXPECT_THAT(deployment("traffic: {service: 0s}"), HasSubstr("traffic.service: Invalid value"));
  EXPECT_THAT(deployment("traffic: {service: [0s, 1s]}"), HasSubstr("traffic.service"));
  EXPECT_THAT(deployment("traffic: {service: 1s, conections: 3}"),
              HasSubstr("unknown field (did you mean \"connections\"?)"));
  EXPECT_THAT(deployment("patience: 1s, traffic: {service: 1s}"),
              HasSubstr("loads without traffic"));
  EXPECT_THAT(deployment("load: {constant: 1}, traffic: {service: 1s, trace: requests.csv}"),
              HasSubstr("one of them says what arrives"));
  EXPECT_THAT(deployment("traffic: {service: 1s, trace: none.csv}"), HasSubstr("none.csv"));
  EXPECT_THAT(deployment("traffic: {service: 1s, balance: Best}"), HasSubstr("traffic.balance"));
  EXPECT_THAT(deployment("load: {constant: 1, gap: zero}"), HasSubstr("is of traces alone"));
  EXPECT_THAT(deployment("load: {sum: [{constant: 1, ramp: {to: 1}}]}"),
              HasSubstr("load.sum[0]: exactly one of constant"));
  EXPECT_THAT(deployment("load: {trace: day.csv, value: rat}"), HasSubstr("rat"));

  EXPECT_THAT(ErrorOf("nodePools: [{count: 2}]"), HasSubstr("nodePools[0].cpu: Required value"));
  EXPECT_THAT(ErrorOf("nodePools: [{cpu: 1, count: 2, max: 1}]"), HasSubstr("max: is less than"));
  EXPECT_THAT(ErrorOf("nodePools: [{cpu: 1, count: 2, min: 3, max: 4}]"),
              HasSubstr("min: is more"));
  EXPECT_THAT(ErrorOf("nodePools: [{cpu: 1}, {cpu: 1}]"), HasSubstr("a second pool default"));
  EXPECT_THAT(ErrorOf("nodePools: [{cpu: 1}]\ndeployments: [{name: a, requests: {cpu: 2}}]"),
              HasSubstr("no node is large enough for a pod of default/a"));
  EXPECT_THAT(ErrorOf("quotas: [{}]"), HasSubstr("quotas[0].pods: Required value"));
  EXPECT_THAT(ErrorOf("quotas: [{pods: 0}]"), HasSubstr("quotas[0].pods: Invalid value"));
  EXPECT_THAT(ErrorOf("quotas: [{pods: 1}, {pods: 2}]"), HasSubstr("a second quota"));
  EXPECT_THAT(ErrorOf("faults: [{what: KillPods, deployment: a}]"),
              HasSubstr("there is no deployment default/a"));
  EXPECT_THAT(ErrorOf("faults: [{what: LoseNode}]"), HasSubstr("nodePools is empty"));
  EXPECT_THAT(ErrorOf("faults: [{what: Explode}]"), HasSubstr("faults[0].what"));
  EXPECT_THAT(
      ErrorOf(
          "deployments: [{name: a}]\nfaults: [{what: KillPods, deployment: a, at: 2m, until: 1m}]"),
      HasSubstr("until: is before at"));
  EXPECT_THAT(ErrorOf("deployments: [{name: a}]\nqueues: [{name: q, consumer: a, perPod: 0}]"),
              HasSubstr("queues[0].perPod: Invalid value"));
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
