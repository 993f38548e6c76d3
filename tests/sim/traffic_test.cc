// Where load goes in a world, the CPU that it makes, and what holds in every world.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autoscaler/sim/world.h"
#include "tests/sim/worlds.h"
#include "tests/support/process.h"

namespace neap::sim {
namespace {

DeploymentSpec Web(int replicas) {
  DeploymentSpec web = QuickPods(replicas);
  web.cpu_idle = 5'000'000;
  web.cpu_per_request = 10'000'000;
  return web;
}

WorldSpec WithQueue(DeploymentSpec worker, int64_t per_pod, Load arrivals, int64_t waiting = 0) {
  WorldSpec spec = Of(std::move(worker));
  spec.queues = {{.name = "jobs",
                  .consumer = 0,
                  .per_pod = per_pod,
                  .waiting = waiting,
                  .arrivals = std::move(arrivals)}};
  return spec;
}

TEST(Traffic, BacklogGrowsByWhatPodsCannotDo) {
  DeploymentSpec web = Web(2);
  web.capacity = 4'000;
  web.patience = absl::Hours(1);
  web.load = Load::Constant(10'000);
  World world(Of(web), kStart);
  EXPECT_EQ(world.Demand(0), 3);
  world.Advance(kStart + absl::Seconds(100));
  EXPECT_EQ(world.service(0).waiting, 200'000);
  EXPECT_EQ(world.service(0).served, 800'000);
  EXPECT_EQ(world.deployments()[0].served_rate, 8'000);
  EXPECT_EQ(world.deployments()[0].rate, 10'000);
  EXPECT_EQ(world.deployments()[0].pod_cpu, 45'000'000);  // idle + 4 per second
  // A third one is ready 3 s later: 206 wait, and 2 per second go.
  ASSERT_TRUE(world.Scale(0, 3).ok());
  world.Advance(kStart + absl::Seconds(103));
  EXPECT_EQ(world.service(0).waiting, 206'000);
  world.Advance(kStart + absl::Seconds(104));
  EXPECT_EQ(world.service(0).waiting, 204'000);
  world.Advance(kStart + absl::Seconds(206));
  EXPECT_EQ(world.service(0).waiting, 0);
  EXPECT_EQ(world.deployments()[0].served_rate, 10'000);
  EXPECT_EQ(world.service(0).Failed(), 0);
}

TEST(Traffic, FailsAtOnceWithoutPatience) {
  DeploymentSpec web = Web(2);
  web.cpu_limit = 45'000'000;  // 4 requests per second
  web.load = Load::Constant(10'000);
  World world(Of(web), kStart);
  world.Advance(kStart + absl::Seconds(10));
  EXPECT_EQ(world.service(0).overflowed, 20'000);
  EXPECT_EQ(world.service(0).served, 80'000);
  ASSERT_TRUE(world.Scale(0, 0).ok());
  world.Advance(kStart + absl::Seconds(20));
  EXPECT_EQ(world.service(0).refused, 100'000);  // nobody listens
}

TEST(Traffic, QueuesGrowAndEmptyByTheirRates) {
  World world(WithQueue(Web(2), 4'000, Load::Constant(10'000)), kStart);
  EXPECT_EQ(world.Demand(0), 3);
  world.Advance(kStart + absl::Seconds(60));
  EXPECT_EQ(world.queue_service(0).waiting, 120'000);
  EXPECT_EQ(world.Value({.what = Source::What::kQueueLength, .index = 0}), 120'000);
  EXPECT_EQ(world.Value({.what = Source::What::kArrivals, .index = 0}), 10'000);
  EXPECT_EQ(world.queues()[0].service_rate, 8'000);
  EXPECT_EQ(world.deployments()[0].pod_cpu, 45'000'000);
  EXPECT_EQ(world.deployment(0).requested, 480'000);
  ASSERT_TRUE(world.Scale(0, 4).ok());
  // 126 wait at 63 s; 16 per second are taken: empty after 21 s, and then what arrives.
  world.Advance(kStart + absl::Seconds(84) - absl::Nanoseconds(1));
  EXPECT_EQ(world.queues()[0].service_rate, 16'000);
  world.Advance(kStart + absl::Seconds(84));
  EXPECT_EQ(world.queue_service(0).waiting, 0);
  EXPECT_EQ(world.queues()[0].service_rate, 10'000);
  EXPECT_EQ(world.deployments()[0].rate, 10'000);
  EXPECT_EQ(world.deployments()[0].pod_cpu, 30'000'000);
  EXPECT_EQ(world.service(0).arrived, 0);  // its own load
}

TEST(Traffic, LengthsAreOfWholeItems) {
  World world(WithQueue(Web(0), 4'000, Load::Constant(700)), kStart);
  world.Advance(kStart + absl::Seconds(5));
  EXPECT_EQ(world.queue_service(0).waiting, 3'500);
  EXPECT_EQ(world.Value({.what = Source::What::kQueueLength, .index = 0}), 3'000);
}

TEST(Traffic, AnItemHasArrivedWhenAllOfItHasAndIsTakenWhenItsServiceBegins) {
  World world(WithQueue(Web(1), 500, Load::Constant(2'000), 3), kStart);
  int64_t arrived = 0;
  int64_t taken = 0;
  for (int i = 1; i <= 200; ++i) {
    world.Advance(kStart + absl::Milliseconds(i * 70));
    const Items items = ItemsOf(world.queue_service(0));
    ASSERT_EQ(items.arrived, 3 + i * 140 / 1000);
    ASSERT_EQ(items.taken, 1 + (i * 35 - 1) / 1000);
    ASSERT_EQ(items.arrived, items.taken + items.waiting);
    ASSERT_GE(items.arrived, arrived);
    ASSERT_GE(items.taken, taken);
    arrived = items.arrived;
    taken = items.taken;
  }
}

TEST(Traffic, ALimitSlowsWhoTakesFromAQueue) {
  DeploymentSpec worker = Web(1);
  worker.cpu_limit = 35'000'000;  // 3 per second
  World world(WithQueue(worker, 5'000, Load::Constant(10'000)), kStart);
  world.Advance(kStart + absl::Seconds(10));
  EXPECT_EQ(world.queue_service(0).served, 30'000);
  EXPECT_EQ(world.deployments()[0].pod_cpu, 35'000'000);
  EXPECT_EQ(world.Demand(0), 4);
}

TEST(Traffic, MeansOfCpuAreExact) {
  DeploymentSpec web = Web(1);
  web.load = Load::Steps({{absl::ZeroDuration(), 10'000},
                          {absl::Milliseconds(10'300), 30'000},
                          {absl::Milliseconds(12'700), 0}},
                         false);
  World world(Of(web), kStart);
  world.Advance(kStart + absl::Seconds(20));
  const Pod& pod = *world.deployments()[0].pods[0];
  const auto mean = [&](double from, double to) {
    return world.MeanCpu(pod, kStart + absl::Seconds(from), kStart + absl::Seconds(to));
  };
  EXPECT_EQ(mean(0, 10), 105'000'000);
  EXPECT_EQ(mean(-30, 0), 105'000'000);  // as it had always been
  EXPECT_EQ(mean(10, 11), 5'000'000 + 30'000'000 + 210'000'000);
  EXPECT_EQ(mean(12, 14), 5'000'000 + 105'000'000);
  EXPECT_EQ(mean(15, 20), 5'000'000);
  EXPECT_EQ(mean(12, 12), std::nullopt);
  // What is long past is forgotten.
  world.Advance(kStart + absl::Minutes(5));
  EXPECT_EQ(mean(10, 20), std::nullopt);
}

TEST(Traffic, SingleRequestsMakeCpuByTheirWork) {
  DeploymentSpec web = Web(2);
  web.load = Load::Constant(20'000);
  web.requests = RequestsSpec{.random = false,
                              .service = Distribution::Fixed(absl::Milliseconds(100)),
                              .balance = RequestsSpec::Balance::kRoundRobin,
                              .concurrency = 4};
  World world(Of(web), kStart);
  world.Advance(kStart + absl::Seconds(100));
  const Service& service = world.service(0);
  EXPECT_EQ(service.arrived, 2'000'000);
  EXPECT_GE(service.served, 1'998'000);
  EXPECT_EQ(service.Failed(), 0);
  const Deployment& seen = world.deployment(0);
  EXPECT_EQ(seen.requested, 2'000'000);
  EXPECT_EQ(world.Demand(0), 1);  // 40 per second each
  // 10 per second and pod, 10 ms of CPU each, and idle.
  EXPECT_NEAR(static_cast<double>(seen.pod_cpu), 105e6, 1e6);
  for (const Pod* pod : seen.pods) {
    const auto mean = world.MeanCpu(*pod, kStart + absl::Seconds(40), kStart + absl::Seconds(70));
    ASSERT_TRUE(mean);
    EXPECT_NEAR(static_cast<double>(*mean), 105e6, 1e6);
  }
}

TEST(Traffic, NothingHappensWhereNothingChanges) {
  DeploymentSpec web = Web(2);
  web.load = Load::Constant(10'000);
  WorldSpec spec = WithQueue(web, 2'000, Load::Constant(3'000));
  World world(std::move(spec), kStart);
  world.Advance(kStart + absl::Hours(24 * 365));
  EXPECT_LT(world.events(), 10u);
  EXPECT_EQ(world.service(0).served, int64_t{365} * 86'400 * 10'000);
  EXPECT_EQ(world.deployment(0).pod_seconds, int64_t{2} * 365 * 86'400);
}

TEST(Traffic, TellsWhenTheLoadsHaveEnded) {
  const testing_support::TempDir dir;
  DeploymentSpec web = Web(1);
  web.load = Load::Trace(dir.Write("day.csv", "0,10\n60,20\n120,5\n"), {});
  WorldSpec spec = Of(web);
  DeploymentSpec quiet = Web(1);
  quiet.name = "quiet";
  spec.deployments.push_back(quiet);
  World world(std::move(spec), kStart);
  EXPECT_EQ(world.loads_ended(), absl::InfiniteFuture());
  world.Advance(kStart + absl::Seconds(170));
  EXPECT_EQ(world.loads_ended(), absl::InfiniteFuture());
  world.Advance(kStart + absl::Seconds(200));
  EXPECT_EQ(world.loads_ended(), kStart + absl::Seconds(180));
  EXPECT_EQ(world.service(0).arrived, 600'000 + 1'200'000 + 300'000);
  EXPECT_TRUE(world.status().ok());
}

TEST(Traffic, ATraceThatGoesWrongIsTold) {
  const testing_support::TempDir dir;
  DeploymentSpec web = Web(1);
  std::string rows;
  for (int i = 0; i < 1000; ++i) rows += fmt::format("{},1\n", i);
  web.load = Load::Trace(dir.Write("day.csv", rows + "1000,x\n"), {});
  World world(Of(web), kStart);
  EXPECT_TRUE(world.status().ok());
  world.Advance(kStart + absl::Hours(1));
  EXPECT_THAT(std::string(world.status().message()), testing::HasSubstr("day.csv:1001"));
  web.load = Load::Trace(dir.path() + "/none.csv", {});
  const World without(Of(web), kStart);
  EXPECT_EQ(without.status().code(), absl::StatusCode::kNotFound);
}

// ---- every world ----

Load RandomLoad(Random& random) {
  const auto rate = [&random] { return static_cast<int64_t>(random.Below(60'000)); };
  switch (random.Below(4)) {
    case 0:
      return Load::Constant(rate());
    case 1:
      return Load::Sine({.low = rate() / 4,
                         .high = rate(),
                         .period = absl::Seconds(60 + static_cast<int64_t>(random.Below(600)))});
    case 2:
      return Load::Poisson(rate(), absl::Seconds(1 + static_cast<int64_t>(random.Below(10))));
    default:
      return Load::Square({.low = 0, .high = rate(), .period = absl::Seconds(97)});
  }
}

WorldSpec RandomWorld(uint64_t seed) {
  Random random(seed);
  const auto chance = [&random](int percent) {
    return random.Below(100) < static_cast<uint64_t>(percent);
  };
  const auto seconds = [&random](int64_t most) {
    return absl::Milliseconds(
        static_cast<int64_t>(random.Below(1000 * static_cast<uint64_t>(most))));
  };
  WorldSpec spec;
  spec.seed = seed;
  spec.objective = chance(50) ? seconds(10) : absl::InfiniteDuration();
  const int deployments = 1 + static_cast<int>(random.Below(4));
  for (int i = 0; i < deployments; ++i) {
    DeploymentSpec one;
    one.name = fmt::format("d{}", i);
    one.replicas = static_cast<int>(random.Below(6));
    one.cpu_request = 100'000'000 * static_cast<int64_t>(random.Below(10));
    one.cpu_idle = 1'000'000;
    one.cpu_per_request = 1'000'000 + static_cast<int64_t>(random.Below(20'000'000));
    if (chance(50)) one.cpu_limit = 100'000'000 + static_cast<int64_t>(random.Below(500'000'000));
    if (chance(50)) one.capacity = 1 + static_cast<int64_t>(random.Below(20'000));
    if (chance(60)) one.patience = seconds(30);
    one.to_ready = {absl::Seconds(1), absl::Seconds(20)};
    if (chance(30)) one.terminate = Distribution::Exponential(absl::Seconds(3));
    if (chance(30)) one.crash = {.permille = 300, .lives = Distribution::Fixed(seconds(9))};
    one.max_surge = static_cast<int>(random.Below(3));
    one.max_unavailable = 1;
    if (chance(40)) {
      one.rollouts = {
          {.at = absl::Minutes(2), .cpu_per_request = 7'000'000, .crash_permille = 100}};
    }
    if (chance(80)) one.load = RandomLoad(random);
    if (chance(30)) {
      one.requests =
          RequestsSpec{.service = Distribution::Exponential(absl::Milliseconds(80)),
                       .timeout = absl::Seconds(5),
                       .concurrency = 1 + static_cast<int>(random.Below(4)),
                       .queue = 30,
                       .boot = Distribution::Uniform(absl::ZeroDuration(), absl::Seconds(4)),
                       .readiness_probe = chance(50),
                       .drain = chance(50)};
    }
    spec.deployments.push_back(std::move(one));
  }
  for (int i = 0; i < static_cast<int>(random.Below(3)); ++i) {
    spec.queues.push_back(
        {.name = fmt::format("q{}", i),
         .consumer = static_cast<int>(random.Below(static_cast<uint64_t>(deployments) + 1)) - 1,
         .per_pod = 1 + static_cast<int64_t>(random.Below(9'000)),
         .waiting = static_cast<int64_t>(random.Below(100)),
         .arrivals = RandomLoad(random)});
  }
  if (chance(60)) {
    NodePoolSpec pool;
    pool.zones = 1 + static_cast<int>(random.Below(3));
    pool.cpu = 2'000'000'000;
    pool.count = 2;
    pool.max = 2 + static_cast<int>(random.Below(4));
    pool.provision = Distribution::Uniform(absl::Seconds(20), absl::Seconds(60));
    pool.idle = absl::Seconds(90);
    pool.price_milli = 100;
    spec.pools = {pool};
    spec.faults.push_back(
        {.what = chance(50) ? WorldFault::What::kLoseNode : WorldFault::What::kLoseZone,
         .at = absl::Minutes(3),
         .every = absl::Minutes(4),
         .lasts = chance(50) ? absl::Minutes(2) : absl::ZeroDuration()});
  }
  if (chance(30)) spec.quotas = {{.pods = 9}};
  if (chance(50)) {
    spec.faults.push_back({.deployment = "d0", .at = seconds(60), .every = absl::Seconds(40)});
  }
  return spec;
}

// Everything that can be seen, as text; and what must hold is checked on the way.
std::string Picture(const World& world) {
  std::string out;
  const auto service = [&out](const Service& s) {
    EXPECT_EQ(s.arrived, s.served + s.Failed() + s.waiting);
    EXPECT_GE(s.waiting, 0);
    EXPECT_LE(s.late, s.served);
    EXPECT_EQ(s.waits.total(), s.served);
    out += fmt::format(" {} {} {} {} {} {} {} {} {} {} {}/{}\n", s.arrived, s.served, s.late,
                       s.timed_out, s.refused, s.reset, s.wrong, s.overflowed, s.waiting, s.oldest,
                       s.waits.Quantile(500), s.waits.Quantile(990));
  };
  for (int i = 0; i < static_cast<int>(world.deployments().size()); ++i) {
    const Deployment& d = world.deployment(i);
    EXPECT_EQ(d.active, d.ready + d.pending + d.starting);
    EXPECT_LE(d.served_rate, kMaxRate);
    out += fmt::format("{}: {} {} {} {} {} {} {} {} {} {} {}", d.spec.name, d.replicas, d.active,
                       d.ready, d.pending, d.refused, d.updated(), d.rate, d.pod_cpu, d.requested,
                       d.pod_seconds, world.Demand(i));
    service(world.service(i));
    for (const Pod* pod : d.pods) {
      const auto mean = world.MeanCpu(*pod, world.now() - absl::Seconds(13), world.now());
      EXPECT_GE(mean.value_or(0), 0) << pod->name << " at " << world.now();
      out += fmt::format("  {} {} {} {} {}\n", pod->name, pod->node, pod->ready, pod->restarts,
                         mean.value_or(-1));
    }
  }
  for (int i = 0; i < static_cast<int>(world.queues().size()); ++i) service(world.queue_service(i));
  for (const Node& node : world.nodes()) {
    EXPECT_GE(node.pods, 0);
    EXPECT_GE(node.used.cpu, 0);
    EXPECT_LE(node.used.cpu, 2'000'000'000);
    EXPECT_GE(node.planned_pods, 0);
    EXPECT_TRUE(node.state == Node::State::kReady || node.pods == 0);
    out += fmt::format("{} {} {}\n", node.name, static_cast<int>(node.state), node.pods);
  }
  return out + fmt::format("{} {}", world.cost(), world.events());
}

enum class Look { kSeldom, kOften, kAtChanges };

std::string RunFor(uint64_t seed, Look look) {
  World world(RandomWorld(seed), kStart);
  Random random(seed + 1000);
  for (int minute = 1; minute <= 20; ++minute) {
    const absl::Time to = kStart + absl::Minutes(minute);
    while (look == Look::kAtChanges && world.AdvanceToChange(to)) world.TakeChanges();
    while (look == Look::kOften && world.now() < to) {
      world.Advance(std::min(to, world.now() + absl::Milliseconds(1 + minute * 317)));
      Picture(world);
    }
    world.Advance(to);
    world.TakeChanges();
    for (int i = 0; i < static_cast<int>(world.deployments().size()); ++i) {
      const auto replicas = static_cast<int>(random.Below(9));
      if (minute < 18 && random.Below(2) == 0) {
        EXPECT_TRUE(world.Scale(i, replicas).ok());
      }
    }
  }
  return Picture(world);
}

TEST(EveryWorld, ConservesAndIsTheSameHoweverItIsLookedAt) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const std::string once = RunFor(seed, Look::kSeldom);
    ASSERT_EQ(RunFor(seed, Look::kSeldom), once) << "seed " << seed;
    ASSERT_EQ(RunFor(seed, Look::kOften), once) << "seed " << seed;
    ASSERT_EQ(RunFor(seed, Look::kAtChanges), once) << "seed " << seed;
    if (::testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << once;
  }
}

}  // namespace
}  // namespace neap::sim
