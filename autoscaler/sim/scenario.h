// Scenario: everything one simulated run needs, as a file says it: a world, the objects that scale
// it, the metrics' lag, faults, how long, and what counts as good. Read from YAML that begins as a
// world file (world_file.h) and has further fields; or made from an object alone (policy.h). Called
// by neapctl and tests; reads files, else pure.
//
//   objects: [checkout.yaml]         # Autoscaler or HorizontalPodAutoscaler; files, or inline
//   duration: 24h                    # default: until the traces have ended
//   start: 2026-01-01T00:00:00Z
//   objective: {wait: 1s}            # what is served later counts as late
//   triggers:                        # what an object's triggers read in this world
//   - {object: shop/worker, trigger: 0, from: {queue: jobs}, via: direct, target: 20}
//   pipeline: {serverEvery: 15s, kubeletEvery: 10s, scrapeEvery: 15s, rateWindow: 1m, answer: 20ms,
//              write: 10ms, watch: 20ms}
//   controlFaults:
//   - {what: ScalerError, metric: jobs_waiting, at: 10m, lasts: 5m}
//   options: {tolerance: 0.1, downscaleStabilization: 5m}     # as kube-controller-manager's flags
// The world's part: see world_file.h.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/catalog/catalog.h"
#include "autoscaler/sim/simulation.h"

namespace neap::sim {

// What a scaler makes of a trigger: its metrics with names and targets. Asked of a real scaler by
// whoever runs the simulation (neapctl asks the built-in ones); reads no source. Errors name the
// parameter.
using OpenTrigger = std::function<absl::StatusOr<std::vector<core::MetricSpec>>(
    const core::AutoscalerSpec& spec, const core::TriggerSpec& trigger)>;

struct ScenarioOptions {
  std::function<const catalog::TriggerType*(std::string_view)> find_type = {};
  std::vector<std::string> known_types = {};
  OpenTrigger open_trigger = {};          // empty: triggers need their `target` in the scenario
  std::vector<std::string> objects = {};  // files; replace the scenario's own
  std::optional<uint64_t> seed = {};
};

struct Scenario {
  std::string name = {};
  SimulationSpec spec = {};
  std::vector<std::string> assumptions = {};  // facts nobody gave, one sentence each
};

// Errors: NotFound when a file can't be read; InvalidArgument with every mistake, one per line, as
// file:line: field: message, impossible worlds included (zero service time, more minimum pods than
// the nodes can hold).
absl::StatusOr<Scenario> LoadScenario(const std::string& path, const ScenarioOptions& options);

// A commented scenario to begin with, for `neapctl scenario init`.
// Kinds: "requests", "queue", "cpu".
std::string_view ScenarioTemplate(std::string_view kind);

}  // namespace neap::sim
