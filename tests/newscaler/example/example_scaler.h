// The example scaler: the number of lines of a file. See README.md for the parameters.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers::example {

std::vector<std::unique_ptr<sdk::Scaler>> Make();

}  // namespace neap::scalers::example
