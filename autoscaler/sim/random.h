// Random: the virtual world's only source of chance. Integer arithmetic alone (splitmix64), so that
// one seed gives the same numbers on every machine and with every compiler. Owned by World, one per
// world; one thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace neap::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to n - 1; n > 0. The bias of the remainder is below n / 2^64.
  uint64_t Below(uint64_t n) { return Next() % n; }
  // `min` to `max`, both included, in whole milliseconds.
  absl::Duration Between(absl::Duration min, absl::Duration max) {
    const int64_t span = absl::ToInt64Milliseconds(max - min);
    return span <= 0 ? min
                     : min + absl::Milliseconds(
                                 static_cast<int64_t>(Below(static_cast<uint64_t>(span) + 1)));
  }
  // `n` letters and digits as Kubernetes puts them at the end of generated names.
  std::string Suffix(int n) {
    constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
    std::string out;
    for (int i = 0; i < n; ++i) out += kLetters[Below(kLetters.size())];
    return out;
  }

 private:
  uint64_t state_;
};

}  // namespace neap::sim
