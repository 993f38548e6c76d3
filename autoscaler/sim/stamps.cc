#include "autoscaler/sim/stamps.h"

#include <absl/time/civil_time.h>

#include <charconv>
#include <cstring>
#include <limits>

#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// Takes exactly `digits` digits from the front.
bool TakeDigits(std::string_view* text, size_t digits, int* number) {
  if (text->size() < digits) return false;
  *number = 0;
  for (const char c : text->substr(0, digits)) {
    if (c < '0' || c > '9') return false;
    *number = *number * 10 + (c - '0');
  }
  text->remove_prefix(digits);
  return true;
}

bool Take(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

// Billionths, from the digits behind a point; those beyond the ninth are dropped.
std::optional<int64_t> TakeFraction(std::string_view* text) {
  int64_t billionths = 0;
  size_t n = 0;
  for (; n < text->size() && (*text)[n] >= '0' && (*text)[n] <= '9'; ++n) {
    if (n < 9) billionths = billionths * 10 + ((*text)[n] - '0');
  }
  if (n == 0) return std::nullopt;
  for (size_t i = n; i < 9; ++i) billionths *= 10;
  text->remove_prefix(n);
  return billionths;
}

// Of one unit, by how large a number of it would be today.
int64_t UnitOf(double number) {
  if (number > 1e17) return 1;
  if (number > 1e14) return 1'000;
  return number > 1e11 ? 1'000'000 : kSecond;
}

// Nanoseconds since 1970.
std::optional<int64_t> UnixTime(std::string_view text) {
  uint64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc()) return std::nullopt;
  const int64_t unit = UnitOf(static_cast<double>(whole));
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  int64_t billionths = 0;
  if (Take(&rest, '.')) billionths = TakeFraction(&rest).value_or(0);
  if (!rest.empty()) {  // "1.655316015e9"
    const std::optional<double> number = ParseNumber(text);
    if (!number || !(*number >= 0 && *number < 9e18)) return std::nullopt;
    const double nanos = *number * static_cast<double>(UnitOf(*number));
    if (!(nanos < 9.2e18)) return std::nullopt;
    return static_cast<int64_t>(nanos);
  }
  const Wide nanos = Wide{whole} * unit + Wide{billionths} * unit / kSecond;
  if (nanos > std::numeric_limits<int64_t>::max()) return std::nullopt;
  return static_cast<int64_t>(nanos);
}

// The time of day behind a date: "[T ]HH:MM[:SS[.fraction]][Z|+HH:MM|+HHMM| UTC]", in nanoseconds.
std::optional<int64_t> ClockTime(std::string_view text) {
  if (text.empty()) return 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int64_t fraction = 0;
  if (!Take(&text, 'T') && !Take(&text, ' ') && !Take(&text, 't')) return std::nullopt;
  if (!TakeDigits(&text, 2, &hour) || !Take(&text, ':')) return std::nullopt;
  if (!TakeDigits(&text, 2, &minute)) return std::nullopt;
  if (Take(&text, ':') && !TakeDigits(&text, 2, &second)) return std::nullopt;
  if (Take(&text, '.')) {
    const std::optional<int64_t> billionths = TakeFraction(&text);
    if (!billionths) return std::nullopt;
    fraction = *billionths;
  }
  if (hour > 23 || minute > 59 || second > 60) return std::nullopt;  // 60: a leap second
  int east = 0;                                                      // minutes
  Take(&text, ' ');
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    const int sign = text.front() == '+' ? 1 : -1;
    text.remove_prefix(1);
    int hours = 0;
    int minutes = 0;
    if (!TakeDigits(&text, 2, &hours)) return std::nullopt;
    Take(&text, ':');
    if (!text.empty() && !TakeDigits(&text, 2, &minutes)) return std::nullopt;
    if (hours > 23 || minutes > 59) return std::nullopt;
    east = sign * (hours * 60 + minutes);
  } else if (text == "Z" || text == "z" || text == "UTC") {
    text = {};
  }
  if (!text.empty()) return std::nullopt;
  return ((hour * 60 + minute - east) * int64_t{60} + second) * kSecond + fraction;
}

std::optional<int64_t> MidnightOf(std::string_view date) {
  int year = 0;
  int month = 0;
  int day = 0;
  if (!TakeDigits(&date, 4, &year) || !Take(&date, '-') || !TakeDigits(&date, 2, &month) ||
      !Take(&date, '-') || !TakeDigits(&date, 2, &day)) {
    return std::nullopt;
  }
  const absl::CivilDay civil(year, month, day);  // of February 30 it makes March 2
  if (civil.month() != month || civil.day() != day) return std::nullopt;
  if (year < 1680 || year > 2260) return std::nullopt;  // what nanoseconds can tell
  return (civil - absl::CivilDay(1970, 1, 1)) * (24 * 3600 * kSecond);
}

}  // namespace

std::optional<double> ParseNumber(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int64_t> Stamps::Parse(std::string_view text) {
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return UnixTime(text);
  const std::string_view date = text.substr(0, 10);
  if (date != std::string_view(date_.data(), date_.size())) {
    const std::optional<int64_t> midnight = MidnightOf(date);
    if (!midnight) return std::nullopt;
    midnight_ = *midnight;
    std::memcpy(date_.data(), date.data(), date_.size());
  }
  const std::optional<int64_t> clock = ClockTime(text.substr(10));
  if (!clock) return std::nullopt;
  return midnight_ + *clock;
}

}  // namespace neap::sim
