// The writing half of Api: scale, create, replace, patch, delete.
#include <algorithm>
#include <limits>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/kube/objects/objects.h"
#include "autoscaler/playground/api.h"
#include "autoscaler/playground/objects.h"

namespace neap::playground {
namespace {

namespace objects = kube::objects;

// The API keeps events for an hour; here the latest ones.
constexpr size_t kKeptEvents = 5000;
constexpr std::string_view kPatchTypes =
    "application/json-patch+json, application/merge-patch+json, "
    "application/strategic-merge-patch+json";
constexpr std::string_view kCustomPatchTypes =
    "application/json-patch+json, application/merge-patch+json";

using Patched = std::variant<Json, Answer>;

std::string_view MediaType(std::string_view content_type) {
  return content_type.substr(0, content_type.find(';'));
}

Patched ParseBody(std::string_view body, std::string_view what) {
  Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return BadRequest(fmt::format("{}: the body is not JSON", what));
  return document;
}

// JSON Patch compares objects without regard to the order of their members.
Patched JsonPatch(const Json& current, const Json& patch) {
  try {
    return Json(nlohmann::json(current).patch(nlohmann::json(patch)));
  } catch (const nlohmann::json::parse_error& error) {
    return BadRequest(fmt::format("error decoding patch: {}", error.what()));
  } catch (const nlohmann::json::exception&) {
    return PatchFailed();  // a failed test, or a path that is not there
  }
}

// `current` as the request's patch makes it. Without `custom`, a strategic merge patch is taken as
// a merge patch: the same for objects that have no list to merge.
Patched ApplyPatch(const ApiRequest& request, Json current, bool custom) {
  const std::string_view type = MediaType(request.content_type);
  const bool json_patch = type == "application/json-patch+json";
  const bool merge = type == "application/merge-patch+json" ||
                     (!custom && type == "application/strategic-merge-patch+json");
  if (!json_patch && !merge) {
    return UnsupportedMediaType(custom ? kCustomPatchTypes : kPatchTypes);
  }
  Patched patch = ParseBody(request.body, "error decoding patch");
  if (std::holds_alternative<Answer>(patch)) return patch;
  const Json& document = std::get<Json>(patch);
  if (json_patch) return JsonPatch(current, document);
  if (!document.is_object()) return BadRequest("error decoding patch: expected an object");
  current.merge_patch(document);
  return current;
}

// The new document of a PUT or PATCH.
Patched NewDocument(const ApiRequest& request, Json current, bool custom) {
  if (request.method == "PATCH") return ApplyPatch(request, std::move(current), custom);
  Patched body = ParseBody(request.body, "error decoding the object");
  if (std::holds_alternative<Json>(body) && !std::get<Json>(body).is_object()) {
    return BadRequest("the body is not an object");
  }
  return body;
}

std::string TextAt(const Json& document, const char* pointer) {
  const Json::json_pointer at(pointer);
  return document.contains(at) && document.at(at).is_string() ? document.at(at).get<std::string>()
                                                              : std::string();
}

// Name, uid and version in `document` against those of the object; nullopt when they fit.
std::optional<Answer> CheckIdentity(const Kind& kind, const Json& document, std::string_view ns,
                                    std::string_view name, std::string_view uid, uint64_t version) {
  if (!document.is_object()) return BadRequest("the patched object is no object");
  const std::string new_name = TextAt(document, "/metadata/name");
  const std::string new_ns = TextAt(document, "/metadata/namespace");
  if (!new_name.empty() && new_name != name) {
    return BadRequest(fmt::format(
        "the name of the object ({}) does not match the name on the URL ({})", new_name, name));
  }
  if (!new_ns.empty() && new_ns != ns) {
    return BadRequest(
        "the namespace of the provided object does not match the namespace sent on the request");
  }
  if (const std::string wanted = TextAt(document, "/metadata/uid");
      !wanted.empty() && wanted != uid) {
    return UidConflict(kind, name, wanted, uid);
  }
  const std::string seen = TextAt(document, "/metadata/resourceVersion");
  if (!seen.empty() && seen != "0" && seen != std::to_string(version)) return Conflict(kind, name);
  return std::nullopt;
}

bool IsDryRun(const ApiRequest& request) { return request.Query("dryRun") == "All"; }

Json Complete(const Kind& kind, const Object& object) {
  return Json::parse(FullText(kind, object));
}

Json WithoutMetadataAndStatus(Json document) {
  document.erase("metadata");
  document.erase("status");
  return document;
}

void AddWarnings(const std::vector<std::string>& warnings, Answer& answer) {
  for (const std::string& warning : warnings) {
    std::string quoted;
    for (char c : warning) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    answer.headers.emplace_back("Warning", fmt::format("299 - \"{}\"", quoted));
  }
}

}  // namespace

Answer Api::Scale(const ApiRequest& request, const Place& place) {
  const Kind& kind = *place.kind;
  base::MutexLock lock(cluster_.mutex);
  cluster_.Sync();
  const int index = cluster_.world().FindDeployment(place.ns, place.name);
  if (index < 0) return NotFound(kind, place.name);
  const sim::Deployment& deployment = cluster_.world().deployments()[static_cast<size_t>(index)];
  const auto version = [&]() NEAP_NO_THREAD_SAFETY_ANALYSIS {
    return cluster_.store().Get(kind.id, place.ns, place.name)->version;
  };
  if (request.method == "GET") return Ok(ScaleJson(deployment, version()).dump());
  if (request.method != "PUT" && request.method != "PATCH") return MethodNotAllowed();

  Patched patched = NewDocument(request, ScaleJson(deployment, version()), /*custom=*/false);
  if (std::holds_alternative<Answer>(patched)) return std::get<Answer>(std::move(patched));
  const Json& document = std::get<Json>(patched);
  if (auto wrong = CheckIdentity(kind, document, place.ns, place.name, deployment.uid, version())) {
    return *std::move(wrong);
  }
  const Json::json_pointer at("/spec/replicas");
  const Json replicas = document.contains(at) ? document.at(at) : Json(0);
  if (!replicas.is_null() && !replicas.is_number_integer()) {
    return BadRequest(fmt::format(
        "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal {} into Go "
        "struct field ScaleSpec.spec.replicas of type int32",
        replicas.type_name()));
  }
  const int64_t wanted = replicas.is_null() ? 0 : replicas.get<int64_t>();
  if (wanted < 0) {
    return Invalid("autoscaling", "Scale", place.name,
                   {{.field = "spec.replicas",
                     .message = fmt::format("Invalid value: {}: must be greater than or equal to 0",
                                            wanted)}});
  }
  if (wanted > std::numeric_limits<int32_t>::max()) {
    return BadRequest(fmt::format("spec.replicas {} is beyond 32 bits", wanted));
  }
  const int from = deployment.replicas;
  Answer answer;
  if (IsDryRun(request)) {
    answer = Ok(document.dump());
  } else {
    // Not negative: it cannot fail.
    (void)cluster_.Scale(index, static_cast<int>(wanted));
    answer = Ok(ScaleJson(deployment, version()).dump());
    answer.scaled = {from, static_cast<int>(wanted)};
  }
  return answer;
}

std::optional<Answer> Api::Admit(const Kind& kind, const Json& document,
                                 std::string_view validation,
                                 std::vector<std::string>& warnings) const {
  const bool hpa = kind.id == KindId::kHpa;
  if (!hpa && kind.id != KindId::kAutoscaler) return std::nullopt;
  const std::string name = TextAt(document, "/metadata/name");
  const absl::StatusOr<value::Value> value = value::ParseJson(document.dump(), name);
  if (!value.ok()) return BadRequest(base::Message(value.status()));
  objects::DecodeOptions options;
  options.unknown_fields_are_errors = false;
  const objects::Decoded decoded =
      hpa ? objects::DecodeHpa(*value, options) : objects::DecodeAutoscaler(*value, options);
  if (!decoded.errors.empty() && !options_.admit_all) {
    std::vector<Cause> causes;
    for (const objects::Problem& problem : decoded.errors) {
      causes.push_back({.field = problem.path, .message = problem.message});
    }
    return Invalid(kind.group, kind.kind, name, causes);
  }
  for (const objects::Problem& problem : decoded.warnings) {
    warnings.push_back(objects::Text(problem));
  }
  if (validation == "Strict" && !warnings.empty()) {
    std::string all;
    for (const std::string& one : warnings) all += (all.empty() ? "" : ", ") + one;
    return BadRequest(
        fmt::format("{} in version \"{}\" cannot be handled as a {}: strict decoding "
                    "error: {}",
                    kind.kind, kind.version, kind.kind, all));
  }
  if (validation == "Ignore") warnings.clear();
  return std::nullopt;
}

Answer Api::Create(const ApiRequest& request, const Place& place) {
  const Kind& kind = *place.kind;
  if (place.ns.empty()) return MethodNotAllowed();
  Patched body = ParseBody(request.body, "error decoding the object");
  if (std::holds_alternative<Answer>(body)) return std::get<Answer>(std::move(body));
  Json document = std::get<Json>(std::move(body));
  if (!document.is_object()) return BadRequest("the body is not an object");
  if (TextAt(document, "/kind") != kind.kind ||
      TextAt(document, "/apiVersion") != kind.ApiVersion()) {
    return BadRequest(fmt::format(
        "the object provided is unrecognized (must be of type {}): expected apiVersion {}, kind {}",
        kind.kind, kind.ApiVersion(), kind.kind));
  }
  Json& metadata = document["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  const std::string ns = TextAt(document, "/metadata/namespace");
  if (!ns.empty() && ns != place.ns) {
    return BadRequest(
        "the namespace of the provided object does not match the namespace sent on the request");
  }

  base::MutexLock lock(cluster_.mutex);
  cluster_.Sync();
  const Store& store = cluster_.store();
  if (store.Get(KindId::kNamespace, "", place.ns) == nullptr) {
    return NotFound(KindOf(KindId::kNamespace), place.ns);
  }
  std::string name = TextAt(document, "/metadata/name");
  if (name.empty() && !TextAt(document, "/metadata/generateName").empty()) {
    name = fmt::format("{}{:05x}", TextAt(document, "/metadata/generateName"), store.version());
  }
  if (!base::IsDnsSubdomain(name)) {
    const std::string message =
        name.empty() ? "Required value: name or generateName is required"
                     : fmt::format(
                           "Invalid value: \"{}\": a lowercase RFC 1123 subdomain must "
                           "consist of lower case alphanumeric characters, '-' or '.'",
                           name);
    return Invalid(kind.group, kind.kind, name, {{.field = "metadata.name", .message = message}});
  }
  if (store.Get(kind.id, place.ns, name) != nullptr) return AlreadyExists(kind, name);
  metadata["name"] = name;
  metadata["namespace"] = place.ns;
  // Of an API server's form; unique as long as this server lives.
  metadata["uid"] =
      fmt::format("{:08x}-{:04x}-4000-8000-{:012x}",
                  static_cast<uint32_t>(absl::ToUnixSeconds(cluster_.world().start())),
                  static_cast<unsigned>(kind.id), store.version());
  metadata["creationTimestamp"] = base::FormatTime(cluster_.Now());
  metadata.erase("resourceVersion");
  if (kind.status) {
    metadata["generation"] = 1;
    document.erase("status");
  }
  std::vector<std::string> warnings;
  if (auto refused = Admit(kind, document, request.Query("fieldValidation"), warnings)) {
    return *std::move(refused);
  }
  Answer answer;
  if (IsDryRun(request)) {
    answer = Ok(document.dump());
  } else {
    const ObjectPtr object = cluster_.Put(kind.id, std::move(document));
    if (kind.id == KindId::kEvent) {
      events_.emplace_back(object->ns, object->name);
      ForgetOldEvents();
    }
    answer = Ok(ObjectText(request, kind, object));
  }
  answer.code = 201;
  AddWarnings(warnings, answer);
  return answer;
}

void Api::ForgetOldEvents() {
  while (events_.size() > kKeptEvents) {
    const auto [ns, name] = std::move(events_.front());
    events_.pop_front();
    if (const ObjectPtr old = cluster_.store().Get(KindId::kEvent, ns, name)) {
      cluster_.Remove(KindId::kEvent, *old);
    }
  }
}

Answer Api::Change(const ApiRequest& request, const Place& place) {
  const Kind& kind = *place.kind;
  base::MutexLock lock(cluster_.mutex);
  cluster_.Sync();
  const ObjectPtr current = cluster_.store().Get(kind.id, place.ns, place.name);
  if (current == nullptr) return NotFound(kind, place.name);
  Patched document = NewDocument(request, Complete(kind, *current), kind.custom);
  if (std::holds_alternative<Answer>(document)) return std::get<Answer>(std::move(document));
  return Replace(request, kind, current, std::get<Json>(std::move(document)),
                 place.subresource == "status" ? Part::kStatus : Part::kMain);
}

Answer Api::Replace(const ApiRequest& request, const Kind& kind, const ObjectPtr& current,
                    Json document, Part part) {
  if (auto wrong = CheckIdentity(kind, document, current->ns, current->name, current->uid,
                                 current->version)) {
    return *std::move(wrong);
  }
  if (request.method == "PUT" && kind.custom &&
      TextAt(document, "/metadata/resourceVersion").empty()) {
    return Invalid(kind.group, kind.plural, current->name,
                   {{.field = "metadata.resourceVersion",
                     .message = "Invalid value: 0x0: must be specified for an update"}});
  }
  if (TextAt(document, "/kind") != kind.kind ||
      TextAt(document, "/apiVersion") != kind.ApiVersion()) {
    return BadRequest(fmt::format("the API version and kind in the data do not match {}, {}",
                                  kind.ApiVersion(), kind.kind));
  }
  const Json old = Complete(kind, *current);
  Json next = old;
  if (part == Part::kStatus) {
    if (document.contains("status")) {
      next["status"] = std::move(document["status"]);
    } else {
      next.erase("status");
    }
  } else {
    next = std::move(document);
    if (!next["metadata"].is_object()) next["metadata"] = Json::object();
    for (const char* kept :
         {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation"}) {
      if (old["metadata"].contains(kept)) next["metadata"][kept] = old["metadata"][kept];
    }
    if (kind.status) {
      next.erase("status");
      if (old.contains("status")) next["status"] = old["status"];
      if (WithoutMetadataAndStatus(next) != WithoutMetadataAndStatus(old)) {
        next["metadata"]["generation"] = old["metadata"].value("generation", int64_t{0}) + 1;
      }
    }
  }
  std::vector<std::string> warnings;
  if (part == Part::kMain) {
    if (auto refused = Admit(kind, next, request.Query("fieldValidation"), warnings)) {
      return *std::move(refused);
    }
  }
  // What changes nothing makes no new version.
  const bool store = next != old && !IsDryRun(request);
  Answer answer =
      IsDryRun(request)
          ? Ok(next.dump())
          : Ok(ObjectText(request, kind, store ? cluster_.Put(kind.id, std::move(next)) : current));
  AddWarnings(warnings, answer);
  return answer;
}

Answer Api::Delete(const ApiRequest& request, const Place& place) {
  const Kind& kind = *place.kind;
  base::MutexLock lock(cluster_.mutex);
  cluster_.Sync();
  const ObjectPtr current = cluster_.store().Get(kind.id, place.ns, place.name);
  if (current == nullptr) return NotFound(kind, place.name);
  bool dry_run = IsDryRun(request);
  if (!request.body.empty()) {
    Patched body = ParseBody(request.body, "error decoding the options");
    if (std::holds_alternative<Answer>(body)) return std::get<Answer>(std::move(body));
    const Json& options = std::get<Json>(body);
    const std::string uid = TextAt(options, "/preconditions/uid");
    if (!uid.empty() && uid != current->uid) {
      return UidConflict(kind, place.name, uid, current->uid);
    }
    const std::string version = TextAt(options, "/preconditions/resourceVersion");
    if (!version.empty() && version != std::to_string(current->version)) {
      return Conflict(kind, place.name);
    }
    dry_run = dry_run || (options.contains("dryRun") && options["dryRun"] == Json::array({"All"}));
  }
  if (kind.id == KindId::kPod) {
    if (!dry_run) (void)cluster_.DeletePod(place.ns, place.name);  // it is there
    const ObjectPtr left = cluster_.store().Get(kind.id, place.ns, place.name);
    return Ok(FullText(kind, left == nullptr ? *current : *left));
  }
  if (!dry_run) cluster_.Remove(kind.id, *current);
  Json details = {{"name", place.name}};
  if (!kind.group.empty()) details["group"] = kind.group;
  details["kind"] = kind.plural;
  details["uid"] = current->uid;
  return Ok(Json({{"kind", "Status"},
                  {"apiVersion", "v1"},
                  {"metadata", Json::object()},
                  {"status", "Success"},
                  {"details", details}})
                .dump());
}

absl::Status Api::Load(const value::Value& document, std::string_view origin) {
  const Kind& kind = KindOf(KindId::kAutoscaler);
  if (document.StringAt("kind") != kind.kind ||
      document.StringAt("apiVersion") != kind.ApiVersion()) {
    return base::InvalidArgument("{}:{}: only {} objects ({}) can be loaded, not \"{}\"", origin,
                                 document.line(), kind.kind, kind.ApiVersion(),
                                 document.StringAt("kind"));
  }
  if (!options_.admit_all) {
    const objects::Decoded decoded = objects::DecodeAutoscaler(document, {});
    if (!decoded.errors.empty()) {
      return base::InvalidArgument("{}", objects::Text(decoded.errors, origin));
    }
  }
  const ApiRequest request{.method = "POST", .path = "", .body = value::ToJson(document)};
  const Place place{.kind = &kind,
                    .ns = std::string(document.StringAt("metadata.namespace", "default")),
                    .name = "",
                    .subresource = ""};
  const Answer answer = Create(request, place);
  if (answer.code == 201) return absl::OkStatus();
  return base::InvalidArgument("{}:{}: {}", origin, document.line(),
                               TextAt(Json::parse(answer.body), "/message"));
}

}  // namespace neap::playground
