// neapctl simulate: one run of a scenario, or of an object on a recorded load.
#include <fmt/format.h>

#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/policy.h"
#include "tools/neapctl/files.h"
#include "tools/neapctl/progress.h"
#include "tools/neapctl/report/report.h"
#include "tools/neapctl/trial/objective.h"
#include "tools/neapctl/trial/outputs.h"
#include "tools/neapctl/trial/run.h"
#include "tools/neapctl/trial/workload.h"
#include "tools/neapctl/trial_commands.h"

namespace neap::ctl {
namespace {

// A scenario has no apiVersion: every object of Kubernetes has one.
absl::StatusOr<bool> IsScenario(const std::string& file) {
  NEAP_ASSIGN_OR_RETURN(const auto documents, ReadDocuments(file));
  if (documents.empty()) return base::InvalidArgument("{}: holds nothing", file);
  return documents[0].is_map() && documents[0].Get("apiVersion") == nullptr;
}

struct Prepared {
  sim::Scenario scenario = {};
  Objective objective = {};
  absl::Duration length = absl::InfiniteDuration();  // infinite: not known
};

absl::StatusOr<Prepared> PrepareScenario(const SimulateOptions& options, const Workload& workload) {
  const auto given = GivenFlags(options.workload);
  if (!given.empty()) {
    return base::InvalidArgument("{}: {} is a scenario, which says its load and workload itself",
                                 given[0], options.file);
  }
  sim::ScenarioOptions load = ObjectOptions(options.workload.scalers);
  if (!options.seed.empty()) load.seed = workload.facts.seed;
  Prepared out;
  NEAP_ASSIGN_OR_RETURN(out.scenario, sim::LoadScenario(options.file, load));
  sim::SimulationSpec& spec = out.scenario.spec;
  out.objective = workload.objective;
  if (workload.facts.objective) spec.world.objective = *workload.facts.objective;
  if (workload.facts.duration) spec.duration = *workload.facts.duration;
  out.length = spec.duration;
  return out;
}

absl::StatusOr<Prepared> PrepareObject(const SimulateOptions& options, Workload workload) {
  if (options.workload.trace.empty()) {
    return base::InvalidArgument(
        "{} is an object: --trace names the recorded load to try it on (or write a scenario: "
        "neapctl scenario init)",
        options.file);
  }
  Prepared out;
  NEAP_ASSIGN_OR_RETURN(const sim::Policy policy,
                        sim::LoadPolicy(options.file, ObjectOptions(options.workload.scalers)));
  NEAP_ASSIGN_OR_RETURN(const sim::CompletedFacts facts,
                        sim::CompleteFacts(workload.facts, {policy}));
  for (const std::string& hint : facts.hints) fmt::print(stderr, "hint: {}\n", hint);
  NEAP_ASSIGN_OR_RETURN(out.scenario, sim::ScenarioFor(policy, facts));
  out.objective = std::move(workload.objective);
  out.length = std::min(facts.length, out.scenario.spec.duration);
  return out;
}

absl::StatusOr<Prepared> Prepare(const SimulateOptions& options) {
  NEAP_ASSIGN_OR_RETURN(Workload workload, WorkloadOf(options.workload));
  if (!options.seed.empty()) {
    NEAP_ASSIGN_OR_RETURN(workload.facts.seed, NumberOf("--seed", options.seed, 0));
  }
  if (options.file == "-") {
    return base::InvalidArgument(
        "a file with a scenario or an object is needed; standard input is "
        "for the trace");
  }
  NEAP_ASSIGN_OR_RETURN(const bool scenario, IsScenario(options.file));
  return scenario ? PrepareScenario(options, workload) : PrepareObject(options, workload);
}

// "met" or "missed", term by term.
std::string ObjectiveText(const Objective& objective, const sim::Result& result) {
  std::string out;
  for (const ObjectiveTerm& term : objective.terms) {
    const double value = term.Of(result);
    out += fmt::format("objective {}: {}, it is {}\n", term.text,
                       value < term.bound ? "met" : "missed", ShowValue(term, value));
  }
  return out;
}

absl::Status WriteAll(const SimulateOptions& options, const ReportMeta& meta,
                      const sim::Result& result) {
  const std::span<const sim::Result> results(&result, 1);
  const TrialOutputs& out = options.out;
  if (!out.report.empty()) NEAP_RETURN_IF_ERROR(WriteFile(out.report, HtmlReport(results, meta)));
  if (!out.json.empty()) {
    NEAP_RETURN_IF_ERROR(WriteFile(out.json, JsonReport(results, meta).dump(2) + "\n"));
  }
  if (out.csv.empty()) return absl::OkStatus();
  NEAP_RETURN_IF_ERROR(MakeDirectory(out.csv));
  NEAP_RETURN_IF_ERROR(WriteFile(out.csv + "/figures.csv", FiguresCsv(results)));
  for (const sim::TargetResult& target : result.targets) {
    const std::string name = out.csv + "/" + FileName(target.object.Text());
    NEAP_RETURN_IF_ERROR(WriteFile(name + "-series.csv", SeriesCsv(result, target)));
    NEAP_RETURN_IF_ERROR(WriteFile(name + "-decisions.csv", DecisionsCsv(result, target)));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Simulated(const SimulateOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(options));
  NEAP_RETURN_IF_ERROR(CheckObjective(prepared.objective, prepared.scenario.spec));
  RunOptions run_options;
  run_options.journal = options.journal;
  std::optional<Progress> progress(std::in_place,
                                   fmt::format("simulating {}", prepared.scenario.name));
  Interrupt interrupt;
  const auto on_progress = [&](absl::Duration passed) {
    const bool known = prepared.length != absl::InfiniteDuration();
    if (known) {
      progress->Update(absl::FDivDuration(passed, prepared.length));
    } else {
      progress->Update(0, base::FormatDuration(absl::Floor(passed, absl::Minutes(1))));
    }
    return !Interrupt::pressed();
  };
  NEAP_ASSIGN_OR_RETURN(const Run run, RunScenario(prepared.scenario, run_options, on_progress));
  progress.reset();
  ReportMeta meta;
  meta.command = options.command;
  meta.objective = prepared.scenario.spec.world.objective;
  NEAP_RETURN_IF_ERROR(WriteAll(options, meta, run.result));
  const std::string verdict = ObjectiveText(prepared.objective, run.result);
  Print(options.out.format, JsonReport({&run.result, 1}, meta),
        TextReport(run.result, meta) + verdict);
  if (run.stopped) {
    return base::Cancelled("stopped after {}: the report is of what was run",
                           base::FormatDuration(run.result.duration));
  }
  return prepared.objective.Meets(run.result) ? kOk : kNo;
}

}  // namespace

int Simulate(const SimulateOptions& options) {
  const auto code = Simulated(options);
  return code.ok() ? *code : FailTrial(code.status());
}

}  // namespace neap::ctl
