// A scrape of per-object series: written as text on the controller's thread between steps, at most
// a chunk at a time, into a bounded buffer that an HTTP thread drains. 10,000 targets as metric
// objects would not fit the memory budget; as text they cost what one chunk costs.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/base/mutex.h"

namespace neap::telemetry {

// One answer under way. Thread-safe; shared by the HTTP thread (Next, Abandon) and Scrapes.
class Scrape {
 public:
  enum class State : uint8_t { kMore, kDone, kBroken };

  // Waits for text, at most `patience`; kBroken when none came in time or the server stops.
  State Next(std::string* chunk, absl::Duration patience = absl::Seconds(10)) NEAP_EXCLUDES(mutex_);
  void Abandon() NEAP_EXCLUDES(mutex_);  // the reader went away

 private:
  friend class Scrapes;
  std::function<void()>
      wake_;  // tells the controller's thread that there is room again; set before it is shared
  base::Mutex mutex_;
  base::CondVar changed_;
  std::string buffer_ NEAP_GUARDED_BY(mutex_);
  bool done_ NEAP_GUARDED_BY(mutex_) = false;
  bool broken_ NEAP_GUARDED_BY(mutex_) = false;
  int family_ = 0;     // the writer's position: which family,
  std::string after_;  // and the key of the last object written in it; controller's thread only
};

// All open scrapes. Open and Close may be called from any thread, Serve from the controller's
// thread alone.
class Scrapes {
 public:
  static constexpr size_t kBufferLimit = 256 << 10;  // bytes waiting in one scrape
  static constexpr size_t kMaxOpen = 8;

  // Writes the next objects of `family` with keys above *after, moving *after; false when the
  // family is complete. Appends a family's HELP and TYPE lines when *after is empty.
  using Writer = std::function<bool(int family, std::string* after, std::string* out)>;

  explicit Scrapes(std::function<void()> wake) : wake_(std::move(wake)) {}
  // nullptr when kMaxOpen are open, and after Close.
  std::shared_ptr<Scrape> Open() NEAP_EXCLUDES(mutex_);
  // Writes one chunk for each open scrape that has room. True when more can be written at once.
  bool Serve(int families, const Writer& write) NEAP_EXCLUDES(mutex_);
  void Close() NEAP_EXCLUDES(mutex_);  // breaks all

 private:
  const std::function<void()> wake_;
  base::Mutex mutex_;
  std::vector<std::shared_ptr<Scrape>> open_ NEAP_GUARDED_BY(mutex_);
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
};

}  // namespace neap::telemetry
