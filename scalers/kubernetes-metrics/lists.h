// The lists of the three metrics APIs as plain values: PodMetricsList (metrics.k8s.io/v1beta1),
// MetricValueList (custom.metrics.k8s.io v1beta1 and v1beta2) and ExternalMetricValueList
// (external.metrics.k8s.io/v1beta1). Decoded by simdjson, keeping what a decision uses. Used by
// this scaler alone; no I/O; values are immutable after decoding.
//
// A quantity that can't be parsed, or an item without its name or value, makes the whole list an
// error: the HPA's client fails the whole request then, too, and a value left out would look like
// a missing pod.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/selector.h"

namespace neap::scalers::kubernetes_metrics {

// One pod of a PodMetricsList.
struct PodUsage {
  struct Amount {
    std::string resource;
    int64_t milli = 0;  // rounded away from zero, as upstream takes it per container
  };
  struct Container {
    std::string name;
    std::vector<Amount> usage;
  };
  std::string name;
  base::Labels labels;
  absl::Time at = absl::UnixEpoch();
  absl::Duration window = absl::ZeroDuration();
  std::vector<Container> containers;

  // Sum over the containers, or nothing when one of them (or every one) lacks the resource.
  std::optional<int64_t> OfPod(std::string_view resource) const;
  // Of the first container of that name, or nothing.
  std::optional<int64_t> OfContainer(std::string_view container, std::string_view resource) const;
};

// One item of a MetricValueList.
struct ObjectValue {
  std::string name;  // describedObject.name
  int64_t milli = 0;
  absl::Time at = absl::UnixEpoch();
  absl::Duration window = absl::Seconds(60);  // upstream's default where the server says none
};

// One item of an ExternalMetricValueList.
struct ExternalValue {
  int64_t milli = 0;
  absl::Time at = absl::UnixEpoch();
};

// Errors: InvalidArgument that names the item and the field, without the prefix of a URL.
// `continue_token` gets metadata.continue, "" at the last page.
absl::StatusOr<std::vector<PodUsage>> DecodePodMetrics(std::string_view body,
                                                       std::string& continue_token);
absl::StatusOr<std::vector<ObjectValue>> DecodeMetricValues(std::string_view body);
absl::StatusOr<std::vector<ExternalValue>> DecodeExternalValues(std::string_view body);

}  // namespace neap::scalers::kubernetes_metrics
