#include "autoscaler/scalerhost/loop.h"

#include <algorithm>

namespace neap::scalerhost {

Loop::Loop(const base::Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

Loop::~Loop() { Stop(); }

void Loop::Post(Task task) {
  base::MutexLock lock(mutex_);
  if (stopping_) return;
  tasks_.push_back(std::move(task));
  wake_.NotifyOne();
}

Loop::TimerId Loop::After(absl::Duration delay, Task task) {
  const TimerId id{clock_.Elapsed() + delay, ++last_timer_};
  timers_.emplace(id, std::move(task));
  return id;
}

void Loop::Cancel(TimerId id) { timers_.erase(id); }

void Loop::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

std::vector<Loop::Task> Loop::Take() {
  base::MutexLock lock(mutex_);
  while (tasks_.empty() && !stopping_) {
    // Not for ever, so that the wait fits into what a condition variable can count.
    absl::Duration wait = absl::Minutes(1);
    if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first.first - clock_.Elapsed());
    if (wait <= absl::ZeroDuration()) break;
    wake_.WaitFor(mutex_, absl::ToChronoNanoseconds(wait));
  }
  std::vector<Task> taken;
  if (!stopping_) taken.swap(tasks_);
  return taken;
}

void Loop::RunDueTimers() {
  const absl::Duration now = clock_.Elapsed();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto due = timers_.extract(timers_.begin());
    due.mapped()();
  }
}

void Loop::Run() {
  for (;;) {
    for (Task& task : Take()) task();
    RunDueTimers();
    base::MutexLock lock(mutex_);
    if (stopping_) break;
  }
  timers_.clear();
}

}  // namespace neap::scalerhost
