// Views: the world as the watches of neapd show it: scales and pods as control's messages, with the
// whole seconds in which the API writes times and resource versions that grow. Owned by Simulation,
// which delays and delivers them; one thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {

// The one kind that a world has.
inline constexpr std::string_view kDeploymentGroup = "apps";
inline constexpr std::string_view kDeploymentKind = "Deployment";

// A time as the API server writes it.
absl::Time WholeSeconds(absl::Time time);

class Views {
 public:
  // Borrows the world, which outlives it.
  explicit Views(const World& world);

  // Index of the deployment, -1 when the world has none such.
  int Find(const control::TargetRef& target) const;
  core::Scale ScaleOf(int deployment) const;

  control::ScalesReplaced Scales() const;                 // all Deployments
  control::PodsReplaced Pods(std::string_view ns) const;  // all of the namespace
  // What `changes` say to whoever watches: each Deployment's latest scale once, if it differs from
  // the one told before, and the pods of those deployments that `pods_of` marks. Appends to `out`.
  void Tell(const std::vector<Change>& changes, const std::vector<char>& pods_of,
            std::vector<control::Message>* out);

 private:
  control::TargetRef RefOf(int deployment) const;
  control::PodState StateOf(const Pod& pod) const;

  const World& world_;
  struct Told {  // of each deployment
    std::string selector;
    base::Shared<core::PodRequests> requests;
    base::LabelSet labels;  // of its pods
    int32_t spec_replicas = -1;
    int32_t status_replicas = -1;
    int64_t version = 0;
    uint64_t batch = 0;
  };
  std::vector<Told> told_;
  int64_t version_ = 1000;  // of the last object that changed
  uint64_t batch_ = 0;
};

}  // namespace neap::sim
