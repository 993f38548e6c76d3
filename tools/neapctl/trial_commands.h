// The sub-commands of neapctl that try a policy in a virtual world: what each takes from the
// command line (trial_flags.cc parses it) and the function that does it. As commands.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/neapctl/output.h"

namespace neap::ctl {

// What is known of a workload, as the user wrote it; "" = not said.
struct WorkloadOptions {
  std::string trace = {};
  bool requests = false;  // the trace has one row per request
  bool queue = false;     // its items wait in a queue
  std::string time_column = {};
  std::string value_column = {};
  bool per_step = false;
  std::string gap = {};  // hold, zero or refuse
  std::string scale = {};
  std::string speed = {};
  std::string pod_start = {};
  std::string cpu_per_request = {};
  std::string cpu_request = {};
  std::string capacity = {};
  std::string service_time = {};
  std::string concurrency = {};
  std::string timeout = {};
  std::string replicas = {};
  std::string duration = {};
  std::string objective = {};
  std::vector<std::string> metrics = {};  // NAME=load ...
  std::string scalers = {};  // who is asked about triggers; "" starts the neap-scalers beside
                             // neapctl
};

struct TrialOutputs {
  std::string report = {};  // HTML file
  std::string csv = {};     // directory
  std::string json = {};    // file
  Format format = Format::kTable;
};

struct SimulateOptions {
  std::string file = {};  // a scenario or an object
  WorkloadOptions workload = {};
  std::string seed = {};
  std::string journal = {};  // directory
  std::string command = {};  // as it was typed, for the report
  TrialOutputs out = {};
};
// One run of a scenario, or of an object on a recorded load.
int Simulate(const SimulateOptions& options);

struct CompareOptions {
  std::vector<std::string> files = {};  // objects
  WorkloadOptions workload = {};
  int seeds = 20;
  bool no_hpa = false;
  std::string command = {};
  TrialOutputs out = {};
};
// Policies side by side on the same load and seeds.
int Compare(const CompareOptions& options);

struct TuneOptions {
  std::string file = {};
  WorkloadOptions workload = {};
  int runs = 64;  // points searched, at most
  int part = 70;  // percent of the trace that is searched
  int seeds = 3;  // of each point that is verified
  std::string command = {};
  TrialOutputs out = {};
};
// The cheapest target values, windows and policies that meet an objective.
int Tune(const TuneOptions& options);

struct ScenarioInitOptions {
  std::string kind = "requests";  // requests, queue or cpu
  std::string output = {};        // file; "" = standard output
};
// Writes a commented scenario to begin with.
int ScenarioInit(const ScenarioInitOptions& options);

}  // namespace neap::ctl
