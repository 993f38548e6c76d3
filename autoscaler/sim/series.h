// SeriesBuilder: a quantity that holds until it changes, made into buckets of equal width while it
// goes on. When there would be more buckets than allowed their width doubles, so that a run of any
// length takes the same memory. Owned by Recorder, one per series; one thread. Times are
// nanoseconds since the world began, never going back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/sim/result.h"

namespace neap::sim {

class SeriesBuilder {
 public:
  // `width` of a bucket at first, > 0; `most` buckets, >= 2.
  SeriesBuilder(int64_t width, size_t most) : width_(width), most_(most) {}

  // From `now` on it has that value.
  void Set(int64_t now, double value) {
    if (has_ && value == value_) return;
    Settle(now);
    has_ = true;
    value_ = value;
  }
  // From `now` on it has none.
  void Clear(int64_t now) {
    Settle(now);
    has_ = false;
  }
  int64_t width() const { return width_; }

  // Up to `end`, with buckets as wide as asked for (its own width times a power of two).
  Series Finish(int64_t end, int64_t width, std::string name, std::string unit);

 private:
  struct Bucket {
    double min = 0;
    double max = 0;
    double sum = 0;       // of value x nanoseconds
    int64_t covered = 0;  // nanoseconds in which it had a value
  };

  // Takes what held since the last change into the buckets.
  void Settle(int64_t now);
  void Widen();
  static void Merge(Bucket& into, const Bucket& other);

  int64_t width_;
  size_t most_;
  std::vector<Bucket> buckets_;
  int64_t since_ = 0;
  double value_ = 0;
  bool has_ = false;
};

}  // namespace neap::sim
