// Decision: what Decide makes of an observation, as numbers and codes. Texts are made from it
// afterwards (core/messages), so that deciding stays within its budget; only errors carry text,
// since the peer's words can't be rebuilt. Plain values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/text.h"
#include "autoscaler/core/history.h"
#include "autoscaler/core/observation.h"
#include "autoscaler/core/spec.h"

namespace neap::core {

// The order in which a count is made. Each stage leaves at least one Step when it changed or
// decided something.
enum class Stage : uint8_t {
  kGate,
  kValues,
  kPropose,
  kCombine,
  kStabilise,
  kRate,
  kBounds,
  kZero,
  kGuards
};

// Why a step did what it did. Where the HPA has a word for it, that is the name.
enum class Reason : uint8_t {
  // gate
  kPaused,            // mode: Paused
  kViewNotSynced,     // specs, scales or pods are not complete yet
  kFailedGetScale,    // the scale could not be read
  kScalingDisabled,   // 0 replicas, and not put there by Neap or the HPA
  kAboveMaxReplicas,  // current above max: jump there
  kBelowMinReplicas,  // current below min: jump there (or woken to it)
  kSelectorRequired,  // the scale has no selector
  kInvalidSelector,
  kAmbiguousSelector,  // another autoscaler's selector matches the same pods
  // values
  kStaleReading,   // older than its limit: an error
  kAbsentReading,  // a stand-in value
  // propose
  kMetricError,  // no proposal
  kWithinTolerance,
  kRatio,              // count x ratio, or usage / target
  kMissingPods,        // second pass with missing or unready pods filled in
  kDirectionReversed,  // the second pass points the other way: stay
  kFromBase,           // between two bases: no further than the base allows
  kAlreadyCounted,     // this reading moved the count already
  kSurgeIgnored,       // status replicas differ from spec replicas (roll-out): spec is used
  // combine
  kMaximum,           // the highest proposal
  kInvalidMetrics,    // all failed, or some failed and the rest would scale down
  kNegativeProposal,  // becomes 0
  // stabilise
  kReadyForNewScale,
  kScaleUpStabilized,
  kScaleDownStabilized,
  // rate, bounds
  kScaleUpLimit,
  kScaleDownLimit,
  kTooFewReplicas,
  kTooManyReplicas,
  kDesiredWithinRange,
  // guards
  kHeldSilentView,  // a view was silent too long: no scale-down
  kHeldAbsentValue,
  kHeldNoReadyPods,
  kHeldOverflow,
  kHeldCrashLoop,      // at least half of the pods crash: no scale-up for a while
  kCrashLoopReleased,  // they still do, but the while is over
  kHeldUnschedulable,  // spec.holdScaleUp: a pod finds no node
  kHeldQuotaExceeded,  // spec.holdScaleUp: a quota refuses pods
};
inline constexpr Reason kLastReason = Reason::kHeldQuotaExceeded;
inline constexpr int kReasonCount = static_cast<int>(kLastReason) + 1;

// Numbers behind a step, for the explanation.
struct RatioDetail {  // kWithinTolerance, kRatio, kMissingPods, kDirectionReversed, kFromBase
  int64_t usage = 0;  // milli, or percent for utilization
  int64_t target = 0;
  double ratio = 0;
  int32_t pods = 0;  // what the ratio was multiplied with; 0 when usage / target
  bool operator==(const RatioDetail&) const = default;
};
struct PodsDetail {  // kMissingPods
  int32_t ready = 0;
  int32_t unready = 0;
  int32_t missing = 0;
  int32_t ignored = 0;
  bool operator==(const PodsDetail&) const = default;
};
struct WindowDetail {   // stabilise
  int32_t lowest = 0;   // of the window that holds up scale-up
  int32_t highest = 0;  // of the window that holds up scale-down
  bool operator==(const WindowDetail&) const = default;
};
struct LimitDetail {  // rate, bounds
  int32_t limit = 0;
  bool operator==(const LimitDetail&) const = default;
};
struct CountDetail {  // combine, kHeldUnschedulable: how many of how many
  int32_t count = 0;
  int32_t of = 0;
  bool operator==(const CountDetail&) const = default;
};
struct AgeDetail {  // values
  absl::Duration age;
  absl::Duration limit;
  bool operator==(const AgeDetail&) const = default;
};
struct CrashLoopDetail {  // kHeldCrashLoop, kCrashLoopReleased
  int32_t crashing = 0;
  int32_t of = 0;        // pods
  absl::Duration since;  // how long at least half of them have been
  absl::Duration limit;  // how long that holds
  bool operator==(const CrashLoopDetail&) const = default;
};
using Detail = std::variant<std::monostate, RatioDetail, PodsDetail, WindowDetail, LimitDetail,
                            CountDetail, AgeDetail, CrashLoopDetail>;

struct Step {
  Stage stage = Stage::kGate;
  Reason reason = Reason::kPaused;
  int32_t before = 0;
  int32_t after = 0;
  int16_t metric = -1;  // index into Observation.metrics, or -1
  Detail detail;
  bool operator==(const Step&) const = default;
};

// Which event and condition reason a failed metric has: Failed<Source>Metric,
// InvalidMetricSourceType.
struct MetricResult {
  bool valid = false;
  int32_t proposal = 0;
  bool overflow =
      false;  // a sum or conversion left its range: upstream's result stands, guards may hold
  bool absent = false;  // the reading was a stand-in
  bool no_ready_pods = false;
  std::optional<int32_t> utilization;    // percent
  std::optional<int64_t> average_value;  // milli
  std::optional<int64_t> value;          // milli
  // !valid: what failed. `error` is the text of event and condition, `wrapped` the one of the
  // aggregate.
  ErrorKind error_kind = ErrorKind::kUnavailable;
  base::Text error;
  base::Text wrapped;
  bool operator==(const MetricResult&) const = default;
};

// How far the decision came.
enum class Verdict : uint8_t {
  kHold,         // paused or views not synced: nothing was computed
  kNoScale,      // the scale could not be read
  kDisabled,     // disabled at zero
  kOutOfBounds,  // jump to a bound, metrics not read
  kFailed,       // no count could be computed; stay
  kComputed,
};

// Why the count changes, in the words of the SuccessfulRescale event; made before stabilisation, as
// upstream.
enum class RescaleReason : uint8_t {
  kNone,
  kMetricAboveTarget,
  kAllMetricsBelowTarget,
  kAboveMax,
  kBelowMin
};

struct Decision {
  Verdict verdict = Verdict::kHold;
  int32_t current = 0;  // spec replicas
  int32_t recommended =
      0;  // combined, before behavior: what stabilisation windows remember (kComputed)
  int32_t stabilised = 0;  // after windows (kComputed)
  int32_t desired = 0;
  bool rescale = false;  // desired != current and a write is wanted
  RescaleReason rescale_reason = RescaleReason::kNone;
  int16_t winner = -1;                           // metric whose proposal was taken
  Reason failure = Reason::kInvalidMetrics;      // kFailed: which; kHold: kPaused or kViewNotSynced
  base::Text failure_text;                       // kFailed: the error; kNoScale: the peer's text
  int16_t first_invalid = -1;                    // the metric whose error heads the aggregate
  bool some_invalid = false;                     // computed, although some metrics failed
  Reason able = Reason::kReadyForNewScale;       // kComputed: condition AbleToScale
  Reason limited = Reason::kDesiredWithinRange;  // kComputed: condition ScalingLimited
  bool took_base = false;   // this decision's count and ready pods are the new base
  bool crash_loop = false;  // guards Safe: at least half of the pods are in CrashLoopBackOff
  int32_t ready_pods = 0;   // Running and Ready, and counted by each relative metric
  std::vector<MetricResult>
      metrics;  // parallel to Observation.metrics; empty when they were not read
  std::vector<Step> steps;
  bool operator==(const Decision&) const = default;
};

}  // namespace neap::core
