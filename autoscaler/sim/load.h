// Load: how many requests (or queue items) per second arrive, as a function of the time since the
// world began: a recorded trace or a generator. In whole thousandths per second, by integer
// arithmetic alone, so that every machine sees the same load. Immutable values; thread-safe.
//
//   const Load load = Load::Sine({.low = 10'000, .high = 90'000, .period = absl::Minutes(5)});
//   int64_t milli_per_second = load.At(absl::Seconds(42));
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace neap::sim {

// The largest rate that a load may have: a million per second, in thousandths.
inline constexpr int64_t kMaxRate = int64_t{1'000'000} * 1000;

// A load as it is followed forward in time: what a world reads. Owned by the world; one thread
// only.
class LoadCursor {
 public:
  virtual ~LoadCursor() = default;
  // The rate at `since_start`, 0 to kMaxRate; never earlier than at the last call.
  virtual int64_t At(absl::Duration since_start) = 0;
  // When the rate may next differ from that of the last At; InfiniteDuration: never. Shapes without
  // steps (ramp, sine) change every kResolution.
  virtual absl::Duration NextChange() = 0;
  // When the load is over (a trace's last row, which lasts as long as the one before it); known
  // only once it was reached, InfiniteDuration before, and for loads without an end.
  virtual absl::Duration Ended() const = 0;
  // Why a trace could not be read further; the rate is 0 from there on.
  virtual absl::Status status() const = 0;

  static constexpr absl::Duration kResolution = absl::Seconds(1);
};

class Load {
 public:
  // The rate from `at` on, until the next point.
  struct Point {
    absl::Duration at;  // since the load's beginning
    int64_t rate = 0;   // thousandths per second, 0 to kMaxRate
    bool operator==(const Point&) const = default;
  };
  struct Wave {
    int64_t low = 0;
    int64_t high = 0;
    absl::Duration period = absl::Minutes(5);
  };

  Load() = default;  // none: 0 at all times
  static Load Constant(int64_t rate);
  // Points by ascending time, at least one; 0 before the first. Repeating, it begins anew after
  // the last point, which lasts as long as the one before it.
  static Load Steps(std::vector<Point> points, bool repeat);
  // From `from` to `to` in a straight line, then `to`.
  static Load Ramp(int64_t from, int64_t to, absl::Duration over);
  static Load Square(Wave wave);  // half a period low, half a period high
  static Load Sine(Wave wave);    // begins half way up; from a table
  // The same, times thousandths / 1000, and with its time running speed / 1000 times as fast.
  Load Scaled(int64_t thousandths, int64_t speed) const;

  // From its beginning. `seed` is for those with chance in them. Errors: a trace file that can't be
  // opened. The cursor does not refer to this value.
  absl::StatusOr<std::unique_ptr<LoadCursor>> Open(uint64_t seed) const;

  // The rate at that time since the world began, 0 to kMaxRate.
  int64_t At(absl::Duration since_start) const;

 private:
  enum class Shape { kNone, kSteps, kRamp, kSquare, kSine };
  Shape shape_ = Shape::kNone;
  std::shared_ptr<const std::vector<Point>> points_;
  bool repeat_ = false;
  Wave wave_;  // also of a ramp
  int64_t thousandths_ = 1000;
  int64_t speed_ = 1000;
};

// A recorded trace: CSV with a time and a rate per row, a header line or none. The columns are the
// first two, separated by ',', ';' or a tab. Times are seconds (milliseconds when beyond 10^11),
// RFC 3339 or "2014-07-01 00:00:00", and must ascend; the first row is time 0. Errors:
// InvalidArgument with source:line for text, missing columns, negative, non-finite or too high
// rates, and times that do not ascend.
absl::StatusOr<std::vector<Load::Point>> ParseTrace(std::string_view csv, std::string_view source);

}  // namespace neap::sim
