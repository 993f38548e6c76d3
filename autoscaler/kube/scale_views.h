// ScaleViews: the scales of all targets as control messages. Deployments, ReplicaSets and
// StatefulSets come from a list+watch of their kind, opened when the first target of the kind
// appears; of these only targets are handed on. Scales of any other kind are read by GET of the
// scale subresource, every poll_period and when asked. Owned by app; thread-safe, no function
// waits; messages are sent on the http::Client's thread, none after the destructor returned (which
// waits for that thread: close the sink's queue before).
//
// A kind is complete with its ScalesReplaced; then ScaleChange follows one by one. A target that
// does not exist has no scale and no error; one that can't be read has the error.
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
  // More new targets than this of a kind that is watched already are learned by listing it again.
  size_t gets_before_relist = 64;
};

class ScaleViews {
 public:
  explicit ScaleViews(Context context, ScaleViewsOptions options = {});
  ~ScaleViews();

  // control::Watch.targets: the whole set.
  void SetTargets(std::vector<control::TargetRef> targets);

  // Reads the scale subresource of one target now (any kind), whatever the views say.
  void Refresh(const control::TargetRef& target);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace neap::kube
