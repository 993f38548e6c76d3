// StatusWriter: status of Autoscalers to the API server, by merge patch of the status subresource
// with the object's uid as precondition. The latest status of an object wins over one that waits;
// what says nothing new is not written; changes of counts and conditions go before those of mere
// metric values; what fails because the server is away or busy is tried again. Owned by app; Write
// is thread-safe and does not wait.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "autoscaler/kube/context.h"

namespace neap::kube {

struct StatusWriterOptions {
  absl::Duration timeout = absl::Seconds(10);
  size_t at_a_time = 8;    // requests
  double per_second = 20;  // requests; HPA's default client allows as many
  double burst = 50;
  // Between attempts for one object while the server is away or busy; doubles.
  absl::Duration retry_min = absl::Seconds(1);
  absl::Duration retry_max = absl::Seconds(30);
  absl::Duration forget_after = absl::Minutes(30);  // an object of which no status comes
};

class StatusWriter {
 public:
  // The object's `status` as JSON: kube/objects knows how; app adds what it knows of the object
  // (DryRun, warnings). Called on the thread that calls Write.
  using Encode = std::function<std::string(const control::WriteStatus&)>;

  StatusWriter(const Context& context, Encode encode, StatusWriterOptions options = {});
  ~StatusWriter();
  void Write(const control::WriteStatus& status);

 private:
  class Impl;
  const Encode encode_;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace neap::kube
