// Uid: an object's uid as the key of tables that have an entry per object. The UUIDs that an API
// server gives take 16 bytes and nothing on the heap, a tenth of what a std::string of one takes;
// any other text (of objects from files, say) is kept as it is. A value; equal texts are equal.
//
//   base::Lookup<base::Uid, Entry> entries;
//   entries[base::Uid(record.uid)].decisions++;
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace neap::base {

class Uid {
 public:
  Uid() = default;  // of the text ""
  explicit Uid(std::string_view text);
  ~Uid() { DropText(); }
  Uid(const Uid& other);
  Uid(Uid&& other) noexcept
      : high_(std::exchange(other.high_, 0)), low_(std::exchange(other.low_, kText)) {}
  Uid& operator=(Uid other) noexcept {
    std::swap(high_, other.high_);
    std::swap(low_, other.low_);
    return *this;
  }

  std::string Text() const;  // as it was given
  bool empty() const { return low_ == kText && high_ == 0; }
  size_t Hash() const noexcept;
  friend bool operator==(const Uid& a, const Uid& b) {
    if (a.low_ != b.low_) return false;
    return a.high_ == b.high_ || (a.low_ == kText && a.Other() == b.Other());
  }

 private:
  static constexpr uint64_t kText = ~uint64_t{0};  // a UUID that ends so is kept as text, too

  void DropText();
  std::string_view Other() const;  // the text that is no UUID

  uint64_t high_ = 0;  // a UUID's first half; with kText the address of a std::string, 0 for ""
  uint64_t low_ = kText;
};

}  // namespace neap::base

template <>
struct std::hash<neap::base::Uid> {
  size_t operator()(const neap::base::Uid& uid) const noexcept { return uid.Hash(); }
};
