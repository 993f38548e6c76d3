// WorldSpec: what a virtual world consists of, as plain values: deployments, queues, the metrics
// made from them. Decoded from a world file (world_file.h) or filled in by a test; read by World.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autoscaler/base/selector.h"
#include "autoscaler/sim/distribution.h"
#include "autoscaler/sim/load.h"
#include "autoscaler/sim/trace.h"

namespace neap::sim {

struct Range {
  absl::Duration min = {};
  absl::Duration max = {};  // >= min
  bool operator==(const Range&) const = default;
};

// How requests are tried again, by the client or by a gateway before the service.
struct RetrySpec {
  int attempts = 1;                                   // tries in all, >= 1
  absl::Duration per_try = absl::InfiniteDuration();  // a try that takes longer is given up
  Distribution pause = {};                            // before each further try
  bool other_endpoint = true;                         // a further try goes to another pod
  bool on_error = true;                               // an error answered counts as failed, too
};

// Requests one by one: who sends them, how a pod serves them, what is in between. Without it a
// workload's load is fluid: a rate, spread evenly over the ready pods.
struct RequestsSpec {
  // ---- arrivals: the workload's load as its rate, or a trace with one row per request ----
  bool random = true;      // Poisson; false: evenly spaced
  std::string trace = {};  // CSV file: time and work of each request (trace.h); "" = from `load`
  TraceOptions trace_options = {};  // of its columns; the kind is kRequests whatever it says
  Distribution service = {};        // time that a free pod takes; of a trace: per unit of work
  // ---- the client ----
  absl::Duration timeout = absl::Seconds(30);  // of a request with all its tries
  int connections = 0;                         // open at once, by all clients; others wait; 0: no
                                               // limit
  RetrySpec client = {};
  // ---- the way: kube-proxy, a mesh or a gateway ----
  enum class Balance : uint8_t { kRandom, kRoundRobin, kLeastRequests };
  Balance balance = Balance::kRandom;
  Distribution endpoint_delay = {};  // from a pod's readiness changing until the balancer knows
  bool keep_alive = false;           // a client's connection stays with its pod until that ends
  RetrySpec gateway = {};
  int error_permille = 0;   // a mesh answers so many with an error
  int delay_permille = 0;   // and delays so many
  Distribution delay = {};  // by this
  int eject_after = 0;      // consecutive failures of a pod until it is left out; 0: never
  absl::Duration eject_for = absl::Seconds(30);
  int eject_most_percent = 50;
  // ---- the pod ----
  int concurrency = 1;          // served at once by a pod
  int queue = 1000;             // waiting in a pod
  Distribution boot = {};       // from running until the process listens; before: refused
  bool readiness_probe = true;  // false: ready when it runs, listening or not
  int boot_wrong_permille = 0;  // of what is served within `warm_up` of listening: wrong answers
  absl::Duration warm_up = {};
  bool drain = true;  // on deletion it serves what it has; else resets
};

// A new template of a Deployment, given at a time: pods are replaced.
struct RolloutSpec {
  absl::Duration at = {};        // since the world began
  int64_t cpu_per_request = -1;  // what changes with it; -1: nothing
  int crash_permille = -1;
};

// Pods that end by themselves.
struct CrashSpec {
  int permille = 0;         // of starts that crash instead of coming up
  Distribution lives = {};  // until it crashes
  // The first restart is at once, the second after this, and then it doubles, as the kubelet does.
  absl::Duration backoff = absl::Seconds(10);
  absl::Duration most_backoff = absl::Minutes(5);
};

// A Deployment with one container per pod. Its load is spread evenly over the pods that are ready
// and not being deleted.
struct DeploymentSpec {
  std::string ns = "default";
  std::string name = {};
  int replicas = 1;
  base::Labels labels = {};  // of its pods, and its selector; empty: {app: <name>}
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
  // When set they are used instead of the ranges above.
  std::optional<Distribution> pull_and_start = {};
  std::optional<Distribution> become_ready = {};
  std::optional<Distribution> terminate = {};
  int max_surge = 1;  // of a roll-out
  int max_unavailable = 0;
  std::vector<RolloutSpec> rollouts = {};  // by time
  CrashSpec crash = {};

  Load load = {};
  // Fluid load beyond what the pods can do waits for so long, then it fails; 0: it fails at once.
  absl::Duration patience = {};
  // Fluid: what a ready pod serves, thousandths of a request per second; 0: what its CPU limit
  // allows. Single requests are served as RequestsSpec says; then it is what Demand reckons with,
  // 0: what concurrency and service time come to (of a trace with work: give it).
  int64_t capacity = 0;
  std::optional<RequestsSpec> requests = {};
};

// Machines for pods: without a pool, every pod has a place.
struct NodePoolSpec {
  std::string name = "default";
  std::string zone = {};  // nodes are spread over "zone-a", "zone-b" ... when there are `zones`
  int zones = 1;
  int64_t cpu = 0;     // allocatable, billionths of a core
  int64_t memory = 0;  // bytes; 0: any
  int pods = 110;      // at most so many
  int count = 1;       // at the beginning
  int min = 1;         // the pool is scaled by a model of the cluster autoscaler
  int max = 1;
  Distribution provision = {};  // from a pod that finds no place to the new node being ready
  absl::Duration idle = absl::Minutes(10);  // an empty node beyond `min` goes after
  int64_t price_milli = 0;                  // of a node, thousandths of a currency unit per hour
};

// What a namespace may use.
struct QuotaSpec {
  std::string ns = "default";
  int pods = 0;     // 0: any
  int64_t cpu = 0;  // sum of requests, billionths of a core; 0: any
};

// What happens to pods and nodes. Chosen at random from the world's seed where more than one fits.
struct WorldFault {
  enum class What : uint8_t {
    kKillPods,  // `count` pods of `deployment` are deleted, every `every`
    kLoseNode,  // a node is gone with its pods; comes back after `lasts`
    kLoseZone,
  };
  What what = What::kKillPods;
  std::string ns = "default";
  std::string deployment = {};
  int count = 1;
  absl::Duration at = {};     // first, since the world began
  absl::Duration every = {};  // 0: once
  absl::Duration until = absl::InfiniteDuration();
  absl::Duration lasts = {};
};

// Items that arrive, wait, and are taken by the ready pods of a deployment.
struct QueueSpec {
  std::string ns = "default";
  std::string name = {};
  int consumer = -1;  // index into deployments, -1: nobody takes them
  // Items per second that a ready pod takes, in thousandths; less where its CPU limit allows less.
  int64_t per_pod = 0;
  int64_t waiting = 0;  // at the beginning
  Load arrivals = {};
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
  std::string name = {};
  base::Labels labels = {};
  Source from = {};
};

// Served by custom.metrics.k8s.io: of one object, or of each pod of a deployment.
struct CustomMetricSpec {
  std::string name = {};
  base::Labels labels = {};      // of the metric
  int pods_of = -1;              // index of a deployment: each ready pod has the value `from`
  std::string ns = "default";    // of the object
  std::string resource = {};     // else: "deployments.apps", "services"
  std::string api_version = {};  // of the object, as the answer shows it
  std::string kind = {};
  std::string object = {};  // its name
  Source from = {};
};

struct WorldSpec {
  uint64_t seed = 1;
  std::vector<NodePoolSpec> pools = {};
  std::vector<QuotaSpec> quotas = {};
  std::vector<WorldFault> faults = {};
  // What a request or item may wait to count as served in time; for Service.late.
  absl::Duration objective = absl::InfiniteDuration();
  absl::Duration tick = absl::Seconds(1);  // how often a simulation shows the world to observers
  // From a change of spec.replicas to the deployment controller acting on it.
  absl::Duration controller_delay = absl::Milliseconds(20);
  // metrics.k8s.io of the playground: the CPU of a pod is its mean over `metrics_window`, taken
  // every `metrics_every` (metrics-server: 15 s). A simulation has its own lag (PipelineSpec).
  absl::Duration metrics_window = absl::Seconds(15);
  absl::Duration metrics_every = absl::Seconds(1);
  // How far back World::MeanCpu reaches; at least the metrics' window and period.
  absl::Duration cpu_history = absl::Minutes(2);
  std::vector<std::string> namespaces = {};  // also those that no object names
  std::vector<DeploymentSpec> deployments = {};
  std::vector<QueueSpec> queues = {};
  std::vector<ExternalMetricSpec> external_metrics = {};
  std::vector<CustomMetricSpec> custom_metrics = {};
};

}  // namespace neap::sim
