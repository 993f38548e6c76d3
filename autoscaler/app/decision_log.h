// DecisionLog: what neapd decided, as log lines for an operator: one per change of a scale and one
// per new reason, never one per tick. Errors are the warning events' texts. A flood (the first
// decisions of 10,000 objects) is cut to a rate, and what was left out is counted in a line of its
// own. On the controller's thread alone. Owned by Neapd.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "autoscaler/base/budget.h"
#include "autoscaler/base/lookup.h"
#include "autoscaler/base/uid.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/telemetry/logging.h"

namespace neap::app {

class DecisionLog {
 public:
  enum class Severity : uint8_t { kInfo, kWarning };
  using Write = std::function<void(Severity, std::string_view line)>;

  explicit DecisionLog(Write write) : write_(std::move(write)) {}

  // `record`'s pointers are read in the call.
  void OnDecision(const control::DecisionRecord& record, absl::Time now);
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now);
  void OnEvent(const control::EmitEvent& event, absl::Time now);
  // Forgets objects, when most of those remembered are gone; `targets` is how many there are.
  void Sweep(size_t targets);

 private:
  // A reason that comes and goes: lines at once and for long, per object.
  static constexpr float kReasonBurst = 4;
  static constexpr float kReasonsPerSecond = 0.1F;
  // All lines.
  static constexpr double kBurst = 200;
  static constexpr double kPerSecond = 20;

  // What the log said last of an object. Kept small: there is one of it per object.
  struct Last {
    uint32_t reasons = 0;   // hash of the reasons
    uint32_t withheld = 0;  // hash of the change that was withheld
    absl::Time reasons_at = absl::InfinitePast();
    float tokens = kReasonBurst;  // a bucket of lines about reasons
  };
  // A change whose outcome is awaited.
  struct Change {
    uint64_t decision_id = 0;
    std::string text;  // "shop/checkout: Deployment checkout 3 -> 5"
    std::string why;   // "pods metric rps above target"
  };
  // Whether the reasons are news to be said now.
  static bool TakeReason(Last& last, uint32_t reasons, absl::Time now);
  void Say(Severity severity, std::string_view line, absl::Time now);

  const Write write_;
  base::Lookup<base::Uid, Last> last_;
  base::Lookup<base::Uid, Change> changes_;
  telemetry::Throttle events_{absl::Minutes(5)};
  base::Budget lines_{kPerSecond, kBurst};
  uint64_t left_out_ = 0;
};

// Why a decision ends where it does, in the reasons' own names: "DesiredWithinRange",
// "ScaleDownStabilized, TooFewReplicas", "InvalidMetrics".
std::string ReasonsOf(const core::Decision& decision);

}  // namespace neap::app
