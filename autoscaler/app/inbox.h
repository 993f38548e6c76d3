// Inbox: the one place where I/O threads hand messages to the controller's thread. Bounded: of the
// pushed readings of one trigger only the latest is kept, and when a flood of other messages passes
// the limit the sender waits, so nothing is lost. Thread-safe. Owned by app; senders borrow it and
// must be stopped before it goes.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/control/messages.h"

namespace neap::app {

class Inbox {
 public:
  explicit Inbox(size_t limit = 65536) : limit_(limit) {}

  // Waits while `limit` messages lie unread, except after Close (then the message is dropped) and
  // on the reader's own thread (which alone could make room).
  void Push(control::Message message) NEAP_EXCLUDES(mutex_);

  // Everything that came in, in order. Waits up to `timeout` for the first message or a Wake. One
  // reader: the thread that calls it first.
  std::vector<control::Message> Take(absl::Duration timeout) NEAP_EXCLUDES(mutex_);

  void Wake() NEAP_EXCLUDES(mutex_);   // ends a Take early
  void Close() NEAP_EXCLUDES(mutex_);  // lets waiting senders go; later messages are dropped

  // How many readings were replaced by a later one before they were read.
  uint64_t coalesced() const NEAP_EXCLUDES(mutex_);

 private:
  const size_t limit_;
  mutable base::Mutex mutex_;
  base::CondVar not_empty_;
  base::CondVar not_full_;
  std::vector<control::Message> messages_ NEAP_GUARDED_BY(mutex_);
  // Trigger id -> index of its unread pushed reading, as long as no other reading of it came later.
  base::StringLookup<size_t> pushed_reading_at_ NEAP_GUARDED_BY(mutex_);
  std::thread::id reader_ NEAP_GUARDED_BY(mutex_);
  bool woken_ NEAP_GUARDED_BY(mutex_) = false;
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
  uint64_t coalesced_ NEAP_GUARDED_BY(mutex_) = 0;
};

}  // namespace neap::app
