// Simulation: control::Controller in a virtual world, in virtual time. It is what neapd's threads
// are to the real controller: it turns the world's changes into messages, answers polls from the
// metrics pipeline, applies scale writes, all with their delays and faults; and nothing in it
// decides. One thread; the same spec gives the same bytes.
//
//   Simulation simulation(spec, {&recorder, &journal});
//   NEAP_RETURN_IF_ERROR(simulation.Run());
//   Result result = recorder.Take();
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/control/controller.h"
#include "autoscaler/sim/distribution.h"
#include "autoscaler/sim/spec.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {

// How a value is read.
enum class Via : uint8_t { kDirect, kMetricsServer, kPrometheus };

// How a metric comes from the world to whoever asks: its lag. The defaults are a cluster's usual
// ones, so that the HPA's real delay is modelled.
struct PipelineSpec {
  // metrics.k8s.io: kubelets measure every `kubelet_every` (each pod's at its own phase),
  // metrics-server collects every `server_every`; a pod's value is its mean between what two
  // collections found. kubelet_every 0: what the playground serves instead, WorldSpec's
  // metrics_window and metrics_every.
  absl::Duration server_every = absl::Seconds(15);
  absl::Duration kubelet_every = absl::Seconds(10);
  // Prometheus: scrapes every `scrape_every`; a rate is the mean over `rate_window` (0: as of the
  // last scrape).
  absl::Duration scrape_every = absl::Seconds(15);
  absl::Duration rate_window = absl::Minutes(1);
  // What stands behind external.metrics.k8s.io and custom.metrics.k8s.io: an adapter that reads a
  // Prometheus, or (default) one that asks the source itself.
  Via external = Via::kDirect;
  Via custom = Via::kDirect;
  Distribution answer = Distribution::Fixed(absl::Milliseconds(20));  // from poll to reading
  Distribution write = Distribution::Fixed(absl::Milliseconds(10));   // from PATCH to its answer
  Distribution watch = Distribution::Fixed(absl::Milliseconds(20));   // from a change to its event
};

// What a trigger of an object reads in this world. HPA metrics find theirs in WorldSpec's external
// and custom metrics and in the pods.
struct TriggerSource {
  std::string uid = {};          // of the object
  int trigger = 0;               // index into spec.triggers
  core::MetricSpec metric = {};  // what its scaler makes of it: name and target; from_trigger
  Source from = {};
  Via via = Via::kDirect;
  std::optional<int64_t> activation;  // active above it, thousandths
};

struct ObjectSpec {
  std::shared_ptr<const core::AutoscalerSpec> spec = {};  // uid set, unique
  core::Status status = {};                               // as stored
  bool dry_run = false;                                   // its writes are withheld
};

// What goes wrong between the world and the controller.
struct ControlFault {
  enum class What : uint8_t {
    kApiErrors,     // a share of writes is rejected or not answered
    kConflicts,     // somebody else changes the scale first
    kWatchDelay,    // changes come later by `by`
    kWatchSilence,  // nothing comes at all
    kScalerError,   // polls are answered with an error
    kScalerSlow,    // answers come later by `by`
    kScalerHang,    // polls are not answered
    kFrozen,        // the value of the fault's beginning is answered, with its age
    kNotFinite,     // an answer that the host refuses: NaN
    kRestart,       // neapd ends and starts anew `by` later, with the statuses that were written;
                    // of histories nothing is left, unless `keeps_history`
    kClockJump,     // the scaler's clock jumps by `by`: sampled_at is wrong, ages stay right
  };
  What what = What::kScalerError;
  std::string metric = {};  // of this name alone; "": all
  absl::Duration at = {};   // since the world began
  absl::Duration lasts = absl::InfiniteDuration();
  absl::Duration by = {};
  int permille = 1000;  // of all that it could meet
  bool keeps_history = false;
};

struct SimulationSpec {
  WorldSpec world = {};
  absl::Time start = absl::FromUnixSeconds(1'767'225'600);  // 2026-01-01
  absl::Duration duration = {};  // InfiniteDuration: until each load has ended
  std::vector<ObjectSpec> objects = {};
  std::vector<TriggerSource> triggers = {};
  PipelineSpec pipeline = {};
  std::vector<ControlFault> faults = {};
  control::ControllerOptions controller = {};  // abort_on_broken_invariant is set
};

// Who looks on. Calls come in the order of what happens; pointers are valid in the call alone. A
// thousand targets must cost what happens to them, not a thousand looks at each step: so the world
// is shown as a whole once a tick (loads and queues move no faster), and what happens to pods in
// between for the one deployment that it concerns.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnDecision(const control::DecisionRecord&, absl::Time) {}
  virtual void OnOutcome(const control::OutcomeRecord&, absl::Time) {}
  // A write reached the world (replicas are asked for), by Neap or by somebody else.
  virtual void OnScale(int /*deployment*/, int32_t /*before*/, int32_t /*after*/, bool /*by_neap*/,
                       absl::Time) {}
  // Counts of the deployment's pods changed.
  virtual void OnPods(const World&, int /*deployment*/, absl::Time) {}
  // At the beginning, at each tick and at the end. Loads, rates and what waits hold until the next
  // call.
  virtual void OnWorld(const World&, absl::Time) {}
};

class Simulation {
 public:
  // `spec` must be valid (scenario_file.h checks it). Observers are borrowed and outlive this.
  Simulation(SimulationSpec spec, std::vector<Observer*> observers);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // To the end. `progress` is called about every 1 % with the time passed; false ends the run
  // early (Cancelled). Errors: a trace that can't be read; FailedPrecondition when it is to last
  // until the loads have ended and they do not within three years.
  absl::Status Run(const std::function<bool(absl::Duration)>& progress = nullptr);
  // Everything up to `to`, included.
  absl::Status Advance(absl::Time to);

  absl::Time now() const;
  const World& world() const;
  // For those who act on it between two calls of Advance: somebody changes the scale by hand, an
  // object changes.
  void ScaleByHand(int deployment, int32_t replicas);
  void Change(ObjectSpec object);
  // Must not be called while a kRestart keeps neapd down.
  const control::Controller& controller() const;
  uint64_t events() const;  // of the world and steps of the controller

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sim
