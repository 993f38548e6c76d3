#include "autoscaler/core/messages.h"

#include <fmt/format.h>

namespace neap::core {

std::string_view StageName(Stage stage) {
  static constexpr std::string_view kNames[] = {"gate", "values", "propose", "combine", "stabilise",
                                                "rate", "bounds", "zero",    "guards"};
  return kNames[static_cast<int>(stage)];
}

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kPaused:
      return "Paused";
    case Reason::kViewNotSynced:
      return "ViewNotSynced";
    case Reason::kFailedGetScale:
      return "FailedGetScale";
    case Reason::kScalingDisabled:
      return "ScalingDisabled";
    case Reason::kAboveMaxReplicas:
      return "AboveMaxReplicas";
    case Reason::kBelowMinReplicas:
      return "BelowMinReplicas";
    case Reason::kSelectorRequired:
      return "SelectorRequired";
    case Reason::kInvalidSelector:
      return "InvalidSelector";
    case Reason::kAmbiguousSelector:
      return "AmbiguousSelector";
    case Reason::kStaleReading:
      return "StaleReading";
    case Reason::kAbsentReading:
      return "AbsentReading";
    case Reason::kMetricError:
      return "MetricError";
    case Reason::kWithinTolerance:
      return "WithinTolerance";
    case Reason::kRatio:
      return "Ratio";
    case Reason::kMissingPods:
      return "MissingPods";
    case Reason::kDirectionReversed:
      return "DirectionReversed";
    case Reason::kFromBase:
      return "FromBase";
    case Reason::kAlreadyCounted:
      return "AlreadyCounted";
    case Reason::kSurgeIgnored:
      return "SurgeIgnored";
    case Reason::kMaximum:
      return "Maximum";
    case Reason::kInvalidMetrics:
      return "InvalidMetrics";
    case Reason::kNegativeProposal:
      return "NegativeProposal";
    case Reason::kReadyForNewScale:
      return "ReadyForNewScale";
    case Reason::kScaleUpStabilized:
      return "ScaleUpStabilized";
    case Reason::kScaleDownStabilized:
      return "ScaleDownStabilized";
    case Reason::kScaleUpLimit:
      return "ScaleUpLimit";
    case Reason::kScaleDownLimit:
      return "ScaleDownLimit";
    case Reason::kTooFewReplicas:
      return "TooFewReplicas";
    case Reason::kTooManyReplicas:
      return "TooManyReplicas";
    case Reason::kDesiredWithinRange:
      return "DesiredWithinRange";
    case Reason::kHeldSilentView:
      return "HeldSilentView";
    case Reason::kHeldAbsentValue:
      return "HeldAbsentValue";
    case Reason::kHeldNoReadyPods:
      return "HeldNoReadyPods";
    case Reason::kHeldOverflow:
      return "HeldOverflow";
    case Reason::kHeldCrashLoop:
      return "HeldCrashLoop";
    case Reason::kCrashLoopReleased:
      return "CrashLoopReleased";
    case Reason::kHeldUnschedulable:
      return "HeldUnschedulable";
    case Reason::kHeldQuotaExceeded:
      return "HeldQuotaExceeded";
  }
  return "";
}

std::string SelectorDump(const base::Boxed<base::LabelSelector>& selector) {
  if (!selector) return "nil";
  std::string out = "&LabelSelector{MatchLabels:map[string]string{";
  for (const auto& [key, value] : selector->match_labels) out += fmt::format("{}: {},", key, value);
  out += "},MatchExpressions:[]LabelSelectorRequirement{";
  for (const auto& e : selector->match_expressions) {
    out += fmt::format("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},", e.key, e.op,
                       fmt::join(e.values, " "));
  }
  return out + "},}";
}

std::string MetricName(const MetricSpec& spec) {
  if (spec.from_trigger) return "trigger metric " + spec.name;
  switch (spec.source) {
    case MetricSource::kResource:
    case MetricSource::kContainerResource:
      if (spec.target.average_value) return spec.name + " resource";
      return spec.name +
             (spec.source == MetricSource::kResource ? " resource" : " container resource") +
             " utilization (percentage of request)";
    case MetricSource::kPods:
      return "pods metric " + spec.name;
    case MetricSource::kObject:
      if (spec.target.kind == TargetKind::kValue)
        return fmt::format("{} metric {}", spec.described().kind, spec.name);
      [[fallthrough]];  // upstream names Object metrics with AverageValue like External ones
    case MetricSource::kExternal:
      return "external metric " + spec.name + '(' + SelectorDump(spec.selector) + ')';
    case MetricSource::kUnknown:
      break;
  }
  return spec.name;
}

std::string_view MetricFailureReason(MetricSource source) {
  switch (source) {
    case MetricSource::kResource:
      return "FailedGetResourceMetric";
    case MetricSource::kContainerResource:
      return "FailedGetContainerResourceMetric";
    case MetricSource::kPods:
      return "FailedGetPodsMetric";
    case MetricSource::kObject:
      return "FailedGetObjectMetric";
    case MetricSource::kExternal:
      return "FailedGetExternalMetric";
    case MetricSource::kUnknown:
      break;
  }
  return "InvalidMetricSourceType";
}

MetricErrorTexts DescribeMetricError(const MetricSpec& spec, const std::string& ns,
                                     const std::string& text, bool from_source) {
  MetricErrorTexts out;
  switch (spec.source) {
    case MetricSource::kResource:
    case MetricSource::kContainerResource: {
      const bool has_target = spec.target.average_value || spec.target.average_utilization;
      out.error = text;
      if (from_source)
        out.error = fmt::format("unable to get metrics for resource {}: {}", spec.name, text);
      if (has_target) {
        out.error = fmt::format("failed to get {} {}: {}", spec.name,
                                spec.target.average_value ? "usage" : "utilization", out.error);
      }
      out.wrapped =
          spec.source == MetricSource::kResource
              ? fmt::format("failed to get {} resource metric value: {}", spec.name, out.error)
              : fmt::format("failed to get {} container metric value: {}", spec.container,
                            out.error);
      return out;
    }
    case MetricSource::kPods:
      out.error = from_source ? fmt::format("unable to get metric {}: {}", spec.name, text) : text;
      out.wrapped = "failed to get pods metric value: " + out.error;
      return out;
    case MetricSource::kObject: {
      out.error = text;
      if (from_source) {
        out.error = fmt::format("unable to get metric {} on {} {}/{}: {}", spec.name,
                                spec.described().kind, ns, spec.described().name, text);
      }
      const bool average = spec.selector_error.empty() &&
                           spec.target.kind == TargetKind::kAverageValue &&
                           spec.target.average_value.has_value();
      out.wrapped =
          average
              ? fmt::format("failed to get object metric value: failed to get {} object metric: {}",
                            spec.name, out.error)
              : "failed to get object metric value: " + out.error;
      return out;
    }
    case MetricSource::kExternal: {
      if (spec.from_trigger) {
        out.error = from_source
                        ? fmt::format("unable to get trigger metric {}: {}", spec.name, text)
                        : text;
        out.wrapped = out.error;
        return out;
      }
      out.error = text;
      if (from_source) {
        out.error = fmt::format("unable to get external metric {}/{}/{}: {}", ns, spec.name,
                                SelectorDump(spec.selector), text);
      }
      std::string inner = out.error;
      if (spec.target.average_value) {
        inner = fmt::format("failed to get {} external metric: {}", spec.name, out.error);
      } else if (spec.target.value) {
        inner = fmt::format("failed to get external metric {}: {}", spec.name, out.error);
      }
      out.wrapped = fmt::format("failed to get {} external metric value: {}", spec.name, inner);
      return out;
    }
    case MetricSource::kUnknown:
      out.error = out.wrapped = text;
      return out;
  }
  return out;
}

std::string CurrentOfTarget(const MetricSpec& spec, const MetricTarget& target,
                            const MetricStatus* current) {
  const bool known = current != nullptr && current->valid;
  const bool resource =
      spec.source == MetricSource::kResource || spec.source == MetricSource::kContainerResource;
  const auto format = resource && spec.name == "memory" ? base::QuantityFormat::kBinarySI
                                                        : base::QuantityFormat::kDecimalSI;
  const auto amounts = [&](const std::optional<int64_t>& is, int64_t wanted,
                           std::string_view suffix) {
    return fmt::format("{}: {}/{}{}", spec.name,
                       known && is ? base::FormatMilli(*is, format) : "<unknown>",
                       base::FormatMilli(wanted, format), suffix);
  };
  const std::optional<int64_t> nothing;
  if (target.average_utilization) {
    return fmt::format("{}: {}/{}%", spec.name,
                       known && current->average_utilization
                           ? fmt::format("{}%", *current->average_utilization)
                           : "<unknown>",
                       *target.average_utilization);
  }
  if (target.average_value) {
    return amounts(known ? current->average_value : nothing, *target.average_value, " (avg)");
  }
  if (target.value) return amounts(known ? current->value : nothing, *target.value, "");
  return fmt::format("{}: <unknown>", spec.name);
}

std::string_view AbleToScaleMessage(Reason reason) {
  switch (reason) {
    case Reason::kScaleUpStabilized:
      return "recent recommendations were lower than current one, applying the lowest recent "
             "recommendation";
    case Reason::kScaleDownStabilized:
      return "recent recommendations were higher than current one, applying the highest recent "
             "recommendation";
    default:
      return "recommended size matches current size";
  }
}

std::string_view ScalingLimitedMessage(Reason reason) {
  switch (reason) {
    case Reason::kScaleUpLimit:
      return "the desired replica count is increasing faster than the maximum scale rate";
    case Reason::kScaleDownLimit:
      return "the desired replica count is decreasing faster than the maximum scale rate";
    case Reason::kTooFewReplicas:
      return "the desired replica count is less than the minimum replica count";
    case Reason::kTooManyReplicas:
      return "the desired replica count is more than the maximum replica count";
    case Reason::kHeldSilentView:
      return "scale-down is held: nothing was heard from the API server for too long";
    case Reason::kHeldAbsentValue:
      return "scale-down is held: a metric's source had no value";
    case Reason::kHeldNoReadyPods:
      return "scale-down is held: no pod is ready";
    case Reason::kHeldOverflow:
      return "scale-down is held: a metric's value left the range of the calculation";
    case Reason::kHeldCrashLoop:
      return "scale-up is held: at least half of the pods are in CrashLoopBackOff";
    case Reason::kHeldUnschedulable:
      return "scale-up is held by spec.holdScaleUp: pods are unschedulable";
    case Reason::kHeldQuotaExceeded:
      return "scale-up is held by spec.holdScaleUp: a quota refuses pods";
    default:
      return "the desired count is within the acceptable range";
  }
}

std::string RescaleReasonText(const Decision& decision, const MetricSpec* winner) {
  switch (decision.rescale_reason) {
    case RescaleReason::kMetricAboveTarget:
      return (winner == nullptr ? "" : MetricName(*winner)) + " above target";
    case RescaleReason::kAllMetricsBelowTarget:
      return "All metrics below target";
    case RescaleReason::kAboveMax:
      return "Current number of replicas above Spec.MaxReplicas";
    case RescaleReason::kBelowMin:
      return "Current number of replicas below Spec.MinReplicas";
    case RescaleReason::kNone:
      break;
  }
  return "";
}

}  // namespace neap::core
