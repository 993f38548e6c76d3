// Shadows: all shadowed objects as one JSON document, for the page /shadow: what Neap would have
// decided against what their controller did (control/shadow.h has the rules).
//
//   {"shadows": [{"namespace": "shop", "name": "web", "target": "Deployment/web", "replicas": 4,
//     "hpaDesired": 4, "neapDesired": 5, "problem": "...", "since": "...", "compared": 240,
//     "equal": 239, "different": 1, "differsSince": "...",
//     "last": {"at": "...", "neap": 5, "hpa": 4, "reason": "..."}}]}
//
// Sorted by namespace and name; what is not known is left out.
//
// The document is made by the controller's thread between steps, at most kChunk objects a time.
// Thread-safe: Get is called on the HTTP server's threads, Serve on the controller's, where it
// costs next to nothing while nobody asks. Owned by Neapd.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "autoscaler/base/mutex.h"
#include "autoscaler/control/controller.h"

namespace neap::telemetry {

class Shadows {
 public:
  static constexpr int kChunk = 1000;  // objects looked at per call of Serve

  // `wake` makes the controller's thread call Serve soon.
  explicit Shadows(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Errors: DeadlineExceeded, the controller did not come to it in time; ResourceExhausted, another
  // one is being made; Unavailable, the server stops.
  absl::StatusOr<std::string> Get(absl::Duration patience) NEAP_EXCLUDES(mutex_);
  void Serve(const control::Controller& controller) NEAP_EXCLUDES(mutex_);
  void Close() NEAP_EXCLUDES(mutex_);  // ends all waiting

 private:
  std::string DocumentOf() const NEAP_REQUIRES(mutex_);

  const std::function<void()> wake_;
  std::atomic<bool> idle_ = true;

  base::Mutex mutex_;
  base::CondVar changed_;
  bool asked_ NEAP_GUARDED_BY(mutex_) = false;
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
  std::string after_ NEAP_GUARDED_BY(mutex_);  // the uid up to which objects were looked at
  std::map<std::pair<std::string, std::string>, std::string> rows_ NEAP_GUARDED_BY(mutex_);
  std::optional<std::string> document_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::telemetry
