// ShardKeeper: between the leases (which shards this process may decide), the controller (which
// decides their targets) and the store (what is remembered of them beyond the process).
//
//   acquired -> load the histories -> ShardHeld -> ... decided, saved from time to time ...
//   leave -> ShardLeaving -> ShardQuiet -> save -> release the lease
//   lost  -> ShardLost: nothing is saved, nothing is sent
//
// Nothing of a shard is decided before its histories are loaded, as long as there is hope: loading
// is tried again with growing waits, and given up for deciding after `load_patience`. Then each
// target begins as the HPA's do when their controller starts: its count of that moment counts as
// recommended, so that no scale-down comes before a whole window has passed. To hold for ever
// would be safer for scale-downs alone: a right that is missing, or a record that is broken, would
// end scale-up for a part of the targets without anybody having touched them.
//
// Saved are: a target whose scale was changed, or that has no record yet, within `save_soon`; all
// else that changed in a shard, every `save_every`; everything when a shard is left. A save that
// failed is tried again.
//
// Owned by Neapd. The controller's thread calls the functions so named; leases and store call back
// on the http::Client's thread; the rest is thread-safe. No function but Stop waits.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/control/controller.h"
#include "autoscaler/kube/history_store.h"
#include "autoscaler/kube/shard_leases.h"

namespace neap::app {

struct ShardKeeperOptions {
  kube::ShardLeasesOptions leases;
  std::optional<kube::HistoryStoreOptions> store;  // nullopt: histories live in this process alone
  absl::Duration load_patience = absl::Seconds(30);
  absl::Duration save_soon = absl::Seconds(1);
  absl::Duration save_every = absl::Seconds(30);
  absl::Duration retry_min = absl::Seconds(1);  // of loads and saves; doubles
  absl::Duration retry_max = absl::Seconds(15);
};

class ShardKeeper {
 public:
  // `context` without sink; `sink` takes what the controller is to know. `held` is told, on the
  // http::Client's thread, of each shard that the controller has just been given; may be empty.
  ShardKeeper(const kube::Context& context, ShardKeeperOptions options, const base::Clock& clock,
              control::Sink sink, std::function<void(int shard)> held);
  ~ShardKeeper();  // gives nothing back: call Stop before
  ShardKeeper(const ShardKeeper&) = delete;
  ShardKeeper& operator=(const ShardKeeper&) = delete;

  void Start() NEAP_EXCLUDES(mutex_);
  // Leaves all shards in good order and waits, at most so long, until all is saved and given back.
  // The controller must go on stepping meanwhile. Idempotent.
  void Stop(absl::Duration limit) NEAP_EXCLUDES(mutex_);

  int shards() const { return options_.leases.shards; }
  int ShardOf(std::string_view uid) const;
  // Whether what is sent now for that object is covered by our lease. On the http::Client's thread.
  bool MayWrite(std::string_view uid) const;

  // ---- the controller's thread ----
  void OnOutcome(const control::OutcomeRecord& record) NEAP_EXCLUDES(mutex_);
  void OnQuiet(int shard) NEAP_EXCLUDES(mutex_);
  void AfterStep(const control::Controller& controller) NEAP_EXCLUDES(mutex_);

  // ---- for people ----
  std::string Unready() const NEAP_EXCLUDES(mutex_);  // what it waits for; "" when it is ready
  kube::ShardLeaseCounts lease_counts() const NEAP_EXCLUDES(mutex_);
  struct Counts {
    uint64_t loads = 0;
    uint64_t failed_loads = 0;
    uint64_t saves = 0;
    uint64_t failed_saves = 0;
    uint64_t unread = 0;  // shards that were decided without their histories
    int held = 0;         // shards that the controller decides now
  };
  Counts counts() const NEAP_EXCLUDES(mutex_);

 private:
  enum class State : uint8_t { kElsewhere, kLoading, kHeld, kLeaving };
  struct Shard {
    State state = State::kElsewhere;
    uint64_t term = 0;  // grows with each acquisition: what belongs to an earlier one is dropped
    int64_t epoch = 0;
    absl::Duration since;  // acquired, by the clock's Elapsed
    absl::Time unknown_until = absl::InfinitePast();
    bool clean = true;    // its former owner gave it back
    bool loaded = false;  // the store can save it
    int failures = 0;     // of loads, then of saves; in a row
    bool quiet = false;   // kLeaving: nothing is under way
    bool saving = false;
    // What is to be saved, and when; InfiniteDuration: nothing.
    absl::Duration due_all = absl::InfiniteDuration();
    absl::Duration due_soon = absl::InfiniteDuration();
    std::set<std::string, std::less<>> soon;  // uids
    // uid -> hash of what the store was given; kOutdated: by an owner who was lost since.
    std::map<std::string, uint64_t, std::less<>> saved;
  };

  void Acquired(const kube::ShardAcquired& acquired) NEAP_EXCLUDES(mutex_);
  void Leave(int shard) NEAP_EXCLUDES(mutex_);
  void Lost(int shard, const absl::Status& why) NEAP_EXCLUDES(mutex_);
  void Load(int shard, uint64_t term) NEAP_EXCLUDES(mutex_);
  void Loaded(int shard, uint64_t term, absl::StatusOr<kube::LoadedHistories> loaded)
      NEAP_EXCLUDES(mutex_);
  // The controller decides it from now on.
  void Hand(int shard, uint64_t term, std::map<std::string, control::KeptHistory> histories)
      NEAP_EXCLUDES(mutex_);
  void SaveDue(const control::Controller& controller, int number) NEAP_EXCLUDES(mutex_);
  void Saved(int shard, uint64_t term, bool last, const absl::Status& status) NEAP_EXCLUDES(mutex_);
  void GiveBack(int shard, uint64_t term) NEAP_EXCLUDES(mutex_);
  absl::Duration RetryAfter(int failures) const;
  Shard& At(int shard) NEAP_REQUIRES(mutex_) { return shards_[static_cast<size_t>(shard)]; }
  void Report(std::string_view what, const absl::Status& status) const;
  static void Drop(Shard& shard);

  const kube::Context context_;
  const ShardKeeperOptions options_;
  const base::Clock& clock_;
  const control::Sink sink_;
  const std::function<void(int shard)> held_;
  const std::shared_ptr<bool> alive_;  // for timers; the http::Client's thread

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<Shard> shards_ NEAP_GUARDED_BY(mutex_);
  Counts counts_ NEAP_GUARDED_BY(mutex_);
  bool started_ NEAP_GUARDED_BY(mutex_) = false;
  bool resigning_ NEAP_GUARDED_BY(mutex_) = false;
  bool resigned_ NEAP_GUARDED_BY(mutex_) = false;

  std::unique_ptr<kube::HistoryStore> store_;  // null: histories live in this process alone
  std::unique_ptr<kube::ShardLeases> leases_;  // set by Start, under the mutex
};

}  // namespace neap::app
