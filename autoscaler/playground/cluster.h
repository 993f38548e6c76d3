// Cluster: the world in real time as a store of Kubernetes objects: moves the world along a real
// clock on a thread of its own, and puts each change into the store at once. Owned by Playground;
// used by Api and the watches. Thread-safe: whoever touches `world` or `store` holds `mutex`, and
// calls Sync first, so that nothing is read that is older than now.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/playground/json.h"
#include "autoscaler/playground/store.h"
#include "autoscaler/sim/world.h"

namespace neap::playground {

class Cluster {
 public:
  Cluster(sim::WorldSpec spec, size_t kept_events);
  ~Cluster();  // stops
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void Start();  // the world's clock
  void Stop();

  base::Mutex mutex;
  absl::Time Now() const { return clock_.Now(); }

  // Everything below: with the mutex held.

  // Brings the world and the store to now.
  void Sync() NEAP_REQUIRES(mutex);
  const sim::World& world() const NEAP_REQUIRES(mutex) { return world_; }
  const Store& store() const NEAP_REQUIRES(mutex) { return store_; }

  absl::Status Scale(int deployment, int replicas) NEAP_REQUIRES(mutex);
  absl::Status DeletePod(std::string_view ns, std::string_view name) NEAP_REQUIRES(mutex);
  // Objects that are not the world's own. `document` has its metadata; its version is set here.
  ObjectPtr Put(KindId kind, Json document) NEAP_REQUIRES(mutex);
  void Remove(KindId kind, const Object& object) NEAP_REQUIRES(mutex);

  // Waits for a change of that kind, at most `most`; may return earlier.
  void WaitFor(KindId kind, absl::Duration most) NEAP_REQUIRES(mutex);
  // Wakes all who wait; they will not wait again.
  void Shutdown() NEAP_EXCLUDES(mutex);
  bool shutting_down() const { return shutting_down_; }

 private:
  void Pump();
  void Show(const sim::Change& change) NEAP_REQUIRES(mutex);
  void Notify(KindId kind) NEAP_REQUIRES(mutex);

  const base::Clock clock_;
  sim::World world_ NEAP_GUARDED_BY(mutex);
  Store store_ NEAP_GUARDED_BY(mutex);
  std::array<base::CondVar, kKindCount> changed_;
  base::CondVar pump_wakes_;
  bool running_ NEAP_GUARDED_BY(mutex) = false;
  std::atomic<bool> shutting_down_{false};
  std::thread pump_;
};

}  // namespace neap::playground
