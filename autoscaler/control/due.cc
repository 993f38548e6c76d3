// What a target waits for: its periods, its round, the spacing of decisions, its write. Tend looks
// at one target, does what is due and sets its timer; it may be called at any time.
#include <algorithm>

#include "autoscaler/control/controller_impl.h"
#include "autoscaler/control/digest.h"

namespace neap::control {
namespace {

// A reading this young serves a target that falls due, too: equal queries are read once. At most a
// quarter of the period, so that rounds of one second stay fresh.
constexpr absl::Duration kStillFresh = absl::Seconds(1);

// Targets that fall due within so long are polled together: a request per scaler and grain instead
// of one per target.
constexpr absl::Duration kGrain = absl::Milliseconds(20);

absl::Duration PeriodOf(const core::AutoscalerSpec& spec) {
  return std::max(spec.period, absl::Seconds(1));
}

}  // namespace

void Controller::Impl::Touch(Target& target) {
  if (target.touched) return;
  target.touched = true;
  touched_.push_back(&target);
}

void Controller::Impl::SetWake(Target& target, absl::Time at) {
  if (at == target.wake) return;
  target.wake = at;
  timers_.Set(target.timer, at);
}

// Periods of one length start at moments of a fixed grid, which each target shifts by its own part
// of the period. Those with values per pod shift by their namespace: one list serves all of them.
absl::Time Controller::Impl::NextPeriod(const Target& target) const {
  const int64_t period = absl::ToInt64Nanoseconds(PeriodOf(*target.spec));
  const std::string_view shifts = target.needs_pods ? target.spec->key.ns : target.uid.view();
  const uint64_t hash = Digest().Text(shifts).value();
  const int64_t within = static_cast<int64_t>(hash % static_cast<uint64_t>(period));
  const int64_t phase = within - within % absl::ToInt64Nanoseconds(kGrain);
  const int64_t now = absl::ToUnixNanos(now_);
  const int64_t since = ((now - phase) % period + period) % period;
  return absl::FromUnixNanos(now - since + period);
}

// Never twice at one moment: records of a step point to the target's last decision.
absl::Time Controller::Impl::MayDecideAt(const Target& target) const {
  return target.decided_at + std::max(options_.min_spacing, absl::Nanoseconds(1));
}

bool Controller::Impl::Synced(const Target& target) const {
  const auto synced = [](const Views& views, std::string_view scope) {
    const auto view = views.find(scope);
    return view != views.end() && view->second.synced;
  };
  return target.scale->known && !IsBehind(target) && synced(spec_views_, target.source) &&
         (!target.needs_pods || synced(pod_views_, target.spec->key.ns));
}

bool Controller::Impl::Silent(const Target& target) const {
  const auto silent = [this](const Views& views, std::string_view scope) {
    const auto view = views.find(scope);
    return view == views.end() || now_ - view->second.heard > options_.silence_limit;
  };
  return silent(spec_views_, target.source) ||
         silent(scale_views_, ScaleTable::KindScope(*target.scale->ref)) ||
         (target.needs_pods && silent(pod_views_, target.spec->key.ns));
}

void Controller::Impl::Tend(Target& target) {
  if (target.memory.write) TendWrite(target);
  if (!target.held) {
    const auto& write = target.memory.write;
    return SetWake(target, write ? absl::Time(write->until) : absl::InfiniteFuture());
  }
  if (target.in_round && (target.awaited.empty() || now_ >= target.round_until)) {
    target.in_round = false;
    target.ripe = target.round_cause;
  }
  const bool period_began = now_ >= target.next_due;
  if (period_began) {
    if (target.in_round || target.memory.write) ++counters_.late_periods;
    target.next_due = NextPeriod(target);
    if (!target.wants_round) target.wants_round = Cause::kPeriodic;
  }
  const auto decide_if_ripe = [&] {
    if (!target.ripe || target.memory.write) return;
    if (now_ < MayDecideAt(target)) return;
    const Cause cause = *target.ripe;
    target.ripe.reset();
    Decide(target, cause);
  };
  decide_if_ripe();
  if (target.wants_round && !target.in_round && !target.memory.write) {
    Start(target, period_began);
    decide_if_ripe();
  }
  WriteStatusIfDue(target);
  SetWake(target, NextWake(target));
}

void Controller::Impl::Start(Target& target, bool period_began) {
  const Cause cause = *target.wants_round;
  if (!Synced(target)) {
    // It stays wanted, so that the first decision comes as soon as the views are synced.
    if (period_began) target.ripe = Cause::kPeriodic;
    return;
  }
  target.wants_round.reset();
  if (target.spec->paused || !target.scale->scale) {
    target.ripe = cause;
    return;
  }
  const absl::Duration period = PeriodOf(*target.spec);
  const absl::Duration wait = std::min(options_.poll_deadline, period);
  const absl::Duration fresh = std::min(kStillFresh, period / 4);
  for (const Target::Use& use : target.uses) {
    Query& query = *use.query;
    if (query.round == 0) {
      const absl::Duration age = now_ - query.asked_at;
      // Due times wander by milliseconds: what is nearly due is due.
      const bool due = age >= use.interval - std::min(use.interval / 10, kStillFresh);
      const bool answered = query.answered_at >= query.asked_at;
      const bool serves = age <= fresh || (use.interval > period && !due);
      if (cause == Cause::kPeriodic && answered && serves) continue;
      queries_.Ask(query, now_, wait);
    }
    target.awaited.push_back(&query);
  }
  if (target.awaited.empty()) {
    target.ripe = cause;
    return;
  }
  target.in_round = true;
  target.round_cause = cause;
  target.round_until = now_ + wait;
}

absl::Time Controller::Impl::NextWake(const Target& target) const {
  base::Stamp next = std::min(target.next_due, target.status_due);
  if (target.in_round) next = std::min(next, target.round_until);
  if (const auto& write = target.memory.write) {
    next = std::min(next, write->until);
  } else if (target.ripe) {
    next = std::min<base::Stamp>(next, MayDecideAt(target));
  }
  return next;
}

}  // namespace neap::control
