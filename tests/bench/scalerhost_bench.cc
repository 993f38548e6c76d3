// Readings per second from a scaler over a Unix socket, host and scaler in one process: each
// iteration polls all triggers and waits for every answer. The argument is the number of triggers.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "autoscaler/base/check.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/scalerhost/host.h"
#include "tests/support/process.h"
#include "tests/support/stub_scaler.h"

namespace neap::scalerhost {
namespace {

// Counts answers; a failed one ends the benchmark, for it would measure something else.
class Counter {
 public:
  void Take(const control::Message& message) {
    const auto* reading = std::get_if<control::TriggerReading>(&message);
    base::MutexLock lock(mutex_);
    if (reading == nullptr) {
      ++opened_;
    } else {
      NEAP_CHECK(!reading->error, "{}", reading->error->message);
      ++answers_;
    }
    changed_.NotifyAll();
  }
  void AwaitOpened(size_t count) {
    base::MutexLock lock(mutex_);
    while (opened_ < count) changed_.Wait(mutex_);
  }
  void AwaitAnswers(size_t count) {
    base::MutexLock lock(mutex_);
    while (answers_ < count) changed_.Wait(mutex_);
    answers_ = 0;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  size_t opened_ NEAP_GUARDED_BY(mutex_) = 0;
  size_t answers_ NEAP_GUARDED_BY(mutex_) = 0;
};

void Readings(benchmark::State& state, bool watch) {
  const auto count = static_cast<size_t>(state.range(0));
  testing_support::TempDir dir;
  testing_support::StubScaler scaler(
      {.address = "unix://" + dir.path() + "/stub.sock", .watch = watch});
  base::Clock clock;
  Counter counter;
  auto host = Host::Make({.scalers = {scaler.address()}}, clock,
                         {.sink = [&](const control::Message& m) { counter.Take(m); }});
  NEAP_CHECK(host.ok(), "{}", host.status().ToString());
  control::Subscribe all;
  std::vector<std::string> ids;
  for (size_t i = 0; i < count; ++i) {
    control::Subscription trigger;
    trigger.id = ids.emplace_back("stub-" + std::to_string(i));
    trigger.type = "stub";
    trigger.metadata = {{"target", "5"}, {"value", std::to_string(i)}};
    all.put.push_back(std::make_shared<const control::Subscription>(std::move(trigger)));
  }
  (*host)->Subscribe(std::move(all));
  uint64_t round = 0;
  const auto poll = [&] {
    (*host)->Poll({.round = ++round, .trigger_ids = ids, .deadline = absl::Minutes(1)});
    counter.AwaitAnswers(count);
  };
  poll();
  counter.AwaitOpened(count);
  for (auto _ : state) poll();
  state.SetItemsProcessed(static_cast<int64_t>(count) * state.iterations());
}

BENCHMARK_CAPTURE(Readings, watch, true)->Arg(1)->Arg(1000)->Arg(10000)->UseRealTime();
BENCHMARK_CAPTURE(Readings, read, false)->Arg(1)->Arg(1000)->Arg(10000)->UseRealTime();

}  // namespace
}  // namespace neap::scalerhost
