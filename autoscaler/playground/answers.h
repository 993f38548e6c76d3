// Answers of the REST API, with the words and shapes of a Kubernetes API server: an Answer is what
// one request gets, and the functions make the Status objects of everything that goes wrong. Plain
// values; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/playground/kinds.h"

namespace neap::playground {

struct Answer {
  int code = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
  // Of a write of a scale subresource: replicas before and after.
  std::optional<std::pair<int, int>> scaled = {};
};

Answer Ok(std::string body);
// The parts of a Status; `details` may be "" = {} .
Answer Failure(int code, std::string_view reason, std::string_view message,
               std::string_view details_json = "");

Answer PageNotFound();                                          // an unknown path
Answer ResourceNotFound();                                      // an unknown resource in a group
Answer NotFound(const Kind& kind, std::string_view name);       // 404
Answer AlreadyExists(const Kind& kind, std::string_view name);  // 409
Answer Conflict(const Kind& kind, std::string_view name);       // 409: another resourceVersion
Answer UidConflict(const Kind& kind, std::string_view name, std::string_view wanted,
                   std::string_view found);              // 409
Answer BadRequest(std::string_view message);             // 400
Answer Unauthorized();                                   // 401
Answer MethodNotAllowed();                               // 405
Answer Expired(std::string_view message);                // 410
Answer UnsupportedMediaType(std::string_view accepted);  // 415
// A JSON Patch whose `test` failed, or that does not fit: 422.
Answer PatchFailed();
struct Cause {
  std::string field;
  std::string message;  // "Invalid value: -1: must be ..."
};
// 422 with details. `group` and `kind` as in 'Scale.autoscaling "web" is invalid'.
Answer Invalid(std::string_view group, std::string_view kind, std::string_view name,
               const std::vector<Cause>& causes);
Answer TooManyRequests(int retry_after_seconds);  // 429

// {"type":"ERROR","object":<status>} and a line's end.
std::string ErrorEvent(const Answer& failure);

}  // namespace neap::playground
