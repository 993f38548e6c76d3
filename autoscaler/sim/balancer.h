// Balancer: which pod a request goes to, as kube-proxy or a mesh decides it: the endpoints that it
// has heard of (which is not the same as those that listen), how it picks among them, and which it
// leaves out for a time because they failed too often in a row. Owned by Requests; one thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "autoscaler/sim/random.h"
#include "autoscaler/sim/spec.h"

namespace neap::sim {

class Balancer {
 public:
  explicit Balancer(const RequestsSpec& spec);

  // The endpoint list, in the order in which they joined. Joining twice or leaving when absent does
  // nothing. A pod that joins begins without failures.
  void Join(int32_t pod);
  void Leave(int32_t pod);
  bool Knows(int32_t pod) const;

  // An endpoint that is not ejected; `avoid` only when there is no other (kNone: nothing to avoid).
  // kNone when there is none. kLeastRequests: of those with the fewest under way, in turn.
  int32_t Pick(int32_t avoid, Random& chance);

  void Began(int32_t pod);  // a request is under way to it
  void Ended(int32_t pod);
  void Worked(int32_t pod);  // it answered well
  // It failed. True when it is ejected now: call Return with its `ejection` when `eject_for` is
  // over. It is not when more than `eject_most_percent` of the endpoints would be.
  bool Failed(int32_t pod);
  uint32_t ejection(int32_t pod) const;
  void Return(int32_t pod, uint32_t ejection);

 private:
  struct Endpoint {
    bool known = false;
    bool ejected = false;
    int32_t under_way = 0;
    int32_t failures = 0;  // in a row
    uint32_t ejection = 0;
  };
  Endpoint& Of(int32_t pod);
  const Endpoint& Of(int32_t pod) const { return of_pod_[static_cast<size_t>(pod)]; }
  bool Eligible(int32_t pod, int32_t avoid) const { return pod != avoid && !Of(pod).ejected; }
  int32_t PickRandom(int32_t avoid, Random& chance) const;
  int32_t PickInTurn(int32_t avoid);
  int32_t PickLeast(int32_t avoid);

  const RequestsSpec::Balance how_;
  const int eject_after_;
  const int eject_most_percent_;
  std::vector<Endpoint> of_pod_;  // by the pod's number
  std::vector<int32_t> list_;
  int32_t ejected_ = 0;  // of the list
  size_t turn_ = 0;      // index into the list
};

}  // namespace neap::sim
