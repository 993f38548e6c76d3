// An object and a recorded load: what is assumed, and what world is made of it.
#include "autoscaler/sim/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autoscaler/base/status.h"
#include "tests/support/process.h"

namespace neap::sim {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kCpuHpa = R"(
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 20
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
)";

std::string Autoscaler(std::string_view rest) {
  return fmt::format(R"(
apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {{name: worker, namespace: shop}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: worker}}
  minReplicas: 1
  maxReplicas: 10
{})",
                     rest);
}

// A scaler's answer without a scaler: 20 per pod, or what the trigger's "target" says.
absl::StatusOr<std::vector<core::MetricSpec>> Open(const core::AutoscalerSpec&,
                                                   const core::TriggerSpec& trigger) {
  core::MetricSpec metric;
  metric.name = trigger.type;
  metric.target.kind = core::TargetKind::kAverageValue;
  metric.target.average_value = 20'000;
  for (const auto& [key, text] : trigger.metadata) {
    if (key == "refuse") return base::InvalidArgument("{}: {}", key, text);
  }
  return std::vector{metric};
}

Policy PolicyOf(std::string_view text) {
  const auto policy = ParsePolicy(text, "a.yaml", {.open_trigger = Open});
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *policy : Policy();
}

class PolicyTest : public testing::Test {
 protected:
  // Peak 100/s, begins at 20/s, four minutes.
  Facts Trace(const std::string& csv = "time,rate\n0,20\n60,100\n120,40\n180,20\n") const {
    Facts facts;
    facts.trace = dir_.Write("day.csv", csv);
    return facts;
  }
  CompletedFacts Complete(const Facts& facts, std::string_view object) {
    policy_ = PolicyOf(object);
    const auto completed = CompleteFacts(facts, {policy_});
    EXPECT_TRUE(completed.ok()) << completed.status();
    return completed.ok() ? *completed : CompletedFacts();
  }
  std::string ErrorOf(const Facts& facts, std::string_view object) {
    policy_ = PolicyOf(object);
    const auto completed = CompleteFacts(facts, {policy_});
    if (!completed.ok()) return std::string(base::Message(completed.status()));
    const auto scenario = ScenarioFor(policy_, *completed);
    EXPECT_FALSE(scenario.ok());
    return std::string(base::Message(scenario.status()));
  }
  SimulationSpec SpecOf(const Facts& facts, std::string_view object) {
    const CompletedFacts completed = Complete(facts, object);
    const auto scenario = ScenarioFor(policy_, completed);
    EXPECT_TRUE(scenario.ok()) << scenario.status();
    return scenario.ok() ? scenario->spec : SimulationSpec();
  }

  testing_support::TempDir dir_;
  Policy policy_;
};

TEST_F(PolicyTest, ACpuPolicyIsAssumedToBeSizedForTheTracesPeak) {
  const CompletedFacts facts = Complete(Trace(), kCpuHpa);
  // 100/s on 20 pods is 5/s each, at 50 % of what each can do.
  EXPECT_EQ(facts.facts.capacity, 10'000);
  EXPECT_EQ(facts.facts.cpu_request, 500'000'000);
  EXPECT_EQ(facts.facts.cpu_per_request, 50'000'000);  // 10/s x 50 ms = 500m
  EXPECT_EQ(facts.facts.replicas, 4);                  // 20/s, 5/s each
  EXPECT_EQ(facts.facts.queue, false);
  EXPECT_EQ(facts.length, absl::Minutes(4));
  EXPECT_THAT(facts.hints, IsEmpty());
  EXPECT_THAT(
      facts.assumptions,
      ElementsAre("no CPU request given: 500m of each pod",
                  "no capacity given: 10/s for a pod, so that the trace's peak of 100/s "
                  "puts all 20 pods of maxReplicas at the target of 50 % of its CPU request",
                  "no CPU per request given: 50ms, so that a pod that does all it can uses "
                  "100 % of its CPU request",
                  "no pod start given: 20s from creation to ready",
                  "no time-out given: a request that is not answered within 30s fails",
                  "no replicas given: it begins with 4, which the trace's first load needs"));
}

TEST_F(PolicyTest, WhatIsGivenIsNotAssumed) {
  Facts given = Trace();
  given.cpu_per_request = 5'000'000;  // 5 ms
  given.cpu_request = 1'000'000'000;
  given.pod_start = Distribution::Fixed(absl::Seconds(5));
  given.timeout = absl::Seconds(2);
  given.replicas = 3;
  const CompletedFacts facts = Complete(given, kCpuHpa);
  EXPECT_EQ(facts.facts.capacity, 200'000);  // a core does 200 requests of 5 ms
  EXPECT_THAT(facts.assumptions,
              ElementsAre("no capacity given: a pod does what its CPU request allows, 200/s"));
}

TEST_F(PolicyTest, ATargetNearOrOverTheRequestLeavesAPodRoomToShowMore) {
  std::string object(kCpuHpa);
  object.replace(object.find("50}"), 2, "120");
  const CompletedFacts facts = Complete(Trace(), object);
  // At the target a pod is 80 % busy: at its limit it uses 150 % of its request.
  EXPECT_EQ(facts.facts.capacity, 6'250);
  EXPECT_EQ(facts.facts.cpu_per_request, 120'000'000);  // 6.25/s x 120 ms = 750m
}

TEST_F(PolicyTest, APolicyOnARateIsSizedByItsTarget) {
  const std::string object = Autoscaler(R"(  metrics:
  - type: Pods
    pods: {metric: {name: requests_per_second}, target: {type: AverageValue, averageValue: "40"}}
)");
  const SimulationSpec spec = SpecOf(Trace(), object);
  ASSERT_EQ(spec.world.deployments.size(), 1u);
  EXPECT_EQ(spec.world.deployments[0].capacity, 50'000);  // 40/s keep it 80 % busy
  EXPECT_EQ(spec.world.deployments[0].name, "worker");
  ASSERT_EQ(spec.world.custom_metrics.size(), 1u);
  EXPECT_EQ(spec.world.custom_metrics[0].from.what, Source::What::kRatePerPod);
  EXPECT_EQ(spec.world.custom_metrics[0].pods_of, 0);
  EXPECT_EQ(spec.pipeline.custom, Via::kPrometheus);
}

TEST_F(PolicyTest, AQueueTriggerReadsAQueueThatTheTraceFills) {
  Facts facts = Trace();
  facts.capacity = 5'000;
  const SimulationSpec spec = SpecOf(facts, Autoscaler("  triggers:\n  - type: redis\n    "
                                                       "metadata: {listName: jobs}\n"));
  ASSERT_EQ(spec.world.queues.size(), 1u);
  EXPECT_EQ(spec.world.queues[0].per_pod, 5'000);
  EXPECT_EQ(spec.world.queues[0].consumer, 0);
  EXPECT_EQ(spec.world.queues[0].arrivals.At(absl::Seconds(61)), 100'000);
  ASSERT_EQ(spec.triggers.size(), 1u);
  EXPECT_EQ(spec.triggers[0].from.what, Source::What::kQueueLength);
  EXPECT_EQ(spec.triggers[0].metric.target.average_value, 20'000);
  EXPECT_EQ(spec.triggers[0].uid, spec.objects[0].spec->uid);
  EXPECT_TRUE(spec.triggers[0].metric.from_trigger);
}

TEST_F(PolicyTest, APrometheusQueryIsReadByItsWords) {
  const auto reads = [&](const std::string& query) {
    const SimulationSpec spec = SpecOf(
        Trace(),
        Autoscaler("  triggers:\n  - type: prometheus\n    metadata: {query: '" + query + "'}\n"));
    EXPECT_EQ(spec.triggers.size(), 1u);
    EXPECT_EQ(spec.triggers[0].via, Via::kPrometheus);
    return spec.triggers[0].from.what;
  };
  EXPECT_EQ(reads("sum(rate(http_requests_total[2m]))"), Source::What::kRate);
  EXPECT_EQ(reads("rabbitmq_queue_messages_ready"), Source::What::kQueueLength);
  EXPECT_EQ(reads("sum(rate(queue_messages_published_total[1m]))"), Source::What::kRate);
  EXPECT_EQ(reads("sum(container_cpu_usage)"), Source::What::kCpu);
}

TEST_F(PolicyTest, TheUserSaysWhatAMetricReads) {
  const std::string object = Autoscaler(
      "  triggers:\n  - type: prometheus\n    name: p99\n    metadata: {query: "
      "'histogram_quantile(0.99, request_latency)'}\n");
  EXPECT_THAT(ErrorOf(Trace(), object),
              AllOf(HasSubstr("a.yaml: spec.triggers[0] (prometheus): nothing in this world gives "
                              "it"),
                    HasSubstr("--metric p99=load")));
  Facts facts = Trace();
  facts.metrics = {"p99=load"};
  EXPECT_EQ(SpecOf(facts, object).triggers[0].from.what, Source::What::kRate);
  facts.metrics = {"p99=fixed:12.5", "p98=load"};
  EXPECT_THAT(
      ErrorOf(facts, object),
      HasSubstr("--metric p98=load: no object has a metric or trigger \"p98\" (did you mean "
                "\"p99\"?)"));
  facts.metrics = {"p99=queu"};
  EXPECT_THAT(ErrorOf(facts, object), HasSubstr("(did you mean \"queue\"?)"));
  facts.metrics = {"p99"};
  EXPECT_THAT(ErrorOf(facts, object), HasSubstr("--metric p99: expected NAME=load"));
}

TEST_F(PolicyTest, ImpossibleRequestsAreRefused) {
  EXPECT_THAT(ErrorOf(Trace(), Autoscaler("  triggers:\n  - {type: cron, metadata: {}}\n")),
              HasSubstr("which knows no calendar"));
  EXPECT_THAT(ErrorOf(Trace(), Autoscaler("  metrics:\n  - type: Resource\n    resource: {name: "
                                          "memory, target: {type: Utilization, "
                                          "averageUtilization: 80}}\n")),
              HasSubstr("no metric follows the load"));
  EXPECT_THAT(ErrorOf(Trace("time,rate\n0,0\n60,0\n"), kCpuHpa), HasSubstr("there is no load"));
  Facts facts = Trace();
  facts.trace = "-";
  EXPECT_THAT(ErrorOf(facts, kCpuHpa), HasSubstr("--capacity is needed"));
  facts = Trace();
  facts.trace += ".none";
  policy_ = PolicyOf(kCpuHpa);
  EXPECT_EQ(CompleteFacts(facts, {policy_}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PolicyTest, StandardInputIsNotReadWhenEverythingIsSaid) {
  Facts facts;
  facts.trace = "-";
  facts.capacity = 50'000;
  const CompletedFacts completed = Complete(facts, kCpuHpa);
  EXPECT_EQ(completed.facts.replicas, 2);
  EXPECT_EQ(completed.length, absl::InfiniteDuration());
}

TEST_F(PolicyTest, HintsSayWhatTheNumbersSayAlready) {
  Facts facts = Trace();
  facts.capacity = 1'000;
  EXPECT_THAT(
      Complete(facts, kCpuHpa).hints,
      Contains(HasSubstr("the trace's peak of 100/s needs 100 pods of 1/s each, maxReplicas "
                         "is 20")));
  facts = Trace();
  facts.capacity = 50'000;
  facts.cpu_per_request = 5'000'000;  // 250m at most, the target is 250m
  EXPECT_THAT(Complete(facts, kCpuHpa).hints, Contains(HasSubstr("never asks for more")));
  // Uneven times: single requests.
  std::string csv = "time,tokens\n";
  for (int i = 0; i < 60; ++i)
    csv += fmt::format("{}.{},{}\n", 1'700'000'000 + i * i / 7, i % 10, i);
  EXPECT_THAT(Complete(Trace(csv), kCpuHpa).hints, Contains(HasSubstr("--requests")));
  EXPECT_THAT(Complete(Trace(), kCpuHpa).hints, Not(Contains(HasSubstr("--requests"))));
}

TEST_F(PolicyTest, ATraceOfRequestsMakesAWorldOfSingleRequests) {
  Facts facts = Trace("time,work\n0,2\n1,4\n2,6\n3,4\n90,4\n");
  facts.trace_options.kind = TraceKind::kRequests;
  facts.service_time = Distribution::Fixed(absl::Milliseconds(250));
  facts.concurrency = 2;
  const SimulationSpec spec = SpecOf(facts, kCpuHpa);
  ASSERT_TRUE(spec.world.deployments[0].requests.has_value());
  EXPECT_EQ(spec.world.deployments[0].requests->trace, facts.trace);
  EXPECT_EQ(spec.world.deployments[0].requests->concurrency, 2);
  EXPECT_EQ(spec.world.deployments[0].capacity, 2'000);  // 4 units of 250 ms: a second; two at once
  EXPECT_EQ(spec.world.deployments[0].cpu_per_request, 62'500'000);  // a unit: 2/s x 4 x it = 500m
  facts.scale = 2000;
  EXPECT_THAT(ErrorOf(facts, kCpuHpa), HasSubstr("is played as it is"));
}

TEST_F(PolicyTest, OtherKindsAreSimulatedAsDeploymentsAndSaidSo) {
  std::string object(kCpuHpa);
  object.replace(object.find("Deployment"), 10, "StatefulSet");
  const Policy policy = PolicyOf(object);
  EXPECT_EQ(policy.object.spec->target.kind, "Deployment");
  EXPECT_THAT(policy.assumptions,
              Contains(HasSubstr("StatefulSet web is simulated as a Deployment")));
}

TEST_F(PolicyTest, TheHpaAsItIsHasTheSameMetrics) {
  const CompletedFacts facts =
      Complete(Trace(), Autoscaler("  period: 1s\n  triggers:\n  - {type: redis, metadata: {}}\n"));
  const auto scenario = ScenarioFor(policy_, facts);
  ASSERT_TRUE(scenario.ok());
  const Scenario hpa = HpaAsItIs(*scenario);
  const core::AutoscalerSpec& spec = *hpa.spec.objects[0].spec;
  EXPECT_EQ(spec.kind, core::ObjectKind::kHpa);
  EXPECT_EQ(spec.guards, core::Guards::kNone);
  EXPECT_EQ(spec.period, absl::Seconds(15));
  EXPECT_THAT(spec.triggers, IsEmpty());
  EXPECT_THAT(hpa.spec.triggers, IsEmpty());
  ASSERT_EQ(spec.metrics.size(), 1u);
  EXPECT_EQ(spec.metrics[0].name, "s0-redis");
  EXPECT_EQ(spec.metrics[0].target.average_value, 20'000);
  ASSERT_EQ(hpa.spec.world.external_metrics.size(), 1u);
  EXPECT_EQ(hpa.spec.world.external_metrics[0].name, "s0-redis");
  EXPECT_EQ(hpa.spec.world.external_metrics[0].from.what, Source::What::kQueueLength);
}

TEST(Policy, FilesAreReadStrictly) {
  const auto error = [](std::string_view text) {
    const auto policy = ParsePolicy(text, "a.yaml", {.open_trigger = Open});
    EXPECT_FALSE(policy.ok());
    return std::string(base::Message(policy.status()));
  };
  EXPECT_THAT(error("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"),
              "a.yaml: holds no Autoscaler and no HorizontalPodAutoscaler");
  EXPECT_THAT(error(std::string(kCpuHpa) + "---" + std::string(kCpuHpa)),
              HasSubstr("a second object"));
  EXPECT_THAT(error(Autoscaler("  minReplica: 1\n")), HasSubstr("did you mean \"minReplicas\"?"));
  EXPECT_THAT(error(Autoscaler("  triggers:\n  - {type: redis, metadata: {refuse: no}}\n")),
              "a.yaml: spec.triggers[0] (redis): refuse: no");
  const auto keda = ParsePolicy(
      "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: jobs, namespace: shop}\n",
      "a.yaml", {});
  EXPECT_EQ(keda.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(base::Message(keda.status())),
              HasSubstr("a.yaml:1: ScaledObject shop/jobs: KEDA's objects are not simulated"));
}

}  // namespace
}  // namespace neap::sim
