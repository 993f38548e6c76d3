// ScenarioFor: one deployment, its load and perhaps its queue, and what the policy's metrics read
// of them.
#include <algorithm>
#include <array>
#include <utility>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/metric_map.h"
#include "autoscaler/sim/policy.h"
#include "autoscaler/sim/resource.h"

namespace neap::sim {
namespace {

using Reads = MappedMetric::Reads;

constexpr int64_t kMemoryRequest = int64_t{512} << 20;
constexpr std::string_view kContainer = "app";

// Labels that the selector matches.
base::Labels LabelsFor(const base::Boxed<base::LabelSelector>& selector) {
  base::Labels out;
  if (!selector) return out;
  for (const auto& [key, text] : selector->match_labels) out[key] = text;
  for (const auto& expression : selector->match_expressions) {
    if (expression.op == "In" && !expression.values.empty()) {
      out[expression.key] = expression.values[0];
    } else if (expression.op == "Exists") {
      out[expression.key] = "yes";
    }
  }
  return out;
}

class Maker {
 public:
  Maker(const Policy& policy, const CompletedFacts& facts, std::vector<MappedMetric> mapped)
      : policy_(policy),
        facts_(facts.facts),
        mean_work_(facts.mean_work),
        mapped_(std::move(mapped)) {
    out_.assumptions = policy.assumptions;
    out_.assumptions.insert(out_.assumptions.end(), facts.assumptions.begin(),
                            facts.assumptions.end());
  }

  absl::StatusOr<Scenario> Run() {
    const core::AutoscalerSpec& spec = *policy_.object.spec;
    out_.name = spec.key.Text();
    out_.spec.world.seed = facts_.seed;
    out_.spec.world.objective = facts_.objective.value_or(absl::InfiniteDuration());
    out_.spec.duration = facts_.duration.value_or(absl::InfiniteDuration());
    if (facts_.start) out_.spec.start = *facts_.start;
    out_.spec.controller.abort_on_broken_invariant = true;
    out_.spec.objects.push_back(policy_.object);
    MakeDeployment(spec);
    for (const MappedMetric& metric : mapped_) Serve(spec, metric);
    // Adapters before the API's metrics: one of rates reads a Prometheus, one of queues the queue.
    out_.spec.pipeline.custom = Via::kPrometheus;
    if (!reads_queue_) out_.spec.pipeline.external = Via::kPrometheus;
    return std::move(out_);
  }

 private:
  WorldSpec& world() { return out_.spec.world; }

  void MakeDeployment(const core::AutoscalerSpec& spec) {
    DeploymentSpec pods;
    pods.ns = spec.key.ns;
    pods.name = spec.target.name;
    pods.replicas = *facts_.replicas;
    pods.container = kContainer;
    for (const MappedMetric& metric : mapped_) {
      if (!metric.metric->container.empty()) pods.container = metric.metric->container;
    }
    pods.cpu_request = *facts_.cpu_request;
    pods.cpu_per_request = *facts_.cpu_per_request;
    pods.pull_and_start = Distribution::Fixed(absl::ZeroDuration());
    pods.become_ready = *facts_.pod_start;
    const Load load = TraceLoad();
    if (*facts_.queue) {
      world().queues.push_back({.ns = pods.ns,
                                .name = "load",
                                .consumer = 0,
                                .per_pod = *facts_.capacity,
                                .arrivals = load});
    } else if (facts_.service_time) {
      pods.requests = MakeRequests();
      if (pods.requests->trace.empty()) pods.load = load;
      pods.capacity = *facts_.capacity;
      // World takes CPU and service time of one unit of work.
      pods.cpu_per_request = std::max<int64_t>(1, *facts_.cpu_per_request * 1000 / mean_work_);
    } else {
      pods.load = load;
      pods.capacity = *facts_.capacity;
      pods.patience = *facts_.timeout;
    }
    world().deployments.push_back(std::move(pods));
  }

  Load TraceLoad() const {
    if (facts_.trace_options.kind == TraceKind::kRequests) return Load();
    return Load::Trace(facts_.trace, facts_.trace_options).Scaled(facts_.scale, facts_.speed);
  }

  RequestsSpec MakeRequests() const {
    RequestsSpec out;
    if (facts_.trace_options.kind == TraceKind::kRequests) {
      out.trace = facts_.trace;
      out.trace_options = facts_.trace_options;
    }
    out.service = *facts_.service_time;
    out.concurrency = facts_.concurrency.value_or(1);
    out.timeout = *facts_.timeout;
    // A busy pod is not chosen while another is free, as meshes and ingresses do.
    out.balance = RequestsSpec::Balance::kLeastRequests;
    return out;
  }

  Source SourceOf(const MappedMetric& metric) {
    const bool queue = *facts_.queue;
    switch (metric.reads) {
      case Reads::kQueue:
        reads_queue_ = true;
        return {.what = Source::What::kQueueLength, .index = 0};
      case Reads::kLoad:
        return {.what = queue ? Source::What::kArrivals : Source::What::kRate, .index = 0};
      case Reads::kLoadPerPod:
        return {.what = Source::What::kRatePerPod, .index = 0};
      case Reads::kCores:
        return {.what = Source::What::kCpu, .index = 0};
      case Reads::kFixed:
        return {.what = Source::What::kFixed, .fixed = metric.fixed};
      case Reads::kCpu:
      case Reads::kMemory:
        break;
    }
    return {};
  }

  void Serve(const core::AutoscalerSpec& spec, const MappedMetric& mapped) {
    const core::MetricSpec& metric = *mapped.metric;
    if (mapped.reads == Reads::kCpu) return;  // of the pods
    if (mapped.reads == Reads::kMemory) return ServeMemory(mapped);
    const Source from = SourceOf(mapped);
    if (mapped.trigger >= 0) {
      const Policy::Trigger& trigger = policy_.triggers[static_cast<size_t>(mapped.trigger)];
      out_.spec.triggers.push_back({.uid = spec.uid,
                                    .trigger = mapped.trigger,
                                    .metric = metric,
                                    .from = from,
                                    .via = trigger.via,
                                    .activation = trigger.activation});
      return;
    }
    if (metric.source == core::MetricSource::kExternal) {
      world().external_metrics.push_back({.ns = spec.key.ns,
                                          .name = metric.name,
                                          .labels = LabelsFor(metric.selector),
                                          .from = from});
      return;
    }
    CustomMetricSpec custom;
    custom.name = metric.name;
    custom.labels = LabelsFor(metric.selector);
    custom.ns = spec.key.ns;
    custom.from = from;
    if (metric.source == core::MetricSource::kPods) {
      custom.pods_of = 0;
    } else {
      custom.resource = ResourceOf(metric.described().kind, metric.described().api_version);
      custom.api_version = metric.described().api_version;
      custom.kind = metric.described().kind;
      custom.object = metric.described().name;
    }
    world().custom_metrics.push_back(std::move(custom));
  }

  // Memory does not follow the load here: half of the target, so that it never decides.
  void ServeMemory(const MappedMetric& mapped) {
    DeploymentSpec& pods = world().deployments[0];
    pods.memory_request = kMemoryRequest;
    const core::MetricTarget& target = mapped.metric->target;
    pods.memory_usage = target.average_utilization
                            ? kMemoryRequest / 200 * *target.average_utilization
                            : target.average_value.value_or(0) / 2000;
    out_.assumptions.push_back(
        fmt::format("{}: memory does not follow the load here; each pod uses half of the target, "
                    "so that it never asks for more",
                    mapped.label));
  }

  const Policy& policy_;
  const Facts& facts_;
  const int64_t mean_work_;
  const std::vector<MappedMetric> mapped_;
  Scenario out_;
  bool reads_queue_ = false;
};

}  // namespace

absl::StatusOr<Scenario> ScenarioFor(const Policy& policy, const CompletedFacts& facts) {
  NEAP_ASSIGN_OR_RETURN(auto mapped, MapMetrics(policy, facts.facts.metrics));
  return Maker(policy, facts, std::move(mapped)).Run();
}

}  // namespace neap::sim
