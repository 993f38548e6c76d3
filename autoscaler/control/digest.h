// Digest: a 64-bit hash of values in a row, the same on every machine and in every run. For telling
// whether something changed and for ids of equal content; not against adversaries. A plain value.
#pragma once

#include <absl/time/time.h>

#include <bit>
#include <cstdint>
#include <string_view>

namespace neap::control {

class Digest {
 public:
  explicit Digest(uint64_t seed = 0) : state_(seed ^ 0x9e3779b97f4a7c15ULL) {}

  Digest& Word(uint64_t word) {  // splitmix64's finaliser over the running state
    uint64_t x = state_ ^ (word + 0x9e3779b97f4a7c15ULL + (state_ << 6) + (state_ >> 2));
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    state_ = x ^ (x >> 31);
    return *this;
  }
  Digest& Signed(int64_t value) { return Word(static_cast<uint64_t>(value)); }
  Digest& Real(double value) { return Word(std::bit_cast<uint64_t>(value)); }
  Digest& At(absl::Time time) { return Signed(absl::ToUnixNanos(time)); }
  Digest& For(absl::Duration duration) { return Signed(absl::ToInt64Nanoseconds(duration)); }
  Digest& Text(std::string_view text) {
    const size_t size = text.size();
    for (; text.size() >= 8; text.remove_prefix(8)) Word(EightBytes(text.data()));
    uint64_t rest = 0;
    for (const char c : text) rest = (rest << 8) | static_cast<unsigned char>(c);
    return Word(rest).Word(size);
  }
  uint64_t value() const { return state_; }

 private:
  static uint64_t EightBytes(const char* text) {  // big-endian; compilers make one load of it
    const auto at = [text](int i) {
      return uint64_t{static_cast<unsigned char>(text[i])} << (56 - 8 * i);
    };
    return at(0) | at(1) | at(2) | at(3) | at(4) | at(5) | at(6) | at(7);
  }

  uint64_t state_;
};

}  // namespace neap::control
