// World: machines that are ordered, come and go, and what goes wrong with them and with pods.

#include <algorithm>

#include "autoscaler/sim/world.h"

namespace neap::sim {

// ---- places ----

void World::OrderFor(Pod& pod) {
  const Room room = RoomOf(At(pod.deployment));
  pod.planned = nodes_.Plan(room);
  if (pod.planned >= 0) return;
  const int node = nodes_.Order(room);
  if (node < 0) return;
  Order(node);
  pod.planned = nodes_.Plan(room);
}

void World::Order(int node) {
  PlanIn(nodes_.PoolOf(node).provision.Draw(machines_),
         {.kind = EventKind::kNodeReady, .index = node});
}

void World::PlacePending() {
  std::vector<PodId> still;
  std::vector<int> changed;
  std::optional<Room> refused;  // most that wait ask for the same
  for (PodId id : std::exchange(pending_, {})) {
    Pod& pod = *pods_.Find(id);
    const Room room = RoomOf(At(pod.deployment));
    if (room != refused) pod.node = nodes_.Place(room);
    if (pod.node < 0) {
      refused = room;
      still.push_back(id);
      continue;
    }
    if (pod.planned >= 0) nodes_.Unplan(std::exchange(pod.planned, -1), room);
    Pull(pod);
    Changed(Change::Kind::kPodModified, pod.deployment, &pod);
    changed.push_back(pod.deployment);
  }
  pending_ = std::move(still);
  for (PodId id : pending_) {
    Pod& pod = *pods_.Find(id);
    const Room room = RoomOf(At(pod.deployment));
    // Others took the room of the node that was ordered for it.
    if (pod.planned >= 0 &&
        nodes_.all()[static_cast<size_t>(pod.planned)].state != Node::State::kOrdered) {
      nodes_.Unplan(std::exchange(pod.planned, -1), room);
    }
    if (pod.planned < 0) OrderFor(pod);
  }
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  for (int index : changed) Recount(index);
}

// What it had or waited for is free.
void World::LeavePlace(Pod& pod) {
  const Room room = RoomOf(At(pod.deployment));
  if (!pod.scheduled()) std::erase(pending_, pod.id);
  if (pod.planned >= 0) nodes_.Unplan(std::exchange(pod.planned, -1), room);
  const int node = std::exchange(pod.node, -1);
  if (node < 0) return;
  nodes_.Release(node, room);
  if (!pending_.empty()) PlacePending();
  WatchIdle(node);
}

// ---- nodes ----

void World::NodeReady(int node) {
  const Node& it = nodes_.all()[static_cast<size_t>(node)];
  if (it.state == Node::State::kGone) return;  // its zone was lost for ever before it came
  if (nodes_.ZoneDown(it.zone)) return nodes_.SetDue(node);
  nodes_.SetReady(node, now_);
  PlacePending();
  WatchIdle(node);
}

void World::WatchIdle(int node) {
  if (!nodes_.Empty(node)) return;
  PlanIn(absl::ToInt64Nanoseconds(nodes_.PoolOf(node).idle),
         {.kind = EventKind::kNodeIdle,
          .index = node,
          .a = nodes_.all()[static_cast<size_t>(node)].emptied});
}

void World::NodeIdle(int node, uint32_t emptied) {
  if (nodes_.all()[static_cast<size_t>(node)].emptied == emptied) nodes_.Retire(node, now_);
}

// ---- faults ----

void World::Fault(int index) {
  const WorldFault& fault = spec_.faults[static_cast<size_t>(index)];
  if (fault.every > absl::ZeroDuration() && absl::Nanoseconds(now_) + fault.every <= fault.until) {
    PlanIn(absl::ToInt64Nanoseconds(fault.every), {.kind = EventKind::kFault, .index = index});
  }
  switch (fault.what) {
    case WorldFault::What::kKillPods:
      return KillPods(fault);
    case WorldFault::What::kLoseNode:
      if (const std::vector<int> ready = nodes_.Ready(); !ready.empty()) {
        LoseNode(ready[faults_.Below(ready.size())], fault.lasts);
      }
      return;
    case WorldFault::What::kLoseZone:
      return LoseZone(fault.lasts);
  }
}

void World::KillPods(const WorldFault& fault) {
  const int index = FindDeployment(fault.ns, fault.deployment);
  if (index < 0) return;
  std::vector<Pod*> alive;
  for (Pod* pod : At(index).pods) {
    if (!pod->deleting()) alive.push_back(pod);
  }
  for (int i = 0; i < fault.count && !alive.empty(); ++i) {
    const auto victim = alive.begin() + static_cast<std::ptrdiff_t>(faults_.Below(alive.size()));
    EndPod(**victim);
    alive.erase(victim);
  }
  Recount(index);
  PlanReconcile(index, spec_.controller_delay);
}

// Its pods are gone with it, at once.
void World::LoseNode(int node, absl::Duration lasts) {
  const bool comes_back = lasts > absl::ZeroDuration();
  nodes_.Lose(node, comes_back, now_);
  for (int i = 0; i < static_cast<int>(deployments_.size()); ++i) {
    std::vector<Pod*> lost;
    for (Pod* pod : At(i).pods) {
      if (pod->node == node) lost.push_back(pod);
    }
    if (lost.empty()) continue;
    for (Pod* pod : lost) Remove(*pod);
    Recount(i);
    PlanReconcile(i, spec_.controller_delay);
  }
  if (comes_back) {
    PlanIn(absl::ToInt64Nanoseconds(lasts), {.kind = EventKind::kNodeBack, .index = node});
  } else if (const int other = nodes_.Refill(node); other >= 0) {
    Order(other);
  }
}

void World::LoseZone(absl::Duration lasts) {
  const std::vector<std::string> zones = nodes_.Zones();
  if (zones.empty()) return;
  const std::string& zone = zones[faults_.Below(zones.size())];
  nodes_.SetZoneDown(zone, true);
  if (lasts > absl::ZeroDuration()) {  // before its nodes, so that they find it up
    PlanIn(absl::ToInt64Nanoseconds(lasts),
           {.kind = EventKind::kZoneUp, .index = static_cast<int>(zones_down_.size())});
    zones_down_.push_back(zone);
  }
  const bool for_ever = lasts <= absl::ZeroDuration();
  for (int node = 0; node < static_cast<int>(nodes_.all().size()); ++node) {
    const Node& it = nodes_.all()[static_cast<size_t>(node)];
    const bool lost =
        it.state == Node::State::kReady || (it.state == Node::State::kOrdered && for_ever);
    if (lost && it.zone == zone) LoseNode(node, lasts);
  }
  if (for_ever) PlacePending();  // who waited for a node there needs another
}

void World::ZoneUp(const std::string& zone) {
  nodes_.SetZoneDown(zone, false);
  for (int node : nodes_.TakeDue(zone)) NodeReady(node);
  PlacePending();  // machines can be ordered there again
}

}  // namespace neap::sim
