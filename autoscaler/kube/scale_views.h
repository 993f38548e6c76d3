// ScaleViews: scales as control messages. Deployments, ReplicaSets and StatefulSets come from a
// list+watch of their kind, opened when the first target of the kind appears; all of the kind are
// handed on, so that a new target is known at once. Scales of any other kind are read by GET of the
// scale subresource, every poll_period and when asked. Owned by app; thread-safe, no function
// waits; messages are sent on the http::Client's thread, none after the destructor returned (which
// waits for that thread: close the sink's queue before).
//
// A watched kind is complete with its ScalesReplaced; then ScaleChange follows one by one. A polled
// one has a ScaleChange per answer: without scale and error when the target does not exist, with an
// error when it can't be read.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/kube/context.h"

namespace neap::kube {

struct ScaleViewsOptions {
  absl::Duration poll_period = absl::Seconds(15);  // between GETs of one target
  absl::Duration get_timeout = absl::Seconds(10);
  size_t gets_at_a_time = 16;
};

class ScaleViews {
 public:
  explicit ScaleViews(Context context, ScaleViewsOptions options = {});
  ~ScaleViews();

  // control::Watch.targets: the whole set.
  void SetTargets(std::vector<control::TargetRef> targets);

  // Reads the scale of a target that is polled now; nothing happens for others.
  void Refresh(const control::TargetRef& target);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace neap::kube
