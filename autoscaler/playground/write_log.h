// WriteLog: every request that could change something, as the server saw it: what tests and the
// quickstart judge by. Keeps the newest entries and counts all. Owned by Playground; thread-safe.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "autoscaler/base/mutex.h"

namespace neap::playground {

struct Write {
  absl::Time time;
  std::string method;
  std::string path;  // with the query
  std::string user_agent;
  int code = 0;  // 0: the connection was cut
  std::string ns = {};
  std::string name = {};
  std::optional<std::pair<int, int>> scaled = {};  // replicas before and after
};

class WriteLog {
 public:
  void Add(Write write) NEAP_EXCLUDES(mutex_);
  // The page /writes; entries after `after`.
  std::string ToJson(uint64_t after) NEAP_EXCLUDES(mutex_);

 private:
  static constexpr size_t kKept = 10'000;

  base::Mutex mutex_;
  uint64_t total_ NEAP_GUARDED_BY(mutex_) = 0;  // also the newest entry's number
  std::map<int, uint64_t> by_code_ NEAP_GUARDED_BY(mutex_);
  std::deque<Write> writes_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::playground
