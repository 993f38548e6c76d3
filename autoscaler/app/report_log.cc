#include "autoscaler/app/report_log.h"

#include <fmt/format.h>

#include <string>

#include "autoscaler/base/status.h"

namespace neap::app {

void ReportLog::Report(std::string_view what, const absl::Status& status) {
  std::string text = status.ok() ? fmt::format("{}: connected", what)
                                 : fmt::format("{}: {}", what, base::Message(status));
  {
    base::MutexLock lock(mutex_);
    text = throttle_.Allow(what, text, clock_.Now());
  }
  if (text.empty()) return;
  if (status.ok()) {
    telemetry::LogInfo(text);
  } else {
    telemetry::LogWarning(text);
  }
}

}  // namespace neap::app
