// Shadow: what Neap would have decided for a target that another controller scales (the HPA's),
// against what that one did. One per shadowed target, owned by it; fed by the controller; read by
// telemetry. A plain value of times and counts, no clock; one thread only.
//
// What is compared. The HPA decides once per sync period, at moments of its own, on readings of its
// own. So two that agree show different counts for up to one period. A difference counts only when
// it stands longer than that, by these rules:
//
//   - Each decision of Neap that knows a count is compared once; it becomes equal or different.
//   - It is equal at once when it desires the count that the target has.
//   - Else it waits for at most one sync period and a second (the way of a write to our watch). It
//     is equal if in that time the target comes to the count it desired, or Neap comes to desire
//     the count that the target has: the difference did not stand.
//   - Else it is different.
//   - While nothing is heard from the API server, nothing is compared.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace neap::control {

class Shadow {
 public:
  struct Difference {                      // the last one that counted
    absl::Time at = absl::InfinitePast();  // of the decision
    int32_t desired = 0;                   // by Neap
    int32_t count = 0;                     // of the target, when it counted as different
    std::string reason;                    // Neap's, in words
  };

  // `sync_period` is the HPA controller's: for HPA objects the period that neapd's flag of that
  // name gives them.
  explicit Shadow(absl::Time since, absl::Duration sync_period = absl::Seconds(15))
      : since_(since), patience_(sync_period + absl::Seconds(1)) {}

  // Neap decided: the target has `count`, it desires `desired`, for `reason`.
  void Decided(absl::Time now, int32_t count, int32_t desired, std::string reason);
  // Neap could not tell a count, or nothing is heard: what waits is not compared.
  void Unknown();
  // The target has another count.
  void Scaled(absl::Time now, int32_t count);
  // The HPA's own status says what it desires.
  void Said(int32_t desired) { other_desired_ = desired; }

  absl::Time since() const { return since_; }  // when comparing began
  uint64_t compared() const { return equal_ + different_; }
  uint64_t equal() const { return equal_; }
  uint64_t different() const { return different_; }
  std::optional<int32_t> other_desired() const { return other_desired_; }
  const std::optional<Difference>& last() const { return last_; }
  // Since when the two differ, if they do now.
  std::optional<absl::Time> differs_since() const { return differs_since_; }

 private:
  struct Waiting {
    absl::Time at;
    int32_t desired;
    std::string reason;
  };
  void Expire(absl::Time now);

  const absl::Time since_;
  const absl::Duration patience_;
  std::deque<Waiting> waiting_;  // by time; at most as many as decisions in `patience_`
  int32_t count_ = 0;
  std::optional<absl::Time> differs_since_;
  std::optional<int32_t> other_desired_;
  uint64_t equal_ = 0;
  uint64_t different_ = 0;
  std::optional<Difference> last_;
};

}  // namespace neap::control
