#include "autoscaler/sim/world.h"

#include <algorithm>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"

namespace neap::sim {
namespace {

constexpr int64_t kBillion = 1'000'000'000;
// Before the world's beginning its pods have been ready this long: longer than what a decision
// counts as a start.
constexpr absl::Duration kAgeAtStart = absl::Minutes(10);

std::string NameOf(std::string_view ns, std::string_view name) {
  return fmt::format("{}/{}", ns, name);
}

// The pods' share of `rate` in CPU, and what they can serve of it.
void Serve(Deployment& deployment) {
  const DeploymentSpec& spec = deployment.spec;
  deployment.served_rate = 0;
  deployment.pod_cpu = spec.cpu_idle;
  if (deployment.ready == 0) return;
  const int64_t per_pod = deployment.rate / deployment.ready;
  // Thousandths x billionths: at most 10^9 x 10^9 where the file's limits hold.
  const int64_t wanted = spec.cpu_idle + per_pod * (spec.cpu_per_request / 1000) +
                         per_pod * (spec.cpu_per_request % 1000) / 1000;
  deployment.served_rate = deployment.rate;
  deployment.pod_cpu = wanted;
  if (spec.cpu_limit == 0 || wanted <= spec.cpu_limit) return;
  deployment.pod_cpu = spec.cpu_limit;
  const int64_t left = std::max<int64_t>(0, spec.cpu_limit - spec.cpu_idle);
  const int64_t most = left / std::max<int64_t>(1, spec.cpu_per_request / 1000);
  deployment.served_rate = std::min(deployment.rate, most * deployment.ready);
}

}  // namespace

World::World(WorldSpec spec, absl::Time start)
    : spec_(std::move(spec)), start_(start), now_(start), random_(spec_.seed) {
  for (const DeploymentSpec& one : spec_.deployments) {
    const int index = static_cast<int>(deployments_.size());
    Deployment& deployment = deployments_.emplace_back();
    deployment.spec = one;
    if (deployment.spec.labels.empty()) deployment.spec.labels.emplace("app", one.name);
    deployment.uid = Uid();
    const std::string hash = random_.Suffix(10);
    deployment.pod_name_prefix = fmt::format("{}-{}-", one.name, hash);
    deployment.pod_labels = deployment.spec.labels;
    deployment.pod_labels.emplace("pod-template-hash", hash);
    deployment.created = deployment.available_changed = start - kAgeAtStart;
    deployment.replicas = one.replicas;
    deployment.observed_generation = deployment.generation;
    NEAP_CHECK(by_name_.Insert(NameOf(one.ns, one.name), index), "two deployments of one name");
    shares_.emplace_back();
    queues_of_.emplace_back();
  }
  for (const QueueSpec& one : spec_.queues) {
    if (one.consumer >= 0) {
      queues_of_[static_cast<size_t>(one.consumer)].push_back(static_cast<int>(queues_.size()));
    }
    queues_.push_back({.spec = one, .waiting = one.waiting});
    carries_.push_back({.moved = start});
  }
  for (int i = 0; i < static_cast<int>(deployments_.size()); ++i) {
    for (int pod = 0; pod < deployments_[static_cast<size_t>(i)].replicas; ++pod) StartPod(i, true);
    Recount(i);
  }
  At(start, {.kind = EventKind::kTick});
  At(start + spec_.metrics_every, {.kind = EventKind::kSample});
  Advance(start);
  // Whoever looks now has not missed anything yet, but metrics.k8s.io has been up for a while.
  Sample();
}

absl::Time World::next_event() const {
  return events_.empty() ? absl::InfiniteFuture() : events_.begin()->first.first;
}

void World::Advance(absl::Time to) {
  while (!events_.empty() && events_.begin()->first.first <= to) {
    auto node = events_.extract(events_.begin());
    now_ = node.key().first;
    Handle(node.mapped());
  }
  now_ = std::max(now_, to);
}

void World::At(absl::Time when, Event event) {
  events_.emplace(std::pair(std::max(when, now_), sequence_++), std::move(event));
}

void World::Handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kTick:
      Tick();
      At(now_ + spec_.tick, {.kind = EventKind::kTick});
      return;
    case EventKind::kSample:
      Sample();
      At(now_ + spec_.metrics_every, {.kind = EventKind::kSample});
      return;
    case EventKind::kReconcile:
      Reconcile(event.deployment);
      return;
    default:
      break;
  }
  Pod* pod = Find(event);
  if (pod == nullptr) return;
  const DeploymentSpec& spec = deployments_[static_cast<size_t>(event.deployment)].spec;
  if (event.kind == EventKind::kGone) {
    Changed(Change::Kind::kPodDeleted, event.deployment, pod->name);
    pods_.Erase(NameOf(spec.ns, pod->name));
    std::erase_if(deployments_[static_cast<size_t>(event.deployment)].pods,
                  [pod](const auto& one) { return one.get() == pod; });
    return;
  }
  if (pod->deleting()) return;  // it ends before it comes up
  if (event.kind == EventKind::kRunning) {
    pod->phase = PodPhase::kRunning;
    pod->running_at = now_;
    At(now_ + random_.Between(spec.to_ready.min, spec.to_ready.max),
       {.kind = EventKind::kReady, .deployment = event.deployment, .pod = event.pod});
  } else {
    pod->ready = true;
    pod->ready_at = now_;
  }
  Changed(Change::Kind::kPodModified, event.deployment, pod->name);
  Recount(event.deployment);
}

void World::Tick() {
  const int64_t tick = absl::ToInt64Microseconds(spec_.tick);
  for (size_t i = 0; i < queues_.size(); ++i) {
    MoveQueue(static_cast<int>(i));
    queues_[i].service_rate = carries_[i].taken * kBillion / tick;
    carries_[i].taken = 0;
    queues_[i].arrival_rate = queues_[i].spec.arrivals.At(now_ - start_);
  }
  for (size_t i = 0; i < deployments_.size(); ++i) {
    if (now_ > start_) deployments_[i].requested += deployments_[i].rate * tick / 1'000'000;
    int64_t rate = deployments_[i].spec.load.At(now_ - start_);
    for (int queue : queues_of_[i]) rate += queues_[static_cast<size_t>(queue)].service_rate;
    deployments_[i].rate = std::min(rate, kMaxRate);
    Spread(static_cast<int>(i));
  }
}

void World::MoveQueue(int index) {
  Queue& queue = queues_[static_cast<size_t>(index)];
  Carry& carry = carries_[static_cast<size_t>(index)];
  // Thousandths per second x microseconds = billionths of an item.
  const int64_t passed = absl::ToInt64Microseconds(now_ - carry.moved);
  carry.moved = now_;
  carry.arrival += queue.arrival_rate * passed;
  const int64_t arrived = carry.arrival / kBillion;
  carry.arrival %= kBillion;
  queue.arrived += arrived;
  queue.waiting += arrived;
  if (queue.spec.consumer < 0) return;
  const int64_t ready = deployments_[static_cast<size_t>(queue.spec.consumer)].ready;
  carry.service += std::min(queue.spec.per_pod * ready, kMaxRate) * passed;
  const int64_t taken = std::min(queue.waiting, carry.service / kBillion);
  // Who had nothing to do cannot do it later.
  carry.service = taken == queue.waiting ? 0 : carry.service % kBillion;
  queue.waiting -= taken;
  queue.served += taken;
  carry.taken += taken;
}

void World::Sample() {
  for (Deployment& deployment : deployments_) {
    std::optional<std::pair<absl::Duration, int64_t>> settled;  // pods ready all the time are alike
    for (const auto& pod : deployment.pods) {
      const absl::Duration running = now_ - pod->running_at;
      if (pod->phase != PodPhase::kRunning || pod->deleting() || running < spec_.metrics_every) {
        continue;
      }
      pod->sampled_at = now_;
      pod->sample_window = std::min(running, spec_.metrics_window);
      const bool whole = pod->ready && now_ - pod->ready_at >= spec_.metrics_window;
      if (whole && settled) {
        pod->cpu = settled->second;
        continue;
      }
      pod->cpu = MeanCpu(*pod, pod->sample_window);
      if (whole) settled.emplace(pod->sample_window, pod->cpu);
    }
  }
}

int64_t World::MeanCpu(const Pod& pod, absl::Duration window) const {
  const std::deque<Share>& shares = shares_[static_cast<size_t>(pod.deployment)];
  const DeploymentSpec& spec = deployments_[static_cast<size_t>(pod.deployment)].spec;
  const absl::Time from = now_ - window;
  const absl::Time ready_at = pod.ready ? std::max(pod.ready_at, from) : now_;
  // Whole milliseconds: a month of a thousand cores stays far below 2^63.
  int64_t sum = spec.cpu_startup * absl::ToInt64Milliseconds(ready_at - from);
  absl::Time until = now_;
  for (auto share = shares.rbegin(); share != shares.rend() && until > ready_at; ++share) {
    const absl::Time begin = std::max(share->from, ready_at);
    sum += share->cpu * absl::ToInt64Milliseconds(until - begin);
    until = begin;
  }
  return sum / std::max<int64_t>(1, absl::ToInt64Milliseconds(window));
}

absl::Status World::Scale(int index, int replicas) {
  if (replicas < 0) return base::InvalidArgument("replicas {} is negative", replicas);
  Deployment& deployment = deployments_[static_cast<size_t>(index)];
  if (deployment.replicas == replicas) return absl::OkStatus();
  deployment.replicas = replicas;
  ++deployment.generation;
  Changed(Change::Kind::kDeployment, index);
  At(now_ + spec_.controller_delay, {.kind = EventKind::kReconcile, .deployment = index});
  return absl::OkStatus();
}

absl::Status World::DeletePod(std::string_view ns, std::string_view name) {
  const auto* found = pods_.Find(NameOf(ns, name));
  if (found == nullptr) return base::NotFound("pod {}/{} does not exist", ns, name);
  if (found->second->deleting()) return absl::OkStatus();
  EndPod(found->first, *found->second);
  Recount(found->first);
  At(now_ + spec_.controller_delay, {.kind = EventKind::kReconcile, .deployment = found->first});
  return absl::OkStatus();
}

void World::Reconcile(int index) {
  Deployment& deployment = deployments_[static_cast<size_t>(index)];
  if (deployment.observed_generation != deployment.generation) {
    deployment.observed_generation = deployment.generation;
    Changed(Change::Kind::kDeployment, index);
  }
  const int missing = deployment.replicas - deployment.active;
  for (int i = 0; i < missing; ++i) StartPod(index, false);
  for (int i = 0; i < -missing; ++i) EndPod(index, PodToEnd(deployment));
  Recount(index);
}

void World::StartPod(int index, bool ready_at_once) {
  Deployment& deployment = deployments_[static_cast<size_t>(index)];
  auto pod = std::make_unique<Pod>();
  do {
    pod->name = deployment.pod_name_prefix + random_.Suffix(5);
  } while (pods_.Contains(NameOf(deployment.spec.ns, pod->name)));
  pod->uid = Uid();
  pod->deployment = index;
  pod->created = now_;
  if (ready_at_once) {
    pod->phase = PodPhase::kRunning;
    pod->ready = true;
    pod->created = pod->running_at = pod->ready_at = start_ - kAgeAtStart;
  } else {
    const Range& range = deployment.spec.to_running;
    At(now_ + random_.Between(range.min, range.max),
       {.kind = EventKind::kRunning, .deployment = index, .pod = pod->name});
  }
  pods_.Insert(NameOf(deployment.spec.ns, pod->name), std::pair(index, pod.get()));
  Changed(Change::Kind::kPodAdded, index, pod->name);
  deployment.pods.push_back(std::move(pod));
}

void World::EndPod(int index, Pod& pod) {
  const Range& range = deployments_[static_cast<size_t>(index)].spec.to_gone;
  pod.deleted_at = now_;
  Changed(Change::Kind::kPodModified, index, pod.name);
  At(now_ + random_.Between(range.min, range.max),
     {.kind = EventKind::kGone, .deployment = index, .pod = pod.name});
}

// As the ReplicaSet controller ranks them: what does not run yet, then what is not ready, then the
// youngest.
Pod& World::PodToEnd(const Deployment& deployment) const {
  const auto rank = [](const Pod& pod) {
    return pod.phase == PodPhase::kPending ? 0 : pod.ready ? 2 : 1;
  };
  Pod* best = nullptr;
  for (auto pod = deployment.pods.rbegin(); pod != deployment.pods.rend(); ++pod) {
    if ((*pod)->deleting()) continue;
    if (best == nullptr || rank(**pod) < rank(*best)) best = pod->get();
  }
  NEAP_CHECK(best != nullptr, "more pods to end than there are");
  return *best;
}

void World::Recount(int index) {
  Deployment& deployment = deployments_[static_cast<size_t>(index)];
  for (int queue : queues_of_[static_cast<size_t>(index)]) MoveQueue(queue);  // with the old count
  const int ready_before = deployment.ready;
  const bool was_available = ready_before >= deployment.replicas;
  deployment.active = deployment.ready = 0;
  for (const auto& pod : deployment.pods) {
    if (!pod->deleting()) ++deployment.active;
    if (pod->serving()) ++deployment.ready;
  }
  if (was_available != (deployment.ready >= deployment.replicas)) {
    deployment.available_changed = now_;
  }
  Changed(Change::Kind::kDeployment, index);
  if (deployment.ready != ready_before) Spread(index);
}

void World::Spread(int index) {
  Deployment& deployment = deployments_[static_cast<size_t>(index)];
  std::deque<Share>& shares = shares_[static_cast<size_t>(index)];
  Serve(deployment);
  if (shares.empty()) {
    shares.push_back({.from = absl::InfinitePast(), .cpu = deployment.pod_cpu});
  } else if (shares.back().from == now_ || now_ == start_) {  // no past load but the first one
    shares.back().cpu = deployment.pod_cpu;
  } else if (shares.back().cpu != deployment.pod_cpu) {
    shares.push_back({.from = now_, .cpu = deployment.pod_cpu});
  }
  while (shares.size() > 1 && shares[1].from <= now_ - spec_.metrics_window) shares.pop_front();
}

Pod* World::Find(const Event& event) {
  const std::string& ns = deployments_[static_cast<size_t>(event.deployment)].spec.ns;
  auto* found = pods_.Find(NameOf(ns, event.pod));
  return found == nullptr ? nullptr : found->second;
}

void World::Changed(Change::Kind kind, int deployment, std::string pod) {
  changes_.push_back({.kind = kind, .deployment = deployment, .pod = std::move(pod), .id = {}});
}

std::string World::Uid() {
  const uint64_t a = random_.Next();
  const uint64_t b = random_.Next();
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
  const auto* found = pods_.Find(NameOf(ns, name));
  return found == nullptr ? nullptr : found->second;
}

std::optional<int64_t> World::Value(const Source& source) const {
  const auto index = static_cast<size_t>(source.index);
  switch (source.what) {
    case Source::What::kFixed:
      return source.fixed;
    case Source::What::kRate:
      return deployments_[index].rate;
    case Source::What::kRatePerPod:
      if (deployments_[index].ready == 0) return std::nullopt;
      return deployments_[index].rate / deployments_[index].ready;
    case Source::What::kReplicas:
      return int64_t{1000} * deployments_[index].replicas;
    case Source::What::kReady:
      return int64_t{1000} * deployments_[index].ready;
    case Source::What::kCpu:
      return deployments_[index].pod_cpu / 1'000'000 * deployments_[index].ready;
    case Source::What::kQueueLength:
      return 1000 * queues_[index].waiting;
    case Source::What::kArrivals:
      return queues_[index].arrival_rate;
  }
  return std::nullopt;
}

std::vector<Change> World::TakeChanges() { return std::exchange(changes_, {}); }

}  // namespace neap::sim
