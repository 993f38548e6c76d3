// Invariants: the Observer that checks at every step of a simulated run what Neap promises. It
// keeps its own account of what was decided, written and broken on purpose, and shares no code with
// what decides. A violation is kept as text with the seed and the moment; whoever runs the
// simulation looks at `violated` and stops. Used by neapctl simulate (always), tests and the swarm.
// One thread only.
//
// What is checked:
//   bounds      a count that is asked for lies within the object's bounds
//   paused      a paused object asks for nothing
//   proposals   a metric of one series with an average target proposes what the HPA's formula says
//   windows     no scale-down below the highest recommendation of its window, no scale-up above the
//               lowest of its own
//   rate        applied changes within a policy's period stay within what its policies allow
//   errors      a failed metric never lets a count fall, nor one that failed on purpose (a
//               ControlFault), nor a value that was frozen for too long, nor a silent view
//   one writer  a target is not decided while its write is under way; a dry run writes nothing
//   reasons     the steps lead from the current to the desired count; what was applied has its
//   event alive       each target is decided once per period, faults or not world       requests
//   and items are conserved converged   (asked for, at the end) when faults have ended and the load
//   is constant, counts
//               stand still and no metric fails
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/sim/simulation.h"

namespace neap::sim {

class Invariants : public Observer {
 public:
  // `spec` is the run's; what is needed of it is kept.
  explicit Invariants(const SimulationSpec& spec);
  ~Invariants() override;
  void OnDecision(const control::DecisionRecord& record, absl::Time now) override;
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) override;
  void OnWorld(const World& world, absl::Time now) override;

  // The object was changed by hand (Simulation::Change): its new spec.
  void Changed(const ObjectSpec& object);
  // Nothing was applied since `since`, and the last decision of each object that is not paused came
  // to a count. Call it after a run whose faults and changes of load ended well before.
  void ExpectConverged(absl::Time since, absl::Time now);

  bool violated() const;
  // "seed 7, shop/checkout at 2026-01-01T00:10:00Z: bounds: desired 12 is above max 10", at most
  // 20.
  const std::vector<std::string>& violations() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
