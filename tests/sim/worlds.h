// Small worlds for tests: one deployment whose pods come and go in known times. Free functions;
// plain values.
#pragma once

#include <absl/time/time.h>

#include <utility>

#include "autoscaler/sim/world.h"

namespace neap::sim {

inline const absl::Time kStart = absl::FromUnixSeconds(1'767'225'600);

// "web": a pod runs after 1 s, is ready 2 s later, and is gone 1 s after its deletion.
inline DeploymentSpec QuickPods(int replicas) {
  DeploymentSpec web;
  web.name = "web";
  web.replicas = replicas;
  web.to_running = {absl::Seconds(1), absl::Seconds(1)};
  web.to_ready = {absl::Seconds(2), absl::Seconds(2)};
  web.to_gone = {absl::Seconds(1), absl::Seconds(1)};
  return web;
}

// With a deployment controller that acts at once.
inline WorldSpec Of(DeploymentSpec deployment) {
  WorldSpec spec;
  spec.controller_delay = absl::ZeroDuration();
  spec.deployments = {std::move(deployment)};
  return spec;
}

}  // namespace neap::sim
