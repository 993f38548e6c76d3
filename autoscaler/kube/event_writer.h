// EventWriter: events of Autoscalers as core/v1 Events, thinned as the HPA's are. Best effort: what
// can't be written is reported and forgotten. Owned by app; Write is thread-safe and does not wait.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>

#include "autoscaler/kube/context.h"
#include "autoscaler/kube/event_thinner.h"

namespace neap::kube {

struct EventWriterOptions {
  std::string component = "neap";  // source.component and reportingComponent
  std::string instance = {};       // reportingInstance: the pod's name
  EventThinnerOptions thinning = {};
  absl::Duration timeout = absl::Seconds(10);
  size_t at_a_time = 8;   // requests
  size_t waiting = 1000;  // more are dropped, and reported once
};

class EventWriter {
 public:
  explicit EventWriter(const Context& context, EventWriterOptions options = {});
  ~EventWriter();
  void Write(const control::EmitEvent& event);

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace neap::kube
