// How single values are written in neap.record.v1: times, durations, enums. Of the codec alone.
// Pure functions.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <limits>
#include <string_view>

#include "autoscaler/base/status.h"

namespace neap::record {

inline constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
inline constexpr int64_t kGreatest = std::numeric_limits<int64_t>::max();

inline int64_t Nanos(absl::Time time) { return absl::ToUnixNanos(time); }  // saturates
inline absl::Time TimeOf(int64_t nanos) {
  if (nanos == kLeast) return absl::InfinitePast();
  if (nanos == kGreatest) return absl::InfiniteFuture();
  return absl::FromUnixNanos(nanos);
}

inline int64_t Nanos(absl::Duration duration) {
  return absl::ToInt64Nanoseconds(duration);  // saturates
}
inline absl::Duration DurationOf(int64_t nanos) {
  if (nanos == kLeast) return -absl::InfiniteDuration();
  if (nanos == kGreatest) return absl::InfiniteDuration();
  return absl::Nanoseconds(nanos);
}

// Enums: core's value + 1. `last` is core's last enumerator, `field` names the enum in the error.
template <typename Wire, typename Core>
Wire EnumOf(Core value) {
  return static_cast<Wire>(static_cast<int>(value) + 1);
}
template <typename Core>
absl::Status DecodeEnum(int wire, Core last, std::string_view field, Core* out) {
  if (wire < 1 || wire > static_cast<int>(last) + 1) {
    return base::InvalidArgument(
        "{} is {}, which this version does not know (1 to {}): written by another version", field,
        wire, static_cast<int>(last) + 1);
  }
  *out = static_cast<Core>(wire - 1);
  return absl::OkStatus();
}

}  // namespace neap::record
