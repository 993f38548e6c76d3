#include "autoscaler/sim/series.h"

#include <algorithm>
#include <utility>

namespace neap::sim {

void SeriesBuilder::Settle(int64_t now) {
  if (!has_ || now <= since_) {
    since_ = std::max(since_, now);
    return;
  }
  while (static_cast<uint64_t>((now - 1) / width_) >= most_) Widen();
  while (since_ < now) {
    const int64_t index = since_ / width_;
    const int64_t until = std::min(now, (index + 1) * width_);
    if (static_cast<size_t>(index) >= buckets_.size()) {
      buckets_.resize(static_cast<size_t>(index) + 1);
    }
    const int64_t covered = until - since_;
    Merge(buckets_[static_cast<size_t>(index)], {.min = value_,
                                                 .max = value_,
                                                 .sum = value_ * static_cast<double>(covered),
                                                 .covered = covered});
    since_ = until;
  }
}

void SeriesBuilder::Merge(Bucket& into, const Bucket& other) {
  if (other.covered == 0) return;
  into.min = into.covered == 0 ? other.min : std::min(into.min, other.min);
  into.max = into.covered == 0 ? other.max : std::max(into.max, other.max);
  into.sum += other.sum;
  into.covered += other.covered;
}

void SeriesBuilder::Widen() {
  width_ *= 2;
  const size_t half = (buckets_.size() + 1) / 2;
  for (size_t i = 0; i < half; ++i) {
    Bucket merged = buckets_[2 * i];
    if (2 * i + 1 < buckets_.size()) Merge(merged, buckets_[2 * i + 1]);
    buckets_[i] = merged;
  }
  buckets_.resize(half);
}

Series SeriesBuilder::Finish(int64_t end, int64_t width, std::string name, std::string unit) {
  Settle(end);
  while (width_ < width) Widen();
  Series series{.name = std::move(name), .unit = std::move(unit), .buckets = {}};
  series.buckets.resize(static_cast<size_t>((end + width_ - 1) / width_));
  for (size_t i = 0; i < std::min(buckets_.size(), series.buckets.size()); ++i) {
    const Bucket& bucket = buckets_[i];
    if (bucket.covered == 0) continue;
    series.buckets[i] = {.min = bucket.min,
                         .max = bucket.max,
                         .mean = bucket.sum / static_cast<double>(bucket.covered),
                         .has = true};
  }
  return series;
}

}  // namespace neap::sim
