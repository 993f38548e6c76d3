// ControlFaults: which faults between world and controller (simulation.h) are on at a moment, and
// whether one strikes. One each of Simulation and of Pipeline, with chances of their own; one
// thread. Times are nanoseconds since the world began.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/sim/random.h"
#include "autoscaler/sim/simulation.h"

namespace neap::sim {

class ControlFaults {
 public:
  // Borrows `faults`.
  ControlFaults(const std::vector<ControlFault>& faults, uint64_t seed);

  // Of that kind, whatever its share. `metrics`: the names of what is read, which it must be about;
  // nullptr where no metric is read.
  bool On(ControlFault::What what, int64_t now, const std::vector<std::string>* metrics) const;
  // One that is on and strikes this time, or nullptr. Of those that overlap each has its own
  // chance.
  const ControlFault* Strikes(ControlFault::What what, int64_t now,
                              const std::vector<std::string>* metrics);
  bool empty() const { return faults_.empty(); }

 private:
  struct Fault {
    const ControlFault* spec;
    int64_t begin;
    int64_t end;
  };
  static bool IsOn(const Fault& fault, ControlFault::What what, int64_t now,
                   const std::vector<std::string>* metrics);

  std::vector<Fault> faults_;
  Random random_;
};

}  // namespace neap::sim
