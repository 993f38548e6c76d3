// TraceReader: a recorded trace, read row by row and never kept: CSV from a file or a pipe, of any
// length in flat memory. Two kinds: rates (time, rate: holds until the next row) and requests (one
// row per request: time, work). One thread only.
//
//   NEAP_ASSIGN_OR_RETURN(auto trace, TraceReader::Open("day.csv", {}));
//   TraceRow row;
//   while (trace->Next(&row)) ...
//   NEAP_RETURN_IF_ERROR(trace->status());
//
// Rows are separated by line ends of any kind, columns by ',', ';', '|' or a tab (the header line
// or the first row tells which); quoted fields as RFC 4180. Which columns: named ones, else the
// header's usual names (time, timestamp, ts, date; value, rate, rps, count, requests), else the
// first two. Times: Unix seconds (also with a fraction), milliseconds (beyond 10^11), microseconds,
// nanoseconds, RFC 3339, or "2014-07-01 00:00:00[.1234567]" (UTC); the first row is time 0.
//
// What is wrong with a trace is an error that names source, line and column: text where a number is
// due, NaN, infinite or negative rates, rates over kMaxRate, missing columns, time going back, two
// rows of one time with different rates. What can be taken is taken and counted (TraceNotes): equal
// duplicates, gaps (longer than `gap` times the usual step: the last rate holds, or 0 as asked).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace neap::sim {

enum class TraceKind : uint8_t { kRates, kRequests };

struct TraceOptions {
  TraceKind kind = TraceKind::kRates;
  std::string time_column = {};   // "" = by name or place; a name, or a number from 1
  std::string value_column = {};  // rate, or a request's work; requests: several, "A+B", are added
  // A value is a count per step (a counter's increase per row) instead of a rate per second.
  bool per_step = false;
  enum class Gap : uint8_t { kHold, kZero, kRefuse };
  Gap gap = Gap::kHold;
};

struct TraceRow {
  absl::Duration at = {};  // since the first row; ascending (requests: not descending)
  int64_t milli = 0;       // rate in thousandths per second, or work in thousandths of a unit
};

struct TraceNotes {
  uint64_t rows = 0;
  uint64_t duplicates = 0;
  uint64_t gaps = 0;
  absl::Duration longest_gap = {};
  absl::Time first = absl::InfinitePast();  // the first row's own time
  absl::Duration step = {};                 // between the first two rows
};

class TraceReader {
 public:
  // `path` "-" is standard input. Errors: NotFound; InvalidArgument for an unusable header.
  static absl::StatusOr<std::unique_ptr<TraceReader>> Open(const std::string& path,
                                                           const TraceOptions& options);
  // From text; `source` names it in errors.
  static absl::StatusOr<std::unique_ptr<TraceReader>> FromText(std::string text,
                                                               std::string_view source,
                                                               const TraceOptions& options);
  ~TraceReader();
  // False at the end and after an error (see status).
  bool Next(TraceRow* row);
  const absl::Status& status() const;
  const TraceNotes& notes() const;  // of what was read so far

 private:
  class Impl;
  explicit TraceReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
