// One decision: what is seen, Decide, and what is remembered when nothing is written.
#include <algorithm>
#include <utility>

#include "autoscaler/control/controller_impl.h"
#include "autoscaler/core/messages.h"

namespace neap::control {
namespace {

const core::Reading& NothingAsked() {
  static const core::Reading kReading = [] {
    core::Reading reading;
    reading.error = {.kind = core::ErrorKind::kNeverRead, .message = "no reading has arrived yet"};
    return reading;
  }();
  return kReading;
}

const core::Reading& NotInTime() {
  static const core::Reading kReading = [] {
    core::Reading reading;
    reading.error = {.kind = core::ErrorKind::kTimeout,
                     .message = "the scaler did not answer in time"};
    return reading;
  }();
  return kReading;
}

}  // namespace

Controller::Impl::Kept& Controller::Impl::Keep() {
  if (kept_used_ == kept_.size()) kept_.emplace_back();
  return kept_[kept_used_++];
}

void Controller::Impl::Observe(Target& target, bool takes_base, Kept& kept) {
  kept.spec = target.spec;
  kept.key.assign(target.spec->key.ns).append("/").append(target.spec->key.name);
  kept.before = target.memory.outcome.history;
  kept.previous = target.memory.outcome.status;
  kept.metrics.clear();
  kept.metrics.reserve(target.inputs.size());
  for (const Target::Input& input : target.inputs) {
    const core::Reading* reading = &NothingAsked();
    if (input.query != nullptr) {
      // Its round is over and this one is still awaited.
      const bool late = !target.in_round && std::find(target.awaited.begin(), target.awaited.end(),
                                                      input.query) != target.awaited.end();
      reading = late ? &NotInTime() : queries_.Read(*input.query, input.slot);
    }
    kept.metrics.push_back(
        {.spec = input.spec, .reading = reading, .stale_after = input.stale_after});
  }
  const ScaleTable::Entry& entry = *target.scale;
  core::Observation& seen = kept.seen;
  seen = {};
  seen.now = now_;
  if (entry.scale) seen.scale = &*entry.scale;
  if (entry.error) seen.scale_error = &*entry.error;
  if (entry.selector_error) seen.selector_error = &*entry.selector_error;
  if (target.pods != nullptr) {
    if (target.counts_pod_namespace) {
      seen.pods = target.pods->pods;
      seen.requests = target.pods->requests();
    }
    pods_.Overlapping(*target.pods, kept.key, !target.needs_pods, target.shadow != nullptr,
                      &kept.overlapping);
    seen.overlapping = kept.overlapping;
  }
  seen.metrics = kept.metrics;
  seen.previous = &kept.previous;
  seen.views_synced = Synced(target);
  seen.views_silent = Silent(target);
  seen.takes_base = takes_base;
}

void Controller::Impl::Decide(Target& target, Cause cause) {
  Kept& kept = Keep();
  NotePodNeed(target);
  ++decided_in_step_;
  TakeOver(target);
  Observe(target, cause == Cause::kPeriodic || cause == Cause::kSpecChange, kept);
  if (!target.in_round) target.awaited.clear();
  target.decided_at = now_;
  if (std::string why = BrokenObservation(*target.spec, kept.seen); !why.empty()) {
    return Quarantine(target, std::move(why));
  }
  core::Decide(options_.hpa, *target.spec, kept.seen, kept.before, deciding_);
  if (std::string why = BrokenDecision(*target.spec, kept.seen, deciding_); !why.empty()) {
    return Quarantine(target, std::move(why));
  }
  target.broken.clear();
  const auto broken = [](const core::Condition& c) { return c.type == kInternalError; };
  std::erase_if(kept.previous.conditions, broken);
  if (std::erase_if(target.memory.outcome.status.conditions, broken) > 0) {
    target.conditions = DigestOf(target.memory.outcome.status.conditions);
  }
  target.memory.decision = deciding_;  // a copy has no more room than it needs
  const core::Decision& taken = target.memory.decision;
  target.decided = true;
  target.decision_id = ++decision_id_;
  ++target.decisions;
  ++counters_.decisions;
  if (cause != Cause::kPeriodic) ++counters_.fast_decisions;
  if (taken.verdict == core::Verdict::kFailed || taken.verdict == core::Verdict::kNoScale) {
    ++target.failures;
  }
  RememberSelector(target);
  if (target.shadow) CompareShadow(target, kept.seen);
  actions_.emplace_back(DecisionRecord{.uid = target.uid,
                                       .decision_id = target.decision_id,
                                       .spec = kept.spec.get(),
                                       .spec_version = target.spec_version,
                                       .cause = cause,
                                       .seen = &kept.seen,
                                       .before = &kept.before,
                                       .decision = &taken});
  if (!taken.rescale) {
    LeaveQueue(target);
    return RememberUntried(target, kept);
  }
  wanting_.emplace_back(&target, &kept);
  Want(target);
}

void Controller::Impl::CompareShadow(Target& target, const core::Observation& seen) {
  const core::Decision& d = target.memory.decision;
  const bool counted = d.verdict == core::Verdict::kComputed ||
                       d.verdict == core::Verdict::kOutOfBounds ||
                       d.verdict == core::Verdict::kDisabled;
  if (!counted || seen.views_silent) return target.shadow->Unknown();
  std::string reason;
  if (d.rescale) {
    const core::MetricSpec* winner =
        d.winner < 0 ? nullptr : seen.metrics[static_cast<size_t>(d.winner)].spec;
    reason = core::RescaleReasonText(d, winner);
  }
  target.shadow->Decided(now_, d.current, d.desired, std::move(reason));
}

// Upstream enters an object's selector once it is about to read its metrics; from then on others
// with pods in common are ambiguous.
void Controller::Impl::RememberSelector(Target& target) {
  const core::Verdict verdict = target.memory.decision.verdict;
  if (target.pods == nullptr ||
      (verdict != core::Verdict::kComputed && verdict != core::Verdict::kFailed)) {
    return;
  }
  EnterSelector(target);
}

void Controller::Impl::EnterSelector(Target& target) {
  if (target.pods == nullptr) return;
  target.pods->Remember(target.spec->key.name, target.shadow != nullptr);
}

void Controller::Impl::RememberUntried(Target& target, const Kept& kept) {
  const core::ApplyResult untried;
  core::Outcome& outcome = target.memory.outcome;
  core::Remember(options_.hpa, *kept.spec, kept.seen, target.memory.decision, untried, outcome);
  actions_.emplace_back(OutcomeRecord{.uid = target.uid,
                                      .decision_id = target.decision_id,
                                      .result = untried,
                                      .outcome = &outcome});
  Report(target, outcome.events, outcome.status.conditions != kept.previous.conditions);
}

}  // namespace neap::control
