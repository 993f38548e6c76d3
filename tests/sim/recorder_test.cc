// Results: series in bounded buckets, figures, notes, the digest, the journal.
#include "autoscaler/sim/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autoscaler/sim/series.h"
#include "tests/sim/specs.h"

namespace neap::sim {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

Series::Bucket At(const Series& series, size_t i) { return series.buckets.at(i); }

TEST(SeriesBuilder, WeighsByTime) {
  SeriesBuilder builder(10 * kSecond, 100);
  builder.Set(0, 4);
  builder.Set(5 * kSecond, 8);
  builder.Set(7 * kSecond, 0);
  const Series series = builder.Finish(20 * kSecond, 0, "x", "pods");
  ASSERT_EQ(series.buckets.size(), 2u);
  EXPECT_EQ(At(series, 0).min, 0);
  EXPECT_EQ(At(series, 0).max, 8);
  EXPECT_DOUBLE_EQ(At(series, 0).mean, 3.6);
  EXPECT_EQ(At(series, 1).max, 0);
}

TEST(SeriesBuilder, WhatHasNoValueIsNoZero) {
  SeriesBuilder builder(10 * kSecond, 100);
  builder.Set(12 * kSecond, 6);
  builder.Clear(15 * kSecond);
  builder.Set(35 * kSecond, 2);
  const Series series = builder.Finish(40 * kSecond, 0, "x", "");
  ASSERT_EQ(series.buckets.size(), 4u);
  EXPECT_FALSE(At(series, 0).has);
  EXPECT_DOUBLE_EQ(At(series, 1).mean, 6);
  EXPECT_FALSE(At(series, 2).has);
  EXPECT_DOUBLE_EQ(At(series, 3).mean, 2);
}

TEST(SeriesBuilder, WidensInsteadOfGrowing) {
  SeriesBuilder builder(kSecond, 8);
  for (int i = 0; i < 1000; ++i) builder.Set(i * kSecond, i % 10);
  const Series series = builder.Finish(1000 * kSecond, 0, "x", "");
  EXPECT_EQ(builder.width(), 128 * kSecond);
  ASSERT_EQ(series.buckets.size(), 8u);
  EXPECT_EQ(At(series, 3).min, 0);
  EXPECT_EQ(At(series, 3).max, 9);
  EXPECT_NEAR(At(series, 3).mean, 4.5, 0.1);
}

TEST(SeriesBuilder, OneLongSpanFillsEachBucket) {
  SeriesBuilder builder(kSecond, 4);
  builder.Set(0, 5);
  const Series series = builder.Finish(100 * kSecond, 0, "x", "");
  ASSERT_EQ(series.buckets.size(), 4u);
  for (const Series::Bucket& bucket : series.buckets) EXPECT_DOUBLE_EQ(bucket.mean, 5);
}

// Two pods that do 20 each meet 15, from the second minute 95, from the fifth 30 requests per
// second; 10 per pod are wanted.
SimulationSpec Steps() {
  SimulationSpec spec = Web(Load::Steps(
      {{absl::ZeroDuration(), 15'000}, {absl::Minutes(2), 95'000}, {absl::Minutes(5), 30'000}},
      /*repeat=*/false));
  spec.objects = {OnExternal("web")};
  spec.duration = absl::Minutes(20);
  return spec;
}

Result RunOf(const SimulationSpec& spec, const RecorderOptions& options = {}) {
  Recorder recorder(spec, options);
  Simulation simulation(spec, {&recorder});
  EXPECT_EQ(simulation.Run(), absl::OkStatus());
  return recorder.Take();
}

TEST(Recorder, FiguresAndSeriesOfARun) {
  const Result result = RunOf(Steps());
  EXPECT_EQ(result.duration, absl::Minutes(20));
  EXPECT_EQ(result.bucket, absl::Seconds(1));
  EXPECT_EQ(result.digest.size(), 16u);
  ASSERT_EQ(result.targets.size(), 1u);
  const TargetResult& target = result.targets[0];
  EXPECT_EQ(target.object.Text(), "shop/web");
  EXPECT_NEAR(static_cast<double>(target.decisions_taken), 80, 2);
  EXPECT_EQ(target.scale_ups, 3u);  // 4, 8, 10
  EXPECT_GE(target.scale_downs, 1u);
  EXPECT_EQ(target.most_replicas, 10);
  EXPECT_EQ(target.failed_metrics, 0u);
  ASSERT_EQ(target.load.buckets.size(), 1200u);
  EXPECT_DOUBLE_EQ(At(target.load, 60).mean, 15);
  EXPECT_DOUBLE_EQ(At(target.load, 200).mean, 95);
  EXPECT_DOUBLE_EQ(At(target.wanted, 60).mean, 2);
  EXPECT_DOUBLE_EQ(At(target.wanted, 280).mean, 10);
  EXPECT_DOUBLE_EQ(At(target.ready, 280).mean, 10);
  EXPECT_DOUBLE_EQ(At(target.demand, 60).mean, 1);
  EXPECT_DOUBLE_EQ(At(target.demand, 200).mean, 5);
  // Five are demanded from the 120th second on, and two are there.
  EXPECT_GT(target.under_seconds, 5);
  EXPECT_LT(target.under_seconds, 60);
  EXPECT_DOUBLE_EQ(target.elasticity.timeshare_under, target.under_seconds / 12);
  EXPECT_GT(target.elasticity.timeshare_over, 80);
  EXPECT_GT(target.pod_hours, 2.0 * 20 / 60);
  EXPECT_LT(target.pod_hours, 10.0 * 20 / 60);
  // 15 x 120 + 95 x 180 + 30 x 900 requests.
  EXPECT_NEAR(target.served + target.failed, 1'800 + 17'100 + 27'000, 150);
}

TEST(Recorder, NamesMetricsWithTheirTargets) {
  SimulationSpec spec = Steps();
  spec.objects = {OnCpu("web")};
  spec.world.deployments[0].capacity = 0;
  const Result result = RunOf(spec);
  ASSERT_EQ(result.targets[0].metrics.size(), 1u);
  const TargetResult::Metric& metric = result.targets[0].metrics[0];
  EXPECT_THAT(metric.name, HasSubstr("cpu"));
  EXPECT_EQ(metric.target, "50%");
  EXPECT_EQ(metric.target_value, 50);
  EXPECT_EQ(metric.value.unit, "%");
  double most = 0;
  for (const Series::Bucket& bucket : metric.value.buckets) most = std::max(most, bucket.max);
  EXPECT_GT(most, 100);
}

TEST(Recorder, NotesWhatChangedAndWhy) {
  const TargetResult target = RunOf(Steps()).targets[0];
  std::vector<const DecisionNote*> changes;
  for (const DecisionNote& note : target.decisions) {
    if (note.rescale) changes.push_back(&note);
  }
  ASSERT_GE(changes.size(), 4u);
  EXPECT_EQ(changes[0]->desired, 4);
  EXPECT_TRUE(changes[0]->applied);
  EXPECT_THAT(changes[0]->reason, HasSubstr("limited to 4"));
  EXPECT_THAT(changes[0]->explanation, HasSubstr("scale from 2 to 4"));
  EXPECT_TRUE(
      std::is_sorted(target.decisions.begin(), target.decisions.end(),
                     [](const DecisionNote& a, const DecisionNote& b) { return a.at < b.at; }));
  const bool held =
      std::any_of(target.decisions.begin(), target.decisions.end(), [](const DecisionNote& note) {
        return note.reason.find("held at 10 by the scale-down window") != std::string::npos;
      });
  EXPECT_TRUE(held);
}

TEST(Recorder, KeepsChangesBeforeHolds) {
  const TargetResult target = RunOf(Steps(), {.decisions = 4}).targets[0];
  EXPECT_EQ(target.decisions.size(), 4u);
  EXPECT_GT(target.decisions_dropped, 0u);
  for (const DecisionNote& note : target.decisions) EXPECT_TRUE(note.rescale);
}

TEST(Recorder, AFailedMetricHasNoValue) {
  SimulationSpec spec = Steps();
  spec.faults = {{.what = ControlFault::What::kScalerError,
                  .metric = "",
                  .at = absl::Minutes(10),
                  .lasts = absl::Minutes(5)}};
  const TargetResult target = RunOf(spec).targets[0];
  EXPECT_NEAR(static_cast<double>(target.failed_metrics), 20, 1);
  EXPECT_TRUE(At(target.metrics[0].value, 590).has);
  EXPECT_FALSE(At(target.metrics[0].value, 700).has);
}

TEST(Recorder, BucketsAreBounded) {
  SimulationSpec spec = Steps();
  const Result coarse = RunOf(spec, {.buckets = 100});
  EXPECT_EQ(coarse.bucket, absl::Seconds(16));
  EXPECT_EQ(coarse.targets[0].load.buckets.size(), 75u);
  EXPECT_EQ(RunOf(spec, {.series = false}).targets[0].load.buckets.size(), 0u);
  EXPECT_EQ(RunOf(spec, {.series = false}).targets[0].pod_hours, coarse.targets[0].pod_hours);
}

TEST(Recorder, CostIsOfPodsWhereThereAreNoNodes) {
  const TargetResult target = RunOf(Steps(), {.pod_price_milli = 250}).targets[0];
  EXPECT_NEAR(target.cost, target.pod_hours * 0.25, 1e-9);
}

TEST(Recorder, TheDigestIsOfTheRunAndNotOfHowItIsShown) {
  const std::string digest = RunOf(Steps()).digest;
  EXPECT_EQ(RunOf(Steps(), {.buckets = 10, .series = false}).digest, digest);
  SimulationSpec other = Steps();
  Edit(other.objects[0]).max_replicas = 9;
  EXPECT_NE(RunOf(other).digest, digest);
}

}  // namespace
}  // namespace neap::sim
