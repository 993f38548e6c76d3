// Scenario: everything one simulated run needs, as a file says it: a world, the objects that scale
// it, the metrics' lag, faults, how long, and what counts as good. Read from YAML that begins as a
// world file (world_file.h) and has further fields; or made from an object alone with stated
// assumptions. Called by neapctl and tests; reads files, else pure.
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
  std::optional<uint64_t> seed;
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

// What a user knows of a workload who has only its object and a recorded load.
struct Facts {
  std::string trace = {};  // file; rates, or one row per request
  bool trace_is_requests = false;
  std::string time_column = {};
  std::string value_column = {};
  bool per_step = false;                       // the trace's values are counts per row
  double scale = 1;                            // of the trace's rate
  double speed = 1;                            // of its time
  std::optional<Distribution> pod_start = {};  // from creation to ready
  std::optional<int64_t> cpu_per_request;      // billionths of a core-second
  std::optional<int64_t> cpu_request;          // of a pod, billionths of a core
  std::optional<int64_t> capacity;  // of a pod, thousandths of a request or item per second
  std::optional<Distribution> service_time = {};  // makes it a world of single requests
  std::optional<int> concurrency = {};
  std::optional<absl::Duration> timeout = {};
  std::optional<int> replicas = {};  // at the beginning
  std::optional<absl::Duration> duration = {};
  std::optional<absl::Duration> objective = {};
  // "NAME=load", "NAME=loadPerPod", "NAME=queue", "NAME=cpu", "NAME=fixed:12": what a metric reads.
  std::vector<std::string> metrics = {};
};

// A scenario for one object (the file's only one) and facts; what is missing is assumed and said in
// `assumptions`. Errors: as LoadScenario; Unimplemented for kinds that Neap does not simulate
// (a KEDA object is named).
absl::StatusOr<Scenario> ScenarioFor(const std::string& object_file, const Facts& facts,
                                     const ScenarioOptions& options);

// A commented scenario to begin with, for `neapctl scenario init`.
std::string_view ScenarioTemplate();

}  // namespace neap::sim
