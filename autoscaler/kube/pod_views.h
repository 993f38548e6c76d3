// PodViews: the pods of those namespaces whose targets need them, as control messages: a complete
// PodsReplaced per namespace, then single PodChanges. Owned by app; thread-safe, no function
// waits; messages are sent on the http::Client's thread, none after the destructor returned (which
// waits for that thread: close the sink's queue before).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/kube/context.h"

namespace neap::kube {

class PodViews {
 public:
  explicit PodViews(Context context);
  ~PodViews();

  // control::Watch.pod_namespaces: the whole set. What is new is watched, what left is forgotten.
  void SetNamespaces(std::vector<std::string> namespaces);

 private:
  class View;
  const Context context_;
  // Shared with the http::Client's thread, which alone touches it.
  struct Views;
  const std::shared_ptr<Views> views_;
};

}  // namespace neap::kube
