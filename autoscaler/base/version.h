// The version of this build, from CMake's project: what every program says of itself, what the
// journal is stamped with. Thread-safe.
#pragma once

#include <string_view>

namespace neap::base {

std::string_view Version();  // "0.1.0"

}  // namespace neap::base
