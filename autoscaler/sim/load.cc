#include "autoscaler/sim/load.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::sim {
namespace {

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

// `since` within one period.
absl::Duration Within(absl::Duration since, absl::Duration period) {
  absl::Duration rest;
  absl::IDivDuration(since, period, &rest);
  return rest;
}

int64_t RateOf(const std::vector<Load::Point>& points, bool repeat, absl::Duration since) {
  if (repeat && points.size() > 1) {
    const Load::Point& last = points.back();
    since = Within(since, last.at + (last.at - points[points.size() - 2].at));
  }
  const auto after = std::upper_bound(points.begin(), points.end(), since,
                                      [](absl::Duration t, const auto& p) { return t < p.at; });
  return after == points.begin() ? 0 : std::prev(after)->rate;
}

// A cell without blanks and quotes around it.
std::string_view Cell(std::string_view text) {
  constexpr std::string_view kAround = " \t\r\"";
  const size_t begin = text.find_first_not_of(kAround);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kAround) - begin + 1);
}

std::optional<double> Number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<absl::Time> TimeOf(std::string_view text) {
  if (const auto number = Number(text)) {
    if (!(*number >= 0 && *number < 1e15)) return std::nullopt;
    const double milliseconds = *number > 1e11 ? *number : *number * 1000;
    return absl::FromUnixMillis(static_cast<int64_t>(milliseconds));
  }
  if (absl::StatusOr<absl::Time> time = base::ParseTime(text); time.ok()) return *time;
  absl::Time time;
  std::string error;
  if (absl::ParseTime("%Y-%m-%d %H:%M:%E*S", std::string(text), &time, &error)) return time;
  return std::nullopt;
}

}  // namespace

Load Load::Constant(int64_t rate) {
  return Steps({{.at = absl::ZeroDuration(), .rate = rate}}, false);
}

Load Load::Steps(std::vector<Point> points, bool repeat) {
  Load load;
  load.shape_ = Shape::kSteps;
  load.points_ = std::make_shared<const std::vector<Point>>(std::move(points));
  load.repeat_ = repeat;
  return load;
}

Load Load::Ramp(int64_t from, int64_t to, absl::Duration over) {
  Load load;
  load.shape_ = Shape::kRamp;
  load.wave_ = {.low = from, .high = to, .period = over};
  return load;
}

Load Load::Square(Wave wave) {
  Load load;
  load.shape_ = Shape::kSquare;
  load.wave_ = wave;
  return load;
}

Load Load::Sine(Wave wave) {
  Load load;
  load.shape_ = Shape::kSine;
  load.wave_ = wave;
  return load;
}

Load Load::Scaled(int64_t thousandths, int64_t speed) const {
  Load load = *this;
  load.thousandths_ = thousandths;
  load.speed_ = speed;
  return load;
}

int64_t Load::At(absl::Duration since_start) const {
  const absl::Duration since = since_start * speed_ / 1000;
  int64_t rate = 0;
  switch (shape_) {
    case Shape::kNone:
      return 0;
    case Shape::kSteps:
      rate = RateOf(*points_, repeat_, since);
      break;
    case Shape::kRamp: {
      const int64_t over = std::max<int64_t>(1, absl::ToInt64Milliseconds(wave_.period));
      const int64_t at = std::clamp<int64_t>(absl::ToInt64Milliseconds(since), 0, over);
      rate = wave_.low + (wave_.high - wave_.low) * at / over;
      break;
    }
    case Shape::kSquare:
      rate = Within(since, wave_.period) * 2 < wave_.period ? wave_.low : wave_.high;
      break;
    case Shape::kSine: {
      const int64_t period = absl::ToInt64Microseconds(wave_.period);
      const int64_t at = absl::ToInt64Microseconds(Within(since, wave_.period));
      const int64_t sine = SineOf(at * 65536 / period);
      rate = wave_.low + (wave_.high - wave_.low) * (sine + 65536) / 131072;
      break;
    }
  }
  return std::clamp<int64_t>(rate * thousandths_ / 1000, 0, kMaxRate);
}

absl::StatusOr<std::vector<Load::Point>> ParseTrace(std::string_view csv, std::string_view source) {
  std::vector<Load::Point> points;
  std::optional<absl::Time> first;
  int line_number = 0;
  for (size_t begin = 0; begin < csv.size();) {
    const size_t end = std::min(csv.find('\n', begin), csv.size());
    const std::string_view line = Cell(csv.substr(begin, end - begin));
    begin = end + 1;
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    const auto wrong = [&](std::string_view what) {
      return base::InvalidArgument("{}:{}: {}", source, line_number, what);
    };
    const size_t split = line.find_first_of(",;\t");
    if (split == std::string_view::npos) return wrong("expected two columns: time, rate");
    const std::string_view rest = line.substr(split + 1);
    const std::string_view time_text = Cell(line.substr(0, split));
    const std::string_view rate_text = Cell(rest.substr(0, rest.find_first_of(",;\t")));
    const std::optional<double> rate = Number(rate_text);
    if (!rate) {
      if (points.empty() && !first && !TimeOf(time_text)) continue;  // the header
      return wrong(fmt::format("the rate \"{}\" is not a number", rate_text));
    }
    if (!(*rate >= 0) || *rate * 1000 > static_cast<double>(kMaxRate)) {
      return wrong(fmt::format("the rate {} is not between 0 and {}", rate_text, kMaxRate / 1000));
    }
    const std::optional<absl::Time> time = TimeOf(time_text);
    if (!time) {
      return wrong(
          fmt::format("the time \"{}\" is neither seconds nor a date and time", time_text));
    }
    if (!first) first = time;
    const absl::Duration at = *time - *first;
    if (!points.empty() && at <= points.back().at) {
      return wrong(fmt::format("the time \"{}\" is not after the one before it", time_text));
    }
    points.push_back({.at = at, .rate = static_cast<int64_t>(*rate * 1000 + 0.5)});
  }
  if (points.empty()) return base::InvalidArgument("{}: no row with a time and a rate", source);
  return points;
}

}  // namespace neap::sim
