// Explain: a decision's steps and metrics in words.
#include "autoscaler/core/explain.h"

#include <fmt/format.h>

#include <cmath>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/core/messages.h"
#include "autoscaler/core/what_if.h"

namespace neap::core {
namespace {

std::string WholeSeconds(absl::Duration duration) {
  return base::FormatDuration(absl::Trunc(duration, absl::Seconds(1)));
}

std::string Words(const AutoscalerSpec& spec, const Decision& d, const Step& step) {
  const std::string metric = NameInSpec(spec, d.metrics.size(), step.metric);
  const auto* ratio = std::get_if<RatioDetail>(&step.detail);
  const auto* pods = std::get_if<PodsDetail>(&step.detail);
  const auto* window = std::get_if<WindowDetail>(&step.detail);
  const auto* limit = std::get_if<LimitDetail>(&step.detail);
  const auto* count = std::get_if<CountDetail>(&step.detail);
  const auto* age = std::get_if<AgeDetail>(&step.detail);
  const auto* crashes = std::get_if<CrashLoopDetail>(&step.detail);
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
                 ? d.failure_text.str()
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
      return std::string(ScalingLimitedMessage(step.reason)) +
             (metric.empty() ? "" : " (" + metric + ")");
    case Reason::kHeldCrashLoop:
      return crashes == nullptr
                 ? std::string(ScalingLimitedMessage(step.reason))
                 : fmt::format("{} of {} pods are in CrashLoopBackOff: no scale-up for {} more",
                               crashes->crashing, crashes->of,
                               WholeSeconds(crashes->limit - crashes->since));
    case Reason::kCrashLoopReleased:
      return crashes == nullptr
                 ? "no longer held"
                 : fmt::format(
                       "{} of {} pods are in CrashLoopBackOff since {}: not held any longer",
                       crashes->crashing, crashes->of, WholeSeconds(crashes->since));
    case Reason::kHeldUnschedulable:
      return std::string(ScalingLimitedMessage(step.reason)) +
             (count == nullptr ? "" : fmt::format(" ({} of {})", count->count, count->of));
    case Reason::kHeldQuotaExceeded:
      return std::string(ScalingLimitedMessage(step.reason));
  }
  return "";
}

std::string TargetText(const MetricTarget& target, bool memory) {
  if (target.average_value) return AmountText(*target.average_value, memory) + " per pod";
  if (target.average_utilization) return fmt::format("{}%", *target.average_utilization);
  return target.value ? AmountText(*target.value, memory) : "";
}

std::string ValueText(const Reading& reading, const MetricResult& result, bool memory) {
  if (reading.form != Reading::Form::kPods) {
    const std::optional<int64_t> amount = AmountOf(reading);
    return amount ? AmountText(*amount, memory) : "";
  }
  const std::string average =
      result.average_value ? AmountText(*result.average_value, memory) + " per pod" : "";
  return result.utilization ? fmt::format("{}% ({})", *result.utilization, average) : average;
}

}  // namespace

std::string NameInSpec(const AutoscalerSpec& spec, size_t metrics, int metric) {
  if (metric < 0) return "";
  const auto index = static_cast<size_t>(metric);
  if (index < spec.metrics.size()) return MetricName(spec.metrics[index]);
  const size_t nth = index - spec.metrics.size();
  if (metrics != spec.metrics.size() + spec.triggers.size()) {
    return fmt::format("trigger metric #{}", nth + 1);
  }
  const TriggerSpec& trigger = spec.triggers[nth];
  return fmt::format("trigger #{} ({})", nth + 1,
                     trigger.name.empty() ? trigger.type : trigger.name);
}

std::vector<MetricLine> MetricLines(const AutoscalerSpec& spec, const Observation& seen,
                                    const Decision& decision) {
  std::vector<MetricLine> out;
  for (size_t i = 0; i < decision.metrics.size(); ++i) {
    const MetricResult& result = decision.metrics[i];
    const Reading& reading = *seen.metrics[i].reading;
    const MetricSpec& metric = *seen.metrics[i].spec;
    const bool memory = metric.name == "memory";
    MetricLine& line = out.emplace_back();
    line.name = NameInSpec(spec, decision.metrics.size(), static_cast<int>(i));
    line.target = TargetText(reading.target ? *reading.target : metric.target, memory);
    line.failed = !result.valid;
    line.asks = result.valid ? std::to_string(result.proposal) : result.error.str();
    if (result.valid) line.value = ValueText(reading, result, memory);
  }
  return out;
}

std::string AmountText(int64_t milli, bool memory) {
  if (memory && milli >= 1024 * 1000) {
    static constexpr std::string_view kUnits[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    double amount = static_cast<double>(milli) / 1000;
    size_t unit = 0;
    for (; amount >= 1024; amount /= 1024) ++unit;
    return fmt::format("{:.4g}{}", amount, kUnits[unit]);
  }
  // Exact, so by whole numbers.
  const uint64_t size = milli < 0 ? 0 - static_cast<uint64_t>(milli) : static_cast<uint64_t>(milli);
  std::string out = fmt::format("{}{}.{:03}", milli < 0 ? "-" : "", size / 1000, size % 1000);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

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
