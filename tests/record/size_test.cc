// How many bytes of a journal a decision takes.
#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "autoscaler/core/decide.h"
#include "autoscaler/record/changes.h"
#include "autoscaler/record/codec.h"
#include "autoscaler/record/segment.h"

namespace neap::record {
namespace {

// Bytes of a decision with its outcome, in the middle of a segment, as the log of this test tells.
int64_t BytesPerDecision(int pods) {
  core::AutoscalerSpec spec;
  spec.key = {"shop", "checkout"};
  spec.uid = "0f4b2f6e-1d2c-4a53-9d0e-7f0a4e6d1c11";
  spec.target = {"apps/v1", "Deployment", "checkout"};
  spec.max_replicas = 500;
  core::MetricSpec& metric = spec.metrics.emplace_back();
  metric.name = pods > 0 ? "cpu" : "queue_length";
  metric.source = pods > 0 ? core::MetricSource::kResource : core::MetricSource::kExternal;
  if (pods > 0) {
    metric.target.kind = core::TargetKind::kUtilization;
    metric.target.average_utilization = 60;
  } else {
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = 20000;
  }
  const int32_t count = pods > 0 ? pods : 10;
  const core::HpaOptions options;
  OwnedObservation seen;
  seen.now = absl::FromUnixNanos(1767225600123456789);
  seen.scale = core::Scale{.uid = spec.uid,
                           .resource_version = "123456",
                           .spec_replicas = count,
                           .status_replicas = count,
                           .selector = "app=checkout"};
  seen.metrics = {{.spec = metric, .stale_after = absl::Minutes(1)}};
  seen.requests.emplace_back().containers = {
      {.name = "app", .sidecar = false, .requests = {{"cpu", 500, 0}}}};
  for (int i = 0; i < pods; ++i) {
    core::Pod& pod = seen.pods.emplace_back();
    pod.name = "checkout-6d5f9c7b8-" + std::to_string(10000 + i);
    pod.start = pod.ready_at = absl::FromUnixSeconds(1767220000 + i);
    pod.phase = core::PodPhase::kRunning;
    pod.ready = core::PodReady::kTrue;
  }
  seen.readings.emplace_back();
  std::mt19937_64 random(1);
  core::History history;
  ChangeEncoder changes;
  int64_t bytes = 0;
  constexpr int kFirst = 40;  // the window is full, and what is complete is written
  constexpr int kLast = 140;
  for (int round = 0; round < kLast; ++round) {
    seen.now += absl::Seconds(15) + absl::Microseconds(random() % 1000);
    core::Reading& reading = seen.readings[0];
    reading.observed_at = seen.now - absl::Nanoseconds(random() % 50000000);
    ++reading.sequence;
    if (pods > 0) {
      reading.form = core::Reading::Form::kPods;
      reading.pods.by_pod.clear();
      for (int i = 0; i < pods; ++i) {
        reading.pods.by_pod.push_back({.milli = static_cast<int64_t>(280 + random() % 40),
                                       .at = absl::FromUnixSeconds(absl::ToUnixSeconds(seen.now)) -
                                             absl::Seconds(random() % 15),
                                       .window = absl::Seconds(10 + random() % 10),
                                       .present = true});
      }
    } else {
      reading.form = core::Reading::Form::kMilli;
      reading.milli = {static_cast<int64_t>(195000 + random() % 10000)};
    }
    core::Observation view = seen.View();
    const core::Decision decision = core::Decide(options, spec, view, history);
    EXPECT_EQ(decision.verdict, core::Verdict::kComputed);
    const core::ApplyResult untried;
    const core::Outcome outcome = core::Remember(options, spec, view, decision, untried, history);
    v1::Frame first;
    first.mutable_decision()->set_target(1);
    changes.Encode({.uid = spec.uid,
                    .decision_id = static_cast<uint64_t>(100000 + round),
                    .spec = &spec,
                    .spec_version = 1,
                    .cause = control::Cause::kPeriodic,
                    .seen = &view,
                    .before = &history,
                    .decision = &decision},
                   first.mutable_decision());
    v1::Frame second;
    second.mutable_outcome()->set_target(1);
    changes.Encode({.uid = spec.uid,
                    .decision_id = static_cast<uint64_t>(100000 + round),
                    .result = untried,
                    .outcome = &outcome},
                   second.mutable_outcome());
    history = outcome.history;
    seen.previous = outcome.status;
    if (round >= kFirst) {
      bytes += static_cast<int64_t>(Serialised(first).size() + Serialised(second).size() +
                                    2 * kFrameHead);
    }
  }
  return bytes / (kLast - kFirst);
}

TEST(Journal, ADecisionTakesFewBytes) {
  const int64_t external = BytesPerDecision(0);
  const int64_t resource = BytesPerDecision(100);
  RecordProperty("external_bytes", static_cast<int>(external));
  RecordProperty("resource_100_pods_bytes", static_cast<int>(resource));
  std::printf("bytes per decision: External %d, Resource with 100 pods %d\n",
              static_cast<int>(external), static_cast<int>(resource));
  EXPECT_LE(external, 280);
  EXPECT_LE(resource, 750);
}

}  // namespace
}  // namespace neap::record
