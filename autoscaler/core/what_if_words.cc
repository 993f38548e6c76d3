// An alternative in words.
#include <fmt/format.h>

#include "autoscaler/core/explain.h"
#include "autoscaler/core/what_if.h"

namespace neap::core {
namespace {

std::string Clock(absl::Time at) { return absl::FormatTime("%H:%M:%S", at, absl::UTCTimeZone()); }

// The value at which the metric gives another result, and the present one, in the words in which
// the metric is shown.
std::string ValueWords(const AutoscalerSpec& spec, const MetricResult& now, const Alternative& a) {
  const auto index = static_cast<size_t>(a.metric);
  const bool memory = index < spec.metrics.size() && spec.metrics[index].name == "memory";
  const std::string_view side = a.at_least ? "more" : "less";
  if (!a.per_pod) {
    return fmt::format("at {} or {} (now {})", AmountText(a.value, memory), side,
                       AmountText(a.present, memory));
  }
  if (a.result.utilization && now.utilization && *a.result.utilization != *now.utilization) {
    return fmt::format("at {}% or {} (now {}%)", *a.result.utilization, side, *now.utilization);
  }
  if (!a.result.utilization && a.result.average_value && now.average_value &&
      *a.result.average_value != *now.average_value) {
    return fmt::format("at {} per pod or {} (now {})", AmountText(*a.result.average_value, memory),
                       side, AmountText(*now.average_value, memory));
  }
  // Pods without values move the result at another average than the one that is shown.
  if (a.present == 0) return fmt::format("at {} in all pods or {}", AmountText(a.value), side);
  return fmt::format("{:.4g} times as much or {}",
                     static_cast<double>(a.value) / static_cast<double>(a.present), side);
}

std::string EventWords(const Alternative& a) {
  using Event = Alternative::Event;
  switch (a.event) {
    case Event::kNone:
    case Event::kNextDecision:
      return "";
    case Event::kRecommendation:
      return fmt::format(", when the recommendation of {} of {} leaves its window", a.count,
                         Clock(a.since));
    case Event::kScaleUp:
      return fmt::format(", when the scale-up by {} of {} leaves its period", a.count,
                         Clock(a.since));
    case Event::kScaleDown:
      return fmt::format(", when the scale-down by {} of {} leaves its period", a.count,
                         Clock(a.since));
    case Event::kBase:
      return ", with the next base of relative metrics";
    case Event::kPodStarted:
      return ", when a pod has passed its CPU initialization period";
  }
  return "";
}

std::string TimeWords(const Decision& decision, const Alternative& a) {
  std::string out = a.event == Alternative::Event::kNextDecision
                        ? " at the next decision"
                        : fmt::format(" at {}{}", Clock(a.at), EventWords(a));
  return out + (a.asking ? fmt::format(", while the metrics ask for {}", decision.recommended)
                         : ", if all else stays");
}

}  // namespace

std::string Words(const AutoscalerSpec& spec, const Decision& decision, const Alternative& a) {
  using Kind = Alternative::Kind;
  std::string out = std::to_string(a.desired);
  switch (a.kind) {
    case Kind::kMetric:
      return out +
             fmt::format(" when {} is {}", NameInSpec(spec, decision.metrics.size(), a.metric),
                         ValueWords(spec, decision.metrics[static_cast<size_t>(a.metric)], a));
    case Kind::kAllMetrics:
      return out + fmt::format(" when all metrics are at {}% or less of what they are",
                               AmountText(a.value * 100));
    case Kind::kTime:
      return out + TimeWords(decision, a);
    case Kind::kMaxReplicas:
      return out +
             fmt::format(" with maxReplicas of {} or more (now {})", a.bound, spec.max_replicas);
    case Kind::kMinReplicas:
      return out +
             fmt::format(" with minReplicas of {} or less (now {})", a.bound, spec.MinReplicas());
    case Kind::kNotPaused:
      return out + " if the object were not paused";
    case Kind::kReadable:
      return out + " by the metrics that can be read: those that fail forbid it";
    case Kind::kPresent:
      return out + " if the stand-in were a value of the source";
    case Kind::kHeard:
      return out + " once the views that were silent are heard of";
    case Kind::kAlone:
      return out + " if no other autoscaler selected these pods";
  }
  return out;
}

std::string_view KindName(Alternative::Kind kind) {
  using Kind = Alternative::Kind;
  switch (kind) {
    case Kind::kMetric:
      return "metric";
    case Kind::kAllMetrics:
      return "allMetrics";
    case Kind::kTime:
      return "time";
    case Kind::kMaxReplicas:
      return "maxReplicas";
    case Kind::kMinReplicas:
      return "minReplicas";
    case Kind::kNotPaused:
      return "notPaused";
    case Kind::kReadable:
      return "readable";
    case Kind::kPresent:
      return "present";
    case Kind::kHeard:
      return "heard";
    case Kind::kAlone:
      return "alone";
  }
  return "";
}

}  // namespace neap::core
