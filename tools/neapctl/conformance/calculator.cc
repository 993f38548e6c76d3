// The family `calculator`: one call of the replica calculator a line, through the functions that
// Decide uses.
#include "autoscaler/core/calculator.h"

#include <fmt/format.h>

#include "autoscaler/core/messages.h"
#include "tools/neapctl/conformance/conformance.h"
#include "tools/neapctl/conformance/world.h"

namespace neap::conformance {
namespace {

struct Answer {
  core::Proposal proposal;
  std::string source_error;  // the metric source failed: the calculator's own words come before it
};

core::Proposal Failed(std::string error) {
  core::Proposal p;
  p.error = std::move(error);
  return p;
}

core::Proposal Compute(const Json& line, const World& world) {
  const std::string method = line.at("method");
  const Json& metric = line.at("metric");
  const std::string resource = line.value("resource", "");
  const std::string container = line.value("container", "");
  const int32_t current = line.value("replicas", 0);
  const int64_t target = line.value("target", int64_t{0});
  const Json tolerance = line.value("tolerance", Json::object());
  const core::Tolerances tolerances{.down = tolerance.value("down", 0.0),
                                    .up = tolerance.value("up", 0.0)};
  const Json options = line.value("options", Json::object());
  const core::PodsView view{
      .now = world.t0,
      .cpu_initialization_period =
          absl::Milliseconds(options.value("cpuInitializationPeriodMs", int64_t{0})),
      .initial_readiness_delay =
          absl::Milliseconds(options.value("initialReadinessDelayMs", int64_t{0})),
      .pods = world.pods,
      .requests = world.requests};

  core::MetricSpec spec;
  spec.name = resource.empty() ? "m" : resource;
  spec.container = container;
  spec.selector = base::LabelSelector{};
  spec.described_object = core::ObjectReference{
      .api_version = "networking.k8s.io/v1", .kind = "Ingress", .name = "main"};
  const bool is_resource = method == "GetResourceReplicas" || method == "GetRawResourceReplicas";
  const bool is_object =
      method == "GetObjectMetricReplicas" || method == "GetObjectPerPodMetricReplicas";
  spec.source = is_resource                     ? core::MetricSource::kResource
                : method == "GetMetricReplicas" ? core::MetricSource::kPods
                : is_object                     ? core::MetricSource::kObject
                                                : core::MetricSource::kExternal;
  if (metric.contains("error")) {
    return Failed(
        core::DescribeMetricError(spec, "ns", metric.at("error"), /*from_source=*/true).error);
  }
  if (method == "GetResourceReplicas") {
    return core::ResourceUtilization(view, world.Samples(metric.value("samples", Json::object())),
                                     resource, container, static_cast<int32_t>(target), current,
                                     tolerances);
  }
  if (method == "GetRawResourceReplicas" || method == "GetMetricReplicas") {
    return core::PlainAverage(view, world.Samples(metric.value("samples", Json::object())),
                              resource == "cpu", target, current, tolerances);
  }
  bool overflow = false;
  const std::vector<int64_t> values = metric.value("values", std::vector<int64_t>{});
  if (method == "GetObjectMetricReplicas") {
    return core::ValueTarget(view, metric.value("value", int64_t{0}), target, current, tolerances);
  }
  if (method == "GetExternalMetricReplicas") {
    return core::ValueTarget(view, core::SumForValue(values, &overflow), target, current,
                             tolerances);
  }
  if (method == "GetObjectPerPodMetricReplicas") {
    return core::AverageTarget(metric.value("value", int64_t{0}), target, current, /*clamp=*/false,
                               tolerances);
  }
  if (method == "GetExternalPerPodMetricReplicas") {
    return core::AverageTarget(core::SumForAverage(values, &overflow), target, current,
                               /*clamp=*/true, tolerances);
  }
  return Failed("unknown method " + method);
}

}  // namespace

void RunCalculator(const Json& line, FamilyReport& report) {
  World world{.t0 = absl::UnixEpoch() + absl::Hours(24 * 365 * 30), .requests = {}, .pods = {}};
  world.ReadTemplates(line.value("podTemplates", Json::array()));
  world.ReadPods(line.value("pods", Json::array()));
  const core::Proposal p = Compute(line, world);
  const Json& expect = line.at("expect");
  bool failed = false;
  const auto compare = [&](const char* field, const std::string& expected,
                           const std::string& actual) {
    if (expected == actual) return;
    failed = true;
    if (report.first_differences.size() < kMaxDifferences) {
      report.first_differences.push_back({line.at("id"), field, expected, actual});
    }
  };
  const std::string error = expect.value("error", "");
  compare("error", error, p.error);
  if (error.empty() && p.error.empty()) {
    compare("replicas", std::to_string(expect.value("replicas", 0)), std::to_string(p.replicas));
    if (line.at("method") == "GetResourceReplicas") {
      compare("utilization", std::to_string(expect.value("utilization", 0)),
              std::to_string(p.utilization));
    }
    compare("usage", std::to_string(expect.value("usage", int64_t{0})), std::to_string(p.usage));
  }
  ++(failed ? report.failed : report.passed);
}

}  // namespace neap::conformance
