// Faults: what the playground does wrong on purpose, as the control page /faults says. Owned by the
// server; thread-safe.
//
//   POST /faults   {"fault": "delay", "path": "/apis/apps", "delay": "500ms", "for": "30s"}
//   POST /faults   [{...}, {...}]
//   GET /faults    those in force     DELETE /faults    none any more
//
// fault:
//   cut       the connection is closed without an answer; running watches too
//   delay     the answer comes `delay` later
//   throttle  429 with Retry-After: `retryAfter` seconds (default 1)
//   error     a Status with `code` (default 500)
//   expire    410: the answer to lists, an ERROR event on watches, running ones too
//   garbage   200 with a body that is no JSON
//   truncate  the right answer, closed in the middle of its body
// path: a prefix of the request's path, default "/" = all API requests (the world's own pages never
// fail). method: one HTTP method, default all. for: until when, default for ever. count: for how
// many requests, default no limit. The first fault in force whose path and method fit is used, but
// delays add up with the next that fits.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/mutex.h"

namespace neap::playground {

struct Fault {
  enum class Kind : uint8_t { kCut, kDelay, kThrottle, kError, kExpire, kGarbage, kTruncate };
  Kind kind = Kind::kError;
  std::string path = "/";
  std::string method;  // "" = all
  int code = 500;
  int retry_after = 1;  // seconds
  absl::Duration delay;
  absl::Time until = absl::InfiniteFuture();
  int64_t left = -1;  // requests, -1: no limit
};

class Faults {
 public:
  // What befalls one request.
  struct Verdict {
    absl::Duration delay;
    std::optional<Fault> fault;  // after the delay; never of kind kDelay
  };

  // Adds what the JSON text says. Errors name the field.
  absl::Status Add(std::string_view json, absl::Time now) NEAP_EXCLUDES(mutex_);
  void Clear() NEAP_EXCLUDES(mutex_);
  std::string ToJson(absl::Time now) NEAP_EXCLUDES(mutex_);

  Verdict Judge(std::string_view method, std::string_view path, absl::Time now)
      NEAP_EXCLUDES(mutex_);
  // For a watch that runs: a cut or expiry in force for its path. Counts as a request.
  std::optional<Fault> JudgeWatch(std::string_view path, absl::Time now) NEAP_EXCLUDES(mutex_);

 private:
  void Forget(absl::Time now) NEAP_REQUIRES(mutex_);  // those that are over

  base::Mutex mutex_;
  std::vector<Fault> faults_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::playground
