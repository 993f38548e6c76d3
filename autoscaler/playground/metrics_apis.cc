#include "autoscaler/playground/metrics_apis.h"

#include <algorithm>
#include <set>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/playground/objects.h"

namespace neap::playground {
namespace {

std::string LabelsText(const base::Labels& labels) {
  Json out = Json::object();
  for (const auto& [key, value] : labels) out[key] = value;
  return out.dump();
}

// One PodMetrics without apiVersion and kind. As text: there may be thousands a second.
void AppendPod(const sim::Deployment& deployment, const std::string& labels, const sim::Pod& pod,
               const sim::CpuSample& sample, std::string& out) {
  fmt::format_to(
      std::back_inserter(out),
      R"({{"metadata":{{"name":"{}","namespace":"{}","creationTimestamp":"{}","labels":{}}},)"
      R"("timestamp":"{}","window":"{}","containers":[{{"name":"{}","usage":{{"cpu":"{}","memory":"{}Ki"}}}}]}})",
      pod.name, deployment.spec.ns, base::FormatTime(sample.at), labels,
      base::FormatTime(sample.at), base::FormatDuration(sample.window), deployment.spec.container,
      sample.cpu == 0 ? "0" : fmt::format("{}n", sample.cpu), deployment.spec.memory_usage / 1024);
}

absl::StatusOr<base::Selector> SelectorOf(const ApiRequest& request, std::string_view key) {
  return base::Selector::Parse(std::string(request.Query(key)));
}

Answer OnePod(Cluster& cluster, const std::string& ns, const std::string& name) {
  base::MutexLock lock(cluster.mutex);
  cluster.Sync();
  const sim::Pod* pod = cluster.world().FindPod(ns, name);
  const std::optional<sim::CpuSample> sample =
      pod == nullptr ? std::nullopt : cluster.world().Sample(*pod);
  if (!sample) {
    return Failure(
        404, "NotFound", fmt::format("podmetrics.metrics.k8s.io \"{}/{}\" not found", ns, name),
        Json({{"name", ns + "/" + name}, {"group", "metrics.k8s.io"}, {"kind", "podmetrics"}})
            .dump());
  }
  const auto& deployment = cluster.world().deployments()[static_cast<size_t>(pod->deployment)];
  std::string item;
  AppendPod(deployment, LabelsText(LabelsOf(deployment, *pod)), *pod, *sample, item);
  return Ok(R"({"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1",)" + item.substr(1));
}

Json MetricIdentifier(const sim::CustomMetricSpec& metric) {
  Json out = {{"name", metric.name}, {"selector", nullptr}};
  if (!metric.labels.empty()) {
    Json labels = Json::object();
    for (const auto& [key, value] : metric.labels) labels[key] = value;
    out["selector"] = {{"matchLabels", labels}};
  }
  return out;
}

Json MetricValue(const sim::CustomMetricSpec& metric, Json object, int64_t milli, absl::Time at) {
  return {{"describedObject", std::move(object)},
          {"metric", MetricIdentifier(metric)},
          {"timestamp", base::FormatTime(at)},
          {"value", base::FormatMilli(milli)}};
}

Answer MetricValues(Json items) {
  return Ok(Json({{"kind", "MetricValueList"},
                  {"apiVersion", "custom.metrics.k8s.io/v1beta2"},
                  {"metadata", Json::object()},
                  {"items", std::move(items)}})
                .dump());
}

struct CustomQuestion {
  std::string ns;
  std::string resource;
  std::string name;  // "*": all that the selector keeps
  std::string metric;
};

void AppendPodValues(const sim::World& world, const sim::CustomMetricSpec& metric,
                     const CustomQuestion& question, const base::Selector& pods, Json& items) {
  const auto& deployment = world.deployments()[static_cast<size_t>(metric.pods_of)];
  if (!pods.Matches(deployment.pod_labels)) return;
  const std::optional<int64_t> value = world.Value(metric.from);
  if (!value) return;
  for (const auto& pod : deployment.pods) {
    if (!pod->serving() || (question.name != "*" && question.name != pod->name)) continue;
    items.push_back(MetricValue(metric,
                                {{"kind", "Pod"},
                                 {"namespace", deployment.spec.ns},
                                 {"name", pod->name},
                                 {"apiVersion", "v1"}},
                                *value, world.now()));
  }
}

bool IsResource(const sim::CustomMetricSpec& metric, std::string_view resource) {
  // "deployments.apps" may also be asked for as "deployments".
  return metric.resource == resource ||
         metric.resource.substr(0, metric.resource.find('.')) == resource;
}

}  // namespace

Answer PodMetrics(Cluster& cluster, const ApiRequest& request, std::span<const std::string> path) {
  const bool in_namespace = path.size() >= 3 && path[0] == "namespaces" && path[2] == "pods";
  if (in_namespace && path.size() == 4) return OnePod(cluster, path[1], path[3]);
  if (!(in_namespace && path.size() == 3) && !(path.size() == 1 && path[0] == "pods")) {
    return ResourceNotFound();
  }
  const std::string ns = in_namespace ? path[1] : "";
  const absl::StatusOr<base::Selector> selector = SelectorOf(request, "labelSelector");
  if (!selector.ok()) return BadRequest(base::Message(selector.status()));
  std::string out =
      R"({"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[)";
  const size_t empty = out.size();
  base::MutexLock lock(cluster.mutex);
  cluster.Sync();
  for (const sim::Deployment& deployment : cluster.world().deployments()) {
    if (!ns.empty() && deployment.spec.ns != ns) continue;
    if (!selector->Matches(deployment.pod_labels)) continue;
    std::string labels;
    int revision = -1;  // whose labels these are
    for (const sim::Pod* pod : deployment.pods) {
      const std::optional<sim::CpuSample> sample = cluster.world().Sample(*pod);
      if (!sample) continue;
      if (pod->revision != revision) labels = LabelsText(LabelsOf(deployment, *pod));
      revision = pod->revision;
      if (out.size() > empty) out += ',';
      AppendPod(deployment, labels, *pod, *sample, out);
    }
  }
  out += "]}";
  return Ok(std::move(out));
}

Answer CustomMetrics(Cluster& cluster, const ApiRequest& request,
                     std::span<const std::string> path) {
  if (path.size() < 4 || path[0] != "namespaces") return ResourceNotFound();
  CustomQuestion question{.ns = path[1], .resource = path[2], .name = path[3], .metric = ""};
  if (path.size() == 4 && path[2] == "metrics") {  // of the namespace itself
    question = {.ns = path[1], .resource = "namespaces", .name = path[1], .metric = path[3]};
  } else if (path.size() == 5) {
    question.metric = path[4];
  } else {
    return ResourceNotFound();
  }
  const auto objects = SelectorOf(request, "labelSelector");
  if (!objects.ok()) return BadRequest(base::Message(objects.status()));
  const auto labels = SelectorOf(request, "metricLabelSelector");
  if (!labels.ok()) return BadRequest(base::Message(labels.status()));

  Json items = Json::array();
  bool known = false;
  base::MutexLock lock(cluster.mutex);
  cluster.Sync();
  const sim::World& world = cluster.world();
  for (const sim::CustomMetricSpec& metric : world.spec().custom_metrics) {
    if (metric.name != question.metric || metric.ns != question.ns) continue;
    if (!labels->Matches(metric.labels)) continue;
    if (metric.pods_of >= 0 && question.resource == "pods") {
      known = true;
      AppendPodValues(world, metric, question, *objects, items);
    } else if (metric.pods_of < 0 && IsResource(metric, question.resource) &&
               (question.name == "*" || question.name == metric.object)) {
      known = true;
      if (const auto value = world.Value(metric.from)) {
        items.push_back(MetricValue(metric,
                                    {{"kind", metric.kind},
                                     {"namespace", metric.ns},
                                     {"name", metric.object},
                                     {"apiVersion", metric.api_version}},
                                    *value, world.now()));
      }
    }
  }
  if (!known) {
    return Failure(404, "NotFound",
                   fmt::format("the server could not find the metric {} for {} {}", question.metric,
                               question.resource, question.name),
                   "{}");
  }
  return MetricValues(std::move(items));
}

Answer ExternalMetrics(Cluster& cluster, const ApiRequest& request,
                       std::span<const std::string> path) {
  if (path.size() != 3 || path[0] != "namespaces") return ResourceNotFound();
  const auto selector = SelectorOf(request, "labelSelector");
  if (!selector.ok()) return BadRequest(base::Message(selector.status()));
  Json items = Json::array();
  bool known = false;
  base::MutexLock lock(cluster.mutex);
  cluster.Sync();
  const sim::World& world = cluster.world();
  for (const sim::ExternalMetricSpec& metric : world.spec().external_metrics) {
    if (metric.name != path[2] || metric.ns != path[1]) continue;
    known = true;
    const auto value = world.Value(metric.from);
    if (!value || !selector->Matches(metric.labels)) continue;
    Json labels = Json::object();
    for (const auto& [key, text] : metric.labels) labels[key] = text;
    items.push_back({{"metricName", metric.name},
                     {"metricLabels", labels},
                     {"timestamp", base::FormatTime(world.now())},
                     {"value", base::FormatMilli(*value)}});
  }
  if (!known) {
    return Failure(
        404, "NotFound",
        fmt::format("the server could not find the metric {} in namespace {}", path[2], path[1]),
        "{}");
  }
  return Ok(Json({{"kind", "ExternalMetricValueList"},
                  {"apiVersion", "external.metrics.k8s.io/v1beta1"},
                  {"metadata", Json::object()},
                  {"items", std::move(items)}})
                .dump());
}

std::vector<std::string> CustomMetricNames(Cluster& cluster) {
  std::set<std::string> names;
  base::MutexLock lock(cluster.mutex);
  for (const sim::CustomMetricSpec& metric : cluster.world().spec().custom_metrics) {
    names.insert((metric.pods_of >= 0 ? "pods" : metric.resource) + "/" + metric.name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> ExternalMetricNames(Cluster& cluster) {
  std::set<std::string> names;
  base::MutexLock lock(cluster.mutex);
  for (const sim::ExternalMetricSpec& metric : cluster.world().spec().external_metrics) {
    names.insert(metric.name);
  }
  return {names.begin(), names.end()};
}

}  // namespace neap::playground
