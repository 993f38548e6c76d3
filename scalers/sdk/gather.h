// GatherAll: waits for a number of asynchronous answers, some at a time, within the deadline and
// the cancellation of a Read. http_fetch.h is built on it; scalers use it for clients of their own
// that answer by callback. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/http/client.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// Calls `start(i, done)` for i from 0 to count - 1, at most `parallel` without an answer at a time,
// and gives what each passed to its `done`, in order. `start` returns the id of a request of the
// context's HTTP client, which is cancelled with the read, or 0. An answer that has not come when
// the read is cancelled is Cancelled; one that has not come by a little after the deadline is
// DeadlineExceeded (requests have timeouts of their own, which come first). `done` may be called at
// any time later; then nobody looks at it.
template <typename T>
std::vector<absl::StatusOr<T>> GatherAll(
    ReadContext& context, size_t count, size_t parallel,
    const std::function<http::Id(size_t i, std::function<void(absl::StatusOr<T>)> done)>& start) {
  struct Shared {
    base::Mutex mutex;
    base::CondVar changed;
    std::vector<absl::StatusOr<T>> answers NEAP_GUARDED_BY(mutex);
    std::vector<bool> done NEAP_GUARDED_BY(mutex);
    size_t finished NEAP_GUARDED_BY(mutex) = 0;
    bool closed NEAP_GUARDED_BY(mutex) = false;
  };
  constexpr auto kLookAround = std::chrono::milliseconds(50);  // for a cancellation
  constexpr auto kGrace = std::chrono::milliseconds(200);      // for timeouts to be told
  const auto end = std::chrono::steady_clock::now() +
                   absl::ToChronoNanoseconds(std::min(context.remaining(), absl::Hours(1))) +
                   kGrace;
  auto shared = std::make_shared<Shared>();
  {
    base::MutexLock lock(shared->mutex);
    shared->answers.assign(count, absl::DeadlineExceededError("no answer in time"));
    shared->done.assign(count, false);
  }
  std::vector<http::Id> ids;
  size_t finished = 0;
  bool over = false;
  while (finished < count && !over) {
    const bool cancelled = context.cancelled();
    while (!cancelled && ids.size() < count && ids.size() - finished < parallel) {
      const size_t i = ids.size();
      ids.push_back(start(i, [shared, i](absl::StatusOr<T> answer) {
        base::MutexLock lock(shared->mutex);
        if (shared->closed || shared->done[i]) return;
        shared->answers[i] = std::move(answer);
        shared->done[i] = true;
        ++shared->finished;
        shared->changed.NotifyAll();
      }));
    }
    over = cancelled || std::chrono::steady_clock::now() >= end;
    base::MutexLock lock(shared->mutex);
    if (!over && shared->finished == finished) {
      shared->changed.WaitFor(shared->mutex, kLookAround);
    }
    finished = shared->finished;
    if (!cancelled) continue;
    for (size_t i = 0; i < count; ++i) {
      if (!shared->done[i]) shared->answers[i] = absl::CancelledError("the read was cancelled");
    }
  }
  std::vector<absl::StatusOr<T>> out;
  {
    base::MutexLock lock(shared->mutex);
    shared->closed = true;
    out = std::move(shared->answers);
  }
  if (over) {
    for (http::Id id : ids) context.http().Cancel(id);
  }
  return out;
}

}  // namespace neap::sdk
