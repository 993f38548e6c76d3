// PackedTime: an absl::Time in eight bytes instead of twelve, exact to the nanosecond within 272
// years of 1970; what lies beyond is moved to the nearest such time, the infinite ones stay. For
// tables with very many times. A plain value; it converts from and to absl::Time and compares with
// it.
#pragma once

#include <absl/time/time.h>

#include <compare>
#include <cstdint>
#include <limits>

namespace neap::base {

class PackedTime {
 public:
  PackedTime() = default;      // InfinitePast
  PackedTime(absl::Time time)  // NOLINT(google-explicit-constructor): it stands for an absl::Time
      : packed_(Pack(time)) {}
  operator absl::Time() const { return Unpack(); }  // NOLINT(google-explicit-constructor)

  friend bool operator==(PackedTime a, PackedTime b) = default;
  friend auto operator<=>(PackedTime a, PackedTime b) = default;
  friend bool operator==(PackedTime a, absl::Time b) { return a.Unpack() == b; }
  friend std::strong_ordering operator<=>(PackedTime a, absl::Time b) {
    const absl::Time time = a.Unpack();
    return time < b   ? std::strong_ordering::less
           : b < time ? std::strong_ordering::greater
                      : std::strong_ordering::equal;
  }
  friend absl::Duration operator-(PackedTime a, PackedTime b) { return a.Unpack() - b.Unpack(); }

 private:
  static constexpr int64_t kPast = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kFuture = std::numeric_limits<int64_t>::max();
  static constexpr int kNanoBits = 30;
  static constexpr int64_t kLimit = int64_t{1} << (63 - kNanoBits);  // seconds

  // Seconds above, nanoseconds below: whole seconds need no division on their way back.
  static int64_t Pack(absl::Time time) {
    if (time == absl::InfinitePast()) return kPast;
    if (time == absl::InfiniteFuture()) return kFuture;
    const int64_t seconds = absl::ToUnixSeconds(time);  // rounded down
    if (seconds < -kLimit) return kPast + 1;
    if (seconds >= kLimit) return kFuture - 1;
    const int64_t nanos = absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds));
    const int64_t packed = seconds * (int64_t{1} << kNanoBits) + nanos;
    return packed == kPast ? kPast + 1 : packed;
  }
  absl::Time Unpack() const {
    if (packed_ == kPast) return absl::InfinitePast();
    if (packed_ == kFuture) return absl::InfiniteFuture();
    const absl::Time time = absl::FromUnixSeconds(packed_ >> kNanoBits);
    const int64_t nanos = packed_ & ((int64_t{1} << kNanoBits) - 1);
    return nanos == 0 ? time : time + absl::Nanoseconds(nanos);
  }

  int64_t packed_ = kPast;
};

}  // namespace neap::base
