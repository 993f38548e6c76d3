// The playground: a virtual world (autoscaler/sim) paced by a real clock behind a REST server on
// loopback that speaks as a Kubernetes API server does, so that neapd, scalers and kubectl work
// against it unchanged. No part of neapd. Run is called by `neapctl playground`; tests and tools
// may own a Playground themselves.
//
//   Playground playground(options);
//   NEAP_RETURN_IF_ERROR(playground.Start());    // serves from now on
//   ... playground.url() ...
//   playground.Stop();
//
// What is served (everything else is 404, with the API's words):
//
//   /version /healthz /readyz /livez      /api /apis /openapi/v2 /openapi/v3
//   /api/v1                               namespaces (ns): get list watch
//                                         pods (po): get list watch delete
//                                         events (ev): get list watch create patch update delete
//                                         configmaps (cm): likewise
//   /apis/coordination.k8s.io/v1          leases: likewise
//   /apis/apps/v1                         deployments (deploy): get list watch
//                                         deployments/scale: get update patch
//                                         replicasets (rs), statefulsets (sts): get list watch;
//                                         none exist
//   /apis/neap.dev/v1alpha1               autoscalers: get list watch create update patch delete
//                                         autoscalers/status: get update patch
//   /apis/metrics.k8s.io/v1beta1          pods: get list
//   /apis/custom.metrics.k8s.io/v1beta2   of pods (name "*") and objects, as the world file says
//   /apis/external.metrics.k8s.io/v1beta1 as the world file says
//
//   Lists: labelSelector, fieldSelector, limit and continue, tables for kubectl. Watches:
//   resourceVersion, bookmarks, timeoutSeconds, an ERROR event with 410 for a version that is too
//   old. Patches: JSON Patch, merge patch, and strategic merge patch for kinds without lists to
//   merge (not for autoscalers, as with custom resources).
//
//   The world's own pages, without a token:
//   GET /metrics   the world as Prometheus text
//   GET /world     the world as JSON: per deployment replicas, ready pods, load, cpu; queues; time
//   GET /writes    the log of write requests, newest last: {"total", "byCode", "writes": [{seq,
//                  time, method, path, userAgent, code, namespace, name, from, to}]}; from and to
//                  for scales alone; ?after=SEQ for later ones
//   GET, POST, DELETE /faults             what goes wrong on purpose (faults.h)
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

namespace neap::playground {

struct Options {
  std::string world_file = {};                 // sim/world_file.h
  std::vector<std::string> object_files = {};  // YAML or JSON with Autoscaler objects
  int port = 0;                                // of 127.0.0.1; 0: a free one
  std::string kubeconfig = {};                 // written at start when not empty; a path
  std::string token = {};  // asked of API requests when not empty; kubectl sends it
                           // over TLS alone
  bool tls = false;        // with a certificate of its own, in the kubeconfig
  absl::Duration duration = absl::InfiniteDuration();  // Run: how long
  int threads = 256;                                   // connections at a time; a watch holds one
  absl::Duration bookmark_every = absl::Minutes(1);
  size_t kept_events = 10'000;  // of each kind; watches from before them get 410
  // Admit Autoscalers that the CRD's rules would refuse: for tests of what neapd makes of them.
  bool admit_all = false;
};

// Start and Stop on one thread, and not twice; it serves on threads of its own.
class Playground {
 public:
  explicit Playground(Options options);
  ~Playground();  // stops

  // Reads the files, listens, starts the world's clock and writes the kubeconfig. Errors name the
  // file and the field, or the port.
  absl::Status Start();
  void Stop();
  // "http://127.0.0.1:PORT", or https. After Start.
  std::string url() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Serves until SIGTERM, SIGINT or the duration's end. Prints one line with the URL to stdout once
// it serves; errors go to stderr. Exit code: 0, or 1 when it could not start. Blocks these signals
// in the process: call it from the main thread before others are started.
int Run(const Options& options);

}  // namespace neap::playground
