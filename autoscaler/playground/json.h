// The JSON that the playground builds and patches: nlohmann's, which keeps the order of members.
#pragma once

#include <nlohmann/json.hpp>

namespace neap::playground {

using Json = nlohmann::ordered_json;

}  // namespace neap::playground
