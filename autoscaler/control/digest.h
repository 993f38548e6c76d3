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
    uint64_t word = 0;
    int filled = 0;
    for (const char c : text) {
      word = (word << 8) | static_cast<unsigned char>(c);
      if (++filled == 8) {
        Word(word);
        word = 0;
        filled = 0;
      }
    }
    return Word(word).Word(text.size());
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_;
};

}  // namespace neap::control
