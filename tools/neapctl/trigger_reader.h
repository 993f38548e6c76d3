// TriggerReader: what scalers make of triggers, their metrics' names and targets, for commands that
// decide with objects from files. Connects at the first trigger. One thread at a time.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/core/spec.h"
#include "autoscaler/scalerhost/client.h"
#include "tools/neapctl/own_scalers.h"

namespace neap::ctl {

class TriggerReader {
 public:
  // Asks the scalers at `address`; "": those beside neapctl, started for it and stopped with it.
  // `may_read`: a scaler that checks nothing says what a trigger is only when it reads the source.
  TriggerReader(std::string address, bool may_read);

  // Errors: InvalidArgument naming each parameter that is wrong; else why nobody answered.
  absl::StatusOr<std::vector<core::MetricSpec>> Read(const core::AutoscalerSpec& spec,
                                                     const core::TriggerSpec& trigger);

 private:
  absl::Status Connect();
  absl::StatusOr<std::vector<core::MetricSpec>> Opened(const scalerhost::TriggerRequest& request);

  std::string address_;
  const bool may_read_;
  std::unique_ptr<OwnScalers> own_;
  std::unique_ptr<scalerhost::Client> client_;
};

}  // namespace neap::ctl
