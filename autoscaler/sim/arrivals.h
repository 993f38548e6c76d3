// Arrivals: when requests arrive: one by one from a rate that changes, evenly spaced or as a
// Poisson process, or row by row from a trace. Exact for even arrivals: over any time, as many as
// the rate's integral, the first one half a step after the beginning. Owned by Requests; one thread
// only.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <memory>

#include "autoscaler/sim/events.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/trace.h"

namespace neap::sim {

class Arrivals {
 public:
  Arrivals(bool random, Random& chance);
  explicit Arrivals(std::unique_ptr<TraceReader> rows);

  // Thousandths per second from `now` (not after next()) on; without meaning for a trace.
  void SetRate(int64_t now, int64_t rate);
  int64_t next() const { return next_; }  // kNever: none
  // The next one arrives, at next(): its work, in thousandths of a unit.
  int64_t Take(Random& chance);

  bool ended() const { return rows_ != nullptr && next_ == kNever; }
  const absl::Status& status() const { return status_; }

 private:
  void Plan();
  void ReadRow();

  bool random_ = false;
  std::unique_ptr<TraceReader> rows_;
  absl::Status status_;
  int64_t work_ = 1000;  // of the next one
  int64_t rate_ = 0;
  int64_t since_ = 0;  // `rate_` holds since, and `owed_` is as of then
  int64_t owed_ = 0;   // until the next arrival, in 10^-12 requests
  int64_t next_ = kNever;
};

}  // namespace neap::sim
