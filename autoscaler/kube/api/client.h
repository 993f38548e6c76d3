// api::Client: requests to one Kubernetes API server over an http::Client: adds server, credentials
// and media types, turns answers other than 2xx into statuses that carry an ApiError and, where we
// were not let in, say as whom we asked. Counts requests and keeps reads within a budget. No
// retries: the caller knows whether asking again is right. Owned by app (and by scalers and tools
// that read Kubernetes); borrows the http::Client, which must outlive it. Thread-safe; callbacks
// run on the http::Client's thread.
//
//   api.Send({.path = api::ResourcePath("apps", "v1", "deployments", "shop", "web", "scale")},
//            [](absl::StatusOr<api::Reply> reply) { ... });
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/http/client.h"
#include "autoscaler/kube/api/config.h"
#include "autoscaler/kube/api/credentials.h"
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
  std::function<bool()> may_send = {};  // see http::Request
};

struct Reply {
  int status = 0;  // 2xx
  std::string body;
  std::string where;                       // "GET https://server/path", for messages about the body
  absl::Time date = absl::InfinitePast();  // the server's clock, when it said it
};

// "/api/v1/..." or "/apis/{group}/{version}/..."; parts are encoded; "" parts are left out.
std::string ResourcePath(std::string_view group, std::string_view version, std::string_view plural,
                         std::string_view ns = "", std::string_view name = "",
                         std::string_view subresource = "");

struct ClientOptions {
  // Reads (GET) beyond this rate wait for their turn, a burst is let through; 0 = no limit. Writes
  // never wait here, they have budgets of their own and a lease must be renewed in time; but they
  // count, so that reads wait for them.
  double reads_per_second = 0;
  double burst = 0;
  CredentialOptions credentials = {};
};

// One verb on one resource with one answer, since the start.
struct RequestCount {
  std::string verb;      // "get", "list", "watch", "create", "update", "patch", "delete"
  std::string resource;  // "pods", "deployments/scale"; "-" for what is no resource (discovery)
  std::string code;      // "200", or "error" without an answer
  uint64_t requests = 0;
};
struct ClientCounters {
  std::vector<RequestCount> requests;
  uint64_t delayed = 0;  // requests that waited for the budget
  absl::Duration delay;  // all of their waiting
  CredentialCounters credentials;
  // The server's clock minus ours, by the last answer with a Date, whole seconds.
  std::optional<absl::Duration> clock_skew;
};

class Client {
 public:
  Client(http::Client& http, ClusterConfig config, ClientOptions options = {});
  ~Client();  // requests that were not sent yet end with Cancelled
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  http::Id Send(Call call, std::function<void(absl::StatusOr<Reply>)> done);
  // Sends and waits; not on the http::Client's thread.
  absl::StatusOr<Reply> Do(Call call);
  // An answer as it arrives, whatever its status; for watches. See http::Client::Stream.
  http::Id Stream(Call call, absl::Duration idle_timeout, http::StreamHandlers handlers);

  // Of a stream that ended badly: says who we are, where the server or TLS did not let us in.
  absl::Status Explain(const absl::Status& error) const;

  http::Client& http() { return http_; }
  const ClusterConfig& config() const;
  ClientCounters counters() const;

 private:
  struct Shared;
  http::Id Start(Call call, absl::Duration idle_timeout, bool is_stream, http::Callback done,
                 http::StreamHandlers handlers);

  http::Client& http_;
  const std::shared_ptr<Shared> shared_;  // with callbacks that may outlive this object
};

}  // namespace neap::kube::api
