// Kubernetes quantities ("500m", "1Gi", "2e3") as exact int64 thousandths, with the parser's and
// printer's rules of the released API machinery (1.37): finer than 1e-9 rounds away from zero,
// Milli() rounds away from zero, and what overflows becomes what upstream's code makes of it (0 for
// int64-backed values, modulo 2^64 for arbitrary-precision ones).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace neap::base {

enum class QuantityFormat { kDecimalSI, kBinarySI, kDecimalExponent };

// An immutable value. Thread-safe.
class Quantity {
 public:
  // Errors: InvalidArgument that quotes the text.
  static absl::StatusOr<Quantity> Parse(std::string_view text);
  static Quantity FromMilli(int64_t milli, QuantityFormat format = QuantityFormat::kDecimalSI);

  int64_t Milli() const {
    return milli_;
  }  // thousandths, rounded away from zero; overflow as 1.37 does
  // By how many billionths |Milli()| exceeds the exact amount, 0 to 999,999: sums of quantities
  // round once, not per summand.
  int32_t RoundedUpNano() const { return rounded_up_nano_; }
  // The value as a double by upstream's one multiplication, unscaled x 10^exponent (tolerances;
  // "0.57" is 57 x 1e-2).
  double AsDouble() const { return real_; }
  int Sign() const { return sign_; }  // -1, 0, 1 of the exact value, before any overflow
  QuantityFormat format() const { return format_; }
  // Canonical text: no fraction, the largest suffix that keeps the mantissa whole.
  const std::string& Text() const { return text_; }

 private:
  int64_t milli_ = 0;
  int32_t rounded_up_nano_ = 0;
  double real_ = 0;
  int sign_ = 0;
  QuantityFormat format_ = QuantityFormat::kDecimalSI;
  std::string text_ = "0";
};

// Canonical text of `milli` thousandths: 500 -> "500m", 1000 -> "1", kBinarySI 1048576000 -> "1Mi".
// What status shows.
std::string FormatMilli(int64_t milli, QuantityFormat format = QuantityFormat::kDecimalSI);

}  // namespace neap::base
