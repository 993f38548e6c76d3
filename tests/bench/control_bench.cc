// Controller::Step at the size that the design promises: 10,000 targets with one External metric
// each, decided once per second or per 15 s in virtual time; and what one target costs in memory.
//
//   bench_control --benchmark_filter=Step
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/control/controller.h"
#include "tests/bench/heap.h"

namespace neap::control {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1767225600);

core::AutoscalerSpec SpecOf(int i, absl::Duration period) {
  core::AutoscalerSpec spec;
  spec.key = {.ns = fmt::format("team-{}", i % 100), .name = fmt::format("web-{}", i)};
  spec.uid = fmt::format("7f9c2ba4-e88f-4b1d-8d2e-{:012d}", i);
  spec.generation = 1;
  spec.target = {.api_version = "apps/v1", .kind = "Deployment", .name = spec.key.name};
  spec.min_replicas = 1;
  spec.max_replicas = 100;
  spec.period = period;
  core::MetricSpec metric;
  metric.source = core::MetricSource::kExternal;
  metric.source_text = "External";
  metric.name = fmt::format("queue-{}", i);
  metric.target.kind = core::TargetKind::kAverageValue;
  metric.target.average_value = 10'000;
  spec.metrics.push_back(metric);
  return spec;
}

// All targets known, synced and decided once; each reading keeps the count where it is.
class Fleet {
 public:
  Fleet(int targets, absl::Duration period) {
    SpecsReplaced specs{.source = "api", .all = {}};
    ScalesReplaced scales{.group = "apps", .kind = "Deployment", .all = {}};
    for (int i = 0; i < targets; ++i) {
      auto spec = std::make_shared<const core::AutoscalerSpec>(SpecOf(i, period));
      scales.all.push_back({.target = {.group = "apps",
                                       .kind = "Deployment",
                                       .ns = spec->key.ns,
                                       .name = spec->key.name},
                            .scale = core::Scale{.uid = "u" + spec->uid,
                                                 .resource_version = "1",
                                                 .spec_replicas = 5,
                                                 .status_replicas = 5,
                                                 .selector = "app=" + spec->key.name},
                            .error = {}});
      specs.all.push_back(
          {.uid = spec->uid, .spec = std::move(spec), .status = {}, .source = "api"});
    }
    inbox_.emplace_back(std::move(specs));
    Step();
    inbox_.emplace_back(std::move(scales));
    RunFor(absl::Seconds(1));
  }

  // Steps through what is due, answering each poll at once. Returns the steps it took.
  int RunFor(absl::Duration duration) {
    const absl::Time end = now_ + duration;
    int steps = 0;
    for (;;) {
      Step();
      ++steps;
      const absl::Time next = inbox_.empty() ? controller_.NextDue() : now_;
      if (next > end) break;
      now_ = std::max(now_, next);
    }
    now_ = end;
    return steps;
  }

  const ControllerCounters& counters() const { return controller_.counters(); }

 private:
  void Step() {
    const std::vector<Action> actions = controller_.Step(std::exchange(inbox_, {}), now_);
    if (now_ >= heard_ + absl::Seconds(30)) {
      heard_ = now_;
      inbox_.emplace_back(ViewHeard{.view = View::kSpecs, .scope = "api"});
      inbox_.emplace_back(ViewHeard{.view = View::kScales, .scope = "apps/Deployment"});
    }
    for (const Action& action : actions) {
      const auto* poll = std::get_if<Poll>(&action);
      if (poll == nullptr) continue;
      for (const std::string& id : poll->trigger_ids) {
        TriggerReading answer{.trigger_id = id, .round = poll->round, .metrics = {}, .error = {}};
        MetricReading& metric = answer.metrics.emplace_back();
        metric.reading.form = core::Reading::Form::kMilli;
        metric.reading.milli = {50'000};
        metric.reading.observed_at = now_;
        inbox_.emplace_back(std::move(answer));
      }
    }
  }

  Controller controller_{ControllerOptions()};
  absl::Time now_ = kStart;
  absl::Time heard_ = kStart;
  std::vector<Message> inbox_;
};

// A full period of `targets` targets that are decided once per `period`: everything that Step does
// for it, and making the answers.
void Period(benchmark::State& state, int targets, absl::Duration period) {
  Fleet fleet(targets, period);
  fleet.RunFor(absl::Seconds(310) + 2 * period);  // the windows are full
  const uint64_t before = fleet.counters().decisions;
  int64_t steps = 0;
  for (auto _ : state) steps += fleet.RunFor(period);
  const auto decisions = static_cast<double>(fleet.counters().decisions - before);
  state.counters["decisions"] = benchmark::Counter(decisions, benchmark::Counter::kAvgIterations);
  state.counters["per_decision"] =
      benchmark::Counter(decisions, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["steps"] =
      benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kAvgIterations);
}

// The budget is one core, so under one second.
void BM_StepOneSecond(benchmark::State& state) {
  Period(state, static_cast<int>(state.range(0)), absl::Seconds(1));
}
BENCHMARK(BM_StepOneSecond)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

// What a simulation asks for: virtual time, a period of 15 s.
void BM_StepFifteenSeconds(benchmark::State& state) {
  Period(state, static_cast<int>(state.range(0)), absl::Seconds(15));
}
BENCHMARK(BM_StepFifteenSeconds)->Arg(1)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

// Bytes of heap per target at a period of 15 s, windows of 300 s full.
void BM_BytesPerTarget(benchmark::State& state) {
  constexpr int kTargets = 10'000;
  for (auto _ : state) {
    const double before = HeapBytes();
    Fleet fleet(kTargets, absl::Seconds(15));
    fleet.RunFor(absl::Seconds(320));
    state.counters["bytes_per_target"] = (HeapBytes() - before) / kTargets;
  }
}
BENCHMARK(BM_BytesPerTarget)->Iterations(1)->Unit(benchmark::kMillisecond);

// The first decision of the last of 10,000 targets: list, scales, polls, decisions.
void BM_FirstDecisions(benchmark::State& state) {
  for (auto _ : state) {
    Fleet fleet(10'000, absl::Seconds(15));
    if (fleet.counters().decisions < 10'000) state.SkipWithError("not all were decided");
  }
}
BENCHMARK(BM_FirstDecisions)->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace neap::control
