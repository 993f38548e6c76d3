#include "autoscaler/sim/scenario_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/suggest.h"

namespace neap::sim {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// How many pods of the deployment the pools can ever hold.
int64_t MostPods(const WorldSpec& world, const DeploymentSpec& pods) {
  if (world.pools.empty()) return kUnlimited;
  int64_t sum = 0;
  for (const NodePoolSpec& pool : world.pools) {
    int64_t each = pool.pods;
    if (pods.cpu_request > 0) each = std::min(each, pool.cpu / pods.cpu_request);
    if (pods.memory_request > 0 && pool.memory > 0) {
      each = std::min(each, pool.memory / pods.memory_request);
    }
    sum += each * pool.max;
  }
  return sum;
}

class Checker {
 public:
  explicit Checker(const SimulationSpec& spec) : spec_(spec), world_(spec.world) {}

  std::vector<std::string> Run() {
    for (const DeploymentSpec& one : world_.deployments) {
      if (one.requests && one.requests->service.Mean() <= absl::ZeroDuration()) {
        Wrong("deployment {}/{}: traffic.service is 0: a pod would serve any load", one.ns,
              one.name);
      }
      least_[NameOf(one)] = one.replicas;
    }
    for (const ObjectSpec& object : spec_.objects) CheckObject(*object.spec);
    for (const DeploymentSpec& one : world_.deployments) CheckRoom(one);
    CheckTogether();
    return std::move(out_);
  }

 private:
  static std::string NameOf(const DeploymentSpec& one) { return one.ns + "/" + one.name; }
  template <typename... Args>
  void Wrong(fmt::format_string<Args...> format, Args&&... args) {
    out_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void CheckObject(const core::AutoscalerSpec& spec) {
    int target = -1;
    std::vector<std::string_view> names;
    for (size_t i = 0; i < world_.deployments.size(); ++i) {
      const DeploymentSpec& one = world_.deployments[i];
      if (one.ns != spec.key.ns) continue;
      names.push_back(one.name);
      if (spec.target.kind == "Deployment" && one.name == spec.target.name) {
        target = static_cast<int>(i);
      }
    }
    if (target < 0) {
      return Wrong("{}: its target {} {} is no deployment of this world in namespace {}{}",
                   spec.key.Text(), spec.target.kind, spec.target.name, spec.key.ns,
                   base::DidYouMean(spec.target.name, names));
    }
    const DeploymentSpec& pods = world_.deployments[static_cast<size_t>(target)];
    least_[NameOf(pods)] = spec.MinReplicas();
    for (size_t i = 0; i < spec.metrics.size(); ++i) {
      const std::string what = MissingFor(spec, spec.metrics[i], target);
      if (!what.empty()) {
        Wrong("{}: spec.metrics[{}] ({}): {}", spec.key.Text(), i, spec.metrics[i].name, what);
      }
    }
  }

  std::string MissingFor(const core::AutoscalerSpec& spec, const core::MetricSpec& metric,
                         int target) const {
    const DeploymentSpec& pods = world_.deployments[static_cast<size_t>(target)];
    switch (metric.source) {
      case core::MetricSource::kResource:
      case core::MetricSource::kContainerResource:
        return MissingResource(metric, pods);
      case core::MetricSource::kPods:
        for (const CustomMetricSpec& one : world_.custom_metrics) {
          if (one.name == metric.name && one.pods_of == target) return "";
        }
        return fmt::format("no customMetrics entry gives it for the pods of {}", pods.name);
      case core::MetricSource::kObject:
        for (const CustomMetricSpec& one : world_.custom_metrics) {
          if (one.name == metric.name && one.pods_of < 0 && one.ns == spec.key.ns &&
              one.object == metric.described().name) {
            return "";
          }
        }
        return fmt::format("no customMetrics entry gives it for {} {}", metric.described().kind,
                           metric.described().name);
      case core::MetricSource::kExternal:
        for (const ExternalMetricSpec& one : world_.external_metrics) {
          if (one.name == metric.name && one.ns == spec.key.ns) return "";
        }
        return fmt::format("no externalMetrics entry gives it in namespace {}", spec.key.ns);
      case core::MetricSource::kUnknown:
        return "is of a kind that nobody knows";
    }
    return "";
  }

  static std::string MissingResource(const core::MetricSpec& metric, const DeploymentSpec& pods) {
    if (metric.name != "cpu" && metric.name != "memory") {
      return "pods of a world use cpu and memory alone";
    }
    if (!metric.container.empty() && metric.container != pods.container) {
      return fmt::format("the pods of {} have one container, {}", pods.name, pods.container);
    }
    const int64_t request = metric.name == "cpu" ? pods.cpu_request : pods.memory_request;
    if (metric.target.average_utilization && request == 0) {
      return fmt::format("the pods of {} request no {}, of which the target is a percentage",
                         pods.name, metric.name);
    }
    return "";
  }

  void CheckRoom(const DeploymentSpec& one) {
    const int64_t least = least_[NameOf(one)];
    const int64_t most = MostPods(world_, one);
    if (least > most) {
      Wrong("deployment {}: at least {} pods, but all nodes together can never hold more than {}",
            NameOf(one), least, most);
    }
    for (const QuotaSpec& quota : world_.quotas) {
      if (quota.ns != one.ns) continue;
      if (quota.pods > 0 && least > quota.pods) {
        Wrong("deployment {}: at least {} pods, but the quota of {} allows {}", NameOf(one), least,
              quota.ns, quota.pods);
      }
      if (quota.cpu > 0 && one.cpu_request > 0 && least > quota.cpu / one.cpu_request) {
        Wrong("deployment {}: at least {} pods of {} CPU, but the quota of {} allows {}",
              NameOf(one), least, base::FormatMilli(one.cpu_request / 1'000'000), quota.ns,
              base::FormatMilli(quota.cpu / 1'000'000));
      }
    }
  }

  // Each may fit, and all of them not.
  void CheckTogether() {
    if (world_.pools.empty()) return;
    int64_t places = 0, cpu = 0, pods = 0, requested = 0;
    for (const NodePoolSpec& pool : world_.pools) {
      places += int64_t{pool.pods} * pool.max;
      cpu += pool.cpu * pool.max;
    }
    for (const DeploymentSpec& one : world_.deployments) {
      const int64_t least = least_[NameOf(one)];
      if (least > MostPods(world_, one)) return;  // said already
      pods += least;
      requested += least * one.cpu_request;
    }
    if (pods > places) {
      Wrong("at least {} pods in all, but all nodes together can never hold more than {}", pods,
            places);
    } else if (cpu > 0 && requested > cpu) {
      Wrong(
          "at least {} of CPU requested in all, but all nodes together can never have more than "
          "{}",
          base::FormatMilli(requested / 1'000'000), base::FormatMilli(cpu / 1'000'000));
    }
  }

  const SimulationSpec& spec_;
  const WorldSpec& world_;
  std::map<std::string, int64_t> least_;  // pods that there always are, by deployment
  std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> ImpossibleIn(const SimulationSpec& spec) { return Checker(spec).Run(); }

}  // namespace neap::sim
