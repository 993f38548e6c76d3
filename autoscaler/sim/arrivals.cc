#include "autoscaler/sim/arrivals.h"

#include <absl/time/time.h>

#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/sim/distribution.h"

namespace neap::sim {
namespace {

// Thousandths per second times nanoseconds: so much is one request.
constexpr int64_t kOne = 1'000'000'000'000;

// An exponential share of kOne, mean 1.
int64_t Exponential(Random& chance) {
  const uint64_t log = NegativeLog(chance);  // 2^-32 parts; in two steps, to stay within 64 bits
  const uint64_t whole = (log >> 32) * uint64_t{kOne};
  const uint64_t part = (((log & 0xffffffff) >> 8) * uint64_t{kOne}) >> 24;
  return static_cast<int64_t>(whole + part);
}

}  // namespace

Arrivals::Arrivals(bool random, Random& chance)
    : random_(random), owed_(random ? Exponential(chance) : kOne / 2) {}

Arrivals::Arrivals(std::unique_ptr<TraceReader> rows) : rows_(std::move(rows)) { ReadRow(); }

void Arrivals::SetRate(int64_t now, int64_t rate) {
  if (rows_ != nullptr) return;
  NEAP_CHECK(now >= since_ && now <= next_, "rate changes at {}, after {}", now, next_);
  owed_ -= rate_ * (now - since_);
  since_ = now;
  rate_ = rate;
  Plan();
}

int64_t Arrivals::Take(Random& chance) {
  const int64_t work = work_;
  if (rows_ != nullptr) {
    ReadRow();
    return work;
  }
  owed_ -= rate_ * (next_ - since_);  // what the whole nanosecond was too much is carried on
  since_ = next_;
  owed_ += random_ ? Exponential(chance) : kOne;
  Plan();
  return work;
}

void Arrivals::Plan() {
  if (rate_ <= 0) {
    next_ = kNever;
    return;
  }
  next_ = owed_ <= 0 ? since_ : since_ + (owed_ + rate_ - 1) / rate_;
}

void Arrivals::ReadRow() {
  TraceRow row;
  if (!rows_->Next(&row)) {
    status_ = rows_->status();
    next_ = kNever;
    return;
  }
  next_ = absl::ToInt64Nanoseconds(row.at);
  work_ = row.milli;
}

}  // namespace neap::sim
