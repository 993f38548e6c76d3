#include "scalers/sdk/http_fetch.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"

namespace neap::sdk {
namespace {

constexpr std::chrono::milliseconds kLookForCancel(50);

// Shared with the callbacks, which may run after FetchAll gave up waiting.
struct Answers {
  base::Mutex mutex;
  base::CondVar changed;
  std::vector<absl::StatusOr<http::Response>> answers NEAP_GUARDED_BY(mutex);
  std::vector<bool> done NEAP_GUARDED_BY(mutex);
  size_t finished NEAP_GUARDED_BY(mutex) = 0;
};

}  // namespace

std::vector<absl::StatusOr<http::Response>> FetchAll(ReadContext& context,
                                                     std::vector<http::Request> requests,
                                                     size_t parallel) {
  const size_t count = requests.size();
  auto shared = std::make_shared<Answers>();
  std::vector<http::Id> ids;
  {
    base::MutexLock lock(shared->mutex);
    shared->answers.assign(count, absl::CancelledError("the read was cancelled"));
    shared->done.assign(count, false);
  }
  bool cancelled = false;
  size_t finished = 0;
  while (finished < count) {
    while (!cancelled && ids.size() < count && ids.size() - finished < parallel) {
      const size_t i = ids.size();
      http::Request& request = requests[i];
      request.timeout = std::min(request.timeout, context.remaining());
      ids.push_back(context.http().Send(std::move(request),
                                        [shared, i](absl::StatusOr<http::Response> answer) {
                                          base::MutexLock lock(shared->mutex);
                                          shared->answers[i] = std::move(answer);
                                          shared->done[i] = true;
                                          ++shared->finished;
                                          shared->changed.NotifyAll();
                                        }));
    }
    if (!cancelled && context.cancelled()) {
      cancelled = true;
      for (http::Id id : ids) context.http().Cancel(id);
    }
    base::MutexLock lock(shared->mutex);
    if (shared->finished == finished) shared->changed.WaitFor(shared->mutex, kLookForCancel);
    finished = shared->finished;
    if (cancelled && finished == ids.size()) break;  // the others were never sent
  }
  base::MutexLock lock(shared->mutex);
  return std::move(shared->answers);
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
