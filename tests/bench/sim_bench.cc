// What a world costs by itself, without anybody who decides.
#include <absl/time/time.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "autoscaler/sim/world.h"

namespace neap::sim {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'767'225'600);

// A rate every 15 s, a day long, that overloads two pods for a part of it.
Load Day(int64_t shift) {
  Random random(static_cast<uint64_t>(shift));
  std::vector<Load::Point> points;
  for (int64_t i = 0; i < 5'760; ++i) {
    const int64_t wave = (i + shift) % 5'760 < 2'880 ? 60'000 : 110'000;
    points.push_back(
        {.at = i * absl::Seconds(15), .rate = wave + static_cast<int64_t>(random.Below(20'000))});
  }
  return Load::Steps(std::move(points), /*repeat=*/true);
}

DeploymentSpec Web(int number) {
  DeploymentSpec web;
  web.name = fmt::format("web-{}", number);
  web.replicas = 2;
  web.cpu_per_request = 10'000'000;
  web.capacity = 50'000;
  web.patience = absl::Minutes(1);
  web.load = Day(number);
  return web;
}

// Everything that a decision reads, once per period.
void Look(const World& world, int index) {
  benchmark::DoNotOptimize(world.service(index).waiting);
  for (const Pod* pod : world.deployments()[static_cast<size_t>(index)].pods) {
    benchmark::DoNotOptimize(
        world.MeanCpu(*pod, world.now() - absl::Seconds(30), world.now() - absl::Seconds(15)));
  }
}

void FluidMonth(benchmark::State& state) {
  for (auto _ : state) {
    WorldSpec spec;
    spec.deployments = {Web(0)};
    World world(std::move(spec), kStart);
    for (int64_t i = 1; i <= 172'800; ++i) {
      world.Advance(kStart + i * absl::Seconds(15));
      Look(world, 0);
    }
    state.counters["events"] = static_cast<double>(world.events());
  }
}
BENCHMARK(FluidMonth)->Unit(benchmark::kMillisecond);

void QueueMonth(benchmark::State& state) {
  for (auto _ : state) {
    WorldSpec spec;
    spec.deployments = {Web(0)};
    spec.deployments[0].load = Load();
    spec.queues = {{.name = "jobs", .consumer = 0, .per_pod = 50'000, .arrivals = Day(0)}};
    World world(std::move(spec), kStart);
    for (int64_t i = 1; i <= 172'800; ++i) {
      world.Advance(kStart + i * absl::Seconds(15));
      benchmark::DoNotOptimize(world.Value({.what = Source::What::kQueueLength, .index = 0}));
    }
  }
}
BENCHMARK(QueueMonth)->Unit(benchmark::kMillisecond);

void ThousandDeploymentsDay(benchmark::State& state) {
  for (auto _ : state) {
    WorldSpec spec;
    for (int i = 0; i < 1000; ++i) spec.deployments.push_back(Web(i));
    World world(std::move(spec), kStart);
    for (int64_t i = 1; i <= 5'760; ++i) {
      world.Advance(kStart + i * absl::Seconds(15));
      for (int d = 0; d < 1000; ++d) Look(world, d);
    }
    state.counters["events"] = static_cast<double>(world.events());
  }
}
BENCHMARK(ThousandDeploymentsDay)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace neap::sim
