// The text of a file, for whoever reads configuration, objects or worlds from files (sim,
// playground). A free function; thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace neap::base {

// The whole file. NotFound, naming it, when it can't be opened or read.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace neap::base
