// Process-wide metrics of neapd over prometheus-cpp: fed from decision and outcome records and by
// the parts around the controller, never from arithmetic code. Thread-safe. Owned by app. Names,
// help and types come from metric_list.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/control/controller.h"
#include "autoscaler/control/messages.h"

namespace neap::telemetry {

class ProcessMetrics {
 public:
  explicit ProcessMetrics(const std::string& version);
  ~ProcessMetrics();

  void OnDecision(const control::DecisionRecord& record);
  void OnOutcome(const control::OutcomeRecord& record);
  // A scale write was handed over `age` after the reading that won was observed.
  void OnWrite(absl::Duration age);
  void OnWriteAnswered(absl::Duration took);
  // One pass of the controller, and how it stands now. Called on the controller's thread, so that a
  // scrape need not touch the controller.
  void OnStep(absl::Duration took, size_t messages, const control::Controller& controller);
  void OnApiError(std::string_view code);  // "503", "deadline_exceeded"

  // A value that another part keeps: read at each scrape, from the scraping thread. `read` gives
  // one sample per set of label values, in the order in which metric_list names the labels. Before
  // the server starts.
  struct Sample {
    std::vector<std::string> label_values;
    double value = 0;
  };
  void AddSource(std::string_view name, std::function<std::vector<Sample>()> read);

  std::string Text() const;  // Prometheus text format 0.0.4

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::telemetry
