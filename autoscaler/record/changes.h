// A target's records as changes against the ones before (neap.record.v1, Runs). ChangeEncoder keeps
// of what it wrote only a 64-bit digest per list entry, so that a journal costs little memory;
// ChangeDecoder keeps the values. One of each per target and segment; owned by the journal's Writer
// and Reader. One thread only.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/record/codec.h"
#include "autoscaler/record/owned_observation.h"

namespace neap::record {

class ChangeEncoder {
 public:
  // Everything of the entries but `target`.
  void Encode(const control::DecisionRecord& record, v1::DecisionEntry* out);
  void Encode(const control::OutcomeRecord& record, v1::OutcomeEntry* out);

 private:
  using Digests = std::vector<uint64_t>;  // of the entries of a list, as last written

  void EncodeSeen(const core::Observation& seen, v1::Observation* out);
  bool HistoryChanged(const core::History& history, v1::HistoryChanges* out);
  bool StatusChanged(const core::Status& status, v1::StatusChanges* out);

  Digests pods_, requests_, metrics_, overlapping_;
  Digests recommendations_, up_events_, down_events_;
  Digests current_metrics_, conditions_;
  uint64_t scale_ = 0;  // digests; 0 = nothing written yet
  uint64_t base_ = 0;
  uint64_t counted_ = 0;
  uint64_t crash_loop_ = 0;
  uint64_t counts_ = 0;
};

class ChangeDecoder {
 public:
  // Takes the changes in; the state afterwards is in the accessors. Errors: InvalidArgument naming
  // what does not fit; the state is then of no use.
  absl::Status Decode(const v1::DecisionEntry& in);
  absl::Status Decode(const v1::OutcomeEntry& in);

  OwnedObservation& seen() { return seen_; }                    // of the last decision
  const core::History& before() const { return before_; }       // likewise
  const core::Decision& decision() const { return decision_; }  // likewise
  const core::Outcome& outcome() const { return outcome_; }  // the last; what follows begins at it

 private:
  absl::Status DecodeSeen(const v1::Observation& in);

  OwnedObservation seen_;
  core::History before_;
  core::Decision decision_;
  core::Outcome outcome_;
};

}  // namespace neap::record
