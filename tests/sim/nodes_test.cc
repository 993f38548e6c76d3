// Nodes by themselves, and worlds in which room is short or machines fail.
#include "autoscaler/sim/nodes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "autoscaler/sim/world.h"

namespace neap::sim {
namespace {

using testing::ElementsAre;

const absl::Time kStart = absl::FromUnixSeconds(1'767'225'600);
constexpr int64_t kCore = 1'000'000'000;
constexpr int64_t kHour = int64_t{3600} * 1'000'000'000;

NodePoolSpec Pool(int count, int min, int max) {
  NodePoolSpec pool;
  pool.cpu = 2 * kCore;
  pool.count = count;
  pool.min = min;
  pool.max = max;
  pool.provision = Distribution::Fixed(absl::Seconds(90));
  pool.idle = absl::Minutes(10);
  pool.price_milli = 500;
  return pool;
}

TEST(Nodes, PlaceOnTheFirstWithRoom) {
  NodePoolSpec pool = Pool(2, 2, 2);
  pool.memory = 1000;
  pool.pods = 3;
  Nodes nodes({pool});
  EXPECT_EQ(nodes.Place({.cpu = kCore, .memory = 600}), 0);
  EXPECT_EQ(nodes.Place({.cpu = kCore, .memory = 600}), 1);  // no memory on the first
  EXPECT_EQ(nodes.Place({.cpu = kCore, .memory = 100}), 0);
  EXPECT_EQ(nodes.Place({.cpu = 1, .memory = 0}), 1);  // no CPU on the first
  EXPECT_EQ(nodes.Place({.cpu = 0, .memory = 0}), 0);
  EXPECT_EQ(nodes.Place({.cpu = 0, .memory = 0}), 1);  // three pods on the first
  EXPECT_EQ(nodes.Place({.cpu = 0, .memory = 0}), -1);
  nodes.Release(0, {.cpu = kCore, .memory = 600});
  EXPECT_EQ(nodes.Place({.cpu = kCore, .memory = 900}), 0);
}

TEST(Nodes, PoolsHaveTheirOrderAndNames) {
  NodePoolSpec small = Pool(1, 1, 2);
  small.name = "small";
  NodePoolSpec large = Pool(1, 0, 3);
  large.name = "large";
  large.cpu = 16 * kCore;
  Nodes nodes({small, large});
  EXPECT_EQ(nodes.all()[0].name, "small-0001");
  EXPECT_EQ(nodes.all()[1].name, "large-0001");
  EXPECT_EQ(nodes.Place({.cpu = kCore}), 0);
  EXPECT_EQ(nodes.Place({.cpu = 8 * kCore}), 1);
  // Ordered where it fits: a large pod of no small pool, a small one of the first that may grow.
  EXPECT_EQ(nodes.PoolOf(nodes.Order({.cpu = 8 * kCore})).name, "large");
  EXPECT_EQ(nodes.PoolOf(nodes.Order({.cpu = kCore})).name, "small");
  EXPECT_EQ(nodes.PoolOf(nodes.Order({.cpu = kCore})).name, "large");
  EXPECT_EQ(nodes.Order({.cpu = kCore}), -1);
  EXPECT_EQ(nodes.Order({.cpu = 99 * kCore}), -1);
}

TEST(Nodes, AreSpreadOverZones) {
  NodePoolSpec pool = Pool(4, 0, 9);
  pool.zones = 3;
  Nodes nodes({pool});
  std::vector<std::string> zones;
  for (const Node& node : nodes.all()) zones.push_back(node.zone);
  EXPECT_THAT(zones, ElementsAre("zone-a", "zone-b", "zone-c", "zone-a"));
  EXPECT_THAT(nodes.Zones(), ElementsAre("zone-a", "zone-b", "zone-c"));
  nodes.SetZoneDown("zone-b", true);
  EXPECT_EQ(nodes.all()[static_cast<size_t>(nodes.Order({}))].zone, "zone-c");
  nodes.SetZoneDown("zone-b", false);
  EXPECT_EQ(nodes.all()[static_cast<size_t>(nodes.Order({}))].zone, "zone-b");
}

TEST(Nodes, ArePaidForWhileTheyAreReady) {
  Nodes nodes({Pool(1, 0, 3)});
  EXPECT_EQ(nodes.CostPerHour(), 500'000);
  const int ordered = nodes.Order({});
  EXPECT_EQ(nodes.Cost(kHour), 500'000);
  nodes.SetReady(ordered, kHour);
  EXPECT_EQ(nodes.CostPerHour(), 1'000'000);
  EXPECT_EQ(nodes.Cost(2 * kHour), 1'500'000);
  EXPECT_TRUE(nodes.Retire(ordered, 2 * kHour));
  nodes.Lose(0, /*comes_back=*/true, 3 * kHour);
  EXPECT_EQ(nodes.Cost(9 * kHour), 2'000'000);
}

TEST(Nodes, StayAtTheirLeastCount) {
  Nodes nodes({Pool(2, 1, 3)});
  ASSERT_EQ(nodes.Place({}), 0);
  EXPECT_FALSE(nodes.Retire(0, 0));  // not empty
  EXPECT_TRUE(nodes.Retire(1, 0));
  nodes.Release(0, {});
  EXPECT_FALSE(nodes.Retire(0, 0));
  nodes.Lose(0, /*comes_back=*/false, 0);
  EXPECT_EQ(nodes.Refill(0), 2);  // in its stead
  EXPECT_EQ(nodes.Refill(0), -1);
}

DeploymentSpec Web(int replicas) {
  DeploymentSpec web;
  web.name = "web";
  web.replicas = replicas;
  web.cpu_request = kCore;
  web.to_running = {absl::Seconds(1), absl::Seconds(1)};
  web.to_ready = {absl::Seconds(2), absl::Seconds(2)};
  web.to_gone = {absl::Seconds(1), absl::Seconds(1)};
  return web;
}

WorldSpec On(NodePoolSpec pool, int replicas) {
  WorldSpec spec;
  spec.controller_delay = absl::ZeroDuration();
  spec.pools = {std::move(pool)};
  spec.deployments = {Web(replicas)};
  return spec;
}

int Count(const World& world, Node::State state) {
  int count = 0;
  for (const Node& node : world.nodes()) count += node.state == state;
  return count;
}

TEST(NodesInAWorld, PodsWaitForNodesThatAreOrdered) {
  World world(On(Pool(1, 1, 3), 2), kStart);
  const Deployment& web = world.deployments()[0];
  EXPECT_EQ(web.ready, 2);
  ASSERT_TRUE(world.Scale(0, 5).ok());
  world.Advance(kStart + absl::Seconds(89));
  EXPECT_EQ(web.pending, 3);
  EXPECT_EQ(web.starting, 0);
  EXPECT_EQ(Count(world, Node::State::kOrdered), 2);  // three pods need two more
  world.Advance(kStart + absl::Seconds(90));
  EXPECT_EQ(web.pending, 0);
  EXPECT_EQ(web.starting, 3);
  world.Advance(kStart + absl::Seconds(93));
  EXPECT_EQ(web.ready, 5);
  EXPECT_EQ(web.pods.back()->scheduled_at, kStart + absl::Seconds(90));
  EXPECT_EQ(world.cost_per_hour(), 1'500'000);
}

TEST(NodesInAWorld, WhatNoPoolMayGrowForStaysPending) {
  World world(On(Pool(1, 1, 2), 1), kStart);
  ASSERT_TRUE(world.Scale(0, 9).ok());
  world.Advance(kStart + absl::Hours(1));
  const Deployment& web = world.deployments()[0];
  EXPECT_EQ(web.ready, 4);
  EXPECT_EQ(web.pending, 5);
  // Who has no place ends first, and at once.
  ASSERT_TRUE(world.Scale(0, 4).ok());
  world.Advance(world.now());
  EXPECT_EQ(web.pods.size(), 4u);
  EXPECT_EQ(web.ready, 4);
}

TEST(NodesInAWorld, RoomThatIsLeftGoesToWhoWaits) {
  WorldSpec spec = On(Pool(1, 1, 1), 2);
  DeploymentSpec other = Web(0);
  other.name = "other";
  spec.deployments.push_back(other);
  World world(std::move(spec), kStart);
  ASSERT_TRUE(world.Scale(1, 1).ok());
  world.Advance(kStart + absl::Seconds(10));
  EXPECT_EQ(world.deployments()[1].pending, 1);
  ASSERT_TRUE(world.Scale(0, 1).ok());
  world.Advance(kStart + absl::Milliseconds(10'900));
  EXPECT_EQ(world.deployments()[1].pending, 1);  // the pod is not gone yet
  world.Advance(kStart + absl::Seconds(11));
  EXPECT_EQ(world.deployments()[1].pending, 0);
  world.Advance(kStart + absl::Seconds(14));
  EXPECT_EQ(world.deployments()[1].ready, 1);
}

TEST(NodesInAWorld, EmptyNodesGoAfterAWhileDownToTheLeastCount) {
  World world(On(Pool(3, 1, 3), 6), kStart);
  world.Advance(kStart + absl::Minutes(1));
  ASSERT_TRUE(world.Scale(0, 1).ok());  // the oldest stays, on the first
  world.Advance(kStart + absl::Minutes(1) + absl::Seconds(1));
  EXPECT_EQ(Count(world, Node::State::kReady), 3);
  world.Advance(kStart + absl::Minutes(11));
  EXPECT_EQ(Count(world, Node::State::kReady), 3);
  world.Advance(kStart + absl::Minutes(11) + absl::Seconds(1));
  EXPECT_EQ(Count(world, Node::State::kReady), 1);
  ASSERT_TRUE(world.Scale(0, 0).ok());
  world.Advance(kStart + absl::Hours(2));
  EXPECT_EQ(Count(world, Node::State::kReady), 1);
}

TEST(NodesInAWorld, UseKeepsANode) {
  World world(On(Pool(2, 1, 2), 2), kStart);
  world.Advance(kStart + absl::Minutes(9));
  ASSERT_TRUE(world.Scale(0, 3).ok());
  world.Advance(kStart + absl::Minutes(12));
  EXPECT_EQ(Count(world, Node::State::kReady), 2);
  ASSERT_TRUE(world.Scale(0, 2).ok());
  world.Advance(kStart + absl::Minutes(21));
  EXPECT_EQ(Count(world, Node::State::kReady), 2);  // empty for nine minutes
  world.Advance(kStart + absl::Minutes(23));
  EXPECT_EQ(Count(world, Node::State::kReady), 1);
}

TEST(NodesInAWorld, ALostNodeTakesItsPodsAlongAndComesBack) {
  WorldSpec spec = On(Pool(2, 2, 2), 4);
  spec.faults = {
      {.what = WorldFault::What::kLoseNode, .at = absl::Minutes(1), .lasts = absl::Minutes(5)}};
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Minutes(1));
  const Deployment& web = world.deployments()[0];
  EXPECT_EQ(web.ready, 2);
  EXPECT_EQ(web.pending, 2);  // made anew, without a place
  EXPECT_EQ(Count(world, Node::State::kLost), 1);
  world.Advance(kStart + absl::Minutes(6));
  EXPECT_EQ(Count(world, Node::State::kReady), 2);
  EXPECT_EQ(web.pending, 0);
  world.Advance(kStart + absl::Minutes(7));
  EXPECT_EQ(web.ready, 4);
}

TEST(NodesInAWorld, ANodeLostForEverIsReplaced) {
  WorldSpec spec = On(Pool(2, 2, 2), 0);
  spec.faults = {{.what = WorldFault::What::kLoseNode, .at = absl::Minutes(1)}};
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Minutes(1));
  EXPECT_EQ(Count(world, Node::State::kReady), 1);
  world.Advance(kStart + absl::Minutes(3));
  EXPECT_EQ(Count(world, Node::State::kReady), 2);
  EXPECT_EQ(Count(world, Node::State::kGone), 1);
}

TEST(NodesInAWorld, ALostZoneGetsNoNodesUntilItIsBack) {
  NodePoolSpec pool = Pool(3, 3, 6);
  pool.zones = 3;
  WorldSpec spec = On(pool, 6);
  spec.faults = {
      {.what = WorldFault::What::kLoseZone, .at = absl::Minutes(1), .lasts = absl::Minutes(30)}};
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Minutes(1));
  std::string down;
  for (const Node& node : world.nodes()) {
    if (node.state == Node::State::kLost) down = node.zone;
  }
  ASSERT_NE(down, "");
  world.Advance(kStart + absl::Minutes(10));
  EXPECT_EQ(world.deployments()[0].ready, 6);  // on a node in another zone
  for (const Node& node : world.nodes()) {
    EXPECT_EQ(node.zone == down, node.state != Node::State::kReady) << node.name;
  }
  world.Advance(kStart + absl::Minutes(31));
  EXPECT_EQ(Count(world, Node::State::kLost), 0);
}

TEST(NodesInAWorld, ANodeOrderedInAZoneThatFailsComesWhenTheZoneIsBack) {
  WorldSpec spec = On(Pool(1, 1, 2), 2);  // one zone
  spec.faults = {
      {.what = WorldFault::What::kLoseZone, .at = absl::Minutes(1), .lasts = absl::Minutes(9)}};
  World world(std::move(spec), kStart);
  ASSERT_TRUE(world.Scale(0, 4).ok());  // orders a node
  world.Advance(kStart + absl::Minutes(9));
  EXPECT_EQ(Count(world, Node::State::kReady), 0);
  EXPECT_EQ(world.deployments()[0].pending, 4);
  world.Advance(kStart + absl::Minutes(11));
  EXPECT_EQ(Count(world, Node::State::kReady), 2);
  EXPECT_EQ(world.deployments()[0].ready, 4);
}

TEST(NodesInAWorld, WhatWasOrderedInAZoneThatIsLostForEverIsOrderedElsewhere) {
  NodePoolSpec pool = Pool(1, 0, 2);
  pool.zones = 2;
  WorldSpec spec = On(pool, 2);
  // The second node goes to zone-b. The zone that has nodes, zone-a, fails first; while the nodes
  // for all four pods are on their way, nothing is ready, and the second fault finds no zone.
  spec.faults = {{.what = WorldFault::What::kLoseZone, .at = absl::Minutes(1)},
                 {.what = WorldFault::What::kLoseZone, .at = absl::Seconds(80)}};
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Seconds(10));
  ASSERT_TRUE(world.Scale(0, 4).ok());
  world.Advance(kStart + absl::Minutes(10));
  EXPECT_EQ(world.deployments()[0].ready, 4);
  EXPECT_EQ(world.deployments()[0].pending, 0);
  for (const Node& node : world.nodes()) {
    EXPECT_EQ(node.zone == "zone-b", node.state == Node::State::kReady) << node.name;
  }
}

TEST(NodesInAWorld, AnOrderedNodeDoesNotComeToAZoneLostForEver) {
  WorldSpec spec = On(Pool(1, 1, 2), 2);  // one zone
  spec.faults = {{.what = WorldFault::What::kLoseZone, .at = absl::Minutes(1)}};
  World world(std::move(spec), kStart);
  ASSERT_TRUE(world.Scale(0, 4).ok());  // orders a node
  world.Advance(kStart + absl::Hours(1));
  EXPECT_EQ(world.deployments()[0].pending, 4);
  EXPECT_EQ(Count(world, Node::State::kGone), 2);
  EXPECT_EQ(world.cost_per_hour(), 0);
}

TEST(NodesInAWorld, PodsAreKilledAtRandomFromTheSeed) {
  const auto killed = [](uint64_t seed) {
    WorldSpec spec = On(Pool(4, 4, 4), 8);
    spec.seed = seed;
    spec.faults = {{.what = WorldFault::What::kKillPods,
                    .deployment = "web",
                    .count = 2,
                    .at = absl::Minutes(1),
                    .every = absl::Minutes(1),
                    .until = absl::Minutes(3)}};
    World world(std::move(spec), kStart);
    world.TakeChanges();
    std::vector<std::string> out;
    while (world.AdvanceToChange(kStart + absl::Minutes(10))) {
      for (const Change& change : world.TakeChanges()) {
        if (change.kind != Change::Kind::kPodDeleted) continue;
        out.push_back(fmt::format("{} {}", absl::ToInt64Seconds(world.now() - kStart), change.pod));
      }
    }
    EXPECT_EQ(world.deployments()[0].ready, 8);
    return out;
  };
  const std::vector<std::string> once = killed(1);
  EXPECT_EQ(once.size(), 6u);  // two each at 1, 2 and 3 minutes
  EXPECT_THAT(once[0], testing::StartsWith("61 "));
  EXPECT_THAT(once[5], testing::StartsWith("181 "));
  EXPECT_EQ(killed(1), once);
  EXPECT_NE(killed(2), once);
}

}  // namespace
}  // namespace neap::sim
