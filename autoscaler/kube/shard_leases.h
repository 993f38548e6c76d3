// ShardLeases: which shards of the targets this process may decide for. Targets hash by uid into
// `shards` shards (control/shard.h). Two kinds of Lease (coordination.k8s.io/v1) in one namespace
// say who does what:
//
//   <name>-shard-<n>           who MAY decide shard n: its holder, while it renews.
//                              leaseTransitions is the epoch: one more at each acquisition.
//   <name>-member-<identity>   who lives: renewed by each process, deleted when it ends
//
// Rendezvous hashing over the living members says who SHOULD hold each shard: a joining or leaving
// member moves its own share and nothing else. There is no leader and no other coordination. With
// one shard and one member this is plain leader election.
//
// A holder that should not be one is told `leave`: it stops deciding the shard, waits for what is
// in flight, writes the history, and calls Release. Meanwhile the lease is kept. A lease that could
// not be renewed within `renew_deadline`, or that somebody else took, is told `lost`: nothing of
// the shard may be sent or written any more.
//
// Which clock: MayWrite counts from when the renewing request was SENT, on a clock that never goes
// back and goes on while the machine is suspended (base::SinceBoot), so a process that slept past
// its lease (SIGSTOP, suspend) may not write when it wakes, whatever it has read by then. Another's
// lease is judged by the same clock, from when its record was last seen to change: never by its
// stamps, since its wall clock may be wrong. `renew_deadline` < `lease_duration` leaves room for
// what was sent at the last moment and for clocks that run at different speeds.
//
// Processes with different `shards` do not mix: a shard is not taken while a living holder counts
// another number of shards, and of two that do it at the same moment the one with the greater
// identity leaves.
//
// Requests: each member lists the leases once per `retry_period` and renews its member lease and
// its shards each `renew_interval`: with M members and K shards M / retry_period + (M + K) /
// renew_interval per second, 6.4 for 3 members, 16 shards and the defaults. Taking, releasing and
// each member's end are one request each.
//
// Errors (403, a conflict, the server gone) go to Context::report and to counts(). They end
// nothing: what is held stays held until its own deadline.
//
// Owned by app. Functions are thread-safe and do not wait, except that the destructor waits for a
// callback under way. Callbacks run on the http::Client's thread, must not block, and may call
// everything here.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "autoscaler/kube/context.h"

namespace neap::kube {

struct ShardLeasesOptions {
  std::string ns;             // where the leases lie
  std::string name = "neap";  // of the installation: prefix of the leases' names
  // Of this process, unlike every other's, earlier ones' too; as a pod's name is made.
  std::string identity;
  int shards = 16;  // 1 to kMostShards
  // Whole seconds; so long others wait for a holder that does not renew.
  absl::Duration lease_duration = absl::Seconds(15);
  // < lease_duration; ours ends so long after the last renewal was sent.
  absl::Duration renew_deadline = absl::Seconds(10);
  // Of lists, and of attempts that failed; lists come up to a fifth earlier
  // (Context::watch.jitter).
  absl::Duration retry_period = absl::Seconds(2);
  absl::Duration renew_interval = absl::Seconds(4);  // + retry_period < renew_deadline
  absl::Duration timeout = absl::Seconds(5);         // of one request
  // For tests: the clock that leases are judged by (unset: base::SinceBoot), called on any thread,
  // and the wall clock of the stamps that we write (unset: absl::Now).
  std::function<absl::Duration()> elapsed = {};
  std::function<absl::Time()> wall = {};
};
inline constexpr int kMostShards = 256;

// What is wrong with them, naming the option; OK when they can be used.
absl::Status Check(const ShardLeasesOptions& options);

struct ShardAcquired {
  int shard = 0;
  // Greater than that of every earlier holder: leaseTransitions, plus a million times the second in
  // which the server made the lease, since one that somebody deleted counts from 1 again.
  int64_t epoch = 0;
  // The former holder: its last renewal, on the wall clock of whoever made it, InfinitePast when
  // there never was one. Where it was released (`clean`), nothing of the former holder was sent
  // after that; else up to its renew_deadline after it.
  absl::Time former_renewal = absl::InfinitePast();
  std::string former_holder = {};  // "" when released or when there never was one
  bool clean = true;               // released, or never held before; else expired
};

struct ShardCallbacks {
  std::function<void(const ShardAcquired&)> acquired = {};
  // Once per acquisition: the shard is another's to hold. Call Release when done.
  std::function<void(int shard)> leave = {};
  // The shard is no longer ours, without Release; MayWrite is false already.
  std::function<void(int shard, const absl::Status& why)> lost = {};
};

// Since the start.
struct ShardLeaseCounts {
  uint64_t requests = 0;   // of any kind
  uint64_t errors = 0;     // requests that failed, conflicts and refusals among them
  uint64_t conflicts = 0;  // somebody else was faster
  uint64_t refusals = 0;   // 401 and 403
  uint64_t acquired = 0;
  uint64_t released = 0;
  uint64_t lost = 0;
  int held = 0;     // now
  int members = 0;  // that live, as the last list said; ourselves included
};

class ShardLeases {
 public:
  // Starts. The options are right (Check).
  ShardLeases(const Context& context, ShardLeasesOptions options, ShardCallbacks callbacks);
  // Tells nothing more and gives nothing back: what is held expires. To end well: Resign.
  ~ShardLeases();
  ShardLeases(const ShardLeases&) = delete;
  ShardLeases& operator=(const ShardLeases&) = delete;

  // Whether what is sent now for this shard is covered by our lease. No lock: to be asked right
  // before each write.
  bool MayWrite(int shard) const;

  // Gives back a shard that we hold, whether or not we were told `leave`: MayWrite is false at
  // once; the lease is cleared, tried again until our deadline. A shard that is not held: nothing.
  void Release(int shard);

  // For an end in good order: no shard is taken any more, the member lease is deleted, `leave` is
  // told for each shard held. `done` runs (http::Client's thread) when each was released or lost.
  void Resign(std::function<void()> done);

  ShardLeaseCounts counts() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace neap::kube
