// Messages into the tables, and which targets they concern.
#include <algorithm>
#include <set>
#include <utility>

#include "autoscaler/control/controller_impl.h"
#include "autoscaler/control/digest.h"
#include "autoscaler/control/shard.h"
#include "autoscaler/control/subscriptions.h"

namespace neap::control {
namespace {

TargetRef RefOf(const core::AutoscalerSpec& spec) {
  return {.group = std::string(core::GroupOf(spec.target.api_version)),
          .kind = spec.target.kind,
          .ns = spec.key.ns,
          .name = spec.target.name};
}

// How long pods that no metric needs stay watched after the workload was unhealthy.
constexpr absl::Duration kUnhealthyFor = absl::Minutes(10);

bool Contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Whether the proposal multiplies the current count, with the target that the reading may bring.
bool IsRelative(const core::MetricSpec& spec, const core::Reading& reading) {
  if (!reading.target) return NeedsPods(spec);
  core::MetricSpec in_force = spec;
  in_force.target = *reading.target;
  return NeedsPods(in_force);
}

}  // namespace

Controller::Impl::ViewState& Controller::Impl::Heard(Views& views, const std::string& scope) {
  ViewState& view = views[scope];
  view.heard = now_;
  return view;
}

// ---- objects ----

void Controller::Impl::Take(SpecChange change) {
  Heard(spec_views_, change.source);
  Target* target = FindTarget(change.uid);
  if (target == nullptr) return Add(std::move(change));
  target->source = change.source;
  if (target->shadow) {
    NoteOther(*target, change.status);
  } else if (!target->held) {
    // Of a target that another process decides, its status is news; of ours it is what we wrote.
    target->memory.outcome.status = std::move(change.status);
  }
  if (target->spec == change.spec || *target->spec == *change.spec) return;
  if (target->spec->key != change.spec->key) {  // tables know it by its name
    Remove(change.uid);
    return Add(std::move(change));
  }
  Respec(*target, std::move(change));
}

void Controller::Impl::Take(SpecGone gone) { Remove(gone.uid); }

void Controller::Impl::Take(SpecsReplaced list) {
  const bool first = !std::exchange(Heard(spec_views_, list.source).synced, true);
  std::set<std::string, std::less<>> present;
  for (SpecChange& change : list.all) {
    present.insert(change.uid);
    change.source = list.source;
    Take(std::move(change));
  }
  std::vector<std::string> gone;
  for (const auto& [uid, target] : targets_) {
    if (target->source != list.source) continue;
    if (!present.contains(uid)) {
      gone.emplace_back(uid);
    } else if (first) {
      Touch(*target);
    }
  }
  for (const std::string& uid : gone) Remove(uid);
}

void Controller::Impl::Add(SpecChange change) {
  auto made = std::make_unique<Target>();
  Target& target = *made;
  target.serial = ++target_serial_;
  target.uid = change.uid;
  target.source = change.source;
  target.spec = std::move(change.spec);
  target.spec_version = ++spec_version_;
  if (!shards_.empty()) target.shard = ShardOf(target.uid, static_cast<int>(shards_.size()));
  const bool ours = StateOf(target) == Shard::State::kHeld;
  if (const auto found = retired_.find(target.uid); found != retired_.end()) {
    target.memory = std::move(found->second.memory);
    retired_.erase(found);
    if (!ours) target.memory.outcome.status = std::move(change.status);
    // It vanished before its shard was taken over, with a write under way.
    if (ours && IsKept(target)) GoOn(target);
  } else {
    target.memory.outcome.status = std::move(change.status);
    if (const auto stored = stored_.find(target.uid); stored != stored_.end()) {
      target.memory.outcome.history = std::move(stored->second);
      stored_.erase(stored);
    }
    if (ours && !shards_.empty()) GoOn(target);
  }
  if (change.shadow) {
    target.shadow = std::make_unique<Shadow>(now_, target.spec->period);
    core::Status& status = target.memory.outcome.status;
    const core::Status theirs = std::exchange(status, {});
    for (const core::Condition& condition : theirs.conditions) {
      if (condition.type == "ScaledToZero") status.conditions.push_back(condition);
    }
    NoteOther(target, theirs);
  }
  target.timer = timers_.Add(&target);
  targets_.emplace(target.uid, std::move(made));
  AimAt(target, RefOf(*target.spec));
  if (ours) {
    Hold(target);
  } else {
    Resolve(target);
    if (target.memory.write) Touch(target);
  }
}

void Controller::Impl::NoteOther(Target& target, const core::Status& status) {
  target.shadow->Said(status.desired_replicas);
  if (target.memory.write) {
    target.other_said = std::make_unique<const core::Status>(status);
    return;
  }
  const std::optional<base::Stamp>& last = target.memory.outcome.status.last_scale_time;
  if (!status.last_scale_time || (last && *status.last_scale_time <= *last)) return;
  core::RememberOthers(options_.hpa, *target.spec, status.current_replicas, status.desired_replicas,
                       std::min<absl::Time>(*status.last_scale_time, now_), target.memory.outcome);
  // As it was said, so that it is not taken for a new one.
  target.memory.outcome.status.last_scale_time = status.last_scale_time;
}

void Controller::Impl::Respec(Target& target, SpecChange change) {
  target.spec = std::move(change.spec);
  target.spec_version = ++spec_version_;
  target.withholds = false;
  if (const TargetRef ref = RefOf(*target.spec); ref != *target.scale->ref) {
    AimAt(target, ref);
    if (target.held) AskForScale(target, true);
  }
  Resolve(target);
  if (!target.held) return;
  target.next_due = NextPeriod(target);
  // What a former round was for is no longer asked; this decision polls anew.
  target.in_round = false;
  target.awaited.clear();
  target.ripe.reset();
  target.wants_round = Cause::kSpecChange;
  Touch(target);
}

void Controller::Impl::Remove(const std::string& uid) {
  const auto found = targets_.find(uid);
  if (found == targets_.end()) return;
  Target& target = *found->second;
  for (const Target::Use& use : target.uses) queries_.Leave(use.query, &target);
  CountPodNamespace(target, false);
  if (target.pods != nullptr) {
    target.pods->Forget(target.spec->key.name, target.shadow != nullptr);
    pods_.Release(target.pods);
  }
  pods_unsettled_ = true;
  LeaveScale(target);
  LeaveQueue(target);
  LeaveStatusQueue(target);
  timers_.Remove(target.timer);
  std::erase(touched_, &target);
  if (target.held) --ours_;
  if (target.held || target.memory.write) {
    retired_[uid] = {.memory = std::move(target.memory), .at = now_};
    retirements_.emplace_back(now_, uid);
  }
  targets_.erase(found);
}

// ---- scales ----

void Controller::Impl::AimAt(Target& target, const TargetRef& ref) {
  if (target.scale != nullptr) LeaveScale(target);
  target.scale = &scales_.Use(ref);
  auto& targets = target.scale->targets;
  targets.insert(std::lower_bound(targets.begin(), targets.end(), &target,
                                  [](const Target* a, const Target* b) { return a->uid < b->uid; }),
                 &target);
  const auto view = scale_views_.find(ScaleTable::KindScope(ref));
  if (!target.scale->known && view != scale_views_.end() && view->second.synced) {
    scales_.Change({.target = ref, .scale = {}, .error = {}});  // the list had no such one
  }
}

void Controller::Impl::LeaveScale(Target& target) {
  AskForScale(target, false);
  std::erase(target.scale->targets, &target);
  target.scale = nullptr;
}

void Controller::Impl::AskForScale(Target& target, bool asks) {
  if (asks == target.asks_for_scale) return;
  target.asks_for_scale = asks;
  target.scale->asking += asks ? 1 : -1;
  const auto users = kind_users_.try_emplace(ScaleTable::KindScope(*target.scale->ref), 0).first;
  users->second += asks ? 1 : -1;
  if (users->second == 0) kind_users_.erase(users);
  watch_dirty_ = true;
}

bool Controller::Impl::WatchesKind(const std::string& scope) const {
  return kind_users_.contains(scope) ||
         std::binary_search(watched_kinds_.begin(), watched_kinds_.end(), scope);
}

void Controller::Impl::Take(ScaleChange change) {
  const std::string scope = ScaleTable::KindScope(change.target);
  if (!WatchesKind(scope)) return;
  Heard(scale_views_, scope);
  Rescaled(change.target, scales_.Change(change));
}

void Controller::Impl::Take(ScalesReplaced list) {
  const std::string scope = list.group + "/" + list.kind;
  if (!WatchesKind(scope)) return;
  Heard(scale_views_, scope).synced = true;
  for (const TargetRef& ref : scales_.Replace(list, &counters_.stale_scales)) {
    Rescaled(ref, ScaleTable::Effect::kReplicas);
  }
}

void Controller::Impl::Rescaled(const TargetRef& ref, ScaleTable::Effect effect) {
  if (effect == ScaleTable::Effect::kIgnored) ++counters_.stale_scales;
  if (effect == ScaleTable::Effect::kIgnored || effect == ScaleTable::Effect::kNone) return;
  const ScaleTable::Entry* entry = scales_.Find(ref);
  if (entry == nullptr) return;
  for (Target* target : entry->targets) {
    if (target->takeover && target->held) Touch(*target);  // it may be new enough now
    if (entry->scale && entry->scale->selector != target->selector) Resolve(*target);
    NotePodNeed(*target);
    if (effect != ScaleTable::Effect::kReplicas) continue;
    const Write* write = target->memory.write.get();
    if (!target->held) {
      if (write != nullptr) Touch(*target);  // it may be what was asked
      continue;
    }
    const bool ours = write != nullptr && entry->scale && SeenAsAsked(*write);
    if (target->shadow) {
      // What the other did is its own write, and it decides no sooner for it.
      if (entry->scale) target->shadow->Scaled(now_, entry->scale->spec_replicas);
    } else if (target->decided && !ours) {
      if (target->spec->guards == core::Guards::kNone && target->needs_pods) {
        // A relative reading was of the former count: it is read again.
        if (!target->wants_round) target->wants_round = Cause::kScaleChange;
      } else if (!target->ripe) {
        target->ripe = Cause::kScaleChange;
      }
    }
    Touch(*target);
  }
}

// ---- pods ----

void Controller::Impl::Take(PodChange change) {
  if (!pod_users_.contains(change.ns)) return;
  Heard(pod_views_, change.ns);
  pods_.Change(change);
}

void Controller::Impl::Take(PodsReplaced list) {
  const auto users = pod_users_.find(list.ns);
  if (users == pod_users_.end()) return;
  const bool first = !std::exchange(Heard(pod_views_, list.ns).synced, true);
  pods_.Replace(std::move(list));
  if (!first) return;
  for (Target* target : users->second) Touch(*target);
}

void Controller::Impl::Take(ViewHeard heard) {
  switch (heard.view) {
    case View::kSpecs:
      Heard(spec_views_, heard.scope);
      break;
    case View::kScales:
      if (WatchesKind(heard.scope)) Heard(scale_views_, heard.scope);
      break;
    case View::kPods:
      if (pod_users_.contains(heard.scope)) Heard(pod_views_, heard.scope);
      break;
  }
}

// ---- scalers ----

void Controller::Impl::Take(TriggerOpened opened) {
  Query* query = queries_.Find(opened.trigger_id);
  if (query == nullptr) {
    ++counters_.unknown_readings;
    return;
  }
  if (!queries_.Opened(*query, std::move(opened))) return;
  const std::vector<Query::User> users = query->users;  // Resolve may change them
  for (const Query::User& user : users) Resolve(*user.target);
}

void Controller::Impl::Take(TriggerReading reading) {
  Query* query = queries_.Find(reading.trigger_id);
  if (query == nullptr) {
    ++counters_.unknown_readings;
    return;
  }
  const bool pushed = reading.round == 0;
  if (queries_.Answered(*query, std::move(reading), now_, &counters_.unknown_readings)) {
    Concerns(*query, pushed);
  }
}

void Controller::Impl::Concerns(Query& query, bool pushed) {
  for (const Query::User& user : query.users) {
    Target& target = *user.target;
    if (query.round == 0 && std::erase(target.awaited, &query) > 0 && target.awaited.empty()) {
      Touch(target);  // its round is complete
      continue;
    }
    if ((pushed || !target.in_round) && !target.ripe && FastOnPush(target, query) &&
        (pushed || target.scale->scale->spec_replicas == 0)) {
      target.ripe = Cause::kPushed;
      Touch(target);
    }
  }
}

bool Controller::Impl::FastOnPush(const Target& target, Query& query) {
  if (!target.decided || !target.scale->scale) return false;
  const bool at_zero = target.scale->scale->spec_replicas == 0;
  const bool safe = target.spec->guards == core::Guards::kSafe;
  // Upstream's limit of 4 or twice the count is per decision: more of them would lift it.
  if (!at_zero && !safe && !target.spec->behavior) return false;
  bool any = false;
  for (const Target::Input& input : target.inputs) {
    if (input.query == nullptr) continue;
    const core::Reading& reading = *queries_.Read(*input.query, input.slot);
    const bool relative = !at_zero && IsRelative(*input.spec, reading);
    if (relative && !safe) return false;
    any =
        any || (input.query == &query && !relative && reading.form != core::Reading::Form::kError);
  }
  return any;
}

// ---- what a target looks at ----

void Controller::Impl::Resolve(Target& target) {
  const core::AutoscalerSpec& spec = *target.spec;
  // An unreadable scale keeps the selector that it had.
  if (target.scale->scale) {
    target.selector = target.scale->scale->selector;
    target.pod_selector.reset();
    if (!target.selector.empty()) {
      if (const auto parsed = base::Selector::Parse(target.selector); parsed.ok()) {
        target.pod_selector = parsed->Text();
      }
    }
  }
  if (!target.held) {
    ResolvePods(target, false);
    if (!target.spec->paused) EnterSelector(target);
    return;
  }
  const std::vector<Target::Use> before = std::move(target.uses);
  target.uses.clear();
  target.inputs.clear();
  target.placeholders.clear();
  const bool ages = spec.kind != core::ObjectKind::kHpa;
  bool needs_pods = false;
  const auto use = [&](std::optional<Subscription> wanted, absl::Duration interval) -> Query* {
    if (!wanted) return nullptr;
    Query* query = queries_.Use(std::move(*wanted), &target, interval);
    const auto known = std::find_if(target.uses.begin(), target.uses.end(),
                                    [&](const Target::Use& u) { return u.query == query; });
    if (known == target.uses.end()) target.uses.push_back({query, interval});
    return query;
  };
  const auto add = [&](Query* query, int slot, const core::MetricSpec& metric,
                       absl::Duration interval) {
    needs_pods = needs_pods || NeedsPods(metric);
    target.inputs.push_back({.query = query,
                             .slot = slot,
                             .spec = &metric,
                             .stale_after = ages ? std::max(interval * options_.stale_intervals,
                                                            options_.least_stale_after)
                                                 : absl::InfiniteDuration()});
  };
  for (const core::MetricSpec& metric : spec.metrics) {
    add(use(QueryOf(metric, spec.key.ns, target.pod_selector), spec.period), 0, metric,
        spec.period);
  }
  const absl::Duration polling =
      spec.polling_interval > absl::ZeroDuration() ? spec.polling_interval : spec.period;
  for (const core::TriggerSpec& trigger : spec.triggers) {
    const TriggerContext context{
        .object = Contains(options_.object_types, trigger.type),
        .pod_selector = Contains(options_.pod_selector_types, trigger.type)};
    Query* query = use(QueryOf(trigger, spec, target.uid, context, target.pod_selector), polling);
    if (query == nullptr || query->metrics.empty()) {
      target.placeholders.push_front(PlaceholderOf(trigger));
      add(query, -1, target.placeholders.front(), polling);
      continue;
    }
    for (size_t i = 0; i < query->metrics.size(); ++i) {
      add(query, static_cast<int>(i), query->metrics[i], polling);
    }
  }
  for (const Target::Use& old : before) {
    const bool kept = std::any_of(target.uses.begin(), target.uses.end(),
                                  [&](const Target::Use& u) { return u.query == old.query; });
    if (kept) continue;
    std::erase(target.awaited, old.query);
    queries_.Leave(old.query, &target);
  }
  ResolvePods(target, needs_pods || spec.hold_scale_up.unschedulable_pods);
}

void Controller::Impl::ResolvePods(Target& target, bool needs_pods) {
  const std::string& ns = target.spec->key.ns;
  pods_unsettled_ = true;
  PodTable::Set* set = nullptr;
  if (target.pod_selector) {
    const auto selector = base::Selector::Parse(*target.pod_selector);
    if (selector.ok()) set = pods_.Acquire(ns, *selector, *target.pod_selector);
  }
  if (target.pods != nullptr) {
    if (set != target.pods) {
      target.pods->Forget(target.spec->key.name, target.shadow != nullptr);
    }
    pods_.Release(target.pods);
  }
  target.pods = set;
  target.needs_pods = needs_pods;
  NotePodNeed(target);
}

void Controller::Impl::NotePodNeed(Target& target) {
  const std::optional<core::Scale>& scale = target.scale->scale;
  if (target.spec->guards == core::Guards::kSafe && scale && scale->ready_replicas &&
      scale->status_replicas > 0 && 2 * int64_t{*scale->ready_replicas} <= scale->status_replicas) {
    target.unhealthy_at = now_;
  }
  const bool needs = target.needs_pods || now_ - target.unhealthy_at < kUnhealthyFor;
  CountPodNamespace(target, target.held && needs);
}

void Controller::Impl::CountPodNamespace(Target& target, bool counts) {
  if (counts == target.counts_pod_namespace) return;
  target.counts_pod_namespace = counts;
  const std::string& ns = target.spec->key.ns;
  if (counts) {
    pod_users_[ns].push_back(&target);
  } else {
    const auto users = pod_users_.find(ns);
    std::erase(users->second, &target);
    if (users->second.empty()) pod_users_.erase(users);
  }
  watch_dirty_ = true;
}

}  // namespace neap::control
