#include "autoscaler/playground/cluster.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autoscaler/playground/objects.h"

namespace neap::playground {
namespace {

// Later than all versions of a playground that ran before: a client that has seen that one then
// lists again, where it would wait for versions long past.
uint64_t FirstVersion(absl::Time start) {
  return static_cast<uint64_t>(absl::ToUnixSeconds(start)) * 1000;
}

}  // namespace

Cluster::Cluster(sim::WorldSpec spec, size_t kept_events)
    : world_(std::move(spec), clock_.Now()), store_(kept_events, FirstVersion(world_.start())) {
  base::MutexLock lock(mutex);
  for (const std::string& name : world_.Namespaces()) {
    // Names are unique, so they do for uids.
    store_.Put(KindId::kNamespace,
               MakeNamespace(name, "namespace-" + name, world_.start(), store_.NextVersion()));
  }
  for (size_t i = 0; i < world_.deployments().size(); ++i) {
    Show({.kind = sim::Change::Kind::kDeployment, .deployment = static_cast<int>(i), .pod = ""});
  }
  Sync();
}

Cluster::~Cluster() { Stop(); }

void Cluster::Start() {
  base::MutexLock lock(mutex);
  if (running_) return;
  running_ = true;
  pump_ = std::thread([this] { Pump(); });
}

void Cluster::Stop() {
  Shutdown();
  {
    base::MutexLock lock(mutex);
    running_ = false;
    pump_wakes_.NotifyAll();
  }
  if (pump_.joinable()) pump_.join();
}

void Cluster::Pump() {
  base::MutexLock lock(mutex);
  while (running_) {
    Sync();
    const absl::Duration wait =
        std::clamp(world_.next_event() - clock_.Now(), absl::Milliseconds(1), absl::Seconds(1));
    pump_wakes_.WaitFor(mutex, absl::ToChronoNanoseconds(wait));
  }
}

void Cluster::Sync() {
  world_.Advance(clock_.Now());
  const std::vector<sim::Change> changes = world_.TakeChanges();
  if (changes.empty()) return;
  // A deployment that changed several times at once is shown once, at its last place, so that its
  // pods come before its counts.
  std::map<int, size_t> last;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].kind == sim::Change::Kind::kDeployment) last[changes[i].deployment] = i;
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    const bool deployment = changes[i].kind == sim::Change::Kind::kDeployment;
    if (!deployment || last[changes[i].deployment] == i) Show(changes[i]);
  }
}

void Cluster::Show(const sim::Change& change) {
  const sim::Deployment& deployment = world_.deployments()[static_cast<size_t>(change.deployment)];
  if (change.kind == sim::Change::Kind::kDeployment) {
    store_.Put(KindId::kDeployment, MakeDeployment(deployment, store_.NextVersion()));
    Notify(KindId::kDeployment);
    return;
  }
  if (change.kind == sim::Change::Kind::kPodDeleted) {
    if (const ObjectPtr pod = store_.Get(KindId::kPod, deployment.spec.ns, change.pod)) {
      Remove(KindId::kPod, *pod);
    }
    return;
  }
  const sim::Pod* pod = world_.FindPod(deployment.spec.ns, change.pod);
  if (pod == nullptr) return;  // came and went since the last look
  const std::string_view node =
      pod->node < 0 ? "" : std::string_view(world_.nodes()[static_cast<size_t>(pod->node)].name);
  store_.Put(KindId::kPod, MakePod(deployment, *pod, node, store_.NextVersion()));
  Notify(KindId::kPod);
}

absl::Status Cluster::Scale(int deployment, int replicas) {
  absl::Status done = world_.Scale(deployment, replicas);
  Sync();
  pump_wakes_.NotifyOne();  // the controller acts sooner than the next tick
  return done;
}

absl::Status Cluster::DeletePod(std::string_view ns, std::string_view name) {
  absl::Status done = world_.DeletePod(ns, name);
  Sync();
  pump_wakes_.NotifyOne();
  return done;
}

ObjectPtr Cluster::Put(KindId kind, Json document) {
  ObjectPtr object = MakeObject(std::move(document), store_.NextVersion());
  store_.Put(kind, object);
  Notify(kind);
  return object;
}

void Cluster::Remove(KindId kind, const Object& object) {
  // The deletion is a version of the object, too: watches resume after it.
  store_.Remove(kind, MakeObject(Json::parse(object.body), store_.NextVersion()));
  Notify(kind);
}

void Cluster::WaitFor(KindId kind, absl::Duration most) {
  if (shutting_down_) return;
  changed_[static_cast<size_t>(kind)].WaitFor(mutex, absl::ToChronoNanoseconds(most));
}

void Cluster::Notify(KindId kind) { changed_[static_cast<size_t>(kind)].NotifyAll(); }

void Cluster::Shutdown() {
  base::MutexLock lock(mutex);
  shutting_down_ = true;
  for (base::CondVar& condition : changed_) condition.NotifyAll();
}

}  // namespace neap::playground
