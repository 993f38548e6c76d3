#include "autoscaler/base/clock.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>

namespace neap::base {
namespace {

TEST(Clock, StartsAtTheWallClock) {
  const absl::Time before = absl::Now();
  const Clock clock;
  EXPECT_GE(clock.Now(), before - absl::Seconds(1));
  EXPECT_LE(clock.Now(), absl::Now() + absl::Seconds(1));
}

TEST(Clock, NeverGoesBack) {
  const Clock clock;
  absl::Time last = clock.Now();
  absl::Duration elapsed = clock.Elapsed();
  EXPECT_GE(elapsed, absl::ZeroDuration());
  for (int i = 0; i < 10000; ++i) {
    const absl::Time now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
    ASSERT_GE(clock.Elapsed(), elapsed);
    elapsed = clock.Elapsed();
  }
}

TEST(Clock, SinceBootNeverGoesBack) {
  absl::Duration last = SinceBoot();
  EXPECT_GT(last, absl::ZeroDuration());
  for (int i = 0; i < 10000; ++i) {
    const absl::Duration now = SinceBoot();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace neap::base
