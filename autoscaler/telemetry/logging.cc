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

void Write(google::LogSeverity severity, std::string_view line, std::source_location at) {
  google::LogMessage(at.file_name(), static_cast<int>(at.line()), severity).stream()
      << OneLine(line);
}

}  // namespace

void StartLogging(const char* program) {
  FLAGS_logtostderr = true;
  static const std::string name = program;  // glog keeps the pointer
  google::InitGoogleLogging(name.c_str());
}

void LogInfo(std::string_view line, std::source_location at) { Write(google::GLOG_INFO, line, at); }
void LogWarning(std::string_view line, std::source_location at) {
  Write(google::GLOG_WARNING, line, at);
}
void LogError(std::string_view line, std::source_location at) {
  Write(google::GLOG_ERROR, line, at);
}

std::string Throttle::Allow(std::string_view key, std::string_view text, absl::Time now) {
  if (entries_.size() > 4096) entries_.Clear();
  const std::hash<std::string_view> hash_of;
  Entry& entry = entries_[hash_of(key)];
  const size_t hash = hash_of(text);
  const bool repeats = entry.text == hash && entry.logged != absl::InfinitePast();
  if (repeats && now - entry.logged < interval_) {
    ++entry.held;
    return "";
  }
  std::string line(text);
  if (repeats && entry.held > 0) line += fmt::format(" ({} times more)", entry.held);
  entry = {.text = hash, .logged = now, .held = 0};
  return line;
}

}  // namespace neap::telemetry
