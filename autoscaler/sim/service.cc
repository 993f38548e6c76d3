#include "autoscaler/sim/service.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace neap::sim {
namespace {

constexpr int kSubBits = 4;
static_assert(WaitHistogram::kSub == 1 << kSubBits);

// Below kSub each number has its own bucket; above, each doubling has kSub of them.
size_t BucketOf(int64_t nanos) {
  if (nanos < WaitHistogram::kSub) return static_cast<size_t>(nanos);
  const int shift = std::bit_width(static_cast<uint64_t>(nanos)) - 1 - kSubBits;
  return static_cast<size_t>(shift * WaitHistogram::kSub + (nanos >> shift));
}

// The greatest number in it.
int64_t UpperEdge(size_t bucket) {
  if (bucket < WaitHistogram::kSub) return static_cast<int64_t>(bucket);
  const uint64_t shift = bucket / WaitHistogram::kSub - 1;
  const uint64_t mantissa = WaitHistogram::kSub + bucket % WaitHistogram::kSub;
  return static_cast<int64_t>(((mantissa + 1) << shift) - 1);
}

}  // namespace

void WaitHistogram::Add(int64_t nanos, int64_t milli) {
  if (milli <= 0) return;
  nanos = std::max<int64_t>(0, nanos);
  buckets_[BucketOf(nanos)] += milli;
  total_ += milli;
  max_ = std::max(max_, nanos);
}

void WaitHistogram::Add(const WaitHistogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  total_ += other.total_;
  max_ = std::max(max_, other.max_);
}

void WaitHistogram::Remove(const WaitHistogram& earlier) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] -= earlier.buckets_[i];
  total_ -= earlier.total_;
}

int64_t WaitHistogram::Quantile(int permille) const {
  if (total_ == 0) return 0;
  // total * permille / 1000, rounded up, without the product that may not fit.
  const int64_t rest = (total_ % 1000 * permille + 999) / 1000;
  const int64_t rank = std::clamp<int64_t>(total_ / 1000 * permille + rest, 1, total_);
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(UpperEdge(i), max_);
  }
  return max_;
}

void WaitHistogram::Clear() { *this = WaitHistogram(); }

}  // namespace neap::sim
