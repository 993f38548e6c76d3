#include "autoscaler/control/shadow.h"

#include <utility>

namespace neap::control {

void Shadow::Expire(absl::Time now) {
  while (!waiting_.empty() && now - waiting_.front().at > patience_) {
    Waiting& old = waiting_.front();
    ++different_;
    last_ = {
        .at = old.at, .desired = old.desired, .count = count_, .reason = std::move(old.reason)};
    waiting_.pop_front();
  }
}

void Shadow::Decided(absl::Time now, int32_t count, int32_t desired, std::string reason) {
  Expire(now);
  count_ = count;
  if (desired == count) {
    equal_ += 1 + waiting_.size();
    waiting_.clear();
    differs_since_.reset();
    return;
  }
  waiting_.push_back({.at = now, .desired = desired, .reason = std::move(reason)});
  if (!differs_since_) differs_since_ = now;
}

void Shadow::Unknown() {
  waiting_.clear();
  differs_since_.reset();
}

void Shadow::Scaled(absl::Time now, int32_t count) {
  Expire(now);
  count_ = count;
  if (!waiting_.empty() && waiting_.back().desired == count) differs_since_.reset();
  equal_ += std::erase_if(waiting_, [count](const Waiting& w) { return w.desired == count; });
}

}  // namespace neap::control
