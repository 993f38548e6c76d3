// What both HPA families share: pods, templates, samples and times of a vector as core's types.
// Times are milliseconds from t0. Private to the conformance runner.
#pragma once

#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autoscaler/core/observation.h"

namespace neap::conformance {

using Json = nlohmann::json;

struct World {
  absl::Time t0;
  std::vector<core::PodRequests> requests;
  std::vector<core::Pod> pods;

  absl::Time At(int64_t ms) const { return t0 + absl::Milliseconds(ms); }
  void ReadTemplates(const Json& templates);
  void ReadPods(const Json& list);
  // {podName: [value, timestamp, window]} joined to `pods`.
  core::PodSamples Samples(const Json& samples) const;
};

}  // namespace neap::conformance
