// Parts of reading objects that policies (policy.cc) and scenarios (scenario.cc) share. Pure.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/objects/objects.h"
#include "autoscaler/sim/policy.h"

namespace neap::sim {

kube::objects::DecodeOptions StrictObjects(const ScenarioOptions& options);

// Unique per kind and name, since a simulated object has none from an API server.
std::string ObjectUid(const core::AutoscalerSpec& spec);

bool IsKeda(const value::Value& document);
// Unimplemented, naming the KEDA object.
absl::Status KedaObject(const value::Value& document, std::string_view source);

// What the scaler makes of a trigger. Errors name the trigger and the parameter.
absl::StatusOr<Policy::Trigger> OpenPolicyTrigger(const core::AutoscalerSpec& spec, size_t index,
                                                  const ScenarioOptions& options);

}  // namespace neap::sim
