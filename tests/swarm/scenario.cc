#include "tests/swarm/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/sim/random.h"

namespace neap::sim {
namespace {

constexpr absl::Duration kStorm = absl::Minutes(40);
// The slowest policy, one pod in two minutes, over 40 pods, and a window.
constexpr absl::Duration kSettle = absl::Minutes(100);
constexpr absl::Duration kRest = absl::Minutes(10);

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(Random(seed).Next()) { made_.spec.world.seed = seed; }

  SwarmScenario Make() {
    SimulationSpec& spec = made_.spec;
    made_.calm = spec.start + kStorm;
    made_.settled = made_.calm + kSettle;
    spec.duration = kStorm + kSettle + kRest;
    const int count = static_cast<int>(Draw(1, 3));
    for (int i = 0; i < count; ++i) Workload(i);
    Pipeline();
    const int faults = static_cast<int>(Draw(0, 4));
    for (int i = 0; i < faults; ++i) Fault();
    if (Chance(25)) KillPods();
    if (Chance(30)) {
      spec.controller.writes_per_second = static_cast<double>(Draw(1, 5));
      spec.controller.write_burst = static_cast<int>(Draw(1, 3));
    }
    return std::move(made_);
  }

 private:
  int64_t Draw(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(high - low + 1)));
  }
  bool Chance(int percent) { return Draw(1, 100) <= percent; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return *(values.begin() + Draw(0, static_cast<int64_t>(values.size()) - 1));
  }
  absl::Duration Moment() { return absl::Seconds(Draw(60, absl::ToInt64Seconds(kStorm) - 120)); }

  // Steps of one to five minutes until it is calm, then `last` for ever.
  Load Wild(int64_t most, int64_t last) {
    std::vector<Load::Point> points;
    absl::Duration at;
    while (at < kStorm) {
      points.push_back({.at = at, .rate = Draw(0, most)});
      at += absl::Seconds(Draw(60, 300));
    }
    points.push_back({.at = kStorm, .rate = last});
    return Load::Steps(std::move(points), false);
  }

  void Workload(int i) {
    DeploymentSpec deployment;
    deployment.name = fmt::format("web-{}", i);
    deployment.replicas = static_cast<int>(Draw(1, 8));
    deployment.cpu_request = 500'000'000;
    deployment.cpu_limit = Chance(50) ? 1'000'000'000 : 0;
    deployment.cpu_idle = 5'000'000;
    deployment.cpu_startup = Chance(50) ? 200'000'000 : 0;
    deployment.cpu_per_request = 20'000'000;
    deployment.to_ready = {absl::Seconds(Draw(1, 5)), absl::Seconds(Draw(6, 40))};
    deployment.load = Wild(400'000, Draw(0, 300'000));
    made_.spec.world.deployments.push_back(deployment);

    core::AutoscalerSpec object;
    object.uid = fmt::format("uid-{}", i);
    object.key = {.ns = "default", .name = fmt::format("scale-{}", i)};
    object.target = {.api_version = "apps/v1", .kind = "Deployment", .name = deployment.name};
    object.kind = Chance(30) ? core::ObjectKind::kHpa : core::ObjectKind::kAutoscaler;
    object.guards = object.kind == core::ObjectKind::kHpa || Chance(20) ? core::Guards::kNone
                                                                        : core::Guards::kSafe;
    object.min_replicas = static_cast<int32_t>(Draw(1, 3));
    object.max_replicas = static_cast<int32_t>(Draw(8, 40));
    // Faster than its metrics move, upstream's arithmetic multiplies one reading twice and swings.
    object.period = absl::Seconds(
        object.guards == core::Guards::kNone ? OneOf({15, 30}) : OneOf({1, 2, 5, 15, 15, 30}));
    object.paused = Chance(8);
    if (Chance(70)) object.behavior = core::Behavior{Rules(true), Rules(false)};
    const int metrics = static_cast<int>(Draw(1, 3));
    for (int m = 0; m < metrics; ++m) object.metrics.push_back(Metric(i, m));
    made_.spec.objects.push_back(
        {.spec = std::make_shared<const core::AutoscalerSpec>(std::move(object)),
         .status = {},
         .dry_run = Chance(8)});
  }

  core::ScalingRules Rules(bool up) {
    core::ScalingRules rules;
    rules.stabilization_window_seconds =
        up ? OneOf({0, 0, 0, 30, 120}) : OneOf({0, 0, 15, 60, 300});
    rules.select_policy = Chance(80) ? core::SelectPolicy::kMax : core::SelectPolicy::kMin;
    const int policies = static_cast<int>(Draw(1, 2));
    for (int i = 0; i < policies; ++i) {
      const bool pods = Chance(50);
      rules.policies.push_back(
          {.type = pods ? core::PolicyType::kPods : core::PolicyType::kPercent,
           .value = static_cast<int32_t>(pods ? Draw(1, 6) : OneOf<int64_t>({20, 50, 100, 200})),
           .period_seconds = OneOf({15, 30, 60, 120})});
    }
    return rules;
  }

  core::MetricSpec Metric(int deployment, int number) {
    core::MetricSpec metric;
    switch (Draw(0, 4)) {
      case 0:
        metric.source = core::MetricSource::kResource;
        metric.name = "cpu";
        metric.target.kind = core::TargetKind::kUtilization;
        metric.target.average_utilization = static_cast<int32_t>(Draw(30, 90));
        return metric;
      case 1:
        return PerPod(deployment, number);
      case 2:
        return Queue(deployment, number);
      default:
        return Rate(deployment, number);
    }
  }

  core::MetricSpec External(int deployment, int number, std::string_view what, Source from) {
    core::MetricSpec metric;
    metric.source = core::MetricSource::kExternal;
    metric.name = fmt::format("{}-{}-{}", what, deployment, number);
    made_.spec.world.external_metrics.push_back(
        {.ns = "default", .name = metric.name, .labels = {}, .from = from});
    return metric;
  }

  core::MetricSpec Rate(int deployment, int number) {
    core::MetricSpec metric =
        External(deployment, number, "rate", {.what = Source::What::kRate, .index = deployment});
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = Draw(5, 40) * 1000;
    return metric;
  }

  core::MetricSpec Queue(int deployment, int number) {
    QueueSpec queue;
    queue.name = fmt::format("jobs-{}-{}", deployment, number);
    queue.consumer = deployment;
    // It drains when it is calm: the least maxReplicas take what comes at most.
    queue.per_pod = Draw(8, 30) * 1000;
    queue.arrivals = Wild(60'000, 0);
    const int index = static_cast<int>(made_.spec.world.queues.size());
    made_.spec.world.queues.push_back(queue);
    core::MetricSpec metric =
        External(deployment, number, "queue", {.what = Source::What::kQueueLength, .index = index});
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = Draw(5, 100) * 1000;
    return metric;
  }

  core::MetricSpec PerPod(int deployment, int number) {
    core::MetricSpec metric;
    metric.source = core::MetricSource::kPods;
    metric.name = fmt::format("per-pod-{}-{}", deployment, number);
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = Draw(5, 40) * 1000;
    CustomMetricSpec custom;
    custom.name = metric.name;
    custom.pods_of = deployment;
    custom.from = {.what = Source::What::kRatePerPod, .index = deployment};
    made_.spec.world.custom_metrics.push_back(custom);
    return metric;
  }

  void Pipeline() {
    PipelineSpec& pipeline = made_.spec.pipeline;
    pipeline.answer =
        Distribution::Uniform(absl::Milliseconds(1), absl::Milliseconds(Draw(1, 900)));
    pipeline.write =
        Distribution::Uniform(absl::Milliseconds(1), absl::Milliseconds(OneOf({5, 50, 4000})));
    pipeline.watch =
        Distribution::Uniform(absl::Milliseconds(1), absl::Milliseconds(OneOf({20, 20, 3000})));
  }

  void Fault() {
    using What = ControlFault::What;
    ControlFault fault;
    fault.what = OneOf({What::kApiErrors, What::kConflicts, What::kWatchDelay, What::kWatchSilence,
                        What::kWatchSilence, What::kScalerError, What::kScalerError,
                        What::kScalerSlow, What::kScalerHang, What::kFrozen, What::kFrozen,
                        What::kNotFinite, What::kRestart, What::kClockJump});
    if (Chance(50)) {  // one metric alone, where the fault is of metrics
      const auto& objects = made_.spec.objects;
      const core::AutoscalerSpec& object =
          *objects[static_cast<size_t>(Draw(0, static_cast<int64_t>(objects.size()) - 1))].spec;
      fault.metric = object
                         .metrics[static_cast<size_t>(
                             Draw(0, static_cast<int64_t>(object.metrics.size()) - 1))]
                         .name;
    }
    fault.at = Moment();
    fault.lasts = std::min(absl::Seconds(Draw(30, 900)), kStorm - fault.at);
    fault.by = absl::Milliseconds(Draw(100, 20'000));
    fault.permille = Chance(60) ? 1000 : static_cast<int>(Draw(100, 900));
    made_.spec.faults.push_back(fault);
  }

  void KillPods() {
    WorldFault fault;
    fault.what = WorldFault::What::kKillPods;
    fault.deployment = "web-0";
    fault.count = static_cast<int>(Draw(1, 3));
    fault.at = absl::Seconds(Draw(10, 300));
    fault.every = absl::Seconds(Draw(15, 200));
    fault.until = kStorm;
    made_.spec.world.faults.push_back(fault);
  }

  Random random_;
  SwarmScenario made_;
};

}  // namespace

SwarmScenario MakeSwarmScenario(uint64_t seed) { return Maker(seed).Make(); }

std::string Describe(const SwarmScenario& scenario) {
  const SimulationSpec& spec = scenario.spec;
  std::string out;
  for (const ObjectSpec& object : spec.objects) {
    const core::AutoscalerSpec& s = *object.spec;
    out +=
        fmt::format("{}: {}..{} every {}{}{}{}{}", s.key.Text(), s.MinReplicas(), s.max_replicas,
                    base::FormatDuration(s.period), s.kind == core::ObjectKind::kHpa ? ", HPA" : "",
                    s.guards == core::Guards::kSafe ? ", Safe" : ", None",
                    s.paused ? ", paused" : "", object.dry_run ? ", dry run" : "");
    if (s.behavior) {
      out += fmt::format(", windows {} s up, {} s down",
                         s.behavior->scale_up.stabilization_window_seconds.value_or(-1),
                         s.behavior->scale_down.stabilization_window_seconds.value_or(-1));
    }
    for (const core::MetricSpec& metric : s.metrics) out += ", " + metric.name;
    out += "\n";
  }
  for (const ControlFault& fault : spec.faults) {
    out += fmt::format("fault {} of \"{}\" from {} for {}, {} permille, by {}\n",
                       static_cast<int>(fault.what), fault.metric, base::FormatDuration(fault.at),
                       base::FormatDuration(fault.lasts), fault.permille,
                       base::FormatDuration(fault.by));
  }
  for (const WorldFault& fault : spec.world.faults) {
    out += fmt::format("kills {} pods every {}\n", fault.count, base::FormatDuration(fault.every));
  }
  return out;
}

}  // namespace neap::sim
