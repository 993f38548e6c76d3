// Reads a world file, the YAML form of a WorldSpec. Every mistake names file, line and field, and
// unknown fields are refused with a suggestion. Called by playground and tools; reads files, else
// pure.
//
//   seed: 7                      # the same seed, the same world; default 1
//   speed: 60                    # traces and generators run 60 times as fast; default 1
//   tick: 1s                     # how often a simulation shows the world to who looks on
//   controllerDelay: 20ms        # from a new spec.replicas to pods being made or deleted
//   metrics: {window: 15s, every: 1s}      # of metrics.k8s.io in the playground
//   namespaces: [shop]           # besides those that are named below
//   deployments:
//   - name: checkout
//     namespace: shop            # default: default
//     count: 1                   # more: copies named checkout-0, checkout-1, ...
//     replicas: 2
//     labels: {app: checkout}    # default: app: <name>
//     container: app
//     image: example/app
//     requests: {cpu: 500m, memory: 128Mi}
//     limits: {cpu: "1"}         # a pod uses no more
//     cpu: {perRequest: 20m, idle: 5m, startup: 100m}    # 20m: 20 ms of CPU per request
//     memory: 64Mi               # what a running pod uses
//     capacity: 50               # requests per second that a ready pod serves; default: what its
//                                # CPU limit allows, else any. With traffic: what reports reckon
//                                # with; default: what concurrency and service time come to
//     patience: 5s               # load beyond that waits so long, then fails; default 0: it fails
//                                # at once
//     startup: {running: [500ms, 1s], ready: [1s, 2s]}   # from having a place; from running on
//     termination: [500ms, 1s]   # from deletion to the end
//     crash: {share: 0.1, after: [1s, 5s], backoff: 10s, mostBackoff: 5m}   # of the starts of a
//                                # container, a tenth crash so long after it runs, and are tried
//                                # again: at once, after backoff, after twice that ...
//     rollout:                   # as spec.strategy.rollingUpdate, in pods; and new templates
//       maxSurge: 1              # default 1
//       maxUnavailable: 0        # default 0
//       templates: [{at: 1h, perRequest: 30m, crashShare: 0.5}]   # what changes, each optional
//     load: {trace: day.csv, scale: 0.5}   # per second; see below
//     traffic:                   # single requests instead of a liquid; see below
//       service: 200ms
//   queues:
//   - name: jobs
//     namespace: shop
//     consumer: worker           # a deployment of the namespace
//     perPod: 5                  # items per second that a ready pod takes, unless its CPU limit
//                                # allows less
//     waiting: 0                 # at the beginning
//     arrivals: {constant: 12}
//   nodePools:                   # default: none, and every pod has a place
//   - name: default
//     zone: zone-a
//     zones: 1                   # more: spread over zone-a, zone-b ...
//     cpu: "4"                   # of a node, for pods
//     memory: 16Gi               # default: any
//     pods: 110                  # of a node, at most
//     count: 2                   # nodes at the beginning; default 1
//     min: 1                     # default: count
//     max: 10                    # default: count. A node more is ordered for pods without a place
//     provision: [60s, 120s]     # until it is ready; default 2m
//     idle: 10m                  # an empty node goes after
//     price: 0.19                # of a ready node, per hour
//   quotas:
//   - {namespace: shop, pods: 20, cpu: "10"}   # of pods, and of their requests
//   faults:                      # what is hit is chosen at random
//   - {what: KillPods, namespace: shop, deployment: checkout, count: 1, at: 10m, every: 15s,
//      until: 1h}                # without every: once
//   - {what: LoseNode, at: 30m, lasts: 10m}    # with its pods; without lasts: for ever
//   - {what: LoseZone, at: 2h, lasts: 10m}
//   externalMetrics:             # external.metrics.k8s.io
//   - name: jobs_waiting
//     namespace: shop
//     labels: {queue: jobs}
//     from: {queue: jobs}
//   customMetrics:               # custom.metrics.k8s.io
//   - name: requests_per_second
//     namespace: shop
//     pods: checkout             # each ready pod of this deployment
//     from: {deployment: checkout, quantity: ratePerPod}
//   - name: hits
//     namespace: shop
//     object: {apiVersion: apps/v1, kind: Deployment, name: checkout}
//     from: {deployment: checkout}
//
// Traffic (requests.h says what each does):
//   service: {exponential: 200ms}  # that a free pod takes; of a trace, per unit of work
//   random: true                 # Poisson arrivals; false: evenly spaced
//   trace: requests.csv          # instead of `load`: a row per request, with columns `time`,
//   `work` timeout: 30s                 # of a request with all its tries connections: 8 # of all
//   clients; default 0: any number keepAlive: false             # a connection stays with its pod
//   client: {attempts: 3, perTry: 2s, pause: 25ms, otherEndpoint: true, onError: true}
//   gateway: {attempts: 5, perTry: 2s}   # likewise
//   balance: Random              # RoundRobin, LeastRequests
//   endpointDelay: [50ms, 1s]    # until the balancer hears of a pod's readiness
//   errors: 0.01                 # of requests that a mesh answers with an error
//   delays: {share: 0.1, by: 1s}   # and delays
//   eject: {after: 5, lasts: 30s, mostPercent: 50}   # a pod after so many failures in a row
//   concurrency: 1               # that a pod serves at once
//   queue: 1000                  # that wait in a pod
//   boot: 5s                     # from running until it listens
//   readinessProbe: true         # false: ready as soon as it runs
//   warmUp: {wrong: 1, lasts: 100ms}   # after it listens, this share of answers is an error
//   drain: true                  # on deletion it serves what it has
//
// A load is one of these, each with an optional `scale` (default 1):
//   {constant: 20}
//   {steps: [{at: 0s, rate: 10}, {at: 60s, rate: 50}], repeat: true}
//   {ramp: {from: 0, to: 100, over: 10m}}
//   {square: {low: 10, high: 90, period: 4m}}
//   {sine: {low: 10, high: 90, period: 10m}}
//   {flashCrowd: {base: 10, peak: 500, at: 10m, rise: 30s, hold: 5m, fall: 5m}}
//   {poisson: {rate: 20, every: 1s}}
//   {sum: [{constant: 5}, {trace: FILE}]}
//   {trace: FILE, time: COLUMN, value: COLUMN, perStep: true, gap: hold | zero | refuse,
//    repeat: true}               # trace.h; the path is relative to the world file's folder
// `from` is {deployment: NAME, quantity: rate | ratePerPod | replicas | ready | cpu} (default
// rate), {queue: NAME, quantity: length | arrivals} (default length), or {fixed: 12.5}.
// Times of startup, termination, crash, provision and traffic are one duration, [least, most], or
// another distribution (distribution.h). Shares are 0 to 1, in steps of a thousandth.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "autoscaler/sim/spec.h"

namespace neap::sim {

// Errors: NotFound when the file can't be read, InvalidArgument with every mistake, one per line;
// worlds that can't be are mistakes, too (a pod that fits on no node, a service time of zero).
absl::StatusOr<WorldSpec> LoadWorldFile(const std::string& path);

// The same from text. `source` names it in errors; the traces that it names lie in `folder`.
absl::StatusOr<WorldSpec> ParseWorld(std::string_view text, std::string_view source,
                                     const std::string& folder);

}  // namespace neap::sim
