// The lists that History keeps, against a model of upstream's: unbounded, written by its rules
// (horizontal.go). Below the bound they are the same entry by entry, whatever the specs
// do; beyond it no window that was not made longer can tell them apart.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "autoscaler/core/behavior.h"

namespace neap::core {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1767225600);

struct Model {  // upstream's list: nothing is ever dropped
  std::vector<Recommendation> list;
  void Add(int32_t replicas, absl::Time now, absl::Duration up, absl::Duration down) {
    size_t old = list.size();
    for (size_t i = 0; i < list.size(); ++i) {
      if (list[i].at < now - up && list[i].at < now - down) old = i;
    }
    if (old < list.size()) {
      list[old] = {replicas, now};
    } else {
      list.push_back({replicas, now});
    }
  }
};

struct Draw {
  std::mt19937_64 random;
  int64_t operator()(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  }
};

TEST(Recommendations, AreUpstreamsListWhateverTheWindowsDo) {
  Draw draw{std::mt19937_64(11)};
  for (int round = 0; round < 20; ++round) {
    Model model;
    std::vector<Recommendation> ours;
    absl::Time now = kStart;
    absl::Duration up = absl::ZeroDuration();
    absl::Duration down = absl::Minutes(5);
    for (int i = 0; i < 2000; ++i) {
      now += absl::Milliseconds(draw(100, 15000));
      if (draw(0, 100) == 0) up = absl::Seconds(draw(0, 3600));
      if (draw(0, 100) == 0) down = absl::Seconds(draw(0, 3600));
      const auto replicas = static_cast<int32_t>(draw(1, 100));
      model.Add(replicas, now, up, down);
      AddRecommendation(ours, {replicas, now}, now - std::max(up, down));
      ASSERT_EQ(ours, model.list) << i;
    }
  }
}

TEST(Recommendations, AreBoundedAndNoWindowGetsShorter) {
  Draw draw{std::mt19937_64(12)};
  for (const int step : {1, 400}) {  // counts that creep, and counts that jump
    Model model;
    std::vector<Recommendation> ours;
    const absl::Duration up = absl::Seconds(3600);
    const absl::Duration down = absl::Seconds(3600);
    absl::Time now = kStart;
    int32_t replicas = 500;
    for (int i = 0; i < 40000; ++i) {  // 100 ms apart: 36,000 in a window
      now += absl::Milliseconds(100);
      replicas = std::clamp<int32_t>(replicas + static_cast<int32_t>(draw(-step, step)), 0, 1000);
      AddRecommendation(ours, {replicas, now}, now - std::max(up, down));
      model.list.push_back({replicas, now});
      ASSERT_LE(ours.size(), History::kMaxEntries);
      if (i % 997 != 0) continue;
      for (const absl::Duration window :
           {absl::Seconds(1), absl::Seconds(60), absl::Seconds(900), absl::Seconds(3600)}) {
        const auto current = static_cast<int32_t>(draw(0, 1000));
        const auto asked = static_cast<int32_t>(draw(0, 1000));
        ASSERT_EQ(StabiliseTwoSided(window, window, now, current, asked, ours).replicas,
                  StabiliseTwoSided(window, window, now, current, asked, model.list).replicas)
            << i;
        ASSERT_EQ(StabiliseLegacy(window, now, asked, ours).replicas,
                  StabiliseLegacy(window, now, asked, model.list).replicas);
      }
    }
    EXPECT_GT(model.list.size(), History::kMaxEntries);
  }
}

// More different counts on one slope than there is room for: still held as high as before.
TEST(Recommendations, ALongSlopeStillHoldsScaleDown) {
  std::vector<Recommendation> ours;
  absl::Time now = kStart;
  for (int32_t i = 0; i < 20000; ++i) {
    now += absl::Milliseconds(100);
    AddRecommendation(ours, {30000 - i, now}, now - absl::Seconds(3600));
  }
  EXPECT_LE(ours.size(), History::kMaxEntries);
  EXPECT_EQ(StabiliseLegacy(absl::Seconds(3600), now, 1, ours).replicas, 30000);
}

struct EventModel {  // upstream's list of one direction
  std::vector<ScaleEvent> list;
  void Add(int32_t change, absl::Time now, absl::Duration longest) {
    size_t old = list.size();
    for (size_t i = 0; i < list.size(); ++i) {
      if (list[i].at < now - longest) list[i].outdated = true;
      if (list[i].outdated) old = i;
    }
    if (old < list.size()) {
      list[old] = {change, now, false};
    } else {
      list.push_back({change, now, false});
    }
  }
};

TEST(ScaleEvents, AreUpstreamsListWhateverThePoliciesDo) {
  Draw draw{std::mt19937_64(13)};
  EventModel model;
  std::vector<ScaleEvent> ours;
  absl::Time now = kStart;
  absl::Duration longest = absl::Seconds(15);
  for (int i = 0; i < 3000; ++i) {
    now += absl::Milliseconds(draw(100, 30000));
    if (draw(0, 50) == 0) longest = absl::Seconds(draw(1, 1800));
    const auto change = static_cast<int32_t>(draw(1, 10));
    model.Add(change, now, longest);
    AddScaleEvent(ours, change, now, longest);
    ASSERT_EQ(ours, model.list) << i;
  }
}

TEST(ScaleEvents, AreBoundedAndForgetNoChange) {
  std::vector<ScaleEvent> ours;
  absl::Time now = kStart;
  constexpr int kCount = 10000;
  for (int i = 0; i < kCount; ++i) {
    now += absl::Milliseconds(100);
    AddScaleEvent(ours, 1, now, absl::Seconds(1800));
  }
  EXPECT_LE(ours.size(), History::kMaxEntries);
  int64_t sum = 0;
  for (const ScaleEvent& event : ours) sum += event.change;
  EXPECT_EQ(sum, kCount);
}

}  // namespace
}  // namespace neap::core
