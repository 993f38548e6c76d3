// Requests of a Read: several at once, within its deadline and its cancellation, and what a failed
// one means. Used by the scalers whose source speaks HTTP. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <string_view>
#include <vector>

#include "autoscaler/http/client.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// Sends all requests, at most `parallel` at a time, and gives their answers in the same order. Each
// has its own timeout or the context's deadline, whichever is earlier. After a cancellation the
// rest are Cancelled.
std::vector<absl::StatusOr<http::Response>> FetchAll(ReadContext& context,
                                                     std::vector<http::Request> requests,
                                                     size_t parallel = 16);

// The error of an exchange that failed (FetchAll's statuses).
Error FromTransport(const absl::Status& status);

// The error that an HTTP status other than success means: 401 and 403 Denied, 404 NotFound, 408 and
// 504 Timeout, 429 Throttled with Retry-After, other 5xx Unavailable, the rest BadAnswer. The text
// names the URL without its query; `detail`, what the server said about it, is added when not "".
Error FromHttpStatus(const http::Response& response, std::string_view detail = "");

}  // namespace neap::sdk
