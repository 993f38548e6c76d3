#include "autoscaler/telemetry/logging.h"

#include <gtest/gtest.h>

#include <string>

namespace neap::telemetry {
namespace {

TEST(Throttle, SaysWhatRepeatsOncePerIntervalWithACount) {
  Throttle throttle(absl::Minutes(1));
  absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(throttle.Allow("pods", "no route", now), "no route");
  for (int i = 0; i < 5; ++i) {
    now += absl::Seconds(10);
    EXPECT_EQ(throttle.Allow("pods", "no route", now), "");
  }
  now += absl::Seconds(10);
  EXPECT_EQ(throttle.Allow("pods", "no route", now), "no route (5 times more)");
}

TEST(Throttle, SaysANewTextAtOnce) {
  Throttle throttle(absl::Minutes(1));
  const absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(throttle.Allow("pods", "no route", now), "no route");
  EXPECT_EQ(throttle.Allow("pods", "refused", now), "refused");
  EXPECT_EQ(throttle.Allow("scales", "refused", now), "refused");
}

TEST(Throttle, ForgetsBeyondItsBound) {
  Throttle throttle(absl::Hours(1));
  const absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 5000; ++i) throttle.Allow(std::to_string(i), "x", now);
  EXPECT_EQ(throttle.Allow("0", "x", now), "x");
}

}  // namespace
}  // namespace neap::telemetry
