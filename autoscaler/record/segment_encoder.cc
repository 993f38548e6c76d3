#include "autoscaler/record/segment_encoder.h"

#include "autoscaler/record/segment.h"
#include "autoscaler/record/wire.h"

namespace neap::record {

void SegmentEncoder::Begin(const std::string& build, const core::HpaOptions& options,
                           absl::Time now, uint64_t lost_records, std::string* out) {
  known_.Clear();
  numbers_ = 0;
  decisions_ = outcomes_ = 0;
  *out += kSegmentHead;
  v1::Start* start = NewFrame()->mutable_start();
  start->set_format(kFormat);
  start->set_build(build);
  if (now != absl::InfinitePast()) start->set_at_time_ns(Nanos(now));
  Encode(options, start->mutable_options());
  start->set_lost_records(lost_records);
  PutFrame(out);
}

bool SegmentEncoder::Decision(const control::DecisionRecord& record, std::string* out) {
  Known& known = KnownTarget(record.uid);
  if (!known.has_spec || known.spec_version != record.spec_version) {
    known.has_spec = true;
    known.spec_version = record.spec_version;
    PutTarget(record.uid, known, record.spec, out);
  }
  v1::DecisionEntry* entry = NewFrame()->mutable_decision();
  entry->set_target(known.number);
  known.changes.Encode(record, entry);
  if (!PutRecord(record.uid, out)) return false;
  ++decisions_;
  return true;
}

bool SegmentEncoder::Outcome(const control::OutcomeRecord& record, std::string* out) {
  Known& known = KnownTarget(record.uid);
  // Its decision is in a segment before this one: the spec is not at hand.
  if (known.fresh) PutTarget(record.uid, known, nullptr, out);
  v1::OutcomeEntry* entry = NewFrame()->mutable_outcome();
  entry->set_target(known.number);
  known.changes.Encode(record, entry);
  if (!PutRecord(record.uid, out)) return false;
  ++outcomes_;
  return true;
}

void SegmentEncoder::End(std::string* out) {
  v1::End* end = NewFrame()->mutable_end();
  end->set_decisions(decisions_);
  end->set_outcomes(outcomes_);
  PutFrame(out);
}

SegmentEncoder::Known& SegmentEncoder::KnownTarget(const std::string& uid) {
  Known& known = known_[uid];
  if (known.number == 0) known.number = ++numbers_;
  return known;
}

v1::Frame* SegmentEncoder::NewFrame() {
  frame_.Clear();
  return &frame_;
}

// False when the frame is too large.
bool SegmentEncoder::PutFrame(std::string* out) {
  const std::string payload = Serialised(frame_);
  if (payload.size() > kMostPayload) return false;
  AppendFrame(payload, out);
  return true;
}

bool SegmentEncoder::PutRecord(const std::string& uid, std::string* out) {
  if (PutFrame(out)) return true;
  known_.Erase(uid);  // what the next ones would build on: it begins anew
  return false;
}

void SegmentEncoder::PutTarget(const std::string& uid, Known& known,
                               const core::AutoscalerSpec* spec, std::string* out) {
  known.fresh = false;
  v1::Target* target = NewFrame()->mutable_target();
  target->set_number(known.number);
  target->set_uid(uid);
  target->set_spec_version(known.spec_version);
  if (spec != nullptr) Encode(*spec, target->mutable_spec());
  PutFrame(out);  // an object of the API is never that large
}

}  // namespace neap::record
