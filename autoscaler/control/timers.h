// Timers: who is to be looked at when. Each owner has one timer, which is set, moved and switched
// off in O(log n) without allocating; the next one is always at hand. A heap in one array: with ten
// thousand owners a tree of nodes costs more in cache misses than what the timers are for. Owned by
// Controller and QueryTable; one thread only.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace neap::control {

template <typename Owner>
class Timers {
 public:
  // A new timer, off. Remove it once.
  uint32_t Add(Owner* owner) {
    uint32_t id = static_cast<uint32_t>(timers_.size());
    if (free_.empty()) {
      timers_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    timers_[id] = {.owner = owner, .place = kOff};
    return id;
  }
  void Remove(uint32_t id) {
    Set(id, absl::InfiniteFuture());
    timers_[id].owner = nullptr;
    free_.push_back(id);
  }

  void Set(uint32_t id, absl::Time at) {  // InfiniteFuture: off
    size_t place = timers_[id].place;
    if (at == absl::InfiniteFuture()) {
      if (place == kOff) return;
      timers_[id].place = kOff;
      const Entry last = heap_.back();
      heap_.pop_back();
      if (place < heap_.size()) Settle(place, last);
      return;
    }
    if (place == kOff) {
      place = heap_.size();
      heap_.emplace_back();
    }
    Settle(place, {.at = at, .id = id});
  }

  // When the earliest one is due, and whose it is; InfiniteFuture and null when all are off.
  absl::Time NextAt() const { return heap_.empty() ? absl::InfiniteFuture() : heap_[0].at; }
  Owner* Next() const { return heap_.empty() ? nullptr : timers_[heap_[0].id].owner; }

 private:
  struct Timer {
    Owner* owner = nullptr;
    uint32_t place = kOff;  // in the heap
  };
  struct Entry {
    absl::Time at;
    uint32_t id = 0;
    bool operator<(const Entry& other) const {  // equal times by id: the same order in every run
      return at != other.at ? at < other.at : id < other.id;
    }
  };
  static constexpr uint32_t kOff = UINT32_MAX;
  static constexpr size_t kFanOut = 4;

  void Place(size_t place, const Entry& entry) {
    heap_[place] = entry;
    timers_[entry.id].place = static_cast<uint32_t>(place);
  }

  // Puts `entry` where it belongs, starting from the hole at `place`.
  void Settle(size_t place, const Entry& entry) {
    while (place > 0) {
      const size_t parent = (place - 1) / kFanOut;
      if (!(entry < heap_[parent])) break;
      Place(place, heap_[parent]);
      place = parent;
    }
    for (;;) {
      const size_t first = place * kFanOut + 1;
      size_t least = first;
      for (size_t child = first + 1; child < first + kFanOut && child < heap_.size(); ++child) {
        if (heap_[child] < heap_[least]) least = child;
      }
      if (least >= heap_.size() || !(heap_[least] < entry)) break;
      Place(place, heap_[least]);
      place = least;
    }
    Place(place, entry);
  }

  std::vector<Timer> timers_;  // by id
  std::vector<uint32_t> free_;
  std::vector<Entry> heap_;
};

}  // namespace neap::control
