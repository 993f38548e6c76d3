// Reads a world file, the YAML form of a WorldSpec. Every mistake names file, line and field, and
// unknown fields are refused with a suggestion. Called by playground and tools; reads files, else
// pure.
//
//   seed: 7                      # the same seed, the same world; default 1
//   speed: 60                    # traces and generators run 60 times as fast; default 1
//   tick: 1s                     # how often loads are looked at and queues move
//   controllerDelay: 20ms        # from a new spec.replicas to pods being made or deleted
//   metrics: {window: 15s, every: 1s}      # of metrics.k8s.io
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
//     startup: {running: [500ms, 1s], ready: [1s, 2s]}   # from creation; from running on
//     termination: [500ms, 1s]
//     load: {trace: day.csv, scale: 0.5}   # see below
//   queues:
//   - name: jobs
//     namespace: shop
//     consumer: worker           # a deployment of the namespace
//     perPod: 5                  # items per second that a ready pod takes
//     waiting: 0                 # at the beginning
//     arrivals: {constant: 12}
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
// A load is one of these, each with an optional `scale` (default 1):
//   {constant: 20}
//   {steps: [{at: 0s, rate: 10}, {at: 60s, rate: 50}], repeat: true}
//   {ramp: {from: 0, to: 100, over: 10m}}
//   {square: {low: 10, high: 90, period: 4m}}
//   {sine: {low: 10, high: 90, period: 10m}}
//   {trace: FILE, repeat: true}  # CSV as load.h's ParseTrace; the path is relative to the world
//                                # file's folder
// `from` is {deployment: NAME, quantity: rate | ratePerPod | replicas | ready | cpu} (default
// rate), {queue: NAME, quantity: length | arrivals} (default length), or {fixed: 12.5}.
// Time ranges are [least, most] or one duration.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <string_view>

#include "autoscaler/sim/spec.h"

namespace neap::sim {

// Errors: NotFound when the file (or a trace) can't be read, InvalidArgument with every mistake,
// one per line.
absl::StatusOr<WorldSpec> LoadWorldFile(const std::string& path);

// The same from text. `source` names it in errors; `read` gives the text of a trace file, as it is
// named in the world file.
absl::StatusOr<WorldSpec> ParseWorld(
    std::string_view text, std::string_view source,
    const std::function<absl::StatusOr<std::string>(const std::string& file)>& read);

}  // namespace neap::sim
