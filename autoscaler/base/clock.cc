#include "autoscaler/base/clock.h"

#include <absl/time/clock.h>

#include <chrono>
#include <ctime>

#include "autoscaler/base/check.h"

namespace neap::base {
namespace {
absl::Duration Monotonic() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}
}  // namespace

Clock::Clock() : wall_at_start_(absl::Now()), monotonic_at_start_(Monotonic()) {}

absl::Time Clock::Now() const { return wall_at_start_ + Elapsed(); }

absl::Duration Clock::Elapsed() const { return Monotonic() - monotonic_at_start_; }

absl::Duration SinceBoot() {
  timespec time{};
  NEAP_CHECK(clock_gettime(CLOCK_BOOTTIME, &time) == 0, "clock_gettime(CLOCK_BOOTTIME) failed");
  return absl::DurationFromTimespec(time);
}

}  // namespace neap::base
