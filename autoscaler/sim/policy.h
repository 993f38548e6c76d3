// Policy: an object and what its triggers are, as the user of one file has them; and how a world is
// made around it from a recorded load and whatever facts are known of the workload. The mapping,
// with each default: docs/simulate.md. Called by neapctl (simulate, compare, tune) and tests; reads
// files, else pure.
//
//   NEAP_ASSIGN_OR_RETURN(Policy policy, LoadPolicy("hpa.yaml", options));
//   NEAP_ASSIGN_OR_RETURN(CompletedFacts facts, CompleteFacts({.trace = "day.csv"}, {policy}));
//   NEAP_ASSIGN_OR_RETURN(Scenario scenario, ScenarioFor(policy, facts));
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/sim/scenario.h"
#include "autoscaler/sim/trace.h"

namespace neap::sim {

// An object as the only one of its file, with what its triggers are.
struct Policy {
  std::string source = {};  // its file
  ObjectSpec object = {};   // lives: what is paused or a dry run is simulated as if it were not
  struct Trigger {
    core::MetricSpec metric = {};  // what its scaler makes of it
    Via via = Via::kDirect;
    std::optional<int64_t> activation = {};  // thousandths
  };
  std::vector<Trigger> triggers = {};         // parallel to the spec's
  std::vector<std::string> assumptions = {};  // what was taken otherwise than it is written
};

// Errors: NotFound when the file can't be read; InvalidArgument with every mistake, one per line;
// Unimplemented naming an object of a kind that Neap does not simulate (KEDA's).
absl::StatusOr<Policy> LoadPolicy(const std::string& file, const ScenarioOptions& options);
absl::StatusOr<Policy> ParsePolicy(std::string_view text, const std::string& source,
                                   const ScenarioOptions& options);

// What a user knows of a workload who has only its object and a recorded load.
struct Facts {
  std::string trace = {};  // file; "-" is standard input
  TraceOptions trace_options = {};
  int64_t scale = 1000;  // thousandths, of the trace's rate
  int64_t speed = 1000;  // thousandths, of its time
  // The load's items wait in a queue, and pods take them; false: requests, which pods serve.
  std::optional<bool> queue = {};
  std::optional<Distribution> pod_start = {};   // from creation to ready
  std::optional<int64_t> cpu_per_request = {};  // billionths of a core-second; with a trace of
                                                // requests: of one with the mean work
  std::optional<int64_t> cpu_request = {};      // of a pod, billionths of a core
  std::optional<int64_t> capacity = {};  // of a pod, thousandths of a request or item per second
  std::optional<Distribution> service_time = {};  // makes it a world of single requests; with a
                                                  // trace of requests: per unit of work
  std::optional<int> concurrency = {};
  std::optional<absl::Duration> timeout = {};
  std::optional<int> replicas = {};  // at the beginning
  std::optional<absl::Duration> duration = {};
  std::optional<absl::Duration> objective = {};  // what waits longer counts as late
  std::optional<absl::Time> start = {};
  uint64_t seed = 1;
  // "NAME=load", "NAME=loadPerPod", "NAME=queue", "NAME=cpu", "NAME=fixed:12": what a metric or
  // trigger reads. NAME is the metric's name, or the trigger's name or type.
  std::vector<std::string> metrics = {};
};

// The facts that nobody gave, as the first policy makes them likely, each said in one sentence.
// Reads the trace once where its peak is needed. How each default comes about: docs/simulate.md.
struct CompletedFacts {
  Facts facts = {};  // nothing that ScenarioFor needs is left open
  std::vector<std::string> assumptions = {};
  int64_t mean_work = 1000;  // of a trace's requests, thousandths of a unit
  // How long the trace lasts at its speed; infinite when it was not read (standard input).
  absl::Duration length = absl::InfiniteDuration();
  std::vector<std::string> hints = {};  // what the numbers say already, before anything runs
};
// Several policies share one workload: it has a queue when one of them reads a queue. Errors:
// NotFound, InvalidArgument for a trace that can't be read, a fact that contradicts another, and
// for standard input where the default of a fact depends on the trace's peak.
absl::StatusOr<CompletedFacts> CompleteFacts(const Facts& facts,
                                             const std::vector<Policy>& policies);

// The policy on that workload. Errors: InvalidArgument naming a metric that nothing in this world
// gives, or an override in `facts.metrics` that names none of its metrics.
absl::StatusOr<Scenario> ScenarioFor(const Policy& policy, const CompletedFacts& facts);

// The same world under the HPA as it is: an HPA object with the metrics of the scenario's only
// object (its triggers as External metrics), its bounds and behavior; guards None, every 15 s. It
// does not scale to zero.
Scenario HpaAsItIs(const Scenario& scenario);

}  // namespace neap::sim
