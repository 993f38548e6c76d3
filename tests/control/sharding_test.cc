// Shards: whose target it is, what is taken over and what is left.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autoscaler/control/shard.h"
#include "tests/control/desk.h"

namespace neap::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Kind = core::ApplyResult::Kind;

constexpr int kShards = 4;

ControllerOptions Sharded() {
  ControllerOptions options = Desk::Options();
  options.shards = kShards;
  return options;
}

int ShardOfName(const std::string& name) { return ShardOf("uid-" + name, kShards); }

// A name whose target lies in that shard.
std::string NameIn(int shard, const std::string& prefix = "web") {
  for (int i = 0;; ++i) {
    std::string name = fmt::format("{}{}", prefix, i);
    if (ShardOfName(name) == shard) return name;
  }
}

std::vector<std::string> Only(const std::vector<std::string>& lines, std::string_view word) {
  std::vector<std::string> kept;
  for (const std::string& line : lines) {
    if (line.starts_with(word)) kept.push_back(line);
  }
  return kept;
}

void Add(Desk& desk, core::AutoscalerSpec spec, int64_t milli) {
  desk.values[spec.key.name] = milli;
  desk.Put(std::move(spec));
  desk.SyncSpecs();
}

ShardHeld Held(int shard) {
  return {.shard = shard, .histories = {}, .former_until = absl::InfinitePast()};
}

KeptHistory Kept(std::vector<core::Recommendation> recommendations, int32_t replicas) {
  KeptHistory kept;
  kept.history.recommendations = std::move(recommendations);
  kept.replicas = replicas;
  return kept;
}

// Both ways at most 4 pods within two minutes, and nothing looks back.
core::Behavior FourInTwoMinutes() {
  const core::ScalingRules rules{.stabilization_window_seconds = 0,
                                 .select_policy = core::SelectPolicy::kMax,
                                 .policies = {{core::PolicyType::kPods, 4, 120}},
                                 .tolerance = {}};
  return {rules, rules};
}

std::map<std::string, KeptHistory> HistoriesOf(const Desk& desk, int shard) {
  std::map<std::string, KeptHistory> out;
  const_cast<Desk&>(desk).controller().VisitHistories(
      shard,
      [&](std::string_view uid, const KeptHistory& kept) { out.emplace(std::string(uid), kept); });
  return out;
}

// The only target, its shard held, once it was decided.
struct Owner {
  explicit Owner(core::AutoscalerSpec spec, int32_t replicas, int64_t milli, ShardHeld held)
      : name(spec.key.name) {
    Add(desk, std::move(spec), milli);
    desk.In(std::move(held));
    desk.Step();
    desk.Scale(name, replicas);
    desk.Run(absl::Seconds(1));
  }
  Desk desk{Sharded()};
  const std::string name;
};

TEST(Shard, OfAUidIsTheSameInEveryBuild) {
  // FNV-1a, 64 bits: offset basis, "a" = af63dc4c8601ec8c, "foobar" = 85944171f73967e8.
  static_assert(ShardOf("", 16) == 5);
  static_assert(ShardOf("a", 16) == 12);
  static_assert(ShardOf("foobar", 16) == 8);
  static_assert(ShardOf("foobar", 256) == 0xe8);
  static_assert(ShardOf("anything", 1) == 0);
  std::map<int, int> targets;
  for (int i = 0; i < 16'000; ++i) {
    ++targets[ShardOf(fmt::format("{:08x}-7c41-4c11-9d2c-0242ac120002", i), 16)];
  }
  for (int shard = 0; shard < 16; ++shard) EXPECT_NEAR(targets[shard], 1000, 150) << shard;
}

TEST(Sharding, WithoutShardsEveryTargetIsOurs) {
  Desk desk;
  Add(desk, Desk::Spec("web"), 80'000);
  desk.Step();
  desk.Scale("web", 5);
  desk.Run(absl::Seconds(1));
  EXPECT_EQ(desk.replicas("web"), 8);
  EXPECT_EQ(desk.controller().shards_held(), 0u);
}

TEST(Sharding, OnlyTargetsOfHeldShardsAreAskedForDecidedAndReported) {
  Desk desk(Sharded());
  const std::string ours = NameIn(1);
  const std::string others = NameIn(2);
  Add(desk, Desk::Spec(ours), 80'000);
  Add(desk, Desk::Spec(others), 80'000);
  EXPECT_THAT(desk.Step(), IsEmpty());
  EXPECT_THAT(desk.Run(absl::Seconds(60)), IsEmpty());
  EXPECT_EQ(desk.controller().targets(), 0u);

  desk.In(Held(1));
  EXPECT_THAT(desk.Step(), Contains("watch 1 scales, pods of []"));
  desk.Scale(ours, 5);
  desk.Scale(others, 5);
  const auto lines = desk.Run(absl::Seconds(60));
  EXPECT_THAT(lines, Not(Contains(HasSubstr(others))));
  EXPECT_EQ(desk.replicas(ours), 8);
  EXPECT_EQ(desk.replicas(others), 5);
  EXPECT_EQ(desk.controller().targets(), 1u);
  EXPECT_EQ(desk.controller().shards_held(), 1u);
  TargetInfo info;
  ASSERT_TRUE(desk.controller().NextTarget("", &info));
  EXPECT_EQ(info.uid, "uid-" + ours);
  EXPECT_FALSE(desk.controller().NextTarget(info.uid, &info));
  EXPECT_FALSE(desk.controller().FindTarget("uid-" + others, &info));
}

TEST(Sharding, AnObjectThatComesLaterGoesOnFromItsHistory) {
  Desk desk(Sharded());
  const std::string name = NameIn(3);
  ShardHeld held = Held(3);
  held.histories["uid-" + name] = Kept({{10, kStart - absl::Seconds(20)}}, 10);
  desk.In(std::move(held));
  desk.Step();
  EXPECT_EQ(HistoriesOf(desk, 3).size(), 1u);  // objects are not listed yet: it is not dropped
  Add(desk, Desk::Spec(name), 30'000);
  desk.Step();
  desk.Scale(name, 10);
  desk.Run(absl::Seconds(1));
  EXPECT_EQ(desk.replicas(name), 10);  // 3 are recommended; the window holds 10
  EXPECT_GE(desk.Info(name).history->recommendations.size(), 2u);
}

TEST(Sharding, AWindowDoesNotEndBeforeItsTime) {
  ShardHeld held = Held(0);
  const std::string name = NameIn(0);
  // Its last record is old; what was recommended since is not known. It lived until 20 s ago.
  held.histories["uid-" + name] = Kept({{12, kStart - absl::Seconds(200)}}, 10);
  held.former_until = kStart - absl::Seconds(20);
  Owner owner(Desk::Spec(name), 10, 30'000, std::move(held));
  EXPECT_THAT(owner.desk.Info(name).history->recommendations,
              Contains(core::Recommendation{10, kStart - absl::Seconds(20)}));
  owner.desk.Run(absl::Seconds(275));
  EXPECT_EQ(owner.desk.replicas(name), 10);
  owner.desk.Run(absl::Seconds(25));
  EXPECT_EQ(owner.desk.replicas(name), 3);
}

TEST(Sharding, WhatIsNotKnownEndsNowWithoutAFormerOwnerAndNeverInTheFuture) {
  for (const absl::Time until : {absl::InfinitePast(), kStart + absl::Hours(1)}) {
    ShardHeld held = Held(0);
    const std::string name = NameIn(0);
    held.histories["uid-" + name] = Kept({{12, kStart - absl::Seconds(400)}}, 10);
    held.former_until = until;
    Owner owner(Desk::Spec(name), 10, 30'000, std::move(held));
    const auto& entries = owner.desk.Info(name).history->recommendations;
    const auto entered = std::find_if(entries.begin(), entries.end(), [](const auto& entry) {
      return entry.replicas == 10 && entry.at >= kStart && entry.at <= kStart + absl::Seconds(1);
    });
    EXPECT_NE(entered, entries.end());
  }
}

TEST(Sharding, AChangeThatNobodyRecordedIsAnEventAtTheEndOfTheUnknown) {
  ShardHeld held = Held(0);
  const std::string name = NameIn(0);
  held.histories["uid-" + name] = Kept({{20, kStart - absl::Seconds(200)}}, 20);
  held.former_until = kStart - absl::Seconds(30);
  core::AutoscalerSpec spec = Desk::Spec(name);
  spec.behavior = FourInTwoMinutes();
  Owner owner(spec, 16, 30'000, std::move(held));  // 4 went already
  ASSERT_EQ(owner.desk.Info(name).history->down_events.size(), 1u);
  EXPECT_EQ(owner.desk.Info(name).history->down_events[0],
            (core::ScaleEvent{4, kStart - absl::Seconds(30), false}));
  owner.desk.Run(absl::Seconds(85));
  EXPECT_EQ(owner.desk.replicas(name), 16);
  owner.desk.Run(absl::Seconds(20));
  EXPECT_EQ(owner.desk.replicas(name), 12);
}

TEST(Sharding, TheFirstDecisionWaitsForTheScaleBeforeItTakesOver) {
  ShardHeld held = Held(0);
  const std::string name = NameIn(0);
  held.histories["uid-" + name] = Kept({{20, kStart - absl::Seconds(200)}}, 20);
  held.former_until = kStart - absl::Seconds(30);
  Desk desk(Sharded());
  core::AutoscalerSpec spec = Desk::Spec(name);
  spec.behavior = FourInTwoMinutes();
  Add(desk, spec, 30'000);
  desk.In(std::move(held));
  desk.Run(absl::Seconds(50));
  // Another one that takes over before the scale came finds what was left to this one.
  EXPECT_EQ(HistoriesOf(desk, 0)["uid-" + name].replicas, 20);
  EXPECT_THAT(HistoriesOf(desk, 0)["uid-" + name].history.down_events, IsEmpty());
  desk.Scale(name, 16);
  desk.Run(absl::Seconds(1));
  EXPECT_EQ(HistoriesOf(desk, 0)["uid-" + name].replicas, 16);
  EXPECT_EQ(desk.Info(name).history->down_events.size(), 1u);
}

TEST(Sharding, AScaleOlderThanTheOneThatTheFormerOwnerKnewIsNotLookedAt) {
  const std::string name = NameIn(0);
  Desk desk(Sharded());
  Add(desk, Desk::Spec(name), 40'000);
  ShardHeld held = Held(0);
  held.histories["uid-" + name] = Kept({{4, kStart - absl::Seconds(200)}}, 4);
  held.histories["uid-" + name].scale_version = "102";
  desk.In(std::move(held));
  desk.Step();
  desk.Scale(name, 10);  // version 101: what it was before the former owner's last write
  EXPECT_THAT(Only(desk.Run(absl::Seconds(5)), "patch"), IsEmpty());
  EXPECT_EQ(HistoriesOf(desk, 0)["uid-" + name].scale_version, "102");
  desk.Scale(name, 4);  // version 102
  const auto lines = desk.Run(absl::Milliseconds(200));
  EXPECT_FALSE(Only(lines, "decide").empty());  // at once
  EXPECT_THAT(Only(lines, "patch"), IsEmpty());
  for (const auto& entry : desk.Info(name).history->recommendations) EXPECT_EQ(entry.replicas, 4);
}

TEST(Sharding, VersionsThatBeganAnewHoldNothingForLong) {
  const std::string name = NameIn(0);
  ShardHeld held = Held(0);
  held.histories["uid-" + name] = Kept({{4, kStart - absl::Seconds(200)}}, 4);
  held.histories["uid-" + name].scale_version = "1000000";
  Owner owner(Desk::Spec(name), 4, 80'000, std::move(held));
  owner.desk.Run(absl::Seconds(40));
  EXPECT_EQ(owner.desk.replicas(name), 4);
  owner.desk.Run(absl::Seconds(40));
  EXPECT_EQ(owner.desk.replicas(name), 8);
}

TEST(Sharding, WithoutARecordATargetBeginsAsANewOne) {
  const std::string name = NameIn(0);
  ShardHeld held = Held(0);
  held.former_until = kStart - absl::Seconds(290);
  Owner owner(Desk::Spec(name), 10, 30'000, std::move(held));
  owner.desk.Run(absl::Seconds(290));
  EXPECT_EQ(owner.desk.replicas(name), 10);  // the HPA's seed: the count at the first decision
  owner.desk.Run(absl::Seconds(30));
  EXPECT_EQ(owner.desk.replicas(name), 3);
}

TEST(Sharding, LeavingEndsDecidingAndWaitsForTheWrite) {
  const std::string name = NameIn(2);
  Desk desk(Sharded());
  desk.write_latency = absl::Seconds(3);
  core::AutoscalerSpec spec = Desk::Spec(name);
  spec.behavior = FourInTwoMinutes();
  Add(desk, spec, 80'000);
  desk.In(Held(2));
  desk.Step();
  desk.Scale(name, 5);
  desk.Run(absl::Milliseconds(100));
  ASSERT_EQ(desk.patches().size(), 1u);
  EXPECT_EQ(HistoriesOf(desk, 2)["uid-" + name].replicas, 5);  // what became of 8 is not known
  desk.values[name] = 200'000;
  desk.In(ShardLeaving{2});
  auto lines = desk.Run(absl::Seconds(2));
  EXPECT_THAT(lines, Not(Contains("quiet 2")));
  lines = desk.Run(absl::Seconds(2));
  EXPECT_THAT(lines, Contains("outcome " + name + " Applied"));
  EXPECT_THAT(lines, Contains("event " + name + " SuccessfulRescale"));
  EXPECT_THAT(lines, Contains("status " + name));
  EXPECT_EQ(lines.back(), "quiet 2");
  EXPECT_THAT(desk.Run(absl::Minutes(5)), IsEmpty());
  EXPECT_EQ(desk.replicas(name), 8);
  const KeptHistory kept = HistoriesOf(desk, 2)["uid-" + name];
  EXPECT_EQ(kept.replicas, 8);
  ASSERT_EQ(kept.history.up_events.size(), 1u);
  EXPECT_EQ(kept.history.up_events[0].change, 3);
  EXPECT_THAT(kept.history.counted, IsEmpty());
}

TEST(Sharding, WithNothingUnderWayAShardIsQuietAtOnce) {
  const std::string name = NameIn(2);
  Owner owner(Desk::Spec(name), 8, 80'000, Held(2));
  owner.desk.In(ShardLeaving{2});
  EXPECT_THAT(owner.desk.Step(), Contains("quiet 2"));
  EXPECT_EQ(HistoriesOf(owner.desk, 2)["uid-" + name].replicas, 8);  // its scale is watched no more
  owner.desk.In(ShardLeaving{1});                                    // never held
  EXPECT_THAT(Only(owner.desk.Step(), "quiet"), ElementsAre("quiet 1"));
  owner.desk.In(ShardLeaving{kShards});  // there is no such one
  EXPECT_THAT(owner.desk.Step(), IsEmpty());
}

TEST(Sharding, ALostShardStopsAtOnce) {
  const std::string name = NameIn(2);
  Desk desk(Sharded());
  desk.write_latency = absl::Seconds(3);
  Add(desk, Desk::Spec(name), 80'000);
  desk.In(Held(2));
  desk.Step();
  desk.Scale(name, 5);
  desk.Run(absl::Milliseconds(100));
  ASSERT_EQ(desk.patches().size(), 1u);
  desk.values[name] = 200'000;
  desk.In(ShardLost{2});
  const auto lines = desk.Run(absl::Minutes(5));
  EXPECT_THAT(lines, Contains("outcome " + name + " Applied"));  // for the journal
  EXPECT_THAT(Only(lines, "decide"), IsEmpty());
  EXPECT_THAT(Only(lines, "status"), IsEmpty());
  EXPECT_THAT(Only(lines, "event"), IsEmpty());
  EXPECT_THAT(Only(lines, "poll"), IsEmpty());
  EXPECT_EQ(desk.controller().targets(), 0u);
}

TEST(Sharding, AShardThatComesBackGoesOnFromWhatWasKeptNotFromWhatWeKnew) {
  const std::string name = NameIn(2);
  Owner owner(Desk::Spec(name), 8, 80'000, Held(2));
  owner.desk.In(ShardLost{2});
  owner.desk.Run(absl::Seconds(30));
  ShardHeld again = Held(2);
  again.histories["uid-" + name] = Kept({{50, owner.desk.now() - absl::Seconds(5)}}, 9);
  again.former_until = owner.desk.now();
  owner.desk.In(std::move(again));
  owner.desk.Scale(name, 9);
  owner.desk.Run(absl::Seconds(1));
  ASSERT_FALSE(owner.desk.Info(name).history->recommendations.empty());
  EXPECT_EQ(owner.desk.Info(name).history->recommendations[0].replicas, 50);
  for (const auto& entry : owner.desk.Info(name).history->recommendations) {
    EXPECT_GE(entry.at, owner.desk.now() - absl::Seconds(10));  // nothing of our first time
  }
}

TEST(Sharding, AWriteThatWasNotSentIsNoEventAndNoFailure) {
  const std::string name = NameIn(2);
  Desk desk(Sharded());
  desk.on_write = [](const PatchScale&) { return Kind::kNotTried; };  // Desk does not answer
  Add(desk, Desk::Spec(name), 80'000);
  desk.In(Held(2));
  desk.Step();
  desk.Scale(name, 5);
  desk.Run(absl::Milliseconds(100));
  ASSERT_EQ(desk.patches().size(), 1u);
  desk.In(WriteOutcome{.write_id = desk.patches()[0].write_id,
                       .result = {.kind = Kind::kNotTried, .at = {}, .error = "too late"},
                       .scale = {}});
  const auto lines = desk.Run(absl::Seconds(20));
  EXPECT_THAT(lines, Contains("outcome " + name + " NotTried"));
  EXPECT_THAT(Only(lines, "event"), IsEmpty());
  EXPECT_THAT(Only(lines, "decide").front(), HasSubstr("periodic 5 -> 8"));
  EXPECT_EQ(desk.controller().counters().writes_unsent, 1u);
  EXPECT_EQ(desk.controller().counters().writes_failed, 0u);
}

TEST(Sharding, SelectorsOfOtherShardsMakeAmbiguous) {
  Desk desk(Sharded());
  const std::string ours = NameIn(1);
  const std::string others = NameIn(2);
  core::AutoscalerSpec spec = Desk::Spec(others);
  spec.target.name = ours;  // another's Autoscaler of the same workload
  Add(desk, Desk::RelativeSpec(ours), 80'000);
  Add(desk, spec, 80'000);
  desk.In(Held(1));
  desk.Step();
  desk.Scale(ours, 5);
  desk.Pods(ours, 5);
  const auto lines = desk.Run(absl::Seconds(1));
  EXPECT_THAT(lines, Contains("event " + ours + " AmbiguousSelector"));
  EXPECT_EQ(desk.replicas(ours), 5);
}

TEST(Sharding, TheStatusThatAnotherWroteIsThePreviousOne) {
  Desk desk(Sharded());
  const std::string name = NameIn(1);
  Add(desk, Desk::Spec(name), 80'000);
  desk.Step();
  core::Status status;
  status.desired_replicas = 77;
  desk.Put(Desk::Spec(name), status);  // the spec did not change
  desk.Step();
  desk.In(Held(1));
  int32_t previous = 0;
  desk.on_decision = [&](const DecisionRecord& record) {
    if (previous == 0) previous = record.seen->previous->desired_replicas;
  };
  desk.Step();
  desk.Scale(name, 8);
  desk.Run(absl::Seconds(1));
  EXPECT_EQ(previous, 77);
}

TEST(Sharding, EachProcessWritesItsShareOfTheBudget) {
  ControllerOptions options = Sharded();
  options.writes_per_second = 4;
  options.write_burst = 8;
  Desk desk(options);
  std::vector<std::string> names;
  for (int i = 0; names.size() < 8; ++i) {
    const std::string name = fmt::format("web{}", i);
    if (ShardOfName(name) == 3) names.push_back(name);
  }
  for (const std::string& name : names) Add(desk, Desk::Spec(name), 80'000);
  desk.In(Held(3));
  desk.Step();
  for (const std::string& name : names) desk.Scale(name, 5);
  desk.Run(absl::Milliseconds(900));
  EXPECT_EQ(desk.patches().size(), 2u);  // a quarter of the burst
  desk.Run(absl::Seconds(5));
  EXPECT_GE(desk.patches().size(), 6u);  // and one per second
  EXPECT_LE(desk.patches().size(), 8u);
}

TEST(Sharding, AnObjectThatVanishesLeavesNothingBehind) {
  Desk desk(Sharded());
  const std::string name = NameIn(1);
  Add(desk, Desk::Spec(name), 80'000);
  desk.In(Held(1));
  desk.Step();
  desk.Scale(name, 8);
  desk.Run(absl::Seconds(1));
  desk.In(SpecGone{"uid-" + name});
  EXPECT_THAT(desk.Step(), Contains("watch 0 scales, pods of []"));
  EXPECT_EQ(desk.controller().targets(), 0u);
  EXPECT_THAT(HistoriesOf(desk, 1), IsEmpty());
}

}  // namespace
}  // namespace neap::control
