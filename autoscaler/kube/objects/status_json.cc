#include "autoscaler/kube/objects/status_json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::kube::objects {
namespace {

using Json = nlohmann::ordered_json;
using core::ConditionStatus;
using core::MetricSource;

struct SourceWords {
  MetricSource source;
  std::string_view type;
  std::string_view key;
};
constexpr SourceWords kSources[] = {
    {MetricSource::kResource, "Resource", "resource"},
    {MetricSource::kContainerResource, "ContainerResource", "containerResource"},
    {MetricSource::kPods, "Pods", "pods"},
    {MetricSource::kObject, "Object", "object"},
    {MetricSource::kExternal, "External", "external"},
};

// Bounds of the CRD's schema, within which a status must stay to be stored.
constexpr size_t kMaxMessage = 32768;
constexpr size_t kMaxReason = 1024;
constexpr size_t kMaxMetrics = 256;
constexpr size_t kMaxConditions = 16;
constexpr size_t kMaxLines = 256;
constexpr size_t kMaxLine = 1024;

// At most `most` bytes, cut between two characters.
std::string Clip(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  constexpr std::string_view kDots = "...";
  size_t end = most - kDots.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + std::string(kDots);
}

Json TimeJson(absl::Time time) {
  if (time == absl::InfinitePast()) return nullptr;  // the API's zero time
  return base::FormatTime(time);
}

std::string_view StatusName(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::kTrue:
      return "True";
    case ConditionStatus::kFalse:
      return "False";
    case ConditionStatus::kUnknown:
      break;
  }
  return "Unknown";
}

Json ConditionJson(const core::Condition& c) {
  return {{"type", c.type},
          {"status", StatusName(c.status)},
          {"lastTransitionTime", TimeJson(c.last_transition)},
          {"reason", Clip(c.reason, kMaxReason)},
          {"message", Clip(c.message, kMaxMessage)}};
}

Json SelectorJson(const base::LabelSelector& selector) {
  Json out = Json::object();
  for (const auto& [key, value] : selector.match_labels) out["matchLabels"][key] = value;
  for (const auto& e : selector.match_expressions) {
    Json one = {{"key", e.key}, {"operator", e.op}};
    if (!e.values.empty()) one["values"] = e.values;
    out["matchExpressions"].push_back(std::move(one));
  }
  return out;
}

Json MetricJson(const core::MetricStatus& m) {
  const auto* words = std::find_if(std::begin(kSources), std::end(kSources),
                                   [&m](const SourceWords& w) { return w.source == m.source; });
  if (!m.valid || words == std::end(kSources)) return {{"type", ""}};
  Json current = Json::object();
  if (m.average_utilization) current["averageUtilization"] = *m.average_utilization;
  if (m.average_value) current["averageValue"] = base::FormatMilli(*m.average_value, m.format);
  if (m.value) current["value"] = base::FormatMilli(*m.value, m.format);
  Json source = Json::object();
  if (m.source == MetricSource::kResource || m.source == MetricSource::kContainerResource) {
    source["name"] = m.name;
    if (m.source == MetricSource::kContainerResource) source["container"] = m.container;
  } else {
    source["metric"] = {{"name", m.name}};
    if (m.selector) source["metric"]["selector"] = SelectorJson(*m.selector);
  }
  if (m.source == MetricSource::kObject && m.described_object) {
    Json& object = source["describedObject"] = Json::object();
    object["kind"] = m.described_object->kind.str();
    object["name"] = m.described_object->name;
    if (!m.described_object->api_version.empty()) {
      object["apiVersion"] = m.described_object->api_version.str();
    }
  }
  source["current"] = std::move(current);
  return {{"type", words->type}, {words->key, std::move(source)}};
}

absl::Time TimeAt(const value::Value& map, std::string_view key) {
  const auto time = base::ParseTime(map.StringAt(key));
  return time.ok() ? *time : absl::InfinitePast();
}

int32_t Int32At(const value::Value& map, std::string_view key) {
  return static_cast<int32_t>(
      std::clamp<int64_t>(map.IntAt(key), 0, std::numeric_limits<int32_t>::max()));
}

core::Condition ReadCondition(const value::Value& from) {
  core::Condition out;
  out.type = from.StringAt("type");
  const std::string_view status = from.StringAt("status");
  out.status = status == "True"    ? ConditionStatus::kTrue
               : status == "False" ? ConditionStatus::kFalse
                                   : ConditionStatus::kUnknown;
  out.reason = from.StringAt("reason");
  out.message = from.StringAt("message");
  out.last_transition = TimeAt(from, "lastTransitionTime");
  return out;
}

base::LabelSelector ReadSelector(const value::Value& from) {
  base::LabelSelector out;
  if (const value::Value* labels = from.Get("matchLabels")) {
    for (const auto& [key, label] : labels->map()) out.match_labels.emplace_back(key, label.text());
    std::sort(out.match_labels.begin(), out.match_labels.end());
  }
  if (const value::Value* expressions = from.Get("matchExpressions")) {
    for (const value::Value& e : expressions->list()) {
      auto& one = out.match_expressions.emplace_back();
      one.key = e.StringAt("key");
      one.op = e.StringAt("operator");
      if (const value::Value* values = e.Get("values")) {
        for (const value::Value& v : values->list()) one.values.push_back(v.text());
      }
    }
  }
  return out;
}

core::MetricStatus ReadMetric(const value::Value& from) {
  core::MetricStatus out;
  const std::string_view type = from.StringAt("type");
  const auto* words = std::find_if(std::begin(kSources), std::end(kSources),
                                   [&](const SourceWords& w) { return w.type == type; });
  if (words == std::end(kSources)) return out;
  const value::Value* source = from.Get(words->key);
  if (source == nullptr) return out;
  out.valid = true;
  out.source = words->source;
  out.name = source->StringAt("name", source->StringAt("metric.name"));
  out.container = source->StringAt("container");
  if (out.source == MetricSource::kObject) {
    out.described_object =
        core::ObjectReference{.api_version = source->StringAt("describedObject.apiVersion"),
                              .kind = source->StringAt("describedObject.kind"),
                              .name = std::string(source->StringAt("describedObject.name"))};
  }
  if (const value::Value* selector = source->Find("metric.selector"); selector != nullptr) {
    out.selector = ReadSelector(*selector);
  }
  const value::Value* current = source->Get("current");
  if (current == nullptr) return out;
  if (const value::Value* percent = current->Get("averageUtilization");
      percent != nullptr && percent->kind() == value::Kind::kInt) {
    out.average_utilization = static_cast<int32_t>(percent->AsInt());
  }
  const auto amount = [&](std::string_view key) -> std::optional<int64_t> {
    const value::Value* found = current->Get(key);
    if (found == nullptr) return std::nullopt;
    const auto q = base::Quantity::Parse(found->text());
    if (!q.ok()) return std::nullopt;
    out.format = q->format();
    return q->Milli();
  };
  out.average_value = amount("averageValue");
  out.value = amount("value");
  return out;
}

}  // namespace

std::string EncodeStatus(const StatusText& text) {
  const core::Status& s = text.status;
  Json out = Json::object();
  out["observedGeneration"] = s.observed_generation ? Json(*s.observed_generation) : Json(nullptr);
  out["lastScaleTime"] = s.last_scale_time ? TimeJson(*s.last_scale_time) : Json(nullptr);
  out["currentReplicas"] = s.current_replicas;
  out["desiredReplicas"] = s.desired_replicas;
  out["currentMetrics"] = Json::array();
  for (const core::MetricStatus& m : s.current_metrics) {
    if (out["currentMetrics"].size() < kMaxMetrics) out["currentMetrics"].push_back(MetricJson(m));
  }
  out["conditions"] = Json::array();
  for (const auto* conditions : {&s.conditions, &text.own_conditions}) {
    for (const core::Condition& c : *conditions) {
      if (out["conditions"].size() < kMaxConditions) out["conditions"].push_back(ConditionJson(c));
    }
  }
  if (!text.metrics.empty()) out["metrics"] = Clip(text.metrics, kMaxLine);
  if (!text.explanation.empty()) {
    // By line, so that `kubectl get -o yaml` shows it readably.
    Json lines = Json::array();
    std::string_view rest = text.explanation;
    while (!rest.empty() && lines.size() < kMaxLines) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      if (end > 0) lines.push_back(Clip(rest.substr(0, end), kMaxLine));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    out["lastDecision"] = std::move(lines);
  }
  // A peer's words in a message may be no UTF-8.
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

core::Status DecodeStatus(const value::Value& from, std::vector<core::Condition>& own) {
  core::Status out;
  out.current_replicas = Int32At(from, "currentReplicas");
  out.desired_replicas = Int32At(from, "desiredReplicas");
  if (const absl::Time time = TimeAt(from, "lastScaleTime"); time != absl::InfinitePast()) {
    out.last_scale_time = time;
  }
  if (const value::Value* generation = from.Get("observedGeneration");
      generation != nullptr && generation->kind() == value::Kind::kInt) {
    out.observed_generation = generation->AsInt();
  }
  if (const value::Value* metrics = from.Get("currentMetrics")) {
    for (const value::Value& m : metrics->list()) out.current_metrics.push_back(ReadMetric(m));
  }
  if (const value::Value* conditions = from.Get("conditions")) {
    for (const value::Value& c : conditions->list()) {
      core::Condition condition = ReadCondition(c);
      if (condition.type.empty()) continue;
      const bool ours = condition.type == kDryRunCondition || condition.type == kAcceptedCondition;
      (ours ? own : out.conditions).push_back(std::move(condition));
    }
  }
  return out;
}

void SetCondition(std::vector<core::Condition>& conditions, core::Condition condition,
                  absl::Time now) {
  const auto at = std::find_if(conditions.begin(), conditions.end(),
                               [&](const core::Condition& c) { return c.type == condition.type; });
  const bool same = at != conditions.end() && at->status == condition.status;
  condition.last_transition = same ? at->last_transition : base::Stamp(now);
  if (at == conditions.end()) {
    conditions.push_back(std::move(condition));
  } else {
    *at = std::move(condition);
  }
}

}  // namespace neap::kube::objects
