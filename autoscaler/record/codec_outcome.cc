// History, status, events, results of writes; and how a message becomes bytes.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "autoscaler/base/status.h"
#include "autoscaler/record/codec.h"
#include "autoscaler/record/wire.h"

namespace neap::record {

void Encode(const core::Recommendation& recommendation, v1::Recommendation* out) {
  out->set_replicas(recommendation.replicas);
  if (recommendation.at != absl::InfinitePast()) out->set_at_time_ns(Nanos(recommendation.at));
}

absl::Status Decode(const v1::Recommendation& in, core::Recommendation* recommendation) {
  recommendation->replicas = in.replicas();
  if (in.has_at_time_ns()) recommendation->at = TimeOf(in.at_time_ns());
  return absl::OkStatus();
}

void Encode(const core::ScaleEvent& event, v1::ScaleEvent* out) {
  out->set_change(event.change);
  if (event.at != absl::InfinitePast()) out->set_at_time_ns(Nanos(event.at));
  out->set_outdated(event.outdated);
}

absl::Status Decode(const v1::ScaleEvent& in, core::ScaleEvent* event) {
  event->change = in.change();
  if (in.has_at_time_ns()) event->at = TimeOf(in.at_time_ns());
  event->outdated = in.outdated();
  return absl::OkStatus();
}

void Encode(const core::Base& base, v1::Base* out) {
  out->set_replicas(base.replicas);
  out->set_ready_pods(base.ready_pods);
  if (base.at != absl::InfinitePast()) out->set_at_time_ns(Nanos(base.at));
}

absl::Status Decode(const v1::Base& in, core::Base* base) {
  base->replicas = in.replicas();
  base->ready_pods = in.ready_pods();
  if (in.has_at_time_ns()) base->at = TimeOf(in.at_time_ns());
  return absl::OkStatus();
}

void Encode(const control::KeptHistory& kept, v1::KeptHistory* out) {
  for (const auto& entry : kept.history.recommendations) Encode(entry, out->add_recommendations());
  for (const auto& event : kept.history.up_events) Encode(event, out->add_up_events());
  for (const auto& event : kept.history.down_events) Encode(event, out->add_down_events());
  if (kept.history.base) Encode(*kept.history.base, out->mutable_base());
  if (kept.replicas) out->set_replicas(*kept.replicas);
  out->set_scale_version(kept.scale_version);
}

absl::Status Decode(const v1::KeptHistory& in, control::KeptHistory* kept) {
  *kept = {};
  core::History& history = kept->history;
  for (const auto& entry : in.recommendations()) {
    NEAP_RETURN_IF_ERROR(Decode(entry, &history.recommendations.emplace_back()));
  }
  for (const auto& event : in.up_events()) {
    NEAP_RETURN_IF_ERROR(Decode(event, &history.up_events.emplace_back()));
  }
  for (const auto& event : in.down_events()) {
    NEAP_RETURN_IF_ERROR(Decode(event, &history.down_events.emplace_back()));
  }
  if (in.has_base()) NEAP_RETURN_IF_ERROR(Decode(in.base(), &history.base.emplace()));
  if (in.has_replicas()) kept->replicas = in.replicas();
  kept->scale_version = in.scale_version();
  // It lay where others may write: what no decision can have left is refused.
  for (const auto* events : {&history.up_events, &history.down_events}) {
    if (events->size() > core::History::kMaxEntries) {
      return base::InvalidArgument("{} scale events, there are at most {}", events->size(),
                                   core::History::kMaxEntries);
    }
    for (const core::ScaleEvent& event : *events) {
      if (event.change <= 0) return base::InvalidArgument("a scale event of {}", event.change);
    }
  }
  if (history.recommendations.size() > core::History::kMaxEntries) {
    return base::InvalidArgument("{} recommendations, there are at most {}",
                                 history.recommendations.size(), core::History::kMaxEntries);
  }
  for (const core::Recommendation& entry : history.recommendations) {
    if (entry.replicas < 0) return base::InvalidArgument("{} replicas recommended", entry.replicas);
  }
  if (kept->replicas.value_or(0) < 0) return base::InvalidArgument("{} replicas", *kept->replicas);
  return absl::OkStatus();
}

std::string Encoded(const control::KeptHistory& kept) {
  v1::KeptHistory message;
  Encode(kept, &message);
  return Serialised(message);
}

absl::StatusOr<control::KeptHistory> DecodedHistory(std::string_view bytes) {
  v1::KeptHistory message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("{} bytes are no history", bytes.size());
  }
  control::KeptHistory kept;
  NEAP_RETURN_IF_ERROR(Decode(message, &kept));
  return kept;
}

void Encode(const core::CrashLoop& loop, v1::CrashLoop* out) {
  if (loop.since != absl::InfinitePast()) out->set_since_time_ns(Nanos(loop.since));
  if (loop.seen != absl::InfinitePast()) out->set_seen_time_ns(Nanos(loop.seen));
}

absl::Status Decode(const v1::CrashLoop& in, core::CrashLoop* loop) {
  if (in.has_since_time_ns()) loop->since = TimeOf(in.since_time_ns());
  if (in.has_seen_time_ns()) loop->seen = TimeOf(in.seen_time_ns());
  return absl::OkStatus();
}

void Encode(const core::Condition& condition, v1::Condition* out) {
  out->set_type(condition.type);
  out->set_status(EnumOf<v1::ConditionStatus>(condition.status));
  out->set_reason(condition.reason);
  out->set_message(condition.message);
  if (condition.last_transition != absl::InfinitePast()) {
    out->set_last_transition_time_ns(Nanos(condition.last_transition));
  }
}

absl::Status Decode(const v1::Condition& in, core::Condition* condition) {
  condition->type = in.type();
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.status(), core::ConditionStatus::kUnknown, "condition status",
                                  &condition->status));
  condition->reason = in.reason();
  condition->message = in.message();
  if (in.has_last_transition_time_ns()) {
    condition->last_transition = TimeOf(in.last_transition_time_ns());
  }
  return absl::OkStatus();
}

void Encode(const core::MetricStatus& metric, v1::MetricStatus* out) {
  out->set_valid(metric.valid);
  out->set_source(EnumOf<v1::MetricSource>(metric.source));
  out->set_name(metric.name);
  out->set_container(metric.container);
  if (metric.described_object) {
    Encode(*metric.described_object, out->mutable_described_object());
  }
  if (metric.selector) Encode(*metric.selector, out->mutable_selector());
  if (metric.average_utilization) out->set_average_utilization(*metric.average_utilization);
  if (metric.average_value) out->set_average_value(*metric.average_value);
  if (metric.value) out->set_value(*metric.value);
  out->set_format(EnumOf<v1::QuantityFormat>(metric.format));
}

absl::Status Decode(const v1::MetricStatus& in, core::MetricStatus* metric) {
  metric->valid = in.valid();
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.source(), core::MetricSource::kUnknown, "metric source", &metric->source));
  metric->name = in.name();
  metric->container = in.container();
  if (in.has_described_object()) {
    NEAP_RETURN_IF_ERROR(Decode(in.described_object(), &metric->described_object.emplace()));
  }
  if (in.has_selector()) {
    NEAP_RETURN_IF_ERROR(Decode(in.selector(), &metric->selector.emplace()));
  }
  if (in.has_average_utilization()) metric->average_utilization = in.average_utilization();
  if (in.has_average_value()) metric->average_value = in.average_value();
  if (in.has_value()) metric->value = in.value();
  return DecodeEnum(in.format(), base::QuantityFormat::kDecimalExponent, "quantity format",
                    &metric->format);
}

void Encode(const core::Event& event, v1::Event* out) {
  out->set_type(EnumOf<v1::EventType>(event.type));
  out->set_reason(event.reason);
  out->set_message(event.message);
}

absl::Status Decode(const v1::Event& in, core::Event* event) {
  event->reason = in.reason();
  event->message = in.message();
  return DecodeEnum(in.type(), core::EventType::kWarning, "event type", &event->type);
}

void Encode(const core::ApplyResult& result, v1::ApplyResult* out) {
  out->set_kind(EnumOf<v1::ApplyKind>(result.kind));
  if (result.at != absl::InfinitePast()) out->set_at_time_ns(Nanos(result.at));
  out->set_error(result.error);
}

absl::Status Decode(const v1::ApplyResult& in, core::ApplyResult* result) {
  if (in.has_at_time_ns()) result->at = TimeOf(in.at_time_ns());
  result->error = in.error();
  return DecodeEnum(in.kind(), core::ApplyResult::Kind::kUnknown, "result kind", &result->kind);
}

std::string Serialised(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace neap::record
