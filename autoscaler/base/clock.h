// The process's clock: wall time at start plus monotonic time since. It never goes back and never
// jumps when the machine's wall clock is set. Only app, playground, scalers and tools own one;
// core, control, record and sim take `now` as an argument (tools/lint refuses a real clock there).
#pragma once

#include <absl/time/time.h>

namespace neap::base {

// Thread-safe (immutable after construction).
class Clock {
 public:
  Clock();
  absl::Time Now() const;          // wall time at construction + Elapsed()
  absl::Duration Elapsed() const;  // monotonic, since construction, >= 0

 private:
  absl::Time wall_at_start_;
  absl::Duration monotonic_at_start_;
};

// Since the machine booted: never goes back, is not set, and goes on while the machine is
// suspended, when Clock stands still. For promises to other machines (leases), whose time went on.
absl::Duration SinceBoot();

}  // namespace neap::base
