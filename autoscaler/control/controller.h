// Controller: the one owner of what Neap knows and decides - specs, scales, pods, readings,
// history. It takes what came in and the time, and returns what must be done; it has no clock, no
// I/O and no lock, and the same calls give the same actions.
//
// Owned and called by app (live), sim, playground and tests. One thread only, accessors included.
//
//   Controller controller(options);
//   for (;;) {
//     std::vector<Message> in = inbox.Take(controller.NextDue() - clock.Now());
//     for (Action& action : controller.Step(std::move(in), clock.Now())) Route(action);
//   }
//
// A target falls due once per period; then its triggers are polled, and it is decided when all have
// answered or the round's deadline passed. Between two periodic decisions it is decided at once
// where that is safe (ARCHITECTURE.md, life of a sample). While a write is under way it is not
// decided.
//
// With shards (options) it knows every object, but subscribes, polls, watches, decides and reports
// only the targets of those that it holds (ShardHeld). Of the others it keeps the spec and, where
// it is told of it anyway, the scale: selectors make each other ambiguous across shards.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/control/shadow.h"
#include "autoscaler/core/decide.h"

namespace neap::control {

struct ControllerOptions {
  core::HpaOptions hpa;

  // Targets belong to so many shards by their uid (shard.h); none is held before ShardHeld says so.
  // 0: no shards, every target is ours.
  int shards = 0;

  // Writes of scales for the whole installation: tokens per second and how many may be saved up.
  // Who holds a part of the shards uses that part of it, as of the statuses' budget below.
  double writes_per_second = 20;  // > 0
  int write_burst = 20;           // >= 1

  absl::Duration poll_deadline = absl::Seconds(5);   // a round waits min(this, the target's period)
  absl::Duration silence_limit = absl::Seconds(90);  // a view unheard for longer: no scale-down
  absl::Duration min_spacing = absl::Milliseconds(100);  // between two decisions of one target
  // A reading is stale after max(stale_intervals x its interval, least_stale_after); never for HPA
  // objects, whose readings are as old as the source makes them, as upstream.
  int stale_intervals = 3;
  absl::Duration least_stale_after = absl::Seconds(60);
  // A write that nobody answered within this is Unknown; and an Unknown one is observed this long
  // before it counts as failed.
  absl::Duration write_limit = absl::Seconds(60);
  absl::Duration unknown_wait = absl::Seconds(5);
  // Status is written at once (at most once a second) when counts or a condition's status or reason
  // change, else at most this often.
  absl::Duration status_interval = absl::Seconds(15);
  // Statuses for the whole installation. What waits is the target, not its words: it is written as
  // it stands when its turn comes.
  double statuses_per_second = 20;  // > 0; HPA's default client writes as many
  int status_burst = 50;            // >= 1
  // Whether WriteStatus carries the last decision in words: not where nobody reads them (sim).
  bool explain_statuses = true;
  // The same warning of one object is announced again after this.
  absl::Duration warning_interval = absl::Minutes(5);

  // Trigger types whose scalers are told which object asks (KEDA's external scalers key on it), and
  // those whose manifest says needs_pod_selector. Their queries are shared by fewer objects.
  std::vector<std::string> object_types = {"external", "external-push"};
  std::vector<std::string> pod_selector_types;

  std::map<std::string, core::History> histories;  // by uid: where windows go on after a restart

  // Abort where one target's data breaks an invariant, instead of quarantining it: tests and sim.
  bool abort_on_broken_invariant = false;
};

// What telemetry shows of one target. Pointers are valid until the next Step.
struct TargetInfo {
  struct Metric {
    const core::MetricSpec* spec = nullptr;
    const core::Reading* reading = nullptr;
  };
  std::string_view uid;
  const core::AutoscalerSpec* spec = nullptr;
  const core::Scale* scale = nullptr;        // null: not known
  const core::Status* status = nullptr;      // after the last decision
  const core::History* history = nullptr;    // likewise; what a checkpoint keeps
  const core::Decision* decision = nullptr;  // the last; null: none yet
  absl::Time decided_at = absl::InfinitePast();
  uint64_t spec_version = 0;
  uint64_t decision_id = 0;  // of the last decision
  std::vector<Metric> metrics;
  bool write_in_flight = false;
  bool waits_for_write = false;
  const Shadow* shadow = nullptr;  // set: another controller scales it
  std::string_view broken;         // why it is quarantined; "" when it is not
  // Counters since the target appeared.
  uint64_t decisions = 0;
  uint64_t rescales = 0;  // applied
  uint64_t failures = 0;  // decisions without a count
};

// Process-wide counts since the start.
struct ControllerCounters {
  uint64_t decisions = 0;
  uint64_t fast_decisions = 0;    // of these, not periodic
  uint64_t polls = 0;             // triggers asked
  uint64_t poll_timeouts = 0;     // triggers that did not answer in time
  uint64_t late_periods = 0;      // a target was still waiting when its next period began
  uint64_t unknown_readings = 0;  // for a trigger or metric that nobody asked for
  uint64_t stale_scales = 0;      // watch events older than our own write, ignored
  uint64_t quarantines = 0;       // decisions withheld because a target's data broke an invariant
  uint64_t writes_applied = 0;
  uint64_t writes_withheld = 0;
  uint64_t writes_conflict = 0;
  uint64_t writes_failed = 0;  // gone, rejected, unknown
  uint64_t writes_unsent = 0;  // the lease had run out
  uint64_t write_waits = 0;    // decisions that found no write slot
  uint64_t overruns = 0;       // a write that nobody answered
};

class Controller {
 public:
  explicit Controller(ControllerOptions options);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Takes the messages in their order, then does what is due at `now`. `now` never goes back (an
  // earlier one counts as the last). Actions are in the order in which to do them; each Poll comes
  // after the Subscribe that it needs. Cost: what came in and what is due, not the number of
  // targets.
  std::vector<Action> Step(std::vector<Message> inbox, absl::Time now);

  // When Step must be called at the latest if nothing comes in; InfiniteFuture when nothing is due.
  absl::Time NextDue() const;

  const ControllerOptions& options() const;
  const ControllerCounters& counters() const;
  size_t targets() const;      // that are ours to decide
  size_t shards_held() const;  // 0 without shards
  size_t subscriptions() const;
  size_t waiting_writes() const;
  bool AllSynced() const;  // each view that is known or asked for has been listed completely

  // What is to be kept of a shard, held or left: of its targets by uid, and of objects that are not
  // listed yet what ShardHeld brought. Nothing of a target without history.
  void VisitHistories(
      int shard,
      const std::function<void(std::string_view uid, const KeptHistory& kept)>& visit) const;

  // Likewise of one target that is ours; nullopt when it is not, or has no history.
  std::optional<KeptHistory> HistoryOf(std::string_view uid) const;

  // The target of ours with the least uid above `after` ("" for the first); false when there is
  // none. For walking all in pieces between steps.
  bool NextTarget(std::string_view after, TargetInfo* info) const;
  bool FindTarget(std::string_view uid, TargetInfo* info) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::control
