// What a request asks: its path in parts, its query, and which objects of a kind it wants. Plain
// values made by the server for each request; pure functions.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/selector.h"
#include "autoscaler/playground/store.h"

namespace neap::playground {

struct ApiRequest {
  std::string method;
  std::string path;                     // as sent, for logs and faults
  std::vector<std::string> parts = {};  // decoded
  std::map<std::string, std::string, std::less<>> query = {};
  std::string accept = {};
  std::string content_type = {};
  std::string user_agent = {};
  std::string body = {};

  // "" when it is not there.
  std::string_view Query(std::string_view key) const;
  bool Flag(std::string_view key) const;  // "true" or "1"
};

// The parts of a path, percent-decoded: "/a/b%2Fc/" -> {"a", "b/c"}.
std::vector<std::string> PathParts(std::string_view path);

// labelSelector, fieldSelector and the namespace of a list or watch.
class Filter {
 public:
  Filter() = default;
  // Errors: InvalidArgument in the API's words.
  static absl::StatusOr<Filter> Of(const ApiRequest& request, const Kind& kind, std::string ns,
                                   std::string name);
  bool Matches(const Object& object) const;
  const std::string& ns() const { return ns_; }
  // Whether a list keeps everything in its namespace.
  bool empty() const { return labels_.empty() && fields_.empty(); }

 private:
  struct Field {
    std::string path;  // "status.phase"
    std::string value;
    bool equal = true;
  };
  std::string ns_;
  base::Selector labels_;
  std::vector<Field> fields_;
};

}  // namespace neap::playground
