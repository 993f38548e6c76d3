// neapctl scenario init: a commented scenario to begin with.
#include "autoscaler/sim/scenario.h"

#include <fmt/format.h>

#include <filesystem>

#include "autoscaler/base/status.h"
#include "tools/neapctl/trial/outputs.h"
#include "tools/neapctl/trial_commands.h"

namespace neap::ctl {

int ScenarioInit(const ScenarioInitOptions& options) {
  const std::string text(sim::ScenarioTemplate(options.kind));
  if (options.output.empty()) {
    fmt::print(stdout, "{}", text);
    return kOk;
  }
  if (std::filesystem::exists(options.output)) {
    PrintError(fmt::format("{}: is there already", options.output));
    return kFailed;
  }
  const absl::Status status = WriteFile(options.output, text);
  if (!status.ok()) return FailTrial(status);
  fmt::print(stderr, "{0} is written; run it: neapctl simulate {0}\n", options.output);
  return kOk;
}

}  // namespace neap::ctl
