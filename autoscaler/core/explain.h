// Words about a decision beyond its steps (Explain in decide.h): what each metric is called, what
// was read, what was wanted, what it asked for. For neapctl, reports and status pages. Pure
// functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/core/decision.h"
#include "autoscaler/core/observation.h"
#include "autoscaler/core/spec.h"

namespace neap::core {

// What a metric is called. Metrics of triggers come after the object's own; which trigger one is of
// can be told while each has exactly one. `metrics` is how many there are in all.
std::string NameInSpec(const AutoscalerSpec& spec, size_t metrics, int metric);

// One metric of a decision as people read it.
struct MetricLine {
  std::string name;
  std::string value;   // "90%", "150", "22.5 per pod"; what failed: ""
  std::string target;  // "60%", "20 per pod"
  std::string asks;    // "6"; what failed: the error
  bool failed = false;
  bool operator==(const MetricLine&) const = default;
};
// In the order of `seen.metrics`; empty when the decision did not read them.
std::vector<MetricLine> MetricLines(const AutoscalerSpec& spec, const Observation& seen,
                                    const Decision& decision);

// Thousandths as a plain number: "41", "22.5", "0.045"; of memory in Ki, Mi, ...: "1.25Gi".
std::string AmountText(int64_t milli, bool memory = false);

}  // namespace neap::core
