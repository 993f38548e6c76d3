#include "autoscaler/sim/load.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/shapes.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

constexpr int64_t kMillion = 1'000'000;

// A track in the world's time and height.
class ScaledCursor : public LoadCursor {
 public:
  ScaledCursor(std::unique_ptr<Track> track, int64_t scale, int64_t speed)
      : track_(std::move(track)), scale_(scale), speed_(speed) {}

  int64_t At(absl::Duration since_start) override {
    const Wide now = Wide{absl::ToInt64Nanoseconds(since_start)} * speed_ / kMillion;
    const int64_t rate = track_->At(static_cast<int64_t>(std::clamp<Wide>(now, 0, kNever - 1)));
    return static_cast<int64_t>(std::clamp<Wide>(Wide{rate} * scale_ / kMillion, 0, kMaxRate));
  }
  absl::Duration NextChange() override { return Outside(track_->NextChange()); }
  absl::Duration Ended() const override { return Outside(track_->Ended()); }
  absl::Status status() const override { return track_->status(); }

 private:
  // The first nanosecond of the world at which the track's time is `when`.
  absl::Duration Outside(int64_t when) const {
    if (when == kNever || speed_ <= 0) return absl::InfiniteDuration();
    const Wide nanos = (Wide{when} * kMillion + speed_ - 1) / speed_;
    if (nanos >= kNever) return absl::InfiniteDuration();
    return absl::Nanoseconds(static_cast<int64_t>(nanos));
  }

  const std::unique_ptr<Track> track_;
  const int64_t scale_;
  const int64_t speed_;
};

class SumCursor : public LoadCursor {
 public:
  explicit SumCursor(std::vector<std::unique_ptr<LoadCursor>> parts) : parts_(std::move(parts)) {}

  int64_t At(absl::Duration since_start) override {
    int64_t sum = 0;
    for (const auto& part : parts_) sum = std::min(sum + part->At(since_start), kMaxRate);
    return sum;
  }
  absl::Duration NextChange() override {
    absl::Duration next = absl::InfiniteDuration();
    for (const auto& part : parts_) next = std::min(next, part->NextChange());
    return next;
  }
  absl::Duration Ended() const override {
    absl::Duration end = parts_.empty() ? absl::InfiniteDuration() : absl::ZeroDuration();
    for (const auto& part : parts_) end = std::max(end, part->Ended());
    return end;
  }
  absl::Status status() const override {
    for (const auto& part : parts_) NEAP_RETURN_IF_ERROR(part->status());
    return absl::OkStatus();
  }

 private:
  const std::vector<std::unique_ptr<LoadCursor>> parts_;
};

}  // namespace

Load Load::Constant(int64_t rate) {
  return Steps({{.at = absl::ZeroDuration(), .rate = rate}}, false);
}

Load Load::Steps(std::vector<Point> points, bool repeat) {
  return Load(StepsShape(std::move(points), repeat));
}

Load Load::Ramp(int64_t from, int64_t to, absl::Duration over) {
  return Load(LinesShape({{absl::ZeroDuration(), from}, {over, to}}));
}

Load Load::Square(Wave wave) { return Load(SquareShape(wave)); }

Load Load::Sine(Wave wave) { return Load(SineShape(wave)); }

Load Load::FlashCrowd(Crowd crowd) {
  const absl::Duration top = crowd.at + crowd.rise;
  const absl::Duration down = top + crowd.hold;
  return Load(LinesShape({{absl::ZeroDuration(), crowd.base},
                          {crowd.at, crowd.base},
                          {top, crowd.peak},
                          {down, crowd.peak},
                          {down + crowd.fall, crowd.base}}));
}

Load Load::Poisson(int64_t rate, absl::Duration every) { return Load(PoissonShape(rate, every)); }

Load Load::Sum(std::vector<Load> parts) {
  Load load;
  load.parts_ = std::make_shared<const std::vector<Load>>(std::move(parts));
  return load;
}

Load Load::Trace(std::string path, TraceOptions options, bool repeat) {
  return Load(TraceShape(std::move(path), std::move(options), repeat));
}

Load Load::Scaled(int64_t thousandths, int64_t speed) const {
  if (parts_ != nullptr) {
    std::vector<Load> parts;
    for (const Load& part : *parts_) parts.push_back(part.Scaled(thousandths, speed));
    return Sum(std::move(parts));
  }
  const auto times = [](int64_t millionths, int64_t factor) {
    return static_cast<int64_t>(std::clamp<Wide>(Wide{millionths} * factor / 1000, 0,
                                                 std::numeric_limits<int64_t>::max() / kMillion));
  };
  Load load = *this;
  load.scale_ = times(scale_, thousandths);
  load.speed_ = times(speed_, speed);
  return load;
}

absl::StatusOr<std::unique_ptr<LoadCursor>> Load::Open(uint64_t seed) const {
  if (shape_ == nullptr) {
    std::vector<std::unique_ptr<LoadCursor>> parts;
    Random seeds(seed);
    if (parts_ != nullptr) {
      for (const Load& part : *parts_) {
        NEAP_ASSIGN_OR_RETURN(auto cursor, part.Open(seeds.Next()));
        parts.push_back(std::move(cursor));
      }
    }
    return std::make_unique<SumCursor>(std::move(parts));
  }
  const int64_t second = absl::ToInt64Nanoseconds(LoadCursor::kResolution);
  const Wide resolution = std::clamp<Wide>(Wide{second} * speed_ / kMillion, 1, kNever / 2);
  NEAP_ASSIGN_OR_RETURN(auto track, shape_->Open(seed, static_cast<int64_t>(resolution)));
  return std::make_unique<ScaledCursor>(std::move(track), scale_, speed_);
}

int64_t Load::At(absl::Duration since_start) const {
  const auto cursor = Open(0);
  return cursor.ok() ? (*cursor)->At(since_start) : 0;
}

}  // namespace neap::sim
