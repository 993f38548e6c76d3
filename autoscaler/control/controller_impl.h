// The inside of Controller, by the order in which a step goes:
//
//   intake.cc     messages into the tables; which targets they concern
//   due.cc        what a target waits for: periods, rounds, spacing, its write
//   deciding.cc   observe, Decide, Remember
//   writing.cc    write slots, PATCHes and their outcomes
//   sharding.cc   which targets are ours: taking over, leaving, losing
//   reporting.cc  status, events, quarantine
//   controller.cc the step itself and what telemetry sees
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/budget.h"
#include "autoscaler/control/controller.h"
#include "autoscaler/control/digest.h"
#include "autoscaler/control/pod_table.h"
#include "autoscaler/control/query_table.h"
#include "autoscaler/control/scale_table.h"
#include "autoscaler/control/target.h"
#include "autoscaler/control/timers.h"

namespace neap::control {

inline constexpr std::string_view kInternalError = "InternalError";  // condition of the quarantined

class Controller::Impl {
 public:
  explicit Impl(ControllerOptions options);

  std::vector<Action> Step(std::vector<Message> inbox, absl::Time now);
  absl::Time NextDue() const;
  bool AllSynced() const;
  bool Next(std::string_view after, TargetInfo* info);
  bool Find(std::string_view uid, TargetInfo* info);

  const ControllerOptions& options() const { return options_; }
  const ControllerCounters& counters() const { return counters_; }
  size_t targets() const { return ours_; }
  size_t shards_held() const;
  std::optional<KeptHistory> HistoryOf(std::string_view uid);
  void VisitHistories(
      int shard,
      const std::function<void(std::string_view uid, const KeptHistory& kept)>& visit) const;
  size_t subscriptions() const { return queries_.size(); }
  size_t waiting_writes() const { return queue_.size(); }

 private:
  struct ViewState {
    bool synced = false;
    absl::Time heard = absl::InfinitePast();
  };
  // Records point into what a step keeps, so a step takes no more decisions than this; NextDue asks
  // for the next step at once.
  static constexpr int kDecisionsPerStep = 1000;

  using Views = std::map<std::string, ViewState, std::less<>>;

  // What the records of this step point to; until the next step. Each is used again with the memory
  // that it has.
  struct Kept {
    std::shared_ptr<const core::AutoscalerSpec> spec;
    std::string key;  // of the object, "ns/name"
    core::Observation seen;
    std::vector<core::MetricInput> metrics;
    std::vector<std::string> overlapping;
    core::History before;
    core::Status previous;
    core::Outcome outcome;  // of a write; a decision's stays with its target
  };
  static constexpr size_t kSpareKept = 64;  // more than the last step needed

  // ---- intake.cc ----
  void Take(SpecChange change);
  void Take(SpecGone gone);
  void Take(SpecsReplaced list);
  void Take(ScaleChange change);
  void Take(ScalesReplaced list);
  void Take(PodChange change);
  void Take(PodsReplaced list);
  void Take(ViewHeard heard);
  void Take(TriggerOpened opened);
  void Take(TriggerReading reading);
  void Take(WriteOutcome outcome);         // writing.cc
  void Take(ShardHeld held);               // sharding.cc
  void Take(const ShardLeaving& leaving);  // sharding.cc
  void Take(const ShardLost& lost);        // sharding.cc
  void Add(SpecChange change);
  // What the status of a shadowed object says its controller did.
  void NoteOther(Target& target, const core::Status& status);
  void Respec(Target& target, SpecChange change);
  void Remove(const std::string& uid);
  void AimAt(Target& target, const TargetRef& ref);
  void LeaveScale(Target& target);
  void Rescaled(const TargetRef& ref, ScaleTable::Effect effect);
  // Makes the target's inputs, queries and pods what its spec, its scale's selector and the answers
  // of its scalers ask for.
  void Resolve(Target& target);
  void ResolvePods(Target& target, bool needs_pods);
  void CountPodNamespace(Target& target, bool counts);
  void AskForScale(Target& target, bool asks);
  // Whether its namespace's pods are watched: because metrics need them, or for the crash-loop
  // guard while the workload says that at most half of its pods are ready, and a while longer, so
  // that they are not listed with every restart. Decisions do not wait for the latter.
  void NotePodNeed(Target& target);
  bool WatchesKind(const std::string& scope) const;
  ViewState& Heard(Views& views, const std::string& scope);
  bool FastOnPush(const Target& target, Query& query);
  // The query has a new reading (or is overdue): rounds that wait for it, and what is decided at
  // once.
  void Concerns(Query& query, bool pushed);

  // ---- due.cc ----
  void Touch(Target& target);
  void Tend(Target& target);
  void Start(Target& target, bool period_began);
  void SetWake(Target& target, absl::Time at);
  absl::Time NextWake(const Target& target) const;
  absl::Time NextPeriod(const Target& target) const;
  absl::Time MayDecideAt(const Target& target) const;
  bool Synced(const Target& target) const;
  bool Silent(const Target& target) const;

  // ---- deciding.cc ----
  void Decide(Target& target, Cause cause);
  Kept& Keep();
  void Observe(Target& target, bool takes_base, Kept& kept);
  // What the decision leaves when nothing was written.
  void RememberUntried(Target& target, const Kept& kept);
  void RememberSelector(Target& target);
  static void EnterSelector(Target& target);
  void CompareShadow(Target& target, const core::Observation& seen);

  // ---- writing.cc ----
  void Want(Target& target);  // its decision asks for a write
  void LeaveQueue(Target& target);
  void GrantSlots();
  void Send(Target& target, bool takes_slot);
  void TendWrite(Target& target);
  bool SeenAsAsked(const Write& write);
  void Finish(const std::string& uid, core::ApplyResult result);
  void FinishLeft(Target& target, const std::vector<core::Event>& events);  // sharding.cc
  Memory* MemoryOf(const std::string& uid);
  void Count(const core::ApplyResult& result);

  // ---- sharding.cc ----
  struct Shard {
    enum class State : uint8_t { kElsewhere, kHeld, kLeaving };
    State state = State::kElsewhere;
    bool told_quiet = false;  // while leaving
    // Of the last ShardHeld: what objects that have not appeared yet will go on from.
    std::map<std::string, KeptHistory> histories;
    absl::Time former_until = absl::InfinitePast();
  };
  Shard* FindShard(int shard);  // null: there is no such one
  Shard::State StateOf(const Target& target) const;
  bool IsKept(const Target& target) const;
  void GoOn(Target& target);     // with what the former owner kept of it
  void Hold(Target& target);     // it is ours from now on
  void Release(Target& target);  // it is not any more; its write may still be under way
  void ReleaseShard(int shard);
  void TakeOver(Target& target);
  void TellQuiet();
  void ShareBudgets();
  static std::optional<KeptHistory> KeptOf(const Target& target);  // nullopt: it has no history
  static std::optional<int32_t> KnownReplicas(const Target& target);
  static std::string KnownVersion(const Target& target);
  bool IsBehind(const Target& target) const;
  bool SpecsListed() const;

  // ---- reporting.cc ----
  // Its status is news, and `events` came. `conditions_changed`: others than it had at the last
  // call.
  void Report(Target& target, const std::vector<core::Event>& events, bool conditions_changed);
  static StatusDigest DigestOf(const Target& target);
  static StatusDigest DigestOf(const std::vector<core::Condition>& conditions);
  void WriteStatusIfDue(Target& target);
  void GrantStatuses();
  void LeaveStatusQueue(Target& target);
  void EmitStatus(Target& target);
  std::string MetricsText(Target& target);
  bool MayAnnounce(Target& target, const core::Event& event);
  void Quarantine(Target& target, std::string why);
  static std::string BrokenObservation(const core::AutoscalerSpec& spec,
                                       const core::Observation& seen);
  static std::string BrokenDecision(const core::AutoscalerSpec& spec, const core::Observation& seen,
                                    const core::Decision& decision);

  // ---- controller.cc ----
  Target* FindTarget(std::string_view uid);
  void EmitWatch();
  void Forget(Views& views, const std::vector<std::string>& kept);
  void ForgetRetired();
  void Describe(Target& target, TargetInfo* info);

  const ControllerOptions options_;
  ControllerCounters counters_;
  absl::Time now_ = absl::InfinitePast();

  std::map<std::string_view, std::unique_ptr<Target>> targets_;  // by their uid
  size_t ours_ = 0;                                              // of them
  std::vector<Shard> shards_;                                    // empty: all targets are ours
  std::map<std::string, core::History> stored_;  // of options, until their targets appear
  struct Retired {
    Memory memory;
    absl::Time at = absl::InfinitePast();
  };
  std::map<std::string, Retired> retired_;  // by uid: vanished, and may return
  std::deque<std::pair<absl::Time, std::string>> retirements_;
  std::map<uint64_t, std::string> writers_;  // write under way -> uid

  PodTable pods_;
  ScaleTable scales_;
  QueryTable queries_;
  Views spec_views_;                                                    // by source
  Views scale_views_;                                                   // by "group/kind"
  Views pod_views_;                                                     // by namespace
  std::map<std::string, std::vector<Target*>, std::less<>> pod_users_;  // by namespace
  std::map<std::string, int, std::less<>> kind_users_;                  // targets by "group/kind"
  uint64_t watched_scales_ = Digest().value();  // digest of the last Watch's targets
  std::vector<std::string> watched_namespaces_;
  std::vector<std::string> watched_kinds_;  // its "group/kind", sorted
  bool watch_dirty_ = false;
  bool pods_unsettled_ = false;

  Timers<Target> timers_;
  std::vector<Target*> touched_;
  std::map<std::pair<absl::Time, uint64_t>, Target*> queue_;  // for write slots, by rank
  base::Budget slots_;
  std::map<std::pair<absl::Time, uint64_t>, Target*> status_queue_;  // likewise, to be written
  base::Budget statuses_;

  std::deque<Kept> kept_;
  size_t kept_used_ = 0;
  core::Decision deciding_;                         // the room in which the next one is made
  std::vector<std::pair<Target*, Kept*>> wanting_;  // decided in this step, not sent yet
  int decided_in_step_ = 0;
  std::vector<Action> actions_;

  uint64_t target_serial_ = 0;
  uint64_t spec_version_ = 0;
  uint64_t decision_id_ = 0;
  uint64_t write_id_ = 0;
};

}  // namespace neap::control
