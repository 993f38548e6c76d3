#include "tools/neapctl/conformance/json.h"

#include <algorithm>
#include <iterator>

#include "autoscaler/base/quantity.h"

namespace neap::conformance {
namespace {

// ---- autoscaling/v2 JSON to core's spec; the vectors hold specs after the API's defaulting ----

base::LabelSelector ReadSelector(const Json& json) {
  base::LabelSelector out;
  const Json labels = json.value("matchLabels", Json::object());
  for (const auto& [key, value] : labels.items()) out.match_labels.emplace_back(key, value);
  for (const Json& e : json.value("matchExpressions", Json::array())) {
    out.match_expressions.push_back({.key = e.value("key", ""),
                                     .op = e.value("operator", ""),
                                     .values = e.value("values", std::vector<std::string>{})});
  }
  return out;
}

int64_t Milli(const std::string& quantity) {
  const auto parsed = base::Quantity::Parse(quantity);
  return parsed.ok() ? parsed->Milli() : 0;
}

core::MetricTarget ReadTarget(const Json& json) {
  core::MetricTarget out;
  const std::string type = json.value("type", "");
  out.kind = type == "Utilization"    ? core::TargetKind::kUtilization
             : type == "AverageValue" ? core::TargetKind::kAverageValue
             : type == "Value"        ? core::TargetKind::kValue
                                      : core::TargetKind::kUnspecified;
  if (json.contains("averageUtilization"))
    out.average_utilization = json.at("averageUtilization").get<int32_t>();
  if (json.contains("averageValue")) out.average_value = Milli(json.at("averageValue"));
  if (json.contains("value")) out.value = Milli(json.at("value"));
  return out;
}

struct SourceName {
  core::MetricSource source;
  const char* type;
  const char* key;
};
constexpr SourceName kSources[] = {
    {core::MetricSource::kResource, "Resource", "resource"},
    {core::MetricSource::kContainerResource, "ContainerResource", "containerResource"},
    {core::MetricSource::kPods, "Pods", "pods"},
    {core::MetricSource::kObject, "Object", "object"},
    {core::MetricSource::kExternal, "External", "external"}};

const char* SourceKey(core::MetricSource source) { return kSources[static_cast<int>(source)].key; }

core::MetricSpec ReadMetric(const Json& json) {
  core::MetricSpec out;
  out.source_text = json.value("type", "");
  const auto* found = std::find_if(std::begin(kSources), std::end(kSources),
                                   [&](const SourceName& s) { return s.type == out.source_text; });
  if (found == std::end(kSources)) {
    out.source = core::MetricSource::kUnknown;
    return out;
  }
  out.source = found->source;
  const Json& source = json.at(found->key);
  out.target = ReadTarget(source.value("target", Json::object()));
  out.name = source.value("name", "");
  out.container = source.value("container", "");
  if (source.contains("metric")) {
    out.name = source.at("metric").value("name", "");
    if (source.at("metric").contains("selector"))
      out.SetSelector(ReadSelector(source.at("metric").at("selector")));
  }
  if (source.contains("describedObject")) {
    const Json& object = source.at("describedObject");
    out.described_object = core::ObjectReference{.api_version = object.value("apiVersion", ""),
                                                 .kind = object.value("kind", ""),
                                                 .name = object.value("name", "")};
  }
  return out;
}

core::ScalingRules ReadRules(const Json& json) {
  core::ScalingRules out;
  if (json.contains("stabilizationWindowSeconds")) {
    out.stabilization_window_seconds = json.at("stabilizationWindowSeconds").get<int32_t>();
  }
  const std::string select = json.value("selectPolicy", "Max");
  out.select_policy = select == "Min"        ? core::SelectPolicy::kMin
                      : select == "Disabled" ? core::SelectPolicy::kDisabled
                                             : core::SelectPolicy::kMax;
  for (const Json& p : json.value("policies", Json::array())) {
    out.policies.push_back({.type = p.value("type", "") == "Percent" ? core::PolicyType::kPercent
                                                                     : core::PolicyType::kPods,
                            .value = p.value("value", 0),
                            .period_seconds = p.value("periodSeconds", 0)});
  }
  if (json.contains("tolerance")) {
    const auto parsed = base::Quantity::Parse(json.at("tolerance").get<std::string>());
    if (parsed.ok()) out.tolerance = parsed->AsDouble();
  }
  return out;
}

// ---- status, both ways. Times in it are whole seconds, as the API stores them ----

core::MetricStatus ReadMetricStatus(const Json& json) {
  core::MetricStatus out;
  if (json.value("type", "").empty()) return out;
  const core::MetricSpec spec = ReadMetric(json);
  out.valid = true;
  out.source = spec.source;
  out.name = spec.name;
  out.container = spec.container;
  out.described_object = spec.described_object;
  out.selector = spec.selector;
  const Json& current = json.at(SourceKey(spec.source)).at("current");
  const core::MetricTarget amounts = ReadTarget(current);
  out.average_utilization = amounts.average_utilization;
  out.average_value = amounts.average_value;
  out.value = amounts.value;
  return out;
}

Json WriteTime(absl::Time time, const World& world) {
  if (time == absl::InfinitePast()) return nullptr;
  return absl::ToInt64Seconds(absl::Floor(time - absl::UnixEpoch(), absl::Seconds(1)) -
                              (world.t0 - absl::UnixEpoch())) *
         1000;
}

Json WriteSelector(const base::LabelSelector& selector) {
  Json out = Json::object();
  for (const auto& [key, value] : selector.match_labels) out["matchLabels"][key] = value;
  for (const auto& e : selector.match_expressions) {
    Json one = {{"key", e.key}, {"operator", e.op}};
    if (!e.values.empty()) one["values"] = e.values;
    out["matchExpressions"].push_back(std::move(one));
  }
  return out;
}

Json WriteMetric(const core::MetricStatus& m) {
  if (!m.valid) return {{"type", ""}};
  const SourceName& name = kSources[static_cast<int>(m.source)];
  Json current = Json::object();
  if (m.average_utilization) current["averageUtilization"] = *m.average_utilization;
  if (m.average_value) current["averageValue"] = base::FormatMilli(*m.average_value, m.format);
  if (m.value) current["value"] = base::FormatMilli(*m.value, m.format);
  Json source = {{"current", current}};
  if (m.source == core::MetricSource::kResource ||
      m.source == core::MetricSource::kContainerResource) {
    source["name"] = m.name;
    if (!m.container.empty()) source["container"] = m.container;
  } else {
    source["metric"] = {{"name", m.name}};
    if (m.selector) source["metric"]["selector"] = WriteSelector(*m.selector);
  }
  if (m.source == core::MetricSource::kObject && m.described_object) {
    Json& object = source["describedObject"] = Json::object();
    object["kind"] = m.described_object->kind.str();
    object["name"] = m.described_object->name;
    if (!m.described_object->api_version.empty()) {
      object["apiVersion"] = m.described_object->api_version.str();
    }
  }
  return {{"type", name.type}, {name.key, source}};
}

}  // namespace

core::HpaOptions ReadOptions(const Json& o) {
  core::HpaOptions options;
  options.tolerance = o.value("tolerance", 0.1);
  options.downscale_stabilization =
      absl::Milliseconds(o.value("downscaleStabilizationMs", int64_t{300000}));
  options.cpu_initialization_period =
      absl::Milliseconds(o.value("cpuInitializationPeriodMs", int64_t{300000}));
  options.initial_readiness_delay =
      absl::Milliseconds(o.value("initialReadinessDelayMs", int64_t{30000}));
  options.scale_to_zero = o.value("featureGates", Json::object()).value("HPAScaleToZero", true);
  return options;
}

core::AutoscalerSpec ReadSpec(const Json& hpa) {
  core::AutoscalerSpec out;
  const Json& spec = hpa.at("spec");
  out.kind = core::ObjectKind::kHpa;
  out.guards = core::Guards::kNone;
  out.key = {"ns", "main"};
  out.generation = hpa.value("generation", int64_t{0});
  if (spec.contains("minReplicas")) out.min_replicas = spec.at("minReplicas").get<int32_t>();
  out.max_replicas = spec.value("maxReplicas", 0);
  for (const Json& metric : spec.value("metrics", Json::array()))
    out.metrics.push_back(ReadMetric(metric));
  if (spec.contains("behavior") && !spec.at("behavior").is_null()) {
    out.behavior = core::Behavior{
        .scale_up = ReadRules(spec.at("behavior").value("scaleUp", Json::object())),
        .scale_down = ReadRules(spec.at("behavior").value("scaleDown", Json::object()))};
  }
  return out;
}

core::Status ReadStatus(const Json& json, const World& world) {
  core::Status out;
  out.current_replicas = json.value("currentReplicas", 0);
  out.desired_replicas = json.value("desiredReplicas", 0);
  if (json.contains("lastScaleTime") && !json.at("lastScaleTime").is_null()) {
    out.last_scale_time = world.At(json.at("lastScaleTime"));
  }
  if (json.contains("observedGeneration") && !json.at("observedGeneration").is_null()) {
    out.observed_generation = json.at("observedGeneration").get<int64_t>();
  }
  const Json metrics = json.value("currentMetrics", Json());
  if (metrics.is_array()) {
    for (const Json& m : metrics) out.current_metrics.push_back(ReadMetricStatus(m));
  }
  const Json conditions = json.value("conditions", Json());
  if (conditions.is_array()) {
    for (const Json& c : conditions) {
      const std::string status = c.value("status", "");
      out.conditions.push_back({.type = c.value("type", ""),
                                .status = status == "True"    ? core::ConditionStatus::kTrue
                                          : status == "False" ? core::ConditionStatus::kFalse
                                                              : core::ConditionStatus::kUnknown,
                                .reason = c.value("reason", ""),
                                .message = c.value("message", ""),
                                .last_transition = c.contains("lastTransitionTime") &&
                                                           !c.at("lastTransitionTime").is_null()
                                                       ? world.At(c.at("lastTransitionTime"))
                                                       : absl::InfinitePast()});
    }
  }
  return out;
}

Json WriteStatus(const core::Status& status, const World& world) {
  Json out = {{"currentReplicas", status.current_replicas},
              {"desiredReplicas", status.desired_replicas}};
  out["lastScaleTime"] =
      status.last_scale_time ? WriteTime(*status.last_scale_time, world) : Json(nullptr);
  out["observedGeneration"] =
      status.observed_generation ? Json(*status.observed_generation) : Json(nullptr);
  out["currentMetrics"] = nullptr;
  for (const core::MetricStatus& m : status.current_metrics)
    out["currentMetrics"].push_back(WriteMetric(m));
  out["conditions"] = nullptr;
  for (const core::Condition& c : status.conditions) {
    static constexpr const char* kStatus[] = {"True", "False", "Unknown"};
    out["conditions"].push_back({{"type", c.type},
                                 {"status", kStatus[static_cast<int>(c.status)]},
                                 {"reason", c.reason},
                                 {"message", c.message},
                                 {"lastTransitionTime", WriteTime(c.last_transition, world)}});
  }
  return out;
}

Json Canonical(const Json& json, const std::string& key) {
  if (json.is_string() && (key == "averageValue" || key == "value")) return Milli(json);
  if (json.is_array()) {
    if (json.empty()) return nullptr;
    Json out = Json::array();
    for (const Json& item : json) out.push_back(Canonical(item));
    return out;
  }
  if (json.is_object()) {
    Json out = Json::object();
    for (const auto& [k, v] : json.items()) {
      Json value = Canonical(v, k);
      if (!value.is_null()) out[k] = std::move(value);
    }
    return out;
  }
  return json;
}

Json WithoutNulls(const Json& json) {
  if (json.is_array()) {
    Json out = Json::array();
    for (const Json& item : json) out.push_back(WithoutNulls(item));
    return out;
  }
  if (!json.is_object()) return json;
  Json out = Json::object();
  for (const auto& [key, value] : json.items()) {
    if (!value.is_null()) out[key] = WithoutNulls(value);
  }
  return out;
}

}  // namespace neap::conformance
