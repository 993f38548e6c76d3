#include "autoscaler/sim/nodes.h"

#include <fmt/format.h>

#include <algorithm>

namespace neap::sim {
namespace {

constexpr Wide kHour = 3'600'000'000'000;

std::vector<std::string> ZonesOf(const NodePoolSpec& pool) {
  if (pool.zones <= 1) return {pool.zone.empty() ? "zone-a" : pool.zone};
  std::vector<std::string> out;
  for (int i = 0; i < pool.zones; ++i) {
    out.push_back(fmt::format("zone-{}", static_cast<char>('a' + i)));
  }
  return out;
}

}  // namespace

Nodes::Nodes(const std::vector<NodePoolSpec>& pools) {
  for (const NodePoolSpec& spec : pools) {
    pools_.push_back({.spec = spec, .nodes = {}, .made = 0});
    for (int i = 0; i < spec.count; ++i) {
      SetReady(Make(static_cast<int>(pools_.size()) - 1, ZoneFor(pools_.back())), 0);
    }
  }
}

const NodePoolSpec& Nodes::PoolOf(int node) const {
  return pools_[static_cast<size_t>(nodes_[static_cast<size_t>(node)].pool)].spec;
}

std::vector<int> Nodes::Ready() const {
  std::vector<int> out;
  for (const Pool& pool : pools_) {
    for (int node : pool.nodes) {
      if (nodes_[static_cast<size_t>(node)].state == Node::State::kReady) out.push_back(node);
    }
  }
  return out;
}

std::vector<std::string> Nodes::Zones() const {
  std::vector<std::string> out;
  for (int node : Ready()) out.push_back(nodes_[static_cast<size_t>(node)].zone);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool Nodes::Fits(const Node& node, const Room& used, int pods, const Room& room) const {
  const NodePoolSpec& spec = pools_[static_cast<size_t>(node.pool)].spec;
  return pods < spec.pods && used.cpu + room.cpu <= spec.cpu &&
         (spec.memory == 0 || used.memory + room.memory <= spec.memory);
}

int Nodes::Place(const Room& room) {
  for (const Pool& pool : pools_) {
    for (int index : pool.nodes) {
      Node& node = nodes_[static_cast<size_t>(index)];
      if (node.state != Node::State::kReady || !Fits(node, node.used, node.pods, room)) continue;
      ++node.pods;
      ++node.emptied;
      node.used.cpu += room.cpu;
      node.used.memory += room.memory;
      return index;
    }
  }
  return -1;
}

void Nodes::Release(int index, const Room& room) {
  Node& node = nodes_[static_cast<size_t>(index)];
  --node.pods;
  node.used.cpu -= room.cpu;
  node.used.memory -= room.memory;
}

int Nodes::Plan(const Room& room) {
  for (const Pool& pool : pools_) {
    for (int index : pool.nodes) {
      Node& node = nodes_[static_cast<size_t>(index)];
      if (node.state != Node::State::kOrdered ||
          !Fits(node, node.planned, node.planned_pods, room)) {
        continue;
      }
      ++node.planned_pods;
      node.planned.cpu += room.cpu;
      node.planned.memory += room.memory;
      return index;
    }
  }
  return -1;
}

void Nodes::Unplan(int index, const Room& room) {
  Node& node = nodes_[static_cast<size_t>(index)];
  --node.planned_pods;
  node.planned.cpu -= room.cpu;
  node.planned.memory -= room.memory;
}

int Nodes::Order(const Room& room) {
  for (size_t i = 0; i < pools_.size(); ++i) {
    const Pool& pool = pools_[i];
    if (static_cast<int>(pool.nodes.size()) >= pool.spec.max) continue;
    Node empty;
    empty.pool = static_cast<int>(i);
    if (!Fits(empty, {}, 0, room)) continue;
    const std::string zone = ZoneFor(pool);
    if (!zone.empty()) return Make(static_cast<int>(i), zone);
  }
  return -1;
}

int Nodes::Make(int index, const std::string& zone) {
  Pool& pool = pools_[static_cast<size_t>(index)];
  const int number = static_cast<int>(nodes_.size());
  Node& node = nodes_.emplace_back();
  node.name = fmt::format("{}-{:04}", pool.spec.name, ++pool.made);
  node.zone = zone;
  node.pool = index;
  pool.nodes.push_back(number);
  return number;
}

std::string Nodes::ZoneFor(const Pool& pool) const {
  std::string best;
  int64_t least = 0;
  for (const std::string& zone : ZonesOf(pool.spec)) {
    if (ZoneDown(zone)) continue;
    const int64_t count = std::count_if(pool.nodes.begin(), pool.nodes.end(), [&](int node) {
      return nodes_[static_cast<size_t>(node)].zone == zone;
    });
    if (!best.empty() && count >= least) continue;
    best = zone;
    least = count;
  }
  return best;
}

void Nodes::SetState(int index, Node::State state, int64_t now) {
  Node& node = nodes_[static_cast<size_t>(index)];
  Pool& pool = pools_[static_cast<size_t>(node.pool)];
  paid_ += Wide{price_} * (now - paid_at_);
  paid_at_ = now;
  if (node.state == Node::State::kReady) price_ -= pool.spec.price_milli;
  if (state == Node::State::kReady) price_ += pool.spec.price_milli;
  if (state == Node::State::kGone) std::erase(pool.nodes, index);
  node.state = state;
  ++node.emptied;
}

void Nodes::SetReady(int node, int64_t now) { SetState(node, Node::State::kReady, now); }

bool Nodes::Empty(int index) const {
  const Node& node = nodes_[static_cast<size_t>(index)];
  return node.state == Node::State::kReady && node.pods == 0;
}

bool Nodes::Retire(int index, int64_t now) {
  const Pool& pool = pools_[static_cast<size_t>(nodes_[static_cast<size_t>(index)].pool)];
  if (!Empty(index) || static_cast<int>(pool.nodes.size()) <= pool.spec.min) return false;
  SetState(index, Node::State::kGone, now);
  return true;
}

void Nodes::Lose(int index, bool comes_back, int64_t now) {
  SetState(index, comes_back ? Node::State::kLost : Node::State::kGone, now);
}

int Nodes::Refill(int node) {
  const int index = nodes_[static_cast<size_t>(node)].pool;
  const Pool& pool = pools_[static_cast<size_t>(index)];
  if (static_cast<int>(pool.nodes.size()) >= pool.spec.min) return -1;
  const std::string zone = ZoneFor(pool);
  return zone.empty() ? -1 : Make(index, zone);
}

bool Nodes::ZoneDown(const std::string& zone) const {
  return std::find(down_.begin(), down_.end(), zone) != down_.end();
}

void Nodes::SetZoneDown(const std::string& zone, bool down) {
  if (down) {
    down_.push_back(zone);
  } else if (const auto at = std::find(down_.begin(), down_.end(), zone); at != down_.end()) {
    down_.erase(at);
  }
}

std::vector<int> Nodes::TakeDue(const std::string& zone) {
  std::vector<int> out;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].due && nodes_[i].zone == zone) out.push_back(static_cast<int>(i));
    if (nodes_[i].zone == zone) nodes_[i].due = false;
  }
  return out;
}

int64_t Nodes::Cost(int64_t now) const {
  const Wide paid = paid_ + Wide{price_} * (now - paid_at_);
  return static_cast<int64_t>(paid * 1000 / kHour);
}

}  // namespace neap::sim
