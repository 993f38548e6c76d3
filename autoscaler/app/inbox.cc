#include "autoscaler/app/inbox.h"

#include <algorithm>
#include <utility>

namespace neap::app {
namespace {
// A condition variable can't wait until the end of time; Take may return early anyway.
constexpr absl::Duration kLongestWait = absl::Hours(1);
}  // namespace

void Inbox::Push(control::Message message) {
  base::MutexLock lock(mutex_);
  while (messages_.size() >= limit_ && !closed_ && std::this_thread::get_id() != reader_) {
    not_full_.Wait(mutex_);
  }
  if (closed_) return;
  if (const auto* reading = std::get_if<control::TriggerReading>(&message)) {
    if (reading->round != 0) {
      // It answers a round that someone waits for and is never replaced; what is pushed after it
      // must come after it.
      pushed_reading_at_.Erase(reading->trigger_id);
    } else if (const size_t* at = pushed_reading_at_.Find(reading->trigger_id)) {
      messages_[*at] = std::move(message);
      ++coalesced_;
      return;
    } else {
      pushed_reading_at_[reading->trigger_id] = messages_.size();
    }
  }
  messages_.push_back(std::move(message));
  not_empty_.NotifyOne();
}

std::vector<control::Message> Inbox::Take(absl::Duration timeout) {
  base::MutexLock lock(mutex_);
  if (reader_ == std::thread::id()) reader_ = std::this_thread::get_id();
  if (messages_.empty() && !woken_ && timeout > absl::ZeroDuration()) {
    not_empty_.WaitFor(mutex_, absl::ToChronoNanoseconds(std::min(timeout, kLongestWait)));
  }
  woken_ = false;
  pushed_reading_at_.Clear();
  std::vector<control::Message> taken = std::exchange(messages_, {});
  not_full_.NotifyAll();
  return taken;
}

void Inbox::Wake() {
  base::MutexLock lock(mutex_);
  woken_ = true;
  not_empty_.NotifyOne();
}

void Inbox::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  not_full_.NotifyAll();
}

uint64_t Inbox::coalesced() const {
  base::MutexLock lock(mutex_);
  return coalesced_;
}

}  // namespace neap::app
