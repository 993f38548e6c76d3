// How to reach an API server and who we are there: from a kubeconfig file or from what Kubernetes
// puts into a pod. Read once at start by app, the scalers that read Kubernetes, and neapctl; plain
// values. Errors are InvalidArgument or NotFound and name file, line and field.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

#include "autoscaler/http/client.h"

namespace neap::kube::api {

struct ClusterConfig {
  std::string origin;  // the file, or "in-cluster"; for messages
  std::string server;  // "https://10.0.0.1:6443", perhaps with a path; no slash at the end
  http::Tls tls;
  std::optional<std::string> proxy;  // proxy-url; unset: the environment's
  std::string token;                 // bearer token
  std::string token_file;            // read again as it changes; wins over `token`
  std::string username;              // basic authentication
  std::string password;
  std::string ns;  // namespace of the context or of the pod, "default" when it says none
};

// `context` "" means current-context. Relative paths in the file are relative to its folder.
// Plugins (exec, auth-provider) and impersonation are refused by name.
absl::StatusOr<ClusterConfig> LoadKubeconfig(const std::string& path,
                                             std::string_view context = "");
// The same from its text; `source` names it in errors, `folder` is for relative paths.
absl::StatusOr<ClusterConfig> ParseKubeconfig(std::string_view text, const std::string& source,
                                              const std::string& folder,
                                              std::string_view context = "");

// A pod's credentials: `folder` holds token, ca.crt and namespace; host and port as in
// KUBERNETES_SERVICE_HOST and _PORT.
absl::StatusOr<ClusterConfig> InClusterConfig(
    const std::string& host, const std::string& port,
    const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

// In this order: the file of the flag (when not ""), the pod's credentials (when
// KUBERNETES_SERVICE_HOST is set), the file in KUBECONFIG, ~/.kube/config.
absl::StatusOr<ClusterConfig> FindConfig(const std::string& kubeconfig_flag,
                                         std::string_view context = "");

}  // namespace neap::kube::api
