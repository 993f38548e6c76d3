#include "scalers/sdk/wire.h"

#include <fmt/format.h>

#include <algorithm>

#include "neap/scaler/v1/scaler.pb.h"

namespace neap::sdk {
namespace {

constexpr size_t kMaxText = 1000;         // bytes of an error's message
constexpr size_t kMaxReading = 15 << 20;  // bytes; a message has at most 16 MiB

// The length of the UTF-8 character that `text` begins with, 0 when it begins with none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool second = follows(1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF);
    return second && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool second = follows(1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// Messages may hold what a source said, which may be anything; a string field must be UTF-8.
std::string Clean(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (out.size() + std::max<size_t>(length, 1) > kMaxText) {
      out += "...";
      break;
    }
    if (length == 0) {
      out += '?';
    } else if (length == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f)) {
      out += ' ';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

void ToWire(absl::Duration duration, google::protobuf::Duration& to) {
  const absl::Duration bounded = std::clamp(duration, absl::ZeroDuration(), absl::Hours(24 * 366));
  absl::Duration rest;
  to.set_seconds(absl::IDivDuration(bounded, absl::Seconds(1), &rest));
  to.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

pb::TargetKind ToWire(TargetKind kind) {
  switch (kind) {
    case TargetKind::kValue:
      return pb::VALUE;
    case TargetKind::kAverageValue:
      return pb::AVERAGE_VALUE;
    case TargetKind::kUtilization:
      return pb::UTILIZATION;
    case TargetKind::kUnspecified:
      break;
  }
  return pb::TARGET_KIND_UNSPECIFIED;
}

TargetKind FromWire(pb::TargetKind kind) {
  switch (kind) {
    case pb::VALUE:
      return TargetKind::kValue;
    case pb::AVERAGE_VALUE:
      return TargetKind::kAverageValue;
    case pb::UTILIZATION:
      return TargetKind::kUtilization;
    default:
      return TargetKind::kUnspecified;
  }
}

void ToWire(const Target& target, pb::Target& to) {
  to.set_kind(ToWire(target.kind));
  to.set_amount(target.amount);
}

pb::Error::Kind ToWire(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUnavailable:
      return pb::Error::UNAVAILABLE;
    case ErrorKind::kTimeout:
      return pb::Error::TIMEOUT;
    case ErrorKind::kDenied:
      return pb::Error::DENIED;
    case ErrorKind::kNotFound:
      return pb::Error::NOT_FOUND;
    case ErrorKind::kBadParameter:
      return pb::Error::BAD_PARAMETER;
    case ErrorKind::kBadAnswer:
      return pb::Error::BAD_ANSWER;
    case ErrorKind::kThrottled:
      return pb::Error::THROTTLED;
    case ErrorKind::kInternal:
      return pb::Error::INTERNAL;
    case ErrorKind::kUnknownTrigger:
      return pb::Error::UNKNOWN_TRIGGER;
  }
  return pb::Error::INTERNAL;
}

pb::Parameter::Kind ToWire(catalog::Kind kind) {
  switch (kind) {
    case catalog::Kind::kString:
      return pb::Parameter::STRING;
    case catalog::Kind::kInt:
      return pb::Parameter::INT;
    case catalog::Kind::kFloat:
      return pb::Parameter::FLOAT;
    case catalog::Kind::kBool:
      return pb::Parameter::BOOL;
    case catalog::Kind::kDuration:
      return pb::Parameter::DURATION;
    case catalog::Kind::kList:
      return pb::Parameter::LIST;
    case catalog::Kind::kMap:
      return pb::Parameter::MAP;
    case catalog::Kind::kQuantity:
      return pb::Parameter::QUANTITY;
  }
  return pb::Parameter::KIND_UNSPECIFIED;
}

pb::Parameter::Source ToWire(catalog::Source source) {
  switch (source) {
    case catalog::Source::kMetadata:
      return pb::Parameter::METADATA;
    case catalog::Source::kAuth:
      return pb::Parameter::AUTH;
    case catalog::Source::kEnv:
      return pb::Parameter::ENV;
  }
  return pb::Parameter::SOURCE_UNSPECIFIED;
}

pb::TargetKind ToWire(catalog::TargetKind kind) {
  switch (kind) {
    case catalog::TargetKind::kValue:
      return pb::VALUE;
    case catalog::TargetKind::kAverageValue:
      return pb::AVERAGE_VALUE;
    case catalog::TargetKind::kUtilization:
      return pb::UTILIZATION;
    case catalog::TargetKind::kUnspecified:
      break;
  }
  return pb::TARGET_KIND_UNSPECIFIED;
}

void ToWire(const catalog::Parameter& parameter, pb::Parameter& to) {
  to.set_name(parameter.name);
  for (const std::string& alias : parameter.aliases) to.add_aliases(alias);
  to.set_kind(ToWire(parameter.kind));
  to.set_required(parameter.required);
  if (parameter.default_value) to.set_default_value(*parameter.default_value);
  to.set_secret(parameter.secret);
  for (catalog::Source source : parameter.sources) to.add_sources(ToWire(source));
  for (const std::string& value : parameter.allowed_values) to.add_allowed_values(value);
  to.set_exclusive_group(parameter.exclusive_group);
  to.set_deprecated(parameter.deprecated);
  to.set_description(parameter.description);
}

void ToWire(const PodValues& pods, pb::PodValues& to) {
  for (const std::string& pod : pods.pod) to.add_pod(pod);
  to.mutable_milli()->Add(pods.milli.begin(), pods.milli.end());
  for (absl::Time at : pods.sampled_at) to.add_sampled_at_ns(absl::ToUnixNanos(at));
  for (absl::Duration window : pods.window) to.add_window_ns(absl::ToInt64Nanoseconds(window));
}

void ToWire(const MetricReading& metric, absl::Duration waited, pb::MetricReading& to) {
  to.set_name(metric.name);
  if (const auto* error = std::get_if<Error>(&metric.result)) {
    ToWire(*error, *to.mutable_error());
    return;
  }
  if (const auto* pods = std::get_if<PodValues>(&metric.result)) {
    ToWire(*pods, *to.mutable_pods());
  } else {
    const auto& series = std::get<Series>(metric.result);
    to.mutable_series()->mutable_milli()->Add(series.milli.begin(), series.milli.end());
    to.mutable_series()->mutable_real()->Add(series.real.begin(), series.real.end());
  }
  if (metric.active) to.set_active(*metric.active);
  to.set_absent(metric.absent);
  ToWire(metric.age + waited, *to.mutable_age());
  if (metric.sampled_at != absl::InfinitePast()) {
    const int64_t seconds = absl::ToUnixSeconds(metric.sampled_at);  // rounded down
    to.mutable_sampled_at()->set_seconds(seconds);
    to.mutable_sampled_at()->set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(metric.sampled_at - absl::FromUnixSeconds(seconds))));
  }
  if (metric.suggested_target) ToWire(*metric.suggested_target, *to.mutable_suggested_target());
}

}  // namespace

TriggerRequest FromWire(const pb::Trigger& trigger) {
  TriggerRequest out;
  out.type = trigger.type();
  out.text.metadata = {trigger.metadata().begin(), trigger.metadata().end()};
  out.text.auth = {trigger.auth().begin(), trigger.auth().end()};
  out.text.env = {trigger.env().begin(), trigger.env().end()};
  out.text.pod_identity = trigger.pod_identity();
  const pb::Context& context = trigger.context();
  out.context = {.ns = context.namespace_(),
                 .kind = context.object_kind(),
                 .name = context.object_name(),
                 .uid = context.object_uid(),
                 .pod_selector = context.pod_selector()};
  out.interval =
      absl::Seconds(trigger.interval().seconds()) + absl::Nanoseconds(trigger.interval().nanos());
  out.requested_target = FromWire(trigger.requested_target());
  return out;
}

void ToWire(const catalog::TriggerType& type, pb::TriggerType& to) {
  to.set_type(type.type);
  to.set_summary(type.summary);
  for (const catalog::Parameter& parameter : type.parameters) {
    ToWire(parameter, *to.add_parameters());
  }
  to.set_pushes(type.pushes);
  to.set_target_parameter(type.target_parameter);
  to.set_activation_parameter(type.activation_parameter);
  for (catalog::TargetKind kind : type.allowed_targets) to.add_allowed_targets(ToWire(kind));
  to.set_needs_pod_selector(type.needs_pod_selector);
}

void ToWire(const MetricSpec& metric, pb::MetricSpec& to) {
  to.set_name(metric.name);
  if (metric.target) ToWire(*metric.target, *to.mutable_target());
  to.set_has_activity(metric.has_activity);
}

void ToWire(const Error& error, pb::Error& to) {
  to.set_kind(ToWire(error.kind));
  to.set_message(Clean(error.message));
  if (error.retry_after) ToWire(*error.retry_after, *to.mutable_retry_after());
}

void ToWire(const Refusal& refusal, pb::Error& to) {
  ToWire(refusal.error, to);
  for (const catalog::FieldError& field : refusal.fields) {
    pb::FieldError& error = *to.add_fields();
    error.set_parameter(field.parameter);
    error.set_message(Clean(field.message));
  }
}

void ToWire(const TriggerState& state, pb::TriggerStatus& to) {
  to.set_trigger_id(state.trigger_id);
  for (const MetricSpec& metric : state.metrics) ToWire(metric, *to.add_metrics());
  if (state.refusal) ToWire(*state.refusal, *to.mutable_error());
}

void ToWire(const StampedReading& reading, pb::Reading& to) {
  to.set_trigger_id(reading.trigger_id);
  to.set_generation(reading.generation);
  to.set_round(reading.round);
  if (reading.reading.error) {
    ToWire(*reading.reading.error, *to.mutable_error());
    return;
  }
  const absl::Duration waited =
      absl::FromChrono(std::chrono::steady_clock::now() - reading.taken_at);
  for (const MetricReading& metric : reading.reading.metrics) {
    ToWire(metric, waited, *to.add_metrics());
  }
  const size_t size = to.ByteSizeLong();
  if (size <= kMaxReading) return;
  to.clear_metrics();
  ToWire(Error{.kind = ErrorKind::kBadAnswer,
               .message = fmt::format("the reading has {} bytes, which is too much for one message",
                                      size)},
         *to.mutable_error());
}

}  // namespace neap::sdk
