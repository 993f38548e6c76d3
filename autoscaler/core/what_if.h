// What if: the nearest conditions under which a decision would have had another result. They are
// found by asking Decide itself with one thing changed - a metric's value, the time, a bound, a
// gate - never by a second look at its formulas, so a condition that is given is one that Decide
// agrees with: at `value` (or `at`, or `bound`) it gives `desired`, one step before it does not.
//
//   const Decision d = Decide(options, spec, seen, past);
//   for (const Alternative& a : WhatIf(options, spec, seen, past, d)) puts(Words(spec, d,
//   a).c_str());
//
// Called by neapctl explain and by reports; too slow for deciding: some hundred Decides per metric.
// Pure functions; thread-safe.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/core/decide.h"

namespace neap::core {

struct Alternative {
  enum class Kind : uint8_t {
    kMetric,       // `metric` is at `value`, all else as it is
    kAllMetrics,   // all metrics are at `value` thousandths of what they are
    kTime,         // time goes on until `at`; see WhatIf
    kMaxReplicas,  // maxReplicas is `bound`
    kMinReplicas,  // minReplicas is `bound`
    kNotPaused,    // the object is not paused
    kReadable,     // the metrics that failed are not there
    kPresent,      // stand-in values are the source's own
    kHeard,        // the views that were silent are not
    kAlone,        // no other autoscaler selects the target's pods
  };
  // What makes the result another one at `at`.
  enum class Event : uint8_t {
    kNone,            // several things, or none that has a name
    kNextDecision,    // nothing but that a decision is taken
    kRecommendation,  // one of `count`, made at `since`, leaves its window
    kScaleUp,         // a scale-up by `count`, made at `since`, leaves its period
    kScaleDown,       // likewise
    kBase,            // the next base of relative metrics (guards Safe)
    kPodStarted,      // a pod is no longer in its CPU initialization period
  };

  Kind kind = Kind::kMetric;
  int32_t desired = 0;  // what Decide gives then; never what the decision gave

  // kMetric; of kAllMetrics value, unit and present. Amounts are as AmountOf measures them.
  int16_t metric = -1;       // index into Observation.metrics
  bool at_least = false;     // true: at `value` or somewhat more; false: or somewhat less
  bool per_pod = false;      // amounts are sums over the pods
  int64_t value = 0;         // the nearest one
  int64_t unit = 1;          // one step: 1, or 1000 when the metric is counted in whole numbers
  int64_t present = 0;       // the amount that was read
  MetricResult result = {};  // of the metric at `value`: its utilization or average, for people

  // kTime
  absl::Time at = absl::InfinitePast();
  Event event = Event::kNone;
  int32_t count = 0;
  absl::Time since = absl::InfinitePast();
  bool asking = false;  // it holds while the metrics go on asking for `recommended`, see WhatIf

  int32_t bound = 0;  // kMaxReplicas, kMinReplicas

  bool operator==(const Alternative&) const = default;
};

// All alternatives of a decision, metrics first. `decision` is Decide's for these arguments.
//
// Metrics: the nearest value above and the nearest below that give another result, each metric
// alone; and where none alone makes the count lower, that of all together. The search widens by
// half at a time and then halves, so of results that come and go again within a narrower stretch
// the nearest may be missed; what is given is true all the same. Values at which an amount
// overflows are not given.
//
// Time: the first moment after the decision at which another one would come out. If the count
// stays, everything else stays too: the same readings come again. If it changes, the readings that
// follow are not known (other pods share the load); then the question is what windows, rates and
// bounds allow while the metrics go on asking for what they ask for now, and `asking` is set.
//
// Cost: at most about 400 calls of Decide for each metric, 600 for time, 100 for the rest.
std::vector<Alternative> WhatIf(const HpaOptions& options, const AutoscalerSpec& spec,
                                const Observation& seen, const History& past,
                                const Decision& decision);

// A reading's amount in milli: the sum of its series, or of its pods' values. nullopt: an error,
// nothing in it, or more than an int64 holds.
std::optional<int64_t> AmountOf(const Reading& reading);
// The reading with another amount (>= 0): one series of it, or each pod's value in proportion (all
// alike when they are 0). `reading` has an amount.
Reading WithAmount(const Reading& reading, int64_t amount);

// The alternative in words: "6 when trigger #1 (redis) is at 121 or more (now 90)".
std::string Words(const AutoscalerSpec& spec, const Decision& decision, const Alternative& a);
std::string_view KindName(Alternative::Kind kind);  // "metric", "time", "maxReplicas", ...

}  // namespace neap::core
