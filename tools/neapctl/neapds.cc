#include "tools/neapctl/neapds.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"
#include "autoscaler/base/version.h"
#include "autoscaler/kube/api/config.h"
#include "autoscaler/kube/api/error.h"

namespace neap::ctl {
namespace {

// As the chart labels its pods and names the container and its port.
constexpr char kSelector[] = "app.kubernetes.io/name=neap";
constexpr char kContainer[] = "neapd";
constexpr char kPort[] = "http";

std::string UserAgent() { return fmt::format("neapctl/{}", base::Version()); }

std::string Chomp(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

// A pod's proxy path, when a neapd runs in it.
struct Pod {
  std::string name;  // "ns/name"
  std::string proxy;
};
std::optional<Pod> NeapdIn(const value::Value& pod) {
  if (pod.StringAt("status.phase") != "Running") return std::nullopt;
  const value::Value* containers = pod.Find("spec.containers");
  if (containers == nullptr || !containers->is_list()) return std::nullopt;
  for (const value::Value& container : containers->list()) {
    if (container.StringAt("name") != kContainer) continue;
    const value::Value* ports = container.Get("ports");
    if (ports == nullptr || !ports->is_list()) return std::nullopt;
    for (const value::Value& port : ports->list()) {
      if (port.StringAt("name") != kPort) continue;
      const std::string ns(pod.StringAt("metadata.namespace"));
      const std::string name(pod.StringAt("metadata.name"));
      return Pod{.name = ns + "/" + name,
                 .proxy = fmt::format("/api/v1/namespaces/{}/pods/{}:{}/proxy", http::UrlEncode(ns),
                                      http::UrlEncode(name), port.IntAt("containerPort"))};
    }
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<Pod>> FindNeapds(Cluster& cluster, const std::string& ns) {
  auto reply = cluster.Do({.path = kube::api::ResourcePath("", "v1", "pods", ns),
                           .query = {{"labelSelector", kSelector}}});
  if (!reply.ok()) {
    const bool denied = absl::IsPermissionDenied(reply.status());
    return base::Annotate(reply.status(), denied && ns.empty()
                                              ? "looking for neapd (--neap-namespace names where)"
                                              : "looking for neapd");
  }
  NEAP_ASSIGN_OR_RETURN(const value::Value list, value::ParseJson(reply->body, reply->where));
  std::vector<Pod> found;
  if (const value::Value* items = list.Get("items"); items != nullptr && items->is_list()) {
    for (const value::Value& item : items->list()) {
      if (auto pod = NeapdIn(item)) found.push_back(*std::move(pod));
    }
  }
  std::sort(found.begin(), found.end(), [](const Pod& a, const Pod& b) { return a.name < b.name; });
  if (!found.empty()) return found;
  return base::NotFound(
      "no running pod with label {} and a container {} {}: is Neap installed? (--address asks a "
      "neapd that runs elsewhere)",
      kSelector, kContainer, ns.empty() ? "in any namespace" : "in namespace " + ns);
}

}  // namespace

Cluster::Cluster(kube::api::ClusterConfig config, std::string ns)
    : http_({.user_agent = UserAgent()}), api_(http_, std::move(config)), ns_(std::move(ns)) {}

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Open(const ClusterFlags& flags) {
  NEAP_ASSIGN_OR_RETURN(auto config, kube::api::FindConfig(flags.kubeconfig, flags.context));
  std::string ns = flags.ns.empty() ? config.ns : flags.ns;
  return std::unique_ptr<Cluster>(new Cluster(std::move(config), std::move(ns)));
}

std::string Answered::Refusal() const {
  return status == 0 ? fmt::format("{}: {}", who, body)
                     : fmt::format("{}: {} {}", who, status, body);
}

absl::StatusOr<Answered> AskAddress(const std::string& address, const std::string& path,
                                    const http::Headers& query, absl::Duration patience) {
  http::Client client({.user_agent = UserAgent()});
  http::Request request;
  request.url = address.substr(0, address.find_last_not_of('/') + 1) + path;
  if (!query.empty()) request.url += "?" + http::QueryString(query);
  request.timeout = patience;
  NEAP_ASSIGN_OR_RETURN(http::Response response, client.Do(std::move(request)));
  const bool good = response.status == 200;
  return Answered{.who = address,
                  .status = response.status,
                  .body = good ? std::move(response.body) : Chomp(std::move(response.body))};
}

absl::StatusOr<std::vector<Answered>> AskAll(const ClusterFlags& flags, const std::string& path,
                                             const http::Headers& query, absl::Duration patience) {
  if (!flags.address.empty()) {
    NEAP_ASSIGN_OR_RETURN(Answered one, AskAddress(flags.address, path, query, patience));
    return std::vector<Answered>{std::move(one)};
  }
  NEAP_ASSIGN_OR_RETURN(const auto cluster, Cluster::Open(flags));
  NEAP_ASSIGN_OR_RETURN(const std::vector<Pod> pods, FindNeapds(*cluster, flags.neap_namespace));
  struct {
    base::Mutex mutex;
    base::CondVar changed;
    std::map<std::string, absl::StatusOr<kube::api::Reply>> replies;
  } shared;
  for (const Pod& pod : pods) {
    cluster->api().Send({.path = pod.proxy + path, .query = query, .timeout = patience},
                        [&shared, name = pod.name](absl::StatusOr<kube::api::Reply> reply) {
                          base::MutexLock lock(shared.mutex);
                          shared.replies.emplace(name, std::move(reply));
                          shared.changed.NotifyAll();
                        });
  }
  base::MutexLock lock(shared.mutex);
  while (shared.replies.size() < pods.size()) shared.changed.Wait(shared.mutex);
  std::vector<Answered> out;
  absl::Status trouble;
  for (auto& [name, reply] : shared.replies) {
    Answered one{.who = "pod " + name};
    if (reply.ok()) {
      one.status = reply->status;
      one.body = std::move(reply->body);
    } else if (const auto error = kube::api::ApiErrorOf(reply.status())) {
      one.status = error->code;
      one.body = Chomp(error->message);
    } else {
      one.body = base::Message(reply.status());
      trouble = base::Annotate(reply.status(), one.who);
    }
    out.push_back(std::move(one));
  }
  const auto answered = [](const Answered& one) { return one.status != 0; };
  if (std::none_of(out.begin(), out.end(), answered)) return trouble;
  return out;
}

}  // namespace neap::ctl
