// The metrics APIs, made from the world at each request: metrics.k8s.io (CPU and memory of pods),
// custom.metrics.k8s.io and external.metrics.k8s.io (what the world file exports). Called by Api;
// thread-safe as far as Cluster is.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "autoscaler/playground/answers.h"
#include "autoscaler/playground/cluster.h"
#include "autoscaler/playground/query.h"

namespace neap::playground {

// `path` is what follows group and version.
Answer PodMetrics(Cluster& cluster, const ApiRequest& request, std::span<const std::string> path);
Answer CustomMetrics(Cluster& cluster, const ApiRequest& request,
                     std::span<const std::string> path);
Answer ExternalMetrics(Cluster& cluster, const ApiRequest& request,
                       std::span<const std::string> path);

// Names for the resource lists of discovery, sorted: "pods/hits", "jobs_waiting".
std::vector<std::string> CustomMetricNames(Cluster& cluster);
std::vector<std::string> ExternalMetricNames(Cluster& cluster);

}  // namespace neap::playground
