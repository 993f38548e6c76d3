// ReplayWith: what another policy would have decided from what a recorded object saw. Used by
// neapctl and tests. One thread only.
//
// It is a shadow: nothing of it was applied, so each decision sees the replicas, pods and readings
// of the recorded run. Had it been followed, they would have been others. What it remembers:
//   recommendations, bases   its own, from an empty history on
//   scale events             those of the recorded run, since rates are limits on the count that is
//                            seen: what this policy wanted and nobody did is no event
//   status                   the recorded one (whether the target was scaled to zero)
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/core/decide.h"
#include "autoscaler/record/journal.h"

namespace neap::record {

struct OtherPolicy {
  core::AutoscalerSpec spec;
  // What the scalers make of spec.triggers: one list for each, in their order.
  std::vector<std::vector<core::MetricSpec>> trigger_metrics;
};

// One side of a difference, at its first decision.
struct Wanted {
  int32_t least = 0;  // over the stretch
  int32_t most = 0;
  std::string why;  // "asks for 5, ScaleDownStabilized"
};

// Decisions in a row of which each differs to the same side.
struct Stretch {
  absl::Time from = absl::InfinitePast();
  absl::Time to = absl::InfinitePast();  // the next decision that agrees, or the last one
  uint64_t decisions = 0;
  uint64_t first_decision_id = 0;
  bool more = false;  // the other policy wants more
  Wanted recorded;
  Wanted other;
};

struct WithReport {
  core::ObjectKey key;  // whose records
  absl::Time first = absl::InfiniteFuture();
  absl::Time last = absl::InfinitePast();
  uint64_t decisions = 0;
  uint64_t more = 0;   // of these: the other policy wants more replicas
  uint64_t fewer = 0;  // likewise
  uint64_t stretch_count = 0;
  std::vector<Stretch> stretches;  // the first WithOptions.most
  Stretch longest;                 // by time; without decisions when there is none
  // Of each policy: decisions that ask for a change, and the mean of what is wanted over time
  // (thousandths of a replica; gaps of more than four periods and a minute are left out).
  uint64_t recorded_changes = 0;
  uint64_t other_changes = 0;
  int64_t recorded_mean_milli = 0;
  int64_t other_mean_milli = 0;
  // For each metric of the other policy, in their order: its name and the recorded one's.
  struct Match {
    std::string metric;
    std::string recorded;
  };
  std::vector<Match> matches;
  absl::Duration recorded_period = absl::ZeroDuration();  // of the last recorded spec
  std::vector<Damage> damage;
};

struct WithOptions {
  size_t most = 20;  // stretches to keep
};

// The decisions of `key` in the journal at `path`, taken again by `other`. Metrics are matched to
// recorded readings by what they read: source, name, container, described object and selector; of
// triggers the type, the trigger's name where both have one, and the metric's name without its
// place among the triggers ("s0-"). Errors: those of Reader::Open; NotFound naming the objects that
// the journal has; FailedPrecondition naming a metric of which nothing is recorded.
absl::StatusOr<WithReport> ReplayWith(const std::string& path, const core::ObjectKey& key,
                                      const OtherPolicy& other, const WithOptions& options);

}  // namespace neap::record
