// History: what decisions of one target remember between them. Owned by control, passed to Decide
// by reference and through Remember by value; stored by record. Bounded: see kMaxEntries. Plain
// values; one thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "autoscaler/base/boxed.h"
#include "autoscaler/base/stamp.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/core/status.h"

namespace neap::core {

// A recommendation: the raw combined count before behavior, and when it was made.
struct Recommendation {
  int32_t replicas = 0;
  base::Stamp at = {};
  bool operator==(const Recommendation&) const = default;
};

// An applied change of |count| replicas; upstream's list with its slot rule (storeScaleEvent).
struct ScaleEvent {
  int32_t change = 0;  // > 0
  base::Stamp at = {};
  bool outdated = false;
  bool operator==(const ScaleEvent&) const = default;
};

// The count that relative metrics and the legacy limit multiply, under guards Safe
// (ARCHITECTURE.md, life of a sample, 2).
struct Base {
  int32_t replicas = 0;
  int32_t ready_pods = 0;
  base::Stamp at = {};
  bool operator==(const Base&) const = default;
};

// At least half of the pods were in CrashLoopBackOff: since when, and when last (guards Safe).
// Containers that crash run for moments in between, so an interval ends only after a while without.
struct CrashLoop {
  base::Stamp since = {};
  base::Stamp seen = {};
  bool operator==(const CrashLoop&) const = default;
};

struct History {
  // Per list: 3,600 s windows at 1 s, with room. What comes beyond it is folded, never forgotten:
  // see AddRecommendation and AddScaleEvent.
  static constexpr size_t kMaxEntries = 8192;
  std::vector<Recommendation> recommendations;
  std::vector<ScaleEvent> up_events;
  std::vector<ScaleEvent> down_events;
  std::optional<Base> base;
  std::vector<uint64_t>
      counted;  // per metric: Reading.sequence that last moved the count since `base`
  base::Boxed<CrashLoop> crash_loop;
  // ScaledToZero is the condition of that name in the previous status. KEDA's last active time,
  // failures per metric, original and paused counts join here with stage `zero`.
  bool operator==(const History&) const = default;
};

// What became of the write that a decision asked for.
struct ApplyResult {
  enum class Kind : uint8_t {
    kNotTried,  // nothing to write
    kApplied,
    kWithheld,  // dry run: as decided, not written, remembered as no scale event
    kConflict,  // somebody else changed it: observe again
    kGone,
    kRejected,
    kUnknown,  // no answer in time: observe; if it is as asked, it was applied
  };
  Kind kind = Kind::kNotTried;
  absl::Time at = absl::InfinitePast();  // when the answer came
  std::string error;                     // the peer's text, for events and conditions
  bool operator==(const ApplyResult&) const = default;
};

struct Outcome {
  History history;
  Status status;
  std::vector<Event> events;  // in the order the HPA emits them
};

}  // namespace neap::core
