#include "scalers/cron/schedule.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <string>
#include <vector>

#include "autoscaler/base/status.h"

namespace neap::scalers::cron {
namespace {

constexpr uint64_t kStar = uint64_t{1} << 63;

struct Field {
  int min;
  int max;
  std::span<const std::string_view> names;  // names[i] means min + i
};

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr Field kMinute = {0, 59, {}};
constexpr Field kHour = {0, 23, {}};
constexpr Field kDay = {1, 31, {}};
constexpr Field kMonth = {1, 12, kMonths};
constexpr Field kWeekday = {0, 6, kDays};

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (at < text.size()) {
    const size_t begin = text.find_first_not_of(" \t\r\n\v\f", at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t\r\n\v\f", begin), text.size());
    words.push_back(text.substr(begin, at - begin));
  }
  return words;
}

absl::StatusOr<int> Number(std::string_view text, std::string_view range) {
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || (digits.size() != text.size() && digits[0] == '-') ||
      error != std::errc() || end != digits.data() + digits.size()) {
    return base::InvalidArgument("\"{}\" in \"{}\" is not a number", text, range);
  }
  if (number < 0) return base::InvalidArgument("\"{}\": negative number not allowed", range);
  return number;
}

absl::StatusOr<int> NumberOrName(std::string_view text, std::string_view range,
                                 const Field& field) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (size_t i = 0; i < field.names.size(); ++i) {
    if (field.names[i] == lower) return field.min + static_cast<int>(i);
  }
  return Number(text, range);
}

// "*", "a", "a-b", each with an optional "/step".
absl::StatusOr<uint64_t> ParseRange(std::string_view text, const Field& field) {
  const std::vector<std::string_view> range_and_step = Split(text, '/');
  if (range_and_step.size() > 2) return base::InvalidArgument("too many slashes: \"{}\"", text);
  const std::vector<std::string_view> ends = Split(range_and_step[0], '-');
  int low = field.min;
  int high = field.max;
  uint64_t star = 0;
  if (ends[0] == "*" || ends[0] == "?") {
    star = kStar;
  } else {
    if (ends.size() > 2) return base::InvalidArgument("too many hyphens: \"{}\"", text);
    NEAP_ASSIGN_OR_RETURN(low, NumberOrName(ends[0], text, field));
    high = low;
    if (ends.size() == 2) {
      NEAP_ASSIGN_OR_RETURN(high, NumberOrName(ends[1], text, field));
    }
  }
  int step = 1;
  if (range_and_step.size() == 2) {
    NEAP_ASSIGN_OR_RETURN(step, Number(range_and_step[1], text));
    if (ends.size() == 1) high = field.max;  // "N/step" means N-max/step
    if (step > 1) star = 0;
  }
  if (low < field.min) {
    return base::InvalidArgument("beginning of range ({}) below minimum ({}): \"{}\"", low,
                                 field.min, text);
  }
  if (high > field.max) {
    return base::InvalidArgument("end of range ({}) above maximum ({}): \"{}\"", high, field.max,
                                 text);
  }
  if (low > high) {
    return base::InvalidArgument("beginning of range ({}) beyond end of range ({}): \"{}\"", low,
                                 high, text);
  }
  if (step == 0) return base::InvalidArgument("step must be a positive number: \"{}\"", text);
  uint64_t bits = star;
  for (int value = low; value <= high; value += step) bits |= uint64_t{1} << value;
  return bits;
}

absl::StatusOr<uint64_t> ParseField(std::string_view text, const Field& field) {
  uint64_t bits = 0;
  for (std::string_view range : Split(text, ',')) {
    if (range.empty()) continue;  // "1,,2" is "1,2"
    NEAP_ASSIGN_OR_RETURN(uint64_t more, ParseRange(range, field));
    bits |= more;
  }
  return bits;
}

// A civil time as an instant by the rule of Go's time.Date: the offset in force at the instant that
// a first guess gives. It decides what times in a gap or a fold mean.
absl::Time ToInstant(absl::CivilSecond civil, absl::TimeZone zone) {
  const absl::Time as_utc = absl::FromCivil(civil, absl::UTCTimeZone());
  const int guess = zone.At(as_utc).offset;
  if (guess == 0) return as_utc;
  return as_utc - absl::Seconds(zone.At(as_utc - absl::Seconds(guess)).offset);
}

}  // namespace

absl::StatusOr<absl::TimeZone> LoadZone(std::string_view name) {
  if (name == "Local") return absl::LocalTimeZone();
  absl::TimeZone zone;
  const bool plain = !name.empty() && name[0] != '/' && name.find("..") == std::string_view::npos &&
                     name.find(':') == std::string_view::npos &&
                     name.find('\\') == std::string_view::npos;
  if (!plain || !absl::LoadTimeZone(std::string(name), &zone)) {
    return base::NotFound("time zone \"{}\" is not known", name);
  }
  return zone;
}

absl::StatusOr<Schedule> Schedule::Parse(std::string_view text) {
  Schedule schedule;
  if (text.empty()) return base::InvalidArgument("empty schedule");
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    const size_t equals = text.find('=');
    const size_t blank = text.find(' ');
    if (blank == std::string_view::npos) {
      return base::InvalidArgument("nothing follows the time zone: \"{}\"", text);
    }
    NEAP_ASSIGN_OR_RETURN(schedule.own_zone_,
                          LoadZone(text.substr(equals + 1, blank - equals - 1)));
    text.remove_prefix(blank);
  }
  const std::vector<std::string_view> words = Words(text);
  if (!words.empty() && words[0].starts_with('@')) {
    return base::InvalidArgument("\"{}\": descriptors are not accepted, write five fields",
                                 words[0]);
  }
  if (words.size() != 5) {
    return base::InvalidArgument("expected exactly 5 fields, found {}: \"{}\"", words.size(), text);
  }
  NEAP_ASSIGN_OR_RETURN(schedule.minute_, ParseField(words[0], kMinute));
  NEAP_ASSIGN_OR_RETURN(schedule.hour_, ParseField(words[1], kHour));
  NEAP_ASSIGN_OR_RETURN(schedule.day_, ParseField(words[2], kDay));
  NEAP_ASSIGN_OR_RETURN(schedule.month_, ParseField(words[3], kMonth));
  NEAP_ASSIGN_OR_RETURN(schedule.weekday_, ParseField(words[4], kWeekday));
  return schedule;
}

// Walks down from the month to the minute. Whatever a field advances, the smaller fields have been
// set to their lowest first, and a carry starts the walk anew.
std::optional<absl::Time> Schedule::Next(absl::Time now, absl::TimeZone zone) const {
  if (own_zone_) zone = *own_zone_;
  const auto has = [](uint64_t bits, int value) { return (bits >> value & 1) != 0; };
  const auto day_matches = [&](absl::CivilDay day) {
    const bool by_day = has(day_, day.day());
    // absl counts from Monday, cron from Sunday.
    const bool by_weekday = has(weekday_, (static_cast<int>(absl::GetWeekday(day)) + 1) % 7);
    // With a star in either field both must match; with two restricted fields one is enough.
    if (((day_ | weekday_) & kStar) != 0) return by_day && by_weekday;
    return by_day || by_weekday;
  };

  absl::Time t = absl::FromUnixSeconds(absl::ToUnixSeconds(now)) + absl::Seconds(1);
  const auto civil = [&] { return absl::ToCivilSecond(t, zone); };
  const int64_t last_year = civil().year() + 5;
  bool floored = false;  // the fields below the one that advances are at their lowest

  for (;;) {
    bool carry = false;
    if (civil().year() > last_year) return std::nullopt;

    while (!carry && !has(month_, civil().month())) {
      const absl::CivilSecond at = floored ? civil() : absl::CivilSecond(absl::CivilMonth(civil()));
      floored = true;
      t = ToInstant(absl::CivilSecond(at.year(), at.month() + 1, at.day(), at.hour(), at.minute(),
                                      at.second()),
                    zone);
      carry = civil().month() == 1;
    }
    if (carry) continue;

    while (!carry && !day_matches(absl::CivilDay(civil()))) {
      if (!floored) {
        floored = true;
        t = ToInstant(absl::CivilSecond(absl::CivilDay(civil())), zone);
      }
      const absl::CivilSecond at = civil();
      const absl::Time day_before = t;
      t = ToInstant(absl::CivilSecond(at.year(), at.month(), at.day() + 1, at.hour(), at.minute(),
                                      at.second()),
                    zone);
      // A day that a zone left out (Samoa, 30 December 2011) has no instant: step over it.
      if (t <= day_before) t = day_before + absl::Hours(24);
      // Where midnight does not exist the hour is 23 or 1: back to the day's beginning.
      if (const int hour = civil().hour(); hour != 0) {
        t += absl::Hours(hour > 12 ? 24 - hour : -hour);
      }
      carry = civil().day() == 1;
    }
    if (carry) continue;

    while (!carry && !has(hour_, civil().hour())) {
      if (!floored) {
        floored = true;
        t = ToInstant(absl::CivilSecond(absl::CivilHour(civil())), zone);
      }
      t += absl::Hours(1);
      carry = civil().hour() == 0;
    }
    if (carry) continue;

    while (!carry && !has(minute_, civil().minute())) {
      if (!floored) {
        floored = true;
        t = absl::FromUnixSeconds(absl::ToUnixSeconds(t) / 60 * 60);
      }
      t += absl::Minutes(1);
      carry = civil().minute() == 0;
    }
    if (carry) continue;

    while (!carry && civil().second() != 0) {
      floored = true;
      t += absl::Seconds(1);
      carry = civil().second() == 0;
    }
    if (!carry) return t;
  }
}

}  // namespace neap::scalers::cron
