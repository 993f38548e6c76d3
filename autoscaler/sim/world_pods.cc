// World: the life of a pod: a place, its image, its container that runs, becomes ready or crashes,
// and its end.

#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/check.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {
namespace {

// From its deletion to being killed, whatever it still serves: the API's default.
constexpr int64_t kGrace = 30'000'000'000;

}  // namespace

std::string World::FullName(const Pod& pod) const {
  return fmt::format("{}/{}", At(pod.deployment).spec.ns, pod.name);
}

Room World::RoomOf(const Deployment& deployment) const {
  return {.cpu = deployment.spec.cpu_request, .memory = deployment.spec.memory_request};
}

int64_t World::Draw(int index, const std::optional<Distribution>& distribution,
                    const Range& range) {
  Random& chance = Of(index).chance;
  if (distribution) return distribution->Draw(chance);
  return absl::ToInt64Nanoseconds(chance.Between(range.min, range.max));
}

World::Event World::OfPod(EventKind kind, const Pod& pod) {
  return {.kind = kind, .index = pod.deployment, .a = pod.id.slot, .b = pod.id.generation};
}

Pod& World::AddPod(int index) {
  Deployment& deployment = At(index);
  Pod& pod = pods_.Add();
  pod.deployment = index;
  pod.revision = static_cast<int>(deployment.templates.size()) - 1;
  do {
    pod.name = deployment.pod_name_prefix + names_.Suffix(5);
  } while (pods_.Taken(FullName(pod)));
  pods_.Name(pod, FullName(pod));
  pod.uid = Uid();
  pod.created = now();
  CountPods(index);
  CountQuota(index, 1);
  deployment.pods.push_back(&pod);
  return pod;
}

void World::StartPod(int index) {
  Pod& pod = AddPod(index);
  if (Of(index).requests != nullptr) pod.traffic = Traffic(index).Add();
  Changed(Change::Kind::kPodAdded, index, &pod);
  GivePlace(pod);
}

// One that has been up for long, as at the world's beginning; where it finds no place or quota, it
// is one that starts.
void World::StartReadyPod(int index) {
  if (!QuotaAllows(index)) return PlanReconcile(index, absl::ZeroDuration());
  const Deployment& deployment = At(index);
  const int node = nodes_.unlimited() ? -1 : nodes_.Place(RoomOf(deployment));
  if (node < 0 && !nodes_.unlimited()) return StartPod(index);
  Pod& pod = AddPod(index);
  pod.node = node;
  pod.phase = PodPhase::kRunning;
  pod.ready = true;
  pod.created = pod.scheduled_at = pod.running_at = pod.ready_at = TimeOf(-kAgeAtStart);
  if (Of(index).requests != nullptr) {
    pod.traffic = Of(index).requests->AddServing();
    pod.meter.Own(-kAgeAtStart, deployment.spec.cpu_idle, ShareOf(pod));
  } else {
    pod.meter.Share(-kAgeAtStart, ShareOf(pod));
  }
  Changed(Change::Kind::kPodAdded, index, &pod);
}

void World::GivePlace(Pod& pod) {
  if (!nodes_.unlimited()) {
    pod.node = nodes_.Place(RoomOf(At(pod.deployment)));
    if (pod.node < 0) {
      pending_.push_back(pod.id);
      return OrderFor(pod);
    }
  }
  Pull(pod);
}

void World::Pull(Pod& pod) {
  const DeploymentSpec& spec = At(pod.deployment).spec;
  pod.scheduled_at = now();
  PlanIn(Draw(pod.deployment, spec.pull_and_start, spec.to_running),
         OfPod(EventKind::kRunning, pod));
}

void World::HandlePod(const Event& event) {
  Pod* pod = pods_.Find(PodId{.slot = event.a, .generation = event.b});
  if (pod == nullptr) return;
  if (event.kind == EventKind::kGone) return Leave(*pod);
  if (event.kind == EventKind::kKilled) return Remove(*pod);
  if (pod->deleting()) return;  // it ends before it comes up
  if (event.kind == EventKind::kReady) return BecomeReady(*pod);
  if (event.kind == EventKind::kCrash) return Crash(*pod);
  if (event.kind == EventKind::kRestart) {
    ++pod->restarts;
    pod->backing_off = false;
  }
  Run(*pod);
}

// Its container starts, for the first time or again.
void World::Run(Pod& pod) {
  const int index = pod.deployment;
  const DeploymentSpec& spec = At(index).spec;
  const int crashes = At(index).templates[static_cast<size_t>(pod.revision)].crash_permille;
  Random& chance = Of(index).chance;
  pod.phase = PodPhase::kRunning;
  pod.running_at = std::min(pod.running_at, now());
  pod.meter.Own(now_, spec.cpu_startup, ShareOf(pod));
  if (crashes > 0 && chance.Below(1000) < static_cast<uint64_t>(crashes)) {
    PlanIn(spec.crash.lives.Draw(chance), OfPod(EventKind::kCrash, pod));
  } else {
    int64_t ready = now_ + Draw(index, spec.become_ready, spec.to_ready);
    if (spec.requests) {
      const int64_t listens = Traffic(index).Run(pod.traffic);
      ready = spec.requests->readiness_probe ? std::max(ready, listens) : now_;
    }
    Plan(ready, OfPod(EventKind::kReady, pod));
  }
  Changed(Change::Kind::kPodModified, index, &pod);
}

void World::BecomeReady(Pod& pod) {
  const int index = pod.deployment;
  pod.ready = true;
  pod.ready_at = now();
  if (At(index).spec.requests) {
    pod.meter.Own(now_, At(index).spec.cpu_idle, ShareOf(pod));
    Traffic(index).SetReady(pod.traffic, true);
  } else {
    pod.meter.Share(now_, ShareOf(pod));
  }
  Changed(Change::Kind::kPodModified, index, &pod);
  Recount(index);
  if (At(index).updated() != At(index).active) PlanReconcile(index, spec_.controller_delay);
}

// As the kubelet does: the first restart at once, then `backoff`, doubling.
void World::Crash(Pod& pod) {
  const CrashSpec& spec = At(pod.deployment).spec.crash;
  absl::Duration wait;
  if (pod.restarts > 0) {
    wait = spec.backoff;
    for (int i = 1; i < pod.restarts && wait < spec.most_backoff; ++i) wait *= 2;
    wait = std::min(wait, spec.most_backoff);
  }
  pod.backing_off = wait > absl::ZeroDuration();
  pod.meter.Own(now_, 0, ShareOf(pod));
  PlanIn(absl::ToInt64Nanoseconds(wait), OfPod(EventKind::kRestart, pod));
  Changed(Change::Kind::kPodModified, pod.deployment, &pod);
}

void World::EndPod(Pod& pod) {
  const DeploymentSpec& spec = At(pod.deployment).spec;
  pod.deleted_at = now();
  Changed(Change::Kind::kPodModified, pod.deployment, &pod);
  if (pod.traffic >= 0) Traffic(pod.deployment).Delete(pod.traffic);
  if (pod.phase == PodPhase::kRunning) {
    pod.meter.Own(now_, pod.backing_off ? 0 : spec.cpu_idle, ShareOf(pod));
  }
  if (!pod.scheduled()) {  // no kubelet has it: it goes at once
    LeavePlace(pod);
    return Plan(now_, OfPod(EventKind::kGone, pod));
  }
  PlanIn(Draw(pod.deployment, spec.terminate, spec.to_gone), OfPod(EventKind::kGone, pod));
}

// Its process was told to end and would: unless it still serves.
void World::Leave(Pod& pod) {
  const int64_t left = NanosOf(pod.deleted_at) + kGrace - now_;
  if (pod.traffic < 0 || left <= 0 || Traffic(pod.deployment).in_flight(pod.traffic) == 0) {
    return Remove(pod);
  }
  pod.draining = true;
  ++Of(pod.deployment).draining;
  ++draining_;
  PlanIn(left, OfPod(EventKind::kKilled, pod));
}

void World::Remove(Pod& pod) {
  const int index = pod.deployment;
  Deployment& deployment = At(index);
  Workload& workload = Of(index);
  Changed(Change::Kind::kPodDeleted, index, &pod);
  if (pod.draining) {
    --workload.draining;
    --draining_;
  }
  if (pod.traffic >= 0) {
    Requests& traffic = Traffic(index);
    workload.busy_of_gone += traffic.BusyNanos(pod.traffic);
    traffic.Remove(pod.traffic);
  }
  CountPods(index);
  CountQuota(index, -1);
  std::erase(deployment.pods, &pod);
  LeavePlace(pod);
  pods_.Remove(pod, FullName(pod));
}

void World::Recount(int index) {
  Deployment& deployment = At(index);
  const int active = deployment.active;
  const int ready = deployment.ready;
  const int updated = deployment.updated();
  const bool was_available = ready >= deployment.replicas;
  bool spreads = false;
  deployment.active = deployment.ready = deployment.pending = deployment.starting = 0;
  std::vector<int> ready_before;
  for (Template& one : deployment.templates) {
    ready_before.push_back(one.ready);
    one.active = one.ready = 0;
  }
  for (const Pod* pod : deployment.pods) {
    if (pod->deleting()) continue;
    Template& of = deployment.templates[static_cast<size_t>(pod->revision)];
    ++deployment.active;
    ++of.active;
    deployment.ready += pod->ready;
    of.ready += pod->ready;
    deployment.pending += !pod->scheduled();
    deployment.starting += pod->scheduled() && !pod->ready;
  }
  for (size_t i = 0; i < ready_before.size(); ++i) {
    spreads = spreads || ready_before[i] != deployment.templates[i].ready;
  }
  if (was_available != (deployment.ready >= deployment.replicas)) {
    deployment.available_changed = now();
  }
  if (active != deployment.active || ready != deployment.ready || updated != deployment.updated()) {
    Changed(Change::Kind::kDeployment, index);
  }
  if (spreads) Spread(index);
}

}  // namespace neap::sim
