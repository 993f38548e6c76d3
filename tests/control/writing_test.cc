// PATCHes: preconditions, one under way at most, each outcome, slots and their ranking.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/control/desk.h"

namespace neap::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using Kind = core::ApplyResult::Kind;

std::vector<std::string> Only(const std::vector<std::string>& lines, std::string_view word) {
  std::vector<std::string> kept;
  for (const std::string& line : lines) {
    if (line.starts_with(word)) kept.push_back(line);
  }
  return kept;
}

// Reads `milli` and is decided once.
void Start(Desk& desk, core::AutoscalerSpec spec, int32_t replicas, int64_t milli) {
  const std::string name = spec.key.name;
  desk.values[name] = milli;
  desk.Put(std::move(spec));
  desk.SyncSpecs();
  desk.Step();
  desk.Scale(name, replicas);
  desk.Run(absl::Milliseconds(15));
}

bool HasCondition(const core::Status& status, std::string_view type, std::string_view reason) {
  for (const core::Condition& condition : status.conditions) {
    if (condition.type == type && condition.reason == reason) return true;
  }
  return false;
}

TEST(Writing, APatchCarriesWhatWasObserved) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 80'000);
  ASSERT_EQ(desk.patches().size(), 1u);
  const PatchScale& patch = desk.patches()[0];
  EXPECT_EQ(patch.observed.uid, "workload-web");
  EXPECT_EQ(patch.observed.spec_replicas, 5);
  EXPECT_EQ(patch.replicas, 8);
  EXPECT_EQ(patch.target.Text(), "Deployment shop/web");
}

TEST(Writing, WhileAWriteIsUnderWayTheTargetIsNotDecided) {
  Desk desk;
  desk.write_latency = absl::Seconds(40);
  Start(desk, Desk::Spec("web"), 5, 80'000);
  desk.Push("web", 90'000);
  EXPECT_THAT(Only(desk.Run(absl::Seconds(39)), "decide"), ElementsAre());
  EXPECT_TRUE(desk.Info("web").write_in_flight);
  const auto lines = desk.Run(absl::Seconds(2));
  EXPECT_THAT(lines, Contains("outcome web Applied"));
  EXPECT_EQ(Only(lines, "decide").size(), 1u);  // what it missed
  EXPECT_GE(desk.controller().counters().late_periods, 2u);
}

TEST(Writing, AppliedIsAnEventAndAScaleEvent) {
  Desk desk;
  core::AutoscalerSpec spec = Desk::Spec("web");
  const core::ScalingRules rules{.stabilization_window_seconds = 0,
                                 .select_policy = core::SelectPolicy::kMax,
                                 .policies = {{core::PolicyType::kPods, 100, 15}},
                                 .tolerance = {}};
  spec.behavior = core::Behavior{rules, rules};
  Start(desk, spec, 5, 80'000);
  EXPECT_THAT(desk.Run(absl::Milliseconds(20)), Contains("event web SuccessfulRescale"));
  const TargetInfo info = desk.Info("web");
  ASSERT_EQ(info.history->up_events.size(), 1u);
  EXPECT_EQ(info.history->up_events[0].change, 3);
  EXPECT_EQ(info.rescales, 1u);
  EXPECT_EQ(info.status->last_scale_time, info.history->up_events[0].at);
  EXPECT_EQ(desk.controller().counters().writes_applied, 1u);
}

TEST(Writing, WithheldIsNoScaleEventAndTakesNoSlot) {
  ControllerOptions options = Desk::Options();
  options.writes_per_second = 0.001;
  options.write_burst = 1;
  Desk desk(options);
  desk.on_write = [](const PatchScale&) { return Kind::kWithheld; };
  Start(desk, Desk::Spec("web"), 5, 80'000);
  const auto lines = desk.Run(absl::Seconds(45));
  EXPECT_EQ(desk.patches().size(), 4u);  // each period says it again
  EXPECT_THAT(lines, Not(Contains("event web SuccessfulRescale")));
  EXPECT_TRUE(HasCondition(*desk.Info("web").status, "DryRun", "Withheld"));
  EXPECT_TRUE(desk.Info("web").history->up_events.empty());
  EXPECT_EQ(desk.Info("web").rescales, 0u);
  EXPECT_EQ(desk.replicas("web"), 5);
  // The slot is free for one that writes.
  desk.on_write = {};
  Start(desk, Desk::Spec("live"), 5, 80'000);
  desk.Run(absl::Seconds(1));
  EXPECT_EQ(desk.replicas("live"), 8);
}

TEST(Writing, AConflictMeansObserveAgainNotTryAgain) {
  Desk desk;
  desk.on_write = [](const PatchScale&) { return Kind::kConflict; };
  Start(desk, Desk::Spec("web"), 5, 80'000);
  desk.Run(absl::Seconds(1));
  EXPECT_EQ(desk.patches().size(), 1u);
  desk.on_write = {};
  desk.Scale("web", 7);  // what it conflicted with
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(200)), "decide"),
              ElementsAre("decide web scale 7 -> 8 DesiredWithinRange"));
  EXPECT_EQ(desk.patches().back().observed.spec_replicas, 7);
  EXPECT_EQ(desk.controller().counters().writes_conflict, 1u);
}

TEST(Writing, AConflictThatIsKnownAlreadyIsObservedAtOnce) {
  Desk desk;
  desk.on_write = [](const PatchScale&) { return Kind::kConflict; };
  desk.write_latency = absl::Milliseconds(500);
  Start(desk, Desk::Spec("web"), 5, 80'000);
  desk.Scale("web", 7);
  desk.on_write = {};
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(600)), "decide"),
              ElementsAre("decide web scale 7 -> 8 DesiredWithinRange"));
}

TEST(Writing, GoneAndRejectedAreFailuresWithoutRetry) {
  for (const Kind kind : {Kind::kGone, Kind::kRejected}) {
    Desk desk;
    desk.on_write = [&](const PatchScale&) { return kind; };
    Start(desk, Desk::Spec("web"), 5, 80'000);
    EXPECT_THAT(desk.Run(absl::Milliseconds(100)), Contains("event web FailedRescale"));
    desk.Run(absl::Milliseconds(500));
    EXPECT_EQ(desk.patches().size(), 1u);
    EXPECT_TRUE(HasCondition(*desk.Info("web").status, "AbleToScale", "FailedUpdateScale"));
    desk.Run(absl::Seconds(16));
    EXPECT_GE(desk.patches().size(), 2u);  // the next period decides anew
    EXPECT_GE(desk.controller().counters().writes_failed, 2u);
  }
}

TEST(Writing, UnknownIsAppliedIfItIsSeenAsAsked) {
  Desk desk;
  desk.on_write = [](const PatchScale&) { return Kind::kUnknown; };
  desk.apply_unknown = true;
  Start(desk, Desk::Spec("web"), 5, 80'000);
  const auto lines = desk.Run(absl::Milliseconds(100));
  EXPECT_THAT(lines, Contains("outcome web Applied"));
  EXPECT_THAT(lines, Contains("event web SuccessfulRescale"));
  EXPECT_EQ(desk.Info("web").decisions, 1u);
}

TEST(Writing, UnknownThatIsNotSeenIsAFailureAfterAWhile) {
  Desk desk;
  desk.on_write = [](const PatchScale&) { return Kind::kUnknown; };
  Start(desk, Desk::Spec("web"), 5, 80'000);
  EXPECT_THAT(Only(desk.Run(absl::Seconds(4)), "outcome"), ElementsAre());
  EXPECT_THAT(desk.Run(absl::Seconds(2)), Contains("outcome web Unknown"));
}

TEST(Writing, AWriteThatNobodyAnswersIsUnknown) {
  Desk desk;
  desk.on_write = [](const PatchScale&) { return Kind::kNotTried; };
  Start(desk, Desk::Spec("web"), 5, 80'000);
  EXPECT_THAT(Only(desk.Run(absl::Seconds(64)), "outcome"), ElementsAre());
  EXPECT_THAT(desk.Run(absl::Seconds(2)), Contains("outcome web Unknown"));
  EXPECT_EQ(desk.controller().counters().overruns, 1u);
  // An answer after that changes the scale table alone.
  desk.In(WriteOutcome{.write_id = desk.patches()[0].write_id,
                       .result = {.kind = Kind::kRejected, .at = {}, .error = "late"},
                       .scale = {}});
  EXPECT_THAT(Only(desk.Step(), "outcome"), ElementsAre());
}

TEST(Writing, AWriteOutlivesItsTargetAndItsReturn) {
  Desk desk;
  desk.write_latency = absl::Seconds(10);
  Start(desk, Desk::Spec("web"), 5, 80'000);
  desk.In(SpecGone{.uid = "uid-web"});
  desk.Step();
  desk.Put(Desk::Spec("web"));
  desk.Step();
  desk.Scale("web", 5);
  EXPECT_THAT(Only(desk.Run(absl::Seconds(5)), "decide"), ElementsAre());
  const auto lines = desk.Run(absl::Seconds(6));
  EXPECT_THAT(lines, Contains("outcome web Applied"));
  EXPECT_EQ(desk.Info("web").rescales, 1u);
}

// ---- slots ----

struct Crowd {
  explicit Crowd(ControllerOptions options) : desk(options) {}
  Desk desk;
  void Add(const std::string& name, int32_t replicas, int64_t milli) {
    core::AutoscalerSpec spec = Desk::Spec(name);
    spec.min_replicas = 0;
    const core::ScalingRules rules{.stabilization_window_seconds = 0,
                                   .select_policy = core::SelectPolicy::kMax,
                                   .policies = {{core::PolicyType::kPods, 100, 15}},
                                   .tolerance = {}};
    spec.behavior = core::Behavior{rules, rules};
    desk.values[name] = milli;
    desk.Put(spec);
    scales.emplace_back(name, replicas);
  }
  void Open() {
    desk.SyncSpecs();
    desk.Step();
    for (const auto& [name, replicas] : scales) desk.Scale(name, replicas);
  }
  std::vector<std::pair<std::string, int32_t>> scales;
};

ControllerOptions OneWritePerSecond() {
  ControllerOptions options = Desk::Options();
  options.writes_per_second = 1;
  options.write_burst = 1;
  return options;
}

TEST(Slots, NoMoreWritesThanTheBudget) {
  ControllerOptions options = Desk::Options();
  options.writes_per_second = 5;
  options.write_burst = 3;
  Crowd crowd(options);
  for (int i = 0; i < 60; ++i) crowd.Add(fmt::format("web{}", i), 5, 80'000);
  crowd.Open();
  crowd.desk.Run(absl::Milliseconds(100));
  EXPECT_EQ(crowd.desk.patches().size(), 3u);
  EXPECT_EQ(crowd.desk.controller().waiting_writes(), 57u);
  crowd.desk.Run(absl::Seconds(4));
  EXPECT_NEAR(static_cast<double>(crowd.desk.patches().size()), 3 + 4.1 * 5, 1);
  crowd.desk.Run(absl::Seconds(10));
  EXPECT_EQ(crowd.desk.patches().size(), 60u);
  EXPECT_EQ(crowd.desk.controller().waiting_writes(), 0u);
}

TEST(Slots, FromZeroGoesBeforeUpAndUpBeforeDown) {
  Crowd crowd(OneWritePerSecond());
  crowd.Add("down", 8, 20'000);
  crowd.Add("up", 5, 80'000);
  // Put at zero by Neap itself, so that it may be woken.
  core::AutoscalerSpec zero = Desk::Spec("zero");
  zero.min_replicas = 0;
  core::Status status;
  status.conditions = {{.type = "ScaledToZero",
                        .status = core::ConditionStatus::kTrue,
                        .reason = "ScaledToZero",
                        .message = "",
                        .last_transition = kStart}};
  crowd.desk.values["zero"] = 10'000;
  crowd.desk.Put(zero, status);
  crowd.scales.emplace_back("zero", 0);
  crowd.Open();
  crowd.desk.Run(absl::Seconds(3));
  std::vector<std::string> order;
  for (const PatchScale& patch : crowd.desk.patches()) order.push_back(patch.target.name);
  EXPECT_THAT(order, ElementsAre("zero", "up", "down"));
}

TEST(Slots, WaitingRaisesTheRank) {
  Crowd crowd(OneWritePerSecond());
  crowd.Add("down", 8, 20'000);
  for (int i = 0; i < 12; ++i) crowd.Add(fmt::format("up{:02}", i), 5, 80'000);
  crowd.Open();
  // Every second another one wants up; the one down is not put off for ever.
  for (int second = 0; second < 12; ++second) {
    crowd.desk.Run(absl::Seconds(1));
    const std::string name = fmt::format("late{:02}", second);
    crowd.desk.values[name] = 80'000;
    crowd.desk.Put(Desk::Spec(name));
    crowd.desk.Step();
    crowd.desk.Scale(name, 5);
  }
  crowd.desk.Run(absl::Seconds(6));
  size_t place = 0;
  while (place < crowd.desk.patches().size() && crowd.desk.patches()[place].target.name != "down") {
    ++place;
  }
  EXPECT_GE(place, 12u);
  EXPECT_LT(place, crowd.desk.patches().size());
}

TEST(Slots, WhatWaitsIsDecidedAnew) {
  Crowd crowd(OneWritePerSecond());
  crowd.Add("a", 5, 80'000);
  crowd.Add("b", 5, 80'000);
  crowd.Open();
  crowd.desk.Run(absl::Milliseconds(20));
  ASSERT_EQ(crowd.desk.patches().size(), 1u);
  const std::string waiting = crowd.desk.patches()[0].target.name == "a" ? "b" : "a";
  EXPECT_TRUE(crowd.desk.Info(waiting).waits_for_write);
  crowd.desk.Run(absl::Milliseconds(200));
  crowd.desk.Push(waiting, 60'000);
  crowd.desk.Run(absl::Seconds(2));
  EXPECT_EQ(crowd.desk.patches().back().replicas, 6);  // not the 8 of before
  EXPECT_FALSE(crowd.desk.Info(waiting).waits_for_write);
}

TEST(Slots, WhatNoLongerWantsTakesNone) {
  Crowd crowd(OneWritePerSecond());
  crowd.Add("a", 5, 80'000);
  crowd.Add("b", 5, 80'000);
  crowd.Open();
  crowd.desk.Run(absl::Milliseconds(20));
  const std::string waiting = crowd.desk.patches()[0].target.name == "a" ? "b" : "a";
  crowd.desk.Push(waiting, 50'000);
  crowd.desk.Run(absl::Seconds(2));
  EXPECT_EQ(crowd.desk.patches().size(), 1u);
  EXPECT_EQ(crowd.desk.controller().waiting_writes(), 0u);
}

}  // namespace
}  // namespace neap::control
