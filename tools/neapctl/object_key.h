// NAMESPACE/NAME, as users name an object on the command line.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "autoscaler/base/status.h"
#include "autoscaler/core/spec.h"

namespace neap::ctl {

inline absl::StatusOr<core::ObjectKey> ParseKey(const std::string& text) {
  auto key = core::ObjectKey::Parse(text);
  if (!key) return base::InvalidArgument("--object: \"{}\" is not NAMESPACE/NAME", text);
  return *std::move(key);
}

}  // namespace neap::ctl
