#include "scalers/sdk/scaler.h"

#include <cmath>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"

namespace neap::sdk {

std::string_view ErrorKindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUnavailable:
      return "Unavailable";
    case ErrorKind::kTimeout:
      return "Timeout";
    case ErrorKind::kDenied:
      return "Denied";
    case ErrorKind::kNotFound:
      return "NotFound";
    case ErrorKind::kBadParameter:
      return "BadParameter";
    case ErrorKind::kBadAnswer:
      return "BadAnswer";
    case ErrorKind::kThrottled:
      return "Throttled";
    case ErrorKind::kInternal:
      return "Internal";
    case ErrorKind::kUnknownTrigger:
      return "UnknownTrigger";
  }
  return "?";
}

Error FromStatus(const absl::Status& status) {
  const auto kind = [&] {
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
        return ErrorKind::kUnavailable;
      case absl::StatusCode::kDeadlineExceeded:
        return ErrorKind::kTimeout;
      case absl::StatusCode::kPermissionDenied:
      case absl::StatusCode::kUnauthenticated:
        return ErrorKind::kDenied;
      case absl::StatusCode::kNotFound:
        return ErrorKind::kNotFound;
      case absl::StatusCode::kInvalidArgument:
        return ErrorKind::kBadParameter;
      case absl::StatusCode::kDataLoss:
      case absl::StatusCode::kFailedPrecondition:
        return ErrorKind::kBadAnswer;
      case absl::StatusCode::kResourceExhausted:
        return ErrorKind::kThrottled;
      default:
        return ErrorKind::kInternal;
    }
  }();
  return {.kind = kind, .message = std::string(base::Message(status))};
}

Reading Reading::Of(std::string name, double value, double activation, bool absent) {
  Reading out;
  MetricReading& metric = out.metrics.emplace_back();
  metric.name = std::move(name);
  metric.result = Series{.milli = {}, .real = {value}};
  metric.active = value > activation;
  metric.absent = absent;
  return out;
}

std::unique_ptr<Subscription> Scaler::Watch(const Trigger&, Sink&) { return nullptr; }

std::unique_ptr<Trigger> OpenTrigger(Scaler& scaler, const catalog::TriggerType& type,
                                     const TriggerRequest& request,
                                     std::vector<catalog::FieldError>& errors) {
  errors = catalog::Check(type, request.text);
  if (!errors.empty()) return nullptr;
  absl::StatusOr<std::unique_ptr<Trigger>> trigger = scaler.Open(Parameters(type, request));
  if (trigger.ok()) return *std::move(trigger);
  errors.push_back(ToFieldError(trigger.status()));
  return nullptr;
}

std::string NormalizeName(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (std::string_view("/.:%()").find(c) != std::string_view::npos) c = '-';
  }
  return out;
}

int64_t TargetMilli(double amount) {
  if (!std::isfinite(amount) || amount < 0) return 0;
  const absl::StatusOr<base::Quantity> quantity =
      base::Quantity::Parse(fmt::format("{:.3f}", amount));
  return quantity.ok() ? quantity->Milli() : 0;
}

int64_t IntTargetMilli(int64_t amount) {
  const absl::StatusOr<base::Quantity> quantity = base::Quantity::Parse(std::to_string(amount));
  return quantity.ok() ? quantity->Milli() : 0;
}

absl::StatusOr<Target> ExternalTarget(const Parameters& parameters, int64_t milli) {
  switch (parameters.requested_target()) {
    case TargetKind::kUtilization:
      return BadParameter("metricType",
                          "Utilization is not supported here, allowed are Value and AverageValue");
    case TargetKind::kValue:
      return Target{.kind = TargetKind::kValue, .amount = milli};
    default:
      return Target{.kind = TargetKind::kAverageValue, .amount = milli};
  }
}

}  // namespace neap::sdk
