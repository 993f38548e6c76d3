// What a scaler may not say: checked here, so that its author learns of it by name and the host is
// told of a fault of this scaler instead of a broken contract. Pure functions.
#pragma once

#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// The reading with exactly one entry for each metric of its trigger, in their order. A metric that
// is missing, named twice, without value, not finite, without `active` where it is required, or
// with columns of unequal length is a kInternal error. Metrics that the trigger does not have are
// left out, and named in the error of one that is missing. Negative zero becomes 0.
Reading CheckReading(const std::vector<MetricSpec>& metrics, Reading reading);

}  // namespace neap::sdk
