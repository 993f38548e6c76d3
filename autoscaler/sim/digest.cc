#include "autoscaler/sim/digest.h"

#include <fmt/format.h>

#include <variant>

#include "autoscaler/core/decide.h"

namespace neap::sim {
namespace {

using control::Digest;

template <typename Enum>
uint64_t Code(Enum value) {
  return static_cast<uint64_t>(value);
}

// Small numbers and flags share words: what counts is that different values give different words.
uint64_t Pair(int32_t a, int32_t b) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32) | static_cast<uint32_t>(b);
}

template <typename T>
void AddOptional(Digest& digest, const std::optional<T>& value) {
  digest.Word(value.has_value() ? 1 : 0);
  if (value) digest.Signed(static_cast<int64_t>(*value));
}

void AddReading(Digest& digest, const core::Reading& reading) {
  digest.Word(Code(reading.form) | (reading.absent ? 256 : 0)).Word(reading.sequence);
  digest.At(reading.observed_at).At(reading.sampled_at);
  if (reading.form == core::Reading::Form::kError) {
    digest.Word(Code(reading.error.kind)).Text(reading.error.message);
  }
  digest.Word(reading.milli.size());
  for (const int64_t value : reading.milli) digest.Signed(value);
  digest.Word(reading.real.size());
  for (const double value : reading.real) digest.Real(value);
  digest.Word(reading.pods.by_pod.size());
  for (const core::PodSample& sample : reading.pods.by_pod) {
    digest.Word(sample.present ? 1 : 0);
    if (sample.present) digest.Signed(sample.milli).At(sample.at).For(sample.window);
  }
  digest.Word(reading.pods.stray.size());
  for (const int64_t value : reading.pods.stray) digest.Signed(value);
  digest.Word(!reading.active ? 0 : *reading.active ? 2 : 1);
  if (reading.target) {
    digest.Word(Code(reading.target->kind));
    AddOptional(digest, reading.target->average_utilization);
    AddOptional(digest, reading.target->average_value);
    AddOptional(digest, reading.target->value);
  }
}

void AddSeen(Digest& digest, const core::Observation& seen) {
  digest.At(seen.now).Word((seen.views_synced ? 1 : 0) | (seen.views_silent ? 2 : 0) |
                           (seen.takes_base ? 4 : 0) | (seen.scale != nullptr ? 8 : 0));
  if (seen.scale != nullptr) {
    digest.Word(Pair(seen.scale->spec_replicas, seen.scale->status_replicas));
    digest.Text(seen.scale->resource_version);
  }
  if (seen.scale_error != nullptr) digest.Text(seen.scale_error->message);
  digest.Word(seen.pods.size());
  for (const core::Pod& pod : seen.pods) {
    digest.Text(pod.name).At(pod.start).At(pod.ready_at);
    digest.Word(Code(pod.phase) | Code(pod.ready) << 8 | (pod.deleting ? 1 << 16 : 0) |
                Code(pod.trouble) << 24);
  }
  for (const core::MetricInput& metric : seen.metrics) AddReading(digest, *metric.reading);
  for (const std::string& key : seen.overlapping) digest.Text(key);
}

struct DetailWords {
  Digest& digest;
  void operator()(std::monostate) const {}
  void operator()(const core::RatioDetail& d) const {
    digest.Signed(d.usage).Signed(d.target).Signed(d.pods);
    if (d.ratio == d.ratio) digest.Real(d.ratio);  // a NaN's sign is the compiler's choice
  }
  void operator()(const core::PodsDetail& d) const {
    digest.Word(Pair(d.ready, d.unready)).Word(Pair(d.missing, d.ignored));
  }
  void operator()(const core::WindowDetail& d) const { digest.Word(Pair(d.lowest, d.highest)); }
  void operator()(const core::LimitDetail& d) const { digest.Signed(d.limit); }
  void operator()(const core::CountDetail& d) const { digest.Word(Pair(d.count, d.of)); }
  void operator()(const core::AgeDetail& d) const { digest.For(d.age).For(d.limit); }
  void operator()(const core::CrashLoopDetail& d) const {
    digest.Word(Pair(d.crashing, d.of)).For(d.since).For(d.limit);
  }
};

void AddDecision(Digest& digest, const core::Decision& decision) {
  digest.Word(Code(decision.verdict) | Code(decision.rescale_reason) << 8 |
              Code(decision.failure) << 16 | Code(decision.able) << 24 |
              Code(decision.limited) << 32 | (decision.rescale ? 1ULL << 40 : 0) |
              (decision.some_invalid ? 1ULL << 41 : 0) | (decision.took_base ? 1ULL << 42 : 0) |
              (decision.crash_loop ? 1ULL << 43 : 0));
  digest.Word(Pair(decision.current, decision.recommended));
  digest.Word(Pair(decision.stabilised, decision.desired));
  digest.Word(Pair(decision.winner, decision.first_invalid)).Signed(decision.ready_pods);
  if (!decision.failure_text.empty()) digest.Text(decision.failure_text);
  for (const core::MetricResult& metric : decision.metrics) {
    digest.Word(Pair(metric.proposal, (metric.valid ? 1 : 0) | (metric.overflow ? 2 : 0) |
                                          (metric.absent ? 4 : 0) |
                                          (metric.no_ready_pods ? 8 : 0)));
    AddOptional(digest, metric.utilization);
    AddOptional(digest, metric.average_value);
    AddOptional(digest, metric.value);
    if (!metric.valid) digest.Word(Code(metric.error_kind)).Text(metric.error);
  }
  digest.Word(decision.steps.size());
  for (const core::Step& step : decision.steps) {
    digest.Word(Code(step.stage) | Code(step.reason) << 8 |
                static_cast<uint64_t>(static_cast<uint16_t>(step.metric)) << 16);
    digest.Word(Pair(step.before, step.after));
    std::visit(DetailWords{digest}, step.detail);
  }
}

void AddHistory(Digest& digest, const core::History& history) {
  digest.Word(history.recommendations.size());
  // All but the last one were there before, or the list became shorter.
  if (!history.recommendations.empty()) {
    const core::Recommendation& last = history.recommendations.back();
    digest.Signed(last.replicas).At(last.at);
  }
  for (const auto* events : {&history.up_events, &history.down_events}) {
    digest.Word(events->size());
    for (const core::ScaleEvent& event : *events) {
      digest.Word(Pair(event.change, event.outdated ? 1 : 0)).At(event.at);
    }
  }
  if (history.base) {
    digest.Word(Pair(history.base->replicas, history.base->ready_pods)).At(history.base->at);
  }
  if (history.crash_loop) digest.At(history.crash_loop->since).At(history.crash_loop->seen);
  for (const uint64_t sequence : history.counted) digest.Word(sequence);
}

void AddStatus(Digest& digest, const core::Status& status) {
  digest.Word(Pair(status.current_replicas, status.desired_replicas));
  digest.At(status.last_scale_time.value_or(absl::InfinitePast()));
  AddOptional(digest, status.observed_generation);
  for (const core::MetricStatus& metric : status.current_metrics) {
    digest.Word(metric.valid ? 1 : 0);
    AddOptional(digest, metric.average_utilization);
    AddOptional(digest, metric.average_value);
    AddOptional(digest, metric.value);
  }
  for (const core::Condition& condition : status.conditions) {
    digest.Word(Code(condition.status)).Text(condition.reason).Text(condition.message);
    digest.At(condition.last_transition);
  }
}

}  // namespace

void RunDigest::Add(const control::DecisionRecord& record) {
  digest_.Text(record.uid).Word(record.decision_id).Word(record.spec_version);
  digest_.Word(Code(record.cause));
  AddSeen(digest_, *record.seen);
  AddDecision(digest_, *record.decision);
}

void RunDigest::Add(const control::OutcomeRecord& record) {
  digest_.Text(record.uid).Word(record.decision_id);
  digest_.Word(Code(record.result.kind)).At(record.result.at).Text(record.result.error);
  AddHistory(digest_, record.outcome->history);
  AddStatus(digest_, record.outcome->status);
  for (const core::Event& event : record.outcome->events) {
    digest_.Word(Code(event.type)).Text(event.reason).Text(event.message);
  }
}

std::string RunDigest::Text() const { return fmt::format("{:016x}", digest_.value()); }

}  // namespace neap::sim
