// Write slots, PATCHes and their outcomes. What waits for a slot is the target, not the number:
// when a slot frees it is decided anew.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/control/controller_impl.h"

namespace neap::control {
namespace {

// The queue is ordered by waiting time, less this much per class: from zero first, up next, down
// last, but each moves up by waiting.
constexpr absl::Duration kClass = absl::Seconds(5);

absl::Duration Handicap(const core::Decision& decision) {
  if (decision.current == 0) return absl::ZeroDuration();
  return decision.desired > decision.current ? kClass : 2 * kClass;
}

}  // namespace

void Controller::Impl::Want(Target& target) {
  if (target.withholds) return;  // GrantSlots sends it
  const absl::Time since = std::min<absl::Time>(target.waits_since, now_);
  LeaveQueue(target);
  target.waits_since = since;
  target.wait_key = since + Handicap(target.memory.decision);
  queue_.emplace(std::pair(target.wait_key, target.serial), &target);
}

void Controller::Impl::LeaveQueue(Target& target) {
  if (target.wait_key == absl::InfiniteFuture()) return;
  queue_.erase({target.wait_key, target.serial});
  target.wait_key = absl::InfiniteFuture();
  target.waits_since = absl::InfiniteFuture();
}

void Controller::Impl::GrantSlots() {
  slots_.Refill(now_);
  for (const auto& [target, kept] : wanting_) {
    if (target->withholds) Send(*target, /*takes_slot=*/false);
  }
  while (slots_.Has() && !queue_.empty() && decided_in_step_ < kDecisionsPerStep) {
    Target& target = *queue_.begin()->second;
    if (target.decided_at < now_) {
      Decide(target, Cause::kWriteSlot);  // leaves the queue, or takes its place in it again
      if (!target.memory.decision.rescale || !target.broken.empty()) {
        SetWake(target, NextWake(target));
        continue;
      }
      if (queue_.begin()->second != &target) continue;  // its rank fell
    }
    LeaveQueue(target);
    Send(target, /*takes_slot=*/true);
  }
  for (const auto& [target, kept] : wanting_) {
    if (target->memory.write) continue;
    ++counters_.write_waits;
    RememberUntried(*target, *kept);
    WriteStatusIfDue(*target);
    SetWake(*target, NextWake(*target));
  }
  wanting_.clear();
}

void Controller::Impl::Send(Target& target, bool takes_slot) {
  const auto wanting = std::find_if(wanting_.begin(), wanting_.end(),
                                    [&](const auto& entry) { return entry.first == &target; });
  const core::Observation& seen = wanting->second->seen;
  if (takes_slot) slots_.Take();
  Write write;
  write.id = ++write_id_;
  write.decision_id = target.decision_id;
  write.ref = *target.scale->ref;
  write.observed = *seen.scale;
  write.asked = target.memory.decision.desired;
  write.took_slot = takes_slot;
  write.spec = target.spec;
  for (const core::MetricInput& input : seen.metrics) {
    write.specs.push_back(*input.spec);
    core::Reading& reading = write.readings.emplace_back(*input.reading);
    reading.pods = {};
  }
  write.decided_at = now_;
  write.until = now_ + options_.write_limit;
  writers_[write.id] = target.uid;
  actions_.emplace_back(PatchScale{.write_id = write.id,
                                   .uid = target.uid,
                                   .target = write.ref,
                                   .observed = write.observed,
                                   .replicas = write.asked});
  target.memory.write = std::make_unique<Write>(std::move(write));
  SetWake(target, NextWake(target));
}

bool Controller::Impl::SeenAsAsked(const Write& write) {
  const ScaleTable::Entry* entry = scales_.Find(write.ref);
  return entry != nullptr && entry->scale && entry->scale->uid == write.observed.uid &&
         entry->scale->spec_replicas == write.asked;
}

void Controller::Impl::TendWrite(Target& target) {
  Write& write = *target.memory.write;
  if (write.unknown && SeenAsAsked(write)) {
    return Finish(target.uid, {.kind = core::ApplyResult::Kind::kApplied, .at = now_, .error = ""});
  }
  if (now_ < write.until) return;
  if (write.unknown) return Finish(target.uid, std::move(*write.unknown));
  ++counters_.overruns;
  write.unknown =
      core::ApplyResult{.kind = core::ApplyResult::Kind::kUnknown,
                        .at = now_,
                        .error = fmt::format("nobody answered the write within {}",
                                             base::FormatDuration(options_.write_limit))};
  write.until = now_ + options_.unknown_wait;
  TendWrite(target);  // it may be as asked already
}

Memory* Controller::Impl::MemoryOf(const std::string& uid) {
  if (Target* target = FindTarget(uid)) return &target->memory;
  const auto retired = retired_.find(uid);
  return retired == retired_.end() ? nullptr : &retired->second.memory;
}

void Controller::Impl::Take(WriteOutcome outcome) {
  using Kind = core::ApplyResult::Kind;
  const auto writer = writers_.find(outcome.write_id);
  if (writer == writers_.end()) return;  // it was given up as Unknown
  const std::string uid = writer->second;
  Write& write = *MemoryOf(uid)->write;
  outcome.result.at = now_;
  if (outcome.result.kind == Kind::kUnknown) {
    write.unknown = std::move(outcome.result);
    write.until = now_ + options_.unknown_wait;
    if (Target* target = FindTarget(uid)) {
      Touch(*target);
    } else {
      Finish(uid, std::move(*write.unknown));  // nobody looks at its scale any more
    }
    return;
  }
  if (outcome.result.kind == Kind::kApplied) {
    scales_.Written(write.ref, outcome.scale, write.asked);
  }
  Finish(uid, std::move(outcome.result));
}

void Controller::Impl::Finish(const std::string& uid, core::ApplyResult result) {
  Memory& memory = *MemoryOf(uid);
  const std::unique_ptr<const Write> finished = std::move(memory.write);
  const Write& write = *finished;
  writers_.erase(write.id);
  Count(result);
  const bool withheld = result.kind == core::ApplyResult::Kind::kWithheld;
  const bool unsent = result.kind == core::ApplyResult::Kind::kNotTried;
  if ((withheld || unsent) && write.took_slot) slots_.GiveBack();
  const core::Status previous = memory.outcome.status;
  std::vector<core::MetricInput> metrics;
  for (size_t i = 0; i < write.specs.size(); ++i) {
    metrics.push_back({.spec = &write.specs[i],
                       .reading = &write.readings[i],
                       .stale_after = absl::InfiniteDuration()});
  }
  core::Observation seen;
  seen.now = write.decided_at;
  seen.scale = &write.observed;
  seen.metrics = metrics;
  seen.previous = &previous;
  core::Remember(options_.hpa, *write.spec, seen, memory.decision, result, memory.outcome);
  Kept& kept = Keep();  // it may be decided again in this step, and the target may vanish
  kept.outcome = memory.outcome;
  actions_.emplace_back(OutcomeRecord{
      .uid = uid, .decision_id = write.decision_id, .result = result, .outcome = &kept.outcome});
  Target* target = FindTarget(uid);
  if (target == nullptr) return;
  if (const auto said = std::move(target->other_said)) NoteOther(*target, *said);
  if (result.kind == core::ApplyResult::Kind::kApplied) {
    ++target->rescales;
    if (target->takeover) target->takeover->replicas = write.asked;  // its event is entered
  }
  if (!target->held) return FinishLeft(*target, kept.outcome.events);
  target->withholds = withheld;
  const std::optional<core::Scale>& scale = target->scale->scale;
  const bool others = scale && (scale->spec_replicas != write.observed.spec_replicas ||
                                scale->uid != write.observed.uid);
  if (result.kind == core::ApplyResult::Kind::kConflict && others && !target->ripe) {
    target->ripe = Cause::kScaleChange;  // what it conflicted with is known already
  }
  Report(*target, kept.outcome.events, /*conditions_changed=*/true);
  Touch(*target);
}

void Controller::Impl::Count(const core::ApplyResult& result) {
  using Kind = core::ApplyResult::Kind;
  switch (result.kind) {
    case Kind::kApplied:
      ++counters_.writes_applied;
      break;
    case Kind::kWithheld:
      ++counters_.writes_withheld;
      break;
    case Kind::kConflict:
      ++counters_.writes_conflict;
      break;
    case Kind::kGone:
    case Kind::kRejected:
    case Kind::kUnknown:
      ++counters_.writes_failed;
      break;
    case Kind::kNotTried:
      ++counters_.writes_unsent;
      break;
  }
}

}  // namespace neap::control
