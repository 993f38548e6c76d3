#include "autoscaler/record/owned_observation.h"

#include <tuple>

namespace neap::record {
namespace {

auto Fields(const OwnedObservation& o) {
  return std::tie(o.now, o.scale, o.scale_error, o.selector_error, o.pods, o.requests, o.metrics,
                  o.readings, o.overlapping, o.previous, o.views_synced, o.views_silent,
                  o.takes_base);
}

template <typename T>
std::optional<T> Copy(const T* value) {
  return value == nullptr ? std::optional<T>() : std::optional<T>(*value);
}

template <typename T>
const T* Pointer(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

}  // namespace

bool OwnedObservation::operator==(const OwnedObservation& other) const {
  return Fields(*this) == Fields(other);
}

OwnedObservation OwnedObservation::Of(const core::Observation& seen) {
  OwnedObservation out;
  out.now = seen.now;
  out.scale = Copy(seen.scale);
  out.scale_error = Copy(seen.scale_error);
  out.selector_error = Copy(seen.selector_error);
  out.pods.assign(seen.pods.begin(), seen.pods.end());
  out.requests.assign(seen.requests.begin(), seen.requests.end());
  for (const core::MetricInput& input : seen.metrics) {
    out.metrics.push_back({.spec = *input.spec, .stale_after = input.stale_after});
    out.readings.push_back(*input.reading);
  }
  out.overlapping.assign(seen.overlapping.begin(), seen.overlapping.end());
  out.previous = *seen.previous;
  out.views_synced = seen.views_synced;
  out.views_silent = seen.views_silent;
  out.takes_base = seen.takes_base;
  return out;
}

core::Observation OwnedObservation::View() {
  inputs_.clear();
  for (size_t i = 0; i < metrics.size(); ++i) {
    inputs_.push_back(
        {.spec = &metrics[i].spec, .reading = &readings[i], .stale_after = metrics[i].stale_after});
  }
  core::Observation seen;
  seen.now = now;
  seen.scale = Pointer(scale);
  seen.scale_error = Pointer(scale_error);
  seen.selector_error = Pointer(selector_error);
  seen.pods = pods;
  seen.requests = requests;
  seen.metrics = inputs_;
  seen.overlapping = overlapping;
  seen.previous = &previous;
  seen.views_synced = views_synced;
  seen.views_silent = views_silent;
  seen.takes_base = takes_base;
  return seen;
}

}  // namespace neap::record
