// The sub-commands of neapctl: what each takes from the command line (main.cc parses it) and the
// function that does it. Each prints to stdout and stderr and gives the exit code (output.h).
// Called once by main; one thread.
#pragma once

#include <string>
#include <vector>

#include "tools/neapctl/output.h"

namespace neap::ctl {

struct ValidateOptions {
  std::vector<std::string> files;
  Format format = Format::kTable;
};
// Decodes every Autoscaler and HorizontalPodAutoscaler of the files as strictly as Neap does.
int Validate(const ValidateOptions& options);

struct ExplainOptions {
  std::vector<std::string> files;  // an object and an Observation
  Format format = Format::kTable;
};
// Why a count is what it is: the decision's steps in words.
int Explain(const ExplainOptions& options);

struct ConformanceOptions {
  std::vector<std::string> files;
  std::string scalers;  // address; "" starts the neap-scalers beside neapctl
  Format format = Format::kTable;
};
// Recorded inputs and outputs of the real HPA and of KEDA's trigger parsing against ours.
int Conformance(const ConformanceOptions& options);

}  // namespace neap::ctl
