#include "autoscaler/telemetry/logging.h"

#include <fmt/format.h>
#include <glog/logging.h>

namespace neap::telemetry {
namespace {

// A peer's text may have several lines; an event is one line.
std::string OneLine(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      line += "\\n";
    } else {
      line.push_back(c);
    }
  }
  return line;
}

}  // namespace

void StartLogging(const char* program, int verbosity) {
  FLAGS_logtostderr = true;
  FLAGS_v = verbosity;
  static const std::string name = program;  // glog keeps the pointer
  google::InitGoogleLogging(name.c_str());
}

void FlushLog() { google::FlushLogFiles(google::GLOG_INFO); }

void LogInfo(std::string_view line) { LOG(INFO) << OneLine(line); }
void LogWarning(std::string_view line) { LOG(WARNING) << OneLine(line); }
void LogError(std::string_view line) { LOG(ERROR) << OneLine(line); }

std::string Throttle::Allow(std::string_view key, std::string_view text, absl::Time now) {
  if (entries_.size() > 4096) entries_.Clear();
  Entry& entry = entries_[std::string(key)];
  if (entry.text == text && now - entry.logged < interval_) {
    ++entry.held;
    return "";
  }
  std::string line(text);
  if (entry.text == text && entry.held > 0) line += fmt::format(" ({} times more)", entry.held);
  entry = {.text = std::string(text), .logged = now, .held = 0};
  return line;
}

}  // namespace neap::telemetry
