// The redis scaler: the length of a list, set, sorted set or hash of one Redis server. See
// README.md for the parameters.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers::redis {

std::vector<std::unique_ptr<sdk::Scaler>> Make();

}  // namespace neap::scalers::redis
