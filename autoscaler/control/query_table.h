// QueryTable: what is asked of scalers and what they answered last. Equal queries of several
// targets are one. Knows nothing of decisions; tells which targets an answer concerns. Owned by
// Controller; one thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/control/pod_table.h"
#include "autoscaler/control/subscriptions.h"
#include "autoscaler/control/timers.h"

namespace neap::control {

struct Target;

struct Query {
  base::Follower<Query> follower;
  uint64_t serial = 0;
  uint32_t timer = 0;
  std::shared_ptr<const Subscription> subscription;  // scalerhost keeps the same one; never null
  // Its text stays where it is when the interval, and with it the subscription, becomes another.
  const base::Text& id() const { return subscription->id; }
  struct User {
    Target* target = nullptr;
    absl::Duration interval = absl::ZeroDuration();
  };
  std::vector<User> users;  // each target once

  // What the scaler makes of a trigger; empty until it said so, and for the HPA's sources.
  std::vector<core::MetricSpec> metrics;
  // Errors: the scaler refuses the trigger; its last poll failed while its metrics are unknown.
  std::unique_ptr<const core::Reading> refused;
  std::unique_ptr<const core::Reading> failed;

  struct ByPod {                          // form kPods
    std::vector<NamedPodSample> samples;  // by name
    uint64_t joined_version = 0;  // of `pods`, to which reading.pods is parallel; 0 = to none
  };
  struct Slot {
    base::Text name;  // "" for the HPA's sources
    core::Reading reading;
    base::Boxed<ByPod> by_pod;
    uint64_t content = 0;   // digest of the last value, when the source dates its values
    uint64_t sequence = 0;  // of the last value
  };
  std::vector<Slot> slots;        // parallel to metrics; one for the HPA's sources
  PodTable::Set* pods = nullptr;  // of its pod selector

  uint64_t round = 0;  // of the poll that is outstanding; 0 = none
  base::Stamp asked_at = {};
  base::Stamp answered_at = {};
  base::Stamp until = absl::InfiniteFuture();
};

class QueryTable {
 public:
  explicit QueryTable(PodTable* pods) : pods_(pods) {}

  // The query equal to `wanted`, made when new.
  Query* Use(Subscription wanted, Target* target, absl::Duration interval);
  void Leave(Query* query, Target* target);
  Query* Find(const std::string& id);

  // The scaler answered Subscribe. Whether the query's metrics are now others.
  bool Opened(Query& query, TriggerOpened opened);

  // A reading came. False: it is older than what is known. `unknown` counts values that nobody
  // asked for.
  bool Answered(Query& query, TriggerReading reading, absl::Time now, uint64_t* unknown);

  // Asks, if nothing is outstanding, within `wait` from now.
  void Ask(Query& query, absl::Time now, absl::Duration wait);
  // Queries whose poll is overdue at `now`; their readings are Timeout errors from now on.
  std::vector<Query*> Expire(absl::Time now);
  absl::Time NextDeadline() const;

  // What changed since the last call, for the scalers.
  std::optional<Subscribe> TakeChanges();
  std::vector<Poll> TakePolls();

  // The latest reading of a slot (-1: of a trigger whose metrics are unknown), its pods joined.
  const core::Reading* Read(Query& query, int slot);

  size_t size() const { return queries_.size(); }

 private:
  static void Fail(Query& query, core::ReadingError error);
  static void Join(Query::Slot& slot, const PodTable::Set& set);
  bool Put(Query::Slot& slot, MetricReading reading, bool pushed, absl::Time now);
  void Retime(Query& query);
  void Close(Query& query);
  void DropAbandoned();

  PodTable* pods_;
  base::Lookup<std::string_view, std::unique_ptr<Query>, base::StringHash> queries_;  // by their id
  base::InOrder<Query> in_order_;  // as they are answered
  Timers<Query> deadlines_;
  std::map<std::string, Query*> changed_;  // by id; null: removed
  std::map<uint64_t, Query*> abandoned_;   // by serial: without users
  std::map<absl::Duration, Poll> polls_;
  uint64_t serial_ = 0;
  uint64_t round_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace neap::control
