// The CRD's schema and the decoder know the same field names; every list and map of it is bounded.
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "autoscaler/kube/objects/status_json.h"
#include "tests/kube/objects/support.h"

namespace neap::kube::objects {
namespace {

constexpr char kCrd[] = "charts/neap/crds/autoscalers.neap.dev.yaml";
// Refused as a whole, so nothing inside it is decoded.
constexpr std::string_view kRefused = "spec.triggers[].authenticationRef";

using Names = std::map<std::string, std::set<std::string>>;

value::Value Load() {
  std::ifstream file(kCrd);
  std::stringstream text;
  text << file.rdbuf();
  return Parse(text.str());
}

const value::Value& Schema(const value::Value& crd) {
  return *crd.Find("spec.versions")->list().at(0).Find("schema.openAPIV3Schema");
}

// Field names by path, as the decoder records them, and what is not bounded.
void Walk(const value::Value& schema, const std::string& path, Names& names,
          std::vector<std::string>& unbounded) {
  const std::string_view type = schema.StringAt("type");
  if (const value::Value* items = schema.Get("items")) {
    if (schema.Get("maxItems") == nullptr) unbounded.push_back(path);
    Walk(*items, path + "[]", names, unbounded);
  }
  if (schema.Get("additionalProperties") != nullptr && schema.Get("maxProperties") == nullptr) {
    unbounded.push_back(path);
  }
  const bool text = type == "string" || schema.Get("x-kubernetes-int-or-string") != nullptr;
  const bool has_form = schema.Get("format") != nullptr || schema.Get("maxLength") != nullptr;
  if (text && !has_form && path != "apiVersion" && path != "kind") unbounded.push_back(path);
  if (const value::Value* properties = schema.Get("properties")) {
    for (const auto& [name, sub] : properties->map()) {
      names[path].insert(name);
      Walk(sub, path.empty() ? name : path + "." + name, names, unbounded);
    }
  }
}

constexpr std::string_view kEverything = R"(
apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {name: all}
spec:
  metrics:
  - {object: {describedObject: {}, metric: {selector: {matchExpressions: [{}]}}, target: {}},
     external: {metric: {selector: {matchExpressions: [{}]}}, target: {}},
     pods: {metric: {selector: {matchExpressions: [{}]}}, target: {}},
     resource: {target: {}},
     containerResource: {target: {}}}
  triggers: [{}]
  behavior: {scaleUp: {policies: [{}]}, scaleDown: {policies: [{}]}}
)";

TEST(Crd, KnowsTheDecodersFieldNames) {
  Names decoder;
  DecodeOptions options;
  options.record_fields = &decoder;
  DecodeAutoscaler(Parse(kEverything), options);
  decoder.erase("metadata");  // the API's own

  const value::Value crd = Load();
  Names schema;
  std::vector<std::string> unbounded;
  Walk(Schema(crd), "", schema, unbounded);
  EXPECT_EQ(unbounded, std::vector<std::string>{});
  for (auto at = schema.begin(); at != schema.end();) {
    const bool skip = at->first == kRefused || at->first.starts_with("status");
    at = skip ? schema.erase(at) : std::next(at);
  }
  for (const auto& [path, names] : decoder) EXPECT_EQ(schema[path], names) << "at " << path;
  for (const auto& [path, names] : schema) EXPECT_EQ(decoder[path], names) << "at " << path;
}

void Check(const nlohmann::json& json, const std::string& path, const Names& schema) {
  if (json.is_array()) {
    for (const auto& item : json) Check(item, path + "[]", schema);
  }
  if (!json.is_object()) return;
  const auto known = schema.find(path);
  if (known == schema.end()) return;  // a free map
  for (const auto& [key, value] : json.items()) {
    EXPECT_TRUE(known->second.contains(key)) << path << " has no " << key;
    Check(value, path + "." + key, schema);
  }
}

TEST(Crd, KnowsTheStatusFields) {
  const value::Value crd = Load();
  Names schema;
  std::vector<std::string> unbounded;
  Walk(Schema(crd), "", schema, unbounded);
  core::Status status;
  for (core::MetricSource source :
       {core::MetricSource::kResource, core::MetricSource::kContainerResource,
        core::MetricSource::kPods, core::MetricSource::kObject, core::MetricSource::kExternal}) {
    core::MetricStatus m;
    m.valid = true;
    m.source = source;
    if (source == core::MetricSource::kObject) {
      m.described_object = core::ObjectReference{"v1", "A", "a"};
    }
    m.selector = base::LabelSelector{.match_labels = {{"a", "b"}},
                                     .match_expressions = {{"a", "In", {"b"}}}};
    m.average_utilization = 1;
    m.average_value = 1;
    m.value = 1;
    status.current_metrics.push_back(m);
  }
  status.conditions.emplace_back();
  Check(nlohmann::json::parse(
            EncodeStatus({.status = status, .own_conditions = {}, .explanation = "x"})),
        "status", schema);
}

TEST(Crd, IsOurs) {
  const value::Value crd = Load();
  EXPECT_EQ(crd.StringAt("spec.group"), kGroup);
  EXPECT_EQ(crd.StringAt("spec.names.plural"), kPlural);
  EXPECT_EQ(crd.Find("spec.versions")->list().at(0).StringAt("name"), kVersion);
  EXPECT_EQ(crd.StringAt("metadata.name"), std::string(kPlural) + "." + std::string(kGroup));
}

}  // namespace
}  // namespace neap::kube::objects
