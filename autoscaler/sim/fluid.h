// Fluid: load as a liquid: it arrives at a rate, is served at up to a capacity, first come first
// served, and what is too much waits. Rates change at moments and are constant between them, so all
// that is asked is answered in closed form: nothing happens in between, and looking changes
// nothing. Owned by World, one for each workload without single requests and one for each queue;
// one thread only. Times are nanoseconds since the world began, rates thousandths per second.
//
//   Fluid jobs({.patience = kNever, .objective = kNever});
//   jobs.SetRates(0, 10'000, 8'000);  // 10 per second arrive, 8 can be served
//   jobs.Advance(60 * kSecond);
//   jobs.service().waiting;           // 120'000: 2 per second for a minute
//
// How long the head of the line has waited follows from the curve of arrivals, which is remembered
// for as long as something of it waits: as marks, merged four to two when there are over 512, which
// moves ages within a merged span and nothing else. Amounts are exact to 10^-12 items.
#pragma once

#include <cstdint>
#include <deque>

#include "autoscaler/sim/events.h"
#include "autoscaler/sim/service.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {

class Fluid {
 public:
  // A capacity that no load exceeds.
  static constexpr int64_t kUnlimited = 1'000'000'000'000;

  struct Options {
    int64_t patience = kNever;  // who waits longer leaves (timed_out). 0: nobody waits: what is too
                                // much is refused where there is no capacity at all, else overflows
    int64_t objective = kNever;  // who waits longer is served late
    int64_t waiting = 0;         // at time 0, thousandths
  };
  explicit Fluid(const Options& options);

  // From `now` on. Advances first.
  void SetRates(int64_t now, int64_t arrival, int64_t capacity);
  // Brings the figures to `now`; never back.
  void Advance(int64_t now);
  // When it will behave differently although no rate changes: the line becomes empty, its head
  // comes to those who arrived at another rate, or loses patience. kNever: it goes on like this.
  int64_t next() const { return piece_.end; }

  int64_t arrival() const { return arrival_; }
  // Thousandths per second that are served now.
  int64_t served_rate() const;
  // As of the last Advance; `oldest` is the age of the head.
  const Service& service() const { return service_; }

 private:
  // From here on the arrivals had this rate, until the next mark. Two marks at one moment: a lump.
  struct Mark {
    int64_t at;
    Wide arrived;  // before it
    int64_t rate;
  };
  enum class Kind : uint8_t {
    kFlowing,   // nothing waits, all is served
    kShedding,  // nothing may wait, a part fails
    kServing,   // the head of the line is served
    kDropping,  // and it is as old as patience allows: a part leaves
  };
  // A stretch of time in which everything is linear. What is asked within it is computed from its
  // beginning, never from the last look, so that looks leave no trace in roundings.
  struct Piece {
    Kind kind = Kind::kFlowing;
    int64_t begin = 0;
    int64_t end = kNever;
    Wide arrived = 0;  // these three: at its beginning
    Wide left = 0;     // that is not in the line any more: served or failed
    Wide served = 0;
    int64_t age = 0;   // of the head at its beginning
    int64_t rate = 0;  // at which those arrived who are served now; 0: in a lump
    // Waits of what is being served go into the histogram slice by slice: up to `slice_end`
    // (served), at `slice_age`.
    Wide slice_end = 0;
    int64_t slice_age = 0;
    int64_t slice_next = 0;  // the age at which the slice ends
  };

  void Begin(int64_t now);
  void BeginServing(int64_t now);
  int64_t EndOfServing() const;
  void NextSlice();
  void MoveTo(int64_t now);  // within the piece
  void CountWaits();
  void CountUpTo(Wide served, int64_t age);
  int64_t AgeOfHead() const;
  void MergeMarks();

  const int64_t patience_;
  const int64_t objective_;
  int64_t now_ = 0;
  int64_t arrival_ = 0;
  int64_t capacity_ = 0;
  // As of now_, in 10^-12 items: so much do thousandths per second make in a nanosecond.
  Wide arrived_ = 0;
  Wide left_ = 0;
  Wide served_ = 0;
  Wide timed_out_ = 0;
  Wide refused_ = 0;
  Wide overflowed_ = 0;
  int64_t counted_ = 0;     // thousandths served that are in the histogram
  std::deque<Mark> marks_;  // the head of the line is within the first
  Piece piece_;
  Service service_;
};

}  // namespace neap::sim
