// ObjectStore: one collection of objects behind an ApiServer, kept as a real server keeps them:
// resourceVersions as preconditions with 409 for old ones, merge patches, label selectors, the
// limit on a ConfigMap's size. For the tests of what writes objects of Neap's own. Thread-safe; to
// be declared after the server and stopped before it goes (ApiServer::StopAtEnd).
#pragma once

#include <absl/strings/escaping.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "tests/kube/api_server.h"

namespace neap::kube {

class ObjectStore {
 public:
  using Json = nlohmann::json;
  using Request = ApiServer::Request;
  // Asked before each request: an answer instead of the server's, or none.
  using Before = std::function<std::optional<Answer>(const Request&)>;
  // Asked after each request that was done: an answer instead of the server's, or none.
  using After = std::function<std::optional<Answer>(const Request&)>;

  // "/api/v1/namespaces/neap/configmaps"
  ObjectStore(ApiServer& server, const std::string& path) {
    const auto serve = [this](const Request& request) { return Serve(request); };
    for (const char* method : {"GET", "POST"}) server.On(method, path, serve);
    for (const char* method : {"GET", "PATCH", "DELETE"}) server.On(method, path + "/*", serve);
  }

  void SetBefore(Before before) {
    base::MutexLock lock(mutex_);
    before_ = std::move(before);
  }
  void SetAfter(After after) {
    base::MutexLock lock(mutex_);
    after_ = std::move(after);
  }

  std::optional<Json> Find(const std::string& name) const {
    base::MutexLock lock(mutex_);
    const auto at = objects_.find(name);
    return at == objects_.end() ? std::nullopt : std::optional(at->second);
  }
  std::vector<std::string> Names() const {
    base::MutexLock lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [name, object] : objects_) out.push_back(name);
    return out;
  }
  // As somebody else would, with kubectl.
  void Patch(const std::string& name, const Json& patch) {
    base::MutexLock lock(mutex_);
    Json& object = objects_[name];
    object.merge_patch(patch);
    Stamp(name, object);
  }
  void Delete(const std::string& name) {
    base::MutexLock lock(mutex_);
    objects_.erase(name);
  }

 private:
  Answer Serve(const Request& request) {
    Before before;
    After after;
    {
      base::MutexLock lock(mutex_);
      before = before_;
      after = after_;
    }
    if (before) {
      if (auto answer = before(request)) return *answer;
    }
    Answer answer = Do(request);
    if (after) {
      if (auto other = after(request)) return *other;
    }
    return answer;
  }

  Answer Do(const Request& request) {
    base::MutexLock lock(mutex_);
    const Json body = request.body.empty() ? Json::object() : Json::parse(request.body);
    std::string name = request.path.substr(request.path.rfind('/') + 1);
    if (request.method == "GET" && (name == "leases" || name == "configmaps")) return All(request);
    if (request.method == "POST") {
      name = body.at("metadata").at("name");
      if (objects_.contains(name)) {
        return Refusal(409, "AlreadyExists", name + " already exists");
      }
      return Put(name, body, /*status=*/201);
    }
    const auto at = objects_.find(name);
    if (at == objects_.end()) return Refusal(404, "NotFound", name + " not found");
    if (request.method == "GET") return {.body = at->second.dump()};
    if (request.method == "DELETE") {
      const Json wanted = body.value("/preconditions/resourceVersion"_json_pointer, Json());
      if (!wanted.is_null() && wanted != Version(at->second)) {
        return Refusal(409, "Conflict", "the precondition does not hold");
      }
      objects_.erase(at);
      return {.body = R"({"kind":"Status","apiVersion":"v1","status":"Success"})"};
    }
    EXPECT_EQ(request.content_type, "application/merge-patch+json");
    const Json wanted = body.value("/metadata/resourceVersion"_json_pointer, Json());
    if (!wanted.is_null() && wanted != Version(at->second)) {
      return Refusal(
          409, "Conflict",
          "the object has been modified; please apply your changes to the latest version");
    }
    Json object = at->second;
    object.merge_patch(body);
    return Put(name, std::move(object), 200);
  }

  static Json Version(const Json& object) { return object.at("metadata").at("resourceVersion"); }

  Answer Put(const std::string& name, Json object, int status) NEAP_REQUIRES(mutex_) {
    size_t bytes = 0;
    const Json data = object.value("binaryData", Json::object());
    for (const auto& [key, value] : data.items()) {
      std::string decoded;
      if (!absl::Base64Unescape(value.get<std::string>(), &decoded)) {
        return Refusal(400, "BadRequest", "illegal base64 data");
      }
      bytes += key.size() + decoded.size();
    }
    if (bytes > size_t{1} << 20) {
      return Refusal(422, "Invalid",
                     name + " is invalid: Too long: may not be more than 1048576 bytes",
                     R"({"name":"x","kind":"ConfigMap","causes":[{"reason":"FieldValueTooLong",)"
                     R"("message":"Too long","field":"data"}]})");
    }
    Json& kept = objects_[name];
    kept = std::move(object);
    Stamp(name, kept);
    return {.status = status, .body = kept.dump()};
  }
  void Stamp(const std::string& name, Json& object) NEAP_REQUIRES(mutex_) {
    Json& metadata = object["metadata"];
    metadata["name"] = name;
    metadata["resourceVersion"] = std::to_string(++version_);
    if (!metadata.contains("creationTimestamp")) metadata["creationTimestamp"] = kCreated;
  }

  Answer All(const Request& request) NEAP_REQUIRES(mutex_) {
    std::string items;
    for (const auto& [name, object] : objects_) {
      if (!Selected(object, request.Query("labelSelector"))) continue;
      items += (items.empty() ? "" : ",") + object.dump();
    }
    return {.body = List(std::to_string(version_), items)};
  }
  // "a=b,c=d"
  static bool Selected(const Json& object, std::string selector) {
    const Json labels = object.value("/metadata/labels"_json_pointer, Json::object());
    while (!selector.empty()) {
      const std::string one = selector.substr(0, selector.find(','));
      selector.erase(0, one.size() + 1);
      const size_t equals = one.find('=');
      if (labels.value(one.substr(0, equals), "") != one.substr(equals + 1)) return false;
    }
    return true;
  }

  static constexpr char kCreated[] = "2026-01-01T00:00:00Z";

  mutable base::Mutex mutex_;
  std::map<std::string, Json> objects_ NEAP_GUARDED_BY(mutex_);
  uint64_t version_ NEAP_GUARDED_BY(mutex_) = 100;
  Before before_ NEAP_GUARDED_BY(mutex_);
  After after_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::kube
