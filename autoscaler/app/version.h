// The version of this build, as --version and neap_build_info show it.
#pragma once

namespace neap::app {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace neap::app
