// ApiError: what an API server says when it does not do what it was asked (metav1.Status), carried
// inside an absl::Status, so that every function returns absl::StatusOr and those who care look
// closer:
//
//   if (auto error = api::ApiErrorOf(status); error && error->code == 409) ...
//
// A status without an ApiError is an error of the transport (see http/client.h). Plain values.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/http/client.h"

namespace neap::kube::api {

struct ApiError {
  struct Cause {
    std::string reason;  // "FieldValueInvalid"
    std::string message;
    std::string field;  // "spec.replicas"
    bool operator==(const Cause&) const = default;
  };
  int code = 0;  // HTTP
  std::string
      reason;  // "NotFound", "Conflict", "Invalid", "Expired" ...; made from `code` when missing
  std::string message;  // the server's words; made from the answer when it is no Status
  std::string kind;     // details.kind, "" when there are no details
  std::string name;     // details.name
  std::vector<Cause> causes;
  // Retry-After header or details.retryAfterSeconds; at most 5 minutes, whatever the server says.
  std::optional<absl::Duration> retry_after;
  bool operator==(const ApiError&) const = default;
};

// From an answer other than 2xx, whatever its body holds.
ApiError ApiErrorFrom(const http::Response& response);
// From the object of a watch's ERROR event.
ApiError ApiErrorFromStatusObject(std::string_view json);

// The message is "<where>: <message>". Codes: 400 InvalidArgument, 401 Unauthenticated,
// 403 PermissionDenied, 404 NotFound, 409 Aborted (AlreadyExists by reason), 410 OutOfRange,
// 422 FailedPrecondition, 429 ResourceExhausted, 500 Internal, other 5xx Unavailable, else Unknown.
absl::Status ToStatus(const ApiError& error, std::string_view where);

// The same with `text` in brackets at the end of the message, and still with its ApiError.
absl::Status WithNote(const absl::Status& status, std::string_view text);

// What ToStatus put in; nullopt for every other status.
std::optional<ApiError> ApiErrorOf(const absl::Status& status);

// The server's own words where there are any, else the status' message. What conditions show.
std::string ServerMessage(const absl::Status& status);

}  // namespace neap::kube::api
