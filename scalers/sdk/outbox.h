// Outbox: what is to be sent on one Watch stream. It is never full for what must be sent (the
// stream stops reading requests instead, see `bytes`); of pushed readings only the latest of each
// trigger waits, so that a slow reader costs no memory.
//
// Shared by the stream and by all that answer it, which may be alive longer. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "scalers/sdk/opened_triggers.h"

namespace neap::sdk {

struct TriggerState {
  std::string trigger_id;
  std::vector<MetricSpec> metrics;
  std::optional<Refusal> refusal = std::nullopt;
};
// A part of the acknowledgement of a set.
struct SetAnswer {
  uint64_t generation = 0;
  std::vector<TriggerState> triggers;
};
struct StampedReading {
  std::string trigger_id;
  uint64_t generation = 0;
  uint64_t round = 0;  // 0 = pushed
  Reading reading;
  // Ages are as of then.
  std::chrono::steady_clock::time_point taken_at = std::chrono::steady_clock::now();
};
using OutFrame = std::variant<SetAnswer, std::vector<StampedReading>>;

class Outbox {
 public:
  // `send` starts to send a frame and is not called again before Sent. It runs under the outbox's
  // lock and calls nothing here.
  explicit Outbox(std::function<void(const OutFrame&)> send) : send_(std::move(send)) {}

  // Sent before all readings that wait.
  void Add(SetAnswer answer);
  void Add(std::vector<StampedReading> readings);
  // A reading that nobody asked for, under the current generation.
  void Push(const std::string& trigger_id, const Reading& reading);
  // What `id` pushed and was not sent is dropped.
  void DropPushed(const std::string& id);
  void SetGeneration(uint64_t generation);

  void Sent();   // the last frame is out
  void Close();  // nothing is sent any more; `send` is not called and does not run
  bool closed() const;
  size_t bytes() const;  // about, of what must be sent

 private:
  void SendNext() NEAP_REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  std::function<void(const OutFrame&)> send_ NEAP_GUARDED_BY(mutex_);
  std::deque<SetAnswer> answers_ NEAP_GUARDED_BY(mutex_);
  std::deque<StampedReading> readings_ NEAP_GUARDED_BY(mutex_);
  size_t bytes_ NEAP_GUARDED_BY(mutex_) = 0;  // of answers_ and readings_
  std::map<std::string, StampedReading> pushed_ NEAP_GUARDED_BY(mutex_);
  uint64_t generation_ NEAP_GUARDED_BY(mutex_) = 0;
  bool sending_ NEAP_GUARDED_BY(mutex_) = false;
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
};

}  // namespace neap::sdk
