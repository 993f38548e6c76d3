// How to reach an API server and who we are there: from kubeconfig files or from what Kubernetes
// puts into a pod. Read once at start by app, the scalers that read Kubernetes, and neapctl; plain
// values. Errors are InvalidArgument or NotFound and name file, line and field, and the context,
// cluster and user as far as they are known. What changes while we run (token and certificate
// files, credential plugins) is Credentials' and http::Client's to read.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/http/client.h"

namespace neap::kube::api {

// users[].user.exec: a program that prints credentials (client.authentication.k8s.io). See
// exec_plugin.h for how it is run.
struct ExecPlugin {
  std::string api_version = {};  // "client.authentication.k8s.io/v1" or ".../v1beta1"
  std::string command = {};      // a path, or a name to be found in PATH
  std::vector<std::string> args = {};
  std::vector<std::pair<std::string, std::string>> env = {};  // added to ours
  std::string install_hint = {};
  bool provide_cluster_info = false;
  std::string cluster_extension = {};  // JSON for spec.cluster.config, "" = none
  bool operator==(const ExecPlugin&) const = default;
};

// Whom requests shall count as (`as`, `as-uid`, `as-groups`, `as-user-extra`); user "" = nobody.
struct Impersonation {
  std::string user = {};
  std::string uid = {};
  std::vector<std::string> groups = {};
  std::vector<std::pair<std::string, std::vector<std::string>>> extra = {};
  bool operator==(const Impersonation&) const = default;
};

struct ClusterConfig {
  std::string origin = {};  // the file (several: parted by colons), or "in-cluster"; for messages
  // The names that the kubeconfig uses; "" in a pod. For messages.
  std::string context = {};
  std::string cluster = {};
  std::string user = {};
  std::string server = {};  // "https://10.0.0.1:6443", perhaps with a path; no slash at the end
  http::Tls tls = {};
  std::optional<std::string> proxy = std::nullopt;  // proxy-url; unset: the environment's
  // Who we are: the first of these that is set, and a client certificate in `tls` besides.
  std::string token_file = {};  // bearer token, read again as it changes
  std::string token = {};       // bearer token
  std::string username = {};    // basic authentication
  std::string password = {};
  std::optional<ExecPlugin> exec = std::nullopt;
  Impersonation impersonate = {};
  std::string ns = {};  // namespace of the context or of the pod, "default" when it says none
};

// `context "prod", cluster "east", user "bob" of config`, `in-cluster`; "" for a
// config without an origin.
std::string Describe(const ClusterConfig& config);

// `context` "" means current-context. Relative paths in a file are relative to its folder.
// auth-provider and plugins that need a terminal are refused by name.
absl::StatusOr<ClusterConfig> LoadKubeconfig(const std::string& path,
                                             std::string_view context = "");
// Several files as kubectl merges them: the first file that has a name (of a context, a cluster, a
// user, or current-context) is right about all of it; files that do not exist are passed over, but
// one must.
absl::StatusOr<ClusterConfig> LoadKubeconfigs(const std::vector<std::string>& paths,
                                              std::string_view context = "");
// One from its text; `source` names it in errors, `folder` is for relative paths.
absl::StatusOr<ClusterConfig> ParseKubeconfig(std::string_view text, const std::string& source,
                                              const std::string& folder,
                                              std::string_view context = "");

// What a pod knows of the cluster: host and port as in KUBERNETES_SERVICE_HOST and _PORT, and
// files. Where Kubernetes mounts no token of the pod's own, the first two may lie elsewhere.
inline constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount";
struct InClusterFiles {
  std::string token = std::string(kServiceAccountFolder) + "/token";
  std::string ca = std::string(kServiceAccountFolder) + "/ca.crt";
  std::string ns = std::string(kServiceAccountFolder) + "/namespace";  // need not exist
  static InClusterFiles In(const std::string& folder) {
    return {.token = folder + "/token", .ca = folder + "/ca.crt", .ns = folder + "/namespace"};
  }
};
absl::StatusOr<ClusterConfig> InClusterConfig(const std::string& host, const std::string& port,
                                              const InClusterFiles& files = {});

// In this order: the file of the flag (when not ""), the pod's credentials (when
// KUBERNETES_SERVICE_HOST is set and no context is named), the files in KUBECONFIG, ~/.kube/config.
absl::StatusOr<ClusterConfig> FindConfig(const std::string& kubeconfig_flag,
                                         std::string_view context = "",
                                         const InClusterFiles& pod = {});

}  // namespace neap::kube::api
