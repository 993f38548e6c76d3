// core::Status to and from the `status` of an Autoscaler or HorizontalPodAutoscaler, in the shape
// of autoscaling/v2. Used by kube (writes), the decoders (reads) and neapctl. Pure functions.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/value/value.h"
#include "autoscaler/core/status.h"

namespace neap::kube::objects {

// Conditions of Autoscalers that Neap adds to the HPA's: the mode, and what the decoder thinks of
// the object.
inline constexpr std::string_view kDryRunCondition = "DryRun";
inline constexpr std::string_view kAcceptedCondition = "Accepted";

struct StatusText {
  const core::Status& status;
  const std::vector<core::Condition>& own_conditions;  // after the status' own; Autoscaler alone
  std::string_view
      explanation;  // the last decision's steps, by line; "" leaves them out; Autoscaler alone
  std::string_view metrics = {};  // each metric's value and target, for people; likewise
};

// The value of `status` as compact JSON. Lists are always there, so that a merge patch replaces
// them; what is unset is null, so that a merge patch removes it.
std::string EncodeStatus(const StatusText& text);

// A stored status, as far as it can be read: what another version wrote differently is left out.
// `own` receives the conditions that Neap adds.
core::Status DecodeStatus(const value::Value& status, std::vector<core::Condition>& own);

// Puts `condition` among `conditions`: replaces the one of its type, keeping its transition time
// when the status is the same, else sets it to `now`.
void SetCondition(std::vector<core::Condition>& conditions, core::Condition condition,
                  absl::Time now);

}  // namespace neap::kube::objects
