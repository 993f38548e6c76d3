#include "autoscaler/record/changes.h"

#include <algorithm>
#include <utility>

#include "autoscaler/control/digest.h"
#include "autoscaler/record/wire.h"

namespace neap::record {
namespace {

// How far ahead an entry is looked for: entries that moved further are written again.
constexpr size_t kReach = 64;

template <typename Message>
uint64_t DigestOfMessage(const Message& message) {
  thread_local std::string bytes;
  bytes.clear();
  message.AppendToString(&bytes);  // no maps: one encoding
  return control::Digest().Text(bytes).value();
}

// By the encoded form, so that no field can be forgotten; but histories are long and hold only
// these.
template <typename Message, typename T>
uint64_t DigestOf(const T& entry) {
  thread_local Message message;
  message.Clear();
  Encode(entry, &message);
  return DigestOfMessage(message);
}
template <>
uint64_t DigestOf<v1::Recommendation>(const core::Recommendation& entry) {
  const auto& [replicas, at] = entry;  // all fields, else it does not compile
  return control::Digest().Signed(replicas).At(at).value();
}
template <>
uint64_t DigestOf<v1::ScaleEvent>(const core::ScaleEvent& entry) {
  const auto& [change, at, outdated] = entry;
  return control::Digest().Signed(change).At(at).Word(outdated ? 1 : 0).value();
}
struct Text {};  // stands for the message of a list of texts
template <>
uint64_t DigestOf<Text>(const std::string& entry) {
  return control::Digest().Text(entry).value();
}

template <typename T, typename Changes>
void Add(const T& entry, Changes* out) {
  Encode(entry, out->add_added());
}
void Add(const std::string& entry, v1::OverlappingChanges* out) { out->add_added(entry); }

// Writes the list as changes against the one with the digests `former`, which becomes this one's.
// False, and nothing written, when it is the same.
template <typename Message, typename List, typename Mutable>
bool ListChanged(const List& list, std::vector<uint64_t>& former, const Mutable& mutable_out) {
  std::vector<uint64_t> now;
  now.reserve(list.size());
  for (const auto& entry : list) now.push_back(DigestOf<Message>(entry));
  if (now == former) return false;
  auto* out = mutable_out();
  size_t cursor = 0;  // in `former`
  const auto find = [&](uint64_t digest) {
    const size_t end = std::min(former.size(), cursor + kReach);
    return static_cast<size_t>(std::find(former.begin() + static_cast<std::ptrdiff_t>(cursor),
                                         former.begin() + static_cast<std::ptrdiff_t>(end),
                                         digest) -
                               former.begin());
  };
  const auto found = [&](size_t at) { return at < std::min(former.size(), cursor + kReach); };
  for (size_t i = 0; i < now.size();) {
    uint32_t skip = 0;
    uint32_t keep = 0;
    uint32_t add = 0;
    if (const size_t at = find(now[i]); found(at)) {
      skip = static_cast<uint32_t>(at - cursor);
      cursor = at;
      for (; i < now.size() && cursor < former.size() && now[i] == former[cursor]; ++i, ++cursor) {
        ++keep;
      }
    }
    for (; i < now.size() && !found(find(now[i])); ++i) {
      ++add;
      Add(list[i], out);
    }
    out->add_runs(skip);
    out->add_runs(keep);
    out->add_runs(add);
  }
  former = std::move(now);
  return true;
}

// The same for what is no list: written as a whole when it changed.
bool Changed(uint64_t digest, uint64_t& former) {
  if (digest == 0) digest = 1;  // 0 = nothing written yet
  const bool changed = digest != former;
  former = digest;
  return changed;
}

template <typename Message, typename T>
absl::Status DecodeEntry(const Message& in, T* out) {
  return Decode(in, out);
}
absl::Status DecodeEntry(const std::string& in, std::string* out) {
  *out = in;
  return absl::OkStatus();
}

template <typename Changes, typename T>
absl::Status ApplyChanges(const Changes& in, std::string_view what, std::vector<T>* list) {
  if (in.runs_size() % 3 != 0) {
    return base::InvalidArgument("{}: {} numbers of runs are no triples", what, in.runs_size());
  }
  std::vector<T> now;
  size_t cursor = 0;
  int added = 0;
  for (int run = 0; run < in.runs_size(); run += 3) {
    const size_t skip = in.runs(run);
    const size_t keep = in.runs(run + 1);
    const size_t add = in.runs(run + 2);
    if (skip + keep > list->size() - cursor) {
      return base::InvalidArgument("{}: changes of a list of {} entries reach beyond it", what,
                                   list->size());
    }
    if (add > static_cast<size_t>(in.added_size() - added)) {
      return base::InvalidArgument("{}: {} entries added, more are named", what, in.added_size());
    }
    cursor += skip;
    for (size_t i = 0; i < keep; ++i) now.push_back(std::move((*list)[cursor++]));
    for (size_t i = 0; i < add; ++i) {
      NEAP_RETURN_IF_ERROR(DecodeEntry(in.added(added++), &now.emplace_back()));
    }
  }
  *list = std::move(now);
  return absl::OkStatus();
}

absl::Status ApplyHistory(const v1::HistoryChanges& in, core::History* history) {
  if (in.has_recommendations()) {
    NEAP_RETURN_IF_ERROR(
        ApplyChanges(in.recommendations(), "recommendations", &history->recommendations));
  }
  if (in.has_up_events()) {
    NEAP_RETURN_IF_ERROR(ApplyChanges(in.up_events(), "up_events", &history->up_events));
  }
  if (in.has_down_events()) {
    NEAP_RETURN_IF_ERROR(ApplyChanges(in.down_events(), "down_events", &history->down_events));
  }
  if (in.has_base()) {
    history->base.reset();
    if (in.base().has_base()) {
      NEAP_RETURN_IF_ERROR(Decode(in.base().base(), &history->base.emplace()));
    }
  }
  if (in.has_crash_loop()) {
    history->crash_loop.reset();
    if (in.crash_loop().has_crash_loop()) {
      NEAP_RETURN_IF_ERROR(Decode(in.crash_loop().crash_loop(), &history->crash_loop.emplace()));
    }
  }
  if (in.has_counted()) {
    history->counted.assign(in.counted().sequences().begin(), in.counted().sequences().end());
  }
  return absl::OkStatus();
}

absl::Status ApplyStatus(const v1::StatusChanges& in, core::Status* status) {
  if (in.has_counts()) {
    status->current_replicas = in.counts().current_replicas();
    status->desired_replicas = in.counts().desired_replicas();
    status->last_scale_time.reset();
    if (in.counts().has_last_scale_time_ns()) {
      status->last_scale_time = TimeOf(in.counts().last_scale_time_ns());
    }
    status->observed_generation.reset();
    if (in.counts().has_observed_generation()) {
      status->observed_generation = in.counts().observed_generation();
    }
  }
  if (in.has_current_metrics()) {
    NEAP_RETURN_IF_ERROR(
        ApplyChanges(in.current_metrics(), "current_metrics", &status->current_metrics));
  }
  if (in.has_conditions()) {
    NEAP_RETURN_IF_ERROR(ApplyChanges(in.conditions(), "conditions", &status->conditions));
  }
  return absl::OkStatus();
}

// That a decision names only metrics that were seen: whoever explains it follows the numbers.
absl::Status CheckMetrics(const core::Decision& decision, size_t metrics) {
  const auto end = static_cast<int64_t>(metrics);
  bool fits =
      decision.metrics.size() <= metrics && decision.winner < end && decision.first_invalid < end;
  for (const core::Step& step : decision.steps) fits = fits && step.metric < end;
  if (fits) return absl::OkStatus();
  return base::InvalidArgument("the decision names metrics beyond the {} that were seen", metrics);
}

std::vector<OwnedObservation::Metric> MetricsOf(const core::Observation& seen) {
  std::vector<OwnedObservation::Metric> metrics;
  for (const core::MetricInput& input : seen.metrics) {
    metrics.push_back({.spec = *input.spec, .stale_after = input.stale_after});
  }
  return metrics;
}

}  // namespace

// ---- encoding --------------------------------------------------------------------------------

void ChangeEncoder::Encode(const control::DecisionRecord& record, v1::DecisionEntry* out) {
  out->set_decision_id(record.decision_id);
  out->set_cause(record::Encode(record.cause));
  EncodeSeen(*record.seen, out->mutable_seen());
  if (!HistoryChanged(*record.before, out->mutable_before())) out->clear_before();
  record::Encode(*record.decision, out->mutable_decision());
}

void ChangeEncoder::Encode(const control::OutcomeRecord& record, v1::OutcomeEntry* out) {
  out->set_decision_id(record.decision_id);
  record::Encode(record.result, out->mutable_result());
  if (!HistoryChanged(record.outcome->history, out->mutable_history())) out->clear_history();
  if (!StatusChanged(record.outcome->status, out->mutable_status())) out->clear_status();
  for (const core::Event& event : record.outcome->events) {
    record::Encode(event, out->add_events());
  }
}

void ChangeEncoder::EncodeSeen(const core::Observation& seen, v1::Observation* out) {
  if (seen.now != absl::InfinitePast()) out->set_now_time_ns(Nanos(seen.now));
  v1::ScaleChange scale;
  if (seen.scale != nullptr) record::Encode(*seen.scale, scale.mutable_scale());
  if (Changed(DigestOfMessage(scale), scale_)) *out->mutable_scale() = std::move(scale);
  if (seen.scale_error != nullptr) record::Encode(*seen.scale_error, out->mutable_scale_error());
  if (seen.selector_error != nullptr) out->set_selector_error(*seen.selector_error);
  ListChanged<v1::Pod>(seen.pods, pods_, [&] { return out->mutable_pods(); });
  ListChanged<v1::PodRequests>(seen.requests, requests_, [&] { return out->mutable_requests(); });
  ListChanged<v1::MetricInput>(MetricsOf(seen), metrics_, [&] { return out->mutable_metrics(); });
  for (const core::MetricInput& input : seen.metrics) {
    record::Encode(*input.reading, seen.now, out->add_readings());
  }
  ListChanged<Text>(seen.overlapping, overlapping_, [&] { return out->mutable_overlapping(); });
  if (!StatusChanged(*seen.previous, out->mutable_previous())) out->clear_previous();
  out->set_views_not_synced(!seen.views_synced);
  out->set_views_silent(seen.views_silent);
  out->set_takes_base(seen.takes_base);
}

bool ChangeEncoder::HistoryChanged(const core::History& history, v1::HistoryChanges* out) {
  bool changed = ListChanged<v1::Recommendation>(history.recommendations, recommendations_,
                                                 [&] { return out->mutable_recommendations(); });
  changed |= ListChanged<v1::ScaleEvent>(history.up_events, up_events_,
                                         [&] { return out->mutable_up_events(); });
  changed |= ListChanged<v1::ScaleEvent>(history.down_events, down_events_,
                                         [&] { return out->mutable_down_events(); });
  v1::BaseChange base;
  if (history.base) record::Encode(*history.base, base.mutable_base());
  if (Changed(DigestOfMessage(base), base_)) {
    *out->mutable_base() = std::move(base);
    changed = true;
  }
  v1::CrashLoopChange loop;
  if (history.crash_loop) record::Encode(*history.crash_loop, loop.mutable_crash_loop());
  // Hardly any target ever has one: its absence at the start needs no word.
  const bool loop_said = history.crash_loop || crash_loop_ != 0;
  if (loop_said && Changed(DigestOfMessage(loop), crash_loop_)) {
    *out->mutable_crash_loop() = std::move(loop);
    changed = true;
  }
  v1::CountedChange counted;
  for (const uint64_t sequence : history.counted) counted.add_sequences(sequence);
  if (Changed(DigestOfMessage(counted), counted_)) {
    *out->mutable_counted() = std::move(counted);
    changed = true;
  }
  return changed;
}

bool ChangeEncoder::StatusChanged(const core::Status& status, v1::StatusChanges* out) {
  v1::StatusCounts counts;
  counts.set_current_replicas(status.current_replicas);
  counts.set_desired_replicas(status.desired_replicas);
  if (status.last_scale_time) counts.set_last_scale_time_ns(Nanos(*status.last_scale_time));
  if (status.observed_generation) counts.set_observed_generation(*status.observed_generation);
  bool changed = Changed(DigestOfMessage(counts), counts_);
  if (changed) *out->mutable_counts() = std::move(counts);
  changed |= ListChanged<v1::MetricStatus>(status.current_metrics, current_metrics_,
                                           [&] { return out->mutable_current_metrics(); });
  changed |= ListChanged<v1::Condition>(status.conditions, conditions_,
                                        [&] { return out->mutable_conditions(); });
  return changed;
}

// ---- decoding --------------------------------------------------------------------------------

absl::Status ChangeDecoder::Decode(const v1::DecisionEntry& in) {
  before_ = outcome_.history;
  NEAP_RETURN_IF_ERROR(ApplyHistory(in.before(), &before_));
  outcome_.history = before_;
  NEAP_RETURN_IF_ERROR(DecodeSeen(in.seen()));
  decision_ = {};
  NEAP_RETURN_IF_ERROR(record::Decode(in.decision(), &decision_));
  return CheckMetrics(decision_, seen_.metrics.size());
}

absl::Status ChangeDecoder::Decode(const v1::OutcomeEntry& in) {
  NEAP_RETURN_IF_ERROR(ApplyHistory(in.history(), &outcome_.history));
  NEAP_RETURN_IF_ERROR(ApplyStatus(in.status(), &outcome_.status));
  outcome_.events.clear();
  for (const v1::Event& event : in.events()) {
    NEAP_RETURN_IF_ERROR(record::Decode(event, &outcome_.events.emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status ChangeDecoder::DecodeSeen(const v1::Observation& in) {
  seen_.now = in.has_now_time_ns() ? TimeOf(in.now_time_ns()) : absl::InfinitePast();
  if (in.has_scale()) {
    seen_.scale.reset();
    if (in.scale().has_scale()) {
      NEAP_RETURN_IF_ERROR(record::Decode(in.scale().scale(), &seen_.scale.emplace()));
    }
  }
  seen_.scale_error.reset();
  if (in.has_scale_error()) {
    NEAP_RETURN_IF_ERROR(record::Decode(in.scale_error(), &seen_.scale_error.emplace()));
  }
  seen_.selector_error.reset();
  if (in.has_selector_error()) seen_.selector_error = in.selector_error();
  if (in.has_pods()) NEAP_RETURN_IF_ERROR(ApplyChanges(in.pods(), "pods", &seen_.pods));
  if (in.has_requests()) {
    NEAP_RETURN_IF_ERROR(ApplyChanges(in.requests(), "requests", &seen_.requests));
  }
  if (in.has_metrics()) {
    NEAP_RETURN_IF_ERROR(ApplyChanges(in.metrics(), "metrics", &seen_.metrics));
  }
  if (in.has_overlapping()) {
    NEAP_RETURN_IF_ERROR(ApplyChanges(in.overlapping(), "overlapping", &seen_.overlapping));
  }
  seen_.readings.clear();
  for (const v1::Reading& reading : in.readings()) {
    NEAP_RETURN_IF_ERROR(record::Decode(reading, seen_.now, &seen_.readings.emplace_back()));
    if (seen_.readings.back().pods.by_pod.size() > seen_.pods.size()) {
      return base::InvalidArgument("a reading has values of {} pods, there are {}",
                                   seen_.readings.back().pods.by_pod.size(), seen_.pods.size());
    }
  }
  if (seen_.readings.size() != seen_.metrics.size()) {
    return base::InvalidArgument("{} readings of {} metrics", seen_.readings.size(),
                                 seen_.metrics.size());
  }
  for (const core::Pod& pod : seen_.pods) {
    if (pod.requests >= seen_.requests.size()) {
      return base::InvalidArgument("pod {} names entry {} of {} requests", pod.name, pod.requests,
                                   seen_.requests.size());
    }
  }
  NEAP_RETURN_IF_ERROR(ApplyStatus(in.previous(), &outcome_.status));
  seen_.previous = outcome_.status;
  seen_.views_synced = !in.views_not_synced();
  seen_.views_silent = in.views_silent();
  seen_.takes_base = in.takes_base();
  return absl::OkStatus();
}

}  // namespace neap::record
