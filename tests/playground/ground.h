// Ground: a playground for one test, with Neap's own Kubernetes client to it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/kube/api/client.h"
#include "autoscaler/playground/json.h"
#include "autoscaler/playground/playground.h"
#include "tests/support/process.h"

namespace neap::playground {

inline constexpr char kWorld[] = R"(
seed: 7
metrics: {window: 2s, every: 1s}
deployments:
- name: checkout
  namespace: shop
  replicas: 2
  requests: {cpu: 500m, memory: 128Mi}
  cpu: {perRequest: 20m, idle: 5m}
  memory: 64Mi
  startup: {running: [20ms, 40ms], ready: [20ms, 40ms]}
  termination: [20ms, 40ms]
  load: {constant: 20}
- name: worker
  namespace: shop
  replicas: 0
- {name: many, namespace: other, count: 25}
queues:
- {name: jobs, namespace: shop, consumer: worker, perPod: 5, waiting: 40}
externalMetrics:
- {name: jobs_waiting, namespace: shop, labels: {queue: jobs}, from: {queue: jobs}}
customMetrics:
- {name: rps, namespace: shop, pods: checkout, from: {deployment: checkout, quantity: ratePerPod}}
- {name: hits, namespace: shop, object: {kind: Service, name: checkout}, from: {deployment: checkout}}
)";

inline constexpr char kAutoscaler[] = R"({
"apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": "checkout", "namespace": "shop"},
"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
"minReplicas": 1, "maxReplicas": 10,
"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]}})";

inline constexpr char kScale[] = "/apis/apps/v1/namespaces/shop/deployments/checkout/scale";
inline constexpr char kAutoscalers[] = "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers";

class Ground {
 public:
  explicit Ground(Options options = {}, const std::string& world = kWorld) {
    options.world_file = dir_.Write("world.yaml", world);
    options.kubeconfig = dir_.path() + "/kubeconfig";
    if (options.threads == Options().threads) options.threads = 32;
    playground_ = std::make_unique<Playground>(options);
    const absl::Status started = playground_->Start();
    EXPECT_TRUE(started.ok()) << started;
    auto config = kube::api::LoadKubeconfig(options.kubeconfig);
    EXPECT_TRUE(config.ok()) << config.status();
    client_ = std::make_unique<kube::api::Client>(http_, *std::move(config));
  }
  kube::api::Client& client() { return *client_; }
  http::Client& http() { return http_; }
  Playground& playground() { return *playground_; }
  std::string url(const std::string& path) const { return playground_->url() + path; }

  // Any request, whatever comes back.
  http::Response Raw(http::Request request) {
    request.url = url(request.url);
    request.tls = client_->config().tls;
    if (!client_->config().token.empty()) {
      request.headers.emplace_back("Authorization", "Bearer " + client_->config().token);
    }
    auto response = http_.Do(std::move(request));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::Response();
  }
  Json Get(const std::string& path) { return Json::parse(Raw({.url = path}).body, nullptr, false); }
  http::Response Send(const std::string& method, const std::string& path, const std::string& body,
                      const std::string& type = "application/json") {
    return Raw({.method = method, .url = path, .headers = {{"Content-Type", type}}, .body = body});
  }
  http::Response JsonPatch(const std::string& path, const Json& patch) {
    return Send("PATCH", path, patch.dump(), "application/json-patch+json");
  }
  http::Response MergePatch(const std::string& path, const Json& patch) {
    return Send("PATCH", path, patch.dump(), "application/merge-patch+json");
  }
  int64_t Ready(const std::string& name) {
    const Json world = Get("/world");
    for (const Json& one : world["deployments"]) {
      if (one["name"] == name) return one["readyPods"];
    }
    return -1;
  }

 private:
  testing_support::TempDir dir_;
  std::unique_ptr<Playground> playground_;
  http::Client http_;
  std::unique_ptr<kube::api::Client> client_;
};

}  // namespace neap::playground
