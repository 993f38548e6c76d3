// LeaseElection: the rules of ShardLeases (shard_leases.h says what they are) without I/O: lists
// and answers of the API server go in, requests and events come out, time is an argument. So the
// rules are tested in virtual time, many members against one made-up server. Owned by ShardLeases;
// one thread only; `now` is a monotonic time since any moment.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "autoscaler/kube/shard_leases.h"

namespace neap::kube {

// What is read of a Lease.
struct LeaseRecord {
  std::string name;
  std::string version;   // resourceVersion
  std::string holder;    // "" = released
  absl::Duration lasts;  // leaseDurationSeconds; zero when it says none
  absl::Time renewed = absl::InfinitePast();
  absl::Time created = absl::InfinitePast();  // by the server's clock
  int64_t transitions = 0;
  int shards = 0;  // that its holder counts; 0 when it says none
  bool operator==(const LeaseRecord&) const = default;
};

// A request to change one.
struct LeaseWrite {
  enum class Kind : uint8_t {
    kCreate,
    kTake,  // new holder, new epoch
    kRenew,
    kClear,  // no holder
    kDelete,
  };
  Kind kind = Kind::kRenew;
  std::string name;
  std::string version;      // precondition, "" = none
  int64_t transitions = 0;  // of kCreate and kTake
  absl::Duration sent_at;
  bool operator==(const LeaseWrite&) const = default;
};

class LeaseElection {
 public:
  struct Leave {
    int shard = 0;
  };
  struct Lost {
    int shard = 0;
    absl::Status why;
  };
  struct Resigned {};
  struct Trouble {  // for the log
    std::string what;
    absl::Status error;
  };
  using Event = std::variant<ShardAcquired, Leave, Lost, Resigned, Trouble>;
  struct Actions {
    std::vector<LeaseWrite> writes;
    bool list = false;
    std::vector<Event> events;  // in their order; what MayWriteUntil says is true before
    absl::Duration wake_at;     // call Step then, if not before
  };

  // Uses neither the clocks of the options nor `ns`. `jitter`: uniform in [0, 1), may be empty.
  LeaseElection(const ShardLeasesOptions& options, std::function<double()> jitter);

  // What is to be done now. To be called after each of the functions below, too.
  Actions Step(absl::Duration now);

  void OnList(absl::Duration now, absl::Duration sent_at,
              const absl::StatusOr<std::vector<LeaseRecord>>& leases);
  // The answer to a write: the lease as it is now (of kDelete: nothing of it is read). Errors: with
  // the codes of api::ToStatus.
  void OnWritten(absl::Duration now, const LeaseWrite& write,
                 const absl::StatusOr<LeaseRecord>& lease);
  void Release(int shard);
  void Resign();

  // What is sent for the shard before then is covered; in the past when it is not ours to write.
  absl::Duration MayWriteUntil(int shard) const;
  const ShardLeaseCounts& counts() const { return counts_; }

 private:
  // Another's, or one of ours as others see it.
  struct Seen {
    LeaseRecord record;
    absl::Duration changed_at;  // last seen to change
    bool missing = false;       // deleted by somebody, yet its holder may not know
  };
  // One of our own: a shard's or our member lease.
  struct Own {
    enum class State : uint8_t { kFree, kTaking, kHeld, kReleasing };
    State state = State::kFree;
    std::string version;
    bool version_known = true;  // else a list is needed first
    int64_t transitions = 0;
    bool in_flight = false;  // a write
    // When the last renewal that succeeded was sent, and when the next is due.
    absl::Duration renewed_at = -absl::InfiniteDuration();
    absl::Duration try_at = -absl::InfiniteDuration();
    absl::Duration answered_at = -absl::InfiniteDuration();  // the last write
    bool told_to_leave = false;
    ShardAcquired acquiring;  // what is told when kTaking succeeds
    absl::Status last_error;  // of renewals since the last that succeeded
  };

  bool Expired(const Seen& seen, absl::Duration now) const;
  absl::Duration ExpiresAt(const Seen& seen) const;
  absl::Duration Deadline(const Own& own) const { return own.renewed_at + options_.renew_deadline; }
  bool AliveOurselves(absl::Duration now) const;
  std::string ShardName(int shard) const;
  std::string MemberName(std::string_view identity) const;
  int ShardOfName(std::string_view name) const;  // -1 = not a shard's

  void StepMember(absl::Duration now);
  void StepShard(int shard, absl::Duration now);
  absl::Duration NextWake(absl::Duration now) const;
  void Send(Own& own, LeaseWrite::Kind kind, const std::string& name, absl::Duration now);

  bool Newer(const std::string& name, absl::Duration list_sent_at) const;
  void Note(absl::Duration now, const LeaseRecord& record);
  void Adopt(absl::Duration sent_at);
  void Elect(absl::Duration now, absl::Duration sent_at);
  bool MindOtherCounts(absl::Duration now);
  void Take(int shard, absl::Duration now);
  void TellLeave(int shard);
  void Lose(int shard, absl::Status why);
  void SweepMembers(absl::Duration now, const std::set<std::string>& living);

  void OnShardWritten(int shard, absl::Duration now, const LeaseWrite& write,
                      const absl::StatusOr<LeaseRecord>& lease);
  void OnTaken(int shard, absl::Duration now, const LeaseWrite& write,
               const absl::StatusOr<LeaseRecord>& lease);
  void OnRenewFailed(int shard, absl::Duration now, const LeaseWrite& write,
                     const absl::Status& error);
  void OnMemberWritten(absl::Duration now, const LeaseWrite& write,
                       const absl::StatusOr<LeaseRecord>& lease);
  void Renewed(Own& own, const LeaseWrite& write, const LeaseRecord& lease);
  void RetryRenewal(Own& own, absl::Duration now, const LeaseWrite& write,
                    const absl::Status& error);
  void CheckResigned();

  void CountError(const absl::Status& error);
  void Complain(const std::string& what, const absl::Status& error);

  const ShardLeasesOptions options_;
  const std::function<double()> jitter_;
  std::map<std::string, Seen> seen_;  // by name: of the last list, and what was written since
  std::vector<Own> shards_;
  Own member_;
  bool listing_ = false;
  absl::Duration list_at_ = -absl::InfiniteDuration();    // the next one is due
  absl::Duration listed_at_ = -absl::InfiniteDuration();  // the last one was asked for
  absl::Duration heard_at_ = -absl::InfiniteDuration();   // the last one came
  absl::Duration joined_at_ = absl::InfiniteDuration();   // our member lease was made
  bool resigning_ = false;
  bool member_ended_ = false;  // deleted, or given up
  bool resigned_ = false;
  std::set<std::string> sweeping_;  // member leases whose deletion is under way
  Actions out_;
  ShardLeaseCounts counts_;
};

// Who should hold each shard: the highest hash of identity and shard wins, but nobody gets more
// than its share, rounded up. `members` is not empty.
std::vector<std::string> AssignShards(const std::set<std::string>& members, int shards);

}  // namespace neap::kube
