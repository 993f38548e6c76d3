// World: the deployment controller: as many pods as are asked for, roll-outs, and the quotas that
// refuse some.

#include <algorithm>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {
namespace {

// After a refusal by quota the controller tries again, ever later.
constexpr absl::Duration kFirstRetry = absl::Seconds(1);
constexpr absl::Duration kLastRetry = absl::Minutes(5);

// What a pod's CPU limit lets it do.
int64_t LimitOf(const DeploymentSpec& spec, int64_t cpu_per_request) {
  if (spec.cpu_limit == 0 || cpu_per_request == 0) return Fluid::kUnlimited;
  const Wide left = std::max<int64_t>(0, spec.cpu_limit - spec.cpu_idle);
  return static_cast<int64_t>(std::min<Wide>(left * 1000 / cpu_per_request, Fluid::kUnlimited));
}

// Of a ready pod, for its deployment's own load.
int64_t CapacityOf(const DeploymentSpec& spec, int64_t limit) {
  if (spec.requests && spec.capacity == 0) {
    const int64_t mean =
        std::max<int64_t>(1, absl::ToInt64Nanoseconds(spec.requests->service.Mean()));
    return static_cast<int64_t>(std::min<Wide>(
        Wide{spec.requests->concurrency} * 1'000'000'000'000 / mean, Fluid::kUnlimited));
  }
  return spec.capacity == 0 ? limit : std::min(limit, spec.capacity);
}

}  // namespace

absl::Status World::Scale(int index, int replicas) {
  if (replicas < 0) return base::InvalidArgument("replicas {} is negative", replicas);
  Deployment& deployment = At(index);
  if (deployment.replicas == replicas) return absl::OkStatus();
  deployment.replicas = replicas;
  ++deployment.generation;
  Changed(Change::Kind::kDeployment, index);
  PlanReconcile(index, spec_.controller_delay);
  return absl::OkStatus();
}

absl::Status World::DeletePod(std::string_view ns, std::string_view name) {
  Pod* pod = pods_.Find(fmt::format("{}/{}", ns, name));
  if (pod == nullptr) return base::NotFound("pod {}/{} does not exist", ns, name);
  if (pod->deleting()) return absl::OkStatus();
  EndPod(*pod);
  Recount(pod->deployment);
  PlanReconcile(pod->deployment, spec_.controller_delay);
  return absl::OkStatus();
}

void World::PlanReconcile(int index, absl::Duration after) {
  const int64_t when = now_ + absl::ToInt64Nanoseconds(after);
  if (Of(index).reconcile_at <= when) return;
  Of(index).reconcile_at = when;
  Plan(when, {.kind = EventKind::kReconcile, .index = index});
}

void World::Reconcile(int index) {
  Deployment& deployment = At(index);
  Of(index).reconcile_at = kNever;
  if (deployment.observed_generation != deployment.generation) {
    deployment.observed_generation = deployment.generation;
    Changed(Change::Kind::kDeployment, index);
  }
  deployment.refused = 0;
  if (deployment.updated() != deployment.active) {
    const size_t changes = changes_.size();
    RollOut(index);
    // Who ended makes room for another one: it goes on until there is nothing to do.
    if (changes_.size() != changes) PlanReconcile(index, spec_.controller_delay);
  } else if (deployment.active < deployment.replicas) {
    StartPods(index, deployment.replicas - deployment.active);
  } else {
    EndPods(index, deployment.active - deployment.replicas, Whom::kAll);
  }
  Recount(index);
}

// As the deployment controller does: never more than replicas + maxSurge pods, new ones as far as
// that allows; old ones end when so many are ready that replicas - maxUnavailable remain. Old ones
// that are not ready go first. The new size, too, is reached in this way.
void World::RollOut(int index) {
  Deployment& deployment = At(index);
  const DeploymentSpec& spec = deployment.spec;
  // Both 0 would stand still: the API makes it one unavailable.
  const int unavailable =
      spec.max_surge == 0 ? std::max(1, spec.max_unavailable) : spec.max_unavailable;
  const int room = std::min(deployment.replicas + spec.max_surge - deployment.active,
                            deployment.replicas - deployment.updated());
  if (room > 0) StartPods(index, room);
  EndPods(index, deployment.updated() - deployment.replicas, Whom::kNew);
  Recount(index);

  const int least = deployment.replicas - unavailable;
  const int starting = deployment.updated() - deployment.latest().ready;
  const int most = deployment.active - least - starting;
  if (most <= 0) return;
  const int old_active = deployment.active - deployment.updated();
  const int old_ready = deployment.ready - deployment.latest().ready;
  EndPods(index, std::min(most, old_active - old_ready), Whom::kOldNotReady);
  EndPods(index, std::min(old_ready, deployment.ready - least), Whom::kOldReady);
}

void World::StartPods(int index, int count) {
  Workload& workload = Of(index);
  for (int i = 0; i < count; ++i) {
    if (!QuotaAllows(index)) {
      At(index).refused = count - i;
      workload.retry = std::clamp(workload.retry * 2, kFirstRetry, kLastRetry);
      return PlanReconcile(index, workload.retry);
    }
    StartPod(index);
  }
  workload.retry = absl::ZeroDuration();
}

// As the ReplicaSet controller ranks them: what has no place, then what does not run yet, then what
// is not ready, then the youngest.
void World::EndPods(int index, int count, Whom whom) {
  const int last = static_cast<int>(At(index).templates.size()) - 1;
  const auto meant = [&](const Pod& pod) {
    const bool is_new = pod.revision == last;
    return whom == Whom::kAll || (whom == Whom::kNew && is_new) ||
           (whom == Whom::kOldNotReady && !is_new && !pod.ready) ||
           (whom == Whom::kOldReady && !is_new && pod.ready);
  };
  const auto rank = [](const Pod& pod) {
    if (pod.ready) return 3;
    return pod.phase == PodPhase::kRunning ? 2 : pod.scheduled() ? 1 : 0;
  };
  const std::vector<Pod*>& pods = At(index).pods;
  for (int i = 0; i < count; ++i) {
    Pod* best = nullptr;
    for (auto pod = pods.rbegin(); pod != pods.rend(); ++pod) {
      if ((*pod)->deleting() || !meant(**pod)) continue;
      if (best == nullptr || rank(**pod) < rank(*best)) best = *pod;
    }
    NEAP_CHECK(best != nullptr, "more pods to end than there are");
    EndPod(*best);
  }
}

void World::AddTemplate(Deployment& deployment, int64_t cpu_per_request, int crash_permille) {
  Template& added = deployment.templates.emplace_back();
  added.hash = names_.Suffix(10);
  added.cpu_per_request = cpu_per_request;
  added.crash_permille = crash_permille;
  added.limit = LimitOf(deployment.spec, cpu_per_request);
  added.capacity = CapacityOf(deployment.spec, added.limit);
  deployment.pod_name_prefix = fmt::format("{}-{}-", deployment.spec.name, added.hash);
  deployment.pod_labels = deployment.spec.labels;
  deployment.pod_labels.emplace("pod-template-hash", added.hash);
}

void World::BeginRollout(int index, const RolloutSpec& rollout) {
  Deployment& deployment = At(index);
  const Template& before = deployment.latest();
  AddTemplate(deployment,
              rollout.cpu_per_request < 0 ? before.cpu_per_request : rollout.cpu_per_request,
              rollout.crash_permille < 0 ? before.crash_permille : rollout.crash_permille);
  ++deployment.generation;
  Changed(Change::Kind::kDeployment, index);
  PlanReconcile(index, spec_.controller_delay);
}

bool World::QuotaAllows(int index) const {
  const int quota = Of(index).quota;
  if (quota < 0) return true;
  const QuotaSpec& spec = spec_.quotas[static_cast<size_t>(quota)];
  const Usage& used = used_[static_cast<size_t>(quota)];
  return (spec.pods == 0 || used.pods < spec.pods) &&
         (spec.cpu == 0 || used.cpu + At(index).spec.cpu_request <= spec.cpu);
}

void World::CountQuota(int index, int pods) {
  const int quota = Of(index).quota;
  if (quota < 0) return;
  used_[static_cast<size_t>(quota)].pods += pods;
  used_[static_cast<size_t>(quota)].cpu += pods * At(index).spec.cpu_request;
}

}  // namespace neap::sim
