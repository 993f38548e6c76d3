// World: where load goes, and the CPU that it makes.

#include <algorithm>

#include "autoscaler/base/status.h"
#include "autoscaler/sim/load.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kMeasures = 10;          // the span of rates of single requests, in seconds
constexpr Wide kMostCpu = Wide{1} << 50;  // of a pod, billionths of a core: a million cores

int64_t Shown(int64_t rate) { return std::min(rate, kMaxRate); }

}  // namespace

// ---- loads ----

void World::OpenLoad(Flow& flow, const Load& load, uint64_t stream) {
  absl::StatusOr<std::unique_ptr<LoadCursor>> cursor = load.Open(spec_.seed ^ (stream << 20));
  if (!cursor.ok()) {
    Failed(cursor.status());
    cursor = Load().Open(0);
  }
  flow.cursor = *std::move(cursor);
  flow.counts = flow.cursor->At(absl::ZeroDuration()) != 0 ||
                flow.cursor->NextChange() != absl::InfiniteDuration() ||
                flow.cursor->Ended() != absl::InfiniteDuration();
}

void World::FollowLoad(Flow& flow, Event event) {
  flow.rate = flow.cursor->At(absl::Nanoseconds(now_));
  const absl::Duration next = flow.cursor->NextChange();
  if (next != absl::InfiniteDuration()) {
    Plan(std::max(now_ + 1, absl::ToInt64Nanoseconds(next)), event);
  }
  if (absl::Status status = flow.cursor->status(); !status.ok()) Failed(std::move(status));
}

// The load over the ready pods, and what comes of it, from now on.
void World::Spread(int index) {
  Deployment& deployment = At(index);
  Workload& workload = Of(index);
  Wide served = 0;
  if (workload.requests != nullptr) {
    Traffic(index).SetRate(workload.flow.rate);
    if (!workload.of_rows) deployment.own_rate = workload.flow.rate;
  } else {
    Wide capacity = 0;
    for (const Template& one : deployment.templates) capacity += Wide{one.capacity} * one.ready;
    Fluid& fluid = workload.flow.fluid;
    fluid.SetRates(now_, workload.flow.rate,
                   static_cast<int64_t>(std::min<Wide>(capacity, Fluid::kUnlimited)));
    PlanFluid(workload.flow, {.kind = EventKind::kFluid, .index = index});
    deployment.own_rate = workload.flow.rate;
    served = fluid.served_rate();
  }
  Wide taken = 0;
  for (int queue : workload.queues) taken += MoveQueue(queue);
  deployment.rate = Shown(deployment.own_rate + static_cast<int64_t>(taken));
  if (workload.requests == nullptr) {
    deployment.served_rate = static_cast<int64_t>(std::min<Wide>(served + taken, kMaxRate));
    SpreadCpu(index, served + taken);
  }
}

// A queue's arrivals or its length changed.
void World::SpreadQueue(int index) {
  const int consumer = queues_[static_cast<size_t>(index)].spec.consumer;
  if (consumer < 0) {
    MoveQueue(index);
  } else {
    Spread(consumer);
  }
}

// From now on its consumer's ready pods take from it; how much per second.
int64_t World::MoveQueue(int index) {
  Queue& queue = queues_[static_cast<size_t>(index)];
  Flow& flow = flows_[static_cast<size_t>(index)];
  Wide capacity = 0;
  if (queue.spec.consumer >= 0) {
    for (const Template& one : At(queue.spec.consumer).templates) {
      capacity += Wide{std::min(queue.spec.per_pod, one.limit)} * one.ready;
    }
  }
  flow.fluid.SetRates(now_, flow.rate, static_cast<int64_t>(std::min<Wide>(capacity, kMaxRate)));
  PlanFluid(flow, {.kind = EventKind::kQueue, .index = index});
  queue.arrival_rate = flow.rate;
  queue.service_rate = flow.fluid.served_rate();
  return queue.service_rate;
}

void World::PlanFluid(Flow& flow, Event event) {
  if (flow.fluid.next() == flow.planned) return;
  flow.planned = flow.fluid.next();
  event.a = ++flow.plan;
  Plan(flow.planned, event);
}

// Evenly, but where templates differ in what a pod can do: as much of it for each.
void World::SpreadCpu(int index, Wide served) {
  Deployment& deployment = At(index);
  const DeploymentSpec& spec = deployment.spec;
  deployment.pod_cpu = spec.cpu_idle;
  if (deployment.ready == 0) return;
  bool even = false;
  for (const Template& one : deployment.templates) {
    even = even || (one.ready > 0 && one.limit == Fluid::kUnlimited);
  }
  const auto weight = [even](const Template& one) {
    return even ? 1 : std::max<Wide>(1, one.limit);
  };
  Wide weights = 0;
  for (const Template& one : deployment.templates) weights += weight(one) * one.ready;
  Wide all = 0;
  for (Template& one : deployment.templates) {
    if (one.ready == 0) continue;
    const Wide wanted =
        spec.cpu_idle + served * weight(one) * one.cpu_per_request / (1000 * weights);
    const Wide most = spec.cpu_limit == 0 ? kMostCpu : Wide{spec.cpu_limit};
    const auto cpu = static_cast<int64_t>(std::min(wanted, most));
    // Before the world's beginning the load was that of its beginning.
    one.share.Set(now_ == 0 ? -kAgeAtStart : now_, cpu);
    one.share.Forget(RememberedFrom());
    all += Wide{cpu} * one.ready;
  }
  deployment.pod_cpu = static_cast<int64_t>(all / deployment.ready);
}

int World::Demand(int index) const {
  const auto pods_for = [](int64_t rate, int64_t capacity) {
    capacity = std::max<int64_t>(1, capacity);
    return static_cast<int>(std::min<int64_t>((rate + capacity - 1) / capacity, 1'000'000));
  };
  const Deployment& deployment = At(index);
  const Template& pod = deployment.latest();
  int most = pods_for(deployment.own_rate, pod.capacity);
  for (int one : Of(index).queues) {
    const Queue& queue = queues_[static_cast<size_t>(one)];
    most = std::max(most, pods_for(queue.arrival_rate, std::min(queue.spec.per_pod, pod.limit)));
  }
  return most;
}

// ---- single requests ----

// As of now. What has drained meanwhile is known by having nothing in flight.
Requests& World::Traffic(int index) const {
  Requests& traffic = *workloads_[static_cast<size_t>(index)].requests;
  while (traffic.Advance(now_) < now_) {
    while (traffic.TakeDrained() != kNone) {
    }
  }
  return traffic;
}

// The next thing that happens to the requests of those whose pods are to go as soon as they have
// nothing left, up to `to`; false when nothing does.
bool World::StepTraffic(int64_t to) {
  int first = -1;
  for (int i = 0; i < static_cast<int>(workloads_.size()); ++i) {
    if (Of(i).draining == 0 || Of(i).requests->next() > to) continue;
    if (first < 0 || Of(i).requests->next() < Of(first).requests->next()) first = i;
  }
  if (first < 0) return false;
  Requests& traffic = *Of(first).requests;
  now_ = std::max(now_, traffic.Advance(traffic.next()));
  while (traffic.TakeDrained() != kNone) {
  }
  std::vector<Pod*> done;
  for (Pod* pod : At(first).pods) {
    if (pod->draining && traffic.in_flight(pod->traffic) == 0) done.push_back(pod);
  }
  for (Pod* pod : done) Remove(*pod);
  return true;
}

// Rates and CPU as means over the last seconds.
void World::Measure(int index) {
  PlanIn(kSecond, {.kind = EventKind::kMeasure, .index = index});
  Deployment& deployment = At(index);
  Workload& workload = Of(index);
  const Requests& traffic = Traffic(index);
  int64_t busy = workload.busy_of_gone;
  for (Pod* pod : deployment.pods) {
    const int64_t of_pod = traffic.BusyNanos(pod->traffic);
    pod->meter.Worked(now_, of_pod);
    pod->meter.Forget(RememberedFrom());
    busy += of_pod;
  }
  if (workload.of_rows && workload.rows_ended == kNever && traffic.ended()) {
    workload.rows_ended = now_;
  }
  std::deque<Workload::Measure>& all = workload.measures;
  all.push_back(
      {.arrived = traffic.service().arrived, .served = traffic.service().served, .busy = busy});
  if (all.size() > kMeasures + 1) all.pop_front();
  const auto seconds = static_cast<int64_t>(all.size()) - 1;
  if (seconds == 0) return;
  const auto mean = [&](int64_t Workload::Measure::* what) {
    return (all.back().*what - all.front().*what) / seconds;
  };
  deployment.served_rate = mean(&Workload::Measure::served);
  if (workload.of_rows) deployment.own_rate = mean(&Workload::Measure::arrived);
  deployment.pod_cpu =
      deployment.spec.cpu_idle + static_cast<int64_t>(CpuOfWork(deployment, deployment.latest(),
                                                                mean(&Workload::Measure::busy)) /
                                                      std::max(1, deployment.ready) / kSecond);
  Spread(index);
}

// Billionths of a core x nanoseconds for so many nanoseconds of work.
Wide World::CpuOfWork(const Deployment& deployment, const Template& of, Wide busy) const {
  const int64_t mean = absl::ToInt64Nanoseconds(deployment.spec.requests->service.Mean());
  return mean == 0 ? 0 : busy * of.cpu_per_request * kSecond / mean;
}

// ---- CPU ----

const CpuCurve& World::ShareOf(const Pod& pod) const {
  return At(pod.deployment).templates[static_cast<size_t>(pod.revision)].share;
}

int64_t World::RememberedFrom() const {
  return now_ - absl::ToInt64Nanoseconds(
                    std::max(spec_.cpu_history, spec_.metrics_window + spec_.metrics_every));
}

Wide World::CpuTotal(const Pod& pod, int64_t when) const {
  const Wide total = pod.meter.Total(when, ShareOf(pod));
  if (pod.traffic < 0) return total;
  const Deployment& deployment = At(pod.deployment);
  const Wide busy = pod.meter.Busy(when, now_, Traffic(pod.deployment).BusyNanos(pod.traffic));
  return total +
         CpuOfWork(deployment, deployment.templates[static_cast<size_t>(pod.revision)], busy);
}

std::optional<int64_t> World::MeanCpu(const Pod& pod, absl::Time from, absl::Time to) const {
  const int64_t begin = NanosOf(from);
  const int64_t end = std::min(NanosOf(to), now_);
  if (from < pod.running_at || begin >= end || begin < RememberedFrom()) return std::nullopt;
  return static_cast<int64_t>((CpuTotal(pod, end) - CpuTotal(pod, begin)) / (end - begin));
}

std::optional<CpuSample> World::Sample(const Pod& pod) const {
  const int64_t every = absl::ToInt64Nanoseconds(spec_.metrics_every);
  const absl::Time at = TimeOf(now_ / every * every);
  if (pod.deleting() || pod.running_at > at - spec_.metrics_every) return std::nullopt;
  const absl::Duration window = std::min(at - pod.running_at, spec_.metrics_window);
  return CpuSample{.at = at, .window = window, .cpu = MeanCpu(pod, at - window, at).value_or(0)};
}

}  // namespace neap::sim
