// Cluster: the API server as this scaler sees it: requests that run together, which version of
// custom.metrics.k8s.io it serves, which resource a described object is, and errors in upstream's
// words, since an HPA's conditions show them. Owned by the scaler, one for each HTTP client.
// Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/kube/api/client.h"
#include "autoscaler/kube/api/discovery.h"
#include "scalers/sdk/scaler.h"

namespace neap::scalers::kubernetes_metrics {

inline constexpr char kResourceApi[] = "metrics.k8s.io";
inline constexpr char kCustomApi[] = "custom.metrics.k8s.io";
inline constexpr char kExternalApi[] = "external.metrics.k8s.io";

class Cluster {
 public:
  // As whom the environment says: the file in NEAP_KUBECONFIG, else the pod's credentials (its
  // token and authority perhaps from the files in NEAP_TOKEN_FILE and NEAP_CA_FILE), the files in
  // KUBECONFIG, ~/.kube/config. Errors: Unavailable, which says what was looked at; asked again
  // later, since a token that another process writes may not be there yet.
  static absl::StatusOr<std::shared_ptr<Cluster>> Connect(http::Client& http);

  http::Client& http() { return client_.http(); }

  // One GET. Two of equal path and query are the same question.
  struct Question {
    std::string path;
    http::Headers query;
    std::string asked;  // "pods.metrics.k8s.io" or "pods.custom.metrics.k8s.io *": for errors
    bool operator==(const Question& other) const {
      return path == other.path && query == other.query;
    }
    bool operator<(const Question& other) const {
      return std::tie(path, query) < std::tie(other.path, other.query);
    }
  };
  // Asks all of them, up to 16 at a time. Errors carry the text that upstream's client would give.
  std::vector<absl::StatusOr<std::string>> Ask(sdk::ReadContext& context,
                                               const std::vector<Question>& questions);

  // "v1beta2" or "v1beta1": the group's preferred version if it is one of the two, else the first
  // listed one. Kept for 30 s. Errors: NotFound in upstream's words, or those of the request.
  absl::StatusOr<std::string> CustomMetricsVersion(sdk::ReadContext& context);

  // "deployments.apps", "services": how a path names the objects of each kind.
  using Kind = std::pair<std::string, std::string>;  // group, kind
  std::vector<absl::StatusOr<std::string>> ResourcesOf(sdk::ReadContext& context,
                                                       const std::vector<Kind>& kinds);

 private:
  Cluster(http::Client& http, kube::api::ClusterConfig config)
      : client_(http, std::move(config)), discovery_(client_) {}

  kube::api::Client client_;
  kube::api::Discovery discovery_;
  const base::Clock clock_;
  base::Mutex mutex_;
  std::string version_ NEAP_GUARDED_BY(mutex_);
  absl::Duration version_until_ NEAP_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

// The text that upstream's client makes of a failed request; `asked` as in Question.
std::string UpstreamText(const absl::Status& status, std::string_view asked);

}  // namespace neap::scalers::kubernetes_metrics
