// Load: how many requests (or queue items) per second arrive, as a function of the time since the
// world began: a recorded trace, a generator, or a sum of these. In whole thousandths per second,
// by integer arithmetic alone, so that every machine sees the same load. Loads are immutable
// values, thread-safe; a world follows one through a LoadCursor.
//
//   const Load load = Load::Sine({.low = 10'000, .high = 90'000, .period = absl::Minutes(5)});
//   NEAP_ASSIGN_OR_RETURN(auto cursor, load.Open(seed));
//   int64_t milli_per_second = cursor->At(absl::Seconds(42));
//   absl::Duration next = cursor->NextChange();  // until then it is the same
//
// In files (world_file.h), each with an optional `scale`:
//   {constant: 20}
//   {steps: [{at: 0s, rate: 10}, {at: 60s, rate: 50}], repeat: true}
//   {ramp: {from: 0, to: 100, over: 10m}}
//   {square: {low: 10, high: 90, period: 4m}}
//   {sine: {low: 10, high: 90, period: 10m}}
//   {flashCrowd: {base: 10, peak: 500, at: 10m, rise: 30s, hold: 5m, fall: 5m}}
//   {poisson: {rate: 20, every: 1s}}
//   {sum: [{constant: 5}, {poisson: {rate: 20, every: 1s}}]}
//   {trace: FILE, time: COLUMN, value: COLUMN, perStep: true, gap: hold | zero | refuse, repeat:
//   true}
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/sim/trace.h"

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
  // When the rate may next differ from that of the last At; InfiniteDuration: never. Where a shape
  // has no steps (ramp, sine, a crowd that grows) it changes at each multiple of kResolution.
  virtual absl::Duration NextChange() = 0;
  // When the load is over, its rate 0 from there on: a trace's last row lasts one usual step; a sum
  // ends with the last of its parts. InfiniteDuration until At has reached it, and for loads
  // without an end.
  virtual absl::Duration Ended() const = 0;
  // Why a trace could not be read further; the rate is 0 from there on.
  virtual absl::Status status() const = 0;

  static constexpr absl::Duration kResolution = absl::Seconds(1);
};

class Shape;  // shapes.h

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
    absl::Duration period = absl::Minutes(5);  // > 0
  };
  // `base` until `at`, up to `peak` in a straight line, `hold` there, and down again.
  struct Crowd {
    int64_t base = 0;
    int64_t peak = 0;
    absl::Duration at = absl::Minutes(10);
    absl::Duration rise = absl::Seconds(30);
    absl::Duration hold = absl::Minutes(5);
    absl::Duration fall = absl::Minutes(5);
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
  static Load FlashCrowd(Crowd crowd);
  // As many as came by chance: each `every` (> 0) a new rate, of a number of arrivals that has
  // Poisson's distribution around `rate` times `every`.
  static Load Poisson(int64_t rate, absl::Duration every);
  static Load Sum(std::vector<Load> parts);
  // Read row by row from a file (trace.h) by each cursor; `path` "-" is standard input, for one
  // cursor alone. Repeating (regular files only), it begins anew when it is over. A single row
  // holds for ever.
  static Load Trace(std::string path, TraceOptions options, bool repeat = false);
  // The same, times thousandths / 1000, and with its time running speed / 1000 times as fast. Of a
  // load scaled twice both count, in whole millionths.
  Load Scaled(int64_t thousandths, int64_t speed) const;

  // From its beginning. `seed` is for those with chance in them. Errors: a trace file that can't be
  // opened, that has no row or is of requests. The cursor does not refer to this value.
  absl::StatusOr<std::unique_ptr<LoadCursor>> Open(uint64_t seed) const;

  // The rate at that time since the world began, 0 to kMaxRate, with seed 0; 0 where a trace can't
  // be read. Opens a cursor each time: for looks at single moments.
  int64_t At(absl::Duration since_start) const;

 private:
  explicit Load(std::shared_ptr<const Shape> shape) : shape_(std::move(shape)) {}

  std::shared_ptr<const Shape> shape_;              // of one part; none in a sum
  std::shared_ptr<const std::vector<Load>> parts_;  // of a sum
  int64_t scale_ = 1'000'000;                       // millionths
  int64_t speed_ = 1'000'000;
};

}  // namespace neap::sim
