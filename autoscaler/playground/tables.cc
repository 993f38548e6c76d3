#include "autoscaler/playground/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/playground/json.h"

namespace neap::playground {
namespace {

struct Column {
  std::string_view name;
  std::string_view type;
  int priority;  // 1: with -o wide alone
};

const std::vector<Column>& ColumnsOf(KindId id) {
  static const std::array<std::vector<Column>, kKindCount> kColumns = {{
      {{"Name", "string", 0}, {"Status", "string", 0}, {"Age", "string", 0}},
      {{"Name", "string", 0},
       {"Ready", "string", 0},
       {"Status", "string", 0},
       {"Restarts", "string", 0},
       {"Age", "string", 0},
       {"IP", "string", 1},
       {"Node", "string", 1}},
      {{"Last Seen", "string", 0},
       {"Type", "string", 0},
       {"Reason", "string", 0},
       {"Object", "string", 0},
       {"Source", "string", 1},
       {"Message", "string", 0},
       {"Count", "integer", 1},
       {"Name", "string", 1}},
      {{"Name", "string", 0},
       {"Ready", "string", 0},
       {"Up-to-date", "integer", 0},
       {"Available", "integer", 0},
       {"Age", "string", 0},
       {"Containers", "string", 1},
       {"Images", "string", 1},
       {"Selector", "string", 1}},
      {{"Name", "string", 0},
       {"Desired", "integer", 0},
       {"Current", "integer", 0},
       {"Ready", "integer", 0},
       {"Age", "string", 0}},
      {{"Name", "string", 0}, {"Ready", "string", 0}, {"Age", "string", 0}},
      // As the CRD's additionalPrinterColumns.
      {{"Name", "string", 0},
       {"Target", "string", 0},
       {"Metrics", "string", 0},
       {"Min", "integer", 0},
       {"Max", "integer", 0},
       {"Replicas", "integer", 0},
       {"Desired", "integer", 0},
       {"Mode", "string", 0},
       {"Reason", "string", 0},
       {"Age", "string", 0},
       {"Kind", "string", 1},
       {"Able", "string", 1},
       {"Limited", "string", 1}},
      {{"Name", "string", 0},
       {"Reference", "string", 0},
       {"MinPods", "string", 0},
       {"MaxPods", "integer", 0},
       {"Replicas", "integer", 0},
       {"Age", "string", 0}},
      {{"Name", "string", 0}, {"Data", "integer", 0}, {"Age", "string", 0}},
      {{"Name", "string", 0}, {"Holder", "string", 0}, {"Age", "string", 0}},
  }};
  return kColumns[static_cast<size_t>(id)];
}

// The value at a JSON pointer, or null.
Json At(const Json& document, const char* pointer) {
  const Json::json_pointer at(pointer);
  return document.contains(at) ? document.at(at) : Json();
}
int64_t Number(const Json& document, const char* pointer) {
  const Json value = At(document, pointer);
  return value.is_number() ? value.get<int64_t>() : 0;
}
std::string Text(const Json& document, const char* pointer) {
  const Json value = At(document, pointer);
  return value.is_string() ? value.get<std::string>() : "";
}

std::string Since(const std::string& text, absl::Time now) {
  const absl::StatusOr<absl::Time> time = base::ParseTime(text);
  return time.ok() ? AgeText(now - *time) : "<unknown>";
}

std::string ConditionReason(const Json& document, std::string_view type) {
  const Json conditions = At(document, "/status/conditions");
  if (!conditions.is_array()) return "";
  for (const Json& condition : conditions) {
    if (Text(condition, "/type") == type) return Text(condition, "/reason");
  }
  return "";
}

std::string Labels(const Json& labels) {
  std::string out;
  if (!labels.is_object()) return out;
  for (const auto& [key, value] : labels.items()) {
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", key,
                       value.is_string() ? value.get<std::string>() : "");
  }
  return out;
}

Json PodCells(const Json& pod, const std::string& age) {
  const bool deleting = !Text(pod, "/metadata/deletionTimestamp").empty();
  const std::string waiting = Text(pod, "/status/containerStatuses/0/state/waiting/reason");
  std::string status = Text(pod, "/status/phase");
  if (!waiting.empty()) status = waiting;
  if (deleting) status = "Terminating";
  const bool ready = At(pod, "/status/containerStatuses/0/ready") == Json(true);
  return Json::array({Text(pod, "/metadata/name"), ready ? "1/1" : "0/1", status,
                      std::to_string(Number(pod, "/status/containerStatuses/0/restartCount")), age,
                      Text(pod, "/status/podIP"), Text(pod, "/spec/nodeName")});
}

Json EventCells(const Json& event, absl::Time now) {
  std::string object = Text(event, "/involvedObject/kind");
  for (char& c : object) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  std::string seen = Text(event, "/lastTimestamp");
  if (seen.empty()) seen = Text(event, "/eventTime");
  const Json count = At(event, "/count");
  return Json::array({Since(seen, now), Text(event, "/type"), Text(event, "/reason"),
                      object + "/" + Text(event, "/involvedObject/name"),
                      Text(event, "/source/component"), Text(event, "/message"),
                      count.is_number() ? count : Json(1), Text(event, "/metadata/name")});
}

Json DeploymentCells(const Json& deployment, const std::string& age) {
  const std::string ready = fmt::format("{}/{}", Number(deployment, "/status/readyReplicas"),
                                        Number(deployment, "/spec/replicas"));
  return Json::array({Text(deployment, "/metadata/name"), ready,
                      Number(deployment, "/status/updatedReplicas"),
                      Number(deployment, "/status/availableReplicas"), age,
                      Text(deployment, "/spec/template/spec/containers/0/name"),
                      Text(deployment, "/spec/template/spec/containers/0/image"),
                      Labels(At(deployment, "/spec/selector/matchLabels"))});
}

Json AutoscalerCells(const Json& object, const std::string& age) {
  return Json::array(
      {Text(object, "/metadata/name"), Text(object, "/spec/scaleTargetRef/name"),
       Text(object, "/status/metrics"), At(object, "/spec/minReplicas"),
       At(object, "/spec/maxReplicas"), At(object, "/status/currentReplicas"),
       At(object, "/status/desiredReplicas"), Text(object, "/spec/mode"),
       ConditionReason(object, "ScalingActive"), age, Text(object, "/spec/scaleTargetRef/kind"),
       ConditionReason(object, "AbleToScale"), ConditionReason(object, "ScalingLimited")});
}

Json HpaCells(const Json& object, const std::string& age) {
  const Json min = At(object, "/spec/minReplicas");
  return Json::array({Text(object, "/metadata/name"),
                      fmt::format("{}/{}", Text(object, "/spec/scaleTargetRef/kind"),
                                  Text(object, "/spec/scaleTargetRef/name")),
                      min.is_number() ? min.dump() : "1", At(object, "/spec/maxReplicas"),
                      Number(object, "/status/currentReplicas"), age});
}

Json CellsOf(KindId id, const Json& object, absl::Time now) {
  const std::string name = Text(object, "/metadata/name");
  const std::string age = Since(Text(object, "/metadata/creationTimestamp"), now);
  switch (id) {
    case KindId::kNamespace:
      return Json::array({name, Text(object, "/status/phase"), age});
    case KindId::kPod:
      return PodCells(object, age);
    case KindId::kEvent:
      return EventCells(object, now);
    case KindId::kDeployment:
      return DeploymentCells(object, age);
    case KindId::kReplicaSet:
      return Json::array({name, Number(object, "/spec/replicas"),
                          Number(object, "/status/replicas"),
                          Number(object, "/status/readyReplicas"), age});
    case KindId::kStatefulSet:
      return Json::array({name,
                          fmt::format("{}/{}", Number(object, "/status/readyReplicas"),
                                      Number(object, "/spec/replicas")),
                          age});
    case KindId::kAutoscaler:
      return AutoscalerCells(object, age);
    case KindId::kConfigMap:
      return Json::array(
          {name, At(object, "/data").size() + At(object, "/binaryData").size(), age});
    case KindId::kLease:
      return Json::array({name, Text(object, "/spec/holderIdentity"), age});
    case KindId::kHpa:
      return HpaCells(object, age);
  }
  return Json::array();
}

}  // namespace

View ViewOf(std::string_view accept, std::string_view include_object) {
  View view;
  // The first type that we know decides.
  while (!accept.empty()) {
    const size_t comma = std::min(accept.find(','), accept.size());
    const std::string_view type = accept.substr(0, comma);
    accept.remove_prefix(std::min(comma + 1, accept.size()));
    const bool json = type.find("application/json") != std::string_view::npos;
    view.table = json && type.find("as=Table") != std::string_view::npos &&
                 type.find("v=v1beta1") == std::string_view::npos;
    if (view.table || (json && type.find("as=") == std::string_view::npos)) break;
  }
  if (include_object == "Object") view.include = View::Include::kObject;
  if (include_object == "None") view.include = View::Include::kNone;
  return view;
}

std::string TableText(const Kind& kind, std::span<const ObjectPtr> objects,
                      std::string_view list_metadata, const View& view, bool columns,
                      absl::Time now) {
  Json table = {{"kind", "Table"},
                {"apiVersion", "meta.k8s.io/v1"},
                {"metadata", Json::parse(list_metadata)},
                {"columnDefinitions", Json::array()},
                {"rows", Json::array()}};
  if (columns) {
    for (const Column& column : ColumnsOf(kind.id)) {
      table["columnDefinitions"].push_back({{"name", column.name},
                                            {"type", column.type},
                                            {"format", column.name == "Name" ? "name" : ""},
                                            {"description", ""},
                                            {"priority", column.priority}});
    }
  }
  for (const ObjectPtr& object : objects) {
    Json document = Json::parse(object->body);
    Json row = {{"cells", CellsOf(kind.id, document, now)}};
    if (view.include == View::Include::kMetadata) {
      row["object"] = {{"kind", "PartialObjectMetadata"},
                       {"apiVersion", "meta.k8s.io/v1"},
                       {"metadata", document["metadata"]}};
    } else if (view.include == View::Include::kObject) {
      row["object"] = {{"kind", kind.kind}, {"apiVersion", kind.ApiVersion()}};
      row["object"].update(document);
    }
    table["rows"].push_back(std::move(row));
  }
  return table.dump();
}

std::string AgeText(absl::Duration age) {
  const int64_t s = absl::ToInt64Seconds(age);
  if (s < 0) return "0s";
  if (s < 120) return fmt::format("{}s", s);
  const int64_t m = s / 60;
  if (m < 10) return s % 60 == 0 ? fmt::format("{}m", m) : fmt::format("{}m{}s", m, s % 60);
  if (m < 180) return fmt::format("{}m", m);
  const int64_t h = m / 60;
  if (h < 8) return m % 60 == 0 ? fmt::format("{}h", h) : fmt::format("{}h{}m", h, m % 60);
  if (h < 48) return fmt::format("{}h", h);
  const int64_t d = h / 24;
  if (d < 8) return h % 24 == 0 ? fmt::format("{}d", d) : fmt::format("{}d{}h", d, h % 24);
  return fmt::format("{}d", d);
}

}  // namespace neap::playground
