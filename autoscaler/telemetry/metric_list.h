// The list of everything that /metrics shows: name, type, labels, what it means, and whose metric
// it stands for. Nothing is exported that is not listed here (the exporters look their HELP and
// TYPE up), so the table in the documents can be made and checked from it. Immutable; thread-safe.
//
// Names begin with neap_, save the four process_ ones, which Prometheus' conventions name. Where
// the HPA, kube-state-metrics or KEDA has a metric for the same thing, ours has its labels, and its
// name with another prefix.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace neap::telemetry {

enum class MetricType : uint8_t { kCounter, kGauge, kHistogram };
std::string_view MetricTypeName(MetricType type);  // "counter", "gauge", "histogram"

struct MetricInfo {
  std::string_view name;
  MetricType type = MetricType::kGauge;
  std::string_view labels;  // comma separated; "" = none
  std::string_view help;    // one sentence, no line break
  std::string_view like;    // the metric of HPA, kube-state-metrics or KEDA; "" = none
};

// Process-wide series first, then those of single objects.
std::span<const MetricInfo> MetricList();

// The entry of that name; it must be there (NEAP_CHECK).
const MetricInfo& FindMetric(std::string_view name);

// The list as a Markdown table, for the documents.
std::string MetricTable();

}  // namespace neap::telemetry
