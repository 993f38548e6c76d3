#include "autoscaler/sim/world.h"

#include <algorithm>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/load.h"
#include "autoscaler/sim/trace.h"

namespace neap::sim {
namespace {

std::string NameOf(std::string_view ns, std::string_view name) {
  return fmt::format("{}/{}", ns, name);
}

// A stream of random numbers apart from the others of that seed.
Random StreamOf(uint64_t seed, uint64_t stream) {
  Random of_seed(seed);
  Random of_stream(of_seed.Next() + stream * 0xd1342543de82ef95);
  return Random(of_stream.Next());
}

// Streams of the world; deployments have theirs from kDeployments on.
enum Stream : uint64_t { kNames = 1, kFaults, kMachines, kDeployments = 1000 };
constexpr uint64_t kQueues = uint64_t{1} << 40;  // of their loads

int64_t Nanos(absl::Duration duration) {
  return duration == absl::InfiniteDuration() ? kNever : absl::ToInt64Nanoseconds(duration);
}

}  // namespace

World::World(WorldSpec spec, absl::Time start)
    : spec_(std::move(spec)),
      start_(start),
      names_(StreamOf(spec_.seed, kNames)),
      faults_(StreamOf(spec_.seed, kFaults)),
      machines_(StreamOf(spec_.seed, kMachines)),
      nodes_(spec_.pools),
      used_(spec_.quotas.size()) {
  deployments_.reserve(spec_.deployments.size());
  workloads_.reserve(spec_.deployments.size());
  flows_.reserve(spec_.queues.size());
  for (const DeploymentSpec& one : spec_.deployments) AddDeployment(one);
  for (const QueueSpec& one : spec_.queues) AddQueue(one);
  for (int i = 0; i < static_cast<int>(deployments_.size()); ++i) {
    for (int pod = 0; pod < At(i).replicas; ++pod) StartReadyPod(i);
    Recount(i);
    Spread(i);
    if (Of(i).requests != nullptr) Plan(0, {.kind = EventKind::kMeasure, .index = i});
  }
  for (int i = 0; i < static_cast<int>(nodes_.all().size()); ++i) WatchIdle(i);
  for (size_t i = 0; i < spec_.faults.size(); ++i) {
    Plan(Nanos(spec_.faults[i].at), {.kind = EventKind::kFault, .index = static_cast<int>(i)});
  }
  Advance(start);
}

World::~World() = default;

void World::AddDeployment(const DeploymentSpec& one) {
  const int index = static_cast<int>(deployments_.size());
  NEAP_CHECK(by_name_.Insert(NameOf(one.ns, one.name), index), "two deployments of one name");
  Deployment& deployment = deployments_.emplace_back();
  deployment.spec = one;
  if (deployment.spec.labels.empty()) deployment.spec.labels.emplace("app", one.name);
  deployment.uid = Uid();
  deployment.created = deployment.available_changed = TimeOf(-kAgeAtStart);
  deployment.replicas = one.replicas;
  deployment.observed_generation = deployment.generation;
  AddTemplate(deployment, one.cpu_per_request, one.crash.permille);

  const uint64_t stream = kDeployments + static_cast<uint64_t>(index);
  Workload& workload = workloads_.emplace_back(Workload{
      .flow = {.fluid =
                   Fluid({.patience = Nanos(one.patience), .objective = Nanos(spec_.objective)}),
               .cursor = nullptr},
      .requests = nullptr,
      .chance = StreamOf(spec_.seed, stream)});
  for (size_t i = 0; i < spec_.quotas.size(); ++i) {
    if (spec_.quotas[i].ns == one.ns) workload.quota = static_cast<int>(i);
  }
  if (one.requests) {
    Requests::Options options{
        .seed = spec_.seed, .number = index, .objective = spec_.objective, .rows = nullptr};
    if (!one.requests->trace.empty()) {
      TraceOptions trace_options = one.requests->trace_options;
      trace_options.kind = TraceKind::kRequests;
      absl::StatusOr<std::unique_ptr<TraceReader>> rows =
          TraceReader::Open(one.requests->trace, trace_options);
      if (rows.ok()) {
        options.rows = *std::move(rows);
        workload.of_rows = true;
      } else {
        Failed(rows.status());
      }
    }
    workload.requests = std::make_unique<Requests>(*one.requests, std::move(options));
  }
  OpenLoad(workload.flow, one.load, stream);
  FollowLoad(workload.flow, {.kind = EventKind::kLoad, .index = index});
  for (size_t i = 0; i < one.rollouts.size(); ++i) {
    Plan(Nanos(one.rollouts[i].at),
         {.kind = EventKind::kRollout, .index = index, .a = static_cast<uint32_t>(i)});
  }
}

void World::AddQueue(const QueueSpec& one) {
  const int index = static_cast<int>(queues_.size());
  if (one.consumer >= 0) Of(one.consumer).queues.push_back(index);
  queues_.push_back({.spec = one});
  Flow& flow = flows_.emplace_back(
      Flow{.fluid = Fluid({.objective = Nanos(spec_.objective), .waiting = one.waiting * 1000}),
           .cursor = nullptr});
  OpenLoad(flow, one.arrivals, kQueues + static_cast<uint64_t>(index));
  FollowLoad(flow, {.kind = EventKind::kArrivals, .index = index});
  SpreadQueue(index);
}

// ---- time ----

int64_t World::NanosOf(absl::Time time) const { return absl::ToInt64Nanoseconds(time - start_); }

absl::Time World::next_event() const {
  return queue_.next() == kNever ? absl::InfiniteFuture() : TimeOf(queue_.next());
}

void World::Advance(absl::Time to) {
  const int64_t until = NanosOf(to);
  while (Step(until)) {
  }
  now_ = std::max(now_, until);
}

bool World::AdvanceToChange(absl::Time to) {
  const int64_t until = NanosOf(to);
  while (changes_.empty()) {
    if (Step(until)) continue;
    now_ = std::max(now_, until);
    return false;
  }
  while (Step(now_)) {
  }
  return true;
}

// The next event up to `to`; false when there is none.
bool World::Step(int64_t to) {
  if (draining_ > 0 && StepTraffic(std::min(to, queue_.next()))) return true;
  if (queue_.next() > to) return false;
  now_ = std::max(now_, queue_.next());
  ++handled_;
  Handle(queue_.Take());
  return true;
}

void World::Plan(int64_t when, Event event) {
  if (when != kNever) queue_.At(when, event);
}

void World::PlanIn(int64_t nanos, Event event) {
  Plan(nanos >= kNever - now_ ? kNever : now_ + nanos, event);
}

void World::Handle(const Event& event) {
  const int index = event.index;
  switch (event.kind) {
    case EventKind::kLoad:
      FollowLoad(Of(index).flow, event);
      return Spread(index);
    case EventKind::kArrivals:
      FollowLoad(flows_[static_cast<size_t>(index)], event);
      return SpreadQueue(index);
    case EventKind::kFluid:
      if (event.a == Of(index).flow.plan) Spread(index);
      return;
    case EventKind::kQueue:
      if (event.a == flows_[static_cast<size_t>(index)].plan) SpreadQueue(index);
      return;
    case EventKind::kMeasure:
      return Measure(index);
    case EventKind::kReconcile:
      if (Of(index).reconcile_at == now_) Reconcile(index);
      return;
    case EventKind::kRollout:
      return BeginRollout(index, At(index).spec.rollouts[event.a]);
    case EventKind::kNodeReady:
      return NodeReady(index);
    case EventKind::kNodeIdle:
      return NodeIdle(index, event.a);
    case EventKind::kNodeBack:
      return NodeReady(index);
    case EventKind::kZoneUp:
      return ZoneUp(zones_down_[static_cast<size_t>(index)]);
    case EventKind::kFault:
      return Fault(index);
    default:
      HandlePod(event);
  }
}

uint64_t World::events() const {
  uint64_t all = handled_;
  for (const Workload& one : workloads_) {
    if (one.requests != nullptr) {
      all += static_cast<uint64_t>(one.requests->service().arrived / 1000);
    }
  }
  return all;
}

absl::Status World::status() const {
  if (!status_.ok()) return status_;
  for (const Workload& one : workloads_) {
    if (one.requests != nullptr && !one.requests->status().ok()) return one.requests->status();
  }
  return absl::OkStatus();
}

void World::Failed(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

absl::Time World::loads_ended() const {
  std::optional<int64_t> latest;
  bool endless = false;
  const auto add = [&](int64_t ended) {
    endless = endless || ended == kNever;
    latest = std::max(latest.value_or(0), ended);
  };
  for (const Workload& one : workloads_) {
    if (one.flow.counts) add(Nanos(one.flow.cursor->Ended()));
    if (one.of_rows) add(one.rows_ended);
  }
  for (const Flow& one : flows_) {
    if (one.counts) add(Nanos(one.cursor->Ended()));
  }
  return endless || !latest ? absl::InfiniteFuture() : TimeOf(*latest);
}

// ---- what it shows ----

Items ItemsOf(const Service& service) {
  const int64_t arrived = service.arrived / 1000;
  const int64_t taken = std::min(arrived, (service.served + 999) / 1000);
  return {.arrived = arrived, .taken = taken, .waiting = arrived - taken};
}

const Deployment& World::deployment(int index) const {
  Deployment& out = deployments_[static_cast<size_t>(index)];
  CountPods(index);
  out.pod_seconds = static_cast<int64_t>(Of(index).pod_nanos / 1'000'000'000);
  out.requested = service(index).arrived;
  for (int queue : Of(index).queues) out.requested += queue_service(queue).served;
  return out;
}

const Service& World::service(int index) const {
  const Deployment& deployment = At(index);
  if (Of(index).requests != nullptr) return Checked(Traffic(index).service(), deployment.spec.name);
  Fluid& fluid = workloads_[static_cast<size_t>(index)].flow.fluid;
  fluid.Advance(now_);
  return Checked(fluid.service(), deployment.spec.name);
}

const Service& World::queue_service(int index) const {
  Fluid& fluid = flows_[static_cast<size_t>(index)].fluid;
  fluid.Advance(now_);
  return Checked(fluid.service(), queues_[static_cast<size_t>(index)].spec.name);
}

const Service& World::Checked(const Service& service, const std::string& of) const {
  NEAP_CHECK(service.arrived == service.served + service.Failed() + service.waiting &&
                 service.waiting >= 0,
             "seed {}, {} at {} ns: {} arrived, {} served, {} failed, {} wait", spec_.seed, of,
             now_, service.arrived, service.served, service.Failed(), service.waiting);
  return service;
}

void World::CountPods(int index) const {
  Workload& workload = workloads_[static_cast<size_t>(index)];
  workload.pod_nanos += Wide{now_ - workload.pods_since} * At(index).pods.size();
  workload.pods_since = now_;
}

void World::Changed(Change::Kind kind, int deployment, const Pod* pod) {
  changes_.push_back({.kind = kind, .deployment = deployment});
  if (pod == nullptr) return;
  changes_.back().pod = pod->name;
  changes_.back().id = pod->id;
}

std::vector<Change> World::TakeChanges() { return std::exchange(changes_, {}); }

std::string World::Uid() {
  const uint64_t a = names_.Next();
  const uint64_t b = names_.Next();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff,
                     0x8000 | ((b >> 48) & 0x3fff), b & 0xffffffffffff);
}

std::vector<std::string> World::Namespaces() const {
  std::vector<std::string> out = spec_.namespaces;
  for (const DeploymentSpec& one : spec_.deployments) out.push_back(one.ns);
  for (const QueueSpec& one : spec_.queues) out.push_back(one.ns);
  for (const ExternalMetricSpec& one : spec_.external_metrics) out.push_back(one.ns);
  for (const CustomMetricSpec& one : spec_.custom_metrics) out.push_back(one.ns);
  out.push_back("default");
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

int World::FindDeployment(std::string_view ns, std::string_view name) const {
  const int* found = by_name_.Find(NameOf(ns, name));
  return found == nullptr ? -1 : *found;
}

const Pod* World::FindPod(std::string_view ns, std::string_view name) const {
  return pods_.Find(NameOf(ns, name));
}

std::optional<int64_t> World::Value(const Source& source) const {
  if (source.what == Source::What::kFixed) return source.fixed;
  if (source.what == Source::What::kQueueLength) {
    return ItemsOf(queue_service(source.index)).waiting * 1000;
  }
  const auto index = static_cast<size_t>(source.index);
  if (source.what == Source::What::kArrivals) return queues_[index].arrival_rate;
  const Deployment& deployment = deployments_[index];
  switch (source.what) {
    case Source::What::kRate:
      return deployment.rate;
    case Source::What::kRatePerPod:
      if (deployment.ready == 0) return std::nullopt;
      return deployment.rate / deployment.ready;
    case Source::What::kReplicas:
      return int64_t{1000} * deployment.replicas;
    case Source::What::kReady:
      return int64_t{1000} * deployment.ready;
    default:  // kCpu
      return deployment.pod_cpu / 1'000'000 * deployment.ready;
  }
}

}  // namespace neap::sim
