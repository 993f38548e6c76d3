// Durations and times as text: Go durations ("1m30s", "15.04s", "500ms") as Kubernetes writes them,
// and RFC 3339 times.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <string_view>

namespace neap::base {

// Units ns, us, µs, ms, s, m, h with fractions; an optional sign; "0" alone is zero. A bare number
// is an error.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);
// "1m30s", "15s", "1.5s", "250ms", "0s": Go's form.
std::string FormatDuration(absl::Duration duration);

// RFC 3339 with optional fraction and zone ("2026-01-01T00:00:00.5Z").
absl::StatusOr<absl::Time> ParseTime(std::string_view text);
std::string FormatTime(absl::Time time);       // whole seconds, UTC: "2026-01-01T00:00:00Z"
std::string FormatTimeMicro(absl::Time time);  // six decimals, UTC (Lease's MicroTime)

}  // namespace neap::base
