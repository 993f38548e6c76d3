// The kubernetes-metrics scaler: the HPA's own metric sources (resource, container resource, pods,
// object and external metrics) from the three metrics APIs. See README.md for the parameters of its
// five trigger types.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers::kubernetes_metrics {

std::vector<std::unique_ptr<sdk::Scaler>> Make();

}  // namespace neap::scalers::kubernetes_metrics
