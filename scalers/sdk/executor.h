// Executor: the threads that scalers' Reads run on. Tasks have a key (the source that they talk
// to). Those of one key that wait are handed over together, so that one request may answer many;
// the number of calls at work for one key is limited, so that a hanging source takes no other's
// thread.
//
// Every task has a deadline and is finished exactly once: by the run function, which gets it with
// others of its key, or by Expire when its deadline comes first. A run that overruns goes on and is
// not waited for; it holds its place in its key. A key of which something has expired is a suspect
// until it has answered in time again: suspects share half of the threads, so that many hanging
// sources do not take all of them either.
//
// Owned by Server. Thread-safe. Threads are started as needed and kept.
#pragma once

#include <absl/time/time.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/mutex.h"

namespace neap::sdk {

class Task {
 public:
  using Clock = std::chrono::steady_clock;
  Task(std::string key, Clock::time_point deadline) : key_(std::move(key)), deadline_(deadline) {}
  virtual ~Task() = default;
  // The deadline has come before the run function returned. Runs on the executor's timer thread:
  // short. May run at the same time as the run function; the two agree on who answers.
  virtual void Expire() = 0;
  const std::string& key() const { return key_; }
  Clock::time_point deadline() const { return deadline_; }

 private:
  const std::string key_;
  const Clock::time_point deadline_;
};
using Tasks = std::vector<std::shared_ptr<Task>>;

struct ExecutorOptions {
  int threads = 64;
  int per_key = 4;                  // calls of the run function for one key at a time
  size_t max_batch = 1000;          // tasks of one call
  size_t max_unfinished = 100'000;  // tasks; further ones are refused
};

class Executor {
 public:
  // `run` gets at least one task, all of one key; it must not throw.
  Executor(ExecutorOptions options, std::function<void(Tasks)> run);
  // Waits for every call of the run function; tasks that wait are expired.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False, and nothing is called for these tasks: too many are unfinished, or the executor
  // stops. All or
  // none.
  [[nodiscard]] bool Submit(const Tasks& tasks);

  // No more tasks are taken; those that wait are expired. Returns whether within `timeout` every
  // call of the run function has returned.
  bool Stop(absl::Duration timeout);

 private:
  struct Key {
    std::deque<std::shared_ptr<Task>> waiting;
    int running = 0;       // calls
    bool suspect = false;  // the last that is known of it: something expired
    bool ready = false;    // is in one of the two ready lists
  };
  using Timers = std::multimap<Task::Clock::time_point, std::shared_ptr<Task>>;

  void Work();
  void WatchDeadlines();
  void StartThreads() NEAP_REQUIRES(mutex_);
  void MakeReady(const std::string& name, Key& key) NEAP_REQUIRES(mutex_);
  bool NextKey(std::string& name) NEAP_REQUIRES(mutex_);  // false: nothing may run
  Tasks Take(Key& key) NEAP_REQUIRES(mutex_);
  void Finish(const std::string& name, const Tasks& tasks) NEAP_REQUIRES(mutex_);
  void Suspect(const std::string& name) NEAP_REQUIRES(mutex_);
  void Trust(const std::string& name, Key& key) NEAP_REQUIRES(mutex_);
  void Forget(const std::string& name) NEAP_REQUIRES(mutex_);
  Tasks TakeDue(Task::Clock::time_point now) NEAP_REQUIRES(mutex_);
  Tasks TakeWaiting() NEAP_REQUIRES(mutex_);

  const ExecutorOptions options_;
  const std::function<void(Tasks)> run_;

  base::Mutex mutex_;
  base::CondVar work_;            // something may run, or the threads leave
  base::CondVar timers_changed_;  // an earlier deadline, or the timer thread leaves
  base::CondVar returned_;        // a call has
  std::map<std::string, Key> keys_ NEAP_GUARDED_BY(mutex_);
  std::deque<std::string> ready_ NEAP_GUARDED_BY(mutex_);
  std::deque<std::string> ready_suspects_ NEAP_GUARDED_BY(mutex_);
  Timers timers_ NEAP_GUARDED_BY(mutex_);  // of every task that is not finished
  std::map<const Task*, Timers::iterator> timer_of_ NEAP_GUARDED_BY(mutex_);
  int running_ NEAP_GUARDED_BY(mutex_) = 0;           // calls
  int running_suspects_ NEAP_GUARDED_BY(mutex_) = 0;  // of them for suspects
  size_t idle_threads_ NEAP_GUARDED_BY(mutex_) = 0;
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;  // no more tasks
  bool ended_ NEAP_GUARDED_BY(mutex_) = false;     // threads leave
  std::vector<std::thread> threads_ NEAP_GUARDED_BY(mutex_);
  std::thread timer_;
};

}  // namespace neap::sdk
