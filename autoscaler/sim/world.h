// World: the virtual cluster: deployments whose pods start, become ready, crash and end, on nodes
// that come and go; load that makes CPU; queues that fill and drain. Discrete events ordered by
// (time, sequence), one seed: the same spec and the same calls give the same world, everywhere, and
// looking at it changes nothing. Between two events everything is computed in closed form
// (fluid.h), so that a world costs what happens in it and not how long it lasts. It knows no clock:
// the caller moves it by Advance, in virtual time or paced by a real clock. Owned by
// playground::Cluster and by Simulation; one thread only.
//
//   World world(spec, start);
//   world.Advance(start + absl::Seconds(30));
//   NEAP_RETURN_IF_ERROR(world.Scale(world.FindDeployment("shop", "checkout"), 5));
//
// What is conserved, and checked: of requests and items, arrived = served + failed + waiting.
//
// Where to look: pods' lives in world_pods.cc, the deployment controller and quotas in
// world_controller.cc, nodes and faults in world_cluster.cc, load and CPU in world_traffic.cc.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/sim/events.h"
#include "autoscaler/sim/fluid.h"
#include "autoscaler/sim/nodes.h"
#include "autoscaler/sim/pods.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/requests.h"
#include "autoscaler/sim/service.h"
#include "autoscaler/sim/spec.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {

// What a deployment's pods are made of: a roll-out adds one.
struct Template {
  std::string hash = {};  // pod-template-hash
  int64_t cpu_per_request = 0;
  int crash_permille = 0;
  int64_t limit = Fluid::kUnlimited;     // what a ready pod's CPU limit lets it do, thousandths/s
  int64_t capacity = Fluid::kUnlimited;  // of a ready pod, of its deployment's own load
  int active = 0;                        // its pods that are not being deleted
  int ready = 0;                         // of those, the ready ones
  CpuCurve share = {};                   // of each of these
};

struct Deployment {
  DeploymentSpec spec = {};
  std::string uid = {};
  std::string pod_name_prefix = {};  // "checkout-6d4cf56db6-", of the latest template
  base::Labels pod_labels = {};      // those of the spec and pod-template-hash, of the latest
  absl::Time created = {};
  absl::Time available_changed = {};  // when all replicas became, or ceased to be, available
  int replicas = 0;                   // asked for
  int64_t generation = 1;
  int64_t observed_generation = 0;
  int active = 0;    // pods not being deleted
  int ready = 0;     // of those, the ready ones
  int pending = 0;   // of those, the ones without a place on a node
  int starting = 0;  // of those, the ones that have a place and are not ready
  int refused = 0;   // wanted, but the namespace's quota leaves no room: tried again later
  std::vector<Template> templates = {};  // by age; new pods are made of the last
  std::vector<Pod*> pods = {};  // in the order of creation, with those being deleted; World's

  int64_t own_rate = 0;     // load in thousandths per second, without what comes from queues
  int64_t rate = 0;         // load in thousandths per second, own and from queues, as of now()
  int64_t served_rate = 0;  // of it, what the ready pods do
  int64_t pod_cpu = 0;      // of each ready pod now (their mean), billionths of a core
  // Since the beginning; as of the last change, or of World::deployment():
  int64_t requested = 0;    // arrived, own and from queues, in thousandths
  int64_t pod_seconds = 0;  // of all pods, from creation to their end

  const Template& latest() const { return templates.back(); }
  int updated() const { return templates.back().active; }  // pods of the latest template
};

struct Queue {
  QueueSpec spec = {};
  int64_t arrival_rate = 0;  // thousandths per second, now
  int64_t service_rate = 0;  // that are taken now
};

// A queue's figures in whole items, as a queue counts them: one has arrived when all of it has, and
// is taken when its service begins. arrived = taken + waiting.
struct Items {
  int64_t arrived = 0;
  int64_t taken = 0;
  int64_t waiting = 0;
};
Items ItemsOf(const Service& service);

// What became different, for those who show the world to others.
struct Change {
  enum class Kind : uint8_t { kDeployment, kPodAdded, kPodModified, kPodDeleted };
  Kind kind;
  int deployment;
  std::string pod = {};  // name; "" for kDeployment
  PodId id = {};
};

// CPU as metrics.k8s.io shows it.
struct CpuSample {
  absl::Time at = {};
  absl::Duration window = {};
  int64_t cpu = 0;  // mean over the window, billionths of a core
};

class World {
 public:
  // `spec` must be valid (world_file.h checks it). At `start` the replicas asked for exist and are
  // ready, as in a cluster that has been running.
  World(WorldSpec spec, absl::Time start);
  ~World();

  absl::Time start() const { return start_; }
  absl::Time now() const { return TimeOf(now_); }
  // When Advance will next have something to do, single requests apart.
  absl::Time next_event() const;
  // Processes all events up to and including `to`. Going back is no error and does nothing.
  void Advance(absl::Time to);
  // The same, but stops after the first moment in which something changed for those who look
  // (TakeChanges has something to give): true then, and now() is that moment. Load that changes,
  // queues that fill and single requests are no such changes.
  bool AdvanceToChange(absl::Time to);
  // Events processed; each single request counts as one.
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
  // With the totals that run with time as of now, too.
  const Deployment& deployment(int index) const;
  // What became of a deployment's own load (without what it takes from queues) and of a queue's
  // items, as of now. Fluid ones know waits, and no latencies. Valid until the world moves.
  const Service& service(int deployment) const;
  const Service& queue_service(int queue) const;
  // The least pods that keep up with the present load, 0 without one; pods without a known capacity
  // keep up with anything.
  int Demand(int deployment) const;

  // The mean CPU of a pod from `from` to `to` (not after now), billionths of a core; nullopt when
  // its container did not run yet at `from`, or when `from` is before what is remembered
  // (spec().cpu_history). Exact for fluid load; for single requests it is interpolated between
  // marks that lie a second apart. Cheap: no sampling is needed beforehand.
  std::optional<int64_t> MeanCpu(const Pod& pod, absl::Time from, absl::Time to) const;
  // What metrics.k8s.io shows of it now in the playground (spec().metrics_window, metrics_every);
  // nullopt before the first sample, and of pods that are being deleted.
  std::optional<CpuSample> Sample(const Pod& pod) const;

  const std::vector<Node>& nodes() const { return nodes_.all(); }
  // What nodes have cost since the beginning, and cost now per hour: millionths of a currency unit.
  // A node is paid for while it is ready.
  int64_t cost() const { return nodes_.Cost(now_); }
  int64_t cost_per_hour() const { return nodes_.CostPerHour(); }

  // Index, or -1.
  int FindDeployment(std::string_view ns, std::string_view name) const;
  // Nullptr when there is none, or it is gone.
  const Pod* FindPod(std::string_view ns, std::string_view name) const;
  const Pod* FindPod(PodId id) const { return pods_.Find(id); }

  // A metric's value in thousandths; nullopt where there is none (a rate per pod without pods).
  std::optional<int64_t> Value(const Source& source) const;

  // What changed since the last call, in order; a pod or deployment may appear more than once. They
  // pile up until taken.
  std::vector<Change> TakeChanges();

 private:
  enum class EventKind : uint8_t {
    kLoad,       // of deployment `index` changes
    kArrivals,   // of queue `index` change
    kFluid,      // of deployment `index`: goes on differently; void unless `a` is its plan
    kQueue,      // likewise of queue `index`
    kMeasure,    // deployment `index`, of single requests: CPU and rates
    kReconcile,  // deployment `index`
    kRollout,    // deployment `index`, its `a`th
    kRunning,    // the rest: pod {a, b}
    kReady,
    kCrash,
    kRestart,
    kGone,
    kKilled,     // its time to end is up
    kNodeReady,  // node `index`
    kNodeIdle,   // node `index` was empty for long, if `a` is still its count
    kNodeBack,   // node `index`
    kZoneUp,     // zone number `index` of zones_down_
    kFault,      // number `index`
  };
  struct Event {
    EventKind kind;
    int32_t index = -1;
    uint32_t a = 0;
    uint32_t b = 0;
  };
  // A load and where it goes.
  struct Flow {
    Fluid fluid;
    std::unique_ptr<LoadCursor> cursor;
    int64_t rate = 0;
    bool counts = false;  // its end is one of the world's loads'
    uint32_t plan = 0;
    int64_t planned = kNever;
  };
  // What World knows of a deployment beyond what it shows.
  struct Workload {
    Flow flow;
    std::unique_ptr<Requests> requests;  // instead of the fluid
    Random chance;
    std::vector<int> queues = {};
    int quota = -1;
    int64_t reconcile_at = kNever;  // when it is planned
    absl::Duration retry = {};      // after a refusal by quota
    Wide pod_nanos = 0;             // as of pods_since
    int64_t pods_since = 0;
    // Single requests: figures once a second over the last ten, and pods that are to go as soon as
    // they have nothing left.
    struct Measure {
      int64_t arrived;
      int64_t served;
      int64_t busy;
    };
    std::deque<Measure> measures = {};
    int64_t busy_of_gone = 0;
    int draining = 0;
    bool of_rows = false;         // the requests are those of a trace
    int64_t rows_ended = kNever;  // when its end was seen
  };
  struct Usage {  // of a quota
    int pods = 0;
    int64_t cpu = 0;
  };

  // Before the world's beginning its pods have been ready this long, in nanoseconds: longer than
  // what a decision counts as a start.
  static constexpr int64_t kAgeAtStart = int64_t{600} * 1'000'000'000;

  absl::Time TimeOf(int64_t nanos) const { return start_ + absl::Nanoseconds(nanos); }
  int64_t NanosOf(absl::Time time) const;
  Deployment& At(int index) { return deployments_[static_cast<size_t>(index)]; }
  const Deployment& At(int index) const { return deployments_[static_cast<size_t>(index)]; }
  Workload& Of(int index) { return workloads_[static_cast<size_t>(index)]; }
  const Workload& Of(int index) const { return workloads_[static_cast<size_t>(index)]; }

  // world.cc
  void Plan(int64_t when, Event event);
  void PlanIn(int64_t nanos, Event event);
  void AddDeployment(const DeploymentSpec& spec);
  void AddQueue(const QueueSpec& spec);
  bool Step(int64_t to);
  bool StepTraffic(int64_t to);
  void Handle(const Event& event);
  void Changed(Change::Kind kind, int deployment, const Pod* pod = nullptr);
  std::string Uid();
  void Failed(absl::Status status);
  void HandlePod(const Event& event);
  void CountPods(int deployment) const;
  const Service& Checked(const Service& service, const std::string& of) const;

  // world_pods.cc
  Pod& AddPod(int deployment);
  void StartPod(int deployment);
  void StartReadyPod(int deployment);
  void GivePlace(Pod& pod);
  void Pull(Pod& pod);
  void Run(Pod& pod);
  void BecomeReady(Pod& pod);
  void Crash(Pod& pod);
  void EndPod(Pod& pod);
  void Leave(Pod& pod);
  void Remove(Pod& pod);
  void Recount(int deployment);
  static Event OfPod(EventKind kind, const Pod& pod);
  std::string FullName(const Pod& pod) const;
  Room RoomOf(const Deployment& deployment) const;
  int64_t Draw(int deployment, const std::optional<Distribution>& distribution, const Range& range);

  // world_controller.cc
  void PlanReconcile(int deployment, absl::Duration after);
  void Reconcile(int deployment);
  void StartPods(int deployment, int count);
  enum class Whom : uint8_t { kAll, kNew, kOldNotReady, kOldReady };
  void EndPods(int deployment, int count, Whom whom);
  void RollOut(int deployment);
  void AddTemplate(Deployment& deployment, int64_t cpu_per_request, int crash_permille);
  void BeginRollout(int deployment, const RolloutSpec& rollout);
  bool QuotaAllows(int deployment) const;
  void CountQuota(int deployment, int pods);

  // world_cluster.cc
  void OrderFor(Pod& pod);
  void Order(int node);
  void PlacePending();
  void LeavePlace(Pod& pod);
  void NodeReady(int node);
  void NodeIdle(int node, uint32_t emptied);
  void WatchIdle(int node);
  void LoseNode(int node, absl::Duration lasts);
  void LoseZone(absl::Duration lasts);
  void ZoneUp(const std::string& zone);
  void Fault(int index);
  void KillPods(const WorldFault& fault);

  // world_traffic.cc
  void OpenLoad(Flow& flow, const Load& load, uint64_t stream);
  void FollowLoad(Flow& flow, Event event);
  void Spread(int deployment);
  void SpreadQueue(int queue);
  int64_t MoveQueue(int queue);
  void SpreadCpu(int deployment, Wide served);
  void PlanFluid(Flow& flow, Event event);
  void Measure(int deployment);
  Requests& Traffic(int deployment) const;
  Wide CpuOfWork(const Deployment& deployment, const Template& of, Wide busy) const;
  const CpuCurve& ShareOf(const Pod& pod) const;
  Wide CpuTotal(const Pod& pod, int64_t when) const;
  int64_t RememberedFrom() const;

  const WorldSpec spec_;
  const absl::Time start_;
  int64_t now_ = 0;
  EventQueue<Event> queue_;
  uint64_t handled_ = 0;
  absl::Status status_;
  int draining_ = 0;  // sum of Workload::draining
  // Streams of numbers apart from one another: a fault more changes no name.
  Random names_;
  Random faults_;
  Random machines_;
  // Totals are brought to now when they are looked at.
  mutable std::vector<Deployment> deployments_;
  mutable std::vector<Workload> workloads_;
  std::vector<Queue> queues_;
  mutable std::vector<Flow> flows_;  // of queues
  base::StringLookup<int> by_name_;  // "ns/name" of deployments
  PodTable pods_;
  Nodes nodes_;
  std::vector<PodId> pending_;  // without a place, in the order of creation
  std::vector<std::string> zones_down_;
  std::vector<Usage> used_;  // of each quota
  std::vector<Change> changes_;
};

}  // namespace neap::sim
