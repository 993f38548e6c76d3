#include "autoscaler/playground/kinds.h"

#include <fmt/format.h>

#include <array>

#include "autoscaler/playground/json.h"

namespace neap::playground {
namespace {

const std::vector<std::string_view> kRead = {"get", "list", "watch"};
const std::vector<std::string_view> kReadDelete = {"delete", "get", "list", "watch"};
const std::vector<std::string_view> kWrite = {"create", "delete", "get",  "list",
                                              "patch",  "update", "watch"};

struct Group {
  std::string_view name;
  std::string_view version;
};
// In the order of the group list: built-in groups, then extensions.
constexpr std::array<Group, 7> kGroups = {{{"apps", "v1"},
                                           {"autoscaling", "v2"},
                                           {"coordination.k8s.io", "v1"},
                                           {"custom.metrics.k8s.io", "v1beta2"},
                                           {"external.metrics.k8s.io", "v1beta1"},
                                           {"metrics.k8s.io", "v1beta1"},
                                           {"neap.dev", "v1alpha1"}}};

Json GroupJson(const Group& group) {
  const Json version = {{"groupVersion", fmt::format("{}/{}", group.name, group.version)},
                        {"version", group.version}};
  return {
      {"name", group.name}, {"versions", Json::array({version})}, {"preferredVersion", version}};
}

void AddResources(const Kind& kind, Json& out) {
  Json resource = {{"name", kind.plural},
                   {"singularName", kind.singular},
                   {"namespaced", kind.namespaced},
                   {"kind", kind.kind},
                   {"verbs", kind.verbs}};
  if (!kind.short_name.empty()) resource["shortNames"] = Json::array({kind.short_name});
  if (kind.all) resource["categories"] = Json::array({"all"});
  out.push_back(std::move(resource));
  const Json verbs = Json::array({"get", "patch", "update"});
  if (kind.scale) {
    out.push_back({{"name", fmt::format("{}/scale", kind.plural)},
                   {"singularName", ""},
                   {"namespaced", true},
                   {"group", "autoscaling"},
                   {"version", "v1"},
                   {"kind", "Scale"},
                   {"verbs", verbs}});
  }
  if (kind.status) {
    out.push_back({{"name", fmt::format("{}/status", kind.plural)},
                   {"singularName", ""},
                   {"namespaced", true},
                   {"kind", kind.kind},
                   {"verbs", verbs}});
  }
}

}  // namespace

std::string Kind::ApiVersion() const {
  return group.empty() ? std::string(version) : fmt::format("{}/{}", group, version);
}

std::string Kind::Resource() const {
  return group.empty() ? std::string(plural) : fmt::format("{}.{}", plural, group);
}

std::span<const Kind> Kinds() {
  static const std::array<Kind, kKindCount> kKinds = {{
      {KindId::kNamespace, "", "v1", "namespaces", "namespace", "Namespace", "ns", false, false,
       false, false, false, false, kRead},
      {KindId::kPod, "", "v1", "pods", "pod", "Pod", "po", true, true, false, false, false, false,
       kReadDelete},
      {KindId::kEvent, "", "v1", "events", "event", "Event", "ev", true, false, true, false, false,
       false, kWrite},
      {KindId::kDeployment, "apps", "v1", "deployments", "deployment", "Deployment", "deploy", true,
       true, false, false, true, false, kRead},
      {KindId::kReplicaSet, "apps", "v1", "replicasets", "replicaset", "ReplicaSet", "rs", true,
       true, false, false, false, false, kRead},
      {KindId::kStatefulSet, "apps", "v1", "statefulsets", "statefulset", "StatefulSet", "sts",
       true, true, false, false, false, false, kRead},
      {KindId::kAutoscaler, "neap.dev", "v1alpha1", "autoscalers", "autoscaler", "Autoscaler",
       "nas", true, true, true, true, false, true, kWrite},
      {KindId::kHpa, "autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler",
       "HorizontalPodAutoscaler", "hpa", true, true, true, true, false, false, kWrite},
      {KindId::kConfigMap, "", "v1", "configmaps", "configmap", "ConfigMap", "cm", true, false,
       true, false, false, false, kWrite},
      {KindId::kLease, "coordination.k8s.io", "v1", "leases", "lease", "Lease", "", true, false,
       true, false, false, false, kWrite},
  }};
  return kKinds;
}

const Kind& KindOf(KindId id) { return Kinds()[static_cast<size_t>(id)]; }

const Kind* FindKind(std::string_view group, std::string_view version, std::string_view plural) {
  for (const Kind& kind : Kinds()) {
    if (kind.group == group && kind.version == version && kind.plural == plural) return &kind;
  }
  return nullptr;
}

std::string VersionDocument() {
  return Json({{"major", "1"},
               {"minor", "30"},
               {"gitVersion", "v1.30.0+neap.playground"},
               {"gitCommit", ""},
               {"gitTreeState", "clean"},
               {"buildDate", "1970-01-01T00:00:00Z"},
               {"goVersion", "none"},
               {"compiler", "none"},
               {"platform", "linux/amd64"}})
      .dump();
}

std::string CoreVersionsDocument() {
  return R"({"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]})";
}

std::string GroupsDocument() {
  Json groups = Json::array();
  for (const Group& group : kGroups) groups.push_back(GroupJson(group));
  return Json({{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", groups}}).dump();
}

std::string GroupDocument(std::string_view name) {
  for (const Group& group : kGroups) {
    if (group.name != name) continue;
    Json out = {{"kind", "APIGroup"}, {"apiVersion", "v1"}};
    out.update(GroupJson(group));
    return out.dump();
  }
  return "";
}

std::string ResourcesDocument(std::string_view group, std::string_view version,
                              const std::vector<std::string>& metrics) {
  bool served = group.empty() && version == "v1";
  for (const Group& one : kGroups) served |= one.name == group && one.version == version;
  if (!served) return "";
  Json resources = Json::array();
  for (const Kind& kind : Kinds()) {
    if (kind.group == group && kind.version == version) AddResources(kind, resources);
  }
  if (group == "metrics.k8s.io") {
    resources.push_back({{"name", "pods"},
                         {"singularName", ""},
                         {"namespaced", true},
                         {"kind", "PodMetrics"},
                         {"verbs", {"get", "list"}}});
  }
  for (const std::string& metric : metrics) {
    const bool custom = group == "custom.metrics.k8s.io";
    resources.push_back({{"name", metric},
                         {"singularName", ""},
                         {"namespaced", true},
                         {"kind", custom ? "MetricValueList" : "ExternalMetricValueList"},
                         {"verbs", Json::array({"get"})}});
  }
  const std::string group_version =
      group.empty() ? std::string(version) : fmt::format("{}/{}", group, version);
  return Json({{"kind", "APIResourceList"},
               {"apiVersion", "v1"},
               {"groupVersion", group_version},
               {"resources", resources}})
      .dump();
}

}  // namespace neap::playground
