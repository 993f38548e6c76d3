// Slots and List: flat storage for what comes and goes by the million without an allocation each:
// values in one array, known by a number that is used again once freed, and lists of them by
// numbers kept inside the values. Used by the traffic models. One thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace neap::sim {

inline constexpr int32_t kNone = -1;

template <typename T>
class Slots {
 public:
  // A slot with the value that it had when it was freed, or a new one. References to others end.
  int32_t Take() {
    if (free_.empty()) {
      values_.emplace_back();
      return static_cast<int32_t>(values_.size() - 1);
    }
    const int32_t id = free_.back();
    free_.pop_back();
    return id;
  }
  void Free(int32_t id) { free_.push_back(id); }
  T& operator[](int32_t id) { return values_[static_cast<size_t>(id)]; }
  const T& operator[](int32_t id) const { return values_[static_cast<size_t>(id)]; }
  size_t used() const { return values_.size() - free_.size(); }

 private:
  std::vector<T> values_;
  std::vector<int32_t> free_;
};

struct Link {
  int32_t before = kNone;
  int32_t after = kNone;
};

// First in, first out, and out of the middle. A value is in one list per Link at most; who calls
// knows whether it is.
template <typename T, Link T::* link>
class List {
 public:
  bool empty() const { return first_ == kNone; }
  int32_t first() const { return first_; }
  void Append(Slots<T>& slots, int32_t id) {
    slots[id].*link = {.before = last_, .after = kNone};
    (last_ == kNone ? first_ : (slots[last_].*link).after) = id;
    last_ = id;
  }
  void Remove(Slots<T>& slots, int32_t id) {
    const Link at = slots[id].*link;
    (at.before == kNone ? first_ : (slots[at.before].*link).after) = at.after;
    (at.after == kNone ? last_ : (slots[at.after].*link).before) = at.before;
  }

 private:
  int32_t first_ = kNone;
  int32_t last_ = kNone;
};

}  // namespace neap::sim
