// The command lines of simulate, compare, tune and scenario, and what all sub-commands have.
#include <map>

#include "tools/neapctl/command_line.h"

namespace neap::ctl {
namespace {

// As a shell takes it.
std::string Quoted(const std::string& word) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

void AddWorkload(CLI::App& command, WorkloadOptions& w) {
  const std::string load = "The load";
  command.add_option("--trace", w.trace, "A recorded load: CSV (docs/traces.md)")
      ->type_name("FILE")
      ->group(load);
  command.add_flag("--requests", w.requests, "The trace has one row per request: time and work")
      ->group(load);
  command.add_flag("--queue", w.queue, "What arrives waits in a queue until a pod takes it")
      ->group(load);
  command.add_option("--time-column", w.time_column, "By its name, or its number from 1")
      ->type_name("COLUMN")
      ->group(load);
  command
      .add_option("--value-column", w.value_column,
                  "Rates, or the work of requests; A+B: both added")
      ->type_name("COLUMN")
      ->group(load);
  command.add_flag("--per-step", w.per_step, "Values are counts per row, not rates per second")
      ->group(load);
  command.add_option("--gap", w.gap, "Where rows are missing: hold (the default), zero or refuse")
      ->check(CLI::IsMember({"hold", "zero", "refuse"}).description(""))
      ->type_name("WORD")
      ->group(load);
  command.add_option("--scale", w.scale, "Times the trace's rate")
      ->type_name("FACTOR")
      ->group(load);
  command.add_option("--speed", w.speed, "Times the trace's time")
      ->type_name("FACTOR")
      ->group(load);
  command.add_option("--duration", w.duration, "Stop after; without it when the trace ends")
      ->type_name("TIME")
      ->group(load);
  const std::string workload = "The workload: what is not said is assumed, and printed";
  command
      .add_option("--pod-start", w.pod_start,
                  "From a pod's creation to ready: 20s, or '[10s, 30s]'")
      ->type_name("TIME")
      ->group(workload);
  command.add_option("--capacity", w.capacity, "Requests or items per second that a pod can do")
      ->type_name("NUMBER")
      ->group(workload);
  command.add_option("--cpu-per-request", w.cpu_per_request, "CPU time of a request: 5ms")
      ->type_name("TIME")
      ->group(workload);
  command.add_option("--cpu-request", w.cpu_request, "CPU that each pod requests: 500m")
      ->type_name("CORES")
      ->group(workload);
  command
      .add_option("--service-time", w.service_time,
                  "Simulates single requests, each of which keeps a pod busy for so long (with "
                  "--requests: per unit of work)")
      ->type_name("TIME")
      ->group(workload);
  command.add_option("--concurrency", w.concurrency, "Requests that a pod serves at once")
      ->type_name("NUMBER")
      ->group(workload);
  command.add_option("--timeout", w.timeout, "A request that is not answered by then fails")
      ->type_name("TIME")
      ->group(workload);
  command.add_option("--replicas", w.replicas, "At the beginning")
      ->type_name("NUMBER")
      ->group(workload);
  command
      .add_option("--metric", w.metrics,
                  "What a metric or trigger reads: load, loadPerPod, queue, cpu or fixed:NUMBER")
      ->type_name("NAME=WORD")
      ->group(workload);
  command
      .add_option("--objective", w.objective, "What is good: \"p99 wait < 1s and failed < 0.1%\"")
      ->type_name("TEXT");
  command
      .add_option("--scalers", w.scalers,
                  "Where to ask about triggers; without it the neap-scalers beside neapctl is "
                  "started and stopped again")
      ->type_name("ADDRESS");
}

void AddOutputs(CLI::App& command, TrialOutputs& out) {
  command.add_option("--report", out.report, "A page with plots that needs no network")
      ->type_name("FILE.html");
  command.add_option("--csv", out.csv, "CSV files, into this directory")->type_name("DIR");
  command.add_option("--json", out.json, "Everything, as JSON")->type_name("FILE");
}

}  // namespace

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& what,
                     const std::string& examples, Format* format) {
  static const std::map<std::string, Format> kFormats = {
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  CLI::App* command = app.add_subcommand(name, what);
  if (format != nullptr) {
    command
        ->add_option_function<std::string>(
            "-o,--output", [format](const std::string& word) { *format = kFormats.at(word); },
            "table (the default), json or yaml")
        ->check(CLI::IsMember(kFormats).description(""))
        ->type_name("FORMAT");
  }
  command->footer("Examples:\n" + examples + "\n" + kExitCodes);
  return command;
}

TrialFlags::TrialFlags(CLI::App& app, int argc, char** argv, int* code) : code_(code) {
  typed_ = "neapctl";
  for (int i = 1; i < argc; ++i) typed_ += " " + Quoted(argv[i]);
  AddSimulate(app);
  AddCompare(app);
  AddTune(app);
  AddScenario(app);
}

void TrialFlags::AddSimulate(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "simulate",
      "Try an Autoscaler or HorizontalPodAutoscaler on recorded load, or run a scenario: virtual "
      "time, the code that neapd decides with",
      "  neapctl simulate hpa.yaml --trace day.csv --report day.html\n"
      "  neapctl simulate worker.yaml --trace jobs.csv --capacity 5 --objective \"p99 wait < "
      "30s\"\n"
      "  zcat month.csv.gz | neapctl simulate hpa.yaml --trace - --capacity 50 "
      "--cpu-per-request 5ms\n"
      "  neapctl simulate scenario.yaml --seed 7\n",
      &simulate_.out.format);
  command->add_option("file", simulate_.file, "A scenario, or a file with one object")
      ->required()
      ->type_name("FILE");
  AddWorkload(*command, simulate_.workload);
  command
      ->add_option("--seed", simulate_.seed, "Of all chance; the default is 1, or the scenario's")
      ->type_name("NUMBER");
  AddOutputs(*command, simulate_.out);
  command->add_option("--journal", simulate_.journal, "Each decision, for explain and replay")
      ->type_name("DIR");
  command->callback([this] {
    simulate_.command = typed_;
    *code_ = Simulate(simulate_);
  });
}

void TrialFlags::AddCompare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "compare",
      "Policies side by side on the same load and seeds, with 95 % confidence; beside them the HPA "
      "as it is, made of the first object",
      "  neapctl compare now.yaml then.yaml --trace day.csv --report compare.html\n",
      &compare_.out.format);
  command->add_option("files", compare_.files, "Files with one object each")
      ->required()
      ->type_name("FILE");
  AddWorkload(*command, compare_.workload);
  command->add_option("--seeds", compare_.seeds, "Runs of each policy; the default is 20")
      ->check(CLI::Range(1, 10'000).description(""))
      ->type_name("NUMBER");
  command->add_flag("--no-hpa", compare_.no_hpa, "Leave out the HPA as it is");
  AddOutputs(*command, compare_.out);
  command->callback([this] {
    compare_.command = typed_;
    *code_ = Compare(compare_);
  });
}

void TrialFlags::AddTune(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "tune",
      "Search the target values, windows and policies that meet an objective with the fewest "
      "pod-hours; what misses it on the part of the trace that was not searched is not recommended",
      "  neapctl tune hpa.yaml --trace day.csv --objective \"p99 wait < 1s\"\n", &tune_.out.format);
  command->add_option("file", tune_.file, "A file with one object")->required()->type_name("FILE");
  AddWorkload(*command, tune_.workload);
  command->add_option("--runs", tune_.runs, "Points to search at most; the default is 64")
      ->check(CLI::Range(1, 100'000).description(""))
      ->type_name("NUMBER");
  command->add_option("--part", tune_.part, "Percent of the trace to search; the default is 70")
      ->check(CLI::Range(10, 90).description(""))
      ->type_name("PERCENT");
  command->add_option("--seeds", tune_.seeds, "To verify a point with; the default is 3")
      ->check(CLI::Range(1, 1000).description(""))
      ->type_name("NUMBER");
  AddOutputs(*command, tune_.out);
  command->callback([this] {
    tune_.command = typed_;
    *code_ = Tune(tune_);
  });
}

void TrialFlags::AddScenario(CLI::App& app) {
  CLI::App* scenario = app.add_subcommand("scenario", "Scenarios: worlds of your own to simulate");
  scenario->require_subcommand(1);
  CLI::App* command =
      AddCommand(*scenario, "init", "Write a commented scenario to begin with, which runs as it is",
                 "  neapctl scenario init -o scenario.yaml && neapctl simulate scenario.yaml\n"
                 "  neapctl scenario init --kind queue\n",
                 nullptr);
  command->add_option("--kind", init_.kind, "requests (the default), queue or cpu")
      ->check(CLI::IsMember({"requests", "queue", "cpu"}).description(""))
      ->type_name("KIND");
  command->add_option("-o,--output", init_.output, "Without it: standard output")
      ->type_name("FILE");
  command->callback([this] { *code_ = ScenarioInit(init_); });
}

}  // namespace neap::ctl
