#include "autoscaler/sim/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "autoscaler/base/status.h"
#include "autoscaler/sim/random.h"

namespace neap::sim {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view csv) {
  return std::string(base::Message(ParseTrace(csv, "day.csv").status()));
}

// The published sequence of splitmix64: the same numbers on every machine.
TEST(Random, IsSplitMix) {
  Random random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
}

TEST(Random, BetweenReachesBothEndsAndNoFurther) {
  Random random(1);
  bool least = false;
  bool most = false;
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration d = random.Between(absl::Milliseconds(5), absl::Milliseconds(9));
    ASSERT_GE(d, absl::Milliseconds(5));
    ASSERT_LE(d, absl::Milliseconds(9));
    least |= d == absl::Milliseconds(5);
    most |= d == absl::Milliseconds(9);
  }
  EXPECT_TRUE(least);
  EXPECT_TRUE(most);
  EXPECT_EQ(random.Between(absl::Seconds(3), absl::Seconds(3)), absl::Seconds(3));
}

TEST(Load, ConstantAndNone) {
  EXPECT_EQ(Load().At(absl::Hours(1)), 0);
  EXPECT_EQ(Load::Constant(2500).At(absl::ZeroDuration()), 2500);
  EXPECT_EQ(Load::Constant(2500).At(absl::Hours(1000)), 2500);
}

TEST(Load, StepsHoldUntilTheNext) {
  const Load load = Load::Steps(
      {{absl::Seconds(10), 1000}, {absl::Seconds(20), 5000}, {absl::Seconds(30), 0}}, false);
  EXPECT_EQ(load.At(absl::Seconds(9)), 0);
  EXPECT_EQ(load.At(absl::Seconds(10)), 1000);
  EXPECT_EQ(load.At(absl::Milliseconds(19'999)), 1000);
  EXPECT_EQ(load.At(absl::Seconds(20)), 5000);
  EXPECT_EQ(load.At(absl::Hours(5)), 0);
}

TEST(Load, RepeatedStepsBeginAnewAfterTheLastOnesTime) {
  const Load load = Load::Steps({{absl::ZeroDuration(), 1000}, {absl::Seconds(10), 5000}}, true);
  EXPECT_EQ(load.At(absl::Seconds(19)), 5000);
  EXPECT_EQ(load.At(absl::Seconds(20)), 1000);
  EXPECT_EQ(load.At(absl::Seconds(35)), 5000);
}

TEST(Load, RampSquareAndSine) {
  const Load ramp = Load::Ramp(1000, 3000, absl::Seconds(20));
  EXPECT_EQ(ramp.At(absl::ZeroDuration()), 1000);
  EXPECT_EQ(ramp.At(absl::Seconds(10)), 2000);
  EXPECT_EQ(ramp.At(absl::Hours(1)), 3000);

  const Load::Wave wave{.low = 1000, .high = 3000, .period = absl::Seconds(40)};
  EXPECT_EQ(Load::Square(wave).At(absl::Seconds(19)), 1000);
  EXPECT_EQ(Load::Square(wave).At(absl::Seconds(20)), 3000);
  EXPECT_EQ(Load::Square(wave).At(absl::Seconds(41)), 1000);

  const Load sine = Load::Sine(wave);
  EXPECT_EQ(sine.At(absl::ZeroDuration()), 2000);
  EXPECT_EQ(sine.At(absl::Seconds(10)), 3000);
  EXPECT_EQ(sine.At(absl::Seconds(20)), 2000);
  EXPECT_EQ(sine.At(absl::Seconds(30)), 1000);
  EXPECT_NEAR(static_cast<double>(sine.At(absl::Seconds(5))), 2000 + 707.1, 1);
}

TEST(Load, ScaledInHeightAndTime) {
  const Load load = Load::Steps({{absl::ZeroDuration(), 1000}, {absl::Seconds(60), 5000}}, false)
                        .Scaled(500, 60'000);
  EXPECT_EQ(load.At(absl::Milliseconds(999)), 500);
  EXPECT_EQ(load.At(absl::Seconds(1)), 2500);
  EXPECT_EQ(Load::Constant(kMaxRate).Scaled(10'000, 1000).At(absl::ZeroDuration()), kMaxRate);
}

TEST(ParseTrace, TakesTheUsualForms) {
  const std::vector<Load::Point> expected = {{absl::ZeroDuration(), 10'000},
                                             {absl::Seconds(15), 12'500}};
  for (const char* csv : {
           "ts,value\n1655316015,10.000000\n1655316030,12.5\n",
           "1655316015,10\r\n1655316030,12.5",
           "1655316015000;10\n1655316030000;12.5\n",
           "timestamp\tvalue\n2014-07-01 00:00:00\t10\n2014-07-01 00:00:15\t12.5\n",
           "# a comment\n\n\"2026-01-01T00:00:00Z\",\"10\",more\n2026-01-01T00:00:15Z,12.5,more\n",
           "0,10\n15.0,12.5\n",
       }) {
    const auto points = ParseTrace(csv, "day.csv");
    ASSERT_TRUE(points.ok()) << csv << points.status();
    EXPECT_EQ(*points, expected) << csv;
  }
}

TEST(ParseTrace, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("day.csv: no row"));
  EXPECT_THAT(ErrorOf("time,rate\n"), HasSubstr("no row"));
  EXPECT_THAT(ErrorOf("0,1\n5,many\n"), HasSubstr("day.csv:2: the rate \"many\" is not a number"));
  EXPECT_THAT(ErrorOf("0,1\n5,nan\n"), HasSubstr("day.csv:2: the rate nan is not between"));
  EXPECT_THAT(ErrorOf("0,1\n5,inf\n"), HasSubstr("day.csv:2"));
  EXPECT_THAT(ErrorOf("0,1\n5,-2\n"), HasSubstr("the rate -2 is not between 0"));
  EXPECT_THAT(ErrorOf("0,1\n5,2\n5,3\n"), HasSubstr("day.csv:3: the time \"5\" is not after"));
  EXPECT_THAT(ErrorOf("0,1\n5\n"), HasSubstr("day.csv:2: expected two columns"));
  EXPECT_THAT(ErrorOf("0,1\nlater,2\n"), HasSubstr("day.csv:2: the time \"later\""));
}

}  // namespace
}  // namespace neap::sim
