// Set-up of glog for Neap's processes: to stderr, one line per event, never to files. And a
// throttle for errors that repeat.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>

#include "autoscaler/base/lookup.h"

namespace neap::telemetry {

// Once per process, from main.
void StartLogging(const char* program);

// Thread-safe. A line feed in `line` becomes "\n", so that an event stays one line.
void LogInfo(std::string_view line, std::source_location at = std::source_location::current());
void LogWarning(std::string_view line, std::source_location at = std::source_location::current());
void LogError(std::string_view line, std::source_location at = std::source_location::current());

// Says whether a repeating line should be logged now: the first time, when its text changes, and
// then once per `interval` with the number of times it was held back. One thread only. Holds at
// most 4,096 keys; beyond that it starts anew.
class Throttle {
 public:
  explicit Throttle(absl::Duration interval) : interval_(interval) {}
  // `key` is what repeats (an object and a topic). Returns the text to log ("... (17 times more)")
  // or "".
  std::string Allow(std::string_view key, std::string_view text, absl::Time now);

 private:
  struct Entry {
    size_t text = 0;  // hash
    absl::Time logged = absl::InfinitePast();
    uint32_t held = 0;
  };
  const absl::Duration interval_;
  base::Lookup<size_t, Entry> entries_;  // by the key's hash
};

}  // namespace neap::telemetry
