// The scenarios that `neapctl scenario init` writes. Each runs as it is (a test runs them).
#include "autoscaler/sim/scenario.h"

namespace neap::sim {
namespace {

constexpr std::string_view kRequests =
    R"(# A scenario for `neapctl simulate`. Durations: 500ms, 20s, 5m. CPU: 500m, "1".
# Every field has a default that is left out here, or is explained beside it.

seed: 1                        # the same seed, the same run
duration: 2h                   # without it: until the traces have ended
objective: {wait: 1s}          # what waits longer counts as late

# ---- the world
deployments:
- name: checkout
  namespace: shop
  replicas: 2                  # at the beginning
  requests: {cpu: 500m}
  cpu: {perRequest: 10m}       # 10 ms of CPU for each request
  capacity: 50                 # requests per second that a pod can do
  patience: 5s                 # what waits longer than this fails
  startup: {running: 2s, ready: [10s, 20s]}
  load:
    sine: {low: 20, high: 400, period: 1h}   # requests per second
    # trace: day.csv           # or a recording: CSV with a time and a rate per row
    # scale: 0.5               # times that

# customMetrics and externalMetrics serve the metrics of HPAs; see docs/simulate.md.
customMetrics:
- name: requests_per_second
  namespace: shop
  pods: checkout
  from: {deployment: checkout, quantity: ratePerPod}

# What goes wrong in the world and on the way to Neap.
controlFaults:
- {what: ScalerError, metric: requests_per_second, at: 40m, lasts: 3m}

# ---- the objects to try: files, or as here in place
objects:
- apiVersion: neap.dev/v1alpha1
  kind: Autoscaler
  metadata: {name: checkout, namespace: shop}
  spec:
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
    minReplicas: 2
    maxReplicas: 20
    metrics:
    - type: Pods
      pods:
        metric: {name: requests_per_second}
        target: {type: AverageValue, averageValue: "30"}
)";

constexpr std::string_view kQueue =
    R"(# A scenario for `neapctl simulate`: jobs in a queue. Durations: 500ms, 20s, 5m.

seed: 1                        # the same seed, the same run
duration: 2h                   # without it: until the traces have ended
objective: {wait: 30s}         # a job that waits longer counts as late

# ---- the world
deployments:
- name: worker
  namespace: shop
  replicas: 1                  # at the beginning
  requests: {cpu: 500m}
  cpu: {perRequest: 80m}       # 80 ms of CPU for each job
  startup: {running: 2s, ready: [5s, 15s]}

queues:
- name: jobs
  namespace: shop
  consumer: worker
  perPod: 5                    # jobs per second that a ready pod takes
  arrivals:
    square: {low: 4, high: 60, period: 30m}
    # trace: jobs.csv          # or a recording: CSV with a time and a rate per row

# ---- the objects to try: files, or as here in place
objects:
- apiVersion: neap.dev/v1alpha1
  kind: Autoscaler
  metadata: {name: worker, namespace: shop}
  spec:
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}
    minReplicas: 1
    maxReplicas: 20
    triggers:
    - type: redis
      metadata: {address: "redis:6379", listName: jobs, listLength: "20"}

# What each trigger reads in this world. Nothing is asked of Redis; the trigger's target is what its
# scaler makes of it (`target: 20` here would say it instead).
triggers:
- {object: shop/worker, trigger: 0, from: {queue: jobs}}
)";

constexpr std::string_view kCpu =
    R"(# A scenario for `neapctl simulate`: an HPA on CPU. Durations: 500ms, 20s, 5m. CPU: 500m, "1".

seed: 1                        # the same seed, the same run
duration: 2h                   # without it: until the traces have ended
objective: {wait: 1s}          # what waits longer counts as late

# ---- the world
deployments:
- name: checkout
  namespace: shop
  replicas: 2                  # at the beginning
  requests: {cpu: 500m}        # of which averageUtilization is a percentage
  limits: {cpu: 500m}          # a pod uses no more, which is what it can do
  cpu: {perRequest: 10m, startup: 300m}   # 10 ms of CPU for each request; 300m while it starts
  patience: 5s                 # what waits longer than this fails
  startup: {running: 2s, ready: [10s, 20s]}
  load:
    sine: {low: 20, high: 400, period: 1h}   # requests per second
    # trace: day.csv           # or a recording: CSV with a time and a rate per row

# The way of CPU from the pods to whoever decides: what makes the HPA late.
pipeline: {kubeletEvery: 10s, serverEvery: 15s}

# As kube-controller-manager's flags.
options: {tolerance: "0.1", downscaleStabilization: 5m}

# ---- the objects to try: files, or as here in place
objects:
- apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {name: checkout, namespace: shop}
  spec:
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
    minReplicas: 2
    maxReplicas: 20
    metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
)";

}  // namespace

std::string_view ScenarioTemplate(std::string_view kind) {
  if (kind == "queue") return kQueue;
  return kind == "cpu" ? kCpu : kRequests;
}

}  // namespace neap::sim
