// Core's values as messages and back.
#include "autoscaler/record/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>

#include "autoscaler/base/status.h"
#include "autoscaler/core/messages.h"
#include "autoscaler/record/changes.h"

namespace neap::record {
namespace {

using ::testing::HasSubstr;

std::string UpperSnake(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool upper = name[i] >= 'A' && name[i] <= 'Z';
    if (upper && i > 0 && name[i - 1] >= 'a' && name[i - 1] <= 'z') out += '_';
    out += static_cast<char>(std::toupper(name[i]));
  }
  return out;
}

// The numbers of reasons and stages are in old journals: an enumerator put between others would
// change what they mean.
TEST(Codec, ReasonsAndStagesKeepTheirNumbers) {
  for (int i = 0; i < core::kReasonCount; ++i) {
    const std::string name(core::ReasonName(static_cast<core::Reason>(i)));
    EXPECT_EQ(v1::Reason_Name(static_cast<v1::Reason>(i + 1)), "REASON_" + UpperSnake(name));
  }
  EXPECT_EQ(v1::Reason_MAX, core::kReasonCount);
  for (int i = 0; i < v1::Stage_MAX; ++i) {
    const std::string name(core::StageName(static_cast<core::Stage>(i)));
    EXPECT_EQ(v1::Stage_Name(static_cast<v1::Stage>(i + 1)), "STAGE_" + UpperSnake(name));
  }
}

TEST(Codec, SpecsAndOptionsComeBackButForTriggerMetadata) {
  core::AutoscalerSpec spec;
  spec.kind = core::ObjectKind::kHpa;
  spec.key = {"shop", "web"};
  spec.uid = "u";
  spec.generation = 7;
  spec.target = {"apps/v1", "Deployment", "web"};
  spec.min_replicas = 0;
  spec.max_replicas = 9;
  core::MetricSpec& metric = spec.metrics.emplace_back();
  metric.source = core::MetricSource::kObject;
  metric.described_object = core::ObjectReference{"v1", "Service", "front"};
  metric.SetSelector({.match_labels = {{"a", "b"}},
                      .match_expressions = {{.key = "k", .op = "Near", .values = {"x", "y"}}}});
  ASSERT_NE(metric.selector_error, "");
  metric.target = {
      .kind = core::TargetKind::kValue, .average_utilization = 1, .average_value = -2, .value = 3};
  spec.triggers = {{.type = "redis",
                    .name = "t",
                    .metadata = {{"password", "secret"}},
                    .metric_type = core::TargetKind::kValue,
                    .use_cached_metrics = true}};
  spec.behavior = core::Behavior{.scale_up = {.stabilization_window_seconds = 3,
                                              .select_policy = core::SelectPolicy::kMin,
                                              .policies = {{core::PolicyType::kPercent, 4, 5}},
                                              .tolerance = 0.05},
                                 .scale_down = {.stabilization_window_seconds = {},
                                                .select_policy = core::SelectPolicy::kDisabled,
                                                .policies = {},
                                                .tolerance = {}}};
  spec.paused = true;
  spec.guards = core::Guards::kNone;
  spec.zero_policy = core::ZeroPolicy::kActivation;
  spec.on_absent = core::OnAbsent::kValue;
  spec.hold_scale_up = {.unschedulable_pods = true, .quota_exceeded = false};
  spec.period = absl::Milliseconds(1500);
  spec.polling_interval = absl::Seconds(30);

  v1::AutoscalerSpec message;
  Encode(spec, &message);
  EXPECT_THAT(Serialised(message), ::testing::Not(HasSubstr("secret")));
  EXPECT_THAT(Serialised(message), ::testing::Not(HasSubstr("password")));
  core::AutoscalerSpec back;
  ASSERT_TRUE(Decode(message, &back).ok());
  spec.triggers[0].metadata = {};
  EXPECT_TRUE(back == spec);

  const core::HpaOptions options{.level = core::Level::kV1_37,
                                 .tolerance = 0.3,
                                 .downscale_stabilization = absl::InfiniteDuration(),
                                 .cpu_initialization_period = absl::ZeroDuration(),
                                 .initial_readiness_delay = absl::Nanoseconds(1),
                                 .scale_to_zero = false};
  v1::HpaOptions o;
  Encode(options, &o);
  core::HpaOptions options_back;
  ASSERT_TRUE(Decode(o, &options_back).ok());
  EXPECT_EQ(options_back, options);
}

TEST(Codec, WhatAnotherVersionWroteIsAnErrorThatNamesTheField) {
  v1::Decision message;
  Encode(core::Decision(), &message);
  message.set_able(static_cast<v1::Reason>(99));
  core::Decision decision;
  const absl::Status status = Decode(message, &decision);
  EXPECT_THAT(std::string(base::Message(status)), HasSubstr("able is 99"));
}

TEST(Codec, PodRequestsAndTimesAtTheirEnds) {
  core::PodRequests requests;
  requests.containers = {{.name = "app", .sidecar = false, .requests = {{"cpu", 1, 999999}}}};
  requests.init_containers = {{.name = "mesh", .sidecar = true, .requests = {}}};
  requests.pod_level.emplace();
  requests.overhead = {{"memory", -5, 0}};
  v1::PodRequests message;
  Encode(requests, &message);
  core::PodRequests back;
  ASSERT_TRUE(Decode(message, &back).ok());
  EXPECT_TRUE(back == requests);

  core::Reading reading;
  reading.form = core::Reading::Form::kPods;
  const absl::Time now = absl::FromUnixNanos(1767225600123456789);
  for (const absl::Time at : {absl::InfinitePast(), now, absl::InfiniteFuture(), absl::UnixEpoch(),
                              now - absl::Nanoseconds(1)}) {
    reading.pods.by_pod.push_back(
        {.milli = 1, .at = at, .window = absl::InfiniteDuration(), .present = true});
    reading.pods.by_pod.emplace_back();  // none
  }
  reading.observed_at = absl::InfiniteFuture();
  reading.active = false;
  reading.target = core::MetricTarget{
      .kind = core::TargetKind::kValue, .average_utilization = {}, .average_value = {}, .value = 5};
  v1::Reading r;
  Encode(reading, now, &r);
  core::Reading reading_back;
  ASSERT_TRUE(Decode(r, now, &reading_back).ok());
  EXPECT_TRUE(reading_back == reading);
}

TEST(Codec, KeptHistoriesComeBackButForWhatTheProcessCounted) {
  const absl::Time at = absl::FromUnixNanos(1'767'225'600'123'456'789);
  control::KeptHistory kept;
  kept.history.recommendations = {{.replicas = 0, .at = at},
                                  {.replicas = 7, .at = absl::InfinitePast()}};
  kept.history.up_events = {{.change = 3, .at = at, .outdated = true}};
  kept.history.down_events = {{.change = 1, .at = at, .outdated = false}};
  kept.history.base = core::Base{.replicas = 5, .ready_pods = 4, .at = at};
  kept.replicas = 0;
  kept.scale_version = "1234";
  const absl::StatusOr<control::KeptHistory> back = DecodedHistory(Encoded(kept));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, kept);
  EXPECT_EQ(DecodedHistory(Encoded({})).value(), control::KeptHistory());
  kept.history.counted = {1, 2};
  EXPECT_EQ(DecodedHistory(Encoded(kept))->history.counted, std::vector<uint64_t>());
}

TEST(Codec, AHistoryThatNoDecisionCanHaveLeftIsRefused) {
  EXPECT_THAT(std::string(base::Message(DecodedHistory("\xff\xff no history").status())),
              HasSubstr("bytes are no history"));
  control::KeptHistory kept;
  kept.history.up_events = {{.change = -3, .at = absl::InfinitePast(), .outdated = false}};
  EXPECT_THAT(std::string(base::Message(DecodedHistory(Encoded(kept)).status())), HasSubstr("-3"));
  kept = {};
  kept.history.recommendations = {{.replicas = -1, .at = absl::InfinitePast()}};
  EXPECT_FALSE(DecodedHistory(Encoded(kept)).ok());
  kept = {};
  kept.replicas = -1;
  EXPECT_FALSE(DecodedHistory(Encoded(kept)).ok());
  kept = {};
  kept.history.recommendations.resize(core::History::kMaxEntries + 1);
  EXPECT_FALSE(DecodedHistory(Encoded(kept)).ok());
}

TEST(Codec, WhatGuardsLookAtComesBack) {
  for (const std::optional<int32_t> ready : {std::optional<int32_t>(), std::optional<int32_t>(0)}) {
    const core::Scale scale{.uid = "u",
                            .resource_version = "1",
                            .spec_replicas = 3,
                            .status_replicas = 2,
                            .selector = "a=b",
                            .ready_replicas = ready,
                            .quota_refused = !ready};
    v1::Scale message;
    Encode(scale, &message);
    core::Scale back;
    ASSERT_TRUE(Decode(message, &back).ok());
    EXPECT_EQ(back, scale);
  }
  for (const auto trouble :
       {core::PodTrouble::kNone, core::PodTrouble::kCrashLoop, core::PodTrouble::kUnschedulable}) {
    core::Pod pod;
    pod.name = "web-1";
    pod.trouble = trouble;
    v1::Pod message;
    Encode(pod, &message);
    core::Pod back;
    ASSERT_TRUE(Decode(message, &back).ok());
    EXPECT_EQ(back, pod);
  }
  core::Decision decision;
  decision.crash_loop = true;
  decision.steps.push_back(
      {.stage = core::Stage::kGuards,
       .reason = core::Reason::kHeldCrashLoop,
       .before = 5,
       .after = 3,
       .metric = -1,
       .detail = core::CrashLoopDetail{
           .crashing = 2, .of = 3, .since = absl::Seconds(61), .limit = absl::Minutes(10)}});
  v1::Decision message;
  Encode(decision, &message);
  core::Decision back;
  ASSERT_TRUE(Decode(message, &back).ok());
  EXPECT_EQ(back, decision);
}

// A crash loop that begins and is forgotten, as changes against the record before.
TEST(Changes, ACrashLoopComesAndGoes) {
  ChangeEncoder encoder;
  ChangeDecoder decoder;
  core::Outcome outcome;
  const core::CrashLoop loop{.since = absl::FromUnixSeconds(60), .seen = absl::FromUnixSeconds(75)};
  for (const std::optional<core::CrashLoop> now :
       {std::optional<core::CrashLoop>(), std::optional(loop), std::optional(loop),
        std::optional<core::CrashLoop>(), std::optional(loop)}) {
    outcome.history.crash_loop = now;
    v1::OutcomeEntry entry;
    encoder.Encode(
        control::OutcomeRecord{.uid = "u", .decision_id = 1, .result = {}, .outcome = &outcome},
        &entry);
    ASSERT_TRUE(decoder.Decode(entry).ok());
    EXPECT_EQ(decoder.outcome().history, outcome.history);
  }
}

TEST(Changes, ThatDoNotFitAreRefused) {
  for (const auto& runs : std::vector<std::vector<uint32_t>>{
           {0, 1, 0}, {0, 0, 1}, {4000000000, 4000000000, 0}, {1, 2}}) {
    v1::DecisionEntry entry;
    for (const uint32_t n : runs) entry.mutable_before()->mutable_recommendations()->add_runs(n);
    EXPECT_FALSE(ChangeDecoder().Decode(entry).ok());
  }
}

}  // namespace
}  // namespace neap::record
