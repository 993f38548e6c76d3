#include "autoscaler/sim/distribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace neap::sim {
namespace {

using testing::ElementsAre;

// Sorted, in seconds.
std::vector<double> Draws(const Distribution& distribution, int n, uint64_t seed = 1) {
  Random random(seed);
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(static_cast<double>(distribution.Draw(random)) / 1e9);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<int64_t> First(const Distribution& distribution, int n) {
  Random random(7);
  std::vector<int64_t> out;
  for (int i = 0; i < n; ++i) out.push_back(distribution.Draw(random));
  return out;
}

double MeanOf(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double DeviationOf(const std::vector<double>& values) {
  const double mean = MeanOf(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

double QuantileOf(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

constexpr int kMany = 200'000;

// What the library's logarithm says of the same u, over the whole range.
TEST(Distribution, NegativeLogIsTheLogarithm) {
  Random random(3);
  Random same(3);
  for (int i = 0; i < 10'000; ++i) {
    const double u = static_cast<double>(same.Next()) / 18446744073709551616.0;
    ASSERT_NEAR(static_cast<double>(NegativeLog(random)) / 4294967296.0, -std::log(u), 3e-6) << u;
  }
}

TEST(Distribution, DefaultIsAlwaysZeroAndFixedAlwaysThat) {
  Random random(1);
  EXPECT_EQ(Distribution().Draw(random), 0);
  EXPECT_EQ(Distribution::Fixed(absl::Seconds(20)).Draw(random), 20'000'000'000);
  EXPECT_EQ(Distribution::Fixed(absl::Seconds(20)).Mean(), absl::Seconds(20));
  EXPECT_EQ(random.Next(), Random(1).Next());  // they need no chance
}

TEST(Distribution, UniformReachesItsEndsAndIsEven) {
  const auto all = Draws(Distribution::Uniform(absl::Seconds(5), absl::Seconds(20)), kMany);
  EXPECT_GE(all.front(), 5);
  EXPECT_LE(all.back(), 20);
  EXPECT_NEAR(MeanOf(all), 12.5, 0.05);
  EXPECT_NEAR(QuantileOf(all, 0.1), 6.5, 0.1);
  EXPECT_NEAR(QuantileOf(all, 0.9), 18.5, 0.1);

  const Distribution dice = Distribution::Uniform(absl::Nanoseconds(1), absl::Nanoseconds(6));
  const auto thrown = Draws(dice, 1000);
  EXPECT_EQ(thrown.front(), 1e-9);
  EXPECT_EQ(thrown.back(), 6e-9);
}

TEST(Distribution, ExponentialHasItsMeanAndQuantiles) {
  const Distribution wait = Distribution::Exponential(absl::Milliseconds(200));
  EXPECT_EQ(wait.Mean(), absl::Milliseconds(200));
  const auto all = Draws(wait, kMany);
  EXPECT_NEAR(MeanOf(all), 0.2, 0.002);
  EXPECT_NEAR(DeviationOf(all), 0.2, 0.003);
  EXPECT_NEAR(QuantileOf(all, 0.5), 0.2 * std::log(2), 0.002);
  EXPECT_NEAR(QuantileOf(all, 0.99), 0.2 * std::log(100), 0.02);
  EXPECT_GE(all.front(), 0);
}

TEST(Distribution, NormalHasItsMeanDeviationAndQuantilesAndIsNeverNegative) {
  const auto all = Draws(Distribution::Normal(absl::Seconds(20), absl::Seconds(3)), kMany);
  EXPECT_NEAR(MeanOf(all), 20, 0.03);
  EXPECT_NEAR(DeviationOf(all), 3, 0.03);
  EXPECT_NEAR(QuantileOf(all, 0.5), 20, 0.05);
  EXPECT_NEAR(QuantileOf(all, 0.8413), 23, 0.06);
  EXPECT_NEAR(QuantileOf(all, 0.9772), 26, 0.1);

  const auto cut = Draws(Distribution::Normal(absl::Seconds(1), absl::Seconds(3)), 1000);
  EXPECT_EQ(cut.front(), 0);
  EXPECT_GT(cut.back(), 4);
}

TEST(Distribution, QuantilesAreStraightLinesBetween) {
  const Distribution start =
      Distribution::Quantiles({absl::Seconds(5), absl::Seconds(8), absl::Seconds(30)});
  EXPECT_EQ(start.Mean(), absl::Milliseconds(12'750));
  const auto all = Draws(start, kMany);
  EXPECT_GE(all.front(), 5);
  EXPECT_LE(all.back(), 30);
  EXPECT_NEAR(MeanOf(all), 12.75, 0.05);
  EXPECT_NEAR(QuantileOf(all, 0.25), 6.5, 0.05);
  EXPECT_NEAR(QuantileOf(all, 0.5), 8, 0.25);
  EXPECT_NEAR(QuantileOf(all, 0.75), 19, 0.2);
}

// The longest times there are neither overflow nor go below 0.
TEST(Distribution, ExtremesAreCutOff) {
  constexpr int64_t kLongest = int64_t{1} << 62;
  Random random(1);
  EXPECT_EQ(Distribution::Fixed(absl::InfiniteDuration()).Draw(random), kLongest);
  EXPECT_EQ(Distribution::Fixed(-absl::Seconds(1)).Draw(random), 0);
  for (const Distribution& d : {
           Distribution::Uniform(absl::ZeroDuration(), absl::InfiniteDuration()),
           Distribution::Exponential(absl::InfiniteDuration()),
           Distribution::Normal(absl::InfiniteDuration(), absl::InfiniteDuration()),
           Distribution::Quantiles({absl::ZeroDuration(), absl::InfiniteDuration()}),
       }) {
    for (int i = 0; i < 1000; ++i) {
      const int64_t draw = d.Draw(random);
      ASSERT_GE(draw, 0);
      ASSERT_LE(draw, kLongest);
    }
    EXPECT_GT(d.Mean(), absl::Hours(1));
  }
}

// One seed, the same times on every machine and with every compiler: written down once.
TEST(Distribution, FirstDrawsOfASeed) {
  EXPECT_THAT(First(Distribution::Uniform(absl::Seconds(5), absl::Seconds(20)), 3),
              ElementsAre(10412968514, 7574309846, 10707869230));
  EXPECT_THAT(First(Distribution::Exponential(absl::Seconds(1)), 3),
              ElementsAre(942045652, 4087073758, 104516032));
  EXPECT_THAT(First(Distribution::Normal(absl::Seconds(20), absl::Seconds(3)), 3),
              ElementsAre(17984558106, 19262863160, 20878906250));
  EXPECT_THAT(
      First(Distribution::Quantiles({absl::Seconds(5), absl::Seconds(8), absl::Seconds(30)}), 3),
      ElementsAre(7338978489, 5100729765, 25633469939));
}

}  // namespace
}  // namespace neap::sim
