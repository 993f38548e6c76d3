#include "autoscaler/catalog/values.h"

#include <charconv>
#include <cmath>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::catalog {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Length of the JSON number's integer part at the beginning ("-12"), 0 when there is none.
size_t IntegerPart(std::string_view text) {
  size_t at = text.starts_with('-') ? 1 : 0;
  const size_t first = at;
  while (at < text.size() && IsDigit(text[at])) ++at;
  if (at == first) return 0;
  if (text[first] == '0' && at > first + 1) return 0;  // no leading zeros
  return at;
}

bool IsJsonNumber(std::string_view text) {
  size_t at = IntegerPart(text);
  if (at == 0) return false;
  if (at < text.size() && text[at] == '.') {
    const size_t first = ++at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    if (at == first) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t first = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    if (at == first) return false;
  }
  return at == text.size();
}

}  // namespace

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

absl::StatusOr<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    return base::InvalidArgument("\"{}\" is beyond 64 bits", text);
  }
  if (text.empty() || IntegerPart(text) != text.size() || error != std::errc()) {
    return base::InvalidArgument("\"{}\" is not an integer", text);
  }
  return value;
}

absl::StatusOr<double> ParseFloat(std::string_view text) {
  if (!IsJsonNumber(text)) return base::InvalidArgument("\"{}\" is not a number", text);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // What is too small to be represented is zero, what is too large is refused.
  if (error == std::errc::result_out_of_range) {
    const size_t exponent = text.find_first_of("eE");
    if (exponent != std::string_view::npos && text[exponent + 1] == '-') return 0.0;
    return base::InvalidArgument("\"{}\" is too large", text);
  }
  return value;
}

absl::StatusOr<bool> ParseBool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return base::InvalidArgument("\"{}\" is neither true nor false", text);
}

absl::StatusOr<absl::Duration> ParseDurationValue(std::string_view text) {
  absl::Duration value;
  if (const absl::StatusOr<int64_t> milliseconds = ParseInt(text); milliseconds.ok()) {
    value = absl::Milliseconds(*milliseconds);
  } else {
    const absl::StatusOr<absl::Duration> parsed = base::ParseDuration(text);
    if (!parsed.ok()) {
      return base::InvalidArgument(
          "\"{}\" is not a duration (\"1m30s\", or milliseconds as a bare number)", text);
    }
    value = *parsed;
  }
  if (value < absl::ZeroDuration()) {
    return base::InvalidArgument("\"{}\": a duration can't be negative", text);
  }
  return value;
}

std::vector<std::string> ParseList(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (;;) {
    const size_t at = text.find(separator);
    out.emplace_back(Trim(text.substr(0, at)));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseMap(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& pair : ParseList(text)) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || pair.find('=', equals + 1) != std::string::npos) {
      return base::InvalidArgument("expected key=value, got \"{}\"", pair);
    }
    std::string key(Trim(std::string_view(pair).substr(0, equals)));
    std::string value(Trim(std::string_view(pair).substr(equals + 1)));
    bool known = false;
    for (auto& [other, old] : out) {
      if (other != key) continue;
      old = value;
      known = true;
    }
    if (!known) out.emplace_back(std::move(key), std::move(value));
  }
  return out;
}

}  // namespace neap::catalog
