// Loop: one thread that runs tasks and timers in order. Whatever Host and its endpoints own is
// touched on it alone, so none of it needs a lock; gRPC's threads post to it.
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"

namespace neap::scalerhost {

class Loop {
 public:
  using Task = absl::AnyInvocable<void()>;
  using TimerId = std::pair<absl::Duration, uint64_t>;  // when (Clock::Elapsed) and a number

  explicit Loop(const base::Clock& clock);
  ~Loop();  // Stop
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Post(Task task) NEAP_EXCLUDES(mutex_);  // any thread; dropped after Stop
  // On the loop's thread: runs `task` once after `delay`.
  TimerId After(absl::Duration delay, Task task);
  void Cancel(TimerId id);  // on the loop's thread; of a timer that has run: nothing happens
  // Drops what is left and joins the thread. Not from a task. Idempotent.
  void Stop() NEAP_EXCLUDES(mutex_);

 private:
  void Run() NEAP_EXCLUDES(mutex_);
  void RunDueTimers();
  std::vector<Task> Take() NEAP_EXCLUDES(mutex_);  // waits for tasks, a timer or Stop

  const base::Clock& clock_;
  std::map<TimerId, Task> timers_;  // the loop's thread alone
  uint64_t last_timer_ = 0;         // likewise
  base::Mutex mutex_;
  base::CondVar wake_;
  std::vector<Task> tasks_ NEAP_GUARDED_BY(mutex_);
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace neap::scalerhost
