// What the user sees: status, events, and the quarantine of a target whose data breaks an
// invariant.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/control/controller_impl.h"
#include "autoscaler/control/digest.h"
#include "autoscaler/core/messages.h"

namespace neap::control {
namespace {

constexpr absl::Duration kFactsSpacing = absl::Seconds(1);
// Mere amounts wait so much longer for their turn than changes of counts and conditions.
constexpr absl::Duration kRoutine = absl::Minutes(1);
constexpr size_t kMetricsShown = 3;    // of one object in its status' text
constexpr size_t kMostAnnounced = 32;  // warnings per object that are told apart

// Which warning it is: the numbers in its text (ages, counts) do not make it another.
uint64_t WarningOf(const core::Event& event) {
  std::string text = event.reason + ' ' + event.message;
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return Digest().Text(text).value();
}

}  // namespace

StatusDigest Controller::Impl::DigestOf(const std::vector<core::Condition>& conditions) {
  Digest facts;
  Digest texts;
  for (const core::Condition& condition : conditions) {
    facts.Text(condition.type).Word(static_cast<uint64_t>(condition.status)).Text(condition.reason);
    texts.Text(condition.message).At(condition.last_transition);
  }
  return {.facts = facts.value(), .all = texts.value()};
}

// Conditions hardly ever change, amounts always: the digest of those is kept.
StatusDigest Controller::Impl::DigestOf(const Target& target) {
  const core::Status& status = target.memory.outcome.status;
  Digest digest;
  digest.Word(target.conditions.facts);
  digest.Signed(status.current_replicas).Signed(status.desired_replicas);
  digest.At(status.last_scale_time.value_or(absl::UnixEpoch()));
  digest.Signed(status.observed_generation.value_or(-1));
  const uint64_t facts = digest.value();
  digest.Word(target.conditions.all);
  for (const core::MetricStatus& metric : status.current_metrics) {
    digest.Word(metric.valid ? 1 : 0).Text(metric.name).Text(metric.container);
    digest.Signed(metric.average_utilization.value_or(-1));
    digest.Signed(metric.average_value.value_or(-1)).Signed(metric.value.value_or(-1));
  }
  return {.facts = facts, .all = digest.value()};
}

void Controller::Impl::Report(Target& target, const std::vector<core::Event>& events,
                              bool conditions_changed) {
  for (const core::Event& event : events) {
    if (!MayAnnounce(target, event)) continue;
    actions_.emplace_back(EmitEvent{
        .uid = target.uid, .key = target.spec->key, .kind = target.spec->kind, .event = event});
  }
  if (target.shadow) return;  // its status is its controller's
  if (conditions_changed) {
    target.conditions = DigestOf(target.memory.outcome.status.conditions);
  }
  const StatusDigest digest = DigestOf(target);
  if (digest.facts != target.written.facts) {
    target.status_due = std::max(now_, target.status_written_at + kFactsSpacing);
  } else if (digest != target.written) {
    target.status_due = std::max(now_, target.status_written_at + options_.status_interval);
  } else {
    target.status_due = absl::InfiniteFuture();
    LeaveStatusQueue(target);
  }
}

void Controller::Impl::WriteStatusIfDue(Target& target) {
  if (now_ < target.status_due) return;
  target.status_due = absl::InfiniteFuture();
  if (status_queue_.empty() && statuses_.Has()) return EmitStatus(target);
  const bool routine = DigestOf(target).facts == target.written.facts;
  const absl::Time key = now_ + (routine ? kRoutine : absl::ZeroDuration());
  if (key >= target.status_key) return;  // it waits already
  LeaveStatusQueue(target);
  target.status_key = key;
  status_queue_.emplace(std::pair(key, target.serial), &target);
}

void Controller::Impl::GrantStatuses() {
  while (!status_queue_.empty() && statuses_.Has()) {
    Target& target = *status_queue_.begin()->second;
    LeaveStatusQueue(target);
    EmitStatus(target);
  }
}

void Controller::Impl::LeaveStatusQueue(Target& target) {
  if (target.status_key == absl::InfiniteFuture()) return;
  status_queue_.erase({target.status_key, target.serial});
  target.status_key = absl::InfiniteFuture();
}

void Controller::Impl::EmitStatus(Target& target) {
  statuses_.Take();
  target.status_written_at = now_;
  target.written = DigestOf(target);
  const bool words = options_.explain_statuses;
  actions_.emplace_back(WriteStatus{
      .uid = target.uid,
      .key = target.spec->key,
      .kind = target.spec->kind,
      .status = target.memory.outcome.status,
      .explanation = !target.broken.empty()    ? target.broken.str()
                     : target.decided && words ? core::Explain(*target.spec, target.memory.decision)
                                               : std::string(),
      .metrics = words ? MetricsText(target) : std::string()});
}

std::string Controller::Impl::MetricsText(Target& target) {
  const std::vector<core::MetricStatus>& current = target.memory.outcome.status.current_metrics;
  std::string out;
  for (size_t i = 0; i < target.inputs.size(); ++i) {
    if (i == kMetricsShown) return out + fmt::format(" + {} more", target.inputs.size() - i);
    const Target::Input& input = target.inputs[i];
    const core::Reading* reading =
        input.query == nullptr ? nullptr : queries_.Read(*input.query, input.slot);
    const bool told = reading != nullptr && reading->target;
    if (i > 0) out += ", ";
    out += core::CurrentOfTarget(*input.spec, told ? *reading->target : input.spec->target,
                                 i < current.size() ? &current[i] : nullptr);
  }
  return out;
}

bool Controller::Impl::MayAnnounce(Target& target, const core::Event& event) {
  if (event.type != core::EventType::kWarning) return true;
  auto& announced = target.announced;
  std::erase_if(announced, [this](const Target::Announced& a) {
    return a.at + options_.warning_interval <= now_;
  });
  const uint64_t warning = WarningOf(event);
  if (std::any_of(announced.begin(), announced.end(),
                  [&](const Target::Announced& a) { return a.warning == warning; })) {
    return false;
  }
  if (announced.size() >= kMostAnnounced) return false;  // a flood of ever different texts
  announced.push_back({.warning = warning, .at = now_});
  return true;
}

void Controller::Impl::Quarantine(Target& target, std::string why) {
  NEAP_CHECK(!options_.abort_on_broken_invariant, "{}: {}", target.spec->key.Text(), why);
  ++counters_.quarantines;
  target.broken = std::move(why);
  LeaveQueue(target);
  auto& conditions = target.memory.outcome.status.conditions;
  auto condition = std::find_if(conditions.begin(), conditions.end(),
                                [](const core::Condition& c) { return c.type == kInternalError; });
  if (condition == conditions.end()) {
    conditions.push_back({.type = std::string(kInternalError),
                          .status = core::ConditionStatus::kTrue,
                          .reason = "BrokenInvariant",
                          .message = "",
                          .last_transition = now_});
    condition = conditions.end() - 1;
  }
  condition->message = "not scaled: " + target.broken;
  Report(target,
         {{.type = core::EventType::kWarning,
           .reason = std::string(kInternalError),
           .message = condition->message}},
         /*conditions_changed=*/true);
}

std::string Controller::Impl::BrokenObservation(const core::AutoscalerSpec& spec,
                                                const core::Observation& seen) {
  if (spec.MinReplicas() < 0 || spec.MinReplicas() > spec.max_replicas) {
    return fmt::format("its bounds are {} to {} replicas", spec.MinReplicas(), spec.max_replicas);
  }
  if (seen.scale != nullptr && (seen.scale->spec_replicas < 0 || seen.scale->status_replicas < 0)) {
    return fmt::format("its scale has {} replicas and a status of {}", seen.scale->spec_replicas,
                       seen.scale->status_replicas);
  }
  for (const core::Pod& pod : seen.pods) {
    if (pod.requests >= seen.requests.size()) {
      return fmt::format("pod {} has no entry of what it requests", pod.name);
    }
  }
  for (const core::MetricInput& metric : seen.metrics) {
    if (metric.reading->pods.by_pod.size() > seen.pods.size()) {
      return fmt::format("metric {} has values of {} pods, there are {}", metric.spec->name,
                         metric.reading->pods.by_pod.size(), seen.pods.size());
    }
  }
  return "";
}

std::string Controller::Impl::BrokenDecision(const core::AutoscalerSpec& spec,
                                             const core::Observation& seen,
                                             const core::Decision& decision) {
  if (!decision.rescale) return "";
  if (seen.scale == nullptr || !seen.views_synced || spec.paused) {
    return fmt::format("a change to {} replicas was decided on what is not known",
                       decision.desired);
  }
  const int32_t most = std::max(spec.max_replicas, decision.current);
  if (decision.desired < 0 || decision.desired > most) {
    return fmt::format("{} replicas were decided, the bounds are {} to {}", decision.desired,
                       spec.MinReplicas(), spec.max_replicas);
  }
  if (decision.desired < decision.current && (seen.views_silent || decision.some_invalid)) {
    return fmt::format("a scale-down to {} replicas was decided on what is not known",
                       decision.desired);
  }
  return "";
}

}  // namespace neap::control
