#include "autoscaler/kube/api/error.h"

#include <absl/strings/cord.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "autoscaler/base/status.h"

namespace neap::kube::api {
namespace {

using Json = nlohmann::json;

constexpr char kPayload[] = "neap.dev/kubernetes-api-error";
constexpr int64_t kLongestRetryAfter = 300;  // seconds
constexpr size_t kQuoted = 200;              // characters of a body that is no Status

std::string StringIn(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}
std::optional<int64_t> NumberIn(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number_integer()) return std::nullopt;
  return at->get<int64_t>();
}

std::string_view ReasonOf(int code) {
  switch (code) {
    case 400:
      return "BadRequest";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 405:
      return "MethodNotAllowed";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 415:
      return "UnsupportedMediaType";
    case 422:
      return "Invalid";
    case 429:
      return "TooManyRequests";
    case 500:
      return "InternalError";
    case 503:
      return "ServiceUnavailable";
    case 504:
      return "Timeout";
    default:
      return "Unknown";
  }
}

// The beginning of a body for people: one line, printable.
std::string Quote(std::string_view body) {
  std::string out;
  for (const char c : body.substr(0, kQuoted)) {
    out += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? ' ' : c;
  }
  if (body.size() > kQuoted) out += "...";
  return out;
}

void ReadStatus(const Json& status, ApiError* error) {
  if (const auto code = NumberIn(status, "code"); code && *code >= 100 && *code < 600) {
    error->code = static_cast<int>(*code);
  }
  error->reason = StringIn(status, "reason");
  error->message = StringIn(status, "message");
  const auto details = status.find("details");
  if (details == status.end() || !details->is_object()) return;
  error->kind = StringIn(*details, "kind");
  error->name = StringIn(*details, "name");
  if (const auto seconds = NumberIn(*details, "retryAfterSeconds"); seconds && *seconds > 0) {
    error->retry_after = absl::Seconds(std::min(*seconds, kLongestRetryAfter));
  }
  const auto causes = details->find("causes");
  if (causes == details->end() || !causes->is_array()) return;
  for (const Json& cause : *causes) {
    if (!cause.is_object()) continue;
    error->causes.push_back({.reason = StringIn(cause, "reason"),
                             .message = StringIn(cause, "message"),
                             .field = StringIn(cause, "field")});
  }
}

ApiError FromBody(std::string_view body, int code) {
  ApiError error;
  error.code = code;
  const Json parsed = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && StringIn(parsed, "kind") == "Status") {
    ReadStatus(parsed, &error);
    if (code != 0) error.code = code;  // what HTTP said
  }
  if (error.reason.empty()) error.reason = ReasonOf(error.code);
  if (error.message.empty()) {
    error.message =
        body.empty()
            ? fmt::format("the server answered {} ({})", error.code, error.reason)
            : fmt::format("the server answered {} ({}): {}", error.code, error.reason, Quote(body));
  }
  return error;
}

absl::StatusCode CodeOf(const ApiError& error) {
  switch (error.code) {
    case 400:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return error.reason == "AlreadyExists" ? absl::StatusCode::kAlreadyExists
                                             : absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 422:
      return absl::StatusCode::kFailedPrecondition;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 500:
      return absl::StatusCode::kInternal;
    default:
      return error.code > 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnknown;
  }
}

}  // namespace

ApiError ApiErrorFrom(const http::Response& response) {
  ApiError error = FromBody(response.body, response.status);
  const std::string_view header = response.Header("Retry-After");
  int64_t seconds = 0;
  const auto [end, problem] =
      std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (problem == std::errc() && end == header.data() + header.size() && seconds >= 0) {
    error.retry_after = absl::Seconds(std::min(seconds, kLongestRetryAfter));
  }
  return error;
}

ApiError ApiErrorFromStatusObject(std::string_view json) { return FromBody(json, 0); }

absl::Status ToStatus(const ApiError& error, std::string_view where) {
  absl::Status status(CodeOf(error), fmt::format("{}: {}", where, error.message));
  Json json = {{"code", error.code},     {"reason", error.reason}, {"message", error.message},
               {"kind", error.kind},     {"name", error.name},     {"causes", Json::array()},
               {"retryAfterMs", nullptr}};
  for (const ApiError::Cause& cause : error.causes) {
    json["causes"].push_back({cause.reason, cause.message, cause.field});
  }
  if (error.retry_after) json["retryAfterMs"] = absl::ToInt64Milliseconds(*error.retry_after);
  status.SetPayload(kPayload,
                    absl::Cord(json.dump(-1, ' ', false, Json::error_handler_t::replace)));
  return status;
}

absl::Status WithNote(const absl::Status& status, std::string_view text) {
  if (status.ok() || text.empty()) return status;
  absl::Status noted(status.code(), fmt::format("{} ({})", base::Message(status), text));
  if (auto payload = status.GetPayload(kPayload)) noted.SetPayload(kPayload, *std::move(payload));
  return noted;
}

std::optional<ApiError> ApiErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  const Json json = Json::parse(std::string(*payload));  // ToStatus wrote it
  ApiError error{.code = json["code"],
                 .reason = json["reason"],
                 .message = json["message"],
                 .kind = json["kind"],
                 .name = json["name"],
                 .causes = {},
                 .retry_after = std::nullopt};
  for (const Json& cause : json["causes"]) error.causes.push_back({cause[0], cause[1], cause[2]});
  if (!json["retryAfterMs"].is_null()) {
    error.retry_after = absl::Milliseconds(json["retryAfterMs"].get<int64_t>());
  }
  return error;
}

std::string ServerMessage(const absl::Status& status) {
  const auto error = ApiErrorOf(status);
  return error ? error->message : std::string(base::Message(status));
}

}  // namespace neap::kube::api
