// Replay: takes a journal's decisions again and says where this build decides otherwise. Also finds
// one record of a journal, for an explanation. Used by neapctl and tests. One thread only.
//
//   auto report = Replay("/var/lib/neap/journal", {});
//   if (report->Agrees()) ...
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/record/journal.h"

namespace neap::record {

// A record that this build computes otherwise.
struct Difference {
  std::string file;
  uint64_t offset = 0;
  core::ObjectKey key;
  absl::Time at = absl::InfinitePast();
  uint64_t decision_id = 0;
  bool outcome = false;  // what was remembered differs, not what was decided
  std::string first;     // the first field: "steps[2].after: recorded 5, recomputed 6"
};

struct ReplayReport {
  uint64_t decisions = 0;  // computed again
  uint64_t outcomes = 0;
  // Outcomes whose decision is not in the journal (before the first segment, or lost).
  uint64_t outcomes_without_decision = 0;
  uint64_t different_decisions = 0;
  uint64_t different_outcomes = 0;
  std::vector<Difference> differences;  // the first ReplayOptions.most
  std::vector<Damage> damage;
  std::vector<std::string> builds;  // that wrote the journal, in order of appearance
  uint64_t lost_records = 0;        // that the writers could not write

  bool Agrees() const { return different_decisions == 0 && different_outcomes == 0; }
};

struct ReplayOptions {
  size_t most = 10;  // differences to keep
  // Version of this program. Decisions of the same one must agree in each byte, those of others in
  // what they say; "" = all were made by this one.
  std::string build;
};

// Each decision is taken again and what comes out is encoded and compared; what is remembered is
// computed from the recorded decision. Errors: as Reader::Open. A damaged journal is no error: see
// `damage`.
absl::StatusOr<ReplayReport> Replay(const std::string& path, const ReplayOptions& options);

// One decision with all that led to it, kept beyond the reader.
struct FoundRecord {
  std::string file;
  uint64_t offset = 0;
  std::string uid;
  uint64_t decision_id = 0;
  control::Cause cause = control::Cause::kPeriodic;
  core::HpaOptions options;
  core::AutoscalerSpec spec;
  OwnedObservation seen;
  core::History before;
  core::Decision decision;
  std::optional<core::ApplyResult> result;  // not set: no outcome is recorded
  std::optional<core::Outcome> outcome;
};

// The last decision of an object at or before `at`. Errors: NotFound (says whether the object is in
// the journal, and from when to when), and those of Reader::Open.
absl::StatusOr<FoundRecord> FindRecord(const std::string& path, const core::ObjectKey& key,
                                       absl::Time at);
// Likewise in one segment that is no file, `name` for short: of neapd's page /records.
absl::StatusOr<FoundRecord> FindRecordIn(const std::string& name, std::string segment,
                                         const core::ObjectKey& key, absl::Time at);

}  // namespace neap::record
