#include "autoscaler/sim/shapes.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/sim/distribution.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

int64_t Nanos(absl::Duration duration) { return absl::ToInt64Nanoseconds(duration); }

// ---- steps and lines

struct Point {
  int64_t at;
  int64_t rate;
};
using Points = std::vector<Point>;

Points InNanos(const std::vector<Load::Point>& points) {
  Points out;
  for (const Load::Point& point : points) out.push_back({Nanos(point.at), point.rate});
  return out;
}

// The first point after `now`.
Points::const_iterator After(const Points& points, int64_t now) {
  return std::upper_bound(points.begin(), points.end(), now,
                          [](int64_t t, const auto& point) { return t < point.at; });
}

class StepsTrack : public Track {
 public:
  // `length` of one round; 0: it does not begin anew.
  StepsTrack(std::shared_ptr<const Points> points, int64_t length)
      : points_(std::move(points)), length_(length), after_(points_->begin()) {}

  int64_t At(int64_t now) override {
    const int64_t within = length_ > 0 ? now % length_ : now;
    // On from where the last call was: searching anew would touch memory all over.
    if (within < within_) after_ = points_->begin();
    within_ = within;
    while (after_ != points_->end() && after_->at <= within) ++after_;
    next_ = after_ != points_->end() ? after_->at : (length_ > 0 ? length_ : kNever);
    if (next_ != kNever) next_ += now - within;
    return after_ == points_->begin() ? 0 : std::prev(after_)->rate;
  }
  int64_t NextChange() const override { return next_; }

 private:
  const std::shared_ptr<const Points> points_;
  const int64_t length_;
  Points::const_iterator after_;  // the first point after within_
  int64_t within_ = 0;
  int64_t next_ = 0;
};

class Steps : public Shape {
 public:
  Steps(const std::vector<Load::Point>& points, bool repeat)
      : points_(std::make_shared<const Points>(InNanos(points))) {
    const size_t n = points_->size();
    if (repeat && n > 1) length_ = 2 * (*points_)[n - 1].at - (*points_)[n - 2].at;
  }
  absl::StatusOr<std::unique_ptr<Track>> Open(uint64_t, int64_t) const override {
    return std::make_unique<StepsTrack>(points_, length_);
  }

 private:
  std::shared_ptr<const Points> points_;
  int64_t length_ = 0;
};

class LinesTrack : public Track {
 public:
  LinesTrack(std::shared_ptr<const Points> points, int64_t resolution)
      : points_(std::move(points)), resolution_(resolution) {}

  int64_t At(int64_t now) override {
    const auto to = After(*points_, now);
    if (to == points_->begin()) {
      next_ = to->at;
      return 0;
    }
    const auto from = std::prev(to);
    next_ = to == points_->end() ? kNever : to->at;
    if (next_ == kNever || from->rate == to->rate) return from->rate;
    const int64_t step = now - now % resolution_;
    next_ = std::min(next_, step + resolution_);
    const int64_t passed = std::max(step, from->at) - from->at;
    return from->rate +
           static_cast<int64_t>(Wide{to->rate - from->rate} * passed / (to->at - from->at));
  }
  int64_t NextChange() const override { return next_; }

 private:
  const std::shared_ptr<const Points> points_;
  const int64_t resolution_;
  int64_t next_ = 0;
};

class Lines : public Shape {
 public:
  explicit Lines(const std::vector<Load::Point>& points)
      : points_(std::make_shared<const Points>(InNanos(points))) {}
  absl::StatusOr<std::unique_ptr<Track>> Open(uint64_t, int64_t resolution) const override {
    return std::make_unique<LinesTrack>(points_, resolution);
  }

 private:
  std::shared_ptr<const Points> points_;
};

// ---- waves

struct Wave {
  int64_t low;
  int64_t high;
  int64_t period;
};

class SquareTrack : public Track {
 public:
  explicit SquareTrack(const Wave& wave) : wave_(wave) {}
  int64_t At(int64_t now) override {
    const int64_t within = now % wave_.period;
    const int64_t half = (wave_.period + 1) / 2;
    next_ = now - within + (within < half ? half : wave_.period);
    return within < half ? wave_.low : wave_.high;
  }
  int64_t NextChange() const override { return next_; }

 private:
  const Wave wave_;
  int64_t next_ = 0;
};

// 65536 x the sine of the first quarter turn in 64 steps. A table, since the library's function
// differs in its last bits from machine to machine.
constexpr std::array<int32_t, 65> kQuarter = {
    0,     1608,  3216,  4821,  6424,  8022,  9616,  11204, 12785, 14359, 15924, 17479, 19024,
    20557, 22078, 23586, 25080, 26558, 28020, 29466, 30893, 32303, 33692, 35062, 36410, 37736,
    39040, 40320, 41576, 42806, 44011, 45190, 46341, 47464, 48559, 49624, 50660, 51665, 52639,
    53581, 54491, 55368, 56212, 57022, 57798, 58538, 59244, 59914, 60547, 61145, 61705, 62228,
    62714, 63162, 63572, 63944, 64277, 64571, 64827, 65043, 65220, 65358, 65457, 65516, 65536};

// 65536 x the sine of `position` / 65536 turns.
int64_t SineOf(int64_t position) {
  position &= 0xffff;
  const bool negative = position >= 0x8000;
  position &= 0x7fff;
  if (position > 0x4000) position = 0x8000 - position;
  const int64_t step = position >> 8;
  const int64_t part = position & 0xff;
  const int64_t at = kQuarter[static_cast<size_t>(step)];
  const int64_t next = kQuarter[static_cast<size_t>(std::min<int64_t>(step + 1, 64))];
  const int64_t value = at + (next - at) * part / 256;
  return negative ? -value : value;
}

class SineTrack : public Track {
 public:
  SineTrack(const Wave& wave, int64_t resolution) : wave_(wave), resolution_(resolution) {}
  int64_t At(int64_t now) override {
    const int64_t step = now - now % resolution_;
    next_ = step + resolution_;
    const int64_t sine =
        SineOf(static_cast<int64_t>(Wide{step % wave_.period} * 65536 / wave_.period));
    return wave_.low + (wave_.high - wave_.low) * (sine + 65536) / 131072;
  }
  int64_t NextChange() const override { return next_; }

 private:
  const Wave wave_;
  const int64_t resolution_;
  int64_t next_ = 0;
};

class Waves : public Shape {
 public:
  Waves(const Load::Wave& wave, bool sine)
      : wave_{wave.low, wave.high, std::max<int64_t>(2, Nanos(wave.period))}, sine_(sine) {}
  absl::StatusOr<std::unique_ptr<Track>> Open(uint64_t, int64_t resolution) const override {
    if (sine_) return std::make_unique<SineTrack>(wave_, resolution);
    return std::make_unique<SquareTrack>(wave_);
  }

 private:
  const Wave wave_;
  const bool sine_;
};

// ---- chance

int64_t SquareRoot(Wide of) {
  int64_t root = 0;
  for (int64_t bit = int64_t{1} << 62; bit > 0; bit >>= 1) {
    if (Wide{root + bit} * (root + bit) <= of) root += bit;
  }
  return root;
}

// A number with Poisson's distribution around `milli` / 1000.
int64_t PoissonCount(int64_t milli, Random& random) {
  // Many: the bell, which it nears.
  if (milli > 64'000) {
    const Wide deviation = SquareRoot(Wide{milli} * 1000);  // thousandths
    const Wide drawn = milli + deviation * NormalDeviate(random) / 65536 + 500;
    return static_cast<int64_t>(std::max<Wide>(0, drawn) / 1000);
  }
  // Few: how many exponential waits fit in.
  const auto room = static_cast<uint64_t>((Wide{milli} << 32) / 1000);
  int64_t count = 0;
  for (uint64_t passed = NegativeLog(random); passed <= room; passed += NegativeLog(random)) {
    ++count;
  }
  return count;
}

class PoissonTrack : public Track {
 public:
  PoissonTrack(int64_t rate, int64_t every, uint64_t seed)
      : rate_(rate), every_(every), seed_(Random(seed).Next()) {}

  int64_t At(int64_t now) override {
    const int64_t round = now / every_;
    if (round != round_) {
      round_ = round;
      // Each round has its own chance, so that it does not matter which ones are looked at.
      Random chance(Random(seed_ + static_cast<uint64_t>(round)).Next());
      const auto milli = static_cast<int64_t>(Wide{rate_} * every_ / kSecond);
      const Wide drawn = Wide{PoissonCount(milli, chance)} * 1000 * kSecond / every_;
      drawn_ = static_cast<int64_t>(std::min<Wide>(drawn, kMaxRate));
    }
    return drawn_;
  }
  int64_t NextChange() const override { return (round_ + 1) * every_; }

 private:
  const int64_t rate_;
  const int64_t every_;
  const uint64_t seed_;
  int64_t round_ = -1;
  int64_t drawn_ = 0;
};

class PoissonRates : public Shape {
 public:
  PoissonRates(int64_t rate, absl::Duration every)
      : rate_(rate), every_(std::max<int64_t>(1'000'000, Nanos(every))) {}
  absl::StatusOr<std::unique_ptr<Track>> Open(uint64_t seed, int64_t) const override {
    return std::make_unique<PoissonTrack>(rate_, every_, seed);
  }

 private:
  const int64_t rate_;
  const int64_t every_;
};

// ---- a recorded trace

class TraceTrack : public Track {
 public:
  TraceTrack(std::string path, TraceOptions options, bool repeat)
      : path_(std::move(path)), options_(std::move(options)), repeat_(repeat) {}

  absl::Status Begin() {
    NEAP_ASSIGN_OR_RETURN(reader_, TraceReader::Open(path_, options_));
    ReadAhead();  // there is a row
    Step();
    return absl::OkStatus();
  }

  int64_t At(int64_t now) override {
    while (ended_ == kNever && now >= NextChange()) {
      if (ahead_) {
        Step();
      } else {
        BeginAnewOrEnd();
      }
    }
    return ended_ == kNever ? rate_ : 0;
  }
  int64_t NextChange() const override {
    if (ended_ != kNever) return kNever;
    if (ahead_) return began_ + ahead_->at;
    return step_ == 0 ? kNever : began_ + row_at_ + step_;  // a single row lasts for ever
  }
  int64_t Ended() const override { return ended_; }
  absl::Status status() const override { return status_; }

 private:
  void ReadAhead() {
    TraceRow row;
    ahead_.reset();
    if (reader_->Next(&row)) {
      ahead_ = {.at = Nanos(row.at), .rate = row.milli};
    } else {
      status_ = reader_->status();
      step_ = Nanos(reader_->notes().step);
    }
  }
  void Step() {
    row_at_ = ahead_->at;
    rate_ = ahead_->rate;
    ReadAhead();
  }
  void BeginAnewOrEnd() {
    const int64_t end = NextChange();
    if (repeat_ && status_.ok()) {
      began_ = end;
      status_ = Begin();
      if (status_.ok()) return;
    }
    ended_ = end;
    reader_.reset();
  }

  const std::string path_;
  const TraceOptions options_;
  const bool repeat_;
  std::unique_ptr<TraceReader> reader_;
  absl::Status status_;
  int64_t began_ = 0;   // this reading of the file
  int64_t row_at_ = 0;  // since then
  int64_t rate_ = 0;
  std::optional<Point> ahead_;  // the next row
  int64_t step_ = 0;            // known after the last row
  int64_t ended_ = kNever;
};

class Trace : public Shape {
 public:
  Trace(std::string path, TraceOptions options, bool repeat)
      : path_(std::move(path)), options_(std::move(options)), repeat_(repeat) {}
  absl::StatusOr<std::unique_ptr<Track>> Open(uint64_t, int64_t) const override {
    if (options_.kind != TraceKind::kRates) {
      return base::InvalidArgument("{}: a trace of requests, where one of rates is due", path_);
    }
    struct stat info = {};
    if (repeat_ && stat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
      return base::InvalidArgument("{}: is no regular file, so that it can't repeat", path_);
    }
    if (repeat_ && path_ == "-") {
      return base::InvalidArgument("standard input can't repeat");
    }
    auto track = std::make_unique<TraceTrack>(path_, options_, repeat_);
    NEAP_RETURN_IF_ERROR(track->Begin());
    return track;
  }

 private:
  const std::string path_;
  const TraceOptions options_;
  const bool repeat_;
};

}  // namespace

std::shared_ptr<const Shape> StepsShape(std::vector<Load::Point> points, bool repeat) {
  return std::make_shared<const Steps>(points, repeat);
}

std::shared_ptr<const Shape> LinesShape(std::vector<Load::Point> points) {
  return std::make_shared<const Lines>(points);
}

std::shared_ptr<const Shape> SquareShape(Load::Wave wave) {
  return std::make_shared<const Waves>(wave, false);
}

std::shared_ptr<const Shape> SineShape(Load::Wave wave) {
  return std::make_shared<const Waves>(wave, true);
}

std::shared_ptr<const Shape> PoissonShape(int64_t rate, absl::Duration every) {
  return std::make_shared<const PoissonRates>(rate, every);
}

std::shared_ptr<const Shape> TraceShape(std::string path, TraceOptions options, bool repeat) {
  return std::make_shared<const Trace>(std::move(path), std::move(options), repeat);
}

}  // namespace neap::sim
