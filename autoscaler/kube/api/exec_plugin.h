// RunExecPlugin: gets credentials from the program that a kubeconfig names under users[].user.exec
// (aws, gke-gcloud-auth-plugin, kubelogin ...), by the contract client.authentication.k8s.io v1 and
// v1beta1: it is told about us in KUBERNETES_EXEC_INFO, prints an ExecCredential and ends. It gets
// no terminal and no input. A free function that waits for the program; thread-safe, not for the
// http::Client's thread. Called by Credentials alone.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>

#include "autoscaler/kube/api/config.h"

namespace neap::kube::api {

struct ExecCredential {
  std::string token = {};
  std::string cert_pem = {};  // with key_pem, or neither
  std::string key_pem = {};
  absl::Time expires = absl::InfiniteFuture();  // by the plugin's clock
};

struct ExecLimits {
  absl::Duration timeout = absl::Seconds(60);  // then it is killed, with the programs it started
  size_t output_bytes = size_t{1} << 20;
};

// `config.exec` must be set. Errors are Unauthenticated: they name context, cluster, user and
// command, how it ended, and what it said last to stderr; never its output, which may hold a
// secret. Cancelled, and the program killed, when `stop` is requested.
absl::StatusOr<ExecCredential> RunExecPlugin(const ClusterConfig& config, const ExecLimits& limits,
                                             std::stop_token stop);

// What the program is told: the ExecCredential in KUBERNETES_EXEC_INFO.
absl::StatusOr<std::string> ExecInfo(const ClusterConfig& config);
// What it printed. Errors: InvalidArgument, naming the field.
absl::StatusOr<ExecCredential> ParseExecCredential(std::string_view json,
                                                   std::string_view api_version);

}  // namespace neap::kube::api
