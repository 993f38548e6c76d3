// What simulate, compare and tune make of the flags that describe a workload. Used by them alone.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/sim/policy.h"
#include "autoscaler/sim/scenario.h"
#include "tools/neapctl/trial/objective.h"
#include "tools/neapctl/trial_commands.h"

namespace neap::ctl {

struct Workload {
  sim::Facts facts = {};
  Objective objective = {};
};
// Errors: InvalidArgument with every flag that is wrong, one per line.
absl::StatusOr<Workload> WorkloadOf(const WorkloadOptions& options);

// The names of the flags of `options` that were given: "--trace", ...
std::vector<std::string_view> GivenFlags(const WorkloadOptions& options);

// For commands that read the trace more than once. InvalidArgument without a trace, and for
// standard input.
absl::Status NeedsTraceFile(const WorkloadOptions& options);

// A whole number of at least `least`. InvalidArgument names the flag.
absl::StatusOr<uint64_t> NumberOf(std::string_view flag, std::string_view text, uint64_t least);

// How objects are read: trigger types of the embedded manifests, targets asked of the scalers at
// `address` ("": those beside neapctl, started at the first trigger and stopped with the last
// copy).
sim::ScenarioOptions ObjectOptions(const std::string& address);

}  // namespace neap::ctl
