// Upstream's number conversions. A double outside the integer's range, or NaN, becomes the most
// negative integer, as Go does on amd64; sums and products wrap. These results are part of the
// HPA's behaviour (and differ by CPU in Go), so every conversion in core goes through here. Pure
// functions.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace neap::core {

inline int32_t ToInt32(double value) {
  if (value > -2147483649.0 && value < 2147483648.0)
    return static_cast<int32_t>(value);  // false for NaN
  return std::numeric_limits<int32_t>::min();
}

inline int64_t ToInt64(double value) {
  if (value >= -9223372036854775808.0 && value < 9223372036854775808.0)
    return static_cast<int64_t>(value);
  return std::numeric_limits<int64_t>::min();
}

inline bool FitsInt32(double value) { return value > -2147483649.0 && value < 2147483648.0; }

inline int32_t CeilToInt32(double value) { return ToInt32(std::ceil(value)); }

inline int64_t WrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
inline int64_t WrapMultiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
inline int32_t WrapAdd32(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
inline int32_t WrapSubtract32(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
}
// Truncating division; the one quotient that does not fit wraps. `b` is not 0.
inline int64_t WrapDivide(int64_t a, int64_t b) {
  if (b == -1) return static_cast<int64_t>(0 - static_cast<uint64_t>(a));
  return a / b;
}
inline int32_t Narrow32(int64_t value) {
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(value)));
}

}  // namespace neap::core
