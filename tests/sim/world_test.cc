#include "autoscaler/sim/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "autoscaler/base/status.h"

namespace neap::sim {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'767'225'600);

DeploymentSpec Web() {
  DeploymentSpec web;
  web.ns = "shop";
  web.name = "web";
  web.replicas = 2;
  web.cpu_request = 500'000'000;
  web.cpu_idle = 5'000'000;
  web.cpu_per_request = 20'000'000;
  web.to_running = {absl::Seconds(1), absl::Seconds(2)};
  web.to_ready = {absl::Seconds(3), absl::Seconds(5)};
  web.to_gone = {absl::Seconds(1), absl::Seconds(1)};
  web.load = Load::Constant(20'000);
  return web;
}

WorldSpec OneDeployment() {
  WorldSpec spec;
  spec.seed = 42;
  spec.deployments = {Web()};
  return spec;
}

WorldSpec WithQueue() {
  WorldSpec spec = OneDeployment();
  spec.deployments[0].load = Load();
  spec.queues = {{.ns = "shop",
                  .name = "jobs",
                  .consumer = 0,
                  .per_pod = 5'300,
                  .waiting = 7,
                  .arrivals = Load::Sine({.low = 0, .high = 30'000, .period = absl::Seconds(47)})}};
  spec.objective = absl::Seconds(5);
  return spec;
}

// Everything that can be seen of a world, as text.
std::string Picture(const World& world) {
  std::string out = fmt::format("t={}\n", absl::ToUnixNanos(world.now()));
  for (size_t i = 0; i < world.deployments().size(); ++i) {
    const Deployment& d = world.deployment(static_cast<int>(i));
    out += fmt::format("{} {} {} {} {} {} {}\n", d.spec.name, d.replicas, d.active, d.ready, d.rate,
                       d.pod_cpu, d.requested);
    for (const auto& pod : d.pods) {
      const std::optional<CpuSample> sample = world.Sample(*pod);
      out += fmt::format("  {} {} {} {} {}\n", pod->name, pod->uid, static_cast<int>(pod->phase),
                         pod->serving(), sample ? sample->cpu : -1);
    }
  }
  for (size_t i = 0; i < world.queues().size(); ++i) {
    const Service& q = world.queue_service(static_cast<int>(i));
    out += fmt::format("{} {} {} {} {} {} {}\n", i, q.waiting, q.arrived, q.served, q.late,
                       q.oldest, q.waits.total());
    for (int permille = 1; permille <= 1000; ++permille) {
      out += fmt::format(" {}", q.waits.Quantile(permille));
    }
  }
  return out;
}

// A run with scaling, as text: pictures every `step` seconds.
std::string RunFor(uint64_t seed, const std::vector<int>& looks) {
  WorldSpec spec = WithQueue();
  spec.seed = seed;
  World world(std::move(spec), kStart);
  std::string out;
  int at = 0;
  for (int look : looks) {
    for (; at < look; ++at) {
      if (at % 7 == 3) {
        world.Advance(kStart + absl::Seconds(at));
        EXPECT_TRUE(world.Scale(0, 1 + (at * 5) % 6).ok());
      }
    }
    world.Advance(kStart + absl::Seconds(look));
    out = Picture(world);
  }
  return out;
}

TEST(World, SameSeedSameWorld) {
  EXPECT_EQ(RunFor(1, {100}), RunFor(1, {100}));
  EXPECT_NE(RunFor(1, {100}), RunFor(2, {100}));
}

TEST(World, HowOftenItIsLookedAtChangesNothing) {
  std::vector<int> often;
  for (int i = 0; i <= 100; ++i) often.push_back(i);
  EXPECT_EQ(RunFor(5, {100}), RunFor(5, often));
}

TEST(World, BeginsWithReadyPodsAndTheirSamples) {
  const World world(OneDeployment(), kStart);
  const Deployment& web = world.deployments()[0];
  EXPECT_EQ(web.active, 2);
  EXPECT_EQ(web.ready, 2);
  EXPECT_EQ(web.observed_generation, web.generation);
  for (const auto& pod : web.pods) {
    EXPECT_TRUE(pod->serving());
    ASSERT_TRUE(world.Sample(*pod));
    EXPECT_EQ(world.Sample(*pod)->at, kStart);
    EXPECT_EQ(world.Sample(*pod)->cpu, 205'000'000);  // idle 5m + 10 requests per second x 20m
  }
}

TEST(World, PodsStartBecomeReadyAndEnd) {
  World world(OneDeployment(), kStart);
  ASSERT_TRUE(world.Scale(0, 3).ok());
  const Deployment& web = world.deployments()[0];
  // The controller has not acted yet.
  EXPECT_EQ(web.replicas, 3);
  EXPECT_EQ(web.active, 2);
  EXPECT_LT(web.observed_generation, web.generation);
  world.Advance(kStart + absl::Milliseconds(500));
  EXPECT_EQ(web.active, 3);
  EXPECT_EQ(web.observed_generation, web.generation);
  const Pod& pod = *web.pods.back();
  EXPECT_EQ(pod.phase, PodPhase::kPending);
  world.Advance(kStart + absl::Seconds(3));
  EXPECT_EQ(pod.phase, PodPhase::kRunning);
  EXPECT_FALSE(pod.ready);
  EXPECT_EQ(web.ready, 2);
  world.Advance(kStart + absl::Seconds(8));
  EXPECT_TRUE(pod.serving());
  EXPECT_EQ(web.ready, 3);
  EXPECT_GE(pod.ready_at - pod.running_at, absl::Seconds(3));
  EXPECT_LE(pod.ready_at - pod.running_at, absl::Seconds(5));

  ASSERT_TRUE(world.Scale(0, 1).ok());
  world.Advance(kStart + absl::Milliseconds(8500));
  EXPECT_EQ(web.active, 1);
  EXPECT_EQ(web.ready, 1);
  EXPECT_EQ(web.pods.size(), 3u);  // two are ending
  world.Advance(kStart + absl::Seconds(10));
  EXPECT_EQ(web.pods.size(), 1u);
}

TEST(World, EndsPodsThatAreNotReadyFirst) {
  World world(OneDeployment(), kStart);
  std::set<std::string> first;
  for (const auto& pod : world.deployments()[0].pods) first.insert(pod->name);
  ASSERT_TRUE(world.Scale(0, 5).ok());
  world.Advance(kStart + absl::Milliseconds(100));
  ASSERT_TRUE(world.Scale(0, 2).ok());
  world.Advance(kStart + absl::Seconds(60));
  std::set<std::string> left;
  for (const auto& pod : world.deployments()[0].pods) left.insert(pod->name);
  EXPECT_EQ(left, first);
}

TEST(World, ADeletedPodIsReplaced) {
  World world(OneDeployment(), kStart);
  const std::string name = world.deployments()[0].pods[0]->name;
  ASSERT_TRUE(world.DeletePod("shop", name).ok());
  EXPECT_EQ(world.deployments()[0].ready, 1);
  world.Advance(kStart + absl::Seconds(30));
  EXPECT_EQ(world.deployments()[0].ready, 2);
  EXPECT_EQ(world.FindPod("shop", name), nullptr);
  EXPECT_EQ(world.DeletePod("shop", name).code(), absl::StatusCode::kNotFound);
}

TEST(World, ScaleRefusesLessThanNothing) {
  World world(OneDeployment(), kStart);
  EXPECT_EQ(world.Scale(0, -1).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(world.Scale(0, 0).ok());
  world.Advance(kStart + absl::Minutes(1));
  EXPECT_EQ(world.deployments()[0].pods.size(), 0u);
  EXPECT_EQ(world.Value({.what = Source::What::kRatePerPod, .index = 0}), std::nullopt);
  EXPECT_EQ(world.Value({.what = Source::What::kRate, .index = 0}), 20'000);
}

TEST(World, MoreLoadMoreCpuMorePodsLessEach) {
  WorldSpec spec = OneDeployment();
  spec.deployments[0].load =
      Load::Steps({{absl::ZeroDuration(), 20'000}, {absl::Seconds(60), 40'000}}, false);
  World world(std::move(spec), kStart);
  const Deployment& web = world.deployments()[0];
  world.Advance(kStart + absl::Seconds(61));
  EXPECT_EQ(web.pod_cpu, 405'000'000);
  ASSERT_TRUE(world.Scale(0, 4).ok());
  world.Advance(kStart + absl::Seconds(90));
  EXPECT_EQ(web.pod_cpu, 205'000'000);
}

// A sample is the mean over the window, so a step of the load is seen over its length.
TEST(World, SamplesLagByTheirWindow) {
  WorldSpec spec = OneDeployment();
  spec.metrics_window = absl::Seconds(10);
  spec.deployments[0].cpu_idle = 0;
  spec.deployments[0].load =
      Load::Steps({{absl::ZeroDuration(), 0}, {absl::Seconds(60), 20'000}}, false);
  World world(std::move(spec), kStart);
  const Pod& pod = *world.deployments()[0].pods[0];
  world.Advance(kStart + absl::Seconds(60));
  EXPECT_EQ(world.Sample(pod)->cpu, 0);
  world.Advance(kStart + absl::Seconds(65));
  EXPECT_EQ(world.Sample(pod)->cpu, 100'000'000);
  EXPECT_EQ(world.Sample(pod)->window, absl::Seconds(10));
  world.Advance(kStart + absl::Seconds(70));
  EXPECT_EQ(world.Sample(pod)->cpu, 200'000'000);
}

TEST(World, SamplesAreTakenAsOftenAsAsked) {
  WorldSpec spec = OneDeployment();
  spec.metrics_every = absl::Seconds(15);
  World world(std::move(spec), kStart);
  const Pod& pod = *world.deployments()[0].pods[0];
  world.Advance(kStart + absl::Seconds(29));
  EXPECT_EQ(world.Sample(pod)->at, kStart + absl::Seconds(15));
}

TEST(World, APodUsesNoMoreThanItsLimit) {
  WorldSpec spec = OneDeployment();
  spec.deployments[0].cpu_limit = 105'000'000;
  World world(std::move(spec), kStart);
  const Deployment& web = world.deployments()[0];
  EXPECT_EQ(web.pod_cpu, 105'000'000);
  EXPECT_EQ(web.served_rate, 10'000);  // of 20: five per pod
}

TEST(World, StartingPodsUseTheirOwnCpu) {
  WorldSpec spec = OneDeployment();
  spec.deployments[0].cpu_startup = 300'000'000;
  spec.deployments[0].to_running = {absl::Seconds(1), absl::Seconds(1)};
  spec.deployments[0].to_ready = {absl::Seconds(20), absl::Seconds(20)};
  World world(std::move(spec), kStart);
  ASSERT_TRUE(world.Scale(0, 3).ok());
  world.Advance(kStart + absl::Seconds(10));
  const Pod& pod = *world.deployments()[0].pods.back();
  EXPECT_FALSE(pod.ready);
  EXPECT_EQ(world.Sample(pod)->cpu, 300'000'000);
}

TEST(World, QueuesLoseAndInventNothing) {
  World world(WithQueue(), kStart);
  int64_t last_arrived = 0;
  for (int second = 1; second <= 600; ++second) {
    world.Advance(kStart + absl::Seconds(second) + absl::Milliseconds(second % 10));
    if (second % 50 == 0) {
      ASSERT_TRUE(world.Scale(0, (second / 50) % 5).ok());
    }
    const Service& jobs = world.queue_service(0);
    ASSERT_EQ(jobs.arrived, jobs.served + jobs.waiting) << "at " << second;
    ASSERT_GE(jobs.waiting, 0);
    ASSERT_GE(jobs.arrived, last_arrived);
    last_arrived = jobs.arrived;
  }
  // The wave's mean is 15 per second.
  const Service& jobs = world.queue_service(0);
  EXPECT_NEAR(static_cast<double>(jobs.arrived) / 1000, 7 + 600 * 15, 300);
  EXPECT_GT(jobs.served, 1'000'000);
}

TEST(World, AQueueWithoutReadyPodsOnlyGrows) {
  WorldSpec spec = WithQueue();
  spec.deployments[0].replicas = 0;
  spec.queues[0].arrivals = Load::Constant(10'000);
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Seconds(100));
  EXPECT_EQ(world.queue_service(0).waiting, 7'000 + 1'000'000);
  EXPECT_EQ(world.queue_service(0).served, 0);
}

TEST(World, ServesAtTheRateOfItsReadyPods) {
  WorldSpec spec = WithQueue();
  spec.queues[0].waiting = 100'000;
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Seconds(100));
  EXPECT_EQ(world.queue_service(0).served, 1'060'000);  // 2 pods x 5.3 x 100 s
  EXPECT_EQ(world.deployments()[0].rate, 10'600);
}

TEST(World, TellsWhatChanged) {
  World world(OneDeployment(), kStart);
  EXPECT_EQ(world.TakeChanges().size(), 3u);  // two pods and the deployment
  world.Advance(kStart + absl::Minutes(5));
  EXPECT_TRUE(world.TakeChanges().empty());  // load and samples are no changes of objects
  ASSERT_TRUE(world.Scale(0, 2).ok());
  EXPECT_TRUE(world.TakeChanges().empty());
  ASSERT_TRUE(world.Scale(0, 3).ok());
  world.Advance(kStart + absl::Minutes(6));
  int added = 0;
  int modified = 0;
  for (const Change& change : world.TakeChanges()) {
    added += change.kind == Change::Kind::kPodAdded;
    modified += change.kind == Change::Kind::kPodModified;
  }
  EXPECT_EQ(added, 1);
  EXPECT_EQ(modified, 2);  // running, ready
}

}  // namespace
}  // namespace neap::sim
