// The traffic model alone: a million requests, one by one, and what each idea on their way costs.

#include <benchmark/benchmark.h>

#include "autoscaler/sim/requests.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// 20 pods that are 70 % busy, for as long as 1,000,000 requests take to arrive.
void Run(benchmark::State& state, RequestsSpec spec) {
  spec.service = Distribution::Exponential(absl::Milliseconds(50));
  spec.concurrency = 4;
  int64_t arrived = 0;
  for (auto _ : state) {
    Requests requests(spec, {.seed = 1, .objective = absl::Seconds(1)});
    for (int i = 0; i < 20; ++i) requests.AddServing();
    requests.SetRate(1'120'000);
    for (int64_t second = 1; requests.service().arrived < 1'000'000'000; ++second) {
      requests.Advance(second * kSecond);  // as often as a world looks at its load
    }
    arrived = requests.service().arrived / 1000;
    benchmark::DoNotOptimize(requests.service().served);
  }
  state.counters["requests/s"] = benchmark::Counter(static_cast<double>(arrived),
                                                    benchmark::Counter::kIsIterationInvariantRate);
}

void BM_MillionRequests(benchmark::State& state) { Run(state, {}); }

void BM_MillionRequestsRoundRobin(benchmark::State& state) {
  Run(state, {.balance = RequestsSpec::Balance::kRoundRobin});
}

void BM_MillionRequestsLeastRequests(benchmark::State& state) {
  Run(state, {.balance = RequestsSpec::Balance::kLeastRequests});
}

void BM_MillionRequestsKeepAlive(benchmark::State& state) {
  Run(state, {.connections = 200, .keep_alive = true});
}

// All that may happen on the way at once.
void BM_MillionRequestsThroughMesh(benchmark::State& state) {
  RequestsSpec spec;
  spec.connections = 500;
  spec.client = {.attempts = 2, .per_try = absl::Seconds(1)};
  spec.gateway = {.attempts = 3, .per_try = absl::Milliseconds(250)};
  spec.error_permille = 20;
  spec.delay_permille = 20;
  spec.delay = Distribution::Uniform(absl::Milliseconds(10), absl::Milliseconds(500));
  spec.eject_after = 5;
  Run(state, spec);
}

BENCHMARK(BM_MillionRequests)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MillionRequestsRoundRobin)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MillionRequestsLeastRequests)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MillionRequestsKeepAlive)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MillionRequestsThroughMesh)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace neap::sim
