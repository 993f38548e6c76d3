// Pipeline: how a value comes from the world to the controller: what scalers, metrics APIs and
// scalerhost are in a real cluster. It opens queries, measures where measuring takes its own time
// (kubelets and metrics-server, Prometheus), answers polls, and makes the faults of readings. What
// it answers is what a real neapd would have taken in, errors by kind and text included. Owned by
// Simulation, which moves it along with the world; one thread.
//
// The hpa-* queries (control/subscriptions.h) are answered as the kubernetes-metrics scaler does
// from the APIs that serve this world; all other types by the scenario's TriggerSources.
//
// A value is that of the moment at which it was asked for: what the way takes (PipelineSpec.answer)
// is its age when it arrives.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "autoscaler/control/messages.h"
#include "autoscaler/sim/simulation.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {

class Pipeline {
 public:
  // Both are borrowed and outlive it.
  Pipeline(const SimulationSpec& spec, const World& world);
  ~Pipeline();

  // ---- what it must do at its own moments ----
  // The next one; kNever when there is none. Nanoseconds since the world began.
  int64_t next_event() const;
  // Does what is due at `now`; the world is there already.
  void Advance(int64_t now);

  // ---- the controller's queries ----
  control::TriggerOpened Open(const control::Subscription& query);
  void Close(std::string_view id);
  void CloseAll();  // neapd is gone

  struct Answer {
    control::TriggerReading reading;
    int64_t delay = 0;  // until it arrives, nanoseconds
  };
  // nullopt: nobody answers. The world stands at `now`.
  std::optional<Answer> Read(std::string id, uint64_t round, int64_t now);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
