#include "autoscaler/base/quantity.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "autoscaler/base/status.h"

namespace neap::base {
namespace {

// An unsigned decimal of any length: digits x 10^exponent, digits without leading zeros ("" is
// zero).
struct Decimal {
  std::string digits;
  int64_t exponent = 0;
};

void Strip(std::string& digits) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
}

void Double(std::string& digits) {
  int carry = 0;
  for (auto at = digits.rbegin(); at != digits.rend(); ++at) {
    const int value = (*at - '0') * 2 + carry;
    *at = static_cast<char>('0' + value % 10);
    carry = value / 10;
  }
  if (carry > 0) digits.insert(digits.begin(), static_cast<char>('0' + carry));
}

void Increment(std::string& digits) {
  for (auto at = digits.rbegin(); at != digits.rend(); ++at) {
    if (*at != '9') {
      ++*at;
      return;
    }
    *at = '0';
  }
  digits.insert(digits.begin(), '1');
}

// Brings the exponent up to `exponent`, rounding away from zero.
void RoundUpTo(Decimal& d, int64_t exponent) {
  if (d.exponent >= exponent || d.digits.empty()) return;
  const auto drop = static_cast<size_t>(exponent - d.exponent);
  bool inexact = true;
  if (drop < d.digits.size()) {
    inexact = d.digits.find_first_not_of('0', d.digits.size() - drop) != std::string::npos;
    d.digits.resize(d.digits.size() - drop);
  } else {
    d.digits.clear();
  }
  if (inexact) Increment(d.digits);
  d.exponent = exponent;
}

// The low 64 bits of digits x 10^power, power >= 0: what Go's big.Int.Int64 gives for the absolute
// value.
uint64_t Low64(const Decimal& d, int64_t power) {
  uint64_t low = 0;
  for (char c : d.digits) low = low * 10 + static_cast<uint64_t>(c - '0');
  for (; power > 0 && low != 0; --power) low *= 10;
  return low;
}

std::optional<int64_t> FitsInt64(const std::string& digits) {
  if (digits.size() > 19) return std::nullopt;
  uint64_t value = 0;
  for (char c : digits) value = value * 10 + static_cast<uint64_t>(c - '0');
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return static_cast<int64_t>(value);
}

struct Suffix {
  int base = 10;
  int exponent = 0;
  QuantityFormat format = QuantityFormat::kDecimalSI;
};

std::optional<Suffix> InterpretSuffix(std::string_view text) {
  static constexpr std::string_view kDecimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  static constexpr std::string_view kBinary[] = {"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  for (int i = 0; i < 10; ++i) {
    if (text == kDecimal[i]) return Suffix{10, (i - 3) * 3, QuantityFormat::kDecimalSI};
  }
  for (int i = 0; i < 6; ++i) {
    if (text == kBinary[i]) return Suffix{2, (i + 1) * 10, QuantityFormat::kBinarySI};
  }
  if (text.size() > 1 && (text[0] == 'e' || text[0] == 'E')) {
    std::string_view number = text.substr(1);
    if (number[0] == '+') number.remove_prefix(1);
    int exponent = 0;
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), exponent);
    if (error != std::errc() || end != number.data() + number.size() ||
        std::abs(exponent) > 1000000)
      return std::nullopt;
    return Suffix{10, exponent, QuantityFormat::kDecimalExponent};
  }
  return std::nullopt;
}

// The decimal text of a canonical quantity: mantissa without trailing zeros, exponent lowered to a
// multiple of three.
std::string DecimalText(bool negative, Decimal d, QuantityFormat format) {
  while (!d.digits.empty() && d.digits.back() == '0') {
    d.digits.pop_back();
    ++d.exponent;
  }
  while (((d.exponent % 3) + 3) % 3 != 0) {
    d.digits += '0';
    --d.exponent;
  }
  static constexpr std::string_view kSuffix[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  std::string suffix;
  if (format == QuantityFormat::kDecimalExponent || d.exponent < -9 || d.exponent > 18) {
    if (d.exponent != 0) suffix = "e" + std::to_string(d.exponent);
  } else {
    suffix = kSuffix[d.exponent / 3 + 3];
  }
  return (negative ? "-" : "") + d.digits + suffix;
}

// Divides the digits by 1024; false, and no change, when that leaves a remainder.
bool DivideBy1024(std::string& digits) {
  std::string quotient;
  int rest = 0;
  for (char c : digits) {
    const int value = rest * 10 + (c - '0');
    quotient += static_cast<char>('0' + value / 1024 % 10);
    rest = value % 1024;
  }
  if (rest != 0) return false;
  Strip(quotient);
  digits = quotient;
  return true;
}

std::string Canonical(bool negative, Decimal d, QuantityFormat format) {
  Strip(d.digits);
  if (d.digits.empty()) return "0";
  if (format == QuantityFormat::kBinarySI) {
    std::string whole = d.digits;
    int64_t exponent = d.exponent;
    while (exponent < 0 && !whole.empty() && whole.back() == '0') {
      whole.pop_back();
      ++exponent;
    }
    const bool integral = exponent >= 0;
    if (integral) whole.append(static_cast<size_t>(exponent), '0');
    const bool small = integral && (whole.size() < 4 || (whole.size() == 4 && whole < "1024"));
    if (integral && !small) {
      static constexpr std::string_view kSuffix[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
      int power = 0;
      while (power < 6 && DivideBy1024(whole)) ++power;
      return (negative ? "-" : "") + whole + std::string(kSuffix[power]);
    }
    format = QuantityFormat::kDecimalSI;
  }
  return DecimalText(negative, std::move(d), format);
}

}  // namespace

absl::StatusOr<Quantity> Quantity::Parse(std::string_view text) {
  std::string_view rest = text;
  if (rest.empty()) return InvalidArgument("\"\" is not a quantity: it is empty");
  bool negative = false;
  if (rest[0] == '+' || rest[0] == '-') {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  const auto take_digits = [&rest] {
    const size_t n = std::min(rest.find_first_not_of("0123456789"), rest.size());
    std::string digits(rest.substr(0, n));
    rest.remove_prefix(n);
    return digits;
  };
  std::string whole = take_digits();
  std::string fraction;
  if (!rest.empty() && rest[0] == '.') {
    rest.remove_prefix(1);
    fraction = take_digits();
  }
  if (whole.empty() && fraction.empty()) {
    return InvalidArgument("\"{}\" is not a quantity such as 500m, 2 or 1Gi", text);
  }
  const std::optional<Suffix> suffix = InterpretSuffix(rest);
  if (!suffix)
    return InvalidArgument("\"{}\" is not a quantity: unknown suffix \"{}\"", text, rest);
  Strip(whole);
  const std::string num = whole.empty() ? "0" : whole;

  Quantity q;
  q.format_ = suffix->format;
  Decimal d{.digits = num + fraction, .exponent = -static_cast<int64_t>(fraction.size())};
  // Upstream's int64 path: few digits, and for binary suffixes no fraction and room for the shift.
  int64_t spare = -1;
  if (suffix->base == 10) {
    spare = 18 - static_cast<int64_t>(d.digits.size());
  } else if (fraction.empty()) {
    spare = 15 - static_cast<int64_t>(num.size()) -
            static_cast<int64_t>(static_cast<float>(suffix->exponent) * 3 / 10) - 1;
  }
  Strip(d.digits);
  if (suffix->base == 10) d.exponent += suffix->exponent;
  if (suffix->base == 2) {
    for (int i = 0; i < suffix->exponent && !d.digits.empty(); ++i) Double(d.digits);
  }
  const bool int64_backed = spare >= 0 && d.exponent >= -9;
  if (!int64_backed) {
    RoundUpTo(d, -9);
    if (q.format_ == QuantityFormat::kBinarySI) {
      static const std::string kMax = "9223372036854775807";
      Decimal integral = d;
      RoundUpTo(integral, 0);
      if (integral.digits.size() > kMax.size() ||
          (integral.digits.size() == kMax.size() && integral.digits > kMax)) {
        d = {.digits = kMax, .exponent = 0};
      }
      const bool below_one =
          !d.digits.empty() && static_cast<int64_t>(d.digits.size()) + d.exponent <= 0;
      if (below_one) q.format_ = QuantityFormat::kDecimalSI;
    }
  }
  q.sign_ = d.digits.empty() ? 0 : (negative ? -1 : 1);
  q.text_ = Canonical(negative, d, q.format_);

  if (d.exponent < -3) {  // at least -9 here
    std::string below(static_cast<size_t>(-3 - d.exponent), '0');
    below = (below + d.digits).substr(d.digits.size());
    below.append(6 - below.size(), '0');
    const int dropped = std::stoi(below);
    q.rounded_up_nano_ = dropped == 0 ? 0 : 1000000 - dropped;
  }

  // Thousandths.
  if (int64_backed) {
    if (d.exponent < -3) {
      Decimal milli = d;
      RoundUpTo(milli, -3);
      q.milli_ = FitsInt64(milli.digits).value_or(0);
    } else if (!d.digits.empty() && d.exponent + 3 + static_cast<int64_t>(d.digits.size()) <= 19) {
      std::string scaled = d.digits;
      scaled.append(static_cast<size_t>(d.exponent + 3), '0');
      q.milli_ = FitsInt64(scaled).value_or(0);
    }  // else it does not fit: 0
    if (negative) q.milli_ = -q.milli_;
  } else {
    uint64_t low = 0;
    if (d.exponent < -3) {
      Decimal milli = d;
      // Upstream divides with a floor and adds one when there is a remainder: away from zero only
      // above zero.
      if (negative) {
        const auto drop = std::min(static_cast<size_t>(-3 - d.exponent), milli.digits.size());
        milli.digits.resize(milli.digits.size() - drop);
        milli.exponent = -3;
      } else {
        RoundUpTo(milli, -3);
      }
      low = Low64(milli, 0);
    } else {
      low = Low64(d, d.exponent + 3);
    }
    q.milli_ = static_cast<int64_t>(negative ? 0 - low : low);
  }

  // One multiplication of the unscaled integer by a power of ten.
  double unscaled = 0;
  if (!d.digits.empty()) {
    const auto parsed =
        std::from_chars(d.digits.data(), d.digits.data() + d.digits.size(), unscaled);
    if (parsed.ec == std::errc::result_out_of_range)
      unscaled = std::numeric_limits<double>::infinity();
  }
  if (d.exponent != 0) {
    double power = 0;
    const std::string text_of_power = fmt::format("1e{}", d.exponent);
    if (std::from_chars(text_of_power.data(), text_of_power.data() + text_of_power.size(), power)
            .ec == std::errc::result_out_of_range) {
      power = d.exponent > 0 ? std::numeric_limits<double>::infinity() : 0;
    }
    unscaled = unscaled == 0 ? 0 : unscaled * power;
  }
  q.real_ = negative ? -unscaled : unscaled;
  return q;
}

Quantity Quantity::FromMilli(int64_t milli, QuantityFormat format) {
  Quantity q;
  q.milli_ = milli;
  q.real_ = static_cast<double>(milli) * 1e-3;
  q.sign_ = milli < 0 ? -1 : (milli > 0 ? 1 : 0);
  q.format_ = format;
  q.text_ = FormatMilli(milli, format);
  return q;
}

std::string FormatMilli(int64_t milli, QuantityFormat format) {
  const uint64_t magnitude =
      milli < 0 ? 0 - static_cast<uint64_t>(milli) : static_cast<uint64_t>(milli);
  return Canonical(milli < 0, {.digits = std::to_string(magnitude), .exponent = -3}, format);
}

}  // namespace neap::base
