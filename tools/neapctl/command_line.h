// What the command lines of all sub-commands have in common. Only main.cc, kubectl_main.cc and
// trial_flags.cc include it: CLI11 is slow to compile.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tools/neapctl/output.h"
#include "tools/neapctl/trial_commands.h"

namespace neap::ctl {

inline constexpr char kExitCodes[] =
    "Exit codes: 0 yes; 1 the answer is no (an invalid object, a difference, a failed read, a "
    "missed objective);\n"
    "2 it could not be found out (wrong usage, an unreadable file, nobody answers).";

// A sub-command with -o (unless `format` is null), and its help with examples.
CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& what,
                     const std::string& examples, Format* format);

// simulate, compare, tune, scenario. Lives until the command line was parsed, which runs the
// command and sets `code`.
class TrialFlags {
 public:
  TrialFlags(CLI::App& app, int argc, char** argv, int* code);

 private:
  void AddSimulate(CLI::App& app);
  void AddCompare(CLI::App& app);
  void AddTune(CLI::App& app);
  void AddScenario(CLI::App& app);

  std::string typed_;  // the whole command line
  int* code_;
  SimulateOptions simulate_;
  CompareOptions compare_;
  TuneOptions tune_;
  ScenarioInitOptions init_;
};

}  // namespace neap::ctl
