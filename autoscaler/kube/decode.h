// Decoders of the API's own kinds, keeping only the fields that decisions use: workloads as scales,
// Scale objects, pods. Errors are DataLoss: the JSON is broken or not of the API's schema. Pure
// functions over the parser's input.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "autoscaler/control/messages.h"
#include "autoscaler/core/observation.h"
#include "autoscaler/kube/api/json.h"
#include "autoscaler/kube/interner.h"

namespace neap::kube {

// A Deployment, ReplicaSet or StatefulSet, as its scale subresource would show it.
struct Workload {
  std::string ns;
  std::string name;
  core::Scale scale;
};
absl::Status DecodeWorkload(api::JsonObject& object, Workload* out);

// autoscaling/v1 Scale. `where` names the answer in errors.
absl::StatusOr<core::Scale> DecodeScale(std::string_view json, std::string_view where);

struct DecodedPod {
  std::string ns;
  control::PodState state;
  std::string
      problem;  // what in it made no sense (an amount, a time) and was left out; "" if nothing
};
absl::Status DecodePod(api::JsonObject& object, Interner& interner, DecodedPod* out);

}  // namespace neap::kube
