// kubectl neap status, explain, pause and resume: Autoscalers through the API server.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/api/error.h"
#include "autoscaler/kube/objects/objects.h"
#include "autoscaler/kube/objects/status_json.h"
#include "autoscaler/record/replay.h"
#include "tools/neapctl/explanation.h"
#include "tools/neapctl/kubectl_commands.h"

namespace neap::ctl {
namespace {

namespace api = kube::api;
namespace objects = kube::objects;

constexpr int kPage = 500;
constexpr int kDefaultMin = 1;  // minReplicas unset
// The object's next decision; its period may be some minutes.
constexpr absl::Duration kPatience = absl::Seconds(90);
// The mode before a pause.
constexpr char kPausedMode[] = "neap.dev/mode-before-pause";

std::string PathOf(const std::string& ns, const std::string& name = "") {
  return api::ResourcePath(std::string(objects::kGroup), std::string(objects::kVersion),
                           std::string(objects::kPlural), ns, name);
}

int Fail(const absl::Status& status) {
  PrintError(base::Message(status));
  return kFailed;
}

// ---- status

struct Row {
  std::string ns;
  std::string name;
  std::vector<std::string> cells;  // from TARGET on
  std::vector<std::string> said;   // conditions that want attention, in words
  Json document;
};

std::string CountText(const value::Value& object, std::string_view path) {
  const value::Value* found = object.Find(path);
  return found == nullptr || found->is_null() ? "" : found->text();
}

std::string_view StatusWord(core::ConditionStatus status) {
  switch (status) {
    case core::ConditionStatus::kTrue:
      return "True";
    case core::ConditionStatus::kFalse:
      return "False";
    case core::ConditionStatus::kUnknown:
      break;
  }
  return "Unknown";
}

// Whether the condition tells of something that a reader may have to do.
bool WantsAttention(const core::Condition& condition) {
  const bool bad_when_true = condition.type == "InternalError";
  const bool good_either_way = condition.type == "ScalingLimited" || condition.type == "DryRun" ||
                               condition.type == "ScaledToZero";
  if (good_either_way) return false;
  if (condition.type == objects::kAcceptedCondition && condition.reason == "ValidWithWarnings") {
    return true;
  }
  return condition.status !=
         (bad_when_true ? core::ConditionStatus::kFalse : core::ConditionStatus::kTrue);
}

Row RowOf(const value::Value& object) {
  Row row;
  row.ns = object.StringAt("metadata.namespace");
  row.name = object.StringAt("metadata.name");
  std::vector<core::Condition> conditions;
  if (const value::Value* status = object.Get("status"); status != nullptr && status->is_map()) {
    std::vector<core::Condition> own;
    conditions = objects::DecodeStatus(*status, own).conditions;
    conditions.insert(conditions.end(), own.begin(), own.end());
  }
  const auto reason = [&](std::string_view type) -> std::string {
    for (const core::Condition& c : conditions) {
      if (c.type == type) return fmt::format("{} {}", StatusWord(c.status), c.reason);
    }
    return "";
  };
  const std::string target = fmt::format("{}/{}", object.StringAt("spec.scaleTargetRef.kind"),
                                         object.StringAt("spec.scaleTargetRef.name"));
  const std::string metrics(object.StringAt("status.metrics", "<unknown>"));
  const std::string mode(object.StringAt("spec.mode", "Live"));
  const std::string min = CountText(object, "spec.minReplicas");
  row.cells = {target,
               metrics,
               min.empty() ? std::to_string(kDefaultMin) : min,
               CountText(object, "spec.maxReplicas"),
               CountText(object, "status.currentReplicas"),
               CountText(object, "status.desiredReplicas"),
               mode,
               reason("AbleToScale"),
               reason("ScalingActive"),
               reason("ScalingLimited")};
  Json all = Json::array();
  for (const core::Condition& c : conditions) {
    all.push_back({{"type", c.type},
                   {"status", StatusWord(c.status)},
                   {"reason", c.reason},
                   {"message", c.message}});
    if (WantsAttention(c)) {
      row.said.push_back(
          fmt::format("{} {} ({}): {}", c.type, StatusWord(c.status), c.reason, c.message));
    }
  }
  row.document = {{"namespace", row.ns},
                  {"name", row.name},
                  {"target", target},
                  {"metrics", metrics},
                  {"minReplicas", kDefaultMin}};
  // A count that is not known is left out.
  for (const auto& [key, path] :
       {std::pair("minReplicas", "spec.minReplicas"), std::pair("maxReplicas", "spec.maxReplicas"),
        std::pair("replicas", "status.currentReplicas"),
        std::pair("desired", "status.desiredReplicas")}) {
    const value::Value* count = object.Find(path);
    if (count != nullptr && count->kind() == value::Kind::kInt) row.document[key] = count->AsInt();
  }
  row.document["mode"] = mode;
  row.document["conditions"] = std::move(all);
  return row;
}

absl::StatusOr<std::vector<Row>> ListRows(Cluster& cluster, const std::string& ns) {
  std::vector<Row> rows;
  std::string token;
  do {
    http::Headers query = {{"limit", std::to_string(kPage)}};
    if (!token.empty()) query.emplace_back("continue", token);
    NEAP_ASSIGN_OR_RETURN(const api::Reply reply, cluster.Do({.path = PathOf(ns), .query = query}));
    NEAP_ASSIGN_OR_RETURN(const value::Value list, value::ParseJson(reply.body, reply.where));
    if (const value::Value* items = list.Get("items"); items != nullptr && items->is_list()) {
      for (const value::Value& item : items->list()) rows.push_back(RowOf(item));
    }
    token = list.StringAt("metadata.continue");
  } while (!token.empty());
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::pair(a.ns, a.name) < std::pair(b.ns, b.name);
  });
  return rows;
}

std::string StatusText(const std::vector<Row>& rows, const std::string& ns) {
  if (rows.empty()) {
    return ns.empty() ? "no Autoscalers found\n"
                      : fmt::format("no Autoscalers found in namespace {}\n", ns);
  }
  std::vector<std::vector<std::string>> table(1);
  if (ns.empty()) table[0].emplace_back("NAMESPACE");
  for (const char* heading : {"NAME", "TARGET", "METRICS", "MIN", "MAX", "REPLICAS", "DESIRED",
                              "MODE", "ABLE", "ACTIVE", "LIMITED"}) {
    table[0].emplace_back(heading);
  }
  std::string said;
  for (const Row& row : rows) {
    std::vector<std::string>& cells = table.emplace_back();
    if (ns.empty()) cells.push_back(row.ns);
    cells.push_back(row.name);
    cells.insert(cells.end(), row.cells.begin(), row.cells.end());
    const std::string who = ns.empty() ? row.ns + "/" + row.name : row.name;
    for (const std::string& line : row.said) said += fmt::format("{}: {}\n", who, line);
  }
  return Table(table) + (said.empty() ? "" : "\n" + said);
}

// ---- pause and resume

// The HPA of that name, when there is no Autoscaler of it: people have both.
bool IsHpa(Cluster& cluster, const std::string& ns, const std::string& name) {
  return cluster
      .Do({.path =
               api::ResourcePath(std::string(objects::kHpaGroup), std::string(objects::kHpaVersion),
                                 std::string(objects::kHpaPlural), ns, name)})
      .ok();
}

absl::StatusOr<value::Value> GetObject(Cluster& cluster, const std::string& name,
                                       std::string_view verb) {
  auto reply = cluster.Do({.path = PathOf(cluster.ns(), name)});
  if (absl::IsNotFound(reply.status()) && IsHpa(cluster, cluster.ns(), name)) {
    return base::FailedPrecondition(
        "{}/{} is a HorizontalPodAutoscaler: its own controller scales, Neap can't {} it",
        cluster.ns(), name, verb);
  }
  if (!reply.ok()) {
    const auto error = api::ApiErrorOf(reply.status());
    if (error && error->code == 404) {
      return base::NotFound("there is no Autoscaler {}/{}", cluster.ns(), name);
    }
    return reply.status();
  }
  return value::ParseJson(reply->body, reply->where);
}

// Sets the mode and the annotation (null removes it), if nobody changed the object since.
absl::Status SetMode(Cluster& cluster, const value::Value& object, std::string_view mode,
                     const Json& annotation) {
  const Json patch = {
      {"metadata",
       {{"resourceVersion", std::string(object.StringAt("metadata.resourceVersion"))},
        {"annotations", {{kPausedMode, annotation}}}}},
      {"spec", {{"mode", mode}}}};
  return cluster
      .Do({.method = "PATCH",
           .path = PathOf(cluster.ns(), std::string(object.StringAt("metadata.name"))),
           .query = {{"fieldManager", "kubectl-neap"}},
           .body = patch.dump(),
           .content_type = api::kMergePatch})
      .status();
}

std::string ModeBefore(const value::Value& object) {
  const value::Value* annotations = object.Find("metadata.annotations");
  if (annotations == nullptr || !annotations->is_map()) return "";
  // Its name has dots and a slash: no path of StringAt.
  const value::Value* mode = annotations->Get(kPausedMode);
  return mode != nullptr && mode->is_string() ? mode->AsString() : "";
}

absl::Status Pause(const KubeOptions& options, std::string* text) {
  NEAP_ASSIGN_OR_RETURN(const auto cluster, Cluster::Open(options.cluster));
  NEAP_ASSIGN_OR_RETURN(const value::Value object, GetObject(*cluster, options.name, "pause"));
  const std::string mode(object.StringAt("spec.mode", "Live"));
  if (mode == "Paused") {
    *text = fmt::format("{}/{} is paused already\n", cluster->ns(), options.name);
    return absl::OkStatus();
  }
  NEAP_RETURN_IF_ERROR(SetMode(*cluster, object, "Paused", mode));
  *text = fmt::format("{}/{} paused (it was {}); its replicas stay as they are\n", cluster->ns(),
                      options.name, mode);
  return absl::OkStatus();
}

absl::Status Resume(const KubeOptions& options, std::string* text) {
  NEAP_ASSIGN_OR_RETURN(const auto cluster, Cluster::Open(options.cluster));
  NEAP_ASSIGN_OR_RETURN(const value::Value object, GetObject(*cluster, options.name, "resume"));
  const std::string mode(object.StringAt("spec.mode", "Live"));
  if (mode != "Paused") {
    *text = fmt::format("{}/{} is not paused, it is {}\n", cluster->ns(), options.name, mode);
    return absl::OkStatus();
  }
  std::string before = ModeBefore(object);
  const bool known = before == "Live" || before == "DryRun";
  if (!known) before = "Live";
  NEAP_RETURN_IF_ERROR(SetMode(*cluster, object, before, nullptr));
  *text = fmt::format("{}/{} resumed: it is {}{}\n", cluster->ns(), options.name, before,
                      known ? " again" : " (it was not paused by kubectl neap)");
  return absl::OkStatus();
}

int Say(absl::Status (*act)(const KubeOptions&, std::string*), const KubeOptions& options) {
  std::string text;
  const absl::Status status = act(options, &text);
  if (absl::IsFailedPrecondition(status) && !api::ApiErrorOf(status)) {
    PrintError(base::Message(status));
    return kNo;
  }
  if (!status.ok()) return Fail(status);
  fmt::print(stdout, "{}", text);
  return kOk;
}

// ---- explain

absl::StatusOr<record::FoundRecord> FindDecision(const KubeOptions& options) {
  std::string ns = options.cluster.ns;
  if (ns.empty()) {
    NEAP_ASSIGN_OR_RETURN(const auto cluster, Cluster::Open(options.cluster));
    ns = cluster->ns();
  }
  const core::ObjectKey key{.ns = ns, .name = options.name};
  NEAP_ASSIGN_OR_RETURN(std::vector<Answered> answers,
                        AskAll(options.cluster, "/records",
                               {{"object", key.Text()}, {"wait", base::FormatDuration(kPatience)}},
                               kPatience + absl::Seconds(10)));
  for (Answered& answer : answers) {
    if (answer.status != 200) continue;
    return record::FindRecordIn(answer.who, std::move(answer.body), key, absl::InfiniteFuture());
  }
  std::string why;
  for (const Answered& answer : answers) {
    why += (why.empty() ? "" : "\n") + answer.Refusal();
  }
  return base::Unavailable("{}", why);
}

}  // namespace

int KubeStatus(const KubeOptions& options) {
  const auto cluster = Cluster::Open(options.cluster);
  if (!cluster.ok()) return Fail(cluster.status());
  const std::string ns = options.cluster.all_namespaces ? "" : (*cluster)->ns();
  const auto rows = ListRows(**cluster, ns);
  if (!rows.ok()) return Fail(rows.status());
  Json document = {{"autoscalers", Json::array()}};
  for (const Row& row : *rows) document["autoscalers"].push_back(row.document);
  Print(options.format, document, StatusText(*rows, ns));
  return kOk;
}

int KubeExplain(const KubeOptions& options) {
  auto found = FindDecision(options);
  if (!found.ok()) return Fail(found.status());
  const Explanation explanation = ExplainRecord(*found);
  Print(options.format, explanation.document, explanation.text);
  return kOk;
}

int KubePause(const KubeOptions& options) { return Say(Pause, options); }
int KubeResume(const KubeOptions& options) { return Say(Resume, options); }

}  // namespace neap::ctl
