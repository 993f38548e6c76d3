// KEDA's `cpu` and `memory` triggers: no scaler reads them, they are Resource or ContainerResource
// metrics written as a trigger. Used by the decoders and by `neapctl conformance`. Pure functions.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "autoscaler/catalog/catalog.h"
#include "autoscaler/core/spec.h"

namespace neap::kube::objects {

bool IsResourceTrigger(std::string_view type);  // "cpu", "memory"

// What such a trigger takes, for checks and help.
const catalog::TriggerType& ResourceTriggerType(std::string_view type);

struct ResourceTrigger {
  core::MetricSpec metric;
  std::string target_text;  // percent, or the quantity in canonical form: "50", "500m", "1Gi"
};

// `metric_type` as written: Utilization (value is an int32 percent of the request) or AverageValue
// (value is a quantity). As KEDA's parser: any sign is taken; the decoders then refuse what is not
// above zero, as the HPA's admission does with KEDA's object. Errors: InvalidArgument, one line,
// every problem.
absl::StatusOr<ResourceTrigger> ParseResourceTrigger(std::string_view type,
                                                     const catalog::Texts& metadata,
                                                     std::string_view metric_type);

}  // namespace neap::kube::objects
