#include "autoscaler/app/decision_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "autoscaler/core/messages.h"

namespace neap::app {
namespace {

std::string_view ResultWords(core::ApplyResult::Kind kind) {
  switch (kind) {
    case core::ApplyResult::Kind::kConflict:
      return "somebody else changed it, observing again";
    case core::ApplyResult::Kind::kGone:
      return "it is gone";
    case core::ApplyResult::Kind::kRejected:
      return "refused";
    case core::ApplyResult::Kind::kUnknown:
      return "no answer, observing what became of it";
    default:
      return "";
  }
}

uint32_t HashOf(std::string_view text) {
  return static_cast<uint32_t>(std::hash<std::string_view>()(text));
}

}  // namespace

std::string ReasonsOf(const core::Decision& decision) {
  std::string out;
  const auto add = [&](core::Reason reason) {
    if (!out.empty()) out += ", ";
    out += core::ReasonName(reason);
  };
  switch (decision.verdict) {
    case core::Verdict::kHold:
    case core::Verdict::kNoScale:
    case core::Verdict::kDisabled:
    case core::Verdict::kOutOfBounds:
    case core::Verdict::kFailed:
      add(decision.failure);
      break;
    case core::Verdict::kComputed:
      if (decision.some_invalid) out = "SomeMetricsInvalid";
      if (decision.able != core::Reason::kReadyForNewScale) add(decision.able);
      if (decision.limited != core::Reason::kDesiredWithinRange) add(decision.limited);
      break;
  }
  for (const core::Step& step : decision.steps) {
    if (step.stage == core::Stage::kGuards) add(step.reason);
  }
  if (out.empty()) add(core::Reason::kDesiredWithinRange);
  return out;
}

bool DecisionLog::TakeReason(Last& last, uint32_t reasons, absl::Time now) {
  if (reasons == last.reasons) return false;
  if (last.reasons_at != absl::InfinitePast()) {
    const auto seconds = static_cast<float>(absl::ToDoubleSeconds(now - last.reasons_at));
    last.tokens = std::min(kReasonBurst, last.tokens + seconds * kReasonsPerSecond);
  }
  last.reasons_at = now;
  if (last.tokens < 1) return false;
  last.tokens -= 1;
  last.reasons = reasons;
  return true;
}

void DecisionLog::OnDecision(const control::DecisionRecord& record, absl::Time now) {
  const core::Decision& decision = *record.decision;
  base::Uid uid(record.uid);
  Last& last = last_[uid];
  const std::string reasons = ReasonsOf(decision);
  const uint32_t hash = HashOf(reasons);
  const std::string asked =
      decision.verdict == core::Verdict::kComputed && decision.recommended != decision.desired
          ? fmt::format(": the metrics ask for {}", decision.recommended)
          : "";
  if (decision.rescale) {
    // One line for both, the outcome's.
    const core::MetricSpec* winner =
        decision.winner >= 0 && static_cast<size_t>(decision.winner) < record.seen->metrics.size()
            ? record.seen->metrics[decision.winner].spec
            : nullptr;
    Change& change = changes_[std::move(uid)];
    change.decision_id = record.decision_id;
    change.text =
        fmt::format("{}: {} {} {} -> {}", record.spec->key.Text(), record.spec->target.kind,
                    record.spec->target.name, decision.current, decision.desired);
    change.why = core::RescaleReasonText(decision, winner);
    if (!asked.empty()) change.why += fmt::format(" ({}{})", reasons, asked);
    last.reasons = hash;
    return;
  }
  if (!TakeReason(last, hash, now)) return;
  if (record.seen->scale == nullptr) {
    Say(Severity::kInfo, fmt::format("{}: not decided: {}", record.spec->key.Text(), reasons), now);
  } else {
    Say(Severity::kInfo,
        fmt::format("{}: stays at {}: {}{}", record.spec->key.Text(), decision.desired, reasons,
                    asked),
        now);
  }
}

void DecisionLog::OnOutcome(const control::OutcomeRecord& record, absl::Time now) {
  using Kind = core::ApplyResult::Kind;
  const base::Uid uid(record.uid);
  const Change* found = changes_.Find(uid);
  if (found == nullptr || found->decision_id != record.decision_id) return;
  const Change change = *found;
  changes_.Erase(uid);
  Last& last = last_[uid];
  switch (record.result.kind) {
    case Kind::kNotTried:
      break;
    case Kind::kApplied:
      Say(Severity::kInfo, fmt::format("{}: {}", change.text, change.why), now);
      last.withheld = 0;
      break;
    case Kind::kWithheld: {  // decided anew each period: said once
      const uint32_t hash = HashOf(change.text);
      if (last.withheld == hash) break;
      last.withheld = hash;
      Say(Severity::kInfo, fmt::format("{} withheld (dry run): {}", change.text, change.why), now);
      break;
    }
    case Kind::kConflict:
    case Kind::kGone:
    case Kind::kRejected:
    case Kind::kUnknown: {
      const std::string text =
          events_.Allow(record.uid + "/write",
                        fmt::format("{} not applied: {}: {}", change.text,
                                    ResultWords(record.result.kind), record.result.error),
                        now);
      if (!text.empty()) Say(Severity::kWarning, text, now);
      break;
    }
  }
}

void DecisionLog::OnEvent(const control::EmitEvent& event, absl::Time now) {
  // Changes and failed writes are the outcomes' lines.
  if (event.event.type != core::EventType::kWarning || event.event.reason == "FailedRescale")
    return;
  const std::string text = events_.Allow(
      event.uid + "/" + event.event.reason,
      fmt::format("{}: {}: {}", event.key.Text(), event.event.reason, event.event.message), now);
  if (!text.empty()) Say(Severity::kWarning, text, now);
}

void DecisionLog::Sweep(size_t targets) {
  // What is forgotten is said once more.
  if (last_.size() > 2 * targets + 1000) last_.Clear();
  if (changes_.size() > 2 * targets + 1000) changes_.Clear();
}

void DecisionLog::Say(Severity severity, std::string_view line, absl::Time now) {
  lines_.Refill(now);
  if (!lines_.Has()) {
    ++left_out_;
    return;
  }
  lines_.Take();
  if (left_out_ > 0) {
    write_(Severity::kInfo,
           fmt::format("{} lines about decisions were left out, to keep the log small", left_out_));
    left_out_ = 0;
  }
  write_(severity, line);
}

}  // namespace neap::app
