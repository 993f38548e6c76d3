#include "autoscaler/sim/balancer.h"

#include <algorithm>

#include "autoscaler/sim/slots.h"

namespace neap::sim {

Balancer::Balancer(const RequestsSpec& spec)
    : how_(spec.balance),
      eject_after_(spec.eject_after),
      eject_most_percent_(spec.eject_most_percent) {}

Balancer::Endpoint& Balancer::Of(int32_t pod) {
  if (static_cast<size_t>(pod) >= of_pod_.size()) of_pod_.resize(static_cast<size_t>(pod) + 1);
  return of_pod_[static_cast<size_t>(pod)];
}

void Balancer::Join(int32_t pod) {
  Endpoint& endpoint = Of(pod);
  if (endpoint.known) return;
  endpoint.known = true;
  endpoint.failures = 0;
  list_.push_back(pod);
}

void Balancer::Leave(int32_t pod) {
  Endpoint& endpoint = Of(pod);
  if (!endpoint.known) return;
  endpoint.known = false;
  if (endpoint.ejected) --ejected_;
  endpoint.ejected = false;
  ++endpoint.ejection;
  const auto at = std::find(list_.begin(), list_.end(), pod);
  if (static_cast<size_t>(at - list_.begin()) < turn_) --turn_;
  list_.erase(at);
}

bool Balancer::Knows(int32_t pod) const {
  return static_cast<size_t>(pod) < of_pod_.size() && Of(pod).known;
}

int32_t Balancer::Pick(int32_t avoid, Random& chance) {
  const auto usable = static_cast<int32_t>(list_.size()) - ejected_;
  if (usable == 0) return kNone;
  if (usable == 1 || avoid == kNone || !Knows(avoid)) avoid = kNone;
  switch (how_) {
    case RequestsSpec::Balance::kRandom:
      return PickRandom(avoid, chance);
    case RequestsSpec::Balance::kRoundRobin:
      return PickInTurn(avoid);
    case RequestsSpec::Balance::kLeastRequests:
      return PickLeast(avoid);
  }
  return kNone;
}

int32_t Balancer::PickRandom(int32_t avoid, Random& chance) const {
  if (avoid != kNone && Of(avoid).ejected) avoid = kNone;  // out of the question anyway
  auto skip = chance.Below(list_.size() - static_cast<size_t>(ejected_) - (avoid != kNone));
  if (ejected_ == 0 && avoid == kNone) return list_[skip];
  for (const int32_t pod : list_) {
    if (Eligible(pod, avoid) && skip-- == 0) return pod;
  }
  return kNone;
}

int32_t Balancer::PickInTurn(int32_t avoid) {
  for (size_t i = 0; i < list_.size(); ++i) {
    if (turn_ >= list_.size()) turn_ = 0;
    const int32_t pod = list_[turn_++];
    if (Eligible(pod, avoid)) return pod;
  }
  return kNone;
}

int32_t Balancer::PickLeast(int32_t avoid) {
  int32_t best = kNone;
  for (size_t i = 0; i < list_.size(); ++i) {
    const int32_t pod = list_[(turn_ + i) % list_.size()];
    if (!Eligible(pod, avoid)) continue;
    if (best == kNone || Of(pod).under_way < Of(best).under_way) best = pod;
  }
  if (++turn_ >= list_.size()) turn_ = 0;
  return best;
}

void Balancer::Began(int32_t pod) { ++Of(pod).under_way; }
void Balancer::Ended(int32_t pod) { --Of(pod).under_way; }
void Balancer::Worked(int32_t pod) { Of(pod).failures = 0; }

bool Balancer::Failed(int32_t pod) {
  if (eject_after_ == 0) return false;
  Endpoint& endpoint = Of(pod);
  if (!endpoint.known || endpoint.ejected || ++endpoint.failures < eject_after_) return false;
  const auto allowed = static_cast<int64_t>(list_.size()) * eject_most_percent_;
  if (int64_t{ejected_ + 1} * 100 > allowed) return false;
  endpoint.ejected = true;
  endpoint.failures = 0;
  ++endpoint.ejection;
  ++ejected_;
  return true;
}

uint32_t Balancer::ejection(int32_t pod) const { return Of(pod).ejection; }

void Balancer::Return(int32_t pod, uint32_t ejection) {
  Endpoint& endpoint = Of(pod);
  if (!endpoint.ejected || endpoint.ejection != ejection) return;
  endpoint.ejected = false;
  --ejected_;
}

}  // namespace neap::sim
