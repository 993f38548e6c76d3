#include "autoscaler/sim/distribution.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

// Nothing takes longer than 146 years: sums of a few draws stay within int64_t.
constexpr int64_t kLongest = int64_t{1} << 62;

int64_t Limited(Wide nanos) {
  return static_cast<int64_t>(std::clamp<Wide>(nanos, 0, Wide{kLongest}));
}

int64_t Nanos(absl::Duration duration) { return Limited(absl::ToInt64Nanoseconds(duration)); }

constexpr uint64_t kLn2 = 2977044472;  // ln 2, in 2^-32 parts

// log2 of `mantissa` / 2^32, which lies in [1, 2), in 2^-32 parts: bit by bit, since squaring a
// number doubles its logarithm.
constexpr uint64_t Log2(uint64_t mantissa) {
  uint64_t log = 0;
  uint64_t x = mantissa >> 1;  // 31 bits behind the point: the square fits
  for (int bit = 0; bit < 32; ++bit) {
    x = (x * x) >> 31;
    log <<= 1;
    if (x >> 32 != 0) {
      log |= 1;
      x >>= 1;
    }
  }
  return log;
}

// ln(1 + i / 256), in 2^-32 parts. Straight lines between its rows err by less than 2e-6.
constexpr auto kLn = [] {
  std::array<uint64_t, 257> table{};
  for (uint64_t i = 0; i < 256; ++i) {
    table[i] = (Log2((uint64_t{1} << 32) + (i << 24)) * kLn2) >> 32;
  }
  table[256] = kLn2;
  return table;
}();

}  // namespace

uint64_t NegativeLog(Random& random) {
  // u = x / 2^64 = m / 2^(zeros + 1) with m in [1, 2): -ln u = (zeros + 1) ln 2 - ln m.
  const uint64_t x = random.Next() | 1;  // never 0
  const int zeros = std::countl_zero(x);
  const uint64_t part = (x << zeros) << 1;  // of m, behind the point
  const uint64_t row = part >> 56;
  const uint64_t between = (part >> 24) & 0xffffffff;
  const uint64_t ln = kLn[row] + (((kLn[row + 1] - kLn[row]) * between) >> 32);
  return static_cast<uint64_t>(zeros + 1) * kLn2 - ln;
}

int64_t NormalDeviate(Random& random) {
  // The sum of twelve 16-bit numbers has the deviation 65536 and very nearly a bell's shape (Irwin
  // and Hall).
  int64_t sum = -6 * 65535;
  for (int i = 0; i < 3; ++i) {
    for (uint64_t four = random.Next(), n = 0; n < 4; ++n, four >>= 16) {
      sum += static_cast<int64_t>(four & 0xffff);
    }
  }
  return sum;
}

Distribution Distribution::Fixed(absl::Duration value) {
  Distribution out;
  out.a_ = Nanos(value);
  return out;
}

Distribution Distribution::Uniform(absl::Duration min, absl::Duration max) {
  Distribution out;
  out.kind_ = Kind::kUniform;
  out.a_ = Nanos(min);
  out.b_ = std::max(out.a_, Nanos(max));
  return out;
}

Distribution Distribution::Exponential(absl::Duration mean) {
  Distribution out;
  out.kind_ = Kind::kExponential;
  out.a_ = Nanos(mean);
  return out;
}

Distribution Distribution::Normal(absl::Duration mean, absl::Duration deviation) {
  Distribution out;
  out.kind_ = Kind::kNormal;
  out.a_ = Nanos(mean);
  out.b_ = Nanos(deviation);
  return out;
}

Distribution Distribution::Quantiles(std::vector<absl::Duration> values) {
  Distribution out;
  out.kind_ = Kind::kQuantiles;
  for (const absl::Duration value : values) out.quantiles_.push_back(Nanos(value));
  if (out.quantiles_.size() == 1) return Fixed(values.front());
  return out.quantiles_.empty() ? Distribution() : out;
}

int64_t Distribution::Draw(Random& random) const {
  switch (kind_) {
    case Kind::kFixed:
      return a_;
    case Kind::kUniform:
      return a_ + static_cast<int64_t>(random.Below(static_cast<uint64_t>(b_ - a_) + 1));
    case Kind::kExponential:
      return Limited((Wide{NegativeLog(random)} * a_) >> 32);
    case Kind::kNormal:
      return Limited(a_ + Wide{b_} * NormalDeviate(random) / 65536);
    case Kind::kQuantiles: {
      const uint64_t position = (random.Next() >> 32) * (quantiles_.size() - 1);
      const auto row = static_cast<size_t>(position >> 32);
      const int64_t at = quantiles_[row];
      return at + static_cast<int64_t>((Wide{quantiles_[row + 1] - at} *
                                        static_cast<int64_t>(position & 0xffffffff)) >>
                                       32);
    }
  }
  return 0;
}

absl::Duration Distribution::Mean() const {
  switch (kind_) {
    case Kind::kFixed:
    case Kind::kExponential:
    case Kind::kNormal:
      return absl::Nanoseconds(a_);
    case Kind::kUniform:
      return absl::Nanoseconds(a_ + (b_ - a_) / 2);
    case Kind::kQuantiles: {
      Wide twice = Wide{quantiles_.front()} + quantiles_.back();
      for (size_t i = 1; i + 1 < quantiles_.size(); ++i) twice += Wide{quantiles_[i]} * 2;
      return absl::Nanoseconds(
          static_cast<int64_t>(twice / static_cast<int64_t>(2 * (quantiles_.size() - 1))));
    }
  }
  return absl::ZeroDuration();
}

}  // namespace neap::sim
