#include "scalers/sdk/check_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace neap::sdk {
namespace {

Error Fault(std::string message) {
  return {.kind = ErrorKind::kInternal, .message = "fault of the scaler: " + std::move(message)};
}

std::string FaultOf(Series& series, const MetricSpec& metric) {
  if (!series.milli.empty() && !series.real.empty()) return "both milli and real are filled";
  // An external metric of the HPA may have no series; a trigger always has a value.
  if (series.milli.empty() && series.real.empty() && metric.target) return "there is no value";
  for (double& value : series.real) {
    if (!std::isfinite(value)) return fmt::format("the value is {}", value);
    if (value == 0) value = 0;  // not -0
  }
  return "";
}

std::string FaultOf(const PodValues& pods) {
  const size_t count = pods.pod.size();
  const auto fits = [count](size_t size) { return size == count || (size == 1 && count > 0); };
  if (pods.milli.size() != count || !fits(pods.sampled_at.size()) || !fits(pods.window.size())) {
    return fmt::format("columns of unequal length: {} pods, {} values, {} times, {} windows", count,
                       pods.milli.size(), pods.sampled_at.size(), pods.window.size());
  }
  const bool unnamed = std::ranges::any_of(pods.pod, &std::string::empty);
  return unnamed ? "a pod without a name" : "";
}

std::string FaultOf(MetricReading& reading, const MetricSpec& metric) {
  if (std::holds_alternative<Error>(reading.result)) return "";
  if (reading.age < absl::ZeroDuration()) return "the age is negative";
  if (metric.has_activity && !reading.active) return "it does not say whether it is active";
  if (PodValues* pods = std::get_if<PodValues>(&reading.result)) return FaultOf(*pods);
  return FaultOf(std::get<Series>(reading.result), metric);
}

MetricReading Failed(const MetricSpec& metric, std::string fault) {
  MetricReading out;
  out.name = metric.name;
  out.result = Fault(fmt::format("metric \"{}\": {}", metric.name, fault));
  return out;
}

}  // namespace

Reading CheckReading(const std::vector<MetricSpec>& metrics, Reading reading) {
  if (reading.error) {
    reading.metrics.clear();
    return reading;
  }
  std::string strangers;  // most often a misspelt name of one that is missing
  for (const MetricReading& read : reading.metrics) {
    const bool known = std::ranges::any_of(
        metrics, [&](const MetricSpec& metric) { return metric.name == read.name; });
    if (!known) strangers += fmt::format(", but one of \"{}\"", read.name);
  }
  Reading out;
  out.metrics.reserve(metrics.size());
  for (const MetricSpec& metric : metrics) {
    const auto has_name = [&](const MetricReading& read) { return read.name == metric.name; };
    const auto found = std::ranges::find_if(reading.metrics, has_name);
    if (found == reading.metrics.end()) {
      out.metrics.push_back(Failed(metric, "there is no reading of it" + strangers));
    } else if (std::count_if(found, reading.metrics.end(), has_name) > 1) {
      out.metrics.push_back(Failed(metric, "it was read twice"));
    } else if (std::string fault = FaultOf(*found, metric); !fault.empty()) {
      out.metrics.push_back(Failed(metric, std::move(fault)));
    } else {
      out.metrics.push_back(std::move(*found));
    }
  }
  return out;
}

}  // namespace neap::sdk
