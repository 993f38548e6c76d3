// neapctl compare: policies side by side on the same load and the same seeds.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "autoscaler/base/status.h"
#include "autoscaler/sim/policy.h"
#include "tools/neapctl/progress.h"
#include "tools/neapctl/report/report.h"
#include "tools/neapctl/trial/outputs.h"
#include "tools/neapctl/trial/run.h"
#include "tools/neapctl/trial/workload.h"
#include "tools/neapctl/trial_commands.h"

namespace neap::ctl {
namespace {

struct Column {
  std::string name = {};
  std::string file = {};
  sim::Scenario scenario = {};
};

// "a/checkout.yaml" is "checkout", unless two would be called so.
std::string NameOf(const std::string& file, const std::vector<std::string>& files) {
  const std::string stem = std::filesystem::path(file).stem().string();
  const auto same = std::count_if(files.begin(), files.end(), [&](const std::string& other) {
    return std::filesystem::path(other).stem().string() == stem;
  });
  return same > 1 ? file : stem;
}

bool IsHpa(const sim::Policy& policy) { return policy.object.spec->kind == core::ObjectKind::kHpa; }

struct Prepared {
  std::vector<Column> columns = {};
  Comparison comparison = {};  // without runs
  absl::Duration objective = absl::InfiniteDuration();
};

absl::StatusOr<Prepared> Prepare(const CompareOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const Workload workload, WorkloadOf(options.workload));
  NEAP_RETURN_IF_ERROR(NeedsTraceFile(options.workload));
  const sim::ScenarioOptions objects = ObjectOptions(options.workload.scalers);
  std::vector<sim::Policy> policies;
  for (const std::string& file : options.files) {
    NEAP_ASSIGN_OR_RETURN(sim::Policy policy, sim::LoadPolicy(file, objects));
    policies.push_back(std::move(policy));
  }
  NEAP_ASSIGN_OR_RETURN(const sim::CompletedFacts facts,
                        sim::CompleteFacts(workload.facts, policies));
  for (const std::string& hint : facts.hints) fmt::print(stderr, "hint: {}\n", hint);
  Prepared out;
  out.objective = workload.objective.wait;
  std::set<std::string> said;
  for (size_t i = 0; i < policies.size(); ++i) {
    NEAP_ASSIGN_OR_RETURN(sim::Scenario scenario, sim::ScenarioFor(policies[i], facts));
    if (i == 0 && !options.no_hpa && !IsHpa(policies[0])) {
      out.columns.push_back({.name = "HPA as it is", .scenario = sim::HpaAsItIs(scenario)});
    }
    for (const std::string& one : scenario.assumptions) {
      if (said.insert(one).second) out.comparison.assumptions.push_back(one);
    }
    out.columns.push_back({.name = NameOf(options.files[i], options.files),
                           .file = options.files[i],
                           .scenario = std::move(scenario)});
  }
  for (int seed = 1; seed <= options.seeds; ++seed) {
    out.comparison.seeds.push_back(static_cast<uint64_t>(seed));
  }
  return out;
}

// Seed by seed, so that what was done when somebody stops is of use.
std::vector<Job> JobsOf(const Prepared& prepared) {
  std::vector<Job> jobs;
  for (const uint64_t seed : prepared.comparison.seeds) {
    for (const Column& column : prepared.columns) {
      Job job{.scenario = column.scenario};
      job.scenario.spec.world.seed = seed;
      job.options.recorder.name = column.name;
      job.options.recorder.series = seed == prepared.comparison.seeds.front();
      jobs.push_back(std::move(job));
    }
  }
  return jobs;
}

absl::Status WriteAll(const TrialOutputs& out, const Comparison& comparison,
                      const ReportMeta& meta) {
  if (!out.report.empty()) {
    NEAP_RETURN_IF_ERROR(WriteFile(out.report, HtmlComparison(comparison, meta)));
  }
  if (!out.json.empty()) {
    NEAP_RETURN_IF_ERROR(WriteFile(out.json, JsonComparison(comparison, meta).dump(2) + "\n"));
  }
  if (out.csv.empty()) return absl::OkStatus();
  NEAP_RETURN_IF_ERROR(MakeDirectory(out.csv));
  return WriteFile(out.csv + "/comparison.csv", ComparisonCsv(comparison));
}

absl::Status Compared(const CompareOptions& options) {
  NEAP_ASSIGN_OR_RETURN(Prepared prepared, Prepare(options));
  const std::vector<Job> jobs = JobsOf(prepared);
  std::vector<sim::Result> results;
  {
    Progress progress(fmt::format("comparing {} policies on {} seeds", prepared.columns.size(),
                                  prepared.comparison.seeds.size()));
    Interrupt interrupt;
    NEAP_ASSIGN_OR_RETURN(results, RunAll(jobs, [&](size_t done) {
                            progress.Update(
                                static_cast<double>(done) / static_cast<double>(jobs.size()),
                                fmt::format("run {} of {}", done, jobs.size()));
                            return !Interrupt::pressed();
                          }));
  }
  Comparison& comparison = prepared.comparison;
  const size_t columns = prepared.columns.size();
  for (size_t i = 0; i < columns; ++i) {
    PolicyRuns runs{.name = prepared.columns[i].name, .file = prepared.columns[i].file};
    for (size_t at = i; at < results.size(); at += columns) {
      runs.runs.push_back(FiguresOf(results[at]));
    }
    comparison.policies.push_back(std::move(runs));
    comparison.shown.push_back(std::move(results[i]));
  }
  ReportMeta meta;
  meta.command = options.command;
  meta.objective = prepared.objective;
  NEAP_RETURN_IF_ERROR(WriteAll(options.out, comparison, meta));
  Print(options.out.format, JsonComparison(comparison, meta), TextComparison(comparison, meta));
  return absl::OkStatus();
}

}  // namespace

int Compare(const CompareOptions& options) {
  const absl::Status status = Compared(options);
  return status.ok() ? kOk : FailTrial(status);
}

}  // namespace neap::ctl
