#include "autoscaler/kube/lease_election.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/control/digest.h"

namespace neap::kube {
namespace {

// How much of the retry period the jitter may take off.
constexpr double kJitter = 0.2;
// A dead member's lease is deleted after this many of its durations: by then everybody has seen
// that it died, and it may be looked at meanwhile.
constexpr int kSweepAfter = 4;
constexpr int64_t kEpochsPerSecond = 1'000'000;

bool IsConflict(const absl::Status& error) {
  return absl::IsAborted(error) || absl::IsAlreadyExists(error);
}

int64_t EpochOf(const LeaseRecord& record) {
  const int64_t made =
      record.created == absl::InfinitePast() ? 0 : absl::ToUnixSeconds(record.created);
  return made * kEpochsPerSecond + record.transitions;
}

}  // namespace

std::vector<std::string> AssignShards(const std::set<std::string>& members, int shards) {
  const size_t share = (static_cast<size_t>(shards) + members.size() - 1) / members.size();
  std::map<std::string_view, size_t> got;
  std::vector<std::string> out;
  std::vector<std::pair<uint64_t, std::string_view>> ranked;
  for (int shard = 0; shard < shards; ++shard) {
    ranked.clear();
    for (const std::string& member : members) {
      ranked.emplace_back(control::Digest().Text(member).Signed(shard).value(), member);
    }
    std::sort(ranked.rbegin(), ranked.rend());
    for (const auto& [hash, member] : ranked) {
      if (got[member] == share) continue;
      ++got[member];
      out.emplace_back(member);
      break;
    }
  }
  return out;
}

LeaseElection::LeaseElection(const ShardLeasesOptions& options, std::function<double()> jitter)
    : options_(options), jitter_(std::move(jitter)), shards_(static_cast<size_t>(options.shards)) {}

std::string LeaseElection::ShardName(int shard) const {
  return fmt::format("{}-shard-{}", options_.name, shard);
}
std::string LeaseElection::MemberName(std::string_view identity) const {
  return fmt::format("{}-member-{}", options_.name, identity);
}

int LeaseElection::ShardOfName(std::string_view name) const {
  const std::string prefix = options_.name + "-shard-";
  if (!name.starts_with(prefix)) return -1;
  name.remove_prefix(prefix.size());
  int shard = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), shard);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  return whole && shard >= 0 && shard < kMostShards ? shard : -1;
}

absl::Duration LeaseElection::ExpiresAt(const Seen& seen) const {
  const absl::Duration lasts = seen.record.lasts;
  return seen.changed_at + (lasts > absl::ZeroDuration() ? lasts : options_.lease_duration);
}
bool LeaseElection::Expired(const Seen& seen, absl::Duration now) const {
  return now >= ExpiresAt(seen);
}

bool LeaseElection::AliveOurselves(absl::Duration now) const {
  return member_.state == Own::State::kHeld && now < Deadline(member_);
}

absl::Duration LeaseElection::MayWriteUntil(int shard) const {
  const Own& own = shards_[static_cast<size_t>(shard)];
  return own.state == Own::State::kHeld ? Deadline(own) : -absl::InfiniteDuration();
}

// ---- what is due

LeaseElection::Actions LeaseElection::Step(absl::Duration now) {
  if (resigned_) {
    out_.wake_at = absl::InfiniteDuration();
    return std::exchange(out_, {});
  }
  StepMember(now);
  for (int shard = 0; shard < options_.shards; ++shard) StepShard(shard, now);
  CheckResigned();
  // A lease that has expired since the last list is looked at again at once: only a fresh list
  // shows that nobody renewed it.
  const bool expired = std::any_of(seen_.begin(), seen_.end(), [&](const auto& entry) {
    const absl::Duration at = ExpiresAt(entry.second);
    return at > listed_at_ && at <= now;
  });
  if (!listing_ && !resigned_ && (now >= list_at_ || expired)) {
    out_.list = true;
    listing_ = true;
    ++counts_.requests;
    listed_at_ = now;
    list_at_ = now + options_.retry_period * (1 - kJitter * (jitter_ ? jitter_() : 0));
  }
  out_.wake_at = NextWake(now);
  counts_.held = static_cast<int>(std::count_if(
      shards_.begin(), shards_.end(), [](const Own& o) { return o.state == Own::State::kHeld; }));
  return std::exchange(out_, {});
}

// What is due by now but was not done waits for an answer, after which Step is called anyway.
absl::Duration LeaseElection::NextWake(absl::Duration now) const {
  if (resigned_) return absl::InfiniteDuration();
  absl::Duration wake = now + options_.retry_period;
  const auto at = [&](absl::Duration time) {
    if (time > now) wake = std::min(wake, time);
  };
  at(list_at_);
  for (const auto& [name, seen] : seen_) at(ExpiresAt(seen));
  at(member_.try_at);
  at(Deadline(member_));
  for (const Own& own : shards_) {
    if (own.state != Own::State::kHeld && own.state != Own::State::kReleasing) continue;
    at(own.try_at);
    at(Deadline(own));
  }
  return wake;
}

void LeaseElection::StepMember(absl::Duration now) {
  const std::string name = MemberName(options_.identity);
  if (member_.in_flight) return;
  if (resigning_) {
    if (member_ended_) return;
    if (member_.state == Own::State::kFree || now >= Deadline(member_)) {
      member_ended_ = true;
    } else if (now >= member_.try_at) {
      Send(member_, LeaseWrite::Kind::kDelete, name, now);
    }
    return;
  }
  if (heard_at_ == -absl::InfiniteDuration() || now < member_.try_at) return;
  if (member_.state == Own::State::kHeld) {
    if (member_.version_known) Send(member_, LeaseWrite::Kind::kRenew, name, now);
    return;
  }
  const auto before = seen_.find(name);  // an earlier process of our identity
  if (before == seen_.end()) {
    member_.transitions = 1;
    Send(member_, LeaseWrite::Kind::kCreate, name, now);
  } else {
    member_.version = before->second.record.version;
    member_.transitions = before->second.record.transitions + 1;
    Send(member_, LeaseWrite::Kind::kTake, name, now);
  }
}

void LeaseElection::StepShard(int shard, absl::Duration now) {
  Own& own = shards_[static_cast<size_t>(shard)];
  const std::string name = ShardName(shard);
  if (own.state == Own::State::kHeld) {
    if (now >= Deadline(own)) {
      Lose(shard, base::DeadlineExceeded(
                      "lease {}: not renewed for {}{}", name,
                      base::FormatDuration(options_.renew_deadline),
                      own.last_error.ok()
                          ? ""
                          : fmt::format("; the last error: {}", base::Message(own.last_error))));
    } else if (!own.in_flight && own.version_known && now >= own.try_at) {
      Send(own, LeaseWrite::Kind::kRenew, name, now);
    }
  } else if (own.state == Own::State::kReleasing) {
    if (now >= Deadline(own)) {
      own.state = Own::State::kFree;
    } else if (!own.in_flight && own.version_known && now >= own.try_at) {
      Send(own, LeaseWrite::Kind::kClear, name, now);
    }
  }
}

void LeaseElection::Send(Own& own, LeaseWrite::Kind kind, const std::string& name,
                         absl::Duration now) {
  const bool bare = kind == LeaseWrite::Kind::kCreate || kind == LeaseWrite::Kind::kDelete;
  own.in_flight = true;
  ++counts_.requests;
  out_.writes.push_back({.kind = kind,
                         .name = name,
                         .version = bare ? "" : own.version,
                         .transitions = own.transitions,
                         .sent_at = now});
}

// ---- what a list says

void LeaseElection::OnList(absl::Duration now, absl::Duration sent_at,
                           const absl::StatusOr<std::vector<LeaseRecord>>& leases) {
  listing_ = false;
  if (!leases.ok()) {
    CountError(leases.status());
    Complain("listing leases", leases.status());
    return;
  }
  // Whoever could not ask for long does not know who lives: everybody gets a fresh start. Else,
  // after an outage, each member would think that it is alone.
  const bool was_away = now - heard_at_ > options_.retry_period * 2 + options_.timeout;
  std::set<std::string> present;
  for (const LeaseRecord& record : *leases) {
    present.insert(record.name);
    if (Newer(record.name, sent_at)) continue;
    const auto before = seen_.find(record.name);
    const bool lived = before != seen_.end() && !Expired(before->second, heard_at_);
    Note(now, record);
    if (was_away && lived && ShardOfName(record.name) < 0) seen_[record.name].changed_at = now;
  }
  for (auto at = seen_.begin(); at != seen_.end();) {
    Seen& seen = at->second;
    const bool gone = !present.contains(at->first) && !Newer(at->first, sent_at);
    // A shard's lease that somebody deleted is its holder's until it would have expired.
    const bool held = ShardOfName(at->first) >= 0 && !seen.record.holder.empty();
    if (gone && held) seen.missing = true;
    at = gone && !held ? seen_.erase(at) : std::next(at);
  }
  heard_at_ = now;
  Adopt(sent_at);
  Elect(now, sent_at);
}

// Whether we know of one of our own leases what is newer than a list that was asked for then.
bool LeaseElection::Newer(const std::string& name, absl::Duration list_sent_at) const {
  const int shard = ShardOfName(name);
  const Own* own = nullptr;
  if (shard >= 0 && shard < options_.shards) own = &shards_[static_cast<size_t>(shard)];
  if (name == MemberName(options_.identity)) own = &member_;
  return own != nullptr && (own->in_flight || own->answered_at > list_sent_at);
}

void LeaseElection::Note(absl::Duration now, const LeaseRecord& record) {
  const auto [at, is_new] = seen_.try_emplace(record.name);
  Seen& seen = at->second;
  // Not by its version: who annotates a lease does not renew it.
  if (is_new || seen.record.holder != record.holder || seen.record.renewed != record.renewed ||
      seen.record.transitions != record.transitions) {
    seen.changed_at = now;
  }
  seen.record = record;
  seen.missing = false;
}

// What was made of our own leases.
void LeaseElection::Adopt(absl::Duration sent_at) {
  for (int shard = 0; shard < options_.shards; ++shard) {
    Own& own = shards_[static_cast<size_t>(shard)];
    const std::string name = ShardName(shard);
    const bool ours = own.state == Own::State::kHeld || own.state == Own::State::kReleasing;
    if (!ours || Newer(name, sent_at)) continue;
    const auto seen = seen_.find(name);
    if (seen == seen_.end() || seen->second.missing) {
      Lose(shard, base::NotFound("lease {}: somebody deleted it", name));
      continue;
    }
    const LeaseRecord& record = seen->second.record;
    if (record.holder == options_.identity && record.transitions == own.transitions) {
      own.version = record.version;
      own.version_known = true;
    } else if (record.holder.empty()) {
      if (own.state == Own::State::kReleasing) ++counts_.released;  // the answer was lost
      Lose(shard, base::Aborted("lease {}: its holder was cleared", name));
    } else {
      Lose(shard, base::Aborted("lease {}: {} took it", name, record.holder));
    }
  }
  const std::string name = MemberName(options_.identity);
  if (member_.state != Own::State::kHeld || Newer(name, sent_at)) return;
  if (const auto seen = seen_.find(name); seen != seen_.end()) {
    member_.version = seen->second.record.version;
    member_.version_known = true;
  } else {
    member_.state = Own::State::kFree;
    member_.try_at = sent_at;
  }
}

void LeaseElection::Elect(absl::Duration now, absl::Duration sent_at) {
  std::set<std::string> living;
  const std::string prefix = MemberName("");
  for (const auto& [name, seen] : seen_) {
    if (!name.starts_with(prefix) || Expired(seen, now)) continue;
    const std::string& identity = seen.record.holder;
    if (name != MemberName(identity) || identity == options_.identity) continue;
    if (seen.record.shards == 0 || seen.record.shards == options_.shards) living.insert(identity);
  }
  if (AliveOurselves(now)) living.insert(options_.identity);
  counts_.members = static_cast<int>(living.size());
  // Only a list that was asked for when we were a member shows everybody who joined with us.
  if (resigning_ || !AliveOurselves(now) || sent_at < joined_at_) return;
  SweepMembers(now, living);
  if (MindOtherCounts(now)) return;
  const std::vector<std::string> assigned = AssignShards(living, options_.shards);
  for (int shard = 0; shard < options_.shards; ++shard) {
    if (assigned[static_cast<size_t>(shard)] == options_.identity) {
      Take(shard, now);
    } else {
      TellLeave(shard);
    }
  }
}

// Two numbers of shards parted the targets differently: one target could have two holders.
bool LeaseElection::MindOtherCounts(absl::Duration now) {
  for (const auto& [name, seen] : seen_) {
    const LeaseRecord& record = seen.record;
    if (ShardOfName(name) < 0 || record.holder.empty() || record.holder == options_.identity ||
        record.shards == 0 || record.shards == options_.shards || Expired(seen, now)) {
      continue;
    }
    Complain("number of shards",
             base::FailedPrecondition(
                 "lease {} is held by {}, which counts {} shards, and we {}: none is taken "
                 "until all of those are given back",
                 name, record.holder, record.shards, options_.shards));
    if (record.holder < options_.identity) {
      for (int shard = 0; shard < options_.shards; ++shard) TellLeave(shard);
    }
    return true;
  }
  return false;
}

void LeaseElection::Take(int shard, absl::Duration now) {
  Own& own = shards_[static_cast<size_t>(shard)];
  if (own.state != Own::State::kFree || own.in_flight) return;
  const std::string name = ShardName(shard);
  own.acquiring = {.shard = shard};
  own.transitions = 1;
  LeaseWrite::Kind kind = LeaseWrite::Kind::kCreate;
  if (const auto at = seen_.find(name); at != seen_.end()) {
    const Seen& seen = at->second;
    const bool free = seen.record.holder.empty();
    if (!free && !Expired(seen, now)) return;
    own.acquiring.former_renewal = seen.record.renewed;
    own.acquiring.former_holder = seen.record.holder;
    own.acquiring.clean = free;
    own.transitions = seen.record.transitions + 1;
    own.version = seen.record.version;
    if (!seen.missing) kind = LeaseWrite::Kind::kTake;
  }
  own.state = Own::State::kTaking;
  Send(own, kind, name, now);
}

void LeaseElection::TellLeave(int shard) {
  Own& own = shards_[static_cast<size_t>(shard)];
  if (own.state != Own::State::kHeld || own.told_to_leave) return;
  own.told_to_leave = true;
  out_.events.emplace_back(Leave{.shard = shard});
}

void LeaseElection::Lose(int shard, absl::Status why) {
  Own& own = shards_[static_cast<size_t>(shard)];
  const bool told = std::exchange(own.state, Own::State::kFree) == Own::State::kHeld;
  if (!told) return;  // it was being released: its owner is done with it
  ++counts_.lost;
  out_.events.emplace_back(Lost{.shard = shard, .why = std::move(why)});
}

// Processes that were killed leave their member leases behind; the first of the living tidies up.
void LeaseElection::SweepMembers(absl::Duration now, const std::set<std::string>& living) {
  if (*living.begin() != options_.identity) return;
  const std::string prefix = MemberName("");
  for (const auto& [name, seen] : seen_) {
    if (!name.starts_with(prefix) || name == MemberName(options_.identity)) continue;
    const absl::Duration lasts = ExpiresAt(seen) - seen.changed_at;
    if (now < seen.changed_at + lasts * kSweepAfter || !sweeping_.insert(name).second) continue;
    ++counts_.requests;
    out_.writes.push_back({.kind = LeaseWrite::Kind::kDelete,
                           .name = name,
                           .version = seen.record.version,
                           .sent_at = now});
  }
}

// ---- what became of a write

void LeaseElection::OnWritten(absl::Duration now, const LeaseWrite& write,
                              const absl::StatusOr<LeaseRecord>& lease) {
  if (!lease.ok() && !absl::IsNotFound(lease.status())) CountError(lease.status());
  const int shard = ShardOfName(write.name);
  if (sweeping_.erase(write.name) != 0) {
    if (lease.ok() || absl::IsNotFound(lease.status())) {
      seen_.erase(write.name);
    } else if (const auto seen = seen_.find(write.name); seen != seen_.end()) {
      Complain("lease " + write.name, lease.status());
      seen->second.changed_at = now;  // again much later
    }
  } else if (shard >= 0) {
    OnShardWritten(shard, now, write, lease);
  } else {
    OnMemberWritten(now, write, lease);
  }
}

void LeaseElection::OnShardWritten(int shard, absl::Duration now, const LeaseWrite& write,
                                   const absl::StatusOr<LeaseRecord>& lease) {
  Own& own = shards_[static_cast<size_t>(shard)];
  own.in_flight = false;
  own.answered_at = now;
  if (lease.ok()) Note(now, *lease);
  if (own.state == Own::State::kTaking) return OnTaken(shard, now, write, lease);
  if (own.state == Own::State::kFree) return;  // lost meanwhile
  if (!lease.ok()) return OnRenewFailed(shard, now, write, lease.status());
  if (write.kind == LeaseWrite::Kind::kClear) {
    own.state = Own::State::kFree;
    ++counts_.released;
  } else {
    Renewed(own, write, *lease);
  }
}

void LeaseElection::OnTaken(int shard, absl::Duration now, const LeaseWrite& write,
                            const absl::StatusOr<LeaseRecord>& lease) {
  Own& own = shards_[static_cast<size_t>(shard)];
  own.state = Own::State::kFree;
  if (!lease.ok()) {  // the next list shows what became of it
    if (!absl::IsAborted(lease.status())) Complain("lease " + write.name, lease.status());
    return;
  }
  Renewed(own, write, *lease);
  if (now >= Deadline(own)) return;  // the answer took too long: it expires, as another's would
  if (resigning_) {
    own.state = Own::State::kReleasing;
    own.try_at = now;
    return;
  }
  own.state = Own::State::kHeld;
  own.told_to_leave = false;
  own.acquiring.epoch = EpochOf(*lease);
  ++counts_.acquired;
  out_.events.emplace_back(std::move(own.acquiring));
}

void LeaseElection::Renewed(Own& own, const LeaseWrite& write, const LeaseRecord& lease) {
  own.version = lease.version;
  own.version_known = true;
  own.transitions = lease.transitions;
  own.renewed_at = write.sent_at;
  own.last_error = absl::OkStatus();
  if (own.state != Own::State::kReleasing) own.try_at = write.sent_at + options_.renew_interval;
}

void LeaseElection::OnRenewFailed(int shard, absl::Duration now, const LeaseWrite& write,
                                  const absl::Status& error) {
  Own& own = shards_[static_cast<size_t>(shard)];
  if (absl::IsNotFound(error)) {
    if (const auto seen = seen_.find(write.name); seen != seen_.end()) seen->second.missing = true;
    Lose(shard, error);
    return;
  }
  RetryRenewal(own, now, write, error);
}

void LeaseElection::RetryRenewal(Own& own, absl::Duration now, const LeaseWrite& write,
                                 const absl::Status& error) {
  Complain("lease " + write.name, error);
  own.last_error = error;
  if (IsConflict(error)) {  // somebody else wrote, or we did and were not told
    own.version_known = false;
    list_at_ = now;
    own.try_at = now;
  } else {
    own.try_at = std::max(now, write.sent_at + options_.retry_period);
  }
}

void LeaseElection::OnMemberWritten(absl::Duration now, const LeaseWrite& write,
                                    const absl::StatusOr<LeaseRecord>& lease) {
  member_.in_flight = false;
  member_.answered_at = now;
  if (write.kind == LeaseWrite::Kind::kDelete) {
    member_ended_ = lease.ok() || absl::IsNotFound(lease.status()) ||
                    absl::IsPermissionDenied(lease.status());  // then it expires
    if (!lease.ok() && !absl::IsNotFound(lease.status())) {
      RetryRenewal(member_, now, write, lease.status());
    }
    return;
  }
  if (lease.ok()) {
    Note(now, *lease);
    Renewed(member_, write, *lease);
    if (member_.state != Own::State::kHeld) {
      member_.state = Own::State::kHeld;
      joined_at_ = now;
      list_at_ = now;
    }
  } else if (absl::IsNotFound(lease.status())) {  // it was taken for dead, or somebody deleted it
    member_.state = Own::State::kFree;
    member_.try_at = now;
    seen_.erase(write.name);
  } else {
    RetryRenewal(member_, now, write, lease.status());
    // Without a renewal there is nothing to keep: what is there now is found by the list.
    if (member_.state != Own::State::kHeld) {
      member_.try_at = std::max(now, write.sent_at + options_.retry_period);
    }
  }
  if (resigning_) member_.try_at = now;
}

// ---- ends

void LeaseElection::Release(int shard) {
  Own& own = shards_[static_cast<size_t>(shard)];
  if (own.state != Own::State::kHeld) return;
  own.state = Own::State::kReleasing;
  own.try_at = own.renewed_at;
}

void LeaseElection::Resign() {
  resigning_ = true;
  member_.try_at = member_.renewed_at;
  for (int shard = 0; shard < options_.shards; ++shard) TellLeave(shard);
}

void LeaseElection::CheckResigned() {
  if (!resigning_ || !member_ended_ || resigned_) return;
  for (const Own& own : shards_) {
    if (own.state != Own::State::kFree) return;
  }
  resigned_ = true;
  out_.events.emplace_back(Resigned{});
}

// ---- what is told

void LeaseElection::CountError(const absl::Status& error) {
  ++counts_.errors;
  if (IsConflict(error)) ++counts_.conflicts;
  if (absl::IsPermissionDenied(error) || absl::IsUnauthenticated(error)) ++counts_.refusals;
}

void LeaseElection::Complain(const std::string& what, const absl::Status& error) {
  out_.events.emplace_back(Trouble{.what = what, .error = error});
}

}  // namespace neap::kube
