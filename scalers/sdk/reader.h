// Reader: reads triggers of any scalers. Those of one scaler and one source_key go into one
// Scaler::Read, together with others that wait for the same; every trigger is answered exactly
// once, by a reading, or by a typed error when the scaler throws, answers wrongly or not in time.
//
// Owned by Server. Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <utility>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/http/client.h"
#include "scalers/sdk/executor.h"
#include "scalers/sdk/opened_triggers.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// Who waits for readings. Called from several threads, at the same time, too.
class ReadAnswers {
 public:
  virtual ~ReadAnswers() = default;
  // Readings by the place of their trigger in the call of Read. Short.
  virtual void OnReadings(std::vector<std::pair<size_t, Reading>> readings) = 0;
  // Nobody waits any longer: a Read at work may stop.
  virtual bool abandoned() const = 0;
};

class Reader {
 public:
  explicit Reader(const ExecutorOptions& options);

  // `timeout` is the caller's: answers come a little earlier, so that they arrive in time.
  void Read(const std::vector<std::shared_ptr<OpenedTrigger>>& triggers, absl::Duration timeout,
            std::shared_ptr<ReadAnswers> answers);

  // Executor::Stop.
  bool Stop(absl::Duration timeout) { return executor_.Stop(timeout); }

 private:
  void Run(const Tasks& tasks);

  const base::Clock clock_;
  http::Client http_;
  Executor executor_;  // last: its threads use all above
};

}  // namespace neap::sdk
