// World: the virtual cluster: deployments whose pods start, become ready and end, load that makes
// CPU, queues that fill and drain. Discrete events ordered by (time, sequence), one seed: the same
// spec and the same calls give the same world, everywhere. It knows no clock: the caller moves it
// by Advance, in virtual time or paced by a real clock. Owned by playground::Cluster (and by the
// simulator); one thread only.
//
//   World world(spec, start);
//   world.Advance(start + absl::Seconds(30));
//   NEAP_RETURN_IF_ERROR(world.Scale(world.FindDeployment("shop", "checkout"), 5));
//
// What is conserved: a queue's arrived + initial = served + waiting, at every moment; a deployment
// serves no more than arrives.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/service.h"
#include "autoscaler/sim/spec.h"

namespace neap::sim {

enum class PodPhase : uint8_t { kPending, kRunning };

// Names a pod for as long as the world lives: a slot is used again, with another generation.
struct PodId {
  uint32_t slot = 0;
  uint32_t generation = 0;  // 0: none
  bool operator==(const PodId&) const = default;
};

struct Pod {
  PodId id = {};
  std::string name;
  std::string uid;
  int deployment = 0;  // index
  int revision = 0;    // of the deployment's template; roll-outs count it up
  int node = -1;       // index into nodes(); -1: it has none (yet), or there are no pools
  absl::Time scheduled_at = absl::InfiniteFuture();  // until it has a place
  int restarts = 0;                                  // of its container
  bool backing_off = false;  // CrashLoopBackOff: its container waits to be started again
  PodPhase phase = PodPhase::kPending;
  bool ready = false;
  absl::Time created;
  absl::Time running_at = absl::InfiniteFuture();  // until it runs
  absl::Time ready_at = absl::InfiniteFuture();    // until it is ready
  absl::Time deleted_at = absl::InfiniteFuture();  // when its deletion was asked for
  bool deleting() const { return deleted_at != absl::InfiniteFuture(); }
  bool serving() const { return ready && !deleting(); }

  // The latest sample of metrics.k8s.io; sampled_at is InfinitePast before the first one.
  absl::Time sampled_at = absl::InfinitePast();
  absl::Duration sample_window;
  int64_t cpu = 0;  // billionths of a core
};

struct Deployment {
  DeploymentSpec spec;
  std::string uid;
  std::string pod_name_prefix;  // "checkout-6d4cf56db6-"
  base::Labels pod_labels;      // those of the spec and pod-template-hash
  absl::Time created;
  absl::Time available_changed;  // when all replicas became, or ceased to be, available
  int replicas = 0;              // asked for
  int64_t generation = 1;
  int64_t observed_generation = 0;
  int revision = 0;  // of the template that new pods are made of
  int active = 0;    // pods not being deleted
  int ready = 0;     // of those, the ready ones
  int pending = 0;   // of those, the ones without a place on a node
  int starting = 0;  // of those, the ones that have a place and are not ready
  int refused = 0;   // wanted, but the namespace's quota leaves no room: tried again later
  int updated = 0;   // active ones of the latest revision
  std::vector<std::unique_ptr<Pod>> pods;  // in the order of creation, with those being deleted

  int64_t rate = 0;       // load in thousandths per second, own and from queues, as of now()
  int64_t requested = 0;  // arrived since the beginning, in thousandths, own and from queues
  int64_t pod_capacity =
      0;                    // what a ready pod can do, thousandths per second; 0: no limit is known
  int64_t pod_seconds = 0;  // of all its pods, from creation to their end, since the beginning
  int64_t served_rate = 0;  // of it, what the ready pods can do
  int64_t pod_cpu = 0;      // of each ready pod now, billionths of a core
};

struct Queue {
  QueueSpec spec;
  int64_t waiting = 0;
  int64_t arrived = 0;
  int64_t served = 0;
  int64_t arrival_rate = 0;  // thousandths per second
  int64_t service_rate = 0;  // what was taken per second over the last tick, in thousandths
};

// What became different, for those who show the world to others.
struct Change {
  enum class Kind : uint8_t { kDeployment, kPodAdded, kPodModified, kPodDeleted };
  Kind kind;
  int deployment;
  std::string pod;  // name; "" for kDeployment
  PodId id = {};
};

// As metrics.k8s.io shows it.
struct CpuSample {
  absl::Time at = {};
  absl::Duration window = {};
  int64_t cpu = 0;  // mean over the window, billionths of a core
};

// A machine. Nodes are never taken out of the list: what is gone stays as such.
struct Node {
  enum class State : uint8_t { kOrdered, kReady, kLost, kGone };  // lost: it comes back
  std::string name;
  std::string zone;
  int pool = 0;
  State state = State::kReady;
  int pods = 0;
  int64_t cpu = 0;     // requested by its pods, billionths of a core
  int64_t memory = 0;  // bytes
};

class World {
 public:
  // `spec` must be valid (world_file.h checks it). At `start` the replicas asked for exist and are
  // ready, as in a cluster that has been running.
  World(WorldSpec spec, absl::Time start);

  absl::Time start() const { return start_; }
  absl::Time now() const { return now_; }
  // When Advance will next have something to do.
  absl::Time next_event() const;
  // Processes all events up to and including `to`. Going back is no error and does nothing.
  void Advance(absl::Time to);
  // The same, but stops after the first moment in which something changed for those who look
  // (TakeChanges has something to give): true then, and now() is that moment. Load that changes,
  // queues that fill and single requests are no such changes.
  bool AdvanceToChange(absl::Time to);
  // Events processed, those of single requests included.
  uint64_t events() const;
  // The first load that could not be opened or read further; it is 0 from there on.
  absl::Status status() const;
  // When the last of all loads ended; InfiniteFuture while one goes on (constant ones: for ever).
  absl::Time loads_ended() const;

  // Asks for that many replicas, now; the deployment controller acts controller_delay later.
  // InvalidArgument when negative.
  absl::Status Scale(int deployment, int replicas);
  // A pod is deleted by hand or by chaos; the controller makes another. NotFound.
  absl::Status DeletePod(std::string_view ns, std::string_view name);

  const WorldSpec& spec() const { return spec_; }
  std::vector<std::string> Namespaces() const;  // sorted
  const std::vector<Deployment>& deployments() const { return deployments_; }
  const std::vector<Queue>& queues() const { return queues_; }
  // deployments() and queues() are cheap to call; their counts and rates hold now, but the totals
  // that run with time (requested, pod_seconds) are as of their last change. These bring them to
  // now:
  const Deployment& deployment(int index) const;
  const Queue& queue(int index) const;
  // What became of a deployment's own load (without what it takes from queues) and of a queue's
  // items, as of now. Fluid ones know waits, and no latencies. Valid until the world moves.
  const Service& service(int deployment) const;
  const Service& queue_service(int queue) const;
  // The least pods that keep up with the present load, 0 without one; pods without a known capacity
  // keep up with anything.
  int Demand(int deployment) const;

  // The mean CPU of a pod from `from` to `to` (not after now), billionths of a core; nullopt when
  // the pod's container had not run by `from`, or when `from` is before what is remembered
  // (spec().cpu_history). Exact for fluid load; for single requests it is interpolated between
  // marks that lie a second apart. Cheap: no sampling is needed beforehand.
  std::optional<int64_t> MeanCpu(const Pod& pod, absl::Time from, absl::Time to) const;
  // What metrics.k8s.io shows of it now in the playground (spec().metrics_window, metrics_every);
  // nullopt before the first sample.
  std::optional<CpuSample> Sample(const Pod& pod) const;

  const std::vector<Node>& nodes() const;
  // What nodes have cost since the beginning, and cost now per hour: millionths of a currency unit.
  int64_t cost() const;
  int64_t cost_per_hour() const;

  // Nullptr once it is gone.
  const Pod* FindPod(PodId id) const;
  // Index, or -1.
  int FindDeployment(std::string_view ns, std::string_view name) const;
  // Nullptr when there is none.
  const Pod* FindPod(std::string_view ns, std::string_view name) const;

  // A metric's value in thousandths; nullopt where there is none (a rate per pod without pods).
  std::optional<int64_t> Value(const Source& source) const;

  // What changed since the last call, in order; a pod or deployment may appear more than once. They
  // pile up until taken.
  std::vector<Change> TakeChanges();

 private:
  enum class EventKind : uint8_t { kTick, kSample, kReconcile, kRunning, kReady, kGone };
  struct Event {
    EventKind kind;
    int deployment = -1;
    std::string pod = {};
  };
  // The share of each ready pod, from a moment on.
  struct Share {
    absl::Time from;
    int64_t cpu = 0;
  };

  void At(absl::Time when, Event event);
  void Handle(const Event& event);
  void Tick();
  void MoveQueue(int queue);  // to now, at the rates that held until now
  void Sample();
  int64_t MeanCpu(const Pod& pod, absl::Duration window) const;
  void Reconcile(int deployment);
  void StartPod(int deployment, bool ready_at_once);
  void EndPod(int deployment, Pod& pod);
  Pod& PodToEnd(const Deployment& deployment) const;
  void Recount(int deployment);  // counts, share per pod, and a Change when the counts differ
  void Spread(int deployment);   // the load over the ready pods
  Pod* Find(const Event& event);
  void Changed(Change::Kind kind, int deployment, std::string pod = "");
  std::string Uid();

  const WorldSpec spec_;
  const absl::Time start_;
  absl::Time now_;
  Random random_;
  std::vector<Deployment> deployments_;
  std::vector<Queue> queues_;
  std::vector<std::deque<Share>> shares_;    // of each deployment, over the metrics window
  std::vector<std::vector<int>> queues_of_;  // of each deployment
  // Of each queue: whole items move; what is left of arrival and service waits here.
  struct Carry {
    absl::Time moved;     // until when the queue is as it should be
    int64_t arrival = 0;  // billionths of an item
    int64_t service = 0;
    int64_t taken = 0;  // items since the last tick
  };
  std::vector<Carry> carries_;
  base::StringLookup<int> by_name_;                // "ns/name" of deployments
  base::StringLookup<std::pair<int, Pod*>> pods_;  // "ns/name" of pods
  std::map<std::pair<absl::Time, uint64_t>, Event> events_;
  uint64_t sequence_ = 0;
  std::vector<Change> changes_;
};

}  // namespace neap::sim
