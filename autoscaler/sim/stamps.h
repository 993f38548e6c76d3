// Stamps: times and numbers as recorded traces have them. Used by TraceReader; one thread only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace neap::sim {

// Times of one file: remembers the last date, since many rows have the same.
class Stamps {
 public:
  // Nanoseconds since 1970 of Unix seconds (milliseconds beyond 10^11, microseconds beyond 10^14,
  // nanoseconds beyond 10^17), with a fraction or not, or of a date (1680 to 2260) alone or with a
  // time of day, "2014-07-01 00:00[:00[.1234567]]" or RFC 3339; without a zone it is UTC.
  std::optional<int64_t> Parse(std::string_view text);

 private:
  std::array<char, 10> date_ = {};
  int64_t midnight_ = 0;
};

// The whole of `text` as a number, which may be infinite or NaN.
std::optional<double> ParseNumber(std::string_view text);

}  // namespace neap::sim
