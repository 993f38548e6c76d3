// ReplayWith: another policy on what was recorded. The runs here are closed loops by the test's own
// hand: what is decided is applied, and the next decision sees it.
#include "autoscaler/record/replay_with.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/record/segment_encoder.h"
#include "tests/support/process.h"

namespace neap::record {
namespace {

using core::ApplyResult;
using core::MetricSource;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::TempDir;

core::MetricSpec Queue(const std::string& name, int64_t target_milli, bool from_trigger = false) {
  core::MetricSpec metric;
  metric.source_text = "External";
  metric.name = name;
  metric.target = {.kind = core::TargetKind::kAverageValue,
                   .average_utilization = {},
                   .average_value = target_milli,
                   .value = {}};
  metric.from_trigger = from_trigger;
  return metric;
}

core::MetricSpec Cpu(int32_t percent) {
  core::MetricSpec metric;
  metric.source = MetricSource::kResource;
  metric.source_text = "Resource";
  metric.name = "cpu";
  metric.target = {.kind = core::TargetKind::kUtilization,
                   .average_utilization = percent,
                   .average_value = {},
                   .value = {}};
  return metric;
}

core::ScalingRules Rules(int32_t pods, int32_t period, int32_t window) {
  core::ScalingRules rules;
  rules.policies = {{core::PolicyType::kPods, pods, period}};
  rules.stabilization_window_seconds = window;
  return rules;
}

class ReplayWithTest : public ::testing::Test {
 protected:
  ReplayWithTest() {
    spec_.key = {"shop", "worker"};
    spec_.uid = "uid";
    spec_.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "worker"};
    spec_.min_replicas = 1;
    spec_.max_replicas = 40;
  }

  // One decision each 15 s; `load` gives what is waiting (or 1/1000 cores used) at a step. What is
  // decided is applied when `applied`.
  void Record(int steps, const std::function<int64_t(int)>& load, bool applied = true) {
    SegmentEncoder encoder;
    std::string segment;
    absl::Time now = absl::FromUnixSeconds(1767261600);  // 10:00:00
    encoder.Begin("test", options_, now, 0, &segment);
    core::Scale scale = {.uid = "t",
                         .resource_version = "1",
                         .spec_replicas = replicas_,
                         .status_replicas = replicas_,
                         .selector = "app=worker"};
    core::History history;
    core::Status status;
    std::vector<core::MetricSpec> metrics = spec_.metrics;
    metrics.insert(metrics.end(), trigger_metrics_.begin(), trigger_metrics_.end());
    for (int i = 0; i < steps; ++i, now += absl::Seconds(15)) {
      OwnedObservation seen;
      seen.now = now;
      seen.scale = scale;
      seen.previous = status;
      seen.requests = {
          {.containers = {{.name = "app",
                           .sidecar = false,
                           .requests = {{.resource = "cpu", .milli = 500, .rounded_up_nano = 0}}}},
           .init_containers = {},
           .pod_level = std::nullopt,
           .overhead = {}}};
      for (const core::MetricSpec& metric : metrics) {
        seen.metrics.push_back({.spec = metric, .stale_after = absl::Minutes(1)});
        seen.readings.push_back(ReadingOf(metric, load(i), now, scale.spec_replicas, seen));
        seen.readings.back().sequence = static_cast<uint64_t>(i) + 1;
      }
      core::Observation view = seen.View();
      const core::Decision decision = core::Decide(options_, spec_, view, history);
      encoder.Decision({.uid = "uid",
                        .decision_id = static_cast<uint64_t>(i) + 1,
                        .spec = &spec_,
                        .spec_version = 1,
                        .cause = control::Cause::kPeriodic,
                        .seen = &view,
                        .before = &history,
                        .decision = &decision},
                       &segment);
      decisions_.push_back(decision);
      const ApplyResult result{.kind = !decision.rescale ? ApplyResult::Kind::kNotTried
                                       : applied         ? ApplyResult::Kind::kApplied
                                                         : ApplyResult::Kind::kConflict,
                               .at = now,
                               .error = ""};
      core::Outcome outcome =
          core::Remember(options_, spec_, view, decision, result, std::move(history));
      encoder.Outcome({.uid = "uid",
                       .decision_id = static_cast<uint64_t>(i) + 1,
                       .result = result,
                       .outcome = &outcome},
                      &segment);
      history = std::move(outcome.history);
      status = std::move(outcome.status);
      if (result.kind == ApplyResult::Kind::kApplied) {
        scale.spec_replicas = scale.status_replicas = decision.desired;
      }
    }
    encoder.End(&segment);
    path_ = dir_.Write("00000001-x.journal", segment);
  }

  static core::Reading ReadingOf(const core::MetricSpec& metric, int64_t load, absl::Time now,
                                 int32_t replicas, OwnedObservation& seen) {
    core::Reading reading;
    reading.observed_at = now;
    if (metric.source != MetricSource::kResource) {
      reading.form = core::Reading::Form::kMilli;
      reading.milli = {load * 1000};
      return reading;
    }
    reading.form = core::Reading::Form::kPods;
    for (int i = 0; i < replicas; ++i) {
      seen.pods.push_back({.name = "worker-" + std::to_string(i),
                           .start = now - absl::Hours(1),
                           .ready_at = now - absl::Hours(1),
                           .requests = 0,
                           .phase = core::PodPhase::kRunning,
                           .ready = core::PodReady::kTrue,
                           .deleting = false});
      reading.pods.by_pod.push_back({.milli = load / replicas, .at = now, .present = true});
    }
    return reading;
  }

  absl::StatusOr<WithReport> With(const core::AutoscalerSpec& spec,
                                  std::vector<std::vector<core::MetricSpec>> triggers = {}) {
    return ReplayWith(path_, {"shop", "worker"},
                      {.spec = spec, .trigger_metrics = std::move(triggers)}, {.most = 5});
  }
  std::string ErrorWith(const core::AutoscalerSpec& spec,
                        std::vector<std::vector<core::MetricSpec>> triggers = {}) {
    const auto report = With(spec, std::move(triggers));
    return report.ok() ? "no error" : std::string(base::Message(report.status()));
  }

  TempDir dir_;
  std::string path_;
  core::HpaOptions options_;
  core::AutoscalerSpec spec_;
  std::vector<core::MetricSpec> trigger_metrics_;
  int32_t replicas_ = 4;
  std::vector<core::Decision> decisions_;
};

// A wave with steps up and down.
int64_t Wave(int i) { return 20 + std::abs((i * 7) % 130 - 65) * 3 + (i % 11 == 0 ? 90 : 0); }

// The policy that was recorded decides what was recorded: windows, rates and bases are remembered
// as they were.
TEST_F(ReplayWithTest, TheRecordedPolicyAgrees) {
  const auto agrees = [&] {
    Record(600, Wave);
    const auto report = With(spec_);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->decisions, 600U);
    EXPECT_EQ(report->more + report->fewer, 0U)
        << absl::FormatTime(report->stretches[0].from) << ": " << report->stretches[0].recorded.why
        << " / " << report->stretches[0].other.why;
    EXPECT_EQ(report->recorded_changes, report->other_changes);
    EXPECT_EQ(report->recorded_mean_milli, report->other_mean_milli);
    EXPECT_GT(report->recorded_changes, 20U);
  };
  for (const core::Guards guards : {core::Guards::kSafe, core::Guards::kNone}) {
    spec_.guards = guards;
    spec_.behavior.reset();
    options_.downscale_stabilization = absl::Seconds(60);
    spec_.metrics = {Queue("jobs", 8000)};
    agrees();
    spec_.behavior = core::Behavior{Rules(3, 60, 30), Rules(2, 120, 90)};
    agrees();
    spec_.metrics = {Queue("jobs", 8000), Cpu(60)};
    agrees();
  }
}

TEST_F(ReplayWithTest, AnotherTargetIsReportedAsStretchesOverTime) {
  options_.downscale_stabilization = absl::ZeroDuration();
  spec_.guards = core::Guards::kNone;
  spec_.metrics = {Queue("jobs", 10'000)};
  // 40 waiting, 80 for four decisions, 40, 10 for two.
  const std::vector<int64_t> waiting = {40, 40, 80, 80, 80, 80, 40, 40, 10, 10, 40};
  Record(11, [&](int i) { return waiting[static_cast<size_t>(i)]; });
  core::AutoscalerSpec other = spec_;
  other.max_replicas = 6;
  other.min_replicas = 2;
  const auto report = With(other);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->decisions, 11U);
  EXPECT_EQ(report->more, 3U);
  EXPECT_EQ(report->fewer, 5U);
  EXPECT_EQ(report->stretch_count, 4U);
  ASSERT_EQ(report->stretches.size(), 4U);
  const Stretch& first = report->stretches[0];
  EXPECT_EQ(base::FormatTime(first.from), "2026-01-01T10:00:30Z");
  EXPECT_EQ(base::FormatTime(first.to), "2026-01-01T10:01:30Z");
  EXPECT_EQ(first.decisions, 4U);
  EXPECT_EQ(first.first_decision_id, 3U);
  EXPECT_FALSE(first.more);
  EXPECT_EQ(first.recorded.most, 8);
  EXPECT_EQ(first.recorded.why, "asks for 8");
  EXPECT_EQ(first.other.least, 6);
  EXPECT_EQ(first.other.why, "asks for 8, TooManyReplicas");
  // Eight are there, more than it allows: it jumps down without reading metrics.
  EXPECT_TRUE(report->stretches[1].more);
  EXPECT_EQ(report->stretches[1].recorded.least, 4);
  EXPECT_EQ(report->stretches[1].other.least, 6);
  EXPECT_EQ(report->stretches[1].other.why, "AboveMaxReplicas");
  // One is there at the end: fewer than it allows, so that it jumps likewise.
  EXPECT_TRUE(report->stretches[2].more);
  EXPECT_EQ(report->stretches[2].recorded.most, 1);
  EXPECT_EQ(report->stretches[2].other.most, 2);
  EXPECT_FALSE(report->stretches[3].more);
  EXPECT_EQ(report->stretches[3].other.why, "BelowMinReplicas");
  EXPECT_EQ(report->longest.first_decision_id, 3U);
  // 4 4 8 8 8 8 4 4 1 1 (4) and 4 4 6 6 6 6 6 4 2 2 (2), each 15 s but the last.
  EXPECT_EQ(report->recorded_mean_milli, 5000);
  EXPECT_EQ(report->other_mean_milli, 4600);
  EXPECT_THAT(report->damage, IsEmpty());
}

// What it wants and nobody does is no scale event: else its own rate would hold it back more at
// each decision.
TEST_F(ReplayWithTest, WhatWasNotDoneIsNoScaleEvent) {
  spec_.metrics = {Queue("jobs", 10'000)};
  spec_.max_replicas = 4;  // the recorded policy stays at 4
  Record(40, [](int) { return int64_t{100}; });
  core::AutoscalerSpec other = spec_;
  other.max_replicas = 40;
  other.behavior = core::Behavior{Rules(1, 60, 0), Rules(100, 60, 300)};
  const auto report = With(other);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->more, 40U);
  EXPECT_EQ(report->longest.other.least, 5);
  EXPECT_EQ(report->longest.other.most, 5);
}

// What was done is one: the count that is seen came by it.
TEST_F(ReplayWithTest, WhatWasDoneIsAScaleEvent) {
  spec_.metrics = {Queue("jobs", 10'000)};
  spec_.behavior = core::Behavior{Rules(2, 600, 0), Rules(100, 60, 300)};
  Record(8, [](int) { return int64_t{100}; });  // 4 -> 6 at once, then held
  ASSERT_EQ(decisions_[0].desired, 6);
  ASSERT_EQ(decisions_[7].desired, 6);
  core::AutoscalerSpec other = spec_;
  other.behavior = core::Behavior{Rules(1, 60, 0), Rules(100, 60, 300)};
  const auto report = With(other);
  ASSERT_TRUE(report.ok()) << report.status();
  // Fewer at the first; for 60 s the two that came are more than it allows; then one more each.
  ASSERT_EQ(report->stretch_count, 2U);
  EXPECT_EQ(report->stretches[0].other.most, 5);
  EXPECT_EQ(report->stretches[0].decisions, 1U);
  EXPECT_TRUE(report->stretches[1].more);
  EXPECT_EQ(report->stretches[1].from, report->first + absl::Seconds(60));
  EXPECT_EQ(report->stretches[1].other.most, 7);
}

// Without behavior nothing records events; they come from what was applied.
TEST_F(ReplayWithTest, EventsComeAlsoFromAPolicyThatKeepsNone) {
  spec_.metrics = {Queue("jobs", 10'000)};
  Record(6, [](int) { return int64_t{80}; });  // 4 -> 8 at once
  ASSERT_EQ(decisions_[0].desired, 8);
  core::AutoscalerSpec other = spec_;
  other.behavior = core::Behavior{Rules(4, 60, 0), Rules(100, 60, 300)};
  other.metrics = {Queue("jobs", 5'000)};
  const auto report = With(other);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->stretch_count, 1U);
  EXPECT_EQ(report->stretches[0].from, report->first + absl::Seconds(60));
  EXPECT_EQ(report->stretches[0].other.most, 12);
}

TEST_F(ReplayWithTest, AMetricOfWhichNothingIsRecordedIsNamed) {
  spec_.metrics = {Queue("jobs", 10'000)};
  Record(3, Wave);
  core::AutoscalerSpec other = spec_;
  other.metrics = {Queue("jobs", 5'000), Queue("mails", 5'000)};
  EXPECT_EQ(ErrorWith(other),
            "spec.metrics[1], external metric mails(nil): the journal has no reading of it; what "
            "it has is of external metric jobs(nil)");
  other.metrics = {Queue("jobs", 5'000)};
  other.metrics[0].SetSelector({.match_labels = {{"queue", "a"}}, .match_expressions = {}});
  EXPECT_THAT(ErrorWith(other), HasSubstr("spec.metrics[0], external metric jobs(&LabelSelector"));
  other.metrics = {Cpu(60)};
  EXPECT_THAT(ErrorWith(other), HasSubstr("pods"));
}

TEST_F(ReplayWithTest, ATargetThatTakesPodsNeedsThemRecorded) {
  spec_.metrics = {Queue("jobs", 10'000)};
  Record(3, Wave);
  core::AutoscalerSpec other = spec_;
  other.metrics[0].target = {.kind = core::TargetKind::kValue,
                             .average_utilization = {},
                             .average_value = {},
                             .value = 10'000};
  EXPECT_EQ(ErrorWith(other),
            "spec.metrics[0], external metric jobs(nil): its target is multiplied with the ready "
            "pods, and the journal has no pods: none of the recorded metrics needed them");
}

TEST_F(ReplayWithTest, TriggersAreMatchedByWhatTheyRead) {
  spec_.triggers = {{.type = "redis", .name = "", .metadata = {}},
                    {.type = "kafka", .name = "orders", .metadata = {}}};
  trigger_metrics_ = {Queue("s0-redis-jobs", 10'000, true), Queue("s1-kafka-orders", 10'000, true)};
  Record(3, [](int) { return int64_t{40}; });
  core::AutoscalerSpec other = spec_;
  std::swap(other.triggers[0], other.triggers[1]);  // their places are in their metrics' names
  const auto report = With(
      other, {{Queue("s0-kafka-orders", 10'000, true)}, {Queue("s1-redis-jobs", 5'000, true)}});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->more, 3U);
  EXPECT_EQ(report->longest.other.most, 8);
  ASSERT_EQ(report->matches.size(), 2U);
  EXPECT_EQ(report->matches[0].metric, "trigger metric s0-kafka-orders");
  EXPECT_EQ(report->matches[0].recorded, "trigger metric s1-kafka-orders");

  EXPECT_THAT(
      ErrorWith(other,
                {{Queue("s0-kafka-orders", 10'000, true)}, {Queue("s1-redis-mails", 5'000, true)}}),
      HasSubstr("trigger redis, trigger metric s1-redis-mails: the journal has no reading"));
  other.triggers[0].name = "returns";
  EXPECT_THAT(ErrorWith(other, {{Queue("s0-kafka-orders", 10'000, true)},
                                {Queue("s1-redis-jobs", 5'000, true)}}),
              HasSubstr("trigger returns, trigger metric s0-kafka-orders: the journal has no"));
}

TEST_F(ReplayWithTest, WhoseRecordsThereAreIsSaid) {
  spec_.metrics = {Queue("jobs", 10'000)};
  Record(3, Wave);
  const auto none =
      ReplayWith(path_, {"shop", "other"}, {.spec = spec_, .trigger_metrics = {}}, {});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(base::Message(none.status())),
              HasSubstr("no decision of shop/other is in it; it has shop/worker"));
}

}  // namespace
}  // namespace neap::record
