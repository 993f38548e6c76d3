// Which targets are ours: taking shards over, leaving and losing them.
#include <algorithm>
#include <utility>

#include "autoscaler/control/controller_impl.h"
#include "autoscaler/control/shard.h"
#include "autoscaler/core/behavior.h"

namespace neap::control {
namespace {

constexpr absl::Duration kLongestLag = absl::Minutes(1);

}  // namespace

Controller::Impl::Shard* Controller::Impl::FindShard(int shard) {
  const bool known = shard >= 0 && static_cast<size_t>(shard) < shards_.size();
  return known ? &shards_[static_cast<size_t>(shard)] : nullptr;
}

Controller::Impl::Shard::State Controller::Impl::StateOf(const Target& target) const {
  return shards_.empty() ? Shard::State::kHeld : shards_[static_cast<size_t>(target.shard)].state;
}

size_t Controller::Impl::shards_held() const {
  return static_cast<size_t>(std::count_if(shards_.begin(), shards_.end(), [](const Shard& shard) {
    return shard.state == Shard::State::kHeld;
  }));
}

bool Controller::Impl::SpecsListed() const {
  return !spec_views_.empty() && std::all_of(spec_views_.begin(), spec_views_.end(),
                                             [](const auto& view) { return view.second.synced; });
}

void Controller::Impl::Take(ShardHeld held) {
  Shard* shard = FindShard(held.shard);
  if (shard == nullptr) return;
  ReleaseShard(held.shard);
  *shard = {.state = Shard::State::kHeld,
            .told_quiet = false,
            .histories = std::move(held.histories),
            .former_until = held.former_until};
  // What vanished under us while we held it before: somebody else may have decided it since.
  std::erase_if(retired_, [&](const auto& entry) {
    return !entry.second.memory.write &&
           ShardOf(entry.first, static_cast<int>(shards_.size())) == held.shard;
  });
  for (const auto& [uid, target] : targets_) {
    if (target->shard != held.shard) continue;
    GoOn(*target);
    Hold(*target);
  }
  ShareBudgets();
}

void Controller::Impl::Take(const ShardLeaving& leaving) {
  Shard* shard = FindShard(leaving.shard);
  if (shard == nullptr) return;
  ReleaseShard(leaving.shard);
  shard->state = Shard::State::kLeaving;
  shard->told_quiet = false;
  ShareBudgets();
}

void Controller::Impl::Take(const ShardLost& lost) {
  Shard* shard = FindShard(lost.shard);
  if (shard == nullptr) return;
  ReleaseShard(lost.shard);
  shard->state = Shard::State::kElsewhere;
  ShareBudgets();
}

void Controller::Impl::ReleaseShard(int shard) {
  for (const auto& [uid, target] : targets_) {
    if (target->shard == shard && target->held) Release(*target);
  }
}

bool Controller::Impl::IsKept(const Target& target) const {
  return !shards_.empty() &&
         shards_[static_cast<size_t>(target.shard)].histories.contains(target.uid);
}

void Controller::Impl::GoOn(Target& target) {
  Shard& shard = shards_[static_cast<size_t>(target.shard)];
  target.memory.outcome.history = {};
  target.takeover.reset();
  const auto kept = shard.histories.find(target.uid);
  if (kept == shard.histories.end()) return;  // as new: the first decision is its own seed
  target.memory.outcome.history = std::move(kept->second.history);
  target.memory.outcome.history.counted.clear();
  target.takeover = Target::Takeover{.replicas = kept->second.replicas,
                                     .scale_version = std::move(kept->second.scale_version),
                                     .former_until = shard.former_until,
                                     .since = now_};
  shard.histories.erase(kept);
}

void Controller::Impl::Hold(Target& target) {
  target.held = true;
  ++ours_;
  target.conditions = DigestOf(target.memory.outcome.status.conditions);
  target.written = DigestOf(target);
  target.wants_round = Cause::kPeriodic;
  const auto view = scale_views_.find(ScaleTable::KindScope(*target.scale->ref));
  const bool watched = view != scale_views_.end() && view->second.synced;
  if (!shards_.empty() && !watched && target.scale->asking == 0) {
    ScaleTable::Forget(*target.scale);  // nobody has looked at it since we held it before
  }
  AskForScale(target, true);
  Resolve(target);
  target.next_due = NextPeriod(target);
  Touch(target);
}

void Controller::Impl::Release(Target& target) {
  // For the next owner: its scale may not be watched any more when it is asked for.
  target.takeover =
      Target::Takeover{.replicas = KnownReplicas(target), .scale_version = KnownVersion(target)};
  target.held = false;
  --ours_;
  for (const Target::Use& use : target.uses) queries_.Leave(use.query, &target);
  target.uses.clear();
  target.inputs.clear();
  target.placeholders.clear();
  target.awaited.clear();
  target.in_round = false;
  target.wants_round.reset();
  target.ripe.reset();
  target.decided = false;
  target.broken.clear();
  LeaveQueue(target);
  LeaveStatusQueue(target);
  target.status_due = absl::InfiniteFuture();
  // An answer that does not come is looked for in the scale.
  if (!target.memory.write) AskForScale(target, false);
  Resolve(target);
  Touch(target);  // its timer is now for its write alone
}

// The last write of a target that is ours no more. While the shard is only being left the object's
// owner is still told, and the next process goes on from that status.
void Controller::Impl::FinishLeft(Target& target, const std::vector<core::Event>& events) {
  AskForScale(target, false);
  if (StateOf(target) != Shard::State::kLeaving) return;
  Report(target, events, /*conditions_changed=*/true);
  if (std::exchange(target.status_due, absl::InfiniteFuture()) != absl::InfiniteFuture()) {
    EmitStatus(target);
  }
}

// Whether its former owner knew a newer scale than we do: a watch lags, and the count that it shows
// may be one that is not there any more. Not for long: versions may have begun anew.
bool Controller::Impl::IsBehind(const Target& target) const {
  if (!target.takeover || !target.scale->scale || now_ >= target.takeover->since + kLongestLag) {
    return false;
  }
  const auto order = ScaleTable::CompareVersions(target.scale->scale->resource_version,
                                                 target.takeover->scale_version);
  return order && *order < 0;
}

// Between what the former owner kept and the end of its lease it may have recommended and changed
// what nobody knows of. That it kept the count which is found is entered as recommended at the end
// of that time, and how the count differs from the last one known as a change then: both no earlier
// than they can have been, so that no window ends before its time.
void Controller::Impl::TakeOver(Target& target) {
  if (!target.takeover || !target.scale->scale || !Synced(target)) return;
  const Target::Takeover from = *std::exchange(target.takeover, std::nullopt);
  const absl::Time until = from.former_until == absl::InfinitePast()
                               ? now_
                               : std::min<absl::Time>(from.former_until, now_);
  const int32_t current = target.scale->scale->spec_replicas;
  const base::Boxed<core::Behavior>& behavior = target.spec->behavior;
  core::History& history = target.memory.outcome.history;
  const absl::Duration base_age =
      history.base ? core::SinceBase(*history.base, until) : absl::ZeroDuration();
  const absl::Duration window = core::LongestWindow(behavior, options_.hpa.downscale_stabilization);
  core::AddRecommendation(history.recommendations, {.replicas = current, .at = until},
                          until - window - base_age);
  if (!from.replicas || *from.replicas == current) return;
  core::AddChange(history, behavior, *from.replicas, current, until, base_age);
}

// The count that the target's events lead to: those of a write under way are not known yet.
std::optional<int32_t> Controller::Impl::KnownReplicas(const Target& target) {
  if (target.takeover) return target.takeover->replicas;
  if (target.memory.write) return target.memory.write->observed.spec_replicas;
  if (target.scale->scale) return target.scale->scale->spec_replicas;
  return std::nullopt;
}

std::string Controller::Impl::KnownVersion(const Target& target) {
  if (target.takeover) return target.takeover->scale_version;
  return target.scale->scale ? target.scale->scale->resource_version : "";
}

std::optional<KeptHistory> Controller::Impl::KeptOf(const Target& target) {
  const core::History& history = target.memory.outcome.history;
  const bool empty =
      history.recommendations.empty() && history.up_events.empty() && history.down_events.empty();
  if (empty && !target.memory.write) return std::nullopt;
  KeptHistory kept{
      .history = history, .replicas = KnownReplicas(target), .scale_version = KnownVersion(target)};
  kept.history.counted.clear();
  return kept;
}

std::optional<KeptHistory> Controller::Impl::HistoryOf(std::string_view uid) {
  const Target* target = FindTarget(uid);
  return target == nullptr || !target->held ? std::nullopt : KeptOf(*target);
}

void Controller::Impl::VisitHistories(
    int shard,
    const std::function<void(std::string_view uid, const KeptHistory& kept)>& visit) const {
  if (shard < 0 || static_cast<size_t>(shard) >= shards_.size()) return;
  for (const auto& [uid, target] : targets_) {
    if (target->shard != shard) continue;
    if (const std::optional<KeptHistory> kept = KeptOf(*target)) visit(uid, *kept);
  }
  if (SpecsListed()) return;  // the rest is of objects that are gone
  for (const auto& [uid, kept] : shards_[static_cast<size_t>(shard)].histories) visit(uid, kept);
}

void Controller::Impl::TellQuiet() {
  const int shards = static_cast<int>(shards_.size());
  for (int i = 0; i < shards; ++i) {
    Shard& shard = shards_[static_cast<size_t>(i)];
    if (shard.state != Shard::State::kLeaving || shard.told_quiet) continue;
    const bool writes = std::any_of(writers_.begin(), writers_.end(), [&](const auto& writer) {
      return ShardOf(writer.second, shards) == i;
    });
    if (writes) continue;
    shard.told_quiet = true;
    actions_.emplace_back(ShardQuiet{.shard = i});
  }
}

// Each process spends its part of what the installation may write. Who holds nothing counts as
// holding one: it is about to, or its last writes end.
void Controller::Impl::ShareBudgets() {
  if (shards_.empty()) return;
  const double share =
      static_cast<double>(std::max<size_t>(shards_held(), 1)) / static_cast<double>(shards_.size());
  slots_.Refill(now_);
  slots_.Limit(options_.writes_per_second * share, std::max(1.0, options_.write_burst * share));
  statuses_.Refill(now_);
  statuses_.Limit(options_.statuses_per_second * share,
                  std::max(1.0, options_.status_burst * share));
}

}  // namespace neap::control
