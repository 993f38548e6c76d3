#include "autoscaler/sim/service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "autoscaler/sim/distribution.h"

namespace neap::sim {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

TEST(WaitHistogram, OfNothingIsZero) {
  const WaitHistogram none;
  EXPECT_EQ(none.total(), 0);
  EXPECT_EQ(none.Quantile(990), 0);
  EXPECT_EQ(none.max(), 0);
}

TEST(WaitHistogram, SmallNumbersAreExact) {
  WaitHistogram waits;
  for (int64_t nanos = 0; nanos < 16; ++nanos) waits.Add(nanos);
  EXPECT_EQ(waits.total(), 16'000);
  EXPECT_EQ(waits.Quantile(0), 0);
  EXPECT_EQ(waits.Quantile(500), 7);
  EXPECT_EQ(waits.Quantile(501), 8);  // 8.016 of 16
  EXPECT_EQ(waits.Quantile(1000), 15);
}

// Every magnitude: never below the truth, at most a sixteenth above it.
TEST(WaitHistogram, IsAtMostASixteenthAboveTheTruth) {
  Random random(5);
  for (int bits = 1; bits < 63; ++bits) {
    for (int i = 0; i < 50; ++i) {
      const auto nanos = static_cast<int64_t>(random.Next() >> (64 - bits));
      WaitHistogram waits;
      waits.Add(nanos);
      waits.Add(kMost);  // so that max does not mend the edge
      ASSERT_GE(waits.Quantile(500), nanos);
      ASSERT_LE(waits.Quantile(500) - nanos, nanos / 16);
    }
  }
}

TEST(WaitHistogram, QuantilesOfManyAreNearTheTruth) {
  const Distribution wait = Distribution::Exponential(absl::Milliseconds(50));
  Random random(2);
  WaitHistogram waits;
  std::vector<int64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    all.push_back(wait.Draw(random));
    waits.Add(all.back());
  }
  std::sort(all.begin(), all.end());
  for (const int permille : {1, 100, 500, 900, 990, 999}) {
    const int64_t truth = all[static_cast<size_t>(permille) * 100 - 1];
    EXPECT_GE(waits.Quantile(permille), truth);
    EXPECT_LE(waits.Quantile(permille), truth + truth / 16) << permille;
  }
  EXPECT_EQ(waits.Quantile(1000), all.back());
  EXPECT_EQ(waits.max(), all.back());
}

TEST(WaitHistogram, CountsPartsOfRequests) {
  WaitHistogram waits;
  waits.Add(5, 989);
  waits.Add(9, 11);
  waits.Add(7, 0);  // nothing waited for so long
  EXPECT_EQ(waits.total(), 1000);
  EXPECT_EQ(waits.Quantile(989), 5);
  EXPECT_EQ(waits.Quantile(990), 9);
}

TEST(WaitHistogram, MergedIsAsIfAddedToOne) {
  WaitHistogram a;
  WaitHistogram b;
  a.Add(3);
  b.Add(1'000'000, 3000);
  a.Add(b);
  EXPECT_EQ(a.total(), 4000);
  EXPECT_EQ(a.max(), 1'000'000);
  EXPECT_EQ(a.Quantile(250), 3);
  EXPECT_EQ(a.Quantile(251), 1'000'000);
  a.Clear();
  EXPECT_EQ(a.total(), 0);
  EXPECT_EQ(a.Quantile(500), 0);
}

TEST(WaitHistogram, TakesTheEndsOfTheRange) {
  WaitHistogram waits;
  waits.Add(-1);
  EXPECT_EQ(waits.Quantile(1000), 0);
  waits.Add(kMost, kMost / 2);
  EXPECT_EQ(waits.Quantile(999), kMost);
}

TEST(Service, FailedIsEveryWayToFail) {
  const Service service{.timed_out = 1, .refused = 2, .reset = 4, .wrong = 8, .overflowed = 16};
  EXPECT_EQ(service.Failed(), 31);
}

}  // namespace
}  // namespace neap::sim
