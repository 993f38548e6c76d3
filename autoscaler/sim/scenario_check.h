// What can't be simulated, although each field is right by itself: worlds that could never work.
// Used by scenario.cc; pure.
#pragma once

#include <string>
#include <vector>

#include "autoscaler/sim/simulation.h"

namespace neap::sim {

// One sentence each: an object whose target is no deployment of the world, a metric that nothing in
// it gives, more minimum pods than nodes or quota can ever hold, a workload that can't serve.
std::vector<std::string> ImpossibleIn(const SimulationSpec& spec);

}  // namespace neap::sim
