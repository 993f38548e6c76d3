#include "autoscaler/kube/objects/status_json.h"

#include <nlohmann/json.hpp>

#include "tests/kube/objects/support.h"

namespace neap::kube::objects {
namespace {

core::Condition Named(std::string type, core::ConditionStatus status, std::string reason) {
  core::Condition out;
  out.type = std::move(type);
  out.status = status;
  out.reason = std::move(reason);
  return out;
}

core::Status FullStatus() {
  core::Status s;
  s.current_replicas = 3;
  s.desired_replicas = 5;
  s.last_scale_time = absl::FromUnixSeconds(1767225600);
  s.observed_generation = 7;
  core::MetricStatus cpu;
  cpu.valid = true;
  cpu.source = core::MetricSource::kResource;
  cpu.name = "cpu";
  cpu.average_utilization = 71;
  cpu.average_value = 355;
  core::MetricStatus memory = cpu;
  memory.source = core::MetricSource::kContainerResource;
  memory.name = "memory";
  memory.container = "app";
  memory.average_utilization.reset();
  memory.average_value = 1048576000;
  memory.format = base::QuantityFormat::kBinarySI;
  core::MetricStatus object;
  object.valid = true;
  object.source = core::MetricSource::kObject;
  object.name = "hits";
  object.described_object = core::ObjectReference{"networking.k8s.io/v1", "Ingress", "main"};
  object.value = 2000000;
  core::MetricStatus external;
  external.valid = true;
  external.source = core::MetricSource::kExternal;
  external.name = "queue";
  external.selector =
      base::LabelSelector{.match_labels = {{"q", "a"}}, .match_expressions = {{"x", "In", {"1"}}}};
  external.average_value = 30500;
  s.current_metrics = {cpu, memory, object, external, core::MetricStatus{}};
  s.conditions = {{.type = "AbleToScale",
                   .status = core::ConditionStatus::kTrue,
                   .reason = "ReadyForNewScale",
                   .message = "fine",
                   .last_transition = absl::FromUnixSeconds(1767225500)},
                  {.type = "ScalingActive",
                   .status = core::ConditionStatus::kFalse,
                   .reason = "FailedGetResourceMetric",
                   .message = "no",
                   .last_transition = absl::InfinitePast()}};
  return s;
}

TEST(StatusJson, HasTheHpasShape) {
  const std::vector<core::Condition> own = {{.type = "DryRun",
                                             .status = core::ConditionStatus::kTrue,
                                             .reason = "Mode",
                                             .message = "spec.mode is DryRun",
                                             .last_transition = absl::FromUnixSeconds(1767225000)}};
  const core::Status status = FullStatus();
  const auto json = nlohmann::ordered_json::parse(EncodeStatus(
      {.status = status, .own_conditions = own, .explanation = "stay at 3\n  gate\n\n"}));
  EXPECT_EQ(json.dump(), nlohmann::ordered_json::parse(R"({
    "observedGeneration": 7,
    "lastScaleTime": "2026-01-01T00:00:00Z",
    "currentReplicas": 3,
    "desiredReplicas": 5,
    "currentMetrics": [
      {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 71, "averageValue": "355m"}}},
      {"type": "ContainerResource",
       "containerResource": {"name": "memory", "container": "app", "current": {"averageValue": "1Mi"}}},
      {"type": "Object", "object": {"metric": {"name": "hits"},
       "describedObject": {"kind": "Ingress", "name": "main", "apiVersion": "networking.k8s.io/v1"},
       "current": {"value": "2k"}}},
      {"type": "External", "external": {"metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"},
       "matchExpressions": [{"key": "x", "operator": "In", "values": ["1"]}]}}, "current": {"averageValue": "30500m"}}},
      {"type": ""}
    ],
    "conditions": [
      {"type": "AbleToScale", "status": "True", "lastTransitionTime": "2025-12-31T23:58:20Z",
       "reason": "ReadyForNewScale", "message": "fine"},
      {"type": "ScalingActive", "status": "False", "lastTransitionTime": null,
       "reason": "FailedGetResourceMetric", "message": "no"},
      {"type": "DryRun", "status": "True", "lastTransitionTime": "2025-12-31T23:50:00Z",
       "reason": "Mode", "message": "spec.mode is DryRun"}
    ],
    "lastDecision": ["stay at 3", "  gate"]
  })")
                             .dump());
}

TEST(StatusJson, ReadsBackWhatItWrote) {
  const std::vector<core::Condition> own = {
      Named("Accepted", core::ConditionStatus::kTrue, "Valid"),
      Named("DryRun", core::ConditionStatus::kFalse, "Mode")};
  for (const core::Status& status : {FullStatus(), core::Status{}}) {
    const auto json = value::ParseJson(
        EncodeStatus({.status = status, .own_conditions = own, .explanation = ""}), "status");
    ASSERT_TRUE(json.ok()) << json.status();
    EXPECT_TRUE(json->Get("currentMetrics")->is_list());
    std::vector<core::Condition> own_back;
    EXPECT_EQ(DecodeStatus(*json, own_back), status);
    EXPECT_EQ(own_back, own);
  }
}

TEST(StatusJson, AnythingStrangeIsLeftOut) {
  std::vector<core::Condition> own;
  const core::Status status = DecodeStatus(
      Parse("currentReplicas: many\ndesiredReplicas: 99999999999\nlastScaleTime: yesterday\n"
            "observedGeneration: x\ncurrentMetrics: [5, {type: New}, {type: Resource}]\n"
            "conditions: [{status: x}, {type: A, status: x, lastTransitionTime: 5}]\n"),
      own);
  EXPECT_EQ(status.current_replicas, 0);
  EXPECT_EQ(status.desired_replicas, 2147483647);
  EXPECT_FALSE(status.last_scale_time.has_value());
  EXPECT_FALSE(status.observed_generation.has_value());
  ASSERT_EQ(status.current_metrics.size(), 3u);
  for (const auto& m : status.current_metrics) EXPECT_FALSE(m.valid);
  ASSERT_EQ(status.conditions.size(), 1u);
  EXPECT_EQ(status.conditions[0].status, core::ConditionStatus::kUnknown);
  EXPECT_EQ(DecodeStatus(Parse("[]"), own), core::Status{});
}

TEST(StatusJson, StaysWithinTheSchemasBounds) {
  core::Status status;
  core::Condition c = Named("A", core::ConditionStatus::kTrue, "R");
  std::string message;
  for (int i = 0; i < 20000; ++i) message += "\xC3\xA9";  // two bytes each
  c.message = message + "\xff";                           // no UTF-8 at all
  for (int i = 0; i < 40; ++i) status.conditions.push_back(c);
  status.current_metrics.resize(1000);
  std::string explanation;
  for (int i = 0; i < 1000; ++i) explanation += std::string(5000, 'x') + "\n";
  const auto json = nlohmann::json::parse(
      EncodeStatus({.status = status, .own_conditions = {}, .explanation = explanation}));
  EXPECT_EQ(json.at("conditions").size(), 16u);
  EXPECT_LE(json.at("conditions")[0].at("message").get<std::string>().size(), 32768u);
  EXPECT_EQ(json.at("currentMetrics").size(), 256u);
  EXPECT_EQ(json.at("lastDecision").size(), 256u);
  EXPECT_EQ(json.at("lastDecision")[0].get<std::string>().size(), 1024u);
}

TEST(StatusJson, TransitionTimeMovesWithTheStatusAlone) {
  std::vector<core::Condition> all;
  const absl::Time t0 = absl::FromUnixSeconds(1000);
  SetCondition(all, Named("DryRun", core::ConditionStatus::kTrue, "a"), t0);
  SetCondition(all, Named("DryRun", core::ConditionStatus::kTrue, "b"), t0 + absl::Seconds(1));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].reason, "b");
  EXPECT_EQ(all[0].last_transition, t0);
  SetCondition(all, Named("DryRun", core::ConditionStatus::kFalse, "c"), t0 + absl::Seconds(2));
  EXPECT_EQ(all[0].last_transition, t0 + absl::Seconds(2));
}

}  // namespace
}  // namespace neap::kube::objects
