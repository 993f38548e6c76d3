// The decoders of the API's own kinds: what is kept, what is left out, what is refused; and what a
// cached pod costs.
#include "autoscaler/kube/decode.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>

#include "autoscaler/control/pod_table.h"

namespace neap::kube {
namespace {

using ::testing::HasSubstr;

// Reads one object as a list would.
template <typename Decode>
absl::Status Read(const std::string& json, Decode decode) {
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(json);
  simdjson::ondemand::document document;
  api::JsonObject object;
  if (auto error = parser.iterate(padded).get(document)) return api::JsonError(error);
  if (auto error = document.get_object().get(object)) return api::JsonError(error);
  return decode(object);
}
absl::StatusOr<DecodedPod> Pod(const std::string& json, Interner& interner) {
  DecodedPod pod;
  NEAP_RETURN_IF_ERROR(
      Read(json, [&](api::JsonObject& object) { return DecodePod(object, interner, &pod); }));
  return pod;
}
absl::StatusOr<Workload> WorkloadOf(const std::string& json) {
  Workload workload;
  NEAP_RETURN_IF_ERROR(
      Read(json, [&](api::JsonObject& object) { return DecodeWorkload(object, &workload); }));
  return workload;
}

TEST(DecodeWorkload, IsWhatItsScaleSubresourceWouldShow) {
  const auto web = WorkloadOf(R"({"metadata":{"name":"web","namespace":"shop","uid":"u-1",
      "resourceVersion":"42","labels":{"x":"y"},"managedFields":[{"a":{"b":[1,2]}}]},
      "spec":{"replicas":3,"selector":{"matchLabels":{"tier":"b","app":"web"},
      "matchExpressions":[{"key":"env","operator":"In","values":["prod","dev"]}]},
      "template":{"spec":{"replicas":9}}},"status":{"replicas":2,"readyReplicas":1}})");
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(web->ns, "shop");
  EXPECT_EQ(web->name, "web");
  EXPECT_EQ(web->scale, (core::Scale{.uid = "u-1",
                                     .resource_version = "42",
                                     .spec_replicas = 3,
                                     .status_replicas = 2,
                                     .selector = "app=web,env in (dev,prod),tier=b",
                                     .ready_replicas = 1}));
}

TEST(DecodeWorkload, MissingReplicasAreTheApisDefaults) {
  const auto web = WorkloadOf(R"({"metadata":{"name":"web"},"spec":{},"status":{}})");
  ASSERT_TRUE(web.ok());
  EXPECT_EQ(web->scale.spec_replicas, 1);
  EXPECT_EQ(web->scale.status_replicas, 0);
  EXPECT_EQ(web->scale.selector, "");
  const auto zero = WorkloadOf(R"({"metadata":{"name":"web"},"spec":{"replicas":0}})");
  EXPECT_EQ(zero->scale.spec_replicas, 0);
}

TEST(DecodeWorkload, GuardsKnowReadyPodsAndQuotas) {
  const auto none = WorkloadOf(R"({"metadata":{"name":"web"},"spec":{}})");
  EXPECT_EQ(none->scale.ready_replicas, std::nullopt);  // no status yet: not known
  const auto web = WorkloadOf(R"({"metadata":{"name":"web"},"status":{"replicas":3,"conditions":[
      {"type":"Available","status":"False","lastTransitionTime":"2026-01-01T00:00:00Z"},
      {"type":"ReplicaFailure","status":"True","reason":"FailedCreate",
       "message":"pods \"web-1\" is forbidden: exceeded quota: q, requested: pods=1"}]}})");
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(web->scale.ready_replicas, 0);  // a zero is left out
  EXPECT_TRUE(web->scale.quota_refused);
  const auto other = WorkloadOf(R"({"metadata":{"name":"web"},"status":{"conditions":[
      {"type":"ReplicaFailure","status":"False","message":"exceeded quota: q"},
      {"type":"ReplicaFailure","status":"True","message":"violates PodSecurity"}]}})");
  EXPECT_FALSE(other->scale.quota_refused);
}

TEST(DecodeWorkload, RefusesWhatIsNoWorkload) {
  for (const char* json :
       {R"({"metadata":{}})", R"({"metadata":{"name":3}})",
        R"({"metadata":{"name":"web"},"spec":{"replicas":"3"}})",
        R"({"metadata":{"name":"web"},"spec":{"replicas":99999999999}})",
        R"({"metadata":{"name":"web"},"spec":{"selector":[]}})", R"({"metadata":)", "[]"}) {
    EXPECT_TRUE(absl::IsDataLoss(WorkloadOf(json).status())) << json;
  }
}

TEST(DecodeScale, ReplicasAreLeftOutAtZero) {
  const auto zero = DecodeScale(
      R"({"kind":"Scale","metadata":{"uid":"u","resourceVersion":"7"},"spec":{},"status":{}})",
      "w");
  ASSERT_TRUE(zero.ok()) << zero.status();
  EXPECT_EQ(zero->spec_replicas, 0);
  EXPECT_EQ(zero->selector, "");
  for (const char* json :
       {"", "{", "{}", R"({"kind":"Status"})", R"({"kind":"Scale","metadata":{}})",
        R"({"kind":"Scale","metadata":{"uid":"u"},"spec":{"replicas":-1}})",
        R"({"kind":"Scale","metadata":{"uid":"u"},"spec":{"replicas":2147483648}})"}) {
    const auto scale = DecodeScale(json, "GET x");
    EXPECT_TRUE(absl::IsDataLoss(scale.status())) << json;
    EXPECT_THAT(std::string(base::Message(scale.status())), HasSubstr("GET x")) << json;
  }
}

// As kube-apiserver gives it, shortened.
std::string PodJson(const std::string& name, const std::string& more_status = "") {
  return R"({"kind":"Pod","metadata":{"name":")" + name + R"(","namespace":"shop","uid":"u",
      "labels":{"app":"web","pod-template-hash":"7d9f8b6c5"},"annotations":{"a":"b"},
      "ownerReferences":[{"kind":"ReplicaSet","name":"web-7d9f8b6c5"}]},
      "spec":{"containers":[{"name":"app","image":"i","resources":{"limits":{"cpu":"1"},
        "requests":{"memory":"64Mi","cpu":"100m"}}},{"name":"side","resources":{}}],
      "initContainers":[{"name":"proxy","restartPolicy":"Always","resources":{"requests":
        {"cpu":"50m"}}}],"overhead":{"cpu":"1m"},"nodeName":"n"},
      "status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z","conditions":[
        {"type":"Initialized","status":"True","lastTransitionTime":"2026-01-01T00:00:01Z"},
        {"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:05Z"}])" +
         more_status + R"(,"podIP":"10.0.0.1"}})";
}

TEST(DecodePod, KeepsWhatDecisionsUse) {
  Interner interner;
  const auto decoded = Pod(PodJson("web-1"), interner);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->problem, "");
  const core::Pod& pod = decoded->state.pod;
  EXPECT_EQ(pod.name, "web-1");
  EXPECT_EQ(pod.phase, core::PodPhase::kRunning);
  EXPECT_EQ(pod.ready, core::PodReady::kTrue);
  EXPECT_FALSE(pod.deleting);
  EXPECT_EQ(pod.ready_at - pod.start, absl::Seconds(5));
  EXPECT_EQ(decoded->state.labels.Find("app"), "web");
  const core::PodRequests& requests = *decoded->state.requests;
  ASSERT_EQ(requests.containers.size(), 2U);
  EXPECT_EQ(
      requests.containers[0].requests,
      (core::ResourceAmounts{{"cpu", 100, 0}, {"memory", int64_t{64} * 1024 * 1024 * 1000, 0}}));
  EXPECT_TRUE(requests.containers[1].requests.empty());
  ASSERT_EQ(requests.init_containers.size(), 1U);
  EXPECT_TRUE(requests.init_containers[0].sidecar);
  EXPECT_EQ(requests.overhead, (core::ResourceAmounts{{"cpu", 1, 0}}));
  EXPECT_FALSE(requests.pod_level.has_value());
}

TEST(DecodePod, KnowsItsTrouble) {
  Interner interner;
  const auto trouble = [&](const std::string& more) {
    const auto pod = Pod(PodJson("web-1", more), interner);
    EXPECT_TRUE(pod.ok()) << pod.status();
    return pod->state.pod.trouble;
  };
  EXPECT_EQ(trouble(""), core::PodTrouble::kNone);
  EXPECT_EQ(trouble(R"(,"containerStatuses":[{"name":"app","state":{"running":{}}},
      {"name":"side","state":{"waiting":{"message":"m","reason":"CrashLoopBackOff"}}}])"),
            core::PodTrouble::kCrashLoop);
  EXPECT_EQ(trouble(R"(,"initContainerStatuses":[{"state":{"waiting":{"reason":
      "CrashLoopBackOff"}}}],"containerStatuses":null)"),
            core::PodTrouble::kCrashLoop);
  EXPECT_EQ(trouble(R"(,"containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff"}},
      "lastState":{"terminated":{"reason":"CrashLoopBackOff"}}}])"),
            core::PodTrouble::kNone);
  const auto waiting = [&](const char* reason) {
    return Pod(fmt::format(
                   R"({{"metadata":{{"name":"p"}},"status":{{"phase":"Pending","conditions":[
        {{"type":"PodScheduled","status":"False","reason":"{}"}}]}}}})",
                   reason),
               interner)
        ->state.pod.trouble;
  };
  EXPECT_EQ(waiting("Unschedulable"), core::PodTrouble::kUnschedulable);
  EXPECT_EQ(waiting("SchedulingGated"), core::PodTrouble::kNone);
}

TEST(DecodePod, FieldsMayBeMissing) {
  Interner interner;
  const auto pending = Pod(
      R"({"metadata":{"name":"p","deletionTimestamp":"2026-01-01T00:00:00Z","labels":null},
          "spec":{"containers":[{"name":"c"}]},"status":{"phase":"Pending"}})",
      interner);
  ASSERT_TRUE(pending.ok()) << pending.status();
  EXPECT_EQ(pending->state.pod.phase, core::PodPhase::kPending);
  EXPECT_EQ(pending->state.pod.ready, core::PodReady::kNone);
  EXPECT_EQ(pending->state.pod.start, absl::InfinitePast());
  EXPECT_TRUE(pending->state.pod.deleting);
}

TEST(DecodePod, AnAmountThatMakesNoSenseIsMissingAndNeverZero) {
  Interner interner;
  const auto odd = Pod(
      R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{"requests":
          {"cpu":"lots","memory":5}}}]},"status":{"startTime":"yesterday"}})",
      interner);
  ASSERT_TRUE(odd.ok()) << odd.status();
  EXPECT_EQ(odd->state.requests->containers[0].requests,
            (core::ResourceAmounts{{"memory", 5000, 0}}));
  EXPECT_EQ(odd->state.pod.start, absl::InfinitePast());
  EXPECT_THAT(odd->problem, HasSubstr("status.startTime"));
  for (const char* json : {R"({"metadata":{}})", R"({"metadata":{"name":"p"},"spec":3})",
                           R"({"metadata":{"name":"p"},"status":{"conditions":{}}})"}) {
    EXPECT_TRUE(absl::IsDataLoss(Pod(json, interner).status())) << json;
  }
}

TEST(Interner, SharesWhatIsEqualAndForgetsWhatNobodyUses) {
  Interner interner;
  {
    const auto a = Pod(PodJson("web-1"), interner);
    const auto b = Pod(PodJson("web-2"), interner);
    EXPECT_EQ(a->state.labels.values().data(), b->state.labels.values().data());
    EXPECT_EQ(a->state.requests, b->state.requests);
    EXPECT_EQ(interner.kinds(), 2U);
    EXPECT_EQ(interner.names(), 2U);
    const auto again = Pod(PodJson("web-1"), interner);
    EXPECT_TRUE(a->state.pod.name.same(again->state.pod.name));
  }
  const auto labels = [&](std::string_view key, std::string_view value) {
    base::LabelSet::Label label(key, value);
    return interner.Labels({&label, 1});
  };
  // Parts are kept apart: {"a": "bc"} is not {"ab": "c"}.
  EXPECT_NE(labels("a", "bc"), labels("ab", "c"));
  for (int i = 0; i < 10000; ++i) {
    labels("hash", std::to_string(i));
    interner.Name(fmt::format("web-{}", i));
  }
  EXPECT_LT(interner.kinds(), 200U);
  EXPECT_LT(interner.names(), 200U);
}

// The budget of a pod of a Deployment: its row in control's table, its name, and its share of what
// the pods of a template have in common. kube itself keeps nothing per pod. (A sanitizer's
// allocator has other sizes.)
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(DecodePod, ACachedPodOfADeploymentTakesAtMost150Bytes) {
  constexpr size_t kPods = 50000;
  const auto used = [] {  // large blocks are counted apart
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const auto selector = base::Selector::Parse("app=web");
  const size_t before = used();
  control::PodTable table;
  Interner interner;
  table.Acquire("shop", *selector, "app=web");
  {
    control::PodsReplaced list{.ns = "shop", .all = {}};
    for (size_t i = 0; i < kPods; ++i) {
      char name[32];
      snprintf(name, sizeof(name), "checkout-7d9f8b6c5-%05zu", i);
      auto pod = Pod(PodJson(name), interner);
      ASSERT_TRUE(pod.ok()) << pod.status();
      list.all.push_back(std::move(pod->state));
    }
    table.Settle();
    table.Replace(std::move(list));
    table.Settle();
  }
  ASSERT_EQ(table.pods(), kPods);
  const double each = static_cast<double>(used() - before) / kPods;
  RecordProperty("bytes_per_pod", std::to_string(each));
  std::printf("bytes per cached pod: %.1f\n", each);
  EXPECT_LE(each, 150);
}
#endif

}  // namespace
}  // namespace neap::kube
