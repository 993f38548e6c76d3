// What-if conditions are true to the step: at the stated value, time or bound Decide gives the
// stated result, and just before it does not. The worlds here are changed by the test's own hand,
// not by what the search uses.
#include "autoscaler/core/what_if.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "autoscaler/core/explain.h"
#include "tests/core/random_world.h"

namespace neap::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = Alternative::Kind;
__extension__ using Wide = __int128;

constexpr absl::Duration kTick = absl::Nanoseconds(1);

std::vector<Alternative> Ask(const RandomWorld& world, const Decision& decision) {
  return WhatIf(world.options, world.spec, world.seen, world.past, decision);
}

// What Decide gives when `metric` has the amount `value`.
Decision At(const RandomWorld& world, int metric, int64_t present, int64_t value) {
  Reading reading = world.readings[static_cast<size_t>(metric)];
  if (reading.form == Reading::Form::kReal) {
    reading.real = {static_cast<double>(value) / 1000};
  } else if (reading.form == Reading::Form::kMilli) {
    reading.milli = {value};
  } else if (present > 0) {
    for (PodSample& s : reading.pods.by_pod) {
      s.milli = static_cast<int64_t>(static_cast<Wide>(s.milli) * value / present);
    }
    for (int64_t& milli : reading.pods.stray) {
      milli = static_cast<int64_t>(static_cast<Wide>(milli) * value / present);
    }
  } else {
    reading = WithAmount(reading, value);
  }
  std::vector<MetricInput> inputs(world.inputs);
  inputs[static_cast<size_t>(metric)].reading = &reading;
  Observation seen = world.seen;
  seen.metrics = inputs;
  return Decide(world.options, world.spec, seen, world.past);
}

TEST(WhatIf, MetricValuesAreExact) {
  std::mt19937_64 random(20260101);
  std::map<Reading::Form, int> forms;
  int up = 0, down = 0, held = 0;
  for (int i = 0; i < 1500; ++i) {
    RandomWorld world(random, i % 2 == 0 ? WorldKind::kSettled : WorldKind::kAnything);
    const Decision decision = world.Run();
    for (const Alternative& a : Ask(world, decision)) {
      if (a.kind != Kind::kMetric) continue;
      SCOPED_TRACE(i);
      const int64_t before = a.at_least ? a.value - a.unit : a.value + a.unit;
      ASSERT_NE(a.desired, decision.desired);
      ASSERT_EQ(At(world, a.metric, a.present, a.value).desired, a.desired);
      ASSERT_EQ(At(world, a.metric, a.present, before).desired, decision.desired);
      ASSERT_EQ(a.at_least, a.value > a.present);
      ++forms[world.readings[static_cast<size_t>(a.metric)].form];
      ++(a.at_least ? up : down);
      held += decision.able != Reason::kReadyForNewScale ? 1 : 0;
    }
  }
  EXPECT_GT(forms[Reading::Form::kMilli], 300);
  EXPECT_GT(forms[Reading::Form::kReal], 20);
  EXPECT_GT(forms[Reading::Form::kPods], 300);
  EXPECT_GT(up, 300);
  EXPECT_GT(down, 150);
  EXPECT_GT(held, 50);
}

// All metrics together, by the same hand.
TEST(WhatIf, AllMetricsTogetherAreExact) {
  std::mt19937_64 random(20260102);
  int found = 0;
  for (int i = 0; i < 1500; ++i) {
    RandomWorld world(random, WorldKind::kSettled);
    const Decision decision = world.Run();
    for (const Alternative& a : Ask(world, decision)) {
      if (a.kind != Kind::kAllMetrics) continue;
      const std::vector<Reading> present = world.readings;
      const auto at = [&](int64_t thousandths) {
        for (size_t m = 0; m < present.size(); ++m) {
          const int64_t amount = *AmountOf(present[m]);
          world.readings[m] = WithAmount(
              present[m], static_cast<int64_t>(static_cast<Wide>(amount) * thousandths / 1000));
        }
        return world.Run().desired;
      };
      ASSERT_LT(a.desired, decision.desired);
      ASSERT_EQ(at(a.value), a.desired);
      ASSERT_EQ(at(a.value + 1), decision.desired);
      ++found;
    }
  }
  EXPECT_GT(found, 50);
}

// Up to a distance that can be walked: no value nearer gives another result.
TEST(WhatIf, MetricValuesAreTheNearest) {
  std::mt19937_64 random(7);
  int walked = 0, missed = 0;
  for (int i = 0; i < 4000 && walked < 100; ++i) {
    RandomWorld world(random, WorldKind::kSettled);
    for (Reading& reading : world.readings) {
      for (int64_t& milli : reading.milli) milli %= 4000;
    }
    for (MetricSpec& metric : world.spec.metrics) {
      for (auto* target : {&metric.target.average_value, &metric.target.value}) {
        if (*target) **target = 1 + **target % 900;
      }
    }
    const Decision decision = world.Run();
    for (const Alternative& a : Ask(world, decision)) {
      if (a.kind != Kind::kMetric || a.per_pod || std::abs(a.value - a.present) > 3000) continue;
      ++walked;
      const int64_t step = a.at_least ? a.unit : -a.unit;
      for (int64_t v = a.present; v != a.value; v += step) {
        if (At(world, a.metric, a.present, v).desired == decision.desired) continue;
        ++missed;
        break;
      }
    }
  }
  EXPECT_GE(walked, 100);
  // Results that come and go within a narrow stretch are few (a Value target whose pods are not all
  // ready), and are what what_if.h says may be missed.
  EXPECT_LE(missed, walked / 50);
}

// The next decision at `at`, when the count stayed and the same readings come again.
Decision Later(const RandomWorld& world, const History& history, absl::Time at) {
  const absl::Duration later = at - world.seen.now;
  std::vector<Reading> readings = world.readings;
  std::vector<MetricInput> inputs(world.inputs);
  for (size_t i = 0; i < readings.size(); ++i) {
    readings[i].observed_at += later;
    for (PodSample& sample : readings[i].pods.by_pod) sample.at += later;
    inputs[i].reading = &readings[i];
  }
  Observation seen = world.seen;
  seen.now = at;
  seen.metrics = inputs;
  seen.takes_base = true;
  return Decide(world.options, world.spec, seen, history);
}

TEST(WhatIf, TimesAreExactAndTheFirst) {
  std::mt19937_64 random(11);
  std::map<Alternative::Event, int> events;
  for (int i = 0; i < 1000; ++i) {
    RandomWorld world(random, i % 2 == 0 ? WorldKind::kSettled : WorldKind::kAnything);
    const Decision decision = world.Run();
    if (decision.rescale) continue;
    const History history = world.Follow(decision, ApplyResult::Kind::kNotTried).history;
    std::optional<Alternative> time;
    for (const Alternative& a : Ask(world, decision)) {
      if (a.kind == Kind::kTime) time = a;
    }
    SCOPED_TRACE(i);
    const absl::Time end = time ? time->at : world.seen.now + absl::Hours(1);
    for (absl::Duration d = kTick; world.seen.now + d < end; d += absl::Milliseconds(14'900)) {
      ASSERT_EQ(Later(world, history, world.seen.now + d).desired, decision.desired) << d;
    }
    if (!time) continue;
    ASSERT_FALSE(time->asking);
    ASSERT_EQ(Later(world, history, time->at).desired, time->desired);
    if (time->event != Alternative::Event::kNextDecision) {
      ASSERT_EQ(Later(world, history, time->at - kTick).desired, decision.desired);
    }
    ++events[time->event];
  }
  EXPECT_GT(events[Alternative::Event::kRecommendation], 80);
  EXPECT_GT(events[Alternative::Event::kScaleUp] + events[Alternative::Event::kScaleDown], 3);
}

// ---- an object made by hand ------------------------------------------------------------------

class ByHand : public ::testing::Test {
 protected:
  ByHand() {
    spec_.key = {"shop", "worker"};
    spec_.min_replicas = 2;
    spec_.max_replicas = 10;
    AddQueue("jobs", 38'000);
    scale_ = {.uid = "u",
              .resource_version = "1",
              .spec_replicas = 5,
              .status_replicas = 5,
              .selector = "app=worker"};
    seen_.now = absl::FromUnixSeconds(1767261600);  // 10:00:00
    seen_.scale = &scale_;
    seen_.previous = &previous_;
    // Long ago: without any, the present count would hold up the first scale-down.
    past_.recommendations = {{.replicas = 5, .at = seen_.now - absl::Hours(1)}};
  }

  // An External metric with AverageValue 8.
  void AddQueue(const std::string& name, int64_t milli) {
    MetricSpec metric;
    metric.name = name;
    metric.target = {.kind = TargetKind::kAverageValue,
                     .average_utilization = {},
                     .average_value = 8000,
                     .value = {}};
    spec_.metrics.push_back(metric);
    Reading reading;
    reading.form = Reading::Form::kMilli;
    reading.milli = {milli};
    reading.sequence = 1;
    readings_.push_back(reading);
  }

  Decision Run() {
    inputs_.clear();
    for (size_t i = 0; i < readings_.size(); ++i) {
      if (readings_[i].form != Reading::Form::kError) readings_[i].observed_at = seen_.now;
      inputs_.push_back({.spec = &spec_.metrics[i], .reading = &readings_[i]});
    }
    seen_.metrics = inputs_;
    return Decide(options_, spec_, seen_, past_);
  }

  std::vector<std::string> Lines() {
    const Decision decision = Run();
    std::vector<std::string> out;
    for (const Alternative& a : WhatIf(options_, spec_, seen_, past_, decision)) {
      out.push_back(core::Words(spec_, decision, a));
    }
    return out;
  }

  HpaOptions options_;
  AutoscalerSpec spec_;
  std::vector<Reading> readings_;
  std::vector<MetricInput> inputs_;
  Scale scale_;
  Status previous_;
  History past_;
  Observation seen_;
};

TEST_F(ByHand, AQueueIsCountedInWholeNumbers) {
  EXPECT_THAT(Lines(), ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 38)",
                                   "4 when external metric jobs(nil) is at 32 or less (now 38)"));
  readings_[0].milli = {38'500};
  EXPECT_THAT(Lines(),
              ElementsAre("6 when external metric jobs(nil) is at 44.001 or more (now 38.5)",
                          "4 when external metric jobs(nil) is at 32 or less (now 38.5)"));
}

TEST_F(ByHand, ACountMayComeAsARealNumber) {
  readings_[0].form = Reading::Form::kReal;
  readings_[0].milli.clear();
  readings_[0].real = {30, 8};
  EXPECT_THAT(Lines(), ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 38)",
                                   "4 when external metric jobs(nil) is at 32 or less (now 38)"));
  readings_[0].real = {30.25, 8.25};
  EXPECT_THAT(Lines(),
              ElementsAre("6 when external metric jobs(nil) is at 44.001 or more (now 38.5)",
                          // 32.001 times 1000 is a hair below 32001, and is cut as KEDA does.
                          "4 when external metric jobs(nil) is at 32.001 or less (now 38.5)"));
}

TEST_F(ByHand, WhereNoMetricAloneWouldLowerItAllTogetherDo) {
  AddQueue("mails", 39'000);
  EXPECT_THAT(Lines(), ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 38)",
                                   "6 when external metric mails(nil) is at 45 or more (now 39)",
                                   "4 when all metrics are at 82% or less of what they are"));
}

TEST_F(ByHand, AWindowSaysWhichRecommendationHoldsAndUntilWhen) {
  readings_[0].milli = {20'000};
  past_.recommendations = {{.replicas = 5, .at = seen_.now - absl::Seconds(100)},
                           {.replicas = 4, .at = seen_.now - absl::Seconds(50)}};
  EXPECT_THAT(Lines(),
              ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 20)",
                          "4 at 10:03:20, when the recommendation of 5 of 09:58:20 leaves its "
                          "window, if all else stays"));
}

TEST_F(ByHand, ARateLimitSaysWhenMoreIsAllowed) {
  spec_.max_replicas = 50;
  spec_.behavior = Behavior{};
  spec_.behavior->scale_up.policies = {{PolicyType::kPods, 4, 60}};
  spec_.behavior->scale_down.policies = {{PolicyType::kPercent, 100, 15}};
  past_.up_events = {{.change = 3, .at = seen_.now - absl::Seconds(20)}};
  readings_[0].milli = {160'000};
  const Decision decision = Run();
  EXPECT_EQ(decision.desired, 6);  // 5 - 3 + 4
  EXPECT_THAT(Lines(),
              ElementsAre("5 when external metric jobs(nil) is at 44 or less (now 160)",
                          "9 at 10:00:40, when the scale-up by 3 of 09:59:40 leaves its period, "
                          "while the metrics ask for 20"));
}

TEST_F(ByHand, TheLegacyLimitAllowsMoreAtTheNextDecision) {
  spec_.max_replicas = 50;
  readings_[0].milli = {160'000};
  EXPECT_THAT(Lines(), ElementsAre("9 when external metric jobs(nil) is at 72 or less (now 160)",
                                   "20 at 10:00:14, with the next base of relative metrics, while "
                                   "the metrics ask for 20"));
  spec_.guards = Guards::kNone;
  EXPECT_THAT(Lines(), ElementsAre("9 when external metric jobs(nil) is at 72 or less (now 160)",
                                   "20 at the next decision, while the metrics ask for 20"));
}

TEST_F(ByHand, BoundsSayHowFarTheyWouldHaveToMove) {
  readings_[0].milli = {160'000};
  spec_.behavior = Behavior{};
  spec_.behavior->scale_up.policies = {{PolicyType::kPercent, 1000, 15}};
  spec_.behavior->scale_down.policies = {{PolicyType::kPercent, 100, 15}};
  EXPECT_THAT(Lines(), ElementsAre("9 when external metric jobs(nil) is at 72 or less (now 160)",
                                   "20 with maxReplicas of 20 or more (now 10)"));
  spec_.max_replicas = 3;  // five are there: a jump that reads no metric
  EXPECT_THAT(Lines(), ElementsAre("20 with maxReplicas of 20 or more (now 3)"));
  spec_.max_replicas = 20;
  spec_.min_replicas = 4;
  spec_.behavior->scale_down.stabilization_window_seconds = 0;
  readings_[0].milli = {3'000};
  EXPECT_THAT(Lines(), ElementsAre("5 when external metric jobs(nil) is at 33 or more (now 3)",
                                   "1 with minReplicas of 1 or less (now 4)"));
}

TEST_F(ByHand, AFailedMetricForbidsAndSaysWhatTheOthersAskFor) {
  options_.downscale_stabilization = absl::ZeroDuration();
  readings_[0].milli = {20'000};
  AddQueue("mail", 0);
  readings_[1].form = Reading::Form::kError;
  readings_[1].error = {ErrorKind::kTimeout, "deadline exceeded"};
  EXPECT_THAT(Lines(), ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 20)",
                                   "3 by the metrics that can be read: those that fail forbid it"));
  readings_[0] = readings_[1];
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(ByHand, GatesAndGuardsSayWhatTheyHide) {
  options_.downscale_stabilization = absl::ZeroDuration();
  readings_[0].milli = {20'000};
  spec_.paused = true;
  EXPECT_THAT(Lines(), ElementsAre("3 if the object were not paused"));
  spec_.paused = false;
  const std::vector<std::string> others = {"shop/other", "shop/worker"};
  seen_.overlapping = others;
  EXPECT_THAT(Lines(), ElementsAre("3 if no other autoscaler selected these pods"));
  seen_.overlapping = {};
  seen_.views_silent = true;
  EXPECT_THAT(Lines(), ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 20)",
                                   "3 once the views that were silent are heard of"));
  seen_.views_silent = false;
  readings_[0].absent = true;
  EXPECT_THAT(Lines(), ElementsAre("6 when external metric jobs(nil) is at 45 or more (now 20)",
                                   "3 if the stand-in were a value of the source"));
}

// Pods' values move together; what is said is what is shown of them.
TEST_F(ByHand, UtilizationIsSaidInPercent) {
  spec_.metrics[0].source = MetricSource::kResource;
  spec_.metrics[0].name = "cpu";
  spec_.metrics[0].target = {.kind = TargetKind::kUtilization,
                             .average_utilization = 60,
                             .average_value = {},
                             .value = {}};
  std::vector<Pod> pods(5);
  Reading reading;
  reading.form = Reading::Form::kPods;
  for (int i = 0; i < 5; ++i) {
    pods[static_cast<size_t>(i)] = {.name = "worker-" + std::to_string(i),
                                    .start = seen_.now - absl::Hours(1),
                                    .ready_at = seen_.now - absl::Hours(1),
                                    .requests = 0,
                                    .phase = PodPhase::kRunning,
                                    .ready = PodReady::kTrue,
                                    .deleting = false};
    reading.pods.by_pod.push_back({.milli = 280 + 10 * i, .at = seen_.now, .present = true});
  }
  const std::vector<PodRequests> requests = {
      {.containers = {{.name = "app",
                       .sidecar = false,
                       .requests = {{.resource = "cpu", .milli = 500, .rounded_up_nano = 0}}}},
       .init_containers = {},
       .pod_level = std::nullopt,
       .overhead = {}}};
  readings_[0] = reading;
  seen_.pods = pods;
  seen_.requests = requests;
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          "6 when cpu resource utilization (percentage of request) is at 67% or more (now 60%)",
          "4 when cpu resource utilization (percentage of request) is at 48% or less (now 60%)"));
  const std::vector<MetricLine> lines = MetricLines(spec_, seen_, Run());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].value, "60% (0.3 per pod)");
  EXPECT_EQ(lines[0].target, "60%");
  EXPECT_EQ(lines[0].asks, "5");
}

TEST(AmountText, IsPlainAndExact) {
  EXPECT_EQ(AmountText(41'000), "41");
  EXPECT_EQ(AmountText(22'500), "22.5");
  EXPECT_EQ(AmountText(-45), "-0.045");
  EXPECT_EQ(AmountText(0), "0");
  EXPECT_EQ(AmountText(std::numeric_limits<int64_t>::min()), "-9223372036854775.808");
  EXPECT_EQ(AmountText(int64_t{1280} * 1024 * 1024 * 1000, true), "1.25Gi");
}

}  // namespace
}  // namespace neap::core
