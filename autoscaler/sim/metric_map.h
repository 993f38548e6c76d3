// What each metric of a policy reads in a world made around it: the CPU of its pods, the load, a
// queue. By its source, its name and, for triggers, its type; or as the user said. Used by
// policy.cc's neighbours alone; pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autoscaler/sim/policy.h"

namespace neap::sim {

struct MappedMetric {
  enum class Reads : uint8_t { kCpu, kMemory, kLoad, kLoadPerPod, kQueue, kCores, kFixed };
  const core::MetricSpec* metric = nullptr;  // borrowed of the policy
  int trigger = -1;                          // index into its triggers; -1: one of the metrics
  Reads reads = Reads::kLoad;
  int64_t fixed = 0;       // kFixed, thousandths
  bool guessed = false;    // neither the user nor its name said so
  std::string label = {};  // "metrics[0] (cpu)", "triggers[1] (redis)"
};

// Errors: InvalidArgument with every metric that nothing in such a world gives, and with overrides
// that are not understood or name no metric of any policy.
absl::StatusOr<std::vector<MappedMetric>> MapMetrics(const Policy& policy,
                                                     const std::vector<std::string>& overrides);

// The target for one pod: of a rate or queue in thousandths, of CPU in billionths of a core.
// nullopt: the target is of the whole, or not set.
std::optional<int64_t> TargetPerPod(const MappedMetric& metric, int64_t cpu_request);

}  // namespace neap::sim
