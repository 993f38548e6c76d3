// How fast virtual time passes: one target for 30 days, a thousand for one day, a million single
// requests, and what recording costs. Each run is whole: world, pipeline, controller, recorder.
//
//   bench_simulation --benchmark_counters_tabular=true
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "autoscaler/sim/journal_observer.h"
#include "autoscaler/sim/recorder.h"
#include "autoscaler/sim/simulation.h"

namespace neap::sim {
namespace {

// A day's wave, in steps of `step`: as a recorded trace has it.
Load Day(absl::Duration step) {
  const Load wave = Load::Sine({.low = 20'000, .high = 200'000, .period = absl::Hours(24)});
  std::vector<Load::Point> points;
  for (absl::Duration at; at < absl::Hours(24); at += step) {
    points.push_back({.at = at, .rate = wave.At(at)});
  }
  return Load::Steps(std::move(points), /*repeat=*/true);
}

// Deployments with that load, scaled by an External metric or by CPU.
SimulationSpec Fleet(int targets, absl::Duration duration, bool cpu,
                     absl::Duration step = absl::Minutes(1)) {
  SimulationSpec spec;
  const Load day = Day(step);
  spec.duration = duration;
  for (int i = 0; i < targets; ++i) {
    DeploymentSpec deployment;
    deployment.ns = fmt::format("team-{}", i % 20);
    deployment.name = fmt::format("web-{}", i);
    deployment.replicas = 2;
    deployment.cpu_request = 500'000'000;
    deployment.cpu_per_request = 20'000'000;
    deployment.capacity = 25'000;
    deployment.load = day;
    auto object = std::make_shared<core::AutoscalerSpec>();
    object->key = {.ns = deployment.ns, .name = deployment.name};
    object->uid = fmt::format("7f9c2ba4-e88f-4b1d-8d2e-{:012d}", i);
    object->generation = 1;
    object->target = {.api_version = "apps/v1", .kind = "Deployment", .name = deployment.name};
    object->min_replicas = 1;
    object->max_replicas = 50;
    core::MetricSpec metric;
    if (cpu) {
      metric.source = core::MetricSource::kResource;
      metric.source_text = "Resource";
      metric.name = "cpu";
      metric.target.kind = core::TargetKind::kUtilization;
      metric.target.average_utilization = 60;
    } else {
      metric.source = core::MetricSource::kExternal;
      metric.source_text = "External";
      metric.name = fmt::format("load-{}", i);
      metric.target.kind = core::TargetKind::kAverageValue;
      metric.target.average_value = 15'000;
      spec.world.external_metrics.push_back({.ns = deployment.ns,
                                             .name = metric.name,
                                             .labels = {},
                                             .from = {.what = Source::What::kRate, .index = i}});
    }
    object->metrics.push_back(metric);
    spec.world.deployments.push_back(std::move(deployment));
    spec.objects.push_back({.spec = std::move(object), .status = {}, .dry_run = false});
  }
  return spec;
}

void Run(benchmark::State& state, const SimulationSpec& spec, std::vector<Observer*> others = {}) {
  Result result;
  for (auto _ : state) {
    Recorder recorder(spec, {});
    std::vector<Observer*> observers = {&recorder};
    observers.insert(observers.end(), others.begin(), others.end());
    Simulation simulation(spec, observers);
    if (const absl::Status status = simulation.Run(); !status.ok()) {
      state.SkipWithError(status.ToString().c_str());
      return;
    }
    result = recorder.Take();
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  uint64_t changes = 0;
  for (const TargetResult& target : result.targets)
    changes += target.scale_ups + target.scale_downs;
  state.counters["decisions"] = static_cast<double>(result.decisions);
  state.counters["changes"] = static_cast<double>(changes);
  state.counters["events"] = static_cast<double>(result.events);
  state.counters["MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

void BM_OneTarget30Days(benchmark::State& state) {
  Run(state, Fleet(1, absl::Hours(24 * 30), false));
}
BENCHMARK(BM_OneTarget30Days)->Unit(benchmark::kMillisecond)->Iterations(1);

// The load changes each second.
void BM_OneTarget30DaysBySeconds(benchmark::State& state) {
  Run(state, Fleet(1, absl::Hours(24 * 30), false, absl::Seconds(1)));
}
BENCHMARK(BM_OneTarget30DaysBySeconds)->Unit(benchmark::kMillisecond)->Iterations(1);

void BM_OneTarget30DaysCpu(benchmark::State& state) {
  Run(state, Fleet(1, absl::Hours(24 * 30), true));
}
BENCHMARK(BM_OneTarget30DaysCpu)->Unit(benchmark::kMillisecond)->Iterations(1);

void BM_OneTarget30DaysJournalled(benchmark::State& state) {
  const SimulationSpec spec = Fleet(1, absl::Hours(24 * 30), false);
  const std::string directory =
      (std::filesystem::temp_directory_path() / fmt::format("neap-bench-{}", getpid())).string();
  auto writer = record::Writer::Open({.directory = directory,
                                      .max_bytes = int64_t{4} << 30,
                                      .build = "bench",
                                      .options = spec.controller.hpa},
                                     [](const absl::Status&) {});
  if (!writer.ok()) return state.SkipWithError(writer.status().ToString().c_str());
  JournalObserver journal(**writer);
  Run(state, spec, {&journal});
  (*writer)->Close();
  state.counters["lost"] = static_cast<double>((*writer)->counters().lost_records);
  state.counters["journal MiB"] =
      static_cast<double>((*writer)->counters().written_bytes) / (1 << 20);
  std::filesystem::remove_all(directory);
}
BENCHMARK(BM_OneTarget30DaysJournalled)->Unit(benchmark::kMillisecond)->Iterations(1);

void BM_ThousandTargetsOneDay(benchmark::State& state) {
  Run(state, Fleet(1000, absl::Hours(24), false));
}
BENCHMARK(BM_ThousandTargetsOneDay)->Unit(benchmark::kMillisecond)->Iterations(1);

// Ten hours at 28 requests per second.
void BM_MillionRequests(benchmark::State& state) {
  SimulationSpec spec = Fleet(1, absl::Hours(10), true);
  RequestsSpec requests;
  requests.service = Distribution::Exponential(absl::Milliseconds(50));
  requests.concurrency = 4;
  spec.world.deployments[0].requests = requests;
  spec.world.deployments[0].load = Load::Constant(27'800);
  Run(state, spec);
}
BENCHMARK(BM_MillionRequests)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace neap::sim
