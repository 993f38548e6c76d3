// MakeAll: every scaler of this build, in the order of their folders. Its definition is generated,
// see CMakeLists.txt.
#pragma once

#include <memory>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::scalers {

std::vector<std::unique_ptr<sdk::Scaler>> MakeAll();

}  // namespace neap::scalers
