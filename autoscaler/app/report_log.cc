#include "autoscaler/app/report_log.h"

#include <fmt/format.h>

#include <string>

#include "autoscaler/base/status.h"

namespace neap::app {
namespace {

// `message` without those of its leading parts ("scaler x: ") that `what` begins with, too.
std::string_view WithoutRepetition(std::string_view what, std::string_view message) {
  size_t cut = 0;
  for (size_t at = 0; (at = message.find(": ", at)) != std::string_view::npos; at += 2) {
    if (!what.starts_with(message.substr(0, at))) break;
    cut = at + 2;
  }
  return message.substr(cut);
}

}  // namespace

void ReportLog::Report(std::string_view what, const absl::Status& status) {
  std::string text =
      status.ok() ? std::string(what)
                  : fmt::format("{}: {}", what, WithoutRepetition(what, base::Message(status)));
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
