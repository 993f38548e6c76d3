// ScaleApi: the scale subresource of the virtual API server: writes with their precondition really
// tested, and what goes wrong with them (ControlFault kApiErrors, kConflicts). Answers as
// kube/scale_writer.h understands a real server's. Owned by Simulation; one thread.
#pragma once

#include <cstdint>
#include <functional>

#include "autoscaler/control/messages.h"
#include "autoscaler/sim/control_faults.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/views.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {

class ScaleApi {
 public:
  // A deployment's replicas were changed; it is asked for them from now on.
  using OnScale = std::function<void(int deployment, int32_t before, int32_t after, bool by_neap)>;

  // Borrows all.
  ScaleApi(World& world, const Views& views, ControlFaults& faults, Random& random,
           OnScale on_scale);

  struct Answer {
    control::WriteOutcome outcome;
    bool timed_out = false;  // nobody answered: known after the client's time-out
  };
  // A write that has arrived, at `now` (nanoseconds since the world began).
  Answer Write(const control::PatchScale& patch, int64_t now);
  // Somebody else's write, or Neap's.
  void Set(int deployment, int32_t replicas, bool by_neap);

 private:
  World& world_;
  const Views& views_;
  ControlFaults& faults_;
  Random& random_;
  const OnScale on_scale_;
};

// An outcome without a scale; `error` is the server's text.
control::WriteOutcome OutcomeOf(const control::PatchScale& patch, core::ApplyResult::Kind kind,
                                std::string error);

}  // namespace neap::sim
