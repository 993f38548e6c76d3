// The ready endpoints of a Kubernetes Service, for aggregateFromKubeServiceEndpoints: one URL for
// each. Used by the metrics-api scaler alone. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/kube/api/client.h"
#include "scalers/sdk/scaler.h"

namespace neap::scalers::metrics_api {

// An URL as `scheme://host[:port]/path`, taken apart.
struct Url {
  std::string scheme;
  std::string host;  // without brackets
  std::string port;  // "" when there is none
  std::string path;  // with its slash and query; "" when there is none
  // Errors: InvalidArgument that says what is missing.
  static absl::StatusOr<Url> Parse(std::string_view text);
};

// `service` and `namespace` of a host like "web.shop" or "web.shop.svc.cluster.local". Errors:
// InvalidArgument.
struct ServiceName {
  std::string ns;
  std::string name;
  static absl::StatusOr<ServiceName> Parse(std::string_view host);
};

// The URLs of the ready endpoints in an EndpointSliceList: the url's port where a slice has it
// (else none), its path, no query. Sorted, without duplicates. Errors: InvalidArgument when the
// list can't be read.
absl::StatusOr<std::vector<std::string>> EndpointUrls(std::string_view list, const Url& url);

// Asks the API server, as whom the environment says: NEAP_KUBECONFIG, else as kubectl does (the
// pod's credentials first).
class Endpoints {
 public:
  absl::StatusOr<std::vector<std::string>> Find(const Url& url, sdk::ReadContext& context);

 private:
  base::Mutex mutex_;
  http::Client* http_ NEAP_GUARDED_BY(mutex_) = nullptr;
  std::shared_ptr<kube::api::Client> api_ NEAP_GUARDED_BY(mutex_);  // of http_
};

}  // namespace neap::scalers::metrics_api
