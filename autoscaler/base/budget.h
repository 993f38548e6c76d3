// Budget: so many per second, and some saved up (a token bucket). Of writes to the API server, of
// lines in a log. Full at first; one thread only.
#pragma once

#include <absl/time/time.h>

#include <algorithm>

namespace neap::base {

class Budget {
 public:
  Budget(double per_second, double burst) : per_second_(per_second), burst_(burst), left_(burst) {}

  // From now on; what is saved up beyond the new burst is lost. Refill first.
  void Limit(double per_second, double burst) {
    per_second_ = per_second;
    burst_ = burst;
    left_ = std::min(left_, burst_);
  }
  void Refill(absl::Time now) {
    if (refilled_at_ != absl::InfinitePast()) {
      left_ += absl::ToDoubleSeconds(now - refilled_at_) * per_second_;
    }
    left_ = std::min(left_, burst_);
    refilled_at_ = now;
  }
  bool Has() const { return left_ >= 1; }
  void Take() { left_ -= 1; }
  void GiveBack() { left_ = std::min(left_ + 1, burst_); }
  // When there will be `count`, at most the burst, if nobody takes one.
  absl::Time When(double count) const {
    const double missing = std::max(0.0, std::min(count, burst_) - left_);
    return refilled_at_ + absl::Seconds(missing / per_second_) + absl::Microseconds(1);
  }

 private:
  double per_second_;
  double burst_;
  double left_;
  absl::Time refilled_at_ = absl::InfinitePast();
};

}  // namespace neap::base
