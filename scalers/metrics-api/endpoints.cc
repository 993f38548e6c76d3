#include "scalers/metrics-api/endpoints.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::scalers::metrics_api {

absl::StatusOr<Url> Url::Parse(std::string_view text) {
  Url out;
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || scheme == 0) {
    return base::InvalidArgument("has no scheme: write http://host/path");
  }
  out.scheme = std::string(text.substr(0, scheme));
  std::string_view rest = text.substr(scheme + 3);
  const size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  out.path = std::string(rest.substr(slash));
  rest = rest.substr(0, slash);
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  const size_t bracket = rest.rfind(']');
  const size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  out.host = std::string(rest.substr(0, colon));
  if (colon != std::string_view::npos) out.port = std::string(rest.substr(colon + 1));
  if (out.host.starts_with('[') && out.host.ends_with(']')) {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  if (out.host.empty()) return base::InvalidArgument("has no host");
  return out;
}

absl::StatusOr<ServiceName> ServiceName::Parse(std::string_view host) {
  const size_t dot = host.find('.');
  const std::string_view rest = dot == std::string_view::npos ? "" : host.substr(dot + 1);
  ServiceName out = {.ns = std::string(rest.substr(0, rest.find('.'))),
                     .name = std::string(host.substr(0, dot))};
  if (out.name.empty() || out.ns.empty()) {
    return base::InvalidArgument(
        "host \"{}\" is no Service: aggregateFromKubeServiceEndpoints needs <service>.<namespace>",
        host);
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> EndpointUrls(std::string_view list, const Url& url) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(list.data(), list.size()).get(root)) {
    return base::InvalidArgument("the list of EndpointSlices is not JSON: {}",
                                 simdjson::error_message(error));
  }
  simdjson::dom::array items;
  if (root["items"].get(items)) {
    return base::InvalidArgument("the list of EndpointSlices has no items");
  }
  const std::string path = url.path.substr(0, url.path.find_first_of("?#"));
  std::vector<std::string> out;
  for (simdjson::dom::element slice : items) {
    std::string port;
    if (simdjson::dom::array ports; !slice["ports"].get(ports)) {
      for (simdjson::dom::element entry : ports) {
        int64_t number = 0;
        if (!entry["port"].get(number) && std::to_string(number) == url.port) {
          port = ":" + url.port;
        }
      }
    }
    simdjson::dom::array endpoints;
    if (slice["endpoints"].get(endpoints)) continue;
    for (simdjson::dom::element endpoint : endpoints) {
      bool ready = true;  // as the API says, no condition means ready
      if (!endpoint["conditions"]["ready"].get(ready) && !ready) continue;
      simdjson::dom::array addresses;
      if (endpoint["addresses"].get(addresses)) continue;
      for (simdjson::dom::element address : addresses) {
        std::string_view text;
        if (address.get(text) || text.empty()) continue;
        const bool v6 = text.find(':') != std::string_view::npos;
        out.push_back(fmt::format("{}://{}{}{}{}{}", url.scheme, v6 ? "[" : "", text, v6 ? "]" : "",
                                  port, path));
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

absl::StatusOr<std::vector<std::string>> Endpoints::Find(const Url& url,
                                                         sdk::ReadContext& context) {
  NEAP_ASSIGN_OR_RETURN(const ServiceName service, ServiceName::Parse(url.host));
  std::shared_ptr<kube::api::Client> api;
  {
    base::MutexLock lock(mutex_);
    if (api_ == nullptr || http_ != &context.http()) {
      const char* file = std::getenv("NEAP_KUBECONFIG");
      absl::StatusOr<kube::api::ClusterConfig> config =
          kube::api::FindConfig(file == nullptr ? "" : file);
      if (!config.ok()) {
        return base::Unavailable("no way to the Kubernetes API: {}",
                                 base::Message(config.status()));
      }
      http_ = &context.http();
      api_ = std::make_shared<kube::api::Client>(context.http(), *std::move(config));
    }
    api = api_;
  }
  NEAP_ASSIGN_OR_RETURN(
      const kube::api::Reply reply,
      api->Do(
          {.path = kube::api::ResourcePath("discovery.k8s.io", "v1", "endpointslices", service.ns),
           .query = {{"labelSelector", "kubernetes.io/service-name=" + service.name}},
           .timeout = context.remaining()}));
  absl::StatusOr<std::vector<std::string>> urls = EndpointUrls(reply.body, url);
  if (!urls.ok()) return base::DataLoss("{}: {}", reply.where, base::Message(urls.status()));
  if (urls->empty()) {
    return base::NotFound("Service {}/{} has no ready endpoint", service.ns, service.name);
  }
  return urls;
}

}  // namespace neap::scalers::metrics_api
