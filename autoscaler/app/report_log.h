// ReportLog: trouble with peers (API server, scalers) as throttled log lines. The same trouble of
// the same thing is said at once, and then once a minute with a count. Thread-safe; called on I/O
// threads. Owned by Neapd.
#pragma once

#include <absl/status/status.h>

#include <string_view>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/telemetry/logging.h"

namespace neap::app {

class ReportLog {
 public:
  explicit ReportLog(const base::Clock& clock) : clock_(clock) {}

  // `what` names the request or peer. OK: `what` is good news, all of it.
  void Report(std::string_view what, const absl::Status& status) NEAP_EXCLUDES(mutex_);

 private:
  const base::Clock& clock_;
  base::Mutex mutex_;
  telemetry::Throttle throttle_ NEAP_GUARDED_BY(mutex_){absl::Minutes(1)};
};

}  // namespace neap::app
