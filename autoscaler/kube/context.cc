#include "autoscaler/kube/context.h"

namespace neap::kube {

core::ReadingError ReadingErrorOf(const absl::Status& status) {
  using core::ErrorKind;
  const auto kind = [&] {
    switch (status.code()) {
      case absl::StatusCode::kNotFound:
        return ErrorKind::kNotFound;
      case absl::StatusCode::kPermissionDenied:
      case absl::StatusCode::kUnauthenticated:
        return ErrorKind::kDenied;
      case absl::StatusCode::kDeadlineExceeded:
        return ErrorKind::kTimeout;
      case absl::StatusCode::kResourceExhausted:
        return ErrorKind::kThrottled;
      case absl::StatusCode::kDataLoss:
        return ErrorKind::kBadAnswer;
      case absl::StatusCode::kInvalidArgument:
        return ErrorKind::kBadParameter;
      case absl::StatusCode::kInternal:
        return ErrorKind::kInternal;
      default:
        return ErrorKind::kUnavailable;
    }
  };
  return {.kind = kind(), .message = api::ServerMessage(status)};
}

}  // namespace neap::kube
