// TraceReader: a recorded trace, read row by row and never kept: CSV from a file or a pipe, of any
// length in flat memory; gzipped or not. Two kinds: rates (time, rate: holds until the next row)
// and requests (one row per request: time, work). Owned by load cursors and the traffic models; one
// thread only.
//
//   NEAP_ASSIGN_OR_RETURN(auto trace, TraceReader::Open("day.csv", {}));
//   TraceRow row;
//   while (trace->Next(&row)) ...
//   NEAP_RETURN_IF_ERROR(trace->status());
//
// Rows are separated by line ends of any kind, columns by ',', ';', '|' or a tab (the header line
// or the first row tells which); quoted fields as RFC 4180 (csv.h). Which columns: named ones, else
// the header's usual names (time, timestamp, ts, date, datetime; value, rate, rps, count, requests,
// work), else the first two. Times: Unix seconds (also with a fraction), milliseconds (beyond
// 10^11), microseconds (10^14), nanoseconds (10^17), RFC 3339, "2014-07-01 00:00:00[.1234567]"
// (UTC), or a date alone; the first row is time 0.
//
// What is wrong with a trace is an error that names source, line and column: text where a number is
// due, NaN, infinite or negative rates, rates over kMaxRate, missing columns, time going back, two
// rows of one time with different rates. Rows before it are given. What can be taken is taken and
// counted (TraceNotes): equal duplicates, and gaps (more than 1.5 times the usual step: the last
// rate holds, or 0 as asked). The usual step is the median of the first 32.
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
  std::string time_column = {};  // "" = by name or place; a name, or a number from 1
  // Rate, or a request's work; several, "A+B", are added. Requests without such a column have the
  // work 1 each.
  std::string value_column = {};
  // Rates: a value counts what came from its row's time until the next row's (in front of a gap:
  // for the usual step), instead of being a rate per second.
  bool per_step = false;
  enum class Gap : uint8_t { kHold, kZero, kRefuse };
  Gap gap = Gap::kHold;  // of rates
};

struct TraceRow {
  absl::Duration at = {};  // since the first row; ascending (requests: not descending)
  int64_t milli = 0;       // rate in thousandths per second, or work in thousandths of a unit
};

// Of what was read so far, which is up to 32 rows ahead of what was given.
struct TraceNotes {
  uint64_t rows = 0;
  uint64_t duplicates = 0;  // left out, since they say what the row before says
  uint64_t gaps = 0;
  absl::Duration longest_gap = {};
  absl::Time first = absl::InfinitePast();  // the first row's own time
  absl::Duration step = {};                 // the usual one of rates, 0 with a single row
};

class TraceReader {
 public:
  // `path` "-" is standard input. Errors: NotFound; InvalidArgument for an unusable header and for
  // a trace without a row.
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
  const TraceNotes& notes() const;

 private:
  class Impl;
  explicit TraceReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
