#include "autoscaler/playground/answers.h"

#include <fmt/format.h>

#include "autoscaler/playground/json.h"

namespace neap::playground {
namespace {

std::string Details(const Kind& kind, std::string_view name) {
  Json out = {{"name", name}};
  if (!kind.group.empty()) out["group"] = kind.group;
  out["kind"] = kind.plural;
  return out.dump();
}

}  // namespace

Answer Ok(std::string body) { return {.code = 200, .body = std::move(body)}; }

Answer Failure(int code, std::string_view reason, std::string_view message,
               std::string_view details_json) {
  Json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
                 {"status", "Failure"}, {"message", message}, {"reason", reason}};
  if (!details_json.empty()) status["details"] = Json::parse(details_json);
  status["code"] = code;
  return {.code = code, .body = status.dump()};
}

Answer PageNotFound() {
  return {.code = 404, .body = "404 page not found\n", .content_type = "text/plain; charset=utf-8"};
}

Answer ResourceNotFound() {
  return Failure(404, "NotFound", "the server could not find the requested resource", "{}");
}

Answer NotFound(const Kind& kind, std::string_view name) {
  return Failure(404, "NotFound", fmt::format("{} \"{}\" not found", kind.Resource(), name),
                 Details(kind, name));
}

Answer AlreadyExists(const Kind& kind, std::string_view name) {
  return Failure(409, "AlreadyExists",
                 fmt::format("{} \"{}\" already exists", kind.Resource(), name),
                 Details(kind, name));
}

Answer Conflict(const Kind& kind, std::string_view name) {
  return Failure(409, "Conflict",
                 fmt::format("Operation cannot be fulfilled on {} \"{}\": the object has been "
                             "modified; please apply your changes to the latest version and try "
                             "again",
                             kind.Resource(), name),
                 Details(kind, name));
}

Answer UidConflict(const Kind& kind, std::string_view name, std::string_view wanted,
                   std::string_view found) {
  return Failure(409, "Conflict",
                 fmt::format("Operation cannot be fulfilled on {} \"{}\": Precondition failed: UID "
                             "in precondition: {}, UID in object meta: {}",
                             kind.Resource(), name, wanted, found),
                 Details(kind, name));
}

Answer BadRequest(std::string_view message) { return Failure(400, "BadRequest", message); }

Answer Unauthorized() { return Failure(401, "Unauthorized", "Unauthorized"); }

Answer MethodNotAllowed() {
  return Failure(405, "MethodNotAllowed",
                 "the server does not allow this method on the requested resource", "{}");
}

Answer Expired(std::string_view message) { return Failure(410, "Expired", message); }

Answer UnsupportedMediaType(std::string_view accepted) {
  return Failure(415, "UnsupportedMediaType",
                 fmt::format("the body of the request was in an unknown format - accepted media "
                             "types include: {}",
                             accepted));
}

Answer PatchFailed() {
  return Failure(422, "Invalid", "the server rejected our request due to an error in our request",
                 "{}");
}

Answer Invalid(std::string_view group, std::string_view kind, std::string_view name,
               const std::vector<Cause>& causes) {
  std::string all;
  Json list = Json::array();
  for (const Cause& cause : causes) {
    all +=
        (all.empty() ? "" : ", ") +
        (cause.field.empty() ? cause.message : fmt::format("{}: {}", cause.field, cause.message));
    // The reason by the words that a field error begins with.
    std::string_view reason = "FieldValueInvalid";
    if (cause.message.starts_with("Required value")) reason = "FieldValueRequired";
    if (cause.message.starts_with("Forbidden")) reason = "FieldValueForbidden";
    if (cause.message.starts_with("Unsupported value")) reason = "FieldValueNotSupported";
    list.push_back({{"reason", reason}, {"message", cause.message}, {"field", cause.field}});
  }
  if (causes.size() > 1) all = "[" + all + "]";
  const std::string full = group.empty() ? std::string(kind) : fmt::format("{}.{}", kind, group);
  Json details = {{"name", name}};
  if (!group.empty()) details["group"] = group;
  details["kind"] = kind;
  details["causes"] = list;
  return Failure(422, "Invalid", fmt::format("{} \"{}\" is invalid: {}", full, name, all),
                 details.dump());
}

Answer TooManyRequests(int retry_after_seconds) {
  Answer answer = Failure(429, "TooManyRequests",
                          "the server has received too many requests and has asked us to try again "
                          "later",
                          Json({{"retryAfterSeconds", retry_after_seconds}}).dump());
  answer.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
  return answer;
}

std::string ErrorEvent(const Answer& failure) {
  return R"({"type":"ERROR","object":)" + failure.body + "}\n";
}

}  // namespace neap::playground
