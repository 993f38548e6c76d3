// neapctl playground: the command line of playground::Run.
#include "autoscaler/playground/playground.h"

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "tools/neapctl/commands.h"

namespace neap::ctl {

int Playground(const PlaygroundOptions& options) {
  playground::Options run;
  run.world_file = options.world;
  run.object_files = options.objects;
  run.port = options.port;
  run.kubeconfig = options.kubeconfig;
  run.token = options.token;
  run.tls = options.tls;
  if (!options.duration.empty()) {
    const auto duration = base::ParseDuration(options.duration);
    if (!duration.ok() || *duration <= absl::ZeroDuration()) {
      PrintError("--for: " + (duration.ok() ? std::string("must be more than 0")
                                            : std::string(base::Message(duration.status()))));
      return kFailed;
    }
    run.duration = *duration;
  }
  return playground::Run(run) == 0 ? kOk : kFailed;
}

}  // namespace neap::ctl
