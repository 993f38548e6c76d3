// JournalObserver: the Observer that writes a run's records into a journal, which replay and
// explain read like one of neapd. Owned by whoever runs the simulation; one thread.
//
//   NEAP_ASSIGN_OR_RETURN(auto writer, record::Writer::Open({.directory = dir, ...}, on_trouble));
//   JournalObserver journal(*writer);
//   Simulation simulation(spec, {&recorder, &journal});
//   ... run ...
//   writer->Close();
#pragma once

#include <absl/time/time.h>

#include "autoscaler/record/journal.h"
#include "autoscaler/sim/simulation.h"

namespace neap::sim {

class JournalObserver : public Observer {
 public:
  // Borrows the writer. The options it was opened with must be the run's
  // (SimulationSpec.controller).
  explicit JournalObserver(record::Writer& writer) : writer_(writer) {}

  void OnDecision(const control::DecisionRecord& record, absl::Time now) override {
    writer_.OnDecision(record, now);
    Pace(now);
  }
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) override {
    writer_.OnOutcome(record, now);
    Pace(now);
  }

 private:
  // A run makes records faster than a disk takes them, and what does not fit the writer's buffer is
  // lost. A simulation may wait, other than neapd.
  void Pace(absl::Time now) {
    if (++pending_ < kAtATime) return;
    pending_ = 0;
    writer_.EndStep(now);
    writer_.Flush();
  }
  static constexpr int kAtATime = 4000;  // of 130 bytes to 1.5 kB each

  record::Writer& writer_;
  int pending_ = 0;
};

}  // namespace neap::sim
