#include "autoscaler/sim/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <string>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/random.h"

namespace neap::sim {
namespace {

using testing::HasSubstr;

std::unique_ptr<LoadCursor> Open(const Load& load, uint64_t seed = 1) {
  auto cursor = load.Open(seed);
  EXPECT_TRUE(cursor.ok()) << cursor.status();
  return *std::move(cursor);
}

// "0s=10 20s=50": every change until then, of a cursor that goes from one to the next.
std::string Changes(const Load& load, absl::Duration until, uint64_t seed = 1) {
  const auto cursor = Open(load, seed);
  std::string out;
  int64_t last = -1;
  for (absl::Duration now; now <= until; now = cursor->NextChange()) {
    const int64_t rate = cursor->At(now);
    if (rate != last) {
      out += fmt::format("{}{}={}", out.empty() ? "" : " ", base::FormatDuration(now), rate);
    }
    last = rate;
  }
  return out;
}

// Between two changes the rate stays, whoever looks: at odd moments, and just before the next one.
void ExpectExact(const Load& load, absl::Duration until) {
  const auto leaper = Open(load);
  const auto walker = Open(load);
  int changes = 0;
  for (absl::Duration now; now <= until;) {
    const int64_t rate = leaper->At(now);
    const absl::Duration next = std::min(leaper->NextChange(), until + absl::Seconds(1));
    ASSERT_GT(next, now);
    for (absl::Duration at = now; at < next; at += (next - now) / 3 + absl::Nanoseconds(1)) {
      ASSERT_EQ(walker->At(at), rate) << at << " of " << now << " to " << next;
    }
    ASSERT_EQ(walker->At(next - absl::Nanoseconds(1)), rate) << now << " to " << next;
    now = next;
    ++changes;
  }
  EXPECT_GE(changes, 1);
}

class TraceLoad : public testing::Test {
 protected:
  static std::string Written(const std::string& name, std::string_view text) {
    const std::string path = testing::TempDir() + "load_" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
};

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
  EXPECT_EQ(Changes(Load::Constant(2500), absl::Hours(1000)), "0s=2500");
  EXPECT_EQ(Open(Load())->NextChange(), absl::InfiniteDuration());
  EXPECT_EQ(Open(Load())->Ended(), absl::InfiniteDuration());
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

TEST(Load, ScaledTwiceCountsBoth) {
  const Load load = Load::Constant(1'000'000).Scaled(333, 1000).Scaled(500, 1000);
  EXPECT_EQ(load.At(absl::ZeroDuration()), 166'500);
  EXPECT_EQ(Changes(Load::Ramp(0, 1000, absl::Seconds(4)).Scaled(2000, 2000).Scaled(1000, 500),
                    absl::Hours(1)),
            "0s=0 1s=500 2s=1000 3s=1500 4s=2000");
}

TEST(Load, ChangesAreThereWhereTheyAreAnnounced) {
  const Load::Wave wave{.low = 1000, .high = 9000, .period = absl::Milliseconds(12'345)};
  const Load steps = Load::Steps(
      {{absl::Seconds(1), 1000}, {absl::Milliseconds(2500), 5000}, {absl::Seconds(3), 0}}, true);
  for (const Load& load :
       {steps, Load::Square(wave), Load::Sine(wave), Load::Ramp(500, 90'000, absl::Seconds(33)),
        Load::FlashCrowd({.base = 1000,
                          .peak = 50'000,
                          .at = absl::Milliseconds(10'300),
                          .rise = absl::Milliseconds(2'700),
                          .hold = absl::Seconds(5),
                          .fall = absl::Milliseconds(7'100)}),
        Load::Poisson(20'000, absl::Milliseconds(700)), Load::Sum({steps, Load::Square(wave)})}) {
    for (const int64_t speed : {1000, 60'000, 777, 1}) {
      ExpectExact(load.Scaled(1500, speed), absl::Seconds(30) * 1000 / speed);
    }
  }
}

TEST(Load, StoppedInTimeStaysAtItsBeginning) {
  const Load load = Load::Ramp(500, 1000, absl::Seconds(1)).Scaled(1000, 0);
  EXPECT_EQ(Changes(load, absl::Hours(1)), "0s=500");
}

TEST(Load, FlashCrowdComesAndGoes) {
  const Load load = Load::FlashCrowd({.base = 10'000,
                                      .peak = 50'000,
                                      .at = absl::Minutes(10),
                                      .rise = absl::Seconds(4),
                                      .hold = absl::Minutes(5),
                                      .fall = absl::Seconds(2)});
  EXPECT_EQ(Changes(load, absl::Hours(1)),
            "0s=10000 10m1s=20000 10m2s=30000 10m3s=40000 10m4s=50000 15m5s=30000 15m6s=10000");
  // All at once.
  EXPECT_EQ(Changes(Load::FlashCrowd({.base = 1000,
                                      .peak = 9000,
                                      .at = absl::Seconds(90),
                                      .rise = absl::ZeroDuration(),
                                      .hold = absl::Seconds(30),
                                      .fall = absl::ZeroDuration()}),
                    absl::Hours(1)),
            "0s=1000 1m30s=9000 2m0s=1000");
}

TEST(Load, PoissonHasItsMeanAndDeviation) {
  for (const int64_t rate : {500, 20'000, 63'000, 65'000, 5'000'000}) {  // few and many a second
    const auto cursor = Open(Load::Poisson(rate, absl::Seconds(1)));
    double sum = 0;
    double squares = 0;
    constexpr int kRounds = 20'000;
    for (int i = 0; i < kRounds; ++i) {
      const int64_t drawn = cursor->At(absl::Seconds(i));
      ASSERT_EQ(drawn % 1000, 0);  // whole arrivals
      sum += static_cast<double>(drawn) / 1000;
      squares += static_cast<double>(drawn) / 1000 * static_cast<double>(drawn) / 1000;
    }
    const double mean = static_cast<double>(rate) / 1000;
    const double variance = squares / kRounds - sum / kRounds * (sum / kRounds);
    EXPECT_NEAR(sum / kRounds, mean, 4 * std::sqrt(mean / kRounds)) << rate;
    EXPECT_NEAR(variance, mean, 0.05 * mean) << rate;
  }
}

TEST(Load, PoissonIsOfItsSeedAndNotOfWhoLooks) {
  const Load load = Load::Poisson(20'000, absl::Seconds(10));
  // Written down once: the same on every machine.
  EXPECT_EQ(Changes(load, absl::Seconds(40), 7), "0s=21000 10s=22200 30s=18900 40s=20700");
  EXPECT_NE(Changes(load, absl::Seconds(40), 8), Changes(load, absl::Seconds(40), 7));
  EXPECT_EQ(Open(load, 7)->At(absl::Seconds(40)), Open(load, 7)->At(absl::Seconds(49)));
  const auto all = Open(load, 7);
  for (int i = 0; i < 400; ++i) all->At(absl::Seconds(i));
  EXPECT_EQ(all->At(absl::Seconds(400)), Open(load, 7)->At(absl::Seconds(400)));
  // A neighbour's seed is no shifted copy of it.
  EXPECT_NE(Open(load, 7)->At(absl::Seconds(11)), Open(load, 8)->At(absl::Seconds(1)));
}

TEST(Load, SumsAreOfTheirParts) {
  const Load sum = Load::Sum(
      {Load::Constant(1000), Load::Steps({{absl::Seconds(5), 500}}, false).Scaled(2000, 1000)});
  EXPECT_EQ(Changes(sum, absl::Hours(1)), "0s=1000 5s=2000");
  EXPECT_EQ(Changes(sum.Scaled(3000, 500), absl::Hours(1)), "0s=3000 10s=6000");
  EXPECT_EQ(Changes(Load::Sum({sum, sum}), absl::Hours(1)), "0s=2000 5s=4000");
  EXPECT_EQ(Load::Sum({}).At(absl::ZeroDuration()), 0);
  EXPECT_EQ(Load::Sum({Load::Constant(kMaxRate), sum}).At(absl::ZeroDuration()), kMaxRate);
  // Two of chance in one sum are not the same.
  const Load chance = Load::Poisson(100'000, absl::Seconds(1));
  EXPECT_NE(Open(Load::Sum({chance, chance}))->At(absl::ZeroDuration()),
            2 * Open(Load::Sum({chance}))->At(absl::ZeroDuration()));
}

// ---- traces

TEST_F(TraceLoad, EndsOneStepAfterTheLastRow) {
  const std::string path = Written("ends.csv", "time,rate\n100,1\n110,2\n120,3\n");
  const Load load = Load::Trace(path, {});
  EXPECT_EQ(Changes(load, absl::Hours(1)), "0s=1000 10s=2000 20s=3000 30s=0");
  const auto cursor = Open(load);
  cursor->At(absl::Seconds(29));
  EXPECT_EQ(cursor->Ended(), absl::InfiniteDuration());
  EXPECT_EQ(cursor->NextChange(), absl::Seconds(30));
  cursor->At(absl::Seconds(31));
  EXPECT_EQ(cursor->Ended(), absl::Seconds(30));
  EXPECT_EQ(cursor->NextChange(), absl::InfiniteDuration());
  EXPECT_TRUE(cursor->status().ok());
  // A sum ends with its last part; what has no end does not let it end.
  const auto two = Open(Load::Sum({load, load.Scaled(1000, 500)}));
  two->At(absl::Seconds(31));
  EXPECT_EQ(two->Ended(), absl::InfiniteDuration());
  EXPECT_EQ(two->At(absl::Seconds(61)), 0);
  EXPECT_EQ(two->Ended(), absl::Seconds(60));
  const auto endless = Open(Load::Sum({load, Load::Constant(5)}));
  EXPECT_EQ(endless->At(absl::Seconds(61)), 5);
  EXPECT_EQ(endless->Ended(), absl::InfiniteDuration());
}

TEST_F(TraceLoad, RepeatsScalesAndIsExact) {
  const std::string path = Written("repeats.csv", "0;1\n10;2\n20;3\n");
  const Load load = Load::Trace(path, {}, true);
  EXPECT_EQ(Changes(load, absl::Seconds(70)),
            "0s=1000 10s=2000 20s=3000 30s=1000 40s=2000 50s=3000 1m0s=1000 1m10s=2000");
  EXPECT_EQ(Open(load)->At(absl::Seconds(50) + absl::Minutes(5)), 3000);
  EXPECT_EQ(Changes(load.Scaled(500, 60'000), absl::Milliseconds(500)),
            "0s=500 166.666667ms=1000 333.333334ms=1500 500ms=500");
  for (const int64_t speed : {1000, 60'000, 777}) {
    ExpectExact(load.Scaled(1000, speed), absl::Minutes(3) * 1000 / speed);
  }
  EXPECT_EQ(load.At(absl::Seconds(45)), 2000);
}

TEST_F(TraceLoad, ASingleRowHoldsForEver) {
  const std::string path = Written("single.csv", "time,rate\n100,7\n");
  for (const bool repeat : {false, true}) {
    EXPECT_EQ(Changes(Load::Trace(path, {}, repeat), absl::Hours(1000)), "0s=7000");
  }
}

TEST_F(TraceLoad, IsZeroFromABadRowOnAndSaysWhy) {
  const std::string path = Written("bad.csv", "time,rate\n0,1\n10,2\n20,many\n30,3\n");
  const auto cursor = Open(Load::Trace(path, {}, true));
  EXPECT_EQ(cursor->At(absl::Seconds(19)), 2000);
  EXPECT_EQ(cursor->At(absl::Seconds(20)), 0);
  EXPECT_EQ(cursor->Ended(), absl::Seconds(20));
  EXPECT_EQ(base::Message(cursor->status()),
            path + ":4: column \"rate\": \"many\" is not a number");
  const auto sum = Open(Load::Sum({Load::Constant(1), Load::Trace(path, {})}));
  sum->At(absl::Seconds(15));
  EXPECT_FALSE(sum->status().ok());
}

TEST_F(TraceLoad, RefusesWhatItCannotFollow) {
  const auto error = [](const Load& load) {
    return std::string(base::Message(load.Open(1).status()));
  };
  EXPECT_EQ(error(Load::Trace("nowhere.csv", {})), "nowhere.csv: no such file");
  EXPECT_EQ(error(Load::Sum({Load::Constant(1), Load::Trace("nowhere.csv", {})})),
            "nowhere.csv: no such file");
  const std::string empty = Written("empty.csv", "");
  EXPECT_EQ(error(Load::Trace(empty, {})), empty + ": is empty");
  EXPECT_THAT(error(Load::Trace(empty, {.kind = TraceKind::kRequests})),
              HasSubstr("a trace of requests, where one of rates is due"));
  EXPECT_EQ(error(Load::Trace("-", {}, true)), "standard input can't repeat");
  const std::string pipe = testing::TempDir() + "load_pipe";
  unlink(pipe.c_str());
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error(Load::Trace(pipe, {}, true)), HasSubstr("is no regular file"));
  EXPECT_EQ(Load::Trace("nowhere.csv", {}).At(absl::ZeroDuration()), 0);
}

// 15.6 days of rows of 15 s, followed from change to change.
TEST_F(TraceLoad, FollowsARecordedTrace) {
  const auto cursor = Open(Load::Trace("tests/traces/crane_dsp_input15.csv", {}));
  int64_t sum = 0;
  int rows = 0;
  for (absl::Duration now; now < absl::InfiniteDuration(); now = cursor->NextChange()) {
    sum += cursor->At(now);
    ++rows;
  }
  EXPECT_EQ(rows, 89'632 + 1);  // and its end
  EXPECT_EQ(sum, 1'082'120'390'000);
  EXPECT_EQ(cursor->Ended(), absl::Seconds(1'344'480));
}

}  // namespace
}  // namespace neap::sim
