// Stages stabilise, rate and bounds: from the raw recommendation to the limited count
// (horizontal.go). Decide runs them; Remember uses the list rules at the end. Pure functions.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "autoscaler/core/decision.h"
#include "autoscaler/core/history.h"
#include "autoscaler/core/spec.h"

namespace neap::core {

struct Stabilised {
  int32_t replicas = 0;
  Reason reason = Reason::kReadyForNewScale;
  WindowDetail window;
};
// `past` are the recommendations before this one (the seed included).
Stabilised StabiliseLegacy(absl::Duration window, absl::Time now, int32_t recommended,
                           std::span<const Recommendation> past);
Stabilised StabiliseTwoSided(absl::Duration up, absl::Duration down, absl::Time now,
                             int32_t current, int32_t recommended,
                             std::span<const Recommendation> past);

struct Limited {
  int32_t replicas = 0;
  Reason reason = Reason::kDesiredWithinRange;
  int32_t limit = 0;  // what held it, with reasons other than kDesiredWithinRange
};
// The legacy limit: at most twice `base` (and at least 4) up, min and max. Between two bases
// `least` is the current count, which others may have put above that: a limit of the way up never
// lowers it. Upstream has no such floor (2 x 2^30 overflows to a negative limit), so kNoFloor
// leaves it out.
inline constexpr int32_t kNoFloor = std::numeric_limits<int32_t>::min();
Limited LimitLegacy(int32_t base, int32_t least, int32_t stabilised, int32_t min, int32_t max);
// Policies of `behavior` over the applied events, min and max. The periods of the way up end
// `since_base` before `now` (and take in what came later).
Limited LimitByPolicies(const Behavior& behavior, const History& past, absl::Time now,
                        absl::Duration since_base, int32_t current, int32_t stabilised, int32_t min,
                        int32_t max);

// Bases of relative metrics (guards Safe) are max(period, 15 s) apart. Due times wander by
// milliseconds, so one may come half a second early; its time is then the one that was due, so that
// early ones do not add up to an extra base.
bool BaseIsDue(const AutoscalerSpec& spec, const Base& last, absl::Time now);
absl::Time BaseTime(const AutoscalerSpec& spec, const std::optional<Base>& last, absl::Time now);
// How long ago `last` was taken, at most half a second too long.
absl::Duration SinceBase(const Base& last, absl::Time now);

// Guards Safe: how long a crash loop of at least half of the pods holds scale-up, and how long it
// must be gone until another one holds again.
inline constexpr absl::Duration kCrashLoopHold = absl::Minutes(10);
inline constexpr absl::Duration kCrashLoopForgotten = absl::Minutes(10);
// The interval that a crash loop seen at `now` belongs to: `last` goes on, or a new one begins.
CrashLoop CrashLoopAt(const base::Boxed<CrashLoop>& last, absl::Time now);

// scaleDown's window, filled from the flag in whole seconds when unset.
absl::Duration DownWindow(const Behavior& behavior, absl::Duration flag);
absl::Duration UpWindow(const Behavior& behavior);
// The longer one of both directions, or the flag's where there is no behavior: a recommendation
// that is older is asked for no more.
absl::Duration LongestWindow(const base::Boxed<Behavior>& behavior, absl::Duration flag);

// Enters a recommendation by upstream's slot rule: the last entry that no window needs any more is
// overwritten, else it is appended. Beyond History::kMaxEntries, which only decisions far more
// frequent than upstream's reach, entries go that no window can ask for any more, however long: a
// later one is at least as high, and a later one at least as low.
void AddRecommendation(std::vector<Recommendation>& list, Recommendation entry,
                       absl::Time obsolete_before);
// Enters an applied change likewise; `longest_period` is that direction's. Beyond
// History::kMaxEntries the two oldest become one with the later time.
void AddScaleEvent(std::vector<ScaleEvent>& list, int32_t change, absl::Time at,
                   absl::Duration longest_period);
absl::Duration LongestPeriod(const ScalingRules& rules);
// Enters the change from one count to another, by whoever, as the event of its direction; kept by
// `longer` than policies look back. Nothing without behavior, whose limit looks at no events.
void AddChange(History& history, const base::Boxed<Behavior>& behavior, int32_t from, int32_t to,
               absl::Time at, absl::Duration longer);

}  // namespace neap::core
