// Words: conditions, events, metric names and explanations, with the HPA's texts where the HPA has
// one. Made in Remember and Explain, and in Decide only where an error is composed. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "autoscaler/base/selector.h"
#include "autoscaler/core/decision.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/core/status.h"

namespace neap::core {

std::string_view StageName(Stage stage);     // "gate", "propose", ...
std::string_view ReasonName(Reason reason);  // "ScaleUpLimit", "WithinTolerance", ...

// What a metric is called in messages: "cpu resource utilization (percentage of request)", "pods
// metric rps", "external metric queue(nil)", "trigger metric s0-redis-jobs".
std::string MetricName(const MetricSpec& spec);

// Go's print of a label selector, which events and errors show: nil or &LabelSelector{...}.
std::string SelectorDump(const base::Boxed<base::LabelSelector>& selector);

// Event and condition reason of a failed metric of this source: "FailedGetResourceMetric",
// "InvalidMetricSourceType".
std::string_view MetricFailureReason(MetricSource source);

// A failed metric's two texts, as upstream's: `error` for its event and condition, `wrapped` for
// the aggregate error.
struct MetricErrorTexts {
  std::string error;
  std::string wrapped;
};
// `from_source`: the text is the metric source's, else the calculator's.
MetricErrorTexts DescribeMetricError(const MetricSpec& spec, const std::string& ns,
                                     const std::string& text, bool from_source);

// "cpu: 45%/60%": what a metric is and what it is to be, as `kubectl get hpa` shows it. `current`
// is null when it is not known.
std::string CurrentOfTarget(const MetricSpec& spec, const MetricTarget& target,
                            const MetricStatus* current);

// Condition and event texts.
std::string_view AbleToScaleMessage(Reason reason);
std::string_view ScalingLimitedMessage(Reason reason);
std::string RescaleReasonText(const Decision& decision, const MetricSpec* winner);

}  // namespace neap::core
