#include "autoscaler/sim/fluid.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "autoscaler/base/check.h"

namespace neap::sim {
namespace {

constexpr Wide kPerMilli = 1'000'000'000;  // 10^-12 items in a thousandth
constexpr size_t kMostMarks = 512;
// Waits below it are not told apart any further: about a millisecond.
constexpr int64_t kLeastStep = int64_t{1} << 20;

int64_t Milli(Wide amount) { return static_cast<int64_t>(amount / kPerMilli); }

Wide CeilDiv(Wide amount, Wide by) { return (amount + by - 1) / by; }

int64_t After(int64_t now, Wide span) {
  return span >= kNever - now ? kNever : now + static_cast<int64_t>(span);
}

// How far apart the histogram's edges are at that age.
int64_t StepAt(int64_t age) {
  const int shift = std::bit_width(static_cast<uint64_t>(std::max<int64_t>(age, 1))) - 5;
  return shift <= 20 ? kLeastStep : int64_t{1} << shift;
}

}  // namespace

Fluid::Fluid(const Options& options) : patience_(options.patience), objective_(options.objective) {
  if (options.waiting > 0) marks_.push_back({.at = 0, .arrived = 0, .rate = 0});
  arrived_ = options.waiting * kPerMilli;
  marks_.push_back({.at = 0, .arrived = arrived_, .rate = 0});
  Begin(0);
  MoveTo(0);
}

int64_t Fluid::served_rate() const { return piece_.kind == Kind::kFlowing ? arrival_ : capacity_; }

void Fluid::SetRates(int64_t now, int64_t arrival, int64_t capacity) {
  Advance(now);
  if (arrival == arrival_ && capacity == capacity_) return;
  if (arrival != arrival_) {
    Mark& last = marks_.back();
    if (last.at == now && last.arrived == arrived_) {
      last.rate = arrival;
    } else {
      marks_.push_back({.at = now, .arrived = arrived_, .rate = arrival});
    }
    if (marks_.size() > kMostMarks) MergeMarks();
  }
  arrival_ = arrival;
  capacity_ = capacity;
  Begin(now);
}

void Fluid::Advance(int64_t now) {
  while (piece_.end <= now) {
    MoveTo(piece_.end);
    Begin(piece_.end);
  }
  MoveTo(std::max(now, now_));
}

// Everything is as of `now`: finds out how it goes on.
void Fluid::Begin(int64_t now) {
  piece_ = {.begin = now, .arrived = arrived_, .left = left_, .served = served_};
  while (marks_.size() > 1 && marks_[1].arrived <= left_) marks_.pop_front();
  if (arrived_ == left_) {
    marks_.assign(1, {.at = now, .arrived = arrived_, .rate = arrival_});
    if (arrival_ <= capacity_) {
      piece_.kind = Kind::kFlowing;
      return;
    }
    if (patience_ == 0) {
      piece_.kind = Kind::kShedding;
      return;
    }
  }
  BeginServing(now);
}

void Fluid::BeginServing(int64_t now) {
  const Mark& mark = marks_.front();
  const bool lump = marks_.size() > 1 && marks_[1].at == mark.at;
  piece_.rate = lump ? 0 : mark.rate;
  // Rounded up: who leaves for lack of patience has had at least that much.
  const int64_t head =
      lump ? mark.at : mark.at + static_cast<int64_t>(CeilDiv(left_ - mark.arrived, mark.rate));
  piece_.age = now - head;
  if (piece_.age >= patience_ && lump) {
    timed_out_ += marks_[1].arrived - left_;
    left_ = marks_[1].arrived;
    Begin(now);
    return;
  }
  if (piece_.age >= patience_ && piece_.rate > capacity_) {
    piece_.kind = Kind::kDropping;
    if (marks_.size() > 1) piece_.end = After(marks_[1].at, patience_);
    return;
  }
  piece_.kind = Kind::kServing;
  piece_.end = EndOfServing();
  piece_.slice_next = piece_.age;
  NextSlice();
}

int64_t Fluid::EndOfServing() const {
  int64_t end = kNever;
  if (capacity_ > 0 && marks_.size() > 1) {
    end = After(piece_.begin, CeilDiv(marks_[1].arrived - left_, capacity_));
  } else if (marks_.size() == 1 && arrival_ < capacity_) {
    end = After(piece_.begin, CeilDiv(arrived_ - left_, capacity_ - arrival_));
  }
  if (patience_ != kNever && piece_.age < patience_) {
    const Wide rest = patience_ - piece_.age;
    if (piece_.rate == 0) {
      end = std::min(end, After(piece_.begin, rest));
    } else if (piece_.rate > capacity_) {
      end =
          std::min(end, After(piece_.begin, CeilDiv(rest * piece_.rate, piece_.rate - capacity_)));
    }
  }
  return end;
}

// Those served from now on have waited slice_next; up to the next edge of the histogram, or to the
// objective, they count as one.
void Fluid::NextSlice() {
  Piece& p = piece_;
  const Wide capacity = capacity_;
  // By how much served the age changes by one nanosecond, as a fraction.
  Wide per_age = capacity;
  Wide divisor = 1;
  const bool older = p.rate == 0 || p.rate > capacity;
  if (p.rate != 0) {
    per_age = capacity * p.rate;
    divisor = older ? p.rate - capacity : capacity - p.rate;
  }
  const int64_t from = p.slice_next;
  if (divisor == 0 || (!older && from == 0)) {  // as old as they are, to the end
    p.slice_age = from;
    p.slice_end = Wide{1} << 126;
    return;
  }
  const int64_t late = objective_ == kNever ? kNever : objective_ + 1;
  if (older) {
    const int64_t step = StepAt(from);
    p.slice_next = from / step * step + step;
    if (from < late) p.slice_next = std::min(p.slice_next, late);
    p.slice_age = std::min(p.slice_next - 1, std::max(from, patience_));
    p.slice_end = p.served + CeilDiv((p.slice_next - p.age) * per_age, divisor);
  } else {
    const int64_t step = StepAt(from - 1);
    p.slice_next = (from - 1) / step * step;
    if (from > late) p.slice_next = std::max(p.slice_next, late);
    p.slice_age = from == p.age ? from : from - 1;
    p.slice_end = p.served + CeilDiv((p.age - p.slice_next) * per_age, divisor);
  }
}

void Fluid::MoveTo(int64_t now) {
  const Wide passed = now - piece_.begin;
  now_ = now;
  arrived_ = piece_.arrived + passed * arrival_;
  const Wide before = left_ - served_;  // failed
  switch (piece_.kind) {
    case Kind::kFlowing:
      left_ = arrived_;
      served_ = arrived_ - before;
      break;
    case Kind::kShedding: {
      left_ = arrived_;
      served_ = piece_.served + passed * capacity_;
      (capacity_ == 0 ? refused_ : overflowed_) += left_ - served_ - before;
      break;
    }
    case Kind::kServing:
      left_ = std::min(piece_.left + passed * capacity_, arrived_);
      served_ = left_ - before;
      break;
    case Kind::kDropping: {
      const Mark& mark = marks_.front();
      left_ = mark.arrived + Wide{mark.rate} * (now - patience_ - mark.at);
      served_ = piece_.served + passed * capacity_;
      timed_out_ += left_ - served_ - before;
      break;
    }
  }
  CountWaits();
  service_.arrived = Milli(arrived_);
  service_.served = Milli(served_);
  service_.timed_out = Milli(timed_out_);
  service_.refused = Milli(refused_);
  service_.overflowed = Milli(overflowed_);
  // What is too little for a thousandth counts as waiting, so that the sum is right.
  service_.waiting = service_.arrived - service_.served - service_.Failed();
  service_.oldest = AgeOfHead();
}

void Fluid::CountWaits() {
  if (piece_.kind == Kind::kDropping) return CountUpTo(served_, patience_);
  if (piece_.kind != Kind::kServing) return CountUpTo(served_, 0);
  while (served_ > piece_.slice_end) {
    CountUpTo(piece_.slice_end, piece_.slice_age);
    NextSlice();
  }
  CountUpTo(served_, piece_.slice_age);
}

void Fluid::CountUpTo(Wide served, int64_t age) {
  const int64_t milli = Milli(served) - counted_;
  if (milli <= 0) return;
  counted_ += milli;
  service_.waits.Add(age, milli);
  if (age > objective_) service_.late += milli;
}

int64_t Fluid::AgeOfHead() const {
  if (piece_.kind == Kind::kDropping) return patience_;
  if (piece_.kind != Kind::kServing || left_ >= arrived_) return 0;
  const Mark& mark = marks_.front();
  if (piece_.rate == 0) return now_ - mark.at;
  return now_ - mark.at - static_cast<int64_t>(CeilDiv(left_ - mark.arrived, mark.rate));
}

// Keeps the first mark, in which the head is, and the last, which still grows; of four between them
// it makes two: one rate for the whole span, and what the rounded rate leaves over as a lump.
void Fluid::MergeMarks() {
  constexpr size_t kGroup = 4;
  std::deque<Mark> merged = {marks_.front()};
  size_t i = 1;
  for (; i + kGroup < marks_.size(); i += kGroup) {
    const Mark& from = marks_[i];
    const Mark& to = marks_[i + kGroup];
    const int64_t span = to.at - from.at;
    if (span == 0) {
      merged.insert(merged.end(), from);
      continue;
    }
    const auto rate = static_cast<int64_t>((to.arrived - from.arrived) / span);
    merged.push_back({.at = from.at, .arrived = from.arrived, .rate = rate});
    const Wide reached = from.arrived + Wide{rate} * span;
    if (reached < to.arrived) merged.push_back({.at = to.at, .arrived = reached, .rate = 0});
  }
  merged.insert(merged.end(), marks_.begin() + static_cast<std::ptrdiff_t>(i), marks_.end());
  marks_ = std::move(merged);
}

}  // namespace neap::sim
