#include "scalers/sdk/executor.h"

#include <algorithm>
#include <utility>

namespace neap::sdk {
namespace {

constexpr size_t kMaxKeys = 10'000;  // that are kept only because they are suspects

}  // namespace

Executor::Executor(ExecutorOptions options, std::function<void(Tasks)> run)
    : options_(options), run_(std::move(run)), timer_([this] { WatchDeadlines(); }) {}

Executor::~Executor() {
  Stop(absl::InfiniteDuration());
  std::vector<std::thread> threads;
  {
    base::MutexLock lock(mutex_);
    ended_ = true;
    threads.swap(threads_);
    work_.NotifyAll();
    timers_changed_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
  timer_.join();
}

bool Executor::Submit(const Tasks& tasks) {
  base::MutexLock lock(mutex_);
  if (stopping_ || timers_.size() + tasks.size() > options_.max_unfinished) return false;
  for (const std::shared_ptr<Task>& task : tasks) {
    const auto timer = timers_.emplace(task->deadline(), task);
    timer_of_.emplace(task.get(), timer);
    if (timer == timers_.begin()) timers_changed_.NotifyAll();
    Key& key = keys_[task->key()];
    key.waiting.push_back(task);
    MakeReady(task->key(), key);
  }
  StartThreads();
  return true;
}

bool Executor::Stop(absl::Duration timeout) {
  const auto end =
      Task::Clock::now() + absl::ToChronoNanoseconds(std::min(timeout, absl::Hours(1)));
  Tasks dropped;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    dropped = TakeWaiting();
  }
  for (const std::shared_ptr<Task>& task : dropped) task->Expire();
  base::MutexLock lock(mutex_);
  while (running_ > 0) {
    const auto now = Task::Clock::now();
    if (now >= end && timeout != absl::InfiniteDuration()) return false;
    returned_.WaitFor(
        mutex_, std::max<std::chrono::nanoseconds>(end - now, std::chrono::milliseconds(100)));
  }
  return true;
}

void Executor::Work() {
  mutex_.Lock();
  while (true) {
    std::string name;
    if (!NextKey(name)) {
      if (ended_) break;
      work_.Wait(mutex_);
      continue;
    }
    Key& key = keys_[name];
    Tasks tasks = Take(key);
    if (tasks.empty()) {
      Forget(name);
      continue;
    }
    --idle_threads_;
    ++running_;
    ++key.running;
    if (key.suspect) ++running_suspects_;
    MakeReady(name, key);
    mutex_.Unlock();
    run_(tasks);
    mutex_.Lock();
    ++idle_threads_;
    Finish(name, tasks);
  }
  mutex_.Unlock();
}

void Executor::WatchDeadlines() {
  mutex_.Lock();
  while (!ended_) {
    Tasks due = TakeDue(Task::Clock::now());
    if (!due.empty()) {
      mutex_.Unlock();
      for (const std::shared_ptr<Task>& task : due) task->Expire();
      due.clear();
      mutex_.Lock();
    } else if (timers_.empty()) {
      timers_changed_.Wait(mutex_);
    } else {
      timers_changed_.WaitFor(mutex_, timers_.begin()->first - Task::Clock::now());
    }
  }
  mutex_.Unlock();
}

// A thread for everything that is ready, as far as there may be.
void Executor::StartThreads() {
  while (ready_.size() + ready_suspects_.size() > idle_threads_ &&
         threads_.size() < static_cast<size_t>(options_.threads)) {
    ++idle_threads_;
    threads_.emplace_back([this] { Work(); });
  }
}

void Executor::MakeReady(const std::string& name, Key& key) {
  if (key.ready || key.waiting.empty() || key.running >= options_.per_key) return;
  key.ready = true;
  (key.suspect ? ready_suspects_ : ready_).push_back(name);
  StartThreads();
  work_.NotifyOne();
}

// In turn, so that a key with much to do waits like all others.
bool Executor::NextKey(std::string& name) {
  std::deque<std::string>* list = &ready_;
  if (list->empty()) {
    if (ready_suspects_.empty() || running_suspects_ >= std::max(1, options_.threads / 2)) {
      return false;
    }
    list = &ready_suspects_;
  }
  name = std::move(list->front());
  list->pop_front();
  keys_[name].ready = false;
  return true;
}

// The tasks that wait and have not expired meanwhile.
Tasks Executor::Take(Key& key) {
  Tasks tasks;
  while (!key.waiting.empty() && tasks.size() < options_.max_batch) {
    if (timer_of_.contains(key.waiting.front().get())) {
      tasks.push_back(std::move(key.waiting.front()));
    }
    key.waiting.pop_front();
  }
  return tasks;
}

void Executor::Finish(const std::string& name, const Tasks& tasks) {
  bool in_time = true;
  for (const std::shared_ptr<Task>& task : tasks) {
    const auto timer = timer_of_.find(task.get());
    if (timer == timer_of_.end()) {
      in_time = false;
      continue;
    }
    timers_.erase(timer->second);
    timer_of_.erase(timer);
  }
  Key& key = keys_[name];
  --key.running;
  --running_;
  if (key.suspect) {
    --running_suspects_;
    if (in_time) Trust(name, key);
    // A place among the suspects is free, which may be another's.
    work_.NotifyOne();
  }
  MakeReady(name, key);
  Forget(name);
  returned_.NotifyAll();
}

void Executor::Suspect(const std::string& name) {
  Key& key = keys_[name];
  if (key.suspect) return;
  key.suspect = true;
  running_suspects_ += key.running;
  if (key.ready && std::erase(ready_, name) > 0) ready_suspects_.push_back(name);
}

void Executor::Trust(const std::string& name, Key& key) {
  key.suspect = false;
  running_suspects_ -= key.running;
  if (key.ready && std::erase(ready_suspects_, name) > 0) ready_.push_back(name);
}

void Executor::Forget(const std::string& name) {
  const auto found = keys_.find(name);
  if (found == keys_.end()) return;
  const Key& key = found->second;
  if (key.running > 0 || key.ready || !key.waiting.empty()) return;
  if (!key.suspect || keys_.size() > kMaxKeys) keys_.erase(found);
}

Tasks Executor::TakeDue(Task::Clock::time_point now) {
  Tasks due;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    std::shared_ptr<Task> task = std::move(timers_.begin()->second);
    timer_of_.erase(task.get());
    timers_.erase(timers_.begin());
    Suspect(task->key());
    // Those that waited in vain are at the front, since they came first.
    std::deque<std::shared_ptr<Task>>& waiting = keys_[task->key()].waiting;
    due.push_back(std::move(task));
    while (!waiting.empty() && !timer_of_.contains(waiting.front().get())) waiting.pop_front();
  }
  return due;
}

Tasks Executor::TakeWaiting() {
  Tasks tasks;
  for (auto& [name, key] : keys_) {
    for (std::shared_ptr<Task>& task : key.waiting) {
      const auto timer = timer_of_.find(task.get());
      if (timer == timer_of_.end()) continue;
      timers_.erase(timer->second);
      timer_of_.erase(timer);
      tasks.push_back(std::move(task));
    }
    key.waiting.clear();
  }
  return tasks;
}

}  // namespace neap::sdk
