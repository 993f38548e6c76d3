// A random scenario of the swarm: deployments, queues, objects, loads and faults, all from one
// seed. Faults and changes of load end at `calm`; from then on everything must come to rest. Called
// by the swarm and its tests; pure.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "autoscaler/sim/simulation.h"

namespace neap::sim {

struct SwarmScenario {
  SimulationSpec spec;
  absl::Time calm;     // no more faults, loads are constant
  absl::Time settled;  // counts must not change after
};

SwarmScenario MakeSwarmScenario(uint64_t seed);

// What it consists of, one line each, for whoever looks at a violation.
std::string Describe(const SwarmScenario& scenario);

}  // namespace neap::sim
