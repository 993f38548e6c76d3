// Stamp: an absl::Time in half its size, for the many that are kept: whole nanoseconds of the years
// 1678 to 2262, what lies beyond is InfinitePast or InfiniteFuture. Converts both ways by itself. A
// value.
#pragma once

#include <absl/time/time.h>

#include <compare>
#include <cstdint>
#include <limits>

namespace neap::base {

class Stamp {
 public:
  constexpr Stamp() : Stamp(kPast) {}  // InfinitePast
  Stamp(absl::Time time) : Stamp(Nanoseconds(time)) {}

  operator absl::Time() const {
    const int64_t ns = value();
    if (ns == kPast) return absl::InfinitePast();
    if (ns == kFuture) return absl::InfiniteFuture();
    return absl::FromUnixNanos(ns);
  }
  friend constexpr bool operator==(Stamp a, Stamp b) = default;
  friend constexpr std::strong_ordering operator<=>(Stamp a, Stamp b) {
    return a.value() <=> b.value();
  }
  friend bool operator==(Stamp a, absl::Time b) { return absl::Time(a) == b; }
  friend std::strong_ordering operator<=>(Stamp a, absl::Time b) {
    const absl::Time time = a;
    return time < b   ? std::strong_ordering::less
           : time > b ? std::strong_ordering::greater
                      : std::strong_ordering::equal;
  }
  friend absl::Duration operator-(Stamp a, Stamp b) { return absl::Time(a) - absl::Time(b); }
  friend absl::Duration operator-(Stamp a, absl::Time b) { return absl::Time(a) - b; }
  friend absl::Duration operator-(absl::Time a, Stamp b) { return a - absl::Time(b); }
  Stamp& operator+=(absl::Duration d) { return *this = absl::Time(*this) + d; }

 private:
  static constexpr int64_t kPast = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kFuture = std::numeric_limits<int64_t>::max();

  explicit constexpr Stamp(int64_t ns)
      : low_(static_cast<uint32_t>(ns)), high_(static_cast<int32_t>(ns >> 32)) {}
  constexpr int64_t value() const {
    return static_cast<int64_t>(static_cast<uint64_t>(static_cast<uint32_t>(high_)) << 32 | low_);
  }
  static int64_t Nanoseconds(absl::Time time) {  // saturates as ToInt64Nanoseconds does
    return absl::ToInt64Nanoseconds(time - absl::UnixEpoch());
  }

  // Two halves: four bytes are enough of an alignment, so that pairs with an int32_t have no gaps.
  uint32_t low_;
  int32_t high_;
};
static_assert(sizeof(Stamp) == 8 && alignof(Stamp) == 4);

}  // namespace neap::base
