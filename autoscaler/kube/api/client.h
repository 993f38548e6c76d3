// api::Client: requests to one Kubernetes API server over an http::Client: adds server, credentials
// and media types, turns answers other than 2xx into statuses that carry an ApiError. No retries:
// the caller knows whether asking again is right. Owned by app (and by scalers and tools that read
// Kubernetes); borrows the http::Client, which must outlive it. Thread-safe; callbacks run on the
// http::Client's thread.
//
//   api.Send({.path = api::ResourcePath("apps", "v1", "deployments", "shop", "web", "scale")},
//            [](absl::StatusOr<api::Reply> reply) { ... });
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/http/client.h"
#include "autoscaler/kube/api/config.h"
#include "autoscaler/kube/api/error.h"

namespace neap::kube::api {

inline constexpr char kJson[] = "application/json";
inline constexpr char kJsonPatch[] = "application/json-patch+json";
inline constexpr char kMergePatch[] = "application/merge-patch+json";

struct Call {
  std::string method = "GET";
  std::string path;          // begins with '/', encoded: see ResourcePath
  http::Headers query = {};  // encoded by us
  std::string body = {};
  std::string content_type = kJson;  // of `body`
  absl::Duration timeout = absl::Seconds(30);
  size_t max_response_bytes = size_t{64} << 20;
};

struct Reply {
  int status = 0;  // 2xx
  std::string body;
  std::string where;  // "GET https://server/path", for messages about the body
};

// "/api/v1/..." or "/apis/{group}/{version}/..."; parts are encoded; "" parts are left out.
std::string ResourcePath(std::string_view group, std::string_view version, std::string_view plural,
                         std::string_view ns = "", std::string_view name = "",
                         std::string_view subresource = "");

class Client {
 public:
  Client(http::Client& http, ClusterConfig config);

  http::Id Send(Call call, std::function<void(absl::StatusOr<Reply>)> done);
  // Sends and waits; not on the http::Client's thread.
  absl::StatusOr<Reply> Do(Call call);
  // An answer as it arrives, whatever its status; for watches. See http::Client::Stream.
  http::Id Stream(Call call, absl::Duration idle_timeout, http::StreamHandlers handlers);

  http::Client& http() { return http_; }
  const ClusterConfig& config() const { return config_; }

  // How often a token file is looked at; before that when the server answers 401.
  static constexpr absl::Duration kTokenCheck = absl::Minutes(1);

 private:
  // Shared with callbacks that may outlive this object.
  struct Token {
    base::Mutex mutex;
    std::string text NEAP_GUARDED_BY(mutex);
    absl::Duration read_at NEAP_GUARDED_BY(mutex) = -absl::InfiniteDuration();
    void Doubt() NEAP_EXCLUDES(mutex);  // read it again at the next request
  };
  absl::StatusOr<http::Request> Prepare(Call call);
  absl::StatusOr<std::string> CurrentToken() NEAP_EXCLUDES(token_->mutex);
  static absl::StatusOr<Reply> Judge(absl::StatusOr<http::Response> response, std::string where,
                                     Token& token);

  http::Client& http_;
  const ClusterConfig config_;
  const base::Clock clock_;
  const std::shared_ptr<Token> token_ = std::make_shared<Token>();
};

}  // namespace neap::kube::api
