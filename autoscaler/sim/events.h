// EventQueue: what will happen, ordered by (time, sequence): of two things at one moment the one
// that was planned first happens first, on every machine. Times are nanoseconds since the world
// began: a heap of small values, since a world of requests moves millions of them. Owned by World;
// one thread only.
#pragma once

#include <cstdint>
#include <limits>
#include <queue>
#include <vector>

namespace neap::sim {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

template <typename Event>
class EventQueue {
 public:
  // An earlier time than that of the last event taken counts as that one.
  void At(int64_t when, Event event) {
    heap_.push({.when = when < now_ ? now_ : when, .sequence = sequence_++, .event = event});
  }
  // Of the next event; kNever when there is none.
  int64_t next() const { return heap_.empty() ? kNever : heap_.top().when; }
  // There must be one.
  Event Take() {
    const Event event = heap_.top().event;
    now_ = heap_.top().when;
    heap_.pop();
    return event;
  }
  uint64_t size() const { return heap_.size(); }

 private:
  struct Entry {
    int64_t when;
    uint64_t sequence;
    Event event;
    bool operator<(const Entry& other) const {  // the heap's top is the greatest
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  std::priority_queue<Entry> heap_;
  uint64_t sequence_ = 0;
  int64_t now_ = 0;
};

}  // namespace neap::sim
