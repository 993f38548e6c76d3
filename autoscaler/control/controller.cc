#include "autoscaler/control/controller.h"

#include <algorithm>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/control/controller_impl.h"
#include "autoscaler/control/digest.h"

namespace neap::control {
namespace {

// What a vanished target is remembered for: the longest window and period there is.
constexpr absl::Duration kRetirement = absl::Hours(1);

}  // namespace

Controller::Impl::Impl(ControllerOptions options)
    : options_([&] {
        NEAP_CHECK(options.writes_per_second > 0 && options.write_burst >= 1,
                   "write budget of {} per second, burst {}", options.writes_per_second,
                   options.write_burst);
        NEAP_CHECK(options.statuses_per_second > 0 && options.status_burst >= 1,
                   "budget of {} statuses per second, burst {}", options.statuses_per_second,
                   options.status_burst);
        NEAP_CHECK(options.shards >= 0, "{} shards", options.shards);
        return std::move(options);
      }()),
      shards_(static_cast<size_t>(options_.shards)),
      stored_(options_.histories),
      queries_(&pods_),
      slots_(options_.writes_per_second, options_.write_burst),
      statuses_(options_.statuses_per_second, options_.status_burst) {
  ShareBudgets();
}

std::vector<Action> Controller::Impl::Step(std::vector<Message> inbox, absl::Time now) {
  // In whole nanoseconds, as times are kept: what is decided now was not decided before. Upwards,
  // so that what is due at `now` is due.
  const absl::Time whole =
      absl::UnixEpoch() + absl::Ceil(now - absl::UnixEpoch(), absl::Nanoseconds(1));
  now_ = std::max(whole, now_);
  actions_.clear();
  if (kept_.size() > kept_used_ + kSpareKept) kept_.pop_back();
  kept_used_ = 0;
  decided_in_step_ = 0;
  statuses_.Refill(now_);
  ForgetRetired();
  for (Message& message : inbox) {
    std::visit([this](auto& m) { Take(std::move(m)); }, message);
  }
  if (std::exchange(pods_unsettled_, false)) pods_.Settle();
  for (Query* query : queries_.Expire(now_)) {
    ++counters_.poll_timeouts;
    Concerns(*query, /*pushed=*/false);
  }
  while (timers_.NextAt() <= now_) {
    Target& target = *timers_.Next();
    SetWake(target, absl::InfiniteFuture());
    Touch(target);
  }
  std::sort(touched_.begin(), touched_.end(),
            [](const Target* a, const Target* b) { return a->serial < b->serial; });
  actions_.reserve(2 * std::min<size_t>(touched_.size(), kDecisionsPerStep) + 4);
  size_t tended = 0;
  for (; tended < touched_.size() && decided_in_step_ < kDecisionsPerStep; ++tended) {
    touched_[tended]->touched = false;
    Tend(*touched_[tended]);
  }
  touched_.erase(touched_.begin(), touched_.begin() + static_cast<std::ptrdiff_t>(tended));
  GrantSlots();
  GrantStatuses();
  EmitWatch();
  if (std::optional<Subscribe> changes = queries_.TakeChanges()) {
    pods_unsettled_ = pods_unsettled_ || !changes->remove.empty();
    actions_.emplace_back(std::move(*changes));
  }
  for (Poll& poll : queries_.TakePolls()) {
    counters_.polls += poll.trigger_ids.size();
    actions_.emplace_back(std::move(poll));
  }
  TellQuiet();
  return std::move(actions_);
}

absl::Time Controller::Impl::NextDue() const {
  if (!touched_.empty()) return now_;
  absl::Time next = std::min(queries_.NextDeadline(), timers_.NextAt());
  if (!queue_.empty()) next = std::min(next, slots_.When(1));
  // By the second: nothing hangs on one of them.
  if (!status_queue_.empty()) {
    next = std::min(next, statuses_.When(std::max(1.0, options_.statuses_per_second)));
  }
  return std::max(next, now_);
}

void Controller::Impl::EmitWatch() {
  if (!std::exchange(watch_dirty_, false)) return;
  Watch watch;
  watch.targets = scales_.Wanted();
  for (const auto& [ns, users] : pod_users_) watch.pod_namespaces.push_back(ns);
  Digest digest;
  for (const TargetRef& ref : watch.targets) {
    digest.Text(ref.group).Text(ref.kind).Text(ref.ns).Text(ref.name);
  }
  if (digest.value() == watched_scales_ && watch.pod_namespaces == watched_namespaces_) return;
  watched_kinds_.clear();
  for (const TargetRef& ref : watch.targets) {  // sorted, by group and kind first
    std::string kind = ScaleTable::KindScope(ref);
    if (watched_kinds_.empty() || watched_kinds_.back() != kind) {
      watched_kinds_.push_back(std::move(kind));
    }
  }
  std::sort(watched_kinds_.begin(), watched_kinds_.end());
  scales_.KeepKinds(watched_kinds_);
  pods_.KeepNamespaces(watch.pod_namespaces);
  pods_unsettled_ = true;
  Forget(scale_views_, watched_kinds_);
  Forget(pod_views_, watch.pod_namespaces);
  watched_scales_ = digest.value();
  watched_namespaces_ = watch.pod_namespaces;
  actions_.emplace_back(std::move(watch));
}

void Controller::Impl::Forget(Views& views, const std::vector<std::string>& kept) {
  std::erase_if(views, [&](const auto& view) {
    return !std::binary_search(kept.begin(), kept.end(), view.first);
  });
}

void Controller::Impl::ForgetRetired() {
  while (!retirements_.empty() && retirements_.front().first + kRetirement <= now_) {
    const auto& [at, uid] = retirements_.front();
    const auto found = retired_.find(uid);
    if (found != retired_.end() && found->second.at == at) {
      if (found->second.memory.write) writers_.erase(found->second.memory.write->id);
      retired_.erase(found);
    }
    retirements_.pop_front();
  }
}

Target* Controller::Impl::FindTarget(std::string_view uid) {
  const auto found = targets_.find(uid);
  return found == targets_.end() ? nullptr : found->second.get();
}

bool Controller::Impl::AllSynced() const {
  const auto synced = [](const Views& views, const std::string& scope) {
    const auto view = views.find(scope);
    return view != views.end() && view->second.synced;
  };
  if (spec_views_.empty() || watch_dirty_) return false;
  for (const auto& [source, view] : spec_views_) {
    if (!view.synced) return false;
  }
  for (const std::string& ns : watched_namespaces_) {
    if (!synced(pod_views_, ns)) return false;
  }
  return std::all_of(targets_.begin(), targets_.end(), [](const auto& entry) {
    return !entry.second->held || entry.second->scale->known;
  });
}

void Controller::Impl::Describe(Target& target, TargetInfo* info) {
  *info = TargetInfo{};
  info->uid = target.uid;
  info->spec = target.spec.get();
  info->scale = target.scale->scale ? &*target.scale->scale : nullptr;
  info->status = &target.memory.outcome.status;
  info->history = &target.memory.outcome.history;
  if (target.decided) info->decision = &target.memory.decision;
  info->decided_at = target.decided_at;
  info->spec_version = target.spec_version;
  info->decision_id = target.decision_id;
  static const core::Reading kNothing;
  for (const Target::Input& input : target.inputs) {
    info->metrics.push_back(
        {.spec = input.spec,
         .reading = input.query == nullptr ? &kNothing : queries_.Read(*input.query, input.slot)});
  }
  info->write_in_flight = target.memory.write != nullptr;
  info->waits_for_write = target.wait_key != absl::InfiniteFuture();
  info->shadow = target.shadow.get();
  info->broken = target.broken;
  info->decisions = target.decisions;
  info->rescales = target.rescales;
  info->failures = target.failures;
}

bool Controller::Impl::Next(std::string_view after, TargetInfo* info) {
  auto next = targets_.upper_bound(after);
  while (next != targets_.end() && !next->second->held) ++next;
  if (next == targets_.end()) return false;
  Describe(*next->second, info);
  return true;
}

bool Controller::Impl::Find(std::string_view uid, TargetInfo* info) {
  Target* target = FindTarget(uid);
  if (target == nullptr || !target->held) return false;
  Describe(*target, info);
  return true;
}

// ---- the interface ----

Controller::Controller(ControllerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Controller::~Controller() = default;

std::vector<Action> Controller::Step(std::vector<Message> inbox, absl::Time now) {
  return impl_->Step(std::move(inbox), now);
}
absl::Time Controller::NextDue() const { return impl_->NextDue(); }
const ControllerOptions& Controller::options() const { return impl_->options(); }
const ControllerCounters& Controller::counters() const { return impl_->counters(); }
size_t Controller::targets() const { return impl_->targets(); }
size_t Controller::shards_held() const { return impl_->shards_held(); }
size_t Controller::subscriptions() const { return impl_->subscriptions(); }
size_t Controller::waiting_writes() const { return impl_->waiting_writes(); }
bool Controller::AllSynced() const { return impl_->AllSynced(); }
void Controller::VisitHistories(
    int shard,
    const std::function<void(std::string_view uid, const KeptHistory& kept)>& visit) const {
  impl_->VisitHistories(shard, visit);
}
std::optional<KeptHistory> Controller::HistoryOf(std::string_view uid) const {
  return impl_->HistoryOf(uid);
}
bool Controller::NextTarget(std::string_view after, TargetInfo* info) const {
  return impl_->Next(after, info);
}
bool Controller::FindTarget(std::string_view uid, TargetInfo* info) const {
  return impl_->Find(uid, info);
}

}  // namespace neap::control
