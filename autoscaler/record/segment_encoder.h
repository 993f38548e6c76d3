// SegmentEncoder: decisions and outcomes as the frames of one segment (segment.h, neap.record.v1).
// The first record of each target is complete, later ones are changes against it. Of the journal's
// Writer, and of whoever hands on a segment that is no file. One thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "autoscaler/base/lookup.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/record/changes.h"

namespace neap::record {

class SegmentEncoder {
 public:
  // Each appends to *out. Begin comes first, forgets what went before, and writes the segment's
  // head and start; `lost_records` are those of the writer so far.
  void Begin(const std::string& build, const core::HpaOptions& options, absl::Time now,
             uint64_t lost_records, std::string* out);
  // The records' pointers are read in the call. False: the record is larger than a frame can be and
  // is left out.
  bool Decision(const control::DecisionRecord& record, std::string* out);
  bool Outcome(const control::OutcomeRecord& record, std::string* out);
  void End(std::string* out);  // the segment was ended in order

  size_t targets() const { return known_.size(); }  // of this segment

 private:
  struct Known {  // of a target in this segment
    uint32_t number = 0;
    bool fresh = true;  // no Target record yet
    bool has_spec = false;
    uint64_t spec_version = 0;
    ChangeEncoder changes;
  };

  Known& KnownTarget(const std::string& uid);
  v1::Frame* NewFrame();
  bool PutFrame(std::string* out);
  bool PutRecord(const std::string& uid, std::string* out);
  void PutTarget(const std::string& uid, Known& known, const core::AutoscalerSpec* spec,
                 std::string* out);

  base::StringLookup<Known> known_;  // by uid
  uint32_t numbers_ = 0;
  uint64_t decisions_ = 0;
  uint64_t outcomes_ = 0;
  v1::Frame frame_;  // the one that is made
};

}  // namespace neap::record
