// OwnedObservation: a core::Observation together with the tables that it borrows from. Made by the
// journal's reader, and by whoever wants to keep what a decision saw. A plain value; one thread
// only.
//
//   OwnedObservation kept = OwnedObservation::Of(seen);
//   core::Decision d = core::Decide(options, spec, kept.View(), past);
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <vector>

#include "autoscaler/core/observation.h"

namespace neap::record {

struct OwnedObservation {
  struct Metric {
    core::MetricSpec spec;
    absl::Duration stale_after = absl::InfiniteDuration();
    bool operator==(const Metric&) const = default;
  };

  absl::Time now = absl::InfinitePast();
  std::optional<core::Scale> scale;
  std::optional<core::ReadingError> scale_error;
  std::optional<std::string> selector_error;
  std::vector<core::Pod> pods;
  std::vector<core::PodRequests> requests;
  std::vector<Metric> metrics;
  std::vector<core::Reading> readings;  // parallel to `metrics`
  std::vector<std::string> overlapping;
  core::Status previous;
  bool views_synced = true;
  bool views_silent = false;
  bool takes_base = true;
  bool operator==(const OwnedObservation& other) const;

  static OwnedObservation Of(const core::Observation& seen);

  // Valid until this value is changed, moved or destroyed, or View is called again.
  core::Observation View();

 private:
  std::vector<core::MetricInput> inputs_;  // what the last view points to
};

}  // namespace neap::record
