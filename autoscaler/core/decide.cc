#include "autoscaler/core/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/core/arithmetic.h"
#include "autoscaler/core/behavior.h"
#include "autoscaler/core/calculator.h"
#include "autoscaler/core/messages.h"

namespace neap::core {
namespace {

// Whether the proposal multiplies the current count. `target` is the one in force.
bool IsRelative(MetricSource source, const MetricTarget& target) {
  switch (source) {
    case MetricSource::kObject:
      return target.kind == TargetKind::kValue;
    case MetricSource::kExternal:
      return !target.average_value.has_value();
    default:
      return true;
  }
}

// A finite double from a scaler as thousandths, truncated as KEDA does; what does not fit saturates
// and says so.
int64_t MilliOf(double value, bool* overflow) {
  const double milli = value * 1000;
  if (milli >= 9223372036854775808.0 || milli < -9223372036854775808.0) {
    *overflow = true;
    return milli > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
  }
  return static_cast<int64_t>(milli);
}

// The pods that count for a guard, finished and deleted ones are nobody's: all of them, or those in
// this trouble.
int32_t CountLive(std::span<const Pod> pods, PodTrouble trouble = PodTrouble::kNone) {
  return static_cast<int32_t>(std::count_if(pods.begin(), pods.end(), [trouble](const Pod& pod) {
    return !pod.deleting && pod.phase != PodPhase::kSucceeded && pod.phase != PodPhase::kFailed &&
           (trouble == PodTrouble::kNone || pod.trouble == trouble);
  }));
}

class Decider {
 public:
  Decider(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
          const History& past, Decision& decision)
      : options_(options),
        spec_(spec),
        seen_(seen),
        past_(past),
        safe_(spec.guards == Guards::kSafe),
        d_(decision) {
    Clear();
  }

  void Run() {
    if (Gate()) {
      Base();
      CrashLoops();
      Propose();
      if (Combine()) {
        Stabilise();
        Limit();
        Zero();
      }
    }
    Guard();
    d_.rescale = (d_.verdict == Verdict::kComputed || d_.verdict == Verdict::kOutOfBounds) &&
                 d_.desired != d_.current;
  }

 private:
  // Its lists keep their memory.
  void Clear() {
    std::vector<MetricResult> metrics = std::move(d_.metrics);
    std::vector<Step> steps = std::move(d_.steps);
    metrics.clear();
    steps.clear();
    d_ = Decision();
    d_.metrics = std::move(metrics);
    d_.steps = std::move(steps);
    d_.steps.reserve(4 + seen_.metrics.size());
  }

  void Add(Stage stage, Reason reason, int32_t before, int32_t after, Detail detail = {},
           int metric = -1) {
    d_.steps.push_back({.stage = stage,
                        .reason = reason,
                        .before = before,
                        .after = after,
                        .metric = static_cast<int16_t>(metric),
                        .detail = detail});
  }

  bool Stop(Verdict verdict, Reason reason, int32_t desired) {
    d_.verdict = verdict;
    d_.desired = desired;
    d_.failure = reason;
    Add(Stage::kGate, reason, d_.current, desired);
    return false;
  }

  bool Fail(Reason reason, std::string text) {
    d_.failure_text = std::move(text);
    return Stop(Verdict::kFailed, reason, d_.current);
  }

  // ---- gate: whether metrics are consulted at all ----

  bool Gate() {
    if (seen_.scale != nullptr) d_.current = seen_.scale->spec_replicas;
    if (spec_.paused) return Stop(Verdict::kHold, Reason::kPaused, d_.current);
    if (!seen_.views_synced) return Stop(Verdict::kHold, Reason::kViewNotSynced, d_.current);
    if (seen_.scale == nullptr) {
      d_.failure_text =
          seen_.scale_error == nullptr ? "the scale has not been read" : seen_.scale_error->message;
      return Stop(Verdict::kNoScale, Reason::kFailedGetScale, 0);
    }
    const int32_t min = spec_.MinReplicas();
    if (d_.current == 0) {
      if (!MayLeaveZero()) return Stop(Verdict::kDisabled, Reason::kScalingDisabled, 0);
    } else if (d_.current > spec_.max_replicas) {
      d_.rescale_reason = RescaleReason::kAboveMax;
      return Stop(Verdict::kOutOfBounds, Reason::kAboveMaxReplicas, spec_.max_replicas);
    } else if (d_.current < min) {
      d_.rescale_reason = RescaleReason::kBelowMin;
      return Stop(Verdict::kOutOfBounds, Reason::kBelowMinReplicas, min);
    }
    return Selector();
  }

  bool WasScaledToZero() const {
    if (!options_.scale_to_zero) return false;
    for (const Condition& condition : seen_.previous->conditions) {
      if (condition.type == "ScaledToZero") return condition.status == ConditionStatus::kTrue;
    }
    return false;
  }

  bool HasObjectOrExternal() const {
    return !spec_.triggers.empty() ||
           std::any_of(spec_.metrics.begin(), spec_.metrics.end(), [](const MetricSpec& m) {
             return m.source == MetricSource::kObject || m.source == MetricSource::kExternal;
           });
  }

  // Gate HPAScaleToZero. Without the gate, zero is left when the object allows zero.
  bool MayLeaveZero() const {
    if (!options_.scale_to_zero) return spec_.MinReplicas() == 0;
    return WasScaledToZero() && (spec_.MinReplicas() != 0 || HasObjectOrExternal());
  }

  bool Selector() {
    const std::string& text = seen_.scale->selector;
    if (text.empty()) return Fail(Reason::kSelectorRequired, "selector is required");
    if (seen_.selector_error != nullptr) {
      return Fail(Reason::kInvalidSelector,
                  "couldn't convert selector into a corresponding internal selector object: " +
                      *seen_.selector_error);
    }
    if (seen_.overlapping.size() > 1) {
      return Fail(
          Reason::kAmbiguousSelector,
          fmt::format("pods by selector {} are controlled by more than one HPA (e.g. [{} {}])",
                      text, seen_.overlapping[0], seen_.overlapping[1]));
    }
    return true;
  }

  // ---- the base of relative metrics (guards Safe) ----

  void Base() {
    if (!safe_) {
      at_base_ = true;
      return;
    }
    d_.ready_pods = CountReadyPods(seen_.pods);
    at_base_ = !past_.base || (seen_.takes_base && BaseIsDue(spec_, *past_.base, seen_.now));
    d_.took_base = at_base_;
  }

  void CrashLoops() {
    if (!safe_) return;
    crashing_ = CountLive(seen_.pods, PodTrouble::kCrashLoop);
    if (crashing_ == 0) return;
    live_ = CountLive(seen_.pods);
    d_.crash_loop = 2 * crashing_ >= live_;
  }

  // ---- values and propose: each metric's proposal ----

  void Propose() {
    d_.metrics.resize(seen_.metrics.size());
    const PodsView view{.now = seen_.now,
                        .cpu_initialization_period = options_.cpu_initialization_period,
                        .initial_readiness_delay = options_.initial_readiness_delay,
                        .pods = seen_.pods,
                        .requests = seen_.requests};
    for (size_t i = 0; i < seen_.metrics.size(); ++i) ProposeOne(view, static_cast<int>(i));
  }

  void Invalid(int i, const std::string& text, bool from_source, ErrorKind kind) {
    MetricResult& result = d_.metrics[i];
    MetricErrorTexts texts =
        DescribeMetricError(*seen_.metrics[i].spec, spec_.key.ns, text, from_source);
    result.valid = false;
    result.error_kind = kind;
    result.error = std::move(texts.error);
    result.wrapped = std::move(texts.wrapped);
    Add(Stage::kPropose, Reason::kMetricError, d_.current, d_.current, {}, i);
  }

  // The target in force: the scaler's suggestion of the latest reading wins.
  const MetricTarget& TargetOf(const MetricInput& input) const {
    return input.reading->target ? *input.reading->target : input.spec->target;
  }

  void ProposeOne(const PodsView& view, int i) {
    const MetricInput& input = seen_.metrics[i];
    const MetricSpec& spec = *input.spec;
    const MetricTarget& target = TargetOf(input);
    if (!spec.selector_error.empty())
      return Invalid(i, spec.selector_error, false, ErrorKind::kBadParameter);
    if (std::string wrong = WrongTarget(spec, target); !wrong.empty()) {
      return Invalid(i, wrong, false, ErrorKind::kBadParameter);
    }
    const Reading& reading = *input.reading;
    if (reading.form == Reading::Form::kError)
      return Invalid(i, reading.error.message, true, reading.error.kind);
    if (const absl::Duration age = seen_.now - reading.observed_at; age > input.stale_after) {
      Add(Stage::kValues, Reason::kStaleReading, d_.current, d_.current,
          AgeDetail{age, input.stale_after}, i);
      return Invalid(i,
                     fmt::format("the last reading is {} old, more than {}",
                                 base::FormatDuration(absl::Trunc(age, absl::Seconds(1))),
                                 base::FormatDuration(input.stale_after)),
                     true, ErrorKind::kStale);
    }
    MetricResult& result = d_.metrics[i];
    result.absent = reading.absent;
    if (reading.absent) Add(Stage::kValues, Reason::kAbsentReading, d_.current, d_.current, {}, i);
    switch (spec.source) {
      case MetricSource::kResource:
      case MetricSource::kContainerResource:
      case MetricSource::kPods:
        if (reading.form != Reading::Form::kPods) {
          return Invalid(i, "the answer holds no values per pod", true, ErrorKind::kBadAnswer);
        }
        return PerPod(view, i, spec, target, reading.pods);
      default:
        return Series(view, i, spec, target, reading);
    }
  }

  static std::string WrongTarget(const MetricSpec& spec, const MetricTarget& target) {
    switch (spec.source) {
      case MetricSource::kResource:
      case MetricSource::kContainerResource:
        if (target.average_value || target.average_utilization) return "";
        return fmt::format(
            "invalid {} metric source: neither an average utilization target nor an average value "
            "(usage) "
            "target was set",
            spec.source == MetricSource::kResource ? "resource" : "container resource");
      case MetricSource::kPods:
        return target.average_value ? ""
                                    : "invalid pods metric source: no average value target was set";
      case MetricSource::kObject:
        if (target.kind == TargetKind::kValue
                ? target.value.has_value()
                : target.kind == TargetKind::kAverageValue && target.average_value) {
          return "";
        }
        return "invalid object metric source: neither a value target nor an average value target "
               "was set";
      case MetricSource::kExternal:
        if (target.average_value || target.value) return "";
        return "invalid external metric source: neither a value target nor an average value target "
               "was set";
      case MetricSource::kUnknown:
        break;
    }
    return fmt::format("unknown metric source type \"{}\"", spec.source_text);
  }

  Tolerances Tolerance() const {
    Tolerances t{.down = options_.tolerance, .up = options_.tolerance};
    if (spec_.behavior) {
      t.down = spec_.behavior->scale_down.tolerance.value_or(t.down);
      t.up = spec_.behavior->scale_up.tolerance.value_or(t.up);
    }
    return t;
  }

  void PerPod(const PodsView& view, int i, const MetricSpec& spec, const MetricTarget& target,
              const PodSamples& samples) {
    const bool is_resource = spec.source != MetricSource::kPods;
    MetricResult& result = d_.metrics[i];
    if (is_resource && !target.average_value) {
      const Proposal p = ResourceUtilization(view, samples, spec.name, spec.container,
                                             *target.average_utilization, d_.current, Tolerance());
      if (!p.error.empty()) return Invalid(i, p.error, false, ErrorKind::kBadAnswer);
      result.utilization = p.utilization;
      result.average_value = p.usage;
      return Accept(i, p);
    }
    const Proposal p = PlainAverage(view, samples, is_resource && spec.name == "cpu",
                                    *target.average_value, d_.current, Tolerance());
    if (!p.error.empty()) return Invalid(i, p.error, false, ErrorKind::kBadAnswer);
    result.average_value = p.usage;
    Accept(i, p);
  }

  void Series(const PodsView& view, int i, const MetricSpec& spec, const MetricTarget& target,
              const Reading& reading) {
    MetricResult& result = d_.metrics[i];
    const bool external = spec.source == MetricSource::kExternal;
    const bool average =
        external ? target.average_value.has_value() : target.kind == TargetKind::kAverageValue;
    bool overflow = false;
    std::vector<int64_t> converted;
    std::span<const int64_t> values = reading.milli;
    if (reading.form == Reading::Form::kReal) {
      if (!std::all_of(reading.real.begin(), reading.real.end(),
                       [](double value) { return std::isfinite(value); })) {
        return Invalid(i, "the answer holds a value that is no number", true,
                       ErrorKind::kBadAnswer);
      }
      for (double value : reading.real) converted.push_back(MilliOf(value, &overflow));
      values = converted;
    }
    if (reading.form == Reading::Form::kPods || values.empty() ||
        (!external && values.size() != 1)) {
      return Invalid(i,
                     external ? "no metrics returned from external metrics API"
                              : "no metrics returned from custom metrics API",
                     true, ErrorKind::kBadAnswer);
    }
    int64_t usage = values[0];
    if (external)
      usage = average ? SumForAverage(values, &overflow) : SumForValue(values, &overflow);
    Proposal p;
    if (average) {
      int32_t pods = seen_.scale->status_replicas;
      const int64_t goal = *target.average_value;
      p = AverageTarget(usage, goal, pods, external, Tolerance());
      if (safe_ && pods != d_.current) {
        // Surge pods of a roll-out are in the status but were never asked for: they must not feed
        // back.
        const int32_t before = p.replicas;
        const int64_t reported = p.usage;
        p = AverageTarget(usage, goal, d_.current, external, Tolerance());
        p.usage = reported;
        if (p.replicas != before)
          Add(Stage::kPropose, Reason::kSurgeIgnored, before, p.replicas, {}, i);
      }
      result.average_value = p.usage;
    } else {
      p = ValueTarget(view, usage, *target.value, d_.current, Tolerance());
      if (!p.error.empty()) return Invalid(i, p.error, false, ErrorKind::kBadAnswer);
      result.value = p.usage;
      result.no_ready_pods = d_.current != 0 && p.reason == Reason::kRatio && p.ratio.pods == 0;
    }
    p.overflow = p.overflow || overflow;
    Accept(i, p);
  }

  void Accept(int i, const Proposal& p) {
    MetricResult& result = d_.metrics[i];
    result.valid = true;
    result.overflow = p.overflow;
    result.proposal = p.replicas;
    Add(Stage::kPropose, p.reason, d_.current, p.replicas, p.ratio, i);
    if (p.pods.missing + p.pods.unready + p.pods.ignored > 0) d_.steps.back().detail = p.pods;
    const MetricInput& input = seen_.metrics[i];
    if (d_.current == 0 || !IsRelative(input.spec->source, TargetOf(input))) return;
    if (!at_base_) {
      result.proposal = FromBase(i, p);
    } else if (safe_) {
      d_.ready_pods = std::min(d_.ready_pods, p.pods.ready);
    }
  }

  // Between two bases a relative metric goes no further up than its ratio times the pods that
  // counted at the base (those that report since would move the count again), no further down than
  // its ratio times the count of the base, and a reading that moved the count already asks for no
  // more. On the way down it is the guards that hold such a reading: if the proposal became the
  // current count here, the windows would remember that as a recommendation and hold up the
  // scale-downs of the next bases too.
  int32_t FromBase(int i, const Proposal& p) {
    const auto index = static_cast<size_t>(i);
    const uint64_t sequence = seen_.metrics[index].reading->sequence;
    const bool counted =
        index < past_.counted.size() && past_.counted[index] == sequence && sequence != 0;
    const bool up = p.replicas > d_.current;
    const int32_t pods = up ? past_.base->ready_pods : past_.base->replicas;
    int32_t by_base = CeilToInt32(p.first_ratio * static_cast<double>(pods));
    const double count = static_cast<double>(past_.base->replicas);
    if (up && by_base > count && by_base <= count * (1 + Tolerance().up)) {
      by_base = past_.base->replicas;  // the base would have been within tolerance, too
    }
    int32_t allowed = p.replicas;
    Reason reason = Reason::kFromBase;
    if (up) {
      allowed = std::max(d_.current, std::min(p.replicas, by_base));
      if (counted) {
        allowed = d_.current;
        reason = Reason::kAlreadyCounted;
      }
    } else if (p.replicas < d_.current) {
      allowed = std::min(d_.current, std::max(p.replicas, by_base));
      if (counted) counted_down_ = i;
    }
    if (allowed != p.replicas) {
      RatioDetail detail = p.ratio;
      detail.ratio = p.first_ratio;
      detail.pods = pods;
      Add(Stage::kPropose, reason, p.replicas, allowed, detail, i);
    }
    return allowed;
  }

  // ---- combine: the highest proposal; an invalid metric forbids scale-down ----

  bool Combine() {
    int32_t kept = 0;
    bool any = false;
    int invalid = 0;
    for (size_t i = 0; i < d_.metrics.size(); ++i) {
      const MetricResult& result = d_.metrics[i];
      if (!result.valid) {
        if (invalid++ == 0) d_.first_invalid = static_cast<int16_t>(i);
        continue;
      }
      if (!any || kept == 0 || result.proposal > kept) {
        kept = result.proposal;
        d_.winner = static_cast<int16_t>(i);
        any = true;
      }
    }
    const auto count = static_cast<int>(d_.metrics.size());
    if (invalid == count || (invalid > 0 && kept < d_.current)) {
      d_.verdict = Verdict::kFailed;
      d_.failure = Reason::kInvalidMetrics;
      d_.desired = d_.current;
      d_.winner = -1;
      d_.failure_text =
          count == 0
              ? "no metrics to compute from"
              : fmt::format("invalid metrics ({} invalid out of {}), first error is: {}", invalid,
                            count, d_.metrics[static_cast<size_t>(d_.first_invalid)].wrapped);
      Add(Stage::kCombine, Reason::kInvalidMetrics, kept, d_.current, CountDetail{invalid, count});
      return false;
    }
    d_.some_invalid = invalid > 0;
    Add(Stage::kCombine, Reason::kMaximum, d_.current, kept, CountDetail{count - invalid, count},
        d_.winner);
    d_.recommended = std::max(kept, 0);
    if (kept < 0) Add(Stage::kCombine, Reason::kNegativeProposal, kept, 0, {}, d_.winner);
    if (d_.recommended > d_.current) d_.rescale_reason = RescaleReason::kMetricAboveTarget;
    if (d_.recommended < d_.current) d_.rescale_reason = RescaleReason::kAllMetricsBelowTarget;
    d_.verdict = Verdict::kComputed;
    return true;
  }

  // ---- stabilise, rate, bounds ----

  // For what a relative metric asks, the window and the policies of the way up stand still between
  // two bases: a limit that lets go between them would let the next base multiply a count that a
  // 15 s period had not reached yet.
  absl::Duration LimitsStandStill() const {
    if (at_base_ || d_.winner < 0 || d_.current == 0) return absl::ZeroDuration();
    const MetricInput& input = seen_.metrics[static_cast<size_t>(d_.winner)];
    if (!IsRelative(input.spec->source, TargetOf(input))) return absl::ZeroDuration();
    return SinceBase(*past_.base, seen_.now);
  }

  absl::Duration HeldUp(const Behavior& behavior) const {
    const absl::Duration window = UpWindow(behavior);
    return window > absl::ZeroDuration() ? window + LimitsStandStill() : window;
  }

  void Stabilise() {
    const Recommendation seed{.replicas = d_.current, .at = seen_.now};
    std::span<const Recommendation> past = past_.recommendations;
    if (past.empty()) past = {&seed, 1};
    const Stabilised s =
        spec_.behavior
            ? StabiliseTwoSided(HeldUp(*spec_.behavior),
                                DownWindow(*spec_.behavior, options_.downscale_stabilization),
                                seen_.now, d_.current, d_.recommended, past)
            : StabiliseLegacy(options_.downscale_stabilization, seen_.now, d_.recommended, past);
    d_.stabilised = s.replicas;
    d_.able = s.reason;
    Add(Stage::kStabilise, s.reason, d_.recommended, d_.stabilised, s.window);
  }

  void Limit() {
    const int32_t min = spec_.MinReplicas();
    const int32_t max = spec_.max_replicas;
    const int32_t factor_of = at_base_ ? d_.current : std::min(d_.current, past_.base->replicas);
    const Limited limited =
        spec_.behavior
            ? LimitByPolicies(*spec_.behavior, past_, seen_.now, LimitsStandStill(), d_.current,
                              d_.stabilised, min, max)
            : LimitLegacy(factor_of, at_base_ ? kNoFloor : d_.current, d_.stabilised, min, max);
    d_.limited = limited.reason;
    d_.desired = limited.replicas;
    const bool by_rate =
        limited.reason == Reason::kScaleUpLimit || limited.reason == Reason::kScaleDownLimit;
    if (by_rate) {
      Add(Stage::kRate, limited.reason, d_.stabilised, d_.desired, LimitDetail{limited.limit});
    } else {
      Add(Stage::kBounds, limited.reason, d_.stabilised, d_.desired, LimitDetail{limited.limit});
    }
  }

  // ---- zero: activation, idle and cooldown of KEDA objects belong here; the HPA's own rule is the
  // last line ----

  void Zero() {
    const int32_t min = spec_.MinReplicas();
    if (d_.current == 0 && min != 0 && WasScaledToZero() && d_.desired < min) {
      Add(Stage::kZero, Reason::kBelowMinReplicas, d_.desired, min, LimitDetail{min});
      d_.desired = min;
      if (d_.rescale_reason == RescaleReason::kNone) d_.rescale_reason = RescaleReason::kBelowMin;
    }
  }

  // ---- guards: Neap's own; they only ever hold ----

  void Hold(Reason reason, int metric = -1, Detail detail = {}) {
    Add(Stage::kGuards, reason, d_.desired, d_.current, detail, metric);
    d_.desired = d_.current;
    // Until the next base only: the condition would change to and fro with every period.
    if (reason != Reason::kAlreadyCounted) d_.limited = reason;
  }

  void Guard() {
    if (d_.verdict != Verdict::kComputed && d_.verdict != Verdict::kOutOfBounds) return;
    if (d_.desired > d_.current) return GuardUp();
    if (d_.desired == d_.current) return;
    if (seen_.views_silent) return Hold(Reason::kHeldSilentView);
    if (!safe_ || d_.verdict == Verdict::kOutOfBounds) return;
    for (size_t i = 0; i < d_.metrics.size(); ++i) {
      const MetricResult& result = d_.metrics[i];
      const int metric = static_cast<int>(i);
      if (result.overflow) return Hold(Reason::kHeldOverflow, metric);
      if (result.absent && spec_.on_absent == OnAbsent::kHold)
        return Hold(Reason::kHeldAbsentValue, metric);
      if (result.no_ready_pods) return Hold(Reason::kHeldNoReadyPods, metric);
    }
    // Nobody serves: a low metric says nothing about the load.
    if (seen_.scale->ready_replicas == 0) return Hold(Reason::kHeldNoReadyPods);
    if (d_.desired < 0) return Hold(Reason::kHeldOverflow);
    if (counted_down_ >= 0) Hold(Reason::kAlreadyCounted, counted_down_);
  }

  // More pods would not help; but a count below the minimum is asked for by the object.
  void GuardUp() {
    if (d_.verdict != Verdict::kComputed) return;
    if (spec_.hold_scale_up.quota_exceeded && seen_.scale->quota_refused) {
      return Hold(Reason::kHeldQuotaExceeded);
    }
    if (spec_.hold_scale_up.unschedulable_pods) {
      const int32_t waiting = CountLive(seen_.pods, PodTrouble::kUnschedulable);
      if (waiting > 0) {
        return Hold(Reason::kHeldUnschedulable, -1, CountDetail{waiting, CountLive(seen_.pods)});
      }
    }
    if (!d_.crash_loop) return;
    const CrashLoop loop = CrashLoopAt(past_.crash_loop, seen_.now);
    const CrashLoopDetail detail{crashing_, live_, seen_.now - loop.since, kCrashLoopHold};
    if (detail.since < kCrashLoopHold) return Hold(Reason::kHeldCrashLoop, -1, detail);
    Add(Stage::kGuards, Reason::kCrashLoopReleased, d_.desired, d_.desired, detail);
  }

  const HpaOptions& options_;
  const AutoscalerSpec& spec_;
  const Observation& seen_;
  const History& past_;
  const bool safe_;
  int32_t crashing_ = 0;  // pods in CrashLoopBackOff, of `live_`
  int32_t live_ = 0;
  bool at_base_ = true;
  int counted_down_ = -1;  // a metric whose reading asks for less and moved the count already
  Decision& d_;
};

}  // namespace

Decision Decide(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
                const History& past) {
  Decision decision;
  Decide(options, spec, seen, past, decision);
  return decision;
}

void Decide(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
            const History& past, Decision& decision) {
  Decider(options, spec, seen, past, decision).Run();
}

bool MatchesAnyPod(const base::Selector& selector,
                   std::span<const base::Labels* const> label_sets) {
  return std::any_of(label_sets.begin(), label_sets.end(),
                     [&](const base::Labels* labels) { return selector.Matches(*labels); });
}

}  // namespace neap::core
