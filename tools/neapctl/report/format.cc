#include "tools/neapctl/report/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace neap::ctl {
namespace {

constexpr std::string_view kNone = "–";

std::string Grouped(double whole) {
  std::string digits = fmt::format("{:.0f}", whole);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string Two(double big, std::string_view big_unit, double small, std::string_view small_unit) {
  if (small == 0) return fmt::format("{} {}", Grouped(big), big_unit);
  return fmt::format("{} {} {:.0f} {}", Grouped(big), big_unit, small, small_unit);
}

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::string NumberText(double value) {
  if (!std::isfinite(value)) return std::string(kNone);
  if (value == 0) return "0";
  if (value < 0) return "−" + NumberText(-value);
  const double whole = std::round(value);
  if (value >= 100 || std::abs(value - whole) < 1e-9) return Grouped(whole);
  if (value < 0.0001) return fmt::format("{:.1e}", value);
  // Three digits, without the zeros at the end.
  const int decimals = std::max(0, 2 - static_cast<int>(std::floor(std::log10(value))));
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

std::string SecondsText(double seconds) {
  if (!std::isfinite(seconds)) return std::string(kNone);
  if (seconds < 0) return "−" + SecondsText(-seconds);
  if (seconds == 0) return "0 s";
  if (seconds < 0.001) return NumberText(seconds * 1e6) + " µs";
  if (seconds < 0.9995) return NumberText(seconds * 1e3) + " ms";
  if (seconds < 59.95) return NumberText(seconds) + " s";
  const double s = std::round(seconds);
  if (s < 3600) return Two(std::floor(s / 60), "min", std::fmod(s, 60), "s");
  const double min = std::round(seconds / 60);
  if (min < 48 * 60) return Two(std::floor(min / 60), "h", std::fmod(min, 60), "min");
  const double h = std::round(seconds / 3600);
  return Two(std::floor(h / 24), "d", std::fmod(h, 24), "h");
}

std::string ValueText(double value, std::string_view unit) {
  if (unit == "s") return SecondsText(value);
  if (unit.empty() || !std::isfinite(value)) return NumberText(value);
  return fmt::format("{} {}", NumberText(value), unit);
}

std::string ShareText(double part, double whole) {
  if (!std::isfinite(part) || !(whole > 0)) return std::string(kNone);
  const double percent = 100 * part / whole;
  if (percent > 0 && percent < 0.001) return "< 0.001 %";
  if (percent < 100 && percent >= 99.95) return "> 99.9 %";
  return NumberText(percent) + " %";
}

size_t Columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !Continues(c); }));
}

std::string PadRight(std::string_view text, size_t columns) {
  const size_t used = Columns(text);
  return std::string(text) + std::string(used < columns ? columns - used : 0, ' ');
}

std::string PadLeft(std::string_view text, size_t columns) {
  const size_t used = Columns(text);
  return std::string(used < columns ? columns - used : 0, ' ') + std::string(text);
}

std::string Clip(std::string_view text, size_t columns) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (Columns(out) <= columns) return out;
  size_t seen = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!Continues(out[i]) && seen++ == columns - 1) return out.substr(0, i) + "…";
  }
  return out;
}

std::string Wrap(std::string_view first, std::string_view text, size_t columns) {
  const std::string clean = Clip(text, std::string::npos);
  const std::string indent(Columns(first), ' ');
  std::string out;
  std::string line(first);
  bool fresh = true;  // nothing but the indent is on the line
  for (size_t at = 0; at < clean.size();) {
    const size_t begin = clean.find_first_not_of(' ', at);
    if (begin == std::string::npos) break;
    at = std::min(clean.find(' ', begin), clean.size());
    const std::string_view word = std::string_view(clean).substr(begin, at - begin);
    if (!fresh && Columns(line) + 1 + Columns(word) > columns) {
      out += line + "\n";
      line = indent;
      fresh = true;
    }
    if (!fresh) line += ' ';
    line += word;
    fresh = false;
  }
  return out + line + "\n";
}

std::string Sparkline(const sim::Series& series, size_t columns) {
  static constexpr std::array<std::string_view, 8> kBlocks = {"▁", "▂", "▃", "▄",
                                                              "▅", "▆", "▇", "█"};
  const size_t count = series.buckets.size();
  double greatest = 0;
  for (const auto& bucket : series.buckets) {
    if (bucket.has) greatest = std::max(greatest, bucket.max);
  }
  std::string out;
  for (size_t column = 0; column < columns && count > 0; ++column) {
    // Where there are fewer buckets than columns some are shown more than once.
    const size_t from = column * count / columns;
    const size_t to = std::max(from + 1, (column + 1) * count / columns);
    double height = -1;
    for (size_t i = from; i < to; ++i) {
      const auto& bucket = series.buckets[i];
      if (bucket.has) height = std::max(height, bucket.max);
    }
    if (height < 0) {
      out += ' ';
    } else {
      const double level = greatest > 0 ? std::ceil(height / greatest * 8) - 1 : 0;
      out += kBlocks[static_cast<size_t>(std::clamp(level, 0.0, 7.0))];
    }
  }
  return out;
}

std::string NumberTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? PadRight(row[i], widths[i]) : "   " + PadLeft(row[i], widths[i]);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace neap::ctl
