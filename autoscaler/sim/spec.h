// WorldSpec: what a virtual world consists of, as plain values: deployments, queues, the metrics
// made from them. Decoded from a world file (world_file.h) or filled in by a test; read by World.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/base/selector.h"
#include "autoscaler/sim/load.h"

namespace neap::sim {

struct Range {
  absl::Duration min;
  absl::Duration max;  // >= min
  bool operator==(const Range&) const = default;
};

// A Deployment with one container per pod. Its load is spread evenly over the pods that are ready
// and not being deleted.
struct DeploymentSpec {
  std::string ns = "default";
  std::string name;
  int replicas = 1;
  base::Labels labels;  // of its pods, and its selector; empty: {app: <name>}
  std::string container = "app";
  std::string image = "example/app";

  // CPU in billionths of a core.
  int64_t cpu_request = 0;      // 0: the pods name none
  int64_t cpu_limit = 0;        // what a pod can use at most; 0: no limit
  int64_t cpu_idle = 0;         // a ready pod without load
  int64_t cpu_startup = 0;      // a running pod that is not ready yet
  int64_t cpu_per_request = 0;  // for each request (or queue item) per second
  int64_t memory_request = 0;   // bytes; 0: the pods name none
  int64_t memory_usage = 0;     // bytes, of a running pod

  Range to_running = {absl::Milliseconds(500), absl::Seconds(1)};  // from creation: pull, start
  Range to_ready = {absl::Seconds(1), absl::Seconds(2)};           // from running: readiness
  Range to_gone = {absl::Milliseconds(500), absl::Seconds(1)};     // from deletion to the end
  Load load;
};

// Items that arrive, wait, and are taken by the ready pods of a deployment.
struct QueueSpec {
  std::string ns = "default";
  std::string name;
  int consumer = -1;    // index into deployments, -1: nobody takes them
  int64_t per_pod = 0;  // items per second that a ready pod takes, in thousandths
  int64_t waiting = 0;  // at the beginning
  Load arrivals;
};

// Where a metric's value comes from.
struct Source {
  enum class What {
    kFixed,        // `fixed`
    kRate,         // a deployment's load, requests per second
    kRatePerPod,   // the same for one ready pod
    kReplicas,     // replicas asked for
    kReady,        // ready pods
    kCpu,          // cores used by all pods
    kQueueLength,  // waiting items of a queue
    kArrivals,     // items per second that arrive at a queue
  };
  What what = What::kFixed;
  int index = -1;     // of the deployment or queue
  int64_t fixed = 0;  // thousandths
};

// Served by external.metrics.k8s.io.
struct ExternalMetricSpec {
  std::string ns = "default";
  std::string name;
  base::Labels labels;
  Source from;
};

// Served by custom.metrics.k8s.io: of one object, or of each pod of a deployment.
struct CustomMetricSpec {
  std::string name;
  base::Labels labels;         // of the metric
  int pods_of = -1;            // index of a deployment: each ready pod has the value `from`
  std::string ns = "default";  // of the object
  std::string resource;        // else: "deployments.apps", "services"
  std::string api_version;     // of the object, as the answer shows it
  std::string kind;
  std::string object;  // its name
  Source from;
};

struct WorldSpec {
  uint64_t seed = 1;
  absl::Duration tick = absl::Seconds(1);  // how often loads are looked at and queues move
  // From a change of spec.replicas to the deployment controller acting on it.
  absl::Duration controller_delay = absl::Milliseconds(20);
  // metrics.k8s.io: the CPU of a pod is its mean over `metrics_window`, taken every
  // `metrics_every` (metrics-server: 15 s; a tick shows the load without that lag).
  absl::Duration metrics_window = absl::Seconds(15);
  absl::Duration metrics_every = absl::Seconds(1);
  std::vector<std::string> namespaces;  // also those that no object names
  std::vector<DeploymentSpec> deployments;
  std::vector<QueueSpec> queues;
  std::vector<ExternalMetricSpec> external_metrics;
  std::vector<CustomMetricSpec> custom_metrics;
};

}  // namespace neap::sim
