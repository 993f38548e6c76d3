// The metrics-api scaler: one number of an HTTP answer in JSON, YAML, XML or the Prometheus text
// format. See README.md for the parameters.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers::metrics_api {

std::vector<std::unique_ptr<sdk::Scaler>> Make();

}  // namespace neap::scalers::metrics_api
