// An observation written by hand, for `neapctl explain`: what a decision would see, in a YAML
// document of kind Observation beside the object that it is about. The fields are described in
// docs/neapctl.md. One thread.
//
//   kind: Observation
//   scale: {specReplicas: 4, selector: app=checkout}
//   pods: [{name: checkout, count: 4, requests: {cpu: 500m}}]
//   metrics: [{everyPod: 450m}]
#pragma once

#include <string>
#include <vector>

#include "autoscaler/base/value/value.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::ctl {

// Owns the tables that a core::Observation borrows.
struct WrittenObservation {
  core::HpaOptions options;
  absl::Time now;
  bool has_scale = false;
  core::Scale scale;
  core::ReadingError scale_error;
  std::string selector_error;
  std::vector<core::Pod> pods;
  std::vector<core::PodRequests> requests;
  std::vector<core::MetricSpec> trigger_metrics;  // one for each trigger of the object
  std::vector<core::Reading> readings;            // of the object's metrics, then of its triggers
  std::vector<absl::Duration> stale_after;        // parallel to `readings`
  std::vector<std::string> overlapping;
  core::History past;
  bool views_synced = true;
  bool views_silent = false;
};

bool IsObservation(const value::Value& document);

// Decodes the document as an observation of `spec`. Problems (unknown fields, values of the wrong
// kind, too few metrics) are added to `problems`; then the result is of no use. Times in the
// document are ages before its `now`, which is `now` when it names none.
WrittenObservation DecodeObservation(const value::Value& document, const core::AutoscalerSpec& spec,
                                     absl::Time now, std::vector<kube::objects::Problem>& problems);

// What Decide takes, borrowing everything. `inputs` is filled for it and outlives it.
core::Observation View(const WrittenObservation& written, const core::AutoscalerSpec& spec,
                       const core::Status& previous, std::vector<core::MetricInput>& inputs);

}  // namespace neap::ctl
