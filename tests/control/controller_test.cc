// The controller, rule by rule (ARCHITECTURE.md, life of a sample): values in, actions out.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/control/desk.h"

namespace neap::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using Kind = core::ApplyResult::Kind;

TEST(Controller, ASampleBecomesAPatch) {
  Desk desk;
  desk.Put(Desk::Spec("web"));
  desk.SyncSpecs();
  EXPECT_THAT(desk.Step(), ElementsAre("watch 1 scales, pods of []", "subscribe +1 -0"));
  desk.values["web"] = 50'000;
  desk.Scale("web", 2);
  EXPECT_THAT(desk.Step(), ElementsAre("poll web"));
  EXPECT_THAT(desk.Run(absl::Milliseconds(10)),
              ElementsAre("decide web periodic 2 -> 4 ScaleUpLimit", "patch web 2 -> 4"));
  EXPECT_THAT(desk.Run(absl::Milliseconds(20)),
              ElementsAre("outcome web Applied", "event web SuccessfulRescale", "status web"));
  EXPECT_EQ(desk.replicas("web"), 4);
}

// A desk with this one target, decided for the first time and at rest.
void Start(Desk& desk, core::AutoscalerSpec spec, int32_t replicas, int64_t milli) {
  const std::string name = spec.key.name;
  desk.values[name] = milli;
  desk.Put(std::move(spec));
  desk.SyncSpecs();
  desk.Step();
  desk.Scale(name, replicas);
  desk.Run(absl::Milliseconds(200));
}

std::vector<std::string> Only(const std::vector<std::string>& lines, std::string_view word) {
  std::vector<std::string> kept;
  for (const std::string& line : lines) {
    if (line.starts_with(word)) kept.push_back(line);
  }
  return kept;
}

// ---- 1: periods, rounds, polls ----

TEST(Controller, IsDecidedOncePerPeriodFromThePollOfThatPeriod) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  EXPECT_EQ(Only(desk.Run(absl::Seconds(60)), "poll").size(), 4u);
  EXPECT_EQ(desk.Info("web").decisions, 5u);  // and the first
  EXPECT_EQ(desk.controller().counters().fast_decisions, 0u);
  EXPECT_EQ(desk.controller().counters().late_periods, 0u);
}

TEST(Controller, DueTimesSpreadOverThePeriod) {
  Desk desk;
  for (int i = 0; i < 300; ++i) {
    const std::string name = fmt::format("web{}", i);
    desk.values[name] = 50'000;
    desk.Put(Desk::Spec(name));
  }
  desk.SyncSpecs();
  desk.Step();
  for (int i = 0; i < 300; ++i) desk.Scale(fmt::format("web{}", i), 5);
  desk.Run(absl::Seconds(1));
  for (int second = 0; second < 15; ++second) {
    size_t polled = 0;
    const size_t before = desk.polls().size();
    desk.Run(absl::Seconds(1));
    for (size_t i = before; i < desk.polls().size(); ++i) {
      polled += desk.polls()[i].trigger_ids.size();
    }
    EXPECT_GT(polled, 5u) << second;
    EXPECT_LT(polled, 45u) << second;
  }
}

TEST(Controller, TargetsWithPodMetricsOfOneNamespaceAreDueTogether) {
  Desk desk;
  for (const char* name : {"a", "b", "c"}) {
    desk.values[name] = 10'000;
    desk.Put(Desk::RelativeSpec(name));
  }
  desk.SyncSpecs();
  EXPECT_THAT(desk.Step(), Contains("watch 3 scales, pods of [shop]"));
  desk.Pods("a", 3);
  for (const char* name : {"a", "b", "c"}) desk.Scale(name, 3);
  desk.Run(absl::Seconds(1));
  for (const std::string& line : Only(desk.Run(absl::Seconds(60)), "poll")) {
    EXPECT_EQ(line, "poll a,b,c");
  }
}

TEST(Controller, WhatDoesNotAnswerIsATimeoutAndHolds) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.values.erase("web");
  core::ErrorKind kind{};
  desk.on_decision = [&](const DecisionRecord& record) {
    kind = record.seen->metrics[0].reading->error.kind;
  };
  EXPECT_THAT(Only(desk.Run(absl::Seconds(21)), "decide"),
              ElementsAre("decide web periodic 5 -> 5 InvalidMetrics"));
  EXPECT_EQ(kind, core::ErrorKind::kTimeout);
  EXPECT_EQ(desk.controller().counters().poll_timeouts, 1u);
  // The scaler's part of the 5 s ends before the round does.
  EXPECT_LT(desk.polls().back().deadline, absl::Seconds(5));
}

TEST(Controller, OnePollOfATriggerIsOutstandingAtMost) {
  Desk desk;
  Start(desk, Desk::Spec("web", absl::Seconds(1)), 5, 50'000);
  desk.values.erase("web");
  desk.Run(absl::Milliseconds(1500));
  const size_t before = desk.polls().size();
  desk.Put([] {
    auto spec = Desk::Spec("web", absl::Seconds(1));
    spec.max_replicas = 50;
    return spec;
  }());
  desk.Step();  // it is asked already
  EXPECT_EQ(desk.polls().size(), before);
}

TEST(Controller, AnswersOfAnEarlierRoundDoNotEndALaterOne) {
  Desk desk;
  Start(desk, Desk::Spec("web", absl::Seconds(1)), 5, 50'000);
  desk.latency = absl::Milliseconds(1500);  // longer than the round
  desk.values["web"] = 900'000;
  const auto lines = desk.Run(absl::Seconds(6));
  for (const std::string& line : Only(lines, "decide")) {
    EXPECT_EQ(line, "decide web periodic 5 -> 5 InvalidMetrics");
  }
}

TEST(Controller, EqualQueriesAreOne) {
  Desk desk;
  for (const char* name : {"a", "b"}) {
    core::AutoscalerSpec spec = Desk::Spec(name);
    spec.metrics[0].name = "queue";
    desk.Put(spec);
  }
  desk.values["queue"] = 50'000;
  desk.SyncSpecs();
  desk.Step();
  EXPECT_EQ(desk.controller().subscriptions(), 1u);
  desk.Scale("a", 5);
  desk.Scale("b", 5);
  EXPECT_THAT(
      Only(desk.Run(absl::Milliseconds(20)), ""),
      ElementsAre("poll queue", "decide a periodic 5 -> 5 DesiredWithinRange", "outcome a NotTried",
                  "status a", "decide b periodic 5 -> 5 DesiredWithinRange", "outcome b NotTried",
                  "status b"));
  desk.In(SpecGone{.uid = "uid-a"});
  EXPECT_THAT(desk.Step(), Not(Contains("subscribe +0 -1")));
  desk.In(SpecGone{.uid = "uid-b"});
  EXPECT_THAT(desk.Step(), Contains("subscribe +0 -1"));
}

TEST(Controller, ATriggerIsPolledAtItsPollingInterval) {
  Desk desk;
  core::AutoscalerSpec spec = Desk::Spec("web", absl::Seconds(5));
  spec.metrics.clear();
  spec.triggers.push_back({.type = "redis", .name = "", .metadata = {}});
  spec.polling_interval = absl::Seconds(20);
  desk.Put(spec);
  desk.SyncSpecs();
  desk.Step();
  core::MetricSpec metric;
  metric.name = "s0-redis";
  metric.target.kind = core::TargetKind::kAverageValue;
  metric.target.average_value = 10'000;
  desk.In(TriggerOpened{.trigger_id = desk.IdOf("redis"), .metrics = {metric}, .error = {}});
  desk.Scale("web", 5);
  const auto answer = [&](int64_t milli) {
    MetricReading reading{.name = "s0-redis", .reading = {}, .pod_samples = {}};
    reading.reading.form = core::Reading::Form::kMilli;
    reading.reading.milli = {milli};
    reading.reading.observed_at = desk.now();
    desk.In(TriggerReading{.trigger_id = desk.IdOf("redis"),
                           .round = desk.polls().back().round,
                           .metrics = {reading},
                           .error = {}});
  };
  desk.Step();
  answer(50'000);
  EXPECT_THAT(Only(desk.Step(), "decide"),
              ElementsAre("decide web periodic 5 -> 5 DesiredWithinRange"));
  const size_t before = desk.polls().size();
  const auto lines = desk.Run(absl::Seconds(17));
  EXPECT_GE(Only(lines, "decide").size(), 3u);  // from the reading it has
  EXPECT_EQ(desk.polls().size(), before);
  desk.Run(absl::Seconds(6));
  EXPECT_EQ(desk.polls().size(), before + 1);
}

TEST(Controller, ATriggerThatItsScalerRefusesIsAnErrorNotZero) {
  Desk desk;
  core::AutoscalerSpec spec = Desk::Spec("web");
  spec.metrics.clear();
  spec.triggers.push_back({.type = "redis", .name = "", .metadata = {}});
  desk.Put(spec);
  desk.SyncSpecs();
  desk.Step();
  desk.In(TriggerOpened{
      .trigger_id = desk.IdOf("redis"),
      .metrics = {},
      .error = core::ReadingError{core::ErrorKind::kBadParameter, "listName is missing"}});
  desk.Scale("web", 5);
  std::string error;
  desk.on_decision = [&](const DecisionRecord& record) {
    error = record.seen->metrics[0].reading->error.message;
  };
  EXPECT_THAT(Only(desk.Run(absl::Seconds(6)), "decide"),
              ElementsAre("decide web periodic 5 -> 5 InvalidMetrics"));
  EXPECT_EQ(error, "listName is missing");
}

TEST(Controller, AnAnswerWithoutAMetricIsAnErrorOfThatMetric) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.values.erase("web");
  while (Only(desk.Run(absl::Milliseconds(100)), "poll").empty()) {
  }
  desk.In(TriggerReading{.trigger_id = desk.IdOf("web"),
                         .round = desk.polls().back().round,
                         .metrics = {},
                         .error = {}});
  EXPECT_THAT(Only(desk.Step(), "decide"),
              ElementsAre("decide web periodic 5 -> 5 InvalidMetrics"));
}

TEST(Controller, ReadingsForUnknownTriggersAreCounted) {
  Desk desk;
  desk.In(TriggerReading{.trigger_id = "no-such", .round = 1, .metrics = {}, .error = {}});
  EXPECT_THAT(desk.Step(), ElementsAre());
  EXPECT_EQ(desk.controller().counters().unknown_readings, 1u);
}

// ---- 2: decisions between periods ----

TEST(Controller, APushedAbsoluteReadingIsDecidedAtOnceButNotTooOften) {
  Desk desk;
  Start(desk, Desk::Spec("web", absl::Seconds(15)), 5, 50'000);
  desk.Push("web", 80'000);
  EXPECT_THAT(Only(desk.Step(), "decide"),
              ElementsAre("decide web pushed 5 -> 8 DesiredWithinRange"));
  desk.Run(absl::Milliseconds(50));
  desk.Push("web", 90'000);
  EXPECT_THAT(Only(desk.Step(), "decide"), ElementsAre());  // 100 ms apart
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(60)), "decide"),
              ElementsAre("decide web pushed 8 -> 9 DesiredWithinRange"));
}

TEST(Controller, APushedRelativeReadingWaitsForThePeriod) {
  Desk desk;
  desk.Put(Desk::RelativeSpec("web"));
  desk.SyncSpecs();
  desk.Step();
  desk.Pods("web", 5);
  Start(desk, Desk::RelativeSpec("web"), 5, 10'000);
  desk.Push("web", 30'000);
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(200)), "decide"), ElementsAre());
}

TEST(Controller, APushedReadingIsNotDecidedWhereUpstreamsLimitIsPerDecision) {
  Desk desk;
  core::AutoscalerSpec spec = Desk::Spec("web");
  spec.guards = core::Guards::kNone;
  Start(desk, spec, 5, 50'000);
  desk.Push("web", 900'000);
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(200)), "decide"), ElementsAre());
}

TEST(Controller, TheStepFromZeroIsTakenAtOnce) {
  Desk desk;
  core::AutoscalerSpec spec = Desk::Spec("web");
  spec.min_replicas = 0;
  Start(desk, spec, 1, 10'000);
  desk.values["web"] = 0;
  desk.Run(absl::Minutes(6));  // the window
  ASSERT_EQ(desk.replicas("web"), 0);
  desk.Push("web", 5'000);
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(1)), "decide"),
              ElementsAre("decide web pushed 0 -> 1 DesiredWithinRange"));
}

TEST(Controller, SomeoneElsesScaleChangeIsDecidedAtOnceAndOursIsNot) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 80'000);
  EXPECT_EQ(desk.replicas("web"), 8);
  EXPECT_EQ(desk.Info("web").decisions, 1u);  // the watch event of our own write is none
  desk.Scale("web", 3);
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(120)), "decide"),
              ElementsAre("decide web scale 3 -> 6 ScaleUpLimit"));
}

TEST(Controller, ASpecChangePollsFirst) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.Run(absl::Seconds(2));
  core::AutoscalerSpec spec = Desk::Spec("web");
  spec.metrics[0].target.average_value = 5'000;
  desk.Put(spec);
  EXPECT_THAT(desk.Step(), ElementsAre("poll web"));
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(10)), "decide"),
              ElementsAre("decide web spec 5 -> 10 DesiredWithinRange"));
}

TEST(Controller, AnUnchangedSpecIsNoChange) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.Run(absl::Seconds(2));
  desk.Put(Desk::Spec("web"));
  desk.SyncSpecs();
  EXPECT_THAT(desk.Step(), ElementsAre());
}

// The property of the design: a constant relative reading at 1 s never reaches a higher count after
// T than at 15 s.
TEST(Controller, AConstantRelativeReadingAtOneSecondIsNeverAheadOfFifteen) {
  for (int64_t milli = 3'000; milli <= 40'000; milli += 1'700) {
    std::vector<std::vector<int32_t>> counts;
    for (const int seconds : {1, 15}) {
      Desk desk;
      core::AutoscalerSpec spec = Desk::RelativeSpec("web", absl::Seconds(seconds));
      spec.max_replicas = 100'000;
      desk.values["web"] = milli;
      desk.dated = milli % 2 == 0;
      desk.Put(spec);
      desk.SyncSpecs();
      desk.Step();
      desk.Pods("web", 4);
      desk.Scale("web", 4);
      counts.emplace_back();
      int32_t pods = 4;
      for (int second = 0; second < 120; ++second) {
        desk.Run(absl::Seconds(1));
        if (desk.replicas("web") != pods) desk.Pods("web", pods = desk.replicas("web"));
        counts.back().push_back(pods);
      }
    }
    // A due time of the slower one comes up to a period later: it may be behind by one step.
    for (size_t second = 0; second + 15 < counts[0].size(); ++second) {
      EXPECT_LE(counts[0][second], counts[1][second + 15]) << milli << "m, second " << second;
    }
  }
}

// ---- 4: staleness ----

TEST(Controller, AReadingIsStaleByItsAge) {
  for (const core::ObjectKind kind : {core::ObjectKind::kAutoscaler, core::ObjectKind::kHpa}) {
    Desk desk;
    core::AutoscalerSpec spec = Desk::Spec("web");
    spec.kind = kind;
    desk.Put(spec);
    desk.SyncSpecs();
    desk.Step();
    desk.Scale("web", 5);
    desk.Step();
    MetricReading reading;
    reading.reading.form = core::Reading::Form::kMilli;
    reading.reading.milli = {10'000};
    reading.reading.observed_at = desk.now() - absl::Seconds(61);
    desk.In(TriggerReading{.trigger_id = desk.IdOf("web"),
                           .round = desk.polls().back().round,
                           .metrics = {reading},
                           .error = {}});
    core::ErrorKind error{};
    desk.on_decision = [&](const DecisionRecord& record) {
      if (!record.decision->metrics[0].valid) error = record.decision->metrics[0].error_kind;
    };
    ASSERT_EQ(Only(desk.Step(), "decide").size(), 1u);
    EXPECT_EQ(error == core::ErrorKind::kStale, kind == core::ObjectKind::kAutoscaler);
  }
}

// ---- 5: views ----

TEST(Controller, HoldsWhileAViewIsNotSyncedAndDecidesAsSoonAsItIs) {
  Desk desk;
  desk.values["web"] = 50'000;
  desk.Put(Desk::Spec("web"));
  desk.Scale("web", 2);
  EXPECT_THAT(Only(desk.Run(absl::Seconds(15)), "decide"),
              ElementsAre("decide web periodic 2 -> 2 ViewNotSynced"));
  EXPECT_FALSE(desk.controller().AllSynced());
  desk.SyncSpecs();
  EXPECT_THAT(desk.Step(), ElementsAre("poll web"));
  EXPECT_TRUE(desk.controller().AllSynced());
}

TEST(Controller, PodsAreAViewOfThoseWhoNeedThem) {
  Desk desk;
  desk.values["web"] = 10'000;
  desk.Put(Desk::RelativeSpec("web"));
  desk.SyncSpecs();
  desk.Step();
  desk.Scale("web", 3);
  EXPECT_THAT(Only(desk.Run(absl::Seconds(15)), "decide"),
              ElementsAre("decide web periodic 3 -> 3 ViewNotSynced"));
  desk.Pods("web", 3);
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(20)), "decide"),
              ElementsAre("decide web periodic 3 -> 3 DesiredWithinRange"));
}

TEST(Controller, ASilentViewForbidsScaleDownOnly) {
  Desk desk;
  core::AutoscalerSpec spec = Desk::Spec("web");
  const core::ScalingRules at_once{.stabilization_window_seconds = 0,
                                   .select_policy = core::SelectPolicy::kMax,
                                   .policies = {{core::PolicyType::kPods, 100, 15}},
                                   .tolerance = {}};
  spec.behavior = core::Behavior{at_once, at_once};
  Start(desk, spec, 5, 50'000);
  desk.hears = false;
  desk.Run(absl::Seconds(100));
  desk.values["web"] = 20'000;
  EXPECT_THAT(Only(desk.Run(absl::Seconds(15)), "decide"),
              ElementsAre("decide web periodic 5 -> 5 HeldSilentView"));
  desk.values["web"] = 60'000;
  EXPECT_THAT(Only(desk.Run(absl::Seconds(15)), "patch"), ElementsAre("patch web 5 -> 6"));
  desk.values["web"] = 20'000;
  desk.Hear();
  EXPECT_THAT(Only(desk.Run(absl::Seconds(15)), "patch"), ElementsAre("patch web 6 -> 2"));
}

TEST(Controller, ACompleteListReplacesAtOnce) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.In(ScalesReplaced{.group = "apps", .kind = "Deployment", .all = {}});
  EXPECT_THAT(Only(desk.Run(absl::Milliseconds(200)), "decide"),
              ElementsAre("decide web scale 0 -> 0 FailedGetScale"));
  EXPECT_EQ(desk.Info("web").scale, nullptr);
  desk.In(SpecsReplaced{.source = "api", .all = {}});
  EXPECT_THAT(desk.Step(), Contains("watch 0 scales, pods of []"));
  EXPECT_EQ(desk.controller().targets(), 0u);
}

TEST(Controller, AnUnreadableScaleHoldsAndSaysSo) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.In(
      ScaleChange{.target = {.group = "apps", .kind = "Deployment", .ns = "shop", .name = "web"},
                  .scale = {},
                  .error = core::ReadingError{core::ErrorKind::kDenied, "forbidden"}});
  const auto lines = desk.Run(absl::Milliseconds(200));
  EXPECT_THAT(lines, Contains("decide web scale 0 -> 0 FailedGetScale"));
  EXPECT_THAT(lines, Contains("event web FailedGetScale"));
}

TEST(Controller, WatchEventsOlderThanOurWriteAreIgnored) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 80'000);
  ASSERT_EQ(desk.replicas("web"), 8);
  core::Scale old{.uid = "workload-web",
                  .resource_version = "50",
                  .spec_replicas = 5,
                  .status_replicas = 5,
                  .selector = "app=web"};
  desk.In(
      ScaleChange{.target = {.group = "apps", .kind = "Deployment", .ns = "shop", .name = "web"},
                  .scale = old,
                  .error = {}});
  EXPECT_THAT(desk.Run(absl::Milliseconds(200)), ElementsAre());
  EXPECT_EQ(desk.Info("web").scale->spec_replicas, 8);
  EXPECT_EQ(desk.controller().counters().stale_scales, 1u);
}

TEST(Controller, AnotherObjectOnTheSamePodsIsAmbiguous) {
  Desk desk;
  desk.values["a"] = desk.values["b"] = 10'000;
  for (const char* name : {"a", "b"}) {
    core::AutoscalerSpec spec = Desk::Spec(name);
    spec.target.name = "web";
    desk.Put(spec);
  }
  desk.SyncSpecs();
  desk.Step();
  desk.Scale("web", 5);
  const auto lines = desk.Run(absl::Seconds(40));
  EXPECT_EQ(desk.patches().size(), 0u);
  EXPECT_EQ(Only(lines, "decide a").back(), "decide a periodic 5 -> 5 AmbiguousSelector");
  EXPECT_EQ(Only(lines, "decide b").back(), "decide b periodic 5 -> 5 AmbiguousSelector");
}

// ---- targets vanish and return ----

TEST(Controller, AReturningTargetGoesOnWithItsWindows) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 80'000);
  ASSERT_EQ(desk.replicas("web"), 8);
  desk.In(SpecGone{.uid = "uid-web"});
  desk.Step();
  EXPECT_EQ(desk.controller().targets(), 0u);
  desk.Run(absl::Seconds(30));
  desk.values["web"] = 10'000;
  desk.Put(Desk::Spec("web"));
  desk.Step();
  desk.Scale("web", 8);
  desk.Run(absl::Seconds(60));
  EXPECT_EQ(desk.replicas("web"), 8);  // 8 is within the window of 300 s
  desk.Run(absl::Seconds(300));
  EXPECT_EQ(desk.replicas("web"), 1);
}

TEST(Controller, StoredHistoriesGoOnAfterARestart) {
  ControllerOptions options = Desk::Options();
  options.histories["uid-web"].recommendations = {
      {.replicas = 7, .at = kStart - absl::Seconds(100)}};
  Desk desk(options);
  Start(desk, Desk::Spec("web"), 8, 10'000);
  desk.Run(absl::Seconds(20));
  EXPECT_EQ(desk.replicas("web"), 7);
  Desk fresh;  // no history: the HPA's seed holds for a window
  Start(fresh, Desk::Spec("web"), 8, 10'000);
  fresh.Run(absl::Seconds(280));
  EXPECT_EQ(fresh.replicas("web"), 8);
}

// ---- quarantine ----

TEST(Controller, BrokenDataQuarantinesItsTargetAlone) {
  ControllerOptions options = Desk::Options();
  options.abort_on_broken_invariant = false;
  Desk desk(options);
  desk.values["bad"] = 50'000;
  desk.Put(Desk::Spec("bad"));
  Start(desk, Desk::Spec("web"), 2, 30'000);
  desk.Scale("bad", -3);
  const auto lines = desk.Run(absl::Seconds(1));
  EXPECT_THAT(lines, Contains("event bad InternalError"));
  EXPECT_THAT(lines, Contains("status bad"));
  EXPECT_EQ(Only(lines, "decide bad").size(), 0u);
  EXPECT_EQ(desk.replicas("web"), 3);
  EXPECT_EQ(desk.Info("bad").broken, "its scale has -3 replicas and a status of -3");
  EXPECT_GE(desk.controller().counters().quarantines, 1u);
  desk.Scale("bad", 5);
  desk.Run(absl::Seconds(16));
  EXPECT_EQ(desk.Info("bad").broken, "");
  for (const core::Condition& condition : desk.Info("bad").status->conditions) {
    EXPECT_NE(condition.type, "InternalError");
  }
}

TEST(ControllerDeathTest, BrokenDataAbortsWhereAsked) {
  Desk desk;
  desk.Put(Desk::Spec("bad"));
  desk.SyncSpecs();
  desk.Step();
  desk.Scale("bad", -3);
  EXPECT_DEATH(desk.Run(absl::Seconds(6)), "shop/bad: its scale has -3 replicas");
}

// ---- status and events ----

TEST(Controller, StatusIsWrittenAtOnceWhenFactsChangeElseSeldom) {
  Desk desk;
  Start(desk, Desk::Spec("web", absl::Seconds(1)), 5, 50'000);
  desk.Run(absl::Seconds(1));
  const size_t before = desk.statuses().size();
  // A value that changes with each decision, but no count and no condition.
  for (int i = 0; i < 60; ++i) {
    desk.values["web"] = 50'000 - i;
    desk.Run(absl::Seconds(1));
  }
  EXPECT_GE(desk.statuses().size(), before + 3);
  EXPECT_LE(desk.statuses().size(), before + 5);
  desk.faults["web"] = {core::ErrorKind::kUnavailable, "connection refused"};
  EXPECT_THAT(desk.Run(absl::Milliseconds(1100)), Contains("status web"));
  EXPECT_NE(desk.statuses().back().explanation.find("connection refused"), std::string::npos)
      << desk.statuses().back().explanation;
}

TEST(Controller, StatusesKeepToTheirBudgetAndNewsGoFirst) {
  ControllerOptions options = Desk::Options();
  options.statuses_per_second = 1;
  options.status_burst = 2;
  options.status_interval = absl::Seconds(2);
  Desk desk(options);
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back(fmt::format("web-{}", i));
  for (const std::string& name : names) desk.Put(Desk::Spec(name, absl::Seconds(1)));
  desk.SyncSpecs();
  desk.Step();
  for (const std::string& name : names) desk.Scale(name, 5);
  for (int second = 0; second < 40; ++second) {
    for (const std::string& name : names) desk.values[name] = 50'000 - second;
    desk.Run(absl::Seconds(1));
  }
  EXPECT_GE(desk.statuses().size(), 38u);
  EXPECT_LE(desk.statuses().size(), 42u);
  std::set<std::string> written;
  for (const WriteStatus& status : desk.statuses()) written.insert(status.key.name);
  EXPECT_EQ(written.size(), names.size());  // nobody starves
  // Ten wait with mere amounts; what fails now does not wait behind them.
  desk.faults["web-3"] = {core::ErrorKind::kUnavailable, "connection refused"};
  desk.Run(absl::Seconds(4));
  const auto& all = desk.statuses();
  EXPECT_TRUE(std::any_of(all.end() - 4, all.end(), [](const WriteStatus& status) {
    return status.key.name == "web-3" &&
           status.explanation.find("connection refused") != std::string::npos;
  }));
  // What is written is what is true when its turn comes.
  EXPECT_LE(all.size(), 47u);
  const core::Status& last = *desk.Info(all.back().key.name).status;
  EXPECT_EQ(all.back().status.conditions, last.conditions);
}

TEST(Controller, TheSameWarningIsAnnouncedOnceInFiveMinutes) {
  Desk desk;
  Start(desk, Desk::Spec("web"), 5, 50'000);
  desk.faults["web"] = {core::ErrorKind::kUnavailable, "connection refused"};
  EXPECT_EQ(Only(desk.Run(absl::Minutes(4)), "event web FailedGetExternalMetric").size(), 1u);
  desk.faults["web"] = {core::ErrorKind::kDenied, "password wrong"};
  EXPECT_EQ(Only(desk.Run(absl::Seconds(30)), "event web FailedGetExternalMetric").size(), 1u);
  EXPECT_EQ(Only(desk.Run(absl::Minutes(6)), "event web FailedGetExternalMetric").size(), 1u);
}

TEST(Controller, RecordsCarryWhatWasSeenAndWhatIsKept) {
  Desk desk;
  core::Decision again;
  core::Decision taken;
  std::optional<core::Outcome> outcome;
  desk.on_decision = [&](const DecisionRecord& record) {
    taken = *record.decision;
    again =
        core::Decide(desk.controller().options().hpa, *record.spec, *record.seen, *record.before);
  };
  desk.on_outcome = [&](const OutcomeRecord& record) { outcome = *record.outcome; };
  Start(desk, Desk::Spec("web"), 5, 80'000);
  EXPECT_EQ(taken.desired, 8);
  EXPECT_EQ(again, taken);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->history, *desk.Info("web").history);
  EXPECT_EQ(outcome->status, *desk.Info("web").status);
}

TEST(Controller, NothingIsDueWithoutTargets) {
  Desk desk;
  EXPECT_EQ(desk.controller().NextDue(), absl::InfiniteFuture());
  EXPECT_FALSE(desk.controller().AllSynced());
}

}  // namespace
}  // namespace neap::control
