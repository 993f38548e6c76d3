// The virtual neapd: what reaches the controller, when, and what its writes become.
#include "autoscaler/sim/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "autoscaler/sim/recorder.h"
#include "tests/sim/specs.h"

namespace neap::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using What = ControlFault::What;

// 15, then 95 requests per second from the second minute on.
SimulationSpec Step() {
  SimulationSpec spec = Web(
      Load::Steps({{absl::ZeroDuration(), 15'000}, {absl::Minutes(2), 95'000}}, /*repeat=*/false));
  spec.objects = {OnExternal("web")};
  return spec;
}

struct Ran {
  explicit Ran(SimulationSpec spec) : watcher(spec), simulation(std::move(spec), {&watcher}) {}
  Ran& Go() {
    EXPECT_EQ(simulation.Run(), absl::OkStatus());
    return *this;
  }
  Watcher watcher;
  Simulation simulation;
};

TEST(Simulation, ScalesByTheLoadWithinOnePeriod) {
  Ran ran(Step());
  ran.Go();
  const Watcher& w = ran.watcher;
  ASSERT_EQ(w.scales.size(), 3u);  // four or twice the count at once
  EXPECT_THAT(w.scales[0], HasSubstr("2 -> 4"));
  EXPECT_THAT(w.scales[1], HasSubstr("4 -> 8"));
  EXPECT_THAT(w.scales[2], HasSubstr("8 -> 10"));
  EXPECT_EQ(w.outcomes.size(), 3u);
  EXPECT_EQ(ran.simulation.world().deployments()[0].ready, 10);
  // Once per 15 s from the beginning on.
  EXPECT_NEAR(w.decisions, 40, 2);
}

TEST(Simulation, APolledAnswerTakesItsWayAndIsThatOld) {
  SimulationSpec spec = Step();
  spec.pipeline.answer = Distribution::Fixed(absl::Milliseconds(300));
  Ran ran(spec);
  ran.Go();
  EXPECT_EQ(ran.watcher.last_age, absl::Milliseconds(300));
}

TEST(Simulation, AWriteReachesTheWorldHalfWay) {
  SimulationSpec spec = Step();
  spec.pipeline.write = Distribution::Fixed(absl::Seconds(2));
  Ran ran(spec);
  ran.Go();
  const auto time = [](const std::string& line) {
    absl::Duration at;
    EXPECT_TRUE(absl::ParseDuration(line.substr(0, line.find(' ')), &at)) << line;
    return at;
  };
  ASSERT_FALSE(ran.watcher.outcomes.empty());
  EXPECT_EQ(time(ran.watcher.outcomes[0]) - time(ran.watcher.scales[0]), absl::Seconds(1));
}

TEST(Simulation, ADryRunWritesNothing) {
  SimulationSpec spec = Step();
  spec.objects[0].dry_run = true;
  Ran ran(spec);
  ran.Go();
  EXPECT_THAT(ran.watcher.scales, IsEmpty());
  ASSERT_FALSE(ran.watcher.outcomes.empty());
  EXPECT_THAT(ran.watcher.outcomes[0], HasSubstr("withheld"));
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 2);
}

TEST(Simulation, SomebodyElsesChangeIsSeenAndCorrected) {
  SimulationSpec spec = Step();
  Ran ran(spec);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(5)), absl::OkStatus());
  const size_t before = ran.watcher.scales.size();
  ran.simulation.ScaleByHand(0, 3);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(6)), absl::OkStatus());
  ASSERT_GE(ran.watcher.scales.size(), before + 2);
  EXPECT_THAT(ran.watcher.scales[before], HasSubstr("10 -> 3 by hand"));
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
}

TEST(Simulation, AWriteMeetsTheChangeThatItHasNotSeen) {
  SimulationSpec spec = Step();
  spec.duration = absl::Minutes(4);
  spec.faults = {
      {.what = What::kConflicts, .metric = "", .at = absl::Minutes(1), .lasts = absl::Seconds(80)}};
  Ran ran(spec);
  ran.Go();
  ASSERT_GE(ran.watcher.outcomes.size(), 2u);
  EXPECT_THAT(ran.watcher.outcomes[0], HasSubstr("conflict"));
  EXPECT_THAT(ran.watcher.scales[0], HasSubstr("2 -> 3 by hand"));
  EXPECT_THAT(ran.watcher.outcomes.back(), HasSubstr("applied"));
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
}

TEST(Simulation, AnObjectThatChangesIsDecidedAnew) {
  SimulationSpec spec = Step();
  Ran ran(spec);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(5)), absl::OkStatus());
  ObjectSpec changed = spec.objects[0];
  Edit(changed).max_replicas = 6;
  ran.simulation.Change(changed);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(5) + absl::Seconds(1)),
            absl::OkStatus());
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 6);
}

TEST(Simulation, ATargetThatTheWorldDoesNotHaveIsNotFound) {
  SimulationSpec spec = Step();
  Edit(spec.objects[0]).target.name = "missing";
  Ran ran(spec);
  ran.Go();
  EXPECT_EQ(ran.watcher.last_verdict, core::Verdict::kNoScale);
  EXPECT_THAT(ran.watcher.scales, IsEmpty());

  spec = Step();
  Edit(spec.objects[0]).target.kind = "StatefulSet";
  Ran other(spec);
  other.Go();
  EXPECT_EQ(other.watcher.last_verdict, core::Verdict::kNoScale);
}

TEST(Simulation, ShowsTheWorldAtEachTickAndAtTheEnd) {
  SimulationSpec spec = Step();
  spec.duration = absl::Seconds(10) + absl::Milliseconds(500);
  Ran ran(spec);
  ran.Go();
  EXPECT_EQ(ran.watcher.looks, 12);  // 0 to 10, and 10.5
  EXPECT_EQ(ran.watcher.seen_until, spec.start + spec.duration);
}

TEST(Simulation, EndsWhenTheLoadsHaveEnded) {
  const std::string path = ::testing::TempDir() + "/ends.csv";
  std::ofstream(path) << "time,rate\n0,15\n120,95\n";
  SimulationSpec spec = Step();
  spec.world.deployments[0].load = Load::Trace(path, {});
  spec.duration = absl::InfiniteDuration();
  Ran ran(spec);
  ran.Go();
  // The last row lasts as long as the one before it.
  EXPECT_EQ(ran.simulation.now(), spec.start + absl::Minutes(4));
  EXPECT_EQ(ran.watcher.seen_until, ran.simulation.now());
}

TEST(Simulation, SaysThatATraceCanNotBeRead) {
  const std::string path = ::testing::TempDir() + "/bad.csv";
  std::ofstream(path) << "time,rate\n0,15\n120,many\n";
  SimulationSpec spec = Step();
  spec.world.deployments[0].load = Load::Trace(path, {});
  Ran ran(spec);
  EXPECT_THAT(std::string(ran.simulation.Run().message()), HasSubstr("bad.csv:3"));
}

TEST(Simulation, CanBeEndedEarly) {
  Ran ran(Step());
  absl::Duration last;
  const absl::Status status = ran.simulation.Run([&](absl::Duration passed) {
    last = passed;
    return passed < absl::Minutes(3);
  });
  EXPECT_TRUE(absl::IsCancelled(status));
  EXPECT_EQ(last, absl::Minutes(3));
}

TEST(Simulation, ATriggerReadsItsSource) {
  SimulationSpec spec = Step();
  core::AutoscalerSpec& object = Edit(spec.objects[0]);
  object.metrics.clear();
  object.triggers.push_back({.type = "redis",
                             .name = "",
                             .metadata = {{"listName", "jobs"}},
                             .metric_type = core::TargetKind::kUnspecified,
                             .use_cached_metrics = false});
  core::MetricSpec metric = OnExternal("web").spec->metrics[0];
  metric.name = "s0-redis-jobs";
  metric.has_activity = true;
  spec.triggers = {{.uid = "uid-web",
                    .trigger = 0,
                    .metric = metric,
                    .from = {.what = Source::What::kRate, .index = 0, .fixed = 0},
                    .via = Via::kDirect,
                    .activation = 5'000}};
  Ran ran(spec);
  ran.Go();
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
  EXPECT_EQ(ran.watcher.last_reading.milli, std::vector<int64_t>{95'000});
  EXPECT_EQ(ran.watcher.last_reading.active, true);
}

TEST(Simulation, ATriggerWithoutASourceIsABadParameter) {
  SimulationSpec spec = Step();
  core::AutoscalerSpec& object = Edit(spec.objects[0]);
  object.metrics.clear();
  object.triggers.push_back({.type = "redis",
                             .name = "",
                             .metadata = {},
                             .metric_type = core::TargetKind::kUnspecified,
                             .use_cached_metrics = false});
  Ran ran(spec);
  ran.Go();
  EXPECT_THAT(ran.watcher.last_error, HasSubstr("no source for this trigger of type redis"));
  EXPECT_THAT(ran.watcher.scales, IsEmpty());
}

// ---- faults between the world and the controller ----

TEST(SimulationFaults, WritesAreRejectedLostOrAppliedUnanswered) {
  SimulationSpec spec =
      Web(Load::Square({.low = 10'000, .high = 150'000, .period = absl::Minutes(4)}));
  spec.objects = {OnExternal("web")};
  core::ScalingRules at_once;
  at_once.stabilization_window_seconds = 0;
  at_once.policies = {{.type = core::PolicyType::kPods, .value = 1, .period_seconds = 15}};
  Edit(spec.objects[0]).behavior = core::Behavior{.scale_up = at_once, .scale_down = at_once};
  spec.duration = absl::Hours(2);
  spec.faults = {{.what = What::kApiErrors, .metric = "", .at = absl::ZeroDuration()}};
  Ran ran(spec);
  ran.Go();
  const auto count = [&](const char* what) {
    return std::count_if(ran.watcher.outcomes.begin(), ran.watcher.outcomes.end(),
                         [&](const std::string& line) { return line.ends_with(what); });
  };
  EXPECT_GT(count("rejected"), 10);
  EXPECT_GT(count("unknown"), 10);
  // What was applied without an answer is seen on the scale.
  EXPECT_EQ(static_cast<size_t>(count("applied")), ran.watcher.scales.size());
  EXPECT_GT(count("applied"), 10);
}

TEST(SimulationFaults, ADelayedWatchShowsChangesLater) {
  SimulationSpec spec = Step();
  spec.faults = {{.what = What::kWatchDelay,
                  .metric = "",
                  .at = absl::Minutes(5),
                  .lasts = absl::Minutes(1),
                  .by = absl::Seconds(40)}};
  Ran ran(spec);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(5) + absl::Seconds(1)),
            absl::OkStatus());
  ran.simulation.ScaleByHand(0, 3);
  // Its writes meet a scale that it does not know yet, until the event is there.
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(5) + absl::Seconds(40)),
            absl::OkStatus());
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 3);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(7)), absl::OkStatus());
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
}

TEST(SimulationFaults, NoScaleDownWhileTheWatchesAreSilent) {
  SimulationSpec spec = Web(
      Load::Steps({{absl::ZeroDuration(), 95'000}, {absl::Minutes(3), 15'000}}, /*repeat=*/false));
  spec.objects = {OnExternal("web")};
  spec.controller.hpa.downscale_stabilization = absl::Minutes(1);
  spec.duration = absl::Minutes(20);
  spec.faults = {{.what = What::kWatchSilence,
                  .metric = "",
                  .at = absl::Minutes(2),
                  .lasts = absl::Minutes(8)}};
  Ran ran(spec);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(10)), absl::OkStatus());
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
  EXPECT_EQ(ran.watcher.last_reason, "HeldSilentView");
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(20)), absl::OkStatus());
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 2);
}

TEST(SimulationFaults, ARestartForgetsHistoryButNotTheStatus) {
  SimulationSpec spec = Web(
      Load::Steps({{absl::ZeroDuration(), 95'000}, {absl::Minutes(6), 15'000}}, /*repeat=*/false));
  spec.objects = {OnExternal("web")};
  spec.duration = absl::Minutes(9);
  ControlFault restart{.what = What::kRestart, .metric = "", .at = absl::Minutes(8)};
  for (const bool keeps : {false, true}) {
    restart.keeps_history = keeps;
    spec.faults = {restart};
    Ran ran(spec);
    ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(8) - absl::Milliseconds(1)),
              absl::OkStatus());
    EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
    EXPECT_GT(ran.watcher.history.recommendations.size(), 5u);
    control::TargetInfo info;
    ASSERT_TRUE(ran.simulation.controller().FindTarget("uid-web", &info));
    const auto scaled = info.status->last_scale_time;
    ASSERT_TRUE(scaled.has_value());
    ran.watcher.decided.clear();
    ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(8) + absl::Seconds(1)),
              absl::OkStatus());
    EXPECT_EQ(ran.watcher.decided.size(), 1u);  // as soon as the views are there
    // A new window begins with the count that is found, as upstream.
    EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
    EXPECT_EQ(ran.watcher.history.recommendations.size() > 5u, keeps);
    ASSERT_TRUE(ran.simulation.controller().FindTarget("uid-web", &info));
    EXPECT_EQ(info.status->last_scale_time, scaled);
  }
}

TEST(SimulationFaults, WhileNeapdIsDownNothingIsDecided) {
  SimulationSpec spec = Step();
  spec.faults = {{.what = What::kRestart,
                  .metric = "",
                  .at = absl::Minutes(1),
                  .lasts = absl::InfiniteDuration(),
                  .by = absl::Minutes(3)}};
  Ran ran(spec);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(1)), absl::OkStatus());
  const int before = ran.watcher.decisions;
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(4) - absl::Milliseconds(1)),
            absl::OkStatus());
  EXPECT_EQ(ran.watcher.decisions, before);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(6)), absl::OkStatus());
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
}

// The second start made a neapd of whose watches nothing was listed again (swarm, seed 3271).
TEST(SimulationFaults, RestartsThatOverlapAreOne) {
  SimulationSpec spec = Step();
  const ControlFault first{.what = What::kRestart,
                           .metric = "",
                           .at = absl::Minutes(1),
                           .lasts = absl::InfiniteDuration(),
                           .by = absl::Seconds(20)};
  ControlFault second = first;
  second.at += absl::Seconds(5);
  second.by = absl::Seconds(5);
  spec.faults = {first, second};
  Ran ran(spec);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(1)), absl::OkStatus());
  const int before = ran.watcher.decisions;
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Seconds(69)), absl::OkStatus());
  EXPECT_EQ(ran.watcher.decisions, before);
  ASSERT_EQ(ran.simulation.Advance(spec.start + absl::Minutes(6)), absl::OkStatus());
  EXPECT_GT(ran.watcher.decisions, before);
  EXPECT_NE(ran.watcher.last_verdict, core::Verdict::kHold);
  EXPECT_EQ(ran.simulation.world().deployments()[0].replicas, 10);
}

}  // namespace
}  // namespace neap::sim
