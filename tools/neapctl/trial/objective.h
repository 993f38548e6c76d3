// Objective: what a user calls good, as text and as a check of a run's result.
//
//   objective := term { "and" term }
//   term      := [ "p" NUMBER ] ( "wait" | "latency" ) "<" DURATION
//              | ( "failed" | "late" ) "<" NUMBER "%"
//   "p99 wait < 1s and failed < 0.1%"
//
// "wait < 1s" alone checks nothing: it says from when on what is served counts as late. Of a
// percentile of waits the same bound is taken. A request that failed counts as one that waited
// longer than any bound, and as late; so does what still waits at the end beyond the bound: else
// the best policy would be the one that serves least. Plain values; thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/sim/result.h"
#include "autoscaler/sim/simulation.h"

namespace neap::ctl {

struct ObjectiveTerm {
  enum class Figure : uint8_t { kWait, kLatency, kFailures, kLate };
  Figure figure = Figure::kWait;
  int permille = 0;       // of waits and latencies
  double bound = 0;       // seconds, or percent; the figure must be less
  std::string name = {};  // "p99 wait"
  std::string unit = {};  // "s", "%"
  std::string text = {};  // as it was written, blanks made single

  // Of the worst target of a run, in that unit; infinite when more requests failed than the
  // percentile leaves out.
  double Of(const sim::Result& result) const;
};

struct Objective {
  std::string text = {};
  std::vector<ObjectiveTerm> terms = {};           // what is checked; may be empty
  absl::Duration wait = absl::InfiniteDuration();  // what is served later counts as late

  bool Meets(const sim::Result& result) const;
};

// Errors: InvalidArgument with the column and a line that points at it.
absl::StatusOr<Objective> ParseObjective(std::string_view text);

// InvalidArgument when a term is of something that this world does not have: latencies are those of
// single requests, fluid load and queues have waits alone.
absl::Status CheckObjective(const Objective& objective, const sim::SimulationSpec& spec);

// "1.25 s", "0.3 %", "never" for an infinite one.
std::string ShowValue(const ObjectiveTerm& term, double value);

}  // namespace neap::ctl
