// Recorder: the Observer that makes a Result of a run: series in buckets that double in width when
// there are too many, figures, notes of decisions, the digest. Owned by whoever runs the
// simulation; one thread.
//
// Memory: that of `buckets` and `decisions` for each target, but for all targets together no more
// than that of kMostBuckets and kMostNotes: a thousand targets are seen less finely than one.
// Counts of pods are exact to the moment; loads and what waits are as of each tick, of more than 25
// targets as of each so many ticks.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>

#include "autoscaler/sim/result.h"
#include "autoscaler/sim/simulation.h"

namespace neap::sim {

inline constexpr size_t kMostBuckets = 2'000'000;  // 32 bytes each
inline constexpr size_t kMostNotes = 100'000;      // about 1 kB each

struct RecorderOptions {
  std::string name = {};
  int buckets = 2000;           // at most, of each series
  size_t decisions = 2000;      // notes kept of each target
  int64_t pod_price_milli = 0;  // of a pod and hour, where there are no node pools
  bool series = true;           // false: figures alone (tune, compare over seeds)
};

class Recorder : public Observer {
 public:
  // `spec` is the run's; read here alone.
  Recorder(const SimulationSpec& spec, RecorderOptions options);
  ~Recorder() override;
  void OnDecision(const control::DecisionRecord& record, absl::Time now) override;
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) override;
  void OnScale(int deployment, int32_t before, int32_t after, bool by_neap,
               absl::Time now) override;
  void OnPods(const World& world, int deployment, absl::Time now) override;
  void OnWorld(const World& world, absl::Time now) override;
  // Once, after the run, while the simulation is still there.
  Result Take();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
