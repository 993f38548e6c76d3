// Remember: the history, status and events that follow from a decision and the outcome of its write
// (upstream: reconcileAutoscaler in horizontal.go).
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "autoscaler/core/behavior.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/core/messages.h"

namespace neap::core {
namespace {

class Rememberer {
 public:
  Rememberer(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
             const Decision& decision, const ApplyResult& result, Outcome& out)
      : options_(options), spec_(spec), seen_(seen), d_(decision), result_(result), out_(out) {
    out_.events.clear();
  }

  void Run() {
    switch (d_.verdict) {
      case Verdict::kHold:
        Hold();
        break;
      case Verdict::kNoScale:
        Warn("FailedGetScale", d_.failure_text);
        Set("AbleToScale", ConditionStatus::kFalse, "FailedGetScale",
            "the HPA controller was unable to get the target's current scale: " + d_.failure_text,
            seen_.now);
        break;
      case Verdict::kDisabled:
      case Verdict::kOutOfBounds:
      case Verdict::kFailed:
      case Verdict::kComputed:
        WithScale();
        break;
    }
  }

  void Others(int32_t from, int32_t to, absl::Time at) {
    if (from != to) {
      AddChange(out_.history, spec_.behavior, from, to, at, absl::ZeroDuration());
    }
    // Before the first decision there are none: the count of that moment begins the list, as ever.
    if (std::vector<Recommendation>& list = out_.history.recommendations; !list.empty()) {
      AddRecommendation(list, {.replicas = to, .at = at}, at - Window());
    }
    NoteZero(from, to, at);
    out_.status.last_scale_time = at;
  }

 private:
  void Hold() {
    if (d_.failure != Reason::kPaused) return;  // views that are not synced yet change nothing
    Set("ScalingActive", ConditionStatus::kFalse, "Paused", "scaling is paused by the object",
        seen_.now);
    if (seen_.scale != nullptr) SetCounts(d_.current, d_.current);
  }

  void WithScale() {
    Set("AbleToScale", ConditionStatus::kTrue, "SucceededGetScale",
        "the HPA controller was able to get the target's current scale", seen_.now);
    if (out_.history.recommendations.empty()) {
      out_.history.recommendations.push_back({.replicas = d_.current, .at = seen_.now});
    }
    if (d_.current == 0 && !options_.scale_to_zero) Remove("ScaledToZero");
    if (d_.verdict == Verdict::kDisabled) {
      Set("ScalingActive", ConditionStatus::kFalse, "ScalingDisabled",
          "scaling is disabled since the replica count of the target is zero", seen_.now);
      out_.status.current_metrics.clear();
      SetCounts(d_.current, 0);
      return;
    }
    Metrics();
    CrashLoops();
    if (d_.verdict == Verdict::kFailed) {
      Failed();
      return;
    }
    if (d_.verdict == Verdict::kComputed) Computed();
    if (d_.took_base) {
      out_.history.base = core::Base{.replicas = d_.current,
                                     .ready_pods = d_.ready_pods,
                                     .at = BaseTime(spec_, out_.history.base, seen_.now)};
      out_.history.counted.clear();
    } else if (spec_.guards == Guards::kNone) {
      out_.history.base.reset();
      out_.history.counted.clear();
    }
    if (d_.rescale) {
      Rescale();
    } else {
      SetCounts(d_.current, d_.current);
    }
  }

  void CrashLoops() {
    base::Boxed<CrashLoop>& loop = out_.history.crash_loop;
    if (d_.crash_loop) {
      loop = CrashLoopAt(loop, seen_.now);
    } else if (loop && seen_.now - loop->seen >= kCrashLoopForgotten) {
      loop.reset();
    }
  }

  // status.currentMetrics and the warnings of failed metrics, in the object's order.
  void Metrics() {
    out_.status.current_metrics.resize(d_.metrics.size());
    for (size_t i = 0; i < d_.metrics.size(); ++i) {
      const MetricResult& result = d_.metrics[i];
      const MetricSpec& spec = *seen_.metrics[i].spec;
      MetricStatus& status = out_.status.current_metrics[i];
      if (!result.valid) {
        status = MetricStatus();
        Warn(std::string(MetricFailureReason(spec.source)), result.error);
        continue;
      }
      status.valid = true;
      status.source = spec.source;
      status.name = spec.name;
      status.container = spec.container;
      status.described_object = spec.described_object;
      status.selector = spec.selector;
      status.average_utilization = result.utilization;
      status.average_value = result.average_value;
      status.value = result.value;
      const bool resource =
          spec.source == MetricSource::kResource || spec.source == MetricSource::kContainerResource;
      status.format = resource && spec.name == "memory" ? base::QuantityFormat::kBinarySI
                                                        : base::QuantityFormat::kDecimalSI;
    }
  }

  void Failed() {
    switch (d_.failure) {
      case Reason::kSelectorRequired:
        Warn("SelectorRequired", d_.failure_text);
        Inactive("InvalidSelector", "the HPA target's scale is missing a selector");
        break;
      case Reason::kInvalidSelector:
        Warn("InvalidSelector", d_.failure_text);
        Inactive("InvalidSelector", d_.failure_text);
        break;
      case Reason::kAmbiguousSelector:
        Warn("AmbiguousSelector", d_.failure_text);
        Inactive("AmbiguousSelector", d_.failure_text);
        break;
      default: {
        const auto first = static_cast<size_t>(std::max<int16_t>(d_.first_invalid, 0));
        if (first < d_.metrics.size()) {
          Inactive(MetricFailureReason(seen_.metrics[first].spec->source),
                   "the HPA was unable to compute the replica count: " + d_.metrics[first].error);
        } else {
          Inactive("InvalidMetricSourceType",
                   "the HPA was unable to compute the replica count: " + d_.failure_text);
        }
      }
    }
    Warn("FailedComputeMetricsReplicas", d_.failure_text);
    SetCounts(d_.current, seen_.previous->desired_replicas);
  }

  void Inactive(std::string_view reason, std::string_view message) {
    Set("ScalingActive", ConditionStatus::kFalse, reason, message, seen_.now);
  }

  // Windows and periods of the way up end at the base (Decide, LimitsStandStill): what they may
  // still ask for is kept that much longer.
  absl::Duration BaseAge() const {
    const std::optional<core::Base>& base = out_.history.base;
    return base && !d_.took_base ? SinceBase(*base, seen_.now) : absl::ZeroDuration();
  }

  const MetricSpec* Winner() const {
    return d_.winner < 0 ? nullptr : seen_.metrics[static_cast<size_t>(d_.winner)].spec;
  }

  void Computed() {
    Set("ScalingActive", ConditionStatus::kTrue, "ValidMetricFound",
        "the HPA was able to successfully calculate a replica count from " +
            (Winner() == nullptr ? std::string() : MetricName(*Winner())),
        seen_.now);
    Set("AbleToScale", ConditionStatus::kTrue, ReasonName(d_.able), AbleToScaleMessage(d_.able),
        seen_.now);
    Set("ScalingLimited",
        d_.limited == Reason::kDesiredWithinRange ? ConditionStatus::kFalse
                                                  : ConditionStatus::kTrue,
        ReasonName(d_.limited), ScalingLimitedMessage(d_.limited), seen_.now);

    AddRecommendation(out_.history.recommendations, {.replicas = d_.recommended, .at = seen_.now},
                      seen_.now - Window() - BaseAge());
  }

  absl::Duration Window() const {
    return LongestWindow(spec_.behavior, options_.downscale_stabilization);
  }

  void Rescale() {
    const std::string reason = RescaleReasonText(d_, Winner());
    switch (result_.kind) {
      case ApplyResult::Kind::kApplied:
        Applied(reason);
        return;
      case ApplyResult::Kind::kWithheld:
        Set("DryRun", ConditionStatus::kTrue, "Withheld",
            fmt::format("would scale from {} to {}{}{}", d_.current, d_.desired,
                        reason.empty() ? "" : "; reason: ", reason),
            result_.at);
        Counted();
        SetCounts(d_.current, d_.desired);
        return;
      case ApplyResult::Kind::kNotTried:  // waits for a write slot, or an unanswered conflict:
                                          // observed again
      case ApplyResult::Kind::kConflict:
        SetCounts(d_.current, d_.desired);
        return;
      case ApplyResult::Kind::kGone:
      case ApplyResult::Kind::kRejected:
      case ApplyResult::Kind::kUnknown:
        Warn("FailedRescale",
             fmt::format("New size: {}; reason: {}; error: {}", d_.desired, reason, result_.error));
        Set("AbleToScale", ConditionStatus::kFalse, "FailedUpdateScale",
            "the HPA controller was unable to update the target scale: " + result_.error,
            result_.at);
        SetCounts(d_.current, seen_.previous->desired_replicas);
        return;
    }
  }

  void Counted() {
    if (!out_.history.base) return;
    out_.history.counted.clear();
    for (const MetricInput& input : seen_.metrics)
      out_.history.counted.push_back(input.reading->sequence);
  }

  void Applied(const std::string& reason) {
    Set("AbleToScale", ConditionStatus::kTrue, "SucceededRescale",
        fmt::format("the HPA controller was able to update the target scale to {}", d_.desired),
        result_.at);
    out_.events.push_back({.type = EventType::kNormal,
                           .reason = "SuccessfulRescale",
                           .message = fmt::format("New size: {}; reason: {}", d_.desired, reason)});
    AddChange(out_.history, spec_.behavior, d_.current, d_.desired, result_.at, BaseAge());
    NoteZero(d_.current, d_.desired, result_.at);
    Remove("DryRun");
    Counted();
    out_.status.last_scale_time = result_.at;
    SetCounts(d_.current, d_.desired);
  }

  void NoteZero(int32_t from, int32_t to, absl::Time at) {
    if (!options_.scale_to_zero) {
      Remove("ScaledToZero");
    } else if (from > 0 && to == 0 && spec_.MinReplicas() == 0 && HasObjectOrExternal()) {
      Set("ScaledToZero", ConditionStatus::kTrue, "ScaledToZero",
          "the HPA controller scaled the workload to zero", at);
    } else {
      Set("ScaledToZero", ConditionStatus::kFalse, "NotScaledToZero",
          "the HPA controller did not scale the workload to zero", at);
    }
  }

  bool HasObjectOrExternal() const {
    return !spec_.triggers.empty() ||
           std::any_of(spec_.metrics.begin(), spec_.metrics.end(), [](const MetricSpec& m) {
             return m.source == MetricSource::kObject || m.source == MetricSource::kExternal;
           });
  }

  void SetCounts(int32_t current, int32_t desired) {
    out_.status.current_replicas = current;
    out_.status.desired_replicas = desired;
    out_.status.observed_generation = spec_.generation;
  }

  // A text that stays is not written again: most do, from one decision to the next.
  static void Put(base::Text& into, std::string_view text) {
    if (into != text) into = text;
  }

  void Set(std::string_view type, ConditionStatus status, std::string_view reason,
           std::string_view message, absl::Time at) {
    auto& all = out_.status.conditions;
    auto found =
        std::find_if(all.begin(), all.end(), [&](const Condition& c) { return c.type == type; });
    if (found == all.end()) {
      all.reserve(all.size() + 1);  // there are three or four for good, for each target
      all.push_back(
          {.type = type, .status = status, .reason = "", .message = "", .last_transition = at});
      found = all.end() - 1;
    } else if (found->status != status) {
      found->last_transition = at;
    }
    found->status = status;
    Put(found->reason, reason);
    Put(found->message, message);
  }

  void Remove(std::string_view type) {
    std::erase_if(out_.status.conditions, [&](const Condition& c) { return c.type == type; });
  }

  void Warn(std::string reason, std::string message) {
    out_.events.push_back(
        {.type = EventType::kWarning, .reason = std::move(reason), .message = std::move(message)});
  }

  const HpaOptions& options_;
  const AutoscalerSpec& spec_;
  const Observation& seen_;
  const Decision& d_;
  const ApplyResult& result_;
  Outcome& out_;  // so far: the history and status before
};

}  // namespace

void Remember(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
              const Decision& decision, const ApplyResult& result, Outcome& outcome) {
  Rememberer(options, spec, seen, decision, result, outcome).Run();
}

void RememberOthers(const HpaOptions& options, const AutoscalerSpec& spec, int32_t from, int32_t to,
                    absl::Time at, Outcome& outcome) {
  Observation seen;
  seen.now = at;
  Rememberer(options, spec, seen, Decision(), ApplyResult(), outcome).Others(from, to, at);
}

Outcome Remember(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
                 const Decision& decision, const ApplyResult& result, History past) {
  Outcome outcome{.history = std::move(past), .status = *seen.previous, .events = {}};
  Remember(options, spec, seen, decision, result, outcome);
  return outcome;
}

}  // namespace neap::core
