#include "autoscaler/core/behavior.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autoscaler/core/arithmetic.h"

namespace neap::core {

Stabilised StabiliseLegacy(absl::Duration window, absl::Time now, int32_t recommended,
                           std::span<const Recommendation> past) {
  const absl::Time cutoff = now - window;
  Stabilised s{.replicas = recommended,
               .reason = Reason::kReadyForNewScale,
               .window = {recommended, recommended}};
  for (const Recommendation& entry : past) {
    if (entry.at >= cutoff) s.replicas = std::max(s.replicas, entry.replicas);
  }
  s.window.highest = s.replicas;
  if (s.replicas != recommended) s.reason = Reason::kScaleDownStabilized;
  return s;
}

Stabilised StabiliseTwoSided(absl::Duration up, absl::Duration down, absl::Time now,
                             int32_t current, int32_t recommended,
                             std::span<const Recommendation> past) {
  Stabilised s{.replicas = current,
               .reason = Reason::kReadyForNewScale,
               .window = {recommended, recommended}};
  for (const Recommendation& entry : past) {
    if (entry.at > now - up) s.window.lowest = std::min(s.window.lowest, entry.replicas);
    if (entry.at > now - down) s.window.highest = std::max(s.window.highest, entry.replicas);
  }
  // Only as far as the envelope forces.
  if (s.replicas < s.window.lowest) s.replicas = s.window.lowest;
  if (s.replicas > s.window.highest) s.replicas = s.window.highest;
  if (s.replicas != recommended) {
    s.reason = recommended >= current ? Reason::kScaleUpStabilized : Reason::kScaleDownStabilized;
  }
  return s;
}

Limited LimitLegacy(int32_t base, int32_t least, int32_t stabilised, int32_t min, int32_t max) {
  const int32_t up = std::max(ToInt32(std::max(2.0 * static_cast<double>(base), 4.0)), least);
  const int32_t high = max > up ? up : max;
  if (stabilised < min) return {.replicas = min, .reason = Reason::kTooFewReplicas, .limit = min};
  if (stabilised > high) {
    return {.replicas = high,
            .reason = max > up ? Reason::kScaleUpLimit : Reason::kTooManyReplicas,
            .limit = high};
  }
  return {.replicas = stabilised, .reason = Reason::kDesiredWithinRange, .limit = 0};
}

namespace {

int32_t ChangeSince(const std::vector<ScaleEvent>& events, absl::Time cutoff) {
  int32_t sum = 0;
  for (const ScaleEvent& event : events) {
    if (event.at > cutoff) sum = WrapAdd32(sum, event.change);
  }
  return sum;
}

// As calculateScaleUpLimit of upstream: the count at a period's start nets the events of both
// directions.
int32_t PolicyLimit(const ScalingRules& rules, const History& past, absl::Time now, int32_t current,
                    bool up) {
  if (rules.select_policy == SelectPolicy::kDisabled) return current;
  const bool biggest_change = rules.select_policy == SelectPolicy::kMax;
  const bool take_max = up == biggest_change;
  int32_t result =
      take_max ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
  for (const ScalingPolicy& policy : rules.policies) {
    const absl::Time cutoff = now - absl::Seconds(policy.period_seconds);
    const int32_t start = WrapAdd32(WrapSubtract32(current, ChangeSince(past.up_events, cutoff)),
                                    ChangeSince(past.down_events, cutoff));
    int32_t limit = 0;
    const double percent = static_cast<double>(policy.value) / 100;
    if (policy.type == PolicyType::kPods) {
      limit = up ? WrapAdd32(start, policy.value) : WrapSubtract32(start, policy.value);
    } else if (up) {
      limit = CeilToInt32(static_cast<double>(start) * (1 + percent));
    } else {
      limit = ToInt32(static_cast<double>(start) * (1 - percent));
    }
    result = take_max ? std::max(result, limit) : std::min(result, limit);
  }
  return result;
}

}  // namespace

Limited LimitByPolicies(const Behavior& behavior, const History& past, absl::Time now,
                        absl::Duration since_base, int32_t current, int32_t stabilised, int32_t min,
                        int32_t max) {
  if (stabilised > current) {
    const int32_t limit =
        std::max(PolicyLimit(behavior.scale_up, past, now - since_base, current, true), current);
    const bool by_rate = limit < max;
    const int32_t allowed = by_rate ? limit : max;
    if (stabilised > allowed) {
      return {.replicas = allowed,
              .reason = by_rate ? Reason::kScaleUpLimit : Reason::kTooManyReplicas,
              .limit = allowed};
    }
  } else if (stabilised < current) {
    const int32_t limit =
        std::min(PolicyLimit(behavior.scale_down, past, now, current, false), current);
    const bool by_rate = limit > min;
    const int32_t allowed = by_rate ? limit : min;
    if (stabilised < allowed) {
      return {.replicas = allowed,
              .reason = by_rate ? Reason::kScaleDownLimit : Reason::kTooFewReplicas,
              .limit = allowed};
    }
  }
  return {.replicas = stabilised, .reason = Reason::kDesiredWithinRange, .limit = 0};
}

namespace {

constexpr absl::Duration kBaseSlack = absl::Milliseconds(500);

absl::Duration BaseInterval(const AutoscalerSpec& spec) {
  return std::max(spec.period, absl::Seconds(15));
}

}  // namespace

bool BaseIsDue(const AutoscalerSpec& spec, const Base& last, absl::Time now) {
  return now - last.at >= BaseInterval(spec) - kBaseSlack;
}

absl::Time BaseTime(const AutoscalerSpec& spec, const std::optional<Base>& last, absl::Time now) {
  if (!last) return now;
  const absl::Time due = last->at + BaseInterval(spec);
  return now < due + kBaseSlack ? due : now;
}

absl::Duration SinceBase(const Base& last, absl::Time now) {
  return std::max(absl::ZeroDuration(), now - last.at + kBaseSlack);
}

CrashLoop CrashLoopAt(const base::Boxed<CrashLoop>& last, absl::Time now) {
  const bool goes_on = last && now - last->seen < kCrashLoopForgotten;
  return {.since = goes_on ? last->since : base::Stamp(now), .seen = now};
}

absl::Duration DownWindow(const Behavior& behavior, absl::Duration flag) {
  if (behavior.scale_down.stabilization_window_seconds) {
    return absl::Seconds(*behavior.scale_down.stabilization_window_seconds);
  }
  return absl::Trunc(flag, absl::Seconds(1));
}

absl::Duration UpWindow(const Behavior& behavior) {
  return absl::Seconds(behavior.scale_up.stabilization_window_seconds.value_or(0));
}

absl::Duration LongestWindow(const base::Boxed<Behavior>& behavior, absl::Duration flag) {
  return behavior ? std::max(UpWindow(*behavior), DownWindow(*behavior, flag)) : flag;
}

namespace {

// Leaves what the highest and the lowest entry of any window that ends now may be.
void DropCovered(std::vector<Recommendation>& list) {
  std::vector<size_t> newest_first(list.size());
  for (size_t i = 0; i < list.size(); ++i) newest_first[i] = i;
  std::stable_sort(newest_first.begin(), newest_first.end(),
                   [&](size_t a, size_t b) { return list[a].at > list[b].at; });
  std::vector<bool> covered(list.size(), false);
  int32_t highest = std::numeric_limits<int32_t>::min();
  int32_t lowest = std::numeric_limits<int32_t>::max();
  for (bool first = true; size_t i : newest_first) {
    covered[i] = !first && list[i].replicas <= highest && list[i].replicas >= lowest;
    highest = std::max(highest, list[i].replicas);
    lowest = std::min(lowest, list[i].replicas);
    first = false;
  }
  size_t kept = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!covered[i]) list[kept++] = list[i];
  }
  list.resize(kept);
}

// The older of two entries goes; the younger takes over its weight.
template <typename Entry, typename Join>
void FoldOldest(std::vector<Entry>& list, Join join) {
  const auto older = [](const Entry& a, const Entry& b) { return a.at < b.at; };
  const auto oldest = std::min_element(list.begin(), list.end(), older);
  const Entry entry = *oldest;
  list.erase(oldest);
  join(*std::min_element(list.begin(), list.end(), older), entry);
}

}  // namespace

void AddRecommendation(std::vector<Recommendation>& list, Recommendation entry,
                       absl::Time obsolete_before) {
  for (auto at = list.rbegin(); at != list.rend(); ++at) {
    if (at->at < obsolete_before) {
      *at = entry;
      return;
    }
  }
  // It grows to the window's length and stays there, for each target: so by an eighth, not twofold.
  if (list.size() == list.capacity()) list.reserve(list.size() + list.size() / 8 + 1);
  list.push_back(entry);
  if (list.size() <= History::kMaxEntries) return;
  DropCovered(list);
  // More than that many different counts on one slope: holding scale-down longer harms least.
  while (list.size() > History::kMaxEntries) {
    FoldOldest(list, [](Recommendation& into, const Recommendation& gone) {
      into.replicas = std::max(into.replicas, gone.replicas);
    });
  }
}

void AddScaleEvent(std::vector<ScaleEvent>& list, int32_t change, absl::Time at,
                   absl::Duration longest_period) {
  ScaleEvent* slot = nullptr;
  for (ScaleEvent& event : list) {
    if (event.at < at - longest_period)
      event.outdated = true;  // stays so, even if a later policy is longer
    if (event.outdated) slot = &event;
  }
  const ScaleEvent entry{.change = change, .at = at, .outdated = false};
  if (slot != nullptr) {
    *slot = entry;
    return;
  }
  list.push_back(entry);
  if (list.size() <= History::kMaxEntries) return;
  FoldOldest(list, [](ScaleEvent& into, const ScaleEvent& gone) {
    into.change = WrapAdd32(into.change, gone.change);
  });
}

absl::Duration LongestPeriod(const ScalingRules& rules) {
  int32_t longest = 0;
  for (const ScalingPolicy& policy : rules.policies)
    longest = std::max(longest, policy.period_seconds);
  return absl::Seconds(longest);
}

void AddChange(History& history, const base::Boxed<Behavior>& behavior, int32_t from, int32_t to,
               absl::Time at, absl::Duration longer) {
  if (!behavior) return;
  if (to > from) {
    AddScaleEvent(history.up_events, WrapSubtract32(to, from), at,
                  LongestPeriod(behavior->scale_up) + longer);
  } else {
    AddScaleEvent(history.down_events, WrapSubtract32(from, to), at,
                  LongestPeriod(behavior->scale_down) + longer);
  }
}

}  // namespace neap::core
