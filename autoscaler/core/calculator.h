// The replica calculator: one metric's proposal from its reading and the target's pods. The
// formulas are those of replica_calculator.go, in its order of operations. Decide calls these, and
// so do the calculator vectors. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "autoscaler/core/decision.h"
#include "autoscaler/core/observation.h"
#include "autoscaler/core/spec.h"

namespace neap::core {

// Ratios r with 1 - down <= r <= 1 + up change nothing. Fractions, >= 0.
struct Tolerances {
  double down = 0.1;
  double up = 0.1;
};

// What every calculation knows.
struct PodsView {
  absl::Time now;
  absl::Duration cpu_initialization_period;
  absl::Duration initial_readiness_delay;
  std::span<const Pod> pods;
  std::span<const PodRequests> requests;
};

struct Proposal {
  int32_t replicas = 0;
  int32_t utilization = 0;  // percent; utilization targets only
  int64_t usage = 0;        // milli: average per pod, or the total for Value targets
  Reason reason = Reason::kRatio;
  RatioDetail ratio;  // the pass that decided; first_ratio is the first pass'
  double first_ratio = 0;
  PodsDetail pods;
  bool overflow = false;
  std::string error;  // not empty: no proposal
};

// Resource or ContainerResource (container not empty) with averageUtilization `target` in percent.
Proposal ResourceUtilization(const PodsView& view, const PodSamples& samples,
                             const std::string& resource, const std::string& container,
                             int32_t target, int32_t current, Tolerances tolerances);

// Per-pod averages against `target` milli: Resource, ContainerResource (is_cpu applies the start-up
// rules) and Pods metrics.
Proposal PlainAverage(const PodsView& view, const PodSamples& samples, bool is_cpu, int64_t target,
                      int32_t current, Tolerances tolerances);

// Object or External with Value: `usage` milli against `target` milli, times the ready pods (or
// alone when current is 0).
Proposal ValueTarget(const PodsView& view, int64_t usage, int64_t target, int32_t current,
                     Tolerances tolerances);

// Object (clamp false) or External (clamp true) with AverageValue: `replicas` are the scale's
// status replicas.
Proposal AverageTarget(int64_t usage, int64_t target, int32_t replicas, bool clamp,
                       Tolerances tolerances);

// Sums of an External metric's series with upstream's two overflow guards; *overflow is set when
// one fired.
int64_t SumForValue(std::span<const int64_t> values, bool* overflow);
int64_t SumForAverage(std::span<const int64_t> values, bool* overflow);

// Pods that are Running and Ready.
int32_t CountReadyPods(std::span<const Pod> pods);

}  // namespace neap::core
