// Nodes: the machines of a virtual world: which pods find a place, which machines are ordered for
// those that do not, and what all of it costs. A model of the scheduler (the first node with room:
// pools in the order of the spec, nodes by number) and of the cluster autoscaler (a machine is
// ordered for what fits on none that is ready or ordered; empty ones go). It knows no events: World
// owns it, asks, and plans what comes of it. One thread only; times are nanoseconds since the world
// began.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/sim/spec.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {

// What a pod asks for.
struct Room {
  int64_t cpu = 0;     // billionths of a core
  int64_t memory = 0;  // bytes
  bool operator==(const Room&) const = default;
};

struct Node {
  enum class State : uint8_t { kOrdered, kReady, kLost, kGone };  // lost: it comes back
  std::string name = {};                                          // "<pool>-0001"
  std::string zone = {};
  int pool = 0;
  State state = State::kOrdered;
  int pods = 0;
  Room used = {};
  // Of pods that wait for it while it is ordered.
  int planned_pods = 0;
  Room planned = {};
  uint32_t emptied = 0;  // changes when it stops being empty
  bool due = false;      // would be ready, were its zone not down
};

class Nodes {
 public:
  // With `count` nodes of each pool, ready.
  explicit Nodes(const std::vector<NodePoolSpec>& pools);

  bool unlimited() const { return pools_.empty(); }  // no pools: every pod has a place, on no node
  // Of all that ever were, by index; what is gone stays as such.
  const std::vector<Node>& all() const { return nodes_; }
  const NodePoolSpec& PoolOf(int node) const;
  // Ready ones of that zone; zones by name, each once.
  std::vector<int> Ready() const;
  std::vector<std::string> Zones() const;

  // Takes room on the first ready node that has it; -1: none has.
  int Place(const Room& room);
  void Release(int node, const Room& room);

  // The ordered node on which the pod will find room, -1: none.
  int Plan(const Room& room);
  void Unplan(int node, const Room& room);
  // A new node of the first pool in which the pod fits and which may grow; -1: no pool.
  int Order(const Room& room);

  void SetReady(int node, int64_t now);
  bool Empty(int node) const;
  // Takes an empty node away, unless its pool would have less than its `min`.
  bool Retire(int node, int64_t now);
  // A node fails. Its pods are World's to end. One that does not come back no longer counts in its
  // pool.
  void Lose(int node, bool comes_back, int64_t now);
  // An ordered node for the pool of `node`, if it has fewer than its `min`; else -1.
  int Refill(int node);
  // No node is ordered in that zone, and none becomes ready, until it is up again.
  void SetZoneDown(const std::string& zone, bool down);
  bool ZoneDown(const std::string& zone) const;
  // A node that would be ready, were its zone not down; all of a zone, once.
  void SetDue(int node) { nodes_[static_cast<size_t>(node)].due = true; }
  std::vector<int> TakeDue(const std::string& zone);

  // Of ready nodes: since the world began, and per hour; millionths of a currency unit.
  int64_t Cost(int64_t now) const;
  int64_t CostPerHour() const { return price_ * 1000; }

 private:
  struct Pool {
    NodePoolSpec spec;
    std::vector<int> nodes;  // that are not gone
    int made = 0;            // ever, for their names
  };
  bool Fits(const Node& node, const Room& used, int pods, const Room& room) const;
  int Make(int pool, const std::string& zone);
  // Where the pool's next node goes; "" where every zone is down.
  std::string ZoneFor(const Pool& pool) const;
  void SetState(int node, Node::State state, int64_t now);

  std::vector<Pool> pools_;
  std::vector<Node> nodes_;
  std::vector<std::string> down_;  // zones, one entry for each fault
  int64_t price_ = 0;              // of ready nodes per hour, thousandths
  Wide paid_ = 0;                  // as of paid_at_: thousandths x nanoseconds per hour
  int64_t paid_at_ = 0;
};

}  // namespace neap::sim
