// Status helpers: absl::Status made with fmt, and the two early-return macros. Debian's
// absl::string_view does not convert from std::string_view, so code of Neap makes statuses here and
// nowhere else.
//
//   if (port <= 0) return base::InvalidArgument("{}: port {} is not positive", where, port);
//   NEAP_ASSIGN_OR_RETURN(auto spec, Decode(text));
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace neap::base {

#define NEAP_STATUS_MAKER_(Name, Code)                                                             \
  template <typename... Args>                                                                      \
  [[nodiscard]] absl::Status Name(fmt::format_string<Args...> format, Args&&... args) {            \
    return absl::Status(absl::StatusCode::Code, fmt::format(format, std::forward<Args>(args)...)); \
  }
NEAP_STATUS_MAKER_(InvalidArgument, kInvalidArgument)
NEAP_STATUS_MAKER_(NotFound, kNotFound)
NEAP_STATUS_MAKER_(AlreadyExists, kAlreadyExists)
NEAP_STATUS_MAKER_(FailedPrecondition, kFailedPrecondition)
NEAP_STATUS_MAKER_(Unavailable, kUnavailable)
NEAP_STATUS_MAKER_(DeadlineExceeded, kDeadlineExceeded)
NEAP_STATUS_MAKER_(PermissionDenied, kPermissionDenied)
NEAP_STATUS_MAKER_(Unauthenticated, kUnauthenticated)
NEAP_STATUS_MAKER_(ResourceExhausted, kResourceExhausted)
NEAP_STATUS_MAKER_(Aborted, kAborted)
NEAP_STATUS_MAKER_(OutOfRange, kOutOfRange)
NEAP_STATUS_MAKER_(Unimplemented, kUnimplemented)
NEAP_STATUS_MAKER_(Internal, kInternal)
NEAP_STATUS_MAKER_(DataLoss, kDataLoss)
NEAP_STATUS_MAKER_(Cancelled, kCancelled)
#undef NEAP_STATUS_MAKER_

// The message of a status as a std::string_view (borrowed from `status`).
inline std::string_view Message(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// The same code with `prefix` and ": " before the message; OK stays OK.
inline absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", prefix, Message(status)));
}

}  // namespace neap::base

#define NEAP_CONCAT_INNER_(a, b) a##b
#define NEAP_CONCAT_(a, b) NEAP_CONCAT_INNER_(a, b)
#define NEAP_RETURN_IF_ERROR(expression)                                                   \
  do {                                                                                     \
    if (absl::Status neap_status_ = (expression); !neap_status_.ok()) return neap_status_; \
  } while (false)
#define NEAP_ASSIGN_OR_RETURN(declaration, expression) \
  NEAP_ASSIGN_OR_RETURN_(NEAP_CONCAT_(neap_or_, __LINE__), declaration, expression)
#define NEAP_ASSIGN_OR_RETURN_(temporary, declaration, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) return std::move(temporary).status();       \
  declaration = *std::move(temporary)
