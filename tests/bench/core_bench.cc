// What one decision costs: Decide alone, as the controller calls it. The External metric is the
// yardstick that the Resource ones stand beside.
//
//   build/release/bin/bench_core
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <vector>

#include "autoscaler/core/decide.h"

namespace neap::core {
namespace {

// An object with one metric, its target with `pods` ready pods, and a reading: 30 % above target.
struct World {
  World(MetricSource source, int pods) {
    now = absl::FromUnixSeconds(1'700'000'000);
    spec.key = {.ns = "shop", .name = "checkout"};
    spec.min_replicas = 1;
    spec.max_replicas = 10'000;
    spec.guards = Guards::kNone;
    spec.behavior = Behavior{};
    spec.behavior->scale_up = {
        .stabilization_window_seconds = 0,
        .policies = {{.type = PolicyType::kPods, .value = 4, .period_seconds = 15},
                     {.type = PolicyType::kPercent, .value = 100, .period_seconds = 15}},
        .tolerance = {}};
    spec.behavior->scale_down = {
        .stabilization_window_seconds = 300,
        .policies = {{.type = PolicyType::kPercent, .value = 100, .period_seconds = 15}},
        .tolerance = {}};
    scale = {.uid = "uid",
             .resource_version = "1",
             .spec_replicas = pods,
             .status_replicas = pods,
             .selector = "app=checkout"};
    MetricSpec metric;
    metric.source = source;
    reading.observed_at = now;
    reading.sequence = 1;
    if (source == MetricSource::kResource) {
      metric.name = "cpu";
      metric.target.kind = TargetKind::kUtilization;
      metric.target.average_utilization = 50;
      reading.form = Reading::Form::kPods;
    } else {
      metric.name = "queue";
      metric.target.kind = TargetKind::kAverageValue;
      metric.target.average_value = 1000;
      reading.form = Reading::Form::kMilli;
      reading.milli = {int64_t{1300} * pods};
    }
    spec.metrics = {metric};
    requests.resize(1);
    requests[0].containers = {
        {.name = "app", .sidecar = false, .requests = {{.resource = "cpu", .milli = 500}}}};
    for (int i = 0; i < pods; ++i) {
      Pod pod;
      pod.name = fmt::format("checkout-6d4cf56db6-{:05}", i);
      pod.start = now - absl::Hours(1);
      pod.ready_at = now - absl::Hours(1) + absl::Seconds(5);
      pod.phase = PodPhase::kRunning;
      pod.ready = PodReady::kTrue;
      all.push_back(pod);
      reading.pods.by_pod.push_back(
          {.milli = 325, .at = now, .window = absl::Seconds(15), .present = true});
    }
    if (source != MetricSource::kResource) reading.pods.by_pod.clear();
    input = {.spec = &spec.metrics[0], .reading = &reading};
    // Five minutes of recommendations at 15 s, as the default window keeps.
    for (int i = 20; i > 0; --i) {
      history.recommendations.push_back({.replicas = pods, .at = now - i * absl::Seconds(15)});
    }
    seen.now = now;
    seen.scale = &scale;
    seen.pods = all;
    seen.requests = requests;
    seen.metrics = {&input, 1};
    seen.previous = &previous;
  }

  absl::Time now;
  AutoscalerSpec spec;
  Scale scale;
  Reading reading;
  std::vector<Pod> all;
  std::vector<PodRequests> requests;
  MetricInput input;
  Status previous;
  History history;
  Observation seen;
};

void Run(benchmark::State& state, MetricSource source) {
  const World world(source, static_cast<int>(state.range(0)));
  const HpaOptions options;
  for (auto _ : state) {
    const Decision decision = Decide(options, world.spec, world.seen, world.history);
    if (decision.verdict != Verdict::kComputed || !decision.rescale) {
      state.SkipWithError("the decision is not the one that is to be measured");
      return;
    }
    benchmark::DoNotOptimize(decision.desired);
  }
}

void BM_DecideExternal(benchmark::State& state) { Run(state, MetricSource::kExternal); }
void BM_DecideResource(benchmark::State& state) { Run(state, MetricSource::kResource); }
BENCHMARK(BM_DecideExternal)->Arg(10);
BENCHMARK(BM_DecideResource)->Arg(3)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace neap::core
