// An observation written by hand, for `neapctl explain`: what a decision would see, in a YAML
// document of kind Observation beside the object that it is about. The fields are described in
// docs/neapctl.md. One thread.
//
//   kind: Observation
//   scale: {specReplicas: 4, selector: app=checkout}
//   pods: [{name: checkout, count: 4, requests: {cpu: 500m}}]
//   metrics: [{everyPod: 450m}]
#pragma once

#include <vector>

#include "autoscaler/base/value/value.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/kube/objects/objects.h"
#include "autoscaler/record/owned_observation.h"

namespace neap::ctl {

struct WrittenObservation {
  core::HpaOptions options;
  record::OwnedObservation seen;
  core::History past;
};

bool IsObservation(const value::Value& document);

// Decodes the document as an observation of `spec`. Problems (unknown fields, values of the wrong
// kind, too few metrics) are added to `problems`; then the result is of no use. Times in the
// document are ages before its `now`, which is `now` when it names none.
WrittenObservation DecodeObservation(const value::Value& document, const core::AutoscalerSpec& spec,
                                     absl::Time now, std::vector<kube::objects::Problem>& problems);

}  // namespace neap::ctl
