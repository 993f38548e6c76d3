// Family parse: what KEDA accepts, refuses and makes of a trigger, against what the scalers make of
// it when they are asked to validate it without trying its source. `cpu` and `memory` are no
// scaler's: kube/objects answers. Used by `neapctl conformance` and by its tests. One thread.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "autoscaler/scalerhost/client.h"
#include "tools/neapctl/conformance/conformance.h"

namespace neap::conformance {

// Row ids with the reason for which Neap answers differently on purpose.
using Differences = std::map<std::string, std::string>;

// "<row id> <reason>" a line; `#` begins a comment line. Errors: InvalidArgument with the line of
// an id without a reason or that is there twice.
absl::StatusOr<Differences> ParseDifferences(std::string_view text);

class ParseRunner {
 public:
  // `built`: trigger types that must be served; rows of other types count as not built. `client` is
  // borrowed.
  ParseRunner(scalerhost::Client& client, std::set<std::string> built, Differences differences);

  // A row that agrees has passed, also one that differs as it is listed; one that agrees although
  // it is listed has failed, and so has one that could not be asked.
  void Run(const nlohmann::json& line, FamilyReport& report);

  // Listed rows that differed, with their reasons.
  const Differences& differed() const { return differed_; }

 private:
  // "refused: why" or "accepted [name kind target] ...", as Expected writes it.
  absl::StatusOr<std::string> Ask(const nlohmann::json& line, bool with_metrics);

  scalerhost::Client& client_;
  const std::set<std::string> built_;
  const Differences differences_;
  Differences differed_;
};

}  // namespace neap::conformance
