#include "autoscaler/base/stamp.h"

#include <gtest/gtest.h>

namespace neap::base {
namespace {

TEST(Stamp, IsTheSameTime) {
  const absl::Time times[] = {absl::UnixEpoch(),
                              absl::FromUnixNanos(1),
                              absl::FromUnixNanos(-1),
                              absl::FromUnixNanos(1'767'225'600'123'456'789),
                              absl::FromUnixNanos(-1'767'225'600'123'456'789),
                              absl::InfinitePast(),
                              absl::InfiniteFuture()};
  for (const absl::Time time : times) EXPECT_EQ(absl::Time(Stamp(time)), time);
}

TEST(Stamp, IsOrderedAsTimesAre) {
  const absl::Time second = absl::FromUnixSeconds(1'767'225'600);
  EXPECT_LT(Stamp(), Stamp(second));
  EXPECT_LT(Stamp(absl::FromUnixSeconds(-5)), Stamp(absl::FromUnixSeconds(-4)));
  EXPECT_LT(Stamp(absl::FromUnixSeconds(-5)), Stamp(absl::UnixEpoch()));
  EXPECT_LT(Stamp(second), Stamp(second + absl::Nanoseconds(1)));
  EXPECT_LT(Stamp(second), Stamp(absl::InfiniteFuture()));
  EXPECT_EQ(Stamp(second + absl::Seconds(5)) - Stamp(second), absl::Seconds(5));
  EXPECT_EQ(Stamp(second) - Stamp(), absl::InfiniteDuration());
}

TEST(Stamp, WhatLiesBeyondIsInfinite) {
  EXPECT_EQ(absl::Time(Stamp(absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone()))),
            absl::InfinitePast());
  EXPECT_EQ(absl::Time(Stamp(absl::FromCivil(absl::CivilYear(9999), absl::UTCTimeZone()))),
            absl::InfiniteFuture());
}

}  // namespace
}  // namespace neap::base
