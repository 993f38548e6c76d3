#include "autoscaler/base/duration.h"

#include <cstdint>

#include "autoscaler/base/status.h"

namespace neap::base {

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  absl::Duration duration;
  // Go also knows the micro sign, in two spellings, where Abseil knows "us" alone.
  std::string ascii(text);
  for (const std::string_view micro : {"\xC2\xB5s", "\xCE\xBCs"}) {
    for (size_t at; (at = ascii.find(micro)) != std::string::npos;)
      ascii.replace(at, micro.size(), "us");
  }
  const bool infinite = ascii.find("inf") != std::string::npos;  // Abseil's word, not Kubernetes'
  if (infinite || !absl::ParseDuration(ascii, &duration)) {
    return InvalidArgument("\"{}\" is not a duration such as 30s, 1m30s or 500ms", text);
  }
  return duration;
}

std::string FormatDuration(absl::Duration duration) {
  const int64_t total = absl::ToInt64Nanoseconds(duration);
  if (total == 0) return "0s";
  std::string text = total < 0 ? "-" : "";
  uint64_t ns = total < 0 ? 0 - static_cast<uint64_t>(total) : static_cast<uint64_t>(total);
  const auto fraction = [](uint64_t value, uint64_t unit, std::string_view name) {
    std::string out = std::to_string(value / unit);
    std::string rest = std::to_string(unit + value % unit).substr(1);
    while (!rest.empty() && rest.back() == '0') rest.pop_back();
    if (!rest.empty()) out += "." + rest;
    return out + std::string(name);
  };
  if (ns < 1000) return text + fraction(ns, 1, "ns");
  if (ns < 1000000) return text + fraction(ns, 1000, "\xC2\xB5s");
  if (ns < 1000000000) return text + fraction(ns, 1000000, "ms");
  const uint64_t hours = ns / 3600000000000;
  const uint64_t minutes = ns / 60000000000 % 60;
  if (hours > 0) text += std::to_string(hours) + "h";
  if (hours > 0 || minutes > 0) text += std::to_string(minutes) + "m";
  return text + fraction(ns % 60000000000, 1000000000, "s");
}

absl::StatusOr<absl::Time> ParseTime(std::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, std::string(text), &time, &error)) {
    return InvalidArgument("\"{}\" is not an RFC 3339 time: {}", text, error);
  }
  return time;
}

std::string FormatTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string FormatTimeMicro(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

}  // namespace neap::base
