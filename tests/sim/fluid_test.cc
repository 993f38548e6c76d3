// Load as a liquid, in closed form: what is expected here was computed by hand.
#include "autoscaler/sim/fluid.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "autoscaler/sim/random.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

void ExpectConserved(const Service& s) {
  ASSERT_EQ(s.arrived, s.served + s.Failed() + s.waiting);
  ASSERT_GE(s.waiting, 0);
}

TEST(Fluid, GrowsByWhatIsTooMuch) {
  Fluid jobs({});
  jobs.SetRates(0, 10'000, 8'000);
  jobs.Advance(60 * kSecond);
  EXPECT_EQ(jobs.service().arrived, 600'000);
  EXPECT_EQ(jobs.service().served, 480'000);
  EXPECT_EQ(jobs.service().waiting, 120'000);
  // The head arrived when 480 had arrived, after 48 s.
  EXPECT_EQ(jobs.service().oldest, 12 * kSecond);
  EXPECT_EQ(jobs.served_rate(), 8'000);
  EXPECT_EQ(jobs.next(), kNever);
}

TEST(Fluid, EmptiesAtTheMomentThatItShould) {
  Fluid jobs({.waiting = 100'000});
  jobs.SetRates(0, 3'000, 8'000);
  // Those 100 first, at 8 per second; then what arrived meanwhile.
  EXPECT_EQ(jobs.next(), 12'500'000'000);
  jobs.Advance(12'500'000'000);
  EXPECT_EQ(jobs.next(), 20 * kSecond);
  jobs.Advance(20 * kSecond - 1);
  EXPECT_EQ(jobs.served_rate(), 8'000);
  jobs.Advance(20 * kSecond);
  EXPECT_EQ(jobs.service().waiting, 0);
  EXPECT_EQ(jobs.service().oldest, 0);
  EXPECT_EQ(jobs.served_rate(), 3'000);
  EXPECT_EQ(jobs.next(), kNever);
  jobs.Advance(120 * kSecond);
  EXPECT_EQ(jobs.service().served, 100'000 + 360'000);
  EXPECT_EQ(jobs.service().waiting, 0);
}

TEST(Fluid, WaitsAreThoseOfFirstComeFirstServed) {
  Fluid jobs({.objective = 5 * kSecond});
  jobs.SetRates(0, 10'000, 5'000);  // for 20 s: 100 wait at its end, the head for 10 s
  jobs.SetRates(20 * kSecond, 0, 5'000);
  EXPECT_EQ(jobs.service().oldest, 10 * kSecond);
  jobs.Advance(40 * kSecond);
  // The n-th of 200 arrives at n / 10 and is served at n / 5: waits from 0 to 20 s, all alike.
  const Service& s = jobs.service();
  EXPECT_EQ(s.served, 200'000);
  EXPECT_EQ(s.waiting, 0);
  EXPECT_EQ(s.waits.total(), 200'000);
  EXPECT_EQ(s.late, 150'000);
  for (const int permille : {100, 250, 500, 900, 990, 1000}) {
    const double exact = 0.02 * permille * kSecond;
    EXPECT_GE(static_cast<double>(s.waits.Quantile(permille)), exact * 0.99) << permille;
    EXPECT_LE(static_cast<double>(s.waits.Quantile(permille)), exact * 1.07) << permille;
  }
}

TEST(Fluid, AgesFollowTheCurveOfArrivals) {
  Fluid jobs({});
  jobs.SetRates(0, 1'000, 0);              // 10 in 10 s
  jobs.SetRates(10 * kSecond, 20'000, 0);  // 100 in 5 s
  jobs.SetRates(15 * kSecond, 0, 0);
  jobs.SetRates(20 * kSecond, 0, 10'000);  // the first 10 in 1 s, then 100 in 10 s
  EXPECT_EQ(jobs.service().oldest, 20 * kSecond);
  jobs.Advance(20 * kSecond + kSecond / 2);  // the 5th arrived at 5 s
  EXPECT_EQ(jobs.service().oldest, 15 * kSecond + kSecond / 2);
  EXPECT_EQ(jobs.next(), 21 * kSecond);
  jobs.Advance(26 * kSecond);  // the 60th arrived at 12.5 s
  EXPECT_EQ(jobs.service().oldest, 13 * kSecond + kSecond / 2);
  EXPECT_EQ(jobs.service().waiting, 50'000);
  EXPECT_EQ(jobs.next(), 31 * kSecond);
}

TEST(Fluid, WithoutPatienceWhatIsTooMuchFailsAtOnce) {
  Fluid web({.patience = 0});
  web.SetRates(0, 10'000, 8'000);
  web.SetRates(10 * kSecond, 10'000, 0);  // no pod
  web.SetRates(13 * kSecond, 10'000, 30'000);
  web.Advance(20 * kSecond);
  const Service& s = web.service();
  EXPECT_EQ(s.arrived, 200'000);
  EXPECT_EQ(s.overflowed, 20'000);
  EXPECT_EQ(s.refused, 30'000);
  EXPECT_EQ(s.served, 150'000);
  EXPECT_EQ(s.waiting, 0);
  EXPECT_EQ(s.waits.max(), 0);
}

TEST(Fluid, WhoLosesPatienceLeaves) {
  Fluid web({.patience = 4 * kSecond, .objective = 3 * kSecond});
  web.SetRates(0, 10'000, 5'000);
  // The head has waited t / 2, until that is 4 s.
  EXPECT_EQ(web.next(), 8 * kSecond);
  web.Advance(8 * kSecond);
  EXPECT_EQ(web.service().waiting, 40'000);
  EXPECT_EQ(web.service().timed_out, 0);
  EXPECT_EQ(web.next(), kNever);
  // From then on all are served or leave after 4 s: 40 wait, 5 per second leave.
  web.Advance(28 * kSecond);
  EXPECT_EQ(web.service().waiting, 40'000);
  EXPECT_EQ(web.service().timed_out, 100'000);
  EXPECT_EQ(web.service().oldest, 4 * kSecond);
  EXPECT_EQ(web.service().served, 140'000);
  // Those served from the 30th on had waited over 3 s: 30 were in time.
  EXPECT_NEAR(static_cast<double>(web.service().late), 110'000, 1);
  // Nobody comes any more: 20 of the 40 are served, 20 leave, and it is empty after 4 s.
  web.SetRates(28 * kSecond, 0, 5'000);
  EXPECT_EQ(web.next(), 32 * kSecond);
  web.Advance(33 * kSecond);
  EXPECT_EQ(web.service().waiting, 0);
  EXPECT_EQ(web.service().served, 160'000);
  EXPECT_EQ(web.service().timed_out, 120'000);
  EXPECT_EQ(web.service().waits.max(), 4 * kSecond);
}

TEST(Fluid, WithoutCapacityAllLeaveAfterTheirPatience) {
  Fluid web({.patience = 2 * kSecond});
  web.SetRates(0, 6'000, 0);
  web.Advance(10 * kSecond);
  EXPECT_EQ(web.service().waiting, 12'000);
  EXPECT_EQ(web.service().timed_out, 48'000);
  EXPECT_EQ(web.service().served, 0);
  web.SetRates(10 * kSecond, 6'000, Fluid::kUnlimited);
  web.Advance(11 * kSecond);
  EXPECT_EQ(web.service().waiting, 0);
  EXPECT_EQ(web.service().served, 18'000);
}

TEST(Fluid, WhatWaitedAtTheBeginningHasOneAge) {
  Fluid jobs({.patience = 10 * kSecond, .waiting = 50'000});
  jobs.SetRates(0, 0, 2'000);
  jobs.Advance(9 * kSecond);
  EXPECT_EQ(jobs.service().oldest, 9 * kSecond);
  EXPECT_EQ(jobs.service().served, 18'000);
  jobs.Advance(10 * kSecond);  // the rest leaves at one moment
  EXPECT_EQ(jobs.service().served, 20'000);
  EXPECT_EQ(jobs.service().timed_out, 30'000);
  EXPECT_EQ(jobs.service().waiting, 0);
}

// Each figure and each bucket.
std::string Picture(const Service& s) {
  std::string out = fmt::format("{} {} {} {} {} {} {} {};", s.arrived, s.served, s.late,
                                s.timed_out, s.refused, s.overflowed, s.waiting, s.oldest);
  for (int permille = 1; permille <= 1000; ++permille) {
    out += fmt::format(" {}", s.waits.Quantile(permille));
  }
  return out + fmt::format(" {} {}", s.waits.total(), s.waits.max());
}

struct Change {
  int64_t at;
  int64_t arrival;
  int64_t capacity;
};

std::vector<Change> RandomChanges(Random& random, int count) {
  std::vector<Change> out;
  int64_t at = 0;
  for (int i = 0; i < count; ++i) {
    at += static_cast<int64_t>(random.Below(20'000'000'000));
    const auto rate = [&random] {
      return random.Below(4) == 0 ? 0 : static_cast<int64_t>(random.Below(50'000));
    };
    out.push_back({.at = at, .arrival = rate(), .capacity = rate()});
  }
  return out;
}

TEST(Fluid, LosesAndInventsNothingAndLookingChangesNothing) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    const Fluid::Options options = {
        .patience = seed % 3 == 0 ? kNever : static_cast<int64_t>(random.Below(9)) * kSecond,
        .objective = static_cast<int64_t>(random.Below(5)) * kSecond,
        .waiting = static_cast<int64_t>(random.Below(3)) * 10'000};
    Fluid once(options);
    Fluid often(options);
    int64_t looked = 0;
    int64_t served = 0;
    for (const Change& change : RandomChanges(random, 60)) {
      while (looked < change.at) {
        looked = std::min(change.at, looked + 1 + static_cast<int64_t>(random.Below(kSecond)));
        often.Advance(looked);
        ExpectConserved(often.service());
        ASSERT_GE(often.service().served, served) << seed;
        ASSERT_LE(often.service().oldest, options.patience);
        served = often.service().served;
      }
      once.SetRates(change.at, change.arrival, change.capacity);
      often.SetRates(change.at, change.arrival, change.capacity);
      ASSERT_EQ(Picture(once.service()), Picture(often.service())) << "seed " << seed;
      ASSERT_EQ(once.next(), often.next());
    }
  }
}

// The same, one item at a time: what a queue without patience serves, and how old its head is.
TEST(Fluid, AgreesWithSingleItems) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Fluid fluid({});
    constexpr int64_t kStep = 1'000'000;  // ns; rates are such that whole thousandths move in one
    std::vector<std::pair<int64_t, int64_t>> line;  // since when, thousandths
    size_t head = 0;
    int64_t served = 0;
    int64_t now = 0;
    for (int change = 0; change < 20; ++change) {
      const int64_t arrival = static_cast<int64_t>(random.Below(20)) * 1000;
      const int64_t capacity = static_cast<int64_t>(random.Below(20)) * 1000;
      fluid.SetRates(now, arrival, capacity);
      for (int step = 0; step < 5000; ++step) {
        if (arrival > 0) line.emplace_back(now, arrival / 1000);
        int64_t most = capacity / 1000;
        while (most > 0 && head < line.size()) {
          const int64_t taken = std::min(most, line[head].second);
          most -= taken;
          served += taken;
          if ((line[head].second -= taken) == 0) ++head;
        }
        now += kStep;
      }
      fluid.Advance(now);
      ASSERT_NEAR(static_cast<double>(fluid.service().served), static_cast<double>(served), 60)
          << "seed " << seed << ", change " << change;
      if (head < line.size() && fluid.service().waiting > 1000) {
        ASSERT_NEAR(static_cast<double>(fluid.service().oldest),
                    static_cast<double>(now - line[head].first), 2e7)
            << "seed " << seed << ", change " << change;
      }
    }
  }
}

// A backlog of days does not grow in memory; ages stay right to the merged span.
TEST(Fluid, RemembersLongBacklogsRoughly) {
  Fluid jobs({});
  Random random(7);
  int64_t now = 0;
  for (int i = 0; i < 20'000; ++i) {
    jobs.SetRates(now, 1'000 + static_cast<int64_t>(random.Below(2'000)), 0);
    now += 15 * kSecond;
  }
  jobs.SetRates(now, 0, 100'000'000);
  const int64_t all = jobs.service().arrived;
  EXPECT_EQ(jobs.service().oldest, now);
  // Half of them served: the head arrived about half way.
  const int64_t half = all / 2 * kSecond / 100'000'000;
  jobs.Advance(now + half);
  EXPECT_NEAR(static_cast<double>(jobs.service().oldest), static_cast<double>(now) / 2,
              static_cast<double>(now) / 50);
  jobs.Advance(now + 3 * half);
  EXPECT_EQ(jobs.service().served, all);
  EXPECT_EQ(jobs.service().waiting, 0);
}

}  // namespace
}  // namespace neap::sim
