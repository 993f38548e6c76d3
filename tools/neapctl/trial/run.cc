#include "tools/neapctl/trial/run.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "autoscaler/record/journal.h"
#include "autoscaler/sim/invariants.h"
#include "autoscaler/sim/journal_observer.h"
#include "autoscaler/sim/simulation.h"

namespace neap::ctl {
namespace {

std::atomic<bool> interrupted = false;

constexpr int64_t kJournalBytes = int64_t{1} << 32;
constexpr auto kLookAgain = std::chrono::milliseconds(100);  // for Ctrl-C

absl::StatusOr<std::unique_ptr<record::Writer>> OpenJournal(const std::string& directory,
                                                            const core::HpaOptions& options) {
  record::WriterOptions writer;
  writer.directory = directory;
  writer.max_bytes = kJournalBytes;
  writer.build = base::Version();
  writer.options = options;
  return record::Writer::Open(std::move(writer), [](const absl::Status&) {});
}

absl::Status CloseJournal(record::Writer& journal, absl::Time now) {
  journal.EndStep(now);
  journal.Close();
  const uint64_t lost = journal.counters().lost_records;
  if (lost == 0) return absl::OkStatus();
  return base::Unavailable("the journal lost {} records", lost);
}

absl::Status Broken(const sim::Invariants& invariants) {
  std::string text;
  for (const std::string& one : invariants.violations()) text += "\n  " + one;
  return base::Internal("a promise was broken; this is a defect of Neap, please report it:{}",
                        text);
}

}  // namespace

absl::StatusOr<Run> RunScenario(const sim::Scenario& scenario, const RunOptions& options,
                                const RunProgress& progress) {
  sim::Recorder recorder(scenario.spec, options.recorder);
  sim::Invariants invariants(scenario.spec);
  std::vector<sim::Observer*> observers = {&recorder, &invariants};
  std::unique_ptr<record::Writer> journal;
  std::optional<sim::JournalObserver> journal_observer;
  if (!options.journal.empty()) {
    NEAP_ASSIGN_OR_RETURN(journal, OpenJournal(options.journal, scenario.spec.controller.hpa));
    observers.push_back(&journal_observer.emplace(*journal));
  }
  sim::Simulation simulation(scenario.spec, observers);
  const absl::Status status = simulation.Run([&](absl::Duration passed) {
    return !invariants.violated() && (progress == nullptr || progress(passed));
  });
  if (invariants.violated()) return Broken(invariants);
  if (journal != nullptr) NEAP_RETURN_IF_ERROR(CloseJournal(*journal, simulation.now()));
  Run out;
  out.stopped = status.code() == absl::StatusCode::kCancelled;
  if (!status.ok() && !out.stopped) return status;
  out.result = recorder.Take();
  out.result.assumptions = scenario.assumptions;
  if (out.result.name.empty()) out.result.name = scenario.name;
  return out;
}

namespace {

// What the workers share.
struct Pool {
  base::Mutex mutex;
  base::CondVar changed;
  size_t next NEAP_GUARDED_BY(mutex) = 0;
  size_t done NEAP_GUARDED_BY(mutex) = 0;
  int working NEAP_GUARDED_BY(mutex) = 0;
  std::vector<sim::Result> results NEAP_GUARDED_BY(mutex);
  absl::Status failed NEAP_GUARDED_BY(mutex);
  std::atomic<bool> stop = false;
};

void Work(const std::vector<Job>& jobs, Pool& pool) {
  for (;;) {
    size_t index = 0;
    {
      base::MutexLock lock(pool.mutex);
      if (pool.next == jobs.size() || pool.stop) {
        --pool.working;
        pool.changed.NotifyAll();
        return;
      }
      index = pool.next++;
    }
    auto run = RunScenario(jobs[index].scenario, jobs[index].options,
                           [&](absl::Duration) { return !pool.stop; });
    base::MutexLock lock(pool.mutex);
    ++pool.done;
    if (run.ok()) {
      pool.results[index] = std::move(run->result);
    } else {
      if (pool.failed.ok()) pool.failed = run.status();
      pool.stop = true;
    }
    pool.changed.NotifyAll();
  }
}

}  // namespace

absl::StatusOr<std::vector<sim::Result>> RunAll(const std::vector<Job>& jobs,
                                                const std::function<bool(size_t done)>& done) {
  const size_t cores = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, jobs.size());
  Pool pool;
  {
    base::MutexLock lock(pool.mutex);
    pool.results.resize(jobs.size());
    pool.working = static_cast<int>(cores);
  }
  std::vector<std::thread> workers;
  for (size_t i = 0; i < cores; ++i) workers.emplace_back([&] { Work(jobs, pool); });
  bool cancelled = false;
  for (;;) {
    size_t ended = 0;
    {
      base::MutexLock lock(pool.mutex);
      if (pool.working == 0) break;
      pool.changed.WaitFor(pool.mutex, kLookAgain);
      ended = pool.done;
    }
    if (!cancelled && done != nullptr && !done(ended)) {
      cancelled = true;
      pool.stop = true;
    }
  }
  for (std::thread& worker : workers) worker.join();
  base::MutexLock lock(pool.mutex);
  NEAP_RETURN_IF_ERROR(pool.failed);
  if (cancelled) return base::Cancelled("stopped after {} of {} runs", pool.done, jobs.size());
  return std::move(pool.results);
}

namespace {

struct sigaction previous;

void OnInterrupt(int) {
  interrupted = true;
  ::sigaction(SIGINT, &previous, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  ::sigaction(SIGINT, &action, &previous);
}
Interrupt::~Interrupt() { ::sigaction(SIGINT, &previous, nullptr); }
bool Interrupt::pressed() { return interrupted; }

}  // namespace neap::ctl
