// RunDigest: one 64-bit number for all that a run decided: what each decision saw, what it came to,
// what became of it, what is remembered. Equal runs have equal digests, on every machine and with
// every compiler; two that differ anywhere have other ones (but for one chance in 2^64). Field by
// field, since encoding each record would take longer than deciding. A plain value; one thread.
//
// Left out is what follows from the rest: the object's spec but for its version, and the history
// and status before a decision, which are those after the one before.
#pragma once

#include <cstdint>
#include <string>

#include "autoscaler/control/digest.h"
#include "autoscaler/control/messages.h"

namespace neap::sim {

class RunDigest {
 public:
  void Add(const control::DecisionRecord& record);
  void Add(const control::OutcomeRecord& record);
  std::string Text() const;  // 16 hexadecimal digits

 private:
  control::Digest digest_{0x73696d};
};

}  // namespace neap::sim
