// The journal: what neapd decided and why, on disk, complete enough to compute each decision again
// anywhere (neap.record.v1 says how it is written). A directory of segments, each readable and
// replayable alone; the oldest go when the directory exceeds its bound.
//
//   auto writer = Writer::Open({.directory = dir, .max_bytes = 256 << 20, .build = base::Version(),
//                               .options = hpa}, on_trouble);
//   ... for each record of a step: writer->OnDecision(record, now) / OnOutcome(record, now);
//   ... after the step: writer->EndStep(now);
//
//   auto reader = Reader::Open(path);           // a segment or a directory
//   Entry entry;
//   while (reader->Next(&entry)) ...
//   for (const Damage& d : reader->damage()) ...
//
// A segment does not begin with all targets at once: at 10,000 targets that would stop the
// controller for long and fill small segments with what nobody reads. Instead the first record of
// each target in a segment is complete (its spec, history, status, pods), later ones are changes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/record/owned_observation.h"

namespace neap::record {

// ---- writing ---------------------------------------------------------------------------------

struct WriterOptions {
  std::string directory;             // made when missing (its parent must be there)
  int64_t max_bytes = 256LL << 20;   // of all segments together, >= 64 KiB
  int64_t segment_bytes = 0;         // a new one is begun after; 0 = a sixteenth of max_bytes
  int64_t buffer_bytes = 8LL << 20;  // not yet written; what comes beyond it is lost and counted
  absl::Duration retry = absl::Seconds(5);  // after a write failed
  std::string build;                        // version of the program
  core::HpaOptions options;                 // with which all decisions are taken
};

// Counts since Open.
struct WriterCounters {
  uint64_t records = 0;        // decisions and outcomes handed over
  uint64_t written_bytes = 0;  // to files
  uint64_t lost_records = 0;   // not written: disk full, read-only, too slow
  uint64_t segments = 0;       // begun
};

// The calls are made on one thread (the controller's), which encodes into a buffer; a thread of the
// writer's own does all file I/O, since a write may wait for a slow disk and a decision may not.
// What EndStep handed over is on its way to the file at once: kill -9 loses at most that.
//
// Write errors end the segment and are reported once until writing works again; records until then
// are lost and counted, and a new segment is tried every `retry`. Nothing here throws, waits or
// stops the caller.
class Writer {
 public:
  // Trouble began (an error naming the file) or ended (OK). Called on the caller's thread, from
  // EndStep and Close.
  using OnTrouble = std::function<void(const absl::Status&)>;

  // Errors: the directory can't be made, read or written, or another process writes to it.
  static absl::StatusOr<std::unique_ptr<Writer>> Open(WriterOptions options, OnTrouble on_trouble);
  ~Writer();  // Close
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // The records' pointers are read in the call. `now` is the controller's time: it names segments.
  void OnDecision(const control::DecisionRecord& record, absl::Time now);
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now);
  // After the records of a step: hands them to the file, begins segments, reports trouble.
  void EndStep(absl::Time now);
  // Waits until all that was handed over is in the file, or failed. For Close and tests.
  void Flush();
  // Ends the segment in order. Idempotent; what comes later is dropped.
  void Close();

  WriterCounters counters() const;

 private:
  class Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// ---- reading ---------------------------------------------------------------------------------

struct SegmentStart {
  std::string build;
  core::HpaOptions options;
  absl::Time at = absl::InfinitePast();
  uint64_t lost_records = 0;  // by the same writer before this segment
};

// As control::DecisionRecord and OutcomeRecord, but owned by the reader. What a decision points to
// (but its bytes) stays until the same target's next decision or the end of the segment.
struct DecisionEntry {
  std::string_view uid;
  uint64_t decision_id = 0;
  uint64_t spec_version = 0;
  control::Cause cause = control::Cause::kPeriodic;
  const core::HpaOptions* options = nullptr;
  const core::AutoscalerSpec* spec = nullptr;
  OwnedObservation* seen = nullptr;  // not const for its View() alone
  const core::History* before = nullptr;
  const core::Decision* decision = nullptr;
  std::string_view decision_bytes;  // core's decision as it was encoded
};
struct OutcomeEntry {
  std::string_view uid;
  uint64_t decision_id = 0;
  const core::AutoscalerSpec* spec = nullptr;
  core::ApplyResult result;
  const core::Outcome* outcome = nullptr;
};

struct Entry {
  std::string_view file;
  uint64_t offset = 0;  // of the record in the file
  std::variant<SegmentStart, DecisionEntry, OutcomeEntry> what;
};

// What could not be read. The text names file and offset.
struct Damage {
  enum class Kind : uint8_t {
    kTornTail,   // the file ends within a record: that one is lost
    kCorrupt,    // a record is not what was written: the rest of the segment is lost
    kUnreadable  // the file can't be read, is no segment, or is of another format
  };
  Kind kind = Kind::kTornTail;
  std::string file;
  uint64_t offset = 0;
  std::string text;
};

// Reads one segment at a time; memory is bounded by a segment and its targets. One thread only.
class Reader {
 public:
  // A segment, or a directory of segments (read in their order). Errors: there is no such path, or
  // a directory without segments.
  static absl::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path);
  // One segment that is no file; `name` stands for it in entries and damage.
  static std::unique_ptr<Reader> OfSegment(std::string name, std::string segment);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // The next record; false at the end. What it points to is valid until the next call, but see
  // DecisionEntry.
  bool Next(Entry* entry);
  const std::vector<Damage>& damage() const;  // met so far

 private:
  class Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::record
