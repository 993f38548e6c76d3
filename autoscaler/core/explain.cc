// Explain: a decision's steps in words.
#include <fmt/format.h>

#include <cmath>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/core/messages.h"

namespace neap::core {
namespace {

// What a step's metric is called. Metrics of triggers come after the object's own; which trigger
// one is of can be told while each has exactly one.
std::string NameOf(const AutoscalerSpec& spec, const Decision& d, int metric) {
  if (metric < 0) return "";
  const auto index = static_cast<size_t>(metric);
  if (index < spec.metrics.size()) return MetricName(spec.metrics[index]);
  const size_t nth = index - spec.metrics.size();
  if (d.metrics.size() != spec.metrics.size() + spec.triggers.size()) {
    return fmt::format("trigger metric #{}", nth + 1);
  }
  const TriggerSpec& trigger = spec.triggers[nth];
  return fmt::format("trigger #{} ({})", nth + 1,
                     trigger.name.empty() ? trigger.type : trigger.name);
}

std::string Words(const AutoscalerSpec& spec, const Decision& d, const Step& step) {
  const std::string metric = NameOf(spec, d, step.metric);
  const auto* ratio = std::get_if<RatioDetail>(&step.detail);
  const auto* pods = std::get_if<PodsDetail>(&step.detail);
  const auto* window = std::get_if<WindowDetail>(&step.detail);
  const auto* limit = std::get_if<LimitDetail>(&step.detail);
  const auto* count = std::get_if<CountDetail>(&step.detail);
  const auto* age = std::get_if<AgeDetail>(&step.detail);
  std::string numbers;
  if (ratio != nullptr) {
    const bool percent = step.metric >= 0 && static_cast<size_t>(step.metric) < d.metrics.size() &&
                         d.metrics[static_cast<size_t>(step.metric)].utilization.has_value();
    numbers = percent ? fmt::format(" ({}% of {}%", ratio->usage, ratio->target)
                      : fmt::format(" ({} of {}", base::FormatMilli(ratio->usage),
                                    base::FormatMilli(ratio->target));
    numbers += std::isnan(ratio->ratio) ? std::string(", ratio undefined")
                                        : fmt::format(", ratio {:.4g}", ratio->ratio);
    numbers += ratio->pods > 0 ? fmt::format(", times {} pods)", ratio->pods) : ")";
  }
  if (pods != nullptr) {
    numbers = fmt::format(" (pods: {} ready, {} unready, {} missing, {} ignored)", pods->ready,
                          pods->unready, pods->missing, pods->ignored);
  }
  switch (step.reason) {
    case Reason::kPaused:
      return "the object is paused";
    case Reason::kViewNotSynced:
      return "objects, scales or pods are not complete yet";
    case Reason::kFailedGetScale:
      return "the scale could not be read: " + d.failure_text;
    case Reason::kScalingDisabled:
      return "the target was set to 0 by someone else";
    case Reason::kAboveMaxReplicas:
      return "above maxReplicas: metrics are not consulted";
    case Reason::kBelowMinReplicas:
      return step.stage == Stage::kZero ? "woken to minReplicas"
                                        : "below minReplicas: metrics are not consulted";
    case Reason::kSelectorRequired:
    case Reason::kInvalidSelector:
    case Reason::kAmbiguousSelector:
      return d.failure_text;
    case Reason::kStaleReading:
      return fmt::format(
          "{}: the reading is {} old, its limit is {}", metric,
          age == nullptr ? "" : base::FormatDuration(absl::Trunc(age->age, absl::Milliseconds(1))),
          age == nullptr ? "" : base::FormatDuration(age->limit));
    case Reason::kAbsentReading:
      return metric + ": the source had no value, this is a stand-in";
    case Reason::kMetricError:
      return fmt::format("{}: {}", metric, d.metrics[static_cast<size_t>(step.metric)].error);
    case Reason::kWithinTolerance:
      return metric + ": within tolerance" + numbers;
    case Reason::kRatio:
      return metric + ": asks for " + std::to_string(step.after) + numbers;
    case Reason::kMissingPods:
      return metric + ": asks for " + std::to_string(step.after) +
             " with missing or unready pods filled in" + numbers;
    case Reason::kDirectionReversed:
      return metric + ": stays, since missing or unready pods turn the direction" + numbers;
    case Reason::kFromBase:
      return metric + ": no further than the last base allows" + numbers;
    case Reason::kAlreadyCounted:
      return metric + ": this reading has moved the count already";
    case Reason::kSurgeIgnored:
      return metric + ": spec replicas are used, not the roll-out's surge";
    case Reason::kMaximum:
      return fmt::format("highest of {} proposals: {}", count == nullptr ? 0 : count->count,
                         metric);
    case Reason::kInvalidMetrics:
      return count == nullptr
                 ? d.failure_text
                 : fmt::format("{} of {} metrics failed: no scale-down on what is unknown",
                               count->count, count->of);
    case Reason::kNegativeProposal:
      return "a negative proposal becomes 0";
    case Reason::kReadyForNewScale:
      return "no window holds it";
    case Reason::kScaleUpStabilized:
      return fmt::format("held by the lowest recent recommendation, {}",
                         window == nullptr ? 0 : window->lowest);
    case Reason::kScaleDownStabilized:
      return fmt::format("held by the highest recent recommendation, {}",
                         window == nullptr ? 0 : window->highest);
    case Reason::kScaleUpLimit:
    case Reason::kScaleDownLimit:
      return fmt::format("the rate limit allows {} now", limit == nullptr ? 0 : limit->limit);
    case Reason::kTooFewReplicas:
      return fmt::format("minReplicas is {}", limit == nullptr ? 0 : limit->limit);
    case Reason::kTooManyReplicas:
      return fmt::format("maxReplicas is {}", limit == nullptr ? 0 : limit->limit);
    case Reason::kDesiredWithinRange:
      return "within bounds and rates";
    case Reason::kHeldSilentView:
    case Reason::kHeldAbsentValue:
    case Reason::kHeldNoReadyPods:
    case Reason::kHeldOverflow:
      return ScalingLimitedMessage(step.reason) + (metric.empty() ? "" : " (" + metric + ")");
  }
  return "";
}

}  // namespace

std::string Explain(const AutoscalerSpec& spec, const Decision& decision) {
  std::string out;
  if (decision.verdict == Verdict::kNoScale) {
    out = "no decision\n";
  } else if (decision.rescale) {
    out = fmt::format("scale from {} to {}\n", decision.current, decision.desired);
  } else {
    out = fmt::format("stay at {}\n", decision.current);
  }
  for (const Step& step : decision.steps) {
    const std::string change = step.before == step.after
                                   ? std::to_string(step.after)
                                   : fmt::format("{} -> {}", step.before, step.after);
    out += fmt::format("  {:<9} {:<20} {:>12}  {}\n", StageName(step.stage),
                       ReasonName(step.reason), change, Words(spec, decision, step));
  }
  return out;
}

}  // namespace neap::core
