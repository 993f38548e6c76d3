// Service: what became of the requests of a workload, or of the items of a queue, in figures that
// take the same memory however long a world runs. Filled by the traffic models (fluid.h,
// requests.h), read by whoever reports. Plain values.
#pragma once

#include <absl/time/time.h>

#include <array>
#include <cstdint>

namespace neap::sim {

// How long requests waited or took, in buckets that grow by a sixteenth (HDR-like): what Quantile
// gives is at most 6.25 % above the truth. Counts may be fluid: thousandths of a request.
class WaitHistogram {
 public:
  static constexpr int kSub = 16;
  static constexpr int kBuckets = 60 * kSub;  // nanoseconds up to 2^63

  // `milli` thousandths of a request took `nanos`, >= 0.
  void Add(int64_t nanos, int64_t milli = 1000);
  void Add(const WaitHistogram& other);
  // What was there at an earlier time is taken away; max stays.
  void Remove(const WaitHistogram& earlier);
  int64_t total() const { return total_; }  // thousandths
  // The least bucket's upper edge (and never more than max) that `permille` of them do not exceed,
  // 0 when there are none.
  int64_t Quantile(int permille) const;
  int64_t max() const { return max_; }
  void Clear();

 private:
  std::array<int64_t, kBuckets> buckets_{};
  int64_t total_ = 0;
  int64_t max_ = 0;
};

// Since the world began, in thousandths of a request (or item). What is conserved at every moment:
//   arrived = served + Failed() + waiting, where waiting includes those being served.
struct Service {
  int64_t arrived = 0;
  int64_t served = 0;        // answered well, or acknowledged
  int64_t late = 0;          // of these, over the objective's wait
  int64_t timed_out = 0;     // the client gave up
  int64_t refused = 0;       // nobody listened: connection refused
  int64_t reset = 0;         // the pod ended while it served
  int64_t wrong = 0;         // an error was answered: HTTP 5xx
  int64_t overflowed = 0;    // a queue or connection limit was full
  int64_t retries = 0;       // tries beyond the first, of requests counted once above
  int64_t waiting = 0;       // now, with those being served
  int64_t oldest = 0;        // nanoseconds that the oldest of these has waited, now
  WaitHistogram waits = {};  // of those served: from arrival to the beginning of service (queues:
                             // to being taken)
  WaitHistogram latencies = {};  // of those served: from arrival to the answer
  int64_t Failed() const { return timed_out + refused + reset + wrong + overflowed; }
};

}  // namespace neap::sim
