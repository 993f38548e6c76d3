// Status: what Neap reports of one Autoscaler, with the HPA's fields and words (autoscaling/v2
// status). Made by Remember from a decision; written by kube; read back as the previous status,
// because conditions carry over. Plain values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autoscaler/base/boxed.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/stamp.h"
#include "autoscaler/base/text.h"
#include "autoscaler/core/spec.h"

namespace neap::core {

enum class ConditionStatus : uint8_t { kTrue, kFalse, kUnknown };

struct Condition {
  base::Text type;
  ConditionStatus status = ConditionStatus::kUnknown;
  base::Text reason;
  base::Text message;
  base::Stamp
      last_transition;  // changes only when `status` does; InfinitePast = the API's zero time
  bool operator==(const Condition&) const = default;
};

// One entry of status.currentMetrics. A metric that failed is an entry with `valid` false
// (upstream: {"type": ""}).
struct MetricStatus {
  bool valid = false;
  MetricSource source = MetricSource::kExternal;
  base::Text name;
  base::Text container;
  base::Boxed<ObjectReference> described_object;
  base::Boxed<base::LabelSelector> selector;
  std::optional<int32_t> average_utilization;                      // percent
  std::optional<int64_t> average_value;                            // milli
  std::optional<int64_t> value;                                    // milli
  base::QuantityFormat format = base::QuantityFormat::kDecimalSI;  // how the amounts are printed
  bool operator==(const MetricStatus&) const = default;
};

struct Status {
  int32_t current_replicas = 0;
  int32_t desired_replicas = 0;
  std::optional<base::Stamp> last_scale_time;
  std::optional<int64_t> observed_generation;
  std::vector<MetricStatus> current_metrics;
  std::vector<Condition> conditions;  // order of first insertion
  bool operator==(const Status&) const = default;
};

enum class EventType : uint8_t { kNormal, kWarning };
struct Event {
  EventType type = EventType::kNormal;
  std::string reason;
  std::string message;
  bool operator==(const Event&) const = default;
};

}  // namespace neap::core
