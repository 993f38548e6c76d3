// NAMESPACE/NAME, as users name an object on the command line.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "autoscaler/base/status.h"
#include "autoscaler/core/spec.h"

namespace neap::ctl {

inline absl::StatusOr<core::ObjectKey> ParseKey(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return base::InvalidArgument("--object: \"{}\" is not NAMESPACE/NAME", text);
  }
  return core::ObjectKey{.ns = text.substr(0, slash), .name = text.substr(slash + 1)};
}

}  // namespace neap::ctl
