// The cron scaler: a number of replicas between a start and an end schedule, 0 outside. See
// README.md for the parameters.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers::cron {

std::vector<std::unique_ptr<sdk::Scaler>> Make();

}  // namespace neap::scalers::cron
