// The prometheus scaler: the value of an instant query. See README.md for the parameters.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers::prometheus {

std::vector<std::unique_ptr<sdk::Scaler>> Make();

}  // namespace neap::scalers::prometheus
