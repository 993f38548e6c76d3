// Runs of scenarios: one with everything that is wanted of it, or many on all cores. Each run is
// watched by sim::Invariants. Used by simulate, compare and tune.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "autoscaler/sim/recorder.h"
#include "autoscaler/sim/result.h"
#include "autoscaler/sim/scenario.h"

namespace neap::ctl {

struct RunOptions {
  sim::RecorderOptions recorder = {};
  std::string journal = {};  // a directory; "": none
};

// Time passed in the world; false ends the run early.
using RunProgress = std::function<bool(absl::Duration passed)>;

struct Run {
  sim::Result result = {};
  bool stopped = false;  // early, by `progress`: the result is of what was run
};

// Errors: a trace that can't be read, a journal that can't be written; Internal with seed and
// moment for a broken promise (sim::Invariants).
absl::StatusOr<Run> RunScenario(const sim::Scenario& scenario, const RunOptions& options,
                                const RunProgress& progress);

struct Job {
  sim::Scenario scenario = {};
  RunOptions options = {};
};
// At least one job, as many at once as there are cores. Results in the order of `jobs`; the first
// failure ends all. `done` is called on the caller's thread now and then with how many have ended;
// false ends the others early: Cancelled.
absl::StatusOr<std::vector<sim::Result>> RunAll(const std::vector<Job>& jobs,
                                                const std::function<bool(size_t done)>& done);

// Ctrl-C while one of these lives: `pressed` becomes true instead of the process ending; a second
// one ends it. At most one lives at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  static bool pressed();
};

}  // namespace neap::ctl
