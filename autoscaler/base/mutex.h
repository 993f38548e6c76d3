// std::mutex with clang's thread-safety annotations. absl::Mutex is not used: it gives false
// reports under TSan on this toolchain. Checked by clang-19 with -Wthread-safety (tools/test); GCC
// ignores the attributes.
//
//   base::Mutex mutex_;
//   std::deque<Item> queue_ NEAP_GUARDED_BY(mutex_);
//   ... base::MutexLock lock(mutex_);
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define NEAP_ATTRIBUTE_(x) __attribute__((x))
#else
#define NEAP_ATTRIBUTE_(x)
#endif
#define NEAP_CAPABILITY(x) NEAP_ATTRIBUTE_(capability(x))
#define NEAP_SCOPED_CAPABILITY NEAP_ATTRIBUTE_(scoped_lockable)
#define NEAP_GUARDED_BY(x) NEAP_ATTRIBUTE_(guarded_by(x))
#define NEAP_PT_GUARDED_BY(x) NEAP_ATTRIBUTE_(pt_guarded_by(x))
#define NEAP_REQUIRES(...) NEAP_ATTRIBUTE_(requires_capability(__VA_ARGS__))
#define NEAP_EXCLUDES(...) NEAP_ATTRIBUTE_(locks_excluded(__VA_ARGS__))
#define NEAP_ACQUIRE(...) NEAP_ATTRIBUTE_(acquire_capability(__VA_ARGS__))
#define NEAP_RELEASE(...) NEAP_ATTRIBUTE_(release_capability(__VA_ARGS__))
#define NEAP_NO_THREAD_SAFETY_ANALYSIS NEAP_ATTRIBUTE_(no_thread_safety_analysis)

namespace neap::base {

class NEAP_CAPABILITY("mutex") Mutex {
 public:
  void Lock() NEAP_ACQUIRE() { mutex_.lock(); }
  void Unlock() NEAP_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class NEAP_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) NEAP_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() NEAP_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition variable for base::Mutex. Spurious wake-ups are possible: wait in a loop over the
// condition.
class CondVar {
 public:
  void Wait(Mutex& mutex) NEAP_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when `timeout` passed first.
  bool WaitFor(Mutex& mutex, std::chrono::nanoseconds timeout) NEAP_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace neap::base
