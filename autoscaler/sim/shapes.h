// Shapes: what a load looks like before it is scaled, and Track, a shape followed forward in its
// own time, in nanoseconds since its beginning. Internal to load.cc. Shapes are immutable and
// thread-safe; a track is one thread's.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/sim/events.h"
#include "autoscaler/sim/load.h"

namespace neap::sim {

class Track {
 public:
  virtual ~Track() = default;
  // Thousandths per second; `now` never goes back.
  virtual int64_t At(int64_t now) = 0;
  // Until then the rate stays that of the last At; kNever.
  virtual int64_t NextChange() const = 0;
  virtual int64_t Ended() const { return kNever; }
  virtual absl::Status status() const { return absl::OkStatus(); }
};

class Shape {
 public:
  virtual ~Shape() = default;
  // `resolution`, > 0, is how often it changes where it has no steps.
  virtual absl::StatusOr<std::unique_ptr<Track>> Open(uint64_t seed, int64_t resolution) const = 0;
};

std::shared_ptr<const Shape> StepsShape(std::vector<Load::Point> points, bool repeat);
// Straight lines between the points; the last one holds. Of points at one time the last counts.
std::shared_ptr<const Shape> LinesShape(std::vector<Load::Point> points);
std::shared_ptr<const Shape> SquareShape(Load::Wave wave);
std::shared_ptr<const Shape> SineShape(Load::Wave wave);
std::shared_ptr<const Shape> PoissonShape(int64_t rate, absl::Duration every);
std::shared_ptr<const Shape> TraceShape(std::string path, TraceOptions options, bool repeat);

}  // namespace neap::sim
