// Distribution: how long something takes when it does not always take the same time: a pod's start,
// a request's service. Whole nanoseconds, drawn by integer arithmetic from the world's Random, so
// that one seed gives the same times on every machine. Immutable values; thread-safe.
//
// In files: one duration ("20s"), a range ("[5s, 20s]": each as likely), or a map:
// {exponential: 200ms}, {normal: 20s, deviation: 3s} (never below 0), {quantiles: [5s, 8s, 30s]}
// (equally spaced from the least to the greatest, straight lines between).
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <vector>

#include "autoscaler/sim/random.h"

namespace neap::sim {

class Distribution {
 public:
  Distribution() = default;  // always 0
  static Distribution Fixed(absl::Duration value);
  static Distribution Uniform(absl::Duration min, absl::Duration max);
  static Distribution Exponential(absl::Duration mean);
  static Distribution Normal(absl::Duration mean, absl::Duration deviation);
  static Distribution Quantiles(std::vector<absl::Duration> values);  // ascending, at least two

  // Nanoseconds, 0 to 2^62 (146 years; what is longer counts as that). The number of draws from
  // `random` depends on the kind alone.
  int64_t Draw(Random& random) const;
  // Of a normal one that of the whole bell, also where part of it would be below 0.
  absl::Duration Mean() const;
  bool operator==(const Distribution&) const = default;

 private:
  enum class Kind : uint8_t { kFixed, kUniform, kExponential, kNormal, kQuantiles };
  Kind kind_ = Kind::kFixed;
  int64_t a_ = 0;  // fixed, min, mean
  int64_t b_ = 0;  // max, deviation
  std::vector<int64_t> quantiles_;
};

// -ln(u) for u uniform in (0, 1], in 2^-32 parts, by integer arithmetic: times a mean it is an
// exponential waiting time.
uint64_t NegativeLog(Random& random);

// Normal around 0 with the deviation 65536, up to 6 of them to each side.
int64_t NormalDeviate(Random& random);

}  // namespace neap::sim
