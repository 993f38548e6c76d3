// Notes: the decisions of one target that are worth showing: those that changed the count, and
// those that held it for another reason than the one before. Owned by Recorder; one thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <utility>

#include "autoscaler/control/messages.h"
#include "autoscaler/sim/result.h"

namespace neap::sim {

class Notes {
 public:
  // At most so many; of more the oldest that only held go first, then the oldest.
  explicit Notes(size_t most) : most_(most) {}

  void Add(const control::DecisionRecord& record, absl::Time now);
  void Applied(uint64_t decision_id);  // its write was
  void Take(TargetResult* out);        // by time

 private:
  using Note = std::pair<uint64_t, DecisionNote>;  // with its decision's id

  const size_t most_;
  std::deque<Note> changes_;
  std::deque<Note> holds_;
  uint64_t dropped_ = 0;
  uint64_t last_ = 0;  // what the last decision came to and why, as a digest
};

// One line: what was read, what it asked for, what became of it:
// "cpu 90% of 60%: 6; held at 8 by the scale-down window".
std::string ReasonLine(const control::DecisionRecord& record);

}  // namespace neap::sim
