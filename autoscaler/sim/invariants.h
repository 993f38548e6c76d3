// Invariants: the Observer that checks at every step of a simulated run what Neap promises. A
// violation is kept as text with the seed and the moment, and `violated` turns true; whoever runs
// the simulation stops. Used by neapctl simulate (always), tests and the swarm. One thread only.
//
// What is checked, independently of the code that decides:
//   bounds      desired lies within [min, max] unless nothing was computed; writes too
//   windows     a scale-down is never below the highest recommendation of its window
//   rate        applied changes within a policy's period never exceed what its policies allow
//   errors      a failed, stale or missing metric never lets a count fall; nor a silent view
//   one writer  no second write of a target while one is under way; none from a dry run
//   reasons     each change of the count has steps that lead from current to desired, and an event
//   world       requests and items are conserved; pods never exceed what was asked for + surge
//   converged   (asked for by `Converged`) once faults have ended and the load is constant, counts
//               stop changing and the metric is within its tolerance, or at a bound
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/sim/simulation.h"

namespace neap::sim {

class Invariants : public Observer {
 public:
  explicit Invariants(const SimulationSpec& spec);
  ~Invariants() override;
  void OnDecision(const control::DecisionRecord& record, absl::Time now) override;
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) override;
  void OnScale(int deployment, int32_t before, int32_t after, bool by_neap,
               absl::Time now) override;
  void OnWorld(const World& world, absl::Time now) override;

  bool violated() const;
  // "seed 7, shop/checkout at 2026-01-01T00:10:00Z: bounds: desired 12 is above max 10", each.
  const std::vector<std::string>& violations() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
