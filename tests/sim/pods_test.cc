// The life of pods in a world: crash loops, roll-outs, quotas, draining.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "autoscaler/sim/world.h"
#include "tests/sim/worlds.h"

namespace neap::sim {
namespace {

using testing::ElementsAre;

DeploymentSpec Web(int replicas) {
  DeploymentSpec web = QuickPods(replicas);
  web.cpu_startup = 300'000'000;
  return web;
}

// Calls `see` after each moment in which something changed.
template <typename See>
void Watch(World& world, absl::Duration until, See see) {
  world.TakeChanges();
  while (world.AdvanceToChange(kStart + until)) {
    world.TakeChanges();
    see();
  }
}

TEST(Pods, CrashLoopsBackOffAsTheKubeletDoes) {
  DeploymentSpec web = Web(0);
  web.crash = {.permille = 1000, .lives = Distribution::Fixed(absl::Seconds(2))};
  World world(Of(web), kStart);
  ASSERT_TRUE(world.Scale(0, 1).ok());
  std::vector<double> restarts;
  int seen = 0;
  Watch(world, absl::Seconds(1000), [&] {
    const Pod& pod = *world.deployments()[0].pods.at(0);
    EXPECT_FALSE(pod.ready);
    if (pod.restarts == seen) return;
    seen = pod.restarts;
    EXPECT_FALSE(pod.backing_off);
    restarts.push_back(absl::ToDoubleSeconds(world.now() - kStart));
  });
  // Runs at 1 s, crashes at 3 s and is started at once; from then on 10 s after a crash, doubling
  // to 5 minutes.
  EXPECT_THAT(restarts, ElementsAre(3, 15, 37, 79, 161, 323, 625, 927));
  EXPECT_EQ(world.deployments()[0].starting, 1);
  EXPECT_EQ(world.deployments()[0].ready, 0);
}

TEST(Pods, WhoBacksOffUsesNoCpu) {
  DeploymentSpec web = Web(0);
  web.crash = {.permille = 1000, .lives = Distribution::Fixed(absl::Seconds(2))};
  World world(Of(web), kStart);
  ASSERT_TRUE(world.Scale(0, 1).ok());
  world.Advance(kStart + absl::Seconds(16));
  const Pod& pod = *world.deployments()[0].pods.at(0);
  const auto mean = [&](int from, int to) {
    return world.MeanCpu(pod, kStart + absl::Seconds(from), kStart + absl::Seconds(to));
  };
  EXPECT_EQ(mean(0, 5), std::nullopt);  // it did not run yet
  EXPECT_EQ(mean(1, 5), 300'000'000);
  EXPECT_EQ(mean(5, 15), 0);
  EXPECT_EQ(mean(4, 8), 75'000'000);
}

TEST(Pods, ShareOfStartsCrashesAndAllComeUpInTheEnd) {
  DeploymentSpec web = Web(0);
  web.crash = {.permille = 300, .lives = Distribution::Fixed(absl::Seconds(2))};
  World world(Of(web), kStart);
  ASSERT_TRUE(world.Scale(0, 1000).ok());
  world.Advance(kStart + absl::Hours(2));
  EXPECT_EQ(world.deployments()[0].ready, 1000);
  int crashed = 0;
  for (const Pod* pod : world.deployments()[0].pods) crashed += pod->restarts > 0;
  EXPECT_NEAR(crashed, 300, 50);
}

struct Strategy {
  int replicas;
  int surge;
  int unavailable;
};

TEST(Pods, RollOutsStayWithinSurgeAndUnavailable) {
  for (const auto& [replicas, surge, unavailable] :
       std::vector<Strategy>{{1, 1, 0}, {5, 1, 0}, {5, 0, 1}, {7, 2, 3}, {20, 5, 0}, {4, 4, 4}}) {
    DeploymentSpec web = Web(replicas);
    web.to_ready = {absl::Seconds(1), absl::Seconds(9)};
    web.max_surge = surge;
    web.max_unavailable = unavailable;
    web.rollouts = {{.at = absl::Seconds(10)}};
    World world(Of(web), kStart);
    const Deployment& seen = world.deployments()[0];
    const std::string before = seen.latest().hash;
    int most = 0;
    int least = replicas;
    Watch(world, absl::Minutes(10), [&] {
      most = std::max(most, seen.active);
      least = std::min(least, seen.ready);
    });
    const std::string what = fmt::format("{} +{} -{}", replicas, surge, unavailable);
    EXPECT_LE(most, replicas + surge) << what;
    EXPECT_GE(least, replicas - unavailable) << what;
    if (surge > 0 && unavailable == 0) {
      EXPECT_EQ(most, replicas + surge) << what;  // it uses what it may
    }
    if (surge == 0) {
      EXPECT_EQ(least, replicas - unavailable) << what;
    }
    EXPECT_EQ(seen.ready, replicas) << what;
    EXPECT_EQ(seen.updated(), replicas) << what;
    EXPECT_EQ(static_cast<int>(seen.pods.size()), replicas) << what;
    EXPECT_NE(seen.latest().hash, before);
    for (const Pod* pod : seen.pods) EXPECT_THAT(pod->name, testing::HasSubstr(seen.latest().hash));
  }
}

TEST(Pods, OneByOneARollOutTakesAsLongAsItsPods) {
  DeploymentSpec web = Web(3);
  web.rollouts = {{.at = absl::Seconds(10)}};  // surge 1, unavailable 0
  World world(Of(web), kStart);
  std::vector<double> updated;
  int last = 3;
  Watch(world, absl::Minutes(5), [&] {
    const Deployment& seen = world.deployments()[0];
    if (seen.latest().ready == last || seen.templates.size() == 1) return;
    last = seen.latest().ready;
    updated.push_back(absl::ToDoubleSeconds(world.now() - kStart));
  });
  // Each takes 3 s to be ready; an old one ends then, which makes room for the next.
  EXPECT_THAT(updated, ElementsAre(10, 13, 16, 19));
}

TEST(Pods, ARollOutThatCrashesLeavesTheOldOnes) {
  DeploymentSpec web = Web(6);
  web.max_surge = 2;
  web.max_unavailable = 1;
  web.rollouts = {{.at = absl::Seconds(10), .crash_permille = 1000}};
  World world(Of(web), kStart);
  const Deployment& seen = world.deployments()[0];
  Watch(world, absl::Hours(1), [&] {
    EXPECT_GE(seen.ready, 5);
    EXPECT_LE(seen.active, 8);
  });
  EXPECT_EQ(seen.ready, 5);
  EXPECT_EQ(seen.updated(), 3);
}

TEST(Pods, ScalesDuringARollOut) {
  DeploymentSpec web = Web(8);
  web.max_surge = 2;
  web.rollouts = {{.at = absl::Seconds(10)}};
  for (const int replicas : {3, 20, 0}) {
    World world(Of(web), kStart);
    world.Advance(kStart + absl::Seconds(14));
    ASSERT_TRUE(world.Scale(0, replicas).ok());
    world.Advance(kStart + absl::Minutes(5));
    const Deployment& seen = world.deployments()[0];
    EXPECT_EQ(seen.ready, replicas);
    EXPECT_EQ(seen.updated(), replicas);
    EXPECT_EQ(static_cast<int>(seen.pods.size()), replicas);
  }
}

TEST(Pods, NewTemplatesMayCostMore) {
  DeploymentSpec web = Web(2);
  web.cpu_per_request = 10'000'000;
  web.load = Load::Constant(20'000);
  web.rollouts = {{.at = absl::Seconds(10), .cpu_per_request = 30'000'000}};
  World world(Of(web), kStart);
  EXPECT_EQ(world.deployments()[0].pod_cpu, 100'000'000);
  world.Advance(kStart + absl::Seconds(13));  // the first new one is ready, the second not made yet
  const Deployment& seen = world.deployments()[0];
  ASSERT_EQ(seen.ready, 2);
  EXPECT_EQ(seen.templates[0].share.cpu(), 100'000'000);
  EXPECT_EQ(seen.templates[1].share.cpu(), 300'000'000);
  world.Advance(kStart + absl::Minutes(1));
  EXPECT_EQ(seen.pod_cpu, 300'000'000);
}

TEST(Pods, QuotaRefusesAndIsAskedAgain) {
  WorldSpec spec = Of(Web(1));
  DeploymentSpec other = Web(2);
  other.name = "other";
  spec.deployments.push_back(other);
  spec.quotas = {{.ns = "default", .pods = 5}};
  World world(std::move(spec), kStart);
  ASSERT_TRUE(world.Scale(0, 6).ok());
  world.Advance(kStart + absl::Seconds(100));
  const Deployment& web = world.deployments()[0];
  EXPECT_EQ(web.active, 3);
  EXPECT_EQ(web.ready, 3);
  EXPECT_EQ(web.refused, 3);
  // Tried again after 1, 2, 4 ... s: at 1, 3, 7, 15, 31, 63, 127 s.
  ASSERT_TRUE(world.Scale(1, 0).ok());
  world.Advance(kStart + absl::Seconds(126));
  EXPECT_EQ(web.active, 3);
  world.Advance(kStart + absl::Seconds(127));
  EXPECT_EQ(web.active, 5);
  EXPECT_EQ(web.refused, 1);
}

TEST(Pods, QuotaOfCpuCountsRequests) {
  DeploymentSpec web = Web(2);
  web.cpu_request = 400'000'000;
  WorldSpec spec = Of(web);
  spec.quotas = {{.ns = "default", .cpu = 2'100'000'000}, {.ns = "elsewhere", .pods = 1}};
  World world(std::move(spec), kStart);
  ASSERT_TRUE(world.Scale(0, 10).ok());
  world.Advance(kStart + absl::Minutes(1));
  EXPECT_EQ(world.deployments()[0].active, 5);
  // Who ends still counts until it is gone.
  ASSERT_TRUE(world.DeletePod("default", world.deployments()[0].pods[0]->name).ok());
  EXPECT_EQ(world.deployments()[0].active, 4);
  world.Advance(world.now() + absl::Milliseconds(900));
  EXPECT_EQ(world.deployments()[0].active, 4);
  world.Advance(world.now() + absl::Minutes(6));
  EXPECT_EQ(world.deployments()[0].active, 5);
}

DeploymentSpec Serving(absl::Duration service, bool drain) {
  DeploymentSpec web = Web(1);
  web.load = Load::Steps({{absl::ZeroDuration(), 1'000}, {absl::Seconds(1), 0}}, false);
  web.requests = RequestsSpec{.random = false,
                              .service = Distribution::Fixed(service),
                              .timeout = absl::Minutes(5),
                              .drain = drain};
  return web;
}

// Of one request, and when its pod, deleted after a second, was gone.
struct Ended {
  Service service;
  absl::Duration gone;
};

Ended DeleteWhileServing(absl::Duration service, bool drain) {
  World world(Of(Serving(service, drain)), kStart);
  world.Advance(kStart + absl::Seconds(1));
  const PodId id = world.deployments()[0].pods[0]->id;
  EXPECT_TRUE(world.DeletePod("default", world.deployments()[0].pods[0]->name).ok());
  Ended out;
  Watch(world, absl::Minutes(2), [&] {
    if (out.gone == absl::ZeroDuration() && world.FindPod(id) == nullptr) {
      out.gone = world.now() - kStart;
    }
  });
  out.service = world.service(0);
  return out;
}

TEST(Pods, EndWhenTheyHaveServedWhatTheyHad) {
  // The request came at 0.5 s.
  Ended ended = DeleteWhileServing(absl::Seconds(5), true);
  EXPECT_EQ(ended.gone, absl::Milliseconds(5500));
  EXPECT_EQ(ended.service.served, 1000);
  EXPECT_EQ(ended.service.reset, 0);
  ended = DeleteWhileServing(absl::Milliseconds(700), true);
  EXPECT_EQ(ended.gone, absl::Seconds(2));  // its process takes a second to end
  EXPECT_EQ(ended.service.served, 1000);
}

TEST(Pods, AreKilledWhenTheirGraceIsOver) {
  const Ended ended = DeleteWhileServing(absl::Seconds(60), true);
  EXPECT_EQ(ended.gone, absl::Seconds(31));
  EXPECT_EQ(ended.service.served, 0);
  EXPECT_EQ(ended.service.reset, 1000);
}

TEST(Pods, WithoutDrainingResetWhatTheyHad) {
  const Ended ended = DeleteWhileServing(absl::Seconds(5), false);
  EXPECT_EQ(ended.gone, absl::Seconds(2));
  EXPECT_EQ(ended.service.served, 0);
  EXPECT_EQ(ended.service.reset, 1000);
}

TEST(Pods, WithoutAProbeAreReadyBeforeTheyListen) {
  DeploymentSpec web = Serving(absl::Seconds(1), true);
  web.requests->boot = Distribution::Fixed(absl::Seconds(5));
  for (const bool probe : {false, true}) {
    web.requests->readiness_probe = probe;
    World world(Of(web), kStart);
    ASSERT_TRUE(world.Scale(0, 2).ok());
    world.Advance(kStart + absl::Minutes(1));
    const Pod& pod = *world.deployments()[0].pods[1];
    EXPECT_EQ(pod.running_at, kStart + absl::Seconds(1));
    EXPECT_EQ(pod.ready_at, kStart + absl::Seconds(probe ? 6 : 1));
  }
}

TEST(Pods, HandlesOfTheGoneFindNothing) {
  World world(Of(Web(1)), kStart);
  const PodId id = world.deployments()[0].pods[0]->id;
  EXPECT_EQ(world.FindPod(id), world.deployments()[0].pods[0]);
  ASSERT_TRUE(world.DeletePod("default", world.deployments()[0].pods[0]->name).ok());
  world.Advance(kStart + absl::Minutes(1));
  EXPECT_EQ(world.FindPod(id), nullptr);
  EXPECT_EQ(world.FindPod(PodId()), nullptr);
}

}  // namespace
}  // namespace neap::sim
