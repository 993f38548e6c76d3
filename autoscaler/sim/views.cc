#include "autoscaler/sim/views.h"

#include <utility>

#include "autoscaler/base/quantity.h"

namespace neap::sim {
namespace {

constexpr int64_t kNanoPerMilli = 1'000'000;

// A quantity of the API has whole billionths, control's amounts are thousandths rounded up.
core::ResourceAmount Amount(std::string resource, int64_t nano) {
  const int64_t milli = (nano + kNanoPerMilli - 1) / kNanoPerMilli;
  return {.resource = std::move(resource),
          .milli = milli,
          .rounded_up_nano = static_cast<int32_t>(milli * kNanoPerMilli - nano)};
}

base::Shared<core::PodRequests> RequestsOf(const DeploymentSpec& spec) {
  core::PodRequests requests;
  core::PodRequests::Container& container = requests.containers.emplace_back();
  container.name = spec.container;
  if (spec.cpu_request > 0) container.requests.push_back(Amount("cpu", spec.cpu_request));
  if (spec.memory_request > 0) {
    container.requests.push_back(
        {.resource = "memory", .milli = spec.memory_request * 1000, .rounded_up_nano = 0});
  }
  return base::Shared<core::PodRequests>::Of(std::move(requests));
}

std::string SelectorText(const base::Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels) {
    if (!out.empty()) out += ',';
    out.append(key).append("=").append(value);
  }
  return out;
}

}  // namespace

absl::Time WholeSeconds(absl::Time time) {
  return absl::FromUnixSeconds(absl::ToUnixSeconds(time));  // floors
}

Views::Views(const World& world) : world_(world) {
  for (const Deployment& deployment : world.deployments()) {
    Told& told = told_.emplace_back();
    told.selector = SelectorText(deployment.spec.labels);
    told.requests = RequestsOf(deployment.spec);
    told.labels = base::LabelSet(deployment.pod_labels);
    told.spec_replicas = deployment.replicas;
    told.status_replicas = deployment.active;
    told.version = ++version_;
  }
}

int Views::Find(const control::TargetRef& target) const {
  if (target.group != kDeploymentGroup || target.kind != kDeploymentKind) return -1;
  return world_.FindDeployment(target.ns, target.name);
}

control::TargetRef Views::RefOf(int deployment) const {
  const DeploymentSpec& spec = world_.deployments()[static_cast<size_t>(deployment)].spec;
  return {.group = std::string(kDeploymentGroup),
          .kind = std::string(kDeploymentKind),
          .ns = spec.ns,
          .name = spec.name};
}

core::Scale Views::ScaleOf(int index) const {
  const Deployment& deployment = world_.deployments()[static_cast<size_t>(index)];
  const Told& told = told_[static_cast<size_t>(index)];
  return {.uid = deployment.uid,
          .resource_version = std::to_string(told.version),
          .spec_replicas = deployment.replicas,
          .status_replicas = deployment.active,
          .selector = told.selector};
}

control::PodState Views::StateOf(const Pod& pod) const {
  const Told& told = told_[static_cast<size_t>(pod.deployment)];
  control::PodState state;
  state.pod.name = pod.name;
  state.pod.start = WholeSeconds(pod.created);
  state.pod.ready_at = WholeSeconds(pod.ready ? pod.ready_at : pod.created);
  state.pod.phase =
      pod.phase == PodPhase::kRunning ? core::PodPhase::kRunning : core::PodPhase::kPending;
  state.pod.ready = pod.ready ? core::PodReady::kTrue : core::PodReady::kFalse;
  state.pod.deleting = pod.deleting();
  state.labels = told.labels;
  state.requests = told.requests;
  return state;
}

control::ScalesReplaced Views::Scales() const {
  control::ScalesReplaced list{
      .group = std::string(kDeploymentGroup), .kind = std::string(kDeploymentKind), .all = {}};
  for (int i = 0; i < static_cast<int>(told_.size()); ++i) {
    list.all.push_back({.target = RefOf(i), .scale = ScaleOf(i), .error = {}});
  }
  return list;
}

control::PodsReplaced Views::Pods(std::string_view ns) const {
  control::PodsReplaced list{.ns = std::string(ns), .all = {}};
  for (const Deployment& deployment : world_.deployments()) {
    if (deployment.spec.ns != ns) continue;
    for (const auto& pod : deployment.pods) list.all.push_back(StateOf(*pod));
  }
  return list;
}

void Views::Tell(const std::vector<Change>& changes, const std::vector<char>& pods_of,
                 std::vector<control::Message>* out) {
  ++batch_;
  for (const Change& change : changes) {
    const auto index = static_cast<size_t>(change.deployment);
    const Deployment& deployment = world_.deployments()[index];
    Told& told = told_[index];
    if (change.kind == Change::Kind::kDeployment) {
      const bool same =
          told.spec_replicas == deployment.replicas && told.status_replicas == deployment.active;
      if (std::exchange(told.batch, batch_) == batch_ || same) continue;
      told.spec_replicas = deployment.replicas;
      told.status_replicas = deployment.active;
      told.version = ++version_;
      out->emplace_back(control::ScaleChange{
          .target = RefOf(change.deployment), .scale = ScaleOf(change.deployment), .error = {}});
      continue;
    }
    if (!pods_of[index]) continue;
    const Pod* pod = world_.FindPod(deployment.spec.ns, change.pod);
    control::PodChange message{.ns = deployment.spec.ns, .name = change.pod, .pod = {}};
    if (pod != nullptr) message.pod = StateOf(*pod);
    out->emplace_back(std::move(message));
  }
}

}  // namespace neap::sim
