// The world's own pages for programs beside the Kubernetes API: /metrics for Prometheus and /world
// as JSON (playground.h). Called by the server's threads.
#pragma once

#include <string>

#include "autoscaler/playground/cluster.h"

namespace neap::playground {

std::string MetricsPage(Cluster& cluster);
std::string WorldPage(Cluster& cluster);

}  // namespace neap::playground
