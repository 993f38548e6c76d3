#include "autoscaler/scalerhost/wire.h"

#include <fmt/format.h>

#include "autoscaler/control/subscriptions.h"

namespace neap::scalerhost {
namespace {

constexpr size_t kMaxText = 1000;
constexpr size_t kMaxFields = 20;  // of an error: what a person reads

pb::TargetKind ToWire(core::TargetKind kind) {
  switch (kind) {
    case core::TargetKind::kUnspecified:
      break;
    case core::TargetKind::kUtilization:
      return pb::UTILIZATION;
    case core::TargetKind::kAverageValue:
      return pb::AVERAGE_VALUE;
    case core::TargetKind::kValue:
      return pb::VALUE;
  }
  return pb::TARGET_KIND_UNSPECIFIED;
}

core::ErrorKind KindOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kDeadlineExceeded:
      return core::ErrorKind::kTimeout;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return core::ErrorKind::kDenied;
    case absl::StatusCode::kInvalidArgument:
      return core::ErrorKind::kBadParameter;
    case absl::StatusCode::kResourceExhausted:  // a message over the limit
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
      return core::ErrorKind::kBadAnswer;
    case absl::StatusCode::kInternal:
      return core::ErrorKind::kInternal;
    default:
      return core::ErrorKind::kUnavailable;
  }
}

core::ErrorKind KindOf(pb::Error::Kind kind) {
  switch (kind) {
    case pb::Error::UNAVAILABLE:
      return core::ErrorKind::kUnavailable;
    case pb::Error::TIMEOUT:
      return core::ErrorKind::kTimeout;
    case pb::Error::DENIED:
      return core::ErrorKind::kDenied;
    case pb::Error::NOT_FOUND:
      return core::ErrorKind::kNotFound;
    case pb::Error::BAD_PARAMETER:
      return core::ErrorKind::kBadParameter;
    case pb::Error::BAD_ANSWER:
      return core::ErrorKind::kBadAnswer;
    case pb::Error::THROTTLED:
      return core::ErrorKind::kThrottled;
    case pb::Error::UNKNOWN_TRIGGER:
      return core::ErrorKind::kUnknownTrigger;
    default:
      return core::ErrorKind::kInternal;
  }
}

}  // namespace

pb::Trigger ToWire(const control::Subscription& subscription) {
  pb::Trigger trigger;
  trigger.set_id(subscription.id);
  trigger.set_type(subscription.type);
  for (const auto& [key, value] : subscription.metadata) {
    (*trigger.mutable_metadata())[key] = value;
  }
  pb::Context& context = *trigger.mutable_context();
  context.set_namespace_(subscription.ns);
  context.set_object_kind(subscription.object_kind);
  context.set_object_name(subscription.object_name);
  context.set_object_uid(subscription.object_uid);
  context.set_pod_selector(subscription.pod_selector);
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(subscription.interval);
  trigger.mutable_interval()->set_seconds(nanoseconds / 1'000'000'000);
  trigger.mutable_interval()->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  trigger.set_requested_target(ToWire(subscription.requested_target));
  return trigger;
}

core::ReadingError ErrorOf(const absl::Status& status) {
  return {.kind = KindOf(status.code()),
          .message = CleanText({status.message().data(), status.message().size()})};
}

core::ReadingError ErrorOf(const pb::Error& error) {
  std::string text = error.message();
  size_t shown = 0;
  for (const pb::FieldError& field : error.fields()) {
    if (shown++ == kMaxFields) break;
    if (!text.empty()) text += "; ";
    text += field.parameter().empty() ? field.message()
                                      : fmt::format("{}: {}", field.parameter(), field.message());
  }
  if (text.empty()) text = "the scaler gave no reason";
  return {.kind = KindOf(error.kind()), .message = CleanText(text)};
}

bool IsPodType(std::string_view type) {
  return type == control::kHpaResource || type == control::kHpaContainerResource ||
         type == control::kHpaPods;
}

bool IsHpaType(std::string_view type) {
  return IsPodType(type) || type == control::kHpaObject || type == control::kHpaExternal;
}

std::string CleanText(std::string_view text) {
  std::string clean;
  for (const char c : text.substr(0, kMaxText)) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    clean += control ? ' ' : c;
  }
  if (text.size() <= kMaxText) return clean;
  // Not in the middle of a character.
  while (!clean.empty() && (static_cast<unsigned char>(clean.back()) & 0xC0) == 0x80) {
    clean.pop_back();
  }
  if (!clean.empty() && (static_cast<unsigned char>(clean.back()) & 0x80) != 0) clean.pop_back();
  return clean + "...";
}

}  // namespace neap::scalerhost
