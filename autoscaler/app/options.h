// neapd's options: flags, a config file with the same names, and what they mean. Parsed once in
// main, immutable after. Flags that mean what kube-controller-manager's mean carry its names.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/core/spec.h"

namespace neap::app {

struct Options {
  core::HpaOptions hpa;
  absl::Duration sync_period = absl::Seconds(15);  // default `period` of objects, >= 1 s

  std::string kubeconfig;     // "" : in-cluster credentials, then $KUBECONFIG (kube/api/config.h)
  std::string context;        // of the kubeconfig; "" : its current one
  double kube_api_qps = 100;  // reads of the API server per second, > 0; writes only count
  double kube_api_burst = 200;
  // A token of this account of our namespace is kept in that file; both or neither.
  std::string scalers_service_account;
  std::string scalers_token_file;
  std::vector<std::string> namespaces;  // empty: all
  std::vector<std::string> sources;     // "api" and "dir:PATH"; default {"api"}
  std::vector<std::string> scalers;  // addresses whose Describe says which trigger types they serve
  std::vector<std::pair<std::string, std::string>>
      trigger_endpoints;    // trigger type -> address; wins over `scalers`
  bool scaler_tls = false;  // to scalers at host:port; also when one of the files is set
  std::string scaler_tls_ca_file;
  std::string scaler_tls_cert_file;  // with the key file, or neither
  std::string scaler_tls_key_file;
  bool dry_run = false;      // write nothing: no scale; no status and events unless asked for
  bool watch_hpas = true;    // no scale is written that an HPA writes too
  bool shadow_hpas = false;  // HPAs are decided in dry run, to be compared with what they did
  double write_qps = 20;     // PATCHes of scale per second, > 0
  bool write_status = true;  // default: !dry_run
  bool write_events = true;  // default: !dry_run

  // Several neapd share the targets by Leases (kube/shard_leases.h).
  bool leases = false;  // default: in a pod
  int shards = 16;      // 1 to 256, the same for all
  std::string lease_name =
      "neap";                   // of the installation: begins the names of Leases and ConfigMaps
  std::string lease_namespace;  // "" : the pod's, or of the kubeconfig's context
  std::string identity;         // "" : $POD_NAME, then the host's name; each process adds a suffix
  absl::Duration lease_duration = absl::Seconds(15);  // whole seconds
  absl::Duration lease_renew_deadline = absl::Seconds(10);
  absl::Duration lease_retry_period = absl::Seconds(2);
  bool keep_history = true;  // beyond the process; with leases alone; default: !dry_run

  std::string listen_address =
      "127.0.0.1:8080";     // /metrics, /healthz, /readyz, /records; port 0 picks one and logs it
  std::string journal_dir;  // "" : no journal
  int64_t journal_max_bytes = 256 << 20;  // total on disk
  absl::Duration shutdown_timeout = absl::Seconds(5);
  int verbosity = 0;  // -v; 1: every decision is logged with its steps
};

// What main does next.
struct Parsed {
  enum class Do : uint8_t { kRun, kCheckConfig, kExit };
  Do what = Do::kRun;
  Options options;
  int exit_code = 0;   // kExit
  std::string output;  // kExit: what --help or --version prints
};

// Parses argv, then the file that --config names (YAML or JSON, keys are flag names without dashes;
// a flag on the command line wins). Errors: InvalidArgument naming the flag, or file:line:column
// and the key, with a suggestion for a mistyped one.
absl::StatusOr<Parsed> ParseOptions(int argc, const char* const* argv);

}  // namespace neap::app
