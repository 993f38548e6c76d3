// Judging what a scaler says, before anybody relies on it: a TriggerStatus becomes
// control::TriggerOpened, a Reading becomes control::TriggerReading. What breaks the contract
// becomes a kBadAnswer error of the metric (or, where no metric is to blame, of the trigger) and is
// counted. Pure functions; no gRPC. Used by Endpoint and Client.
//
// Decisions that the contract leaves open:
//   -0.0            is 0: harmless, counted
//   age             missing is 0 (measured for this answer); negative or over 366 days is refused;
//   any
//                   other is believed, and Decide judges it as stale or not
//   sampled_at      missing is "unknown"; before 2000 (a clock that is not set, another unit) or
//                   more than 1 h ahead of us is refused; otherwise it is shown, never compared
//   values          at most 150,000 per metric (a cluster's greatest number of pods), 100 metrics
//                   per trigger
//   empty series    refused for triggers; for hpa-* types it means "no such series"
//   duplicate pods  refused: which one is right?
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/scalerhost/host.h"
#include "neap/scaler/v1/scaler.pb.h"

namespace neap::scalerhost {

namespace pb = ::neap::scaler::v1;

using Violations = std::array<uint64_t, kViolations>;

inline constexpr int kMaxValues = 150'000;  // per metric
inline constexpr int kMaxMetrics = 100;     // per trigger

// `type` is the trigger's; the list is empty for hpa-* types. `error` is set when the scaler
// refuses the trigger or its metrics can't be used.
control::TriggerOpened CheckStatus(const pb::TriggerStatus& status, std::string_view type,
                                   Violations& violations);

// The metrics that a TriggerStatus or ValidateResponse names; InvalidArgument says which one is at
// fault. A target must be positive; `zero_targets` lets 0 pass, for tools that show what a scaler
// makes of a trigger that the HPA would refuse.
absl::StatusOr<std::vector<core::MetricSpec>> CheckMetrics(
    const google::protobuf::RepeatedPtrField<pb::MetricSpec>& metrics, bool zero_targets,
    Violations& violations);

// What the readings of a trigger are judged by: what CheckStatus made of it, without the rest.
struct OpenedTrigger {
  struct Metric {
    std::string name;
    core::MetricTarget target;
    bool has_activity = false;
    bool operator==(const Metric&) const = default;
  };
  std::vector<Metric> metrics;
  std::optional<core::ReadingError> error;

  OpenedTrigger() = default;
  OpenedTrigger(const control::TriggerOpened& opened);  // implicit: it is the same, but smaller
  bool operator==(const OpenedTrigger&) const = default;

  struct ByValue {  // hash and equality of what a pointer points to
    size_t operator()(const std::shared_ptr<const OpenedTrigger>& opened) const;
    bool operator()(const std::shared_ptr<const OpenedTrigger>& a,
                    const std::shared_ptr<const OpenedTrigger>& b) const {
      return *a == *b;
    }
  };
};

// Every metric of `opened` is in the result once, with a value or an error, or the result is one
// error. `received` is when the reading came.
control::TriggerReading CheckReading(const pb::Reading& reading, std::string_view type,
                                     const OpenedTrigger& opened, absl::Time received,
                                     Violations& violations);

control::TriggerReading FailedReading(std::string trigger_id, uint64_t round,
                                      core::ReadingError error);

}  // namespace neap::scalerhost
