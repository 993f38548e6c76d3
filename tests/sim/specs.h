// Small simulations for tests: one deployment with an object that scales it. Free functions; plain
// values.
//
//   sim::SimulationSpec spec = Web(Load::Constant(55'000));
//   spec.objects = {OnExternal("web")};
//   Watcher watcher(spec);
//   Simulation simulation(spec, {&watcher});
#pragma once

#include <absl/time/time.h>
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/core/messages.h"
#include "autoscaler/sim/simulation.h"

namespace neap::sim {

// Deployment shop/web with two pods of 100m that serve 20 requests per second each at 5 ms of CPU;
// external metric shop/load is its load.
inline SimulationSpec Web(Load load) {
  SimulationSpec spec;
  spec.duration = absl::Minutes(10);
  DeploymentSpec web;
  web.ns = "shop";
  web.name = "web";
  web.replicas = 2;
  web.cpu_request = 100'000'000;
  web.cpu_per_request = 5'000'000;
  web.capacity = 20'000;
  web.load = std::move(load);
  spec.world.deployments.push_back(std::move(web));
  ExternalMetricSpec metric;
  metric.ns = "shop";
  metric.name = "load";
  metric.from = {.what = Source::What::kRate, .index = 0, .fixed = 0};
  spec.world.external_metrics.push_back(std::move(metric));
  return spec;
}

inline std::shared_ptr<core::AutoscalerSpec> ObjectFor(const std::string& name) {
  auto spec = std::make_shared<core::AutoscalerSpec>();
  spec->key = {.ns = "shop", .name = name};
  spec->uid = "uid-" + name;
  spec->generation = 1;
  spec->target = {.api_version = "apps/v1", .kind = "Deployment", .name = name};
  spec->min_replicas = 1;
  spec->max_replicas = 20;
  return spec;
}

// 10 requests per second and pod.
inline ObjectSpec OnExternal(const std::string& name, const std::string& metric = "load") {
  auto spec = ObjectFor(name);
  core::MetricSpec one;
  one.source = core::MetricSource::kExternal;
  one.source_text = "External";
  one.name = metric;
  one.target = {.kind = core::TargetKind::kAverageValue,
                .average_utilization = {},
                .average_value = 10'000,
                .value = {}};
  spec->metrics.push_back(one);
  return {.spec = spec, .status = {}, .dry_run = false};
}

// 50 % of the CPU requested.
inline ObjectSpec OnCpu(const std::string& name) {
  auto spec = ObjectFor(name);
  core::MetricSpec one;
  one.source = core::MetricSource::kResource;
  one.source_text = "Resource";
  one.name = "cpu";
  one.target = {.kind = core::TargetKind::kUtilization,
                .average_utilization = 50,
                .average_value = {},
                .value = {}};
  spec->metrics.push_back(one);
  return {.spec = spec, .status = {}, .dry_run = false};
}

// Changes an object that is made by the above.
inline core::AutoscalerSpec& Edit(ObjectSpec& object) {
  auto copy = std::make_shared<core::AutoscalerSpec>(*object.spec);
  core::AutoscalerSpec& out = *copy;
  object.spec = std::move(copy);
  return out;
}

// Writes down what happens, one line each.
class Watcher : public Observer {
 public:
  explicit Watcher(const SimulationSpec& spec) : start_(spec.start) {}

  void OnDecision(const control::DecisionRecord& record, absl::Time now) override {
    const core::Decision& d = *record.decision;
    ++decisions;
    last_error.clear();
    for (const core::MetricResult& metric : d.metrics) {
      if (!metric.valid) last_error = metric.error;
    }
    if (!d.metrics.empty()) {
      last_metric = d.metrics[0].utilization     ? *d.metrics[0].utilization
                    : d.metrics[0].average_value ? *d.metrics[0].average_value
                                                 : d.metrics[0].value.value_or(0);
    }
    if (!record.seen->metrics.empty()) {
      last_reading = *record.seen->metrics[0].reading;
      last_age = now - last_reading.observed_at;
    }
    last_pods = static_cast<int>(record.seen->pods.size());
    last_verdict = d.verdict;
    last_reason = core::ReasonName(d.steps.empty() ? core::Reason::kPaused : d.steps.back().reason);
    history = *record.before;
    decided.push_back(fmt::format("{} decide {} -> {}", At(now), d.current, d.desired));
  }
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) override {
    using Kind = core::ApplyResult::Kind;
    if (record.result.kind == Kind::kNotTried) return;
    constexpr const char* kNames[] = {"",     "applied",  "withheld", "conflict",
                                      "gone", "rejected", "unknown"};
    outcomes.push_back(fmt::format("{} {}", At(now), kNames[static_cast<int>(record.result.kind)]));
  }
  void OnScale(int, int32_t before, int32_t after, bool by_neap, absl::Time now) override {
    scales.push_back(
        fmt::format("{} {} -> {}{}", At(now), before, after, by_neap ? "" : " by hand"));
  }
  void OnPods(const World& world, int deployment, absl::Time now) override {
    const Deployment& one = world.deployments()[static_cast<size_t>(deployment)];
    pods.push_back(fmt::format("{} {} of {}", At(now), one.ready, one.pods.size()));
  }
  void OnWorld(const World&, absl::Time now) override {
    ++looks;
    seen_until = now;
  }

  std::string At(absl::Time now) const { return base::FormatDuration(now - start_); }

  std::vector<std::string> decided, outcomes, scales, pods;
  int decisions = 0;
  int looks = 0;
  absl::Time seen_until;
  std::string last_error, last_reason;
  int64_t last_metric = 0;
  core::Reading last_reading;
  absl::Duration last_age;
  int last_pods = 0;
  core::Verdict last_verdict = core::Verdict::kHold;
  core::History history;  // before the last decision

 private:
  const absl::Time start_;
};

}  // namespace neap::sim
