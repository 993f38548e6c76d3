#include "scalers/sdk/http_fetch.h"

#include <algorithm>
#include <charconv>

#include "autoscaler/base/status.h"
#include "scalers/sdk/gather.h"

namespace neap::sdk {
std::vector<absl::StatusOr<http::Response>> FetchAll(ReadContext& context,
                                                     std::vector<http::Request> requests,
                                                     size_t parallel) {
  return GatherAll<http::Response>(
      context, requests.size(), parallel, [&](size_t i, http::Callback done) {
        http::Request& request = requests[i];
        request.timeout = std::min(request.timeout, context.remaining());
        return context.http().Send(std::move(request), std::move(done));
      });
}

Error FromTransport(const absl::Status& status) {
  Error error = FromStatus(status);
  // An answer that is too large, or one that leads in circles, is no throttling.
  if (absl::IsResourceExhausted(status)) error.kind = ErrorKind::kBadAnswer;
  if (absl::IsCancelled(status)) error.kind = ErrorKind::kTimeout;
  return error;
}

Error FromHttpStatus(const http::Response& response, std::string_view detail) {
  Error error;
  error.message = fmt::format("{}: HTTP {}{}{}", http::RedactedUrl(response.url), response.status,
                              detail.empty() ? "" : ": ", detail);
  switch (response.status) {
    case 401:
    case 403:
      error.kind = ErrorKind::kDenied;
      break;
    case 404:
      error.kind = ErrorKind::kNotFound;
      break;
    case 408:
    case 504:
      error.kind = ErrorKind::kTimeout;
      break;
    case 429: {
      error.kind = ErrorKind::kThrottled;
      const std::string_view text = response.Header("Retry-After");
      int64_t seconds = 0;
      const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
      if (failed == std::errc() && end == text.data() + text.size() && seconds >= 0) {
        error.retry_after = absl::Seconds(std::min<int64_t>(seconds, 3600));
      }
      break;
    }
    default:
      error.kind = response.status >= 500 ? ErrorKind::kUnavailable : ErrorKind::kBadAnswer;
  }
  return error;
}

}  // namespace neap::sdk
