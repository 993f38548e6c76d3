// The traffic model alone, moved by hand: each idea of requests.h, and queueing theory beside it.

#include "autoscaler/sim/requests.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace neap::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kMinute = 60 * kSecond;

Distribution Ms(int64_t ms) { return Distribution::Fixed(absl::Milliseconds(ms)); }

// One request at a time, 100 ms each, evenly spaced arrivals.
RequestsSpec Plain() {
  RequestsSpec spec;
  spec.random = false;
  spec.service = Ms(100);
  return spec;
}

int64_t Count(int64_t milli) { return milli / 1000; }

void ExpectConserved(const Requests& requests) {
  const Service& s = requests.service();
  ASSERT_EQ(s.arrived, s.served + s.Failed() + s.waiting);
  ASSERT_GE(s.waiting, 0);
}

// To `to`, past the moments where pods became empty; they are gone at once.
void AdvanceTo(Requests& requests, int64_t to) {
  while (requests.Advance(to) < to) {
    const int pod = requests.TakeDrained();
    ASSERT_NE(pod, kNone);
    requests.Remove(pod);
  }
  ExpectConserved(requests);
}

// `count` requests, one per microsecond from now on: as good as at once.
void Burst(Requests& requests, int64_t count) {
  const int64_t before = requests.service().arrived;
  requests.SetRate(kMaxRate);
  while (requests.service().arrived < before + 1000 * count) {
    requests.Advance(requests.next());
  }
  requests.SetRate(0);
}

TEST(Requests, ServesWhatArrives) {
  Requests requests(Plain(), {});
  requests.AddServing();
  requests.SetRate(5'000);
  AdvanceTo(requests, kMinute);
  requests.SetRate(0);
  AdvanceTo(requests, 2 * kMinute);
  EXPECT_EQ(Count(requests.service().arrived), 300);
  EXPECT_EQ(Count(requests.service().served), 300);
  EXPECT_EQ(requests.service().waits.max(), 0);
  EXPECT_EQ(requests.service().latencies.max(), 100 * kMs);
  EXPECT_EQ(requests.next(), kNever);
}

TEST(Requests, EvenArrivalsAreTheIntegralOfTheRate) {
  Requests requests(Plain(), {});
  int64_t milli_seconds = 0;  // thousandths of a request
  for (const auto& [rate, seconds] : std::vector<std::pair<int64_t, int64_t>>{
           {333, 7}, {1, 1000}, {0, 500}, {999'999, 3}, {70, 13}, {12'345, 61}}) {
    requests.SetRate(rate);
    milli_seconds += rate * seconds;
    AdvanceTo(requests, requests.now() + seconds * kSecond);
    EXPECT_NEAR(static_cast<double>(requests.service().arrived), static_cast<double>(milli_seconds),
                501);
  }
}

TEST(Requests, PoissonArrivalsHaveTheirMeanAndVariance) {
  RequestsSpec spec = Plain();
  spec.random = true;
  Requests requests(spec, {.seed = 7});
  double sum = 0;
  double squares = 0;
  int64_t before = 0;
  constexpr int kSlices = 10'000;
  for (int i = 0; i < kSlices; ++i) {
    requests.SetRate(i % 2 == 0 ? 20'000 : 40'000);  // changes every second, 30 in the mean
    if (i % 2 == 0 && i > 0) {
      const int64_t arrived = Count(requests.service().arrived);
      const auto slice = static_cast<double>(arrived - std::exchange(before, arrived));
      sum += slice;
      squares += slice * slice;
    }
    AdvanceTo(requests, (i + 1) * kSecond);
  }
  const double n = kSlices / 2 - 1;
  const double mean = sum / n;
  EXPECT_NEAR(mean, 60, 0.5);
  EXPECT_NEAR(squares / n - mean * mean, 60, 4);
}

// M/M/c: the wait's mean by Erlang's C formula.
struct Theory {
  int servers;
  double load;  // share of what they can do
};

class QueueingTheory : public testing::TestWithParam<Theory> {};

TEST_P(QueueingTheory, MeanWaitIsErlangs) {
  const auto [servers, load] = GetParam();
  const double offered = servers * load;
  double b = 1;  // Erlang B, by recursion
  for (int i = 1; i <= servers; ++i) b = offered * b / (i + offered * b);
  const double c = b / (1 - load * (1 - b));
  const double wait_of_services = c / (servers * (1 - load));

  RequestsSpec spec;
  spec.service = Distribution::Exponential(absl::Milliseconds(100));
  spec.concurrency = servers;
  spec.queue = 1'000'000;
  spec.timeout = absl::InfiniteDuration();
  Requests requests(spec, {.seed = 3});
  const int pod = requests.AddServing();
  requests.SetRate(static_cast<int64_t>(offered * 10'000));
  // Little's law: the queue's length, looked at often, is rate times wait.
  double seen = 0;
  double busy = 0;
  constexpr int kLooks = 400'000;
  constexpr int64_t kStep = 37 * kMs;
  for (int i = 0; i < kLooks; ++i) {
    requests.Advance((i + 1) * kStep);
    seen += requests.in_flight(pod);
  }
  ExpectConserved(requests);
  const double in_system = seen / kLooks;
  EXPECT_NEAR(in_system, offered * (wait_of_services + 1), in_system * 0.05);
  busy = static_cast<double>(requests.BusyNanos(pod)) / static_cast<double>(kLooks * kStep);
  EXPECT_NEAR(busy, offered, offered * 0.02);
  EXPECT_EQ(requests.service().Failed(), 0);
}

INSTANTIATE_TEST_SUITE_P(Loads, QueueingTheory,
                         testing::Values(Theory{1, 0.5}, Theory{1, 0.8}, Theory{4, 0.7}));

TEST(Requests, NoEndpointRefusesAtOnce) {
  Requests requests(Plain(), {});
  requests.Add();
  requests.SetRate(1000);
  AdvanceTo(requests, 10 * kSecond);
  EXPECT_EQ(Count(requests.service().refused), 10);
  EXPECT_EQ(requests.service().waiting, 0);
}

TEST(Requests, ABootingPodRefusesWhenItCountsAsReady) {
  RequestsSpec spec = Plain();
  spec.boot = Ms(4000);
  Requests requests(spec, {});
  const int pod = requests.Add();
  requests.SetRate(1000);
  EXPECT_EQ(requests.Run(pod), 4 * kSecond);
  requests.SetReady(pod, true);
  AdvanceTo(requests, 10 * kSecond - 1);
  EXPECT_EQ(Count(requests.service().refused), 4);
  EXPECT_EQ(Count(requests.service().served), 6);
  EXPECT_TRUE(requests.listens(pod));
}

TEST(Requests, TheBalancerHearsOfReadinessLater) {
  RequestsSpec spec = Plain();
  spec.endpoint_delay = Ms(2000);
  Requests requests(spec, {});
  const int first = requests.AddServing();
  requests.SetRate(1000);
  AdvanceTo(requests, 5 * kSecond);  // of 0.5 s ... 4.5 s
  EXPECT_EQ(Count(requests.service().served), 5);
  requests.Delete(first);
  EXPECT_EQ(requests.TakeDrained(), first);
  requests.Remove(first);
  const int second = requests.Add();  // not the number of the one that is still sent to
  EXPECT_NE(second, first);
  requests.Run(second);
  AdvanceTo(requests, 6 * kSecond);
  requests.SetReady(second, true);
  AdvanceTo(requests, 10 * kSecond);
  EXPECT_EQ(Count(requests.service().refused), 3);  // 5.5 to the dead one, 6.5, 7.5 to nobody
  EXPECT_EQ(Count(requests.service().served), 7);
  EXPECT_EQ(requests.Add(), first);  // its number is free now
}

TEST(Requests, ReadinessThatFlapsArrivesInOrder) {
  RequestsSpec spec = Plain();
  spec.endpoint_delay = Distribution::Uniform(absl::Seconds(0), absl::Seconds(5));
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Requests requests(spec, {.seed = seed});
    const int pod = requests.AddServing();
    for (int i = 0; i < 6; ++i) requests.SetReady(pod, i % 2 == 1);
    requests.SetReady(pod, false);
    AdvanceTo(requests, kMinute);
    requests.SetRate(1000);
    AdvanceTo(requests, 2 * kMinute);
    EXPECT_EQ(Count(requests.service().refused), 60) << "seed " << seed;
  }
}

TEST(Requests, AQueueFillsAndOverflows) {
  RequestsSpec spec = Plain();
  spec.concurrency = 2;
  spec.queue = 3;
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 7);
  EXPECT_EQ(requests.in_flight(pod), 5);
  EXPECT_EQ(Count(requests.service().overflowed), 2);
  EXPECT_EQ(Count(requests.service().waiting), 5);
  AdvanceTo(requests, kSecond);
  EXPECT_EQ(Count(requests.service().served), 5);
  EXPECT_NEAR(static_cast<double>(requests.service().waits.max()), 200.0 * kMs, 10'000);
}

TEST(Requests, LateIsCountedByTheObjective) {
  Requests requests(Plain(), {.objective = absl::Milliseconds(150)});
  requests.AddServing();
  Burst(requests, 5);  // wait 0, 100, 200, 300, 400 ms
  AdvanceTo(requests, kSecond);
  EXPECT_EQ(Count(requests.service().served), 5);
  EXPECT_EQ(Count(requests.service().late), 3);
}

TEST(Requests, TheClientGivesUpAndThePodWorksOn) {
  RequestsSpec spec = Plain();
  spec.service = Ms(1000);
  spec.timeout = absl::Milliseconds(300);
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 3);
  AdvanceTo(requests, 299 * kMs);
  EXPECT_EQ(Count(requests.service().waiting), 3);
  EXPECT_NEAR(static_cast<double>(requests.service().oldest), 299.0 * kMs, 10'000);
  AdvanceTo(requests, 301 * kMs);
  EXPECT_EQ(Count(requests.service().timed_out), 3);
  EXPECT_EQ(requests.in_flight(pod), 1);  // the queue is left, the work under way goes on
  EXPECT_EQ(requests.service().oldest, 0);
  AdvanceTo(requests, 5 * kSecond);
  EXPECT_EQ(requests.BusyNanos(pod), kSecond);
  EXPECT_EQ(Count(requests.service().served), 0);
  EXPECT_EQ(requests.in_flight(pod), 0);
}

TEST(Requests, ConnectionsAreTakenInTurn) {
  RequestsSpec spec = Plain();
  spec.connections = 2;
  spec.concurrency = 100;
  spec.timeout = absl::Milliseconds(250);
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 7);
  EXPECT_EQ(requests.in_flight(pod), 2);
  EXPECT_EQ(Count(requests.service().waiting), 7);
  AdvanceTo(requests, 150 * kMs);
  EXPECT_EQ(Count(requests.service().served), 2);
  EXPECT_EQ(requests.in_flight(pod), 2);
  AdvanceTo(requests, kSecond);
  // Served at 100 and 200 ms; those begun at 200 ms and those still in line are over at 250 ms.
  EXPECT_EQ(Count(requests.service().served), 4);
  EXPECT_EQ(Count(requests.service().timed_out), 3);
}

TEST(Requests, AClientTriesAgain) {
  RequestsSpec spec = Plain();
  spec.client = {.attempts = 4, .pause = Ms(1000)};
  Requests requests(spec, {});
  const int pod = requests.Add();
  requests.Run(pod);
  Burst(requests, 1);
  AdvanceTo(requests, 1500 * kMs);  // refused at 0 and 1 s
  requests.SetReady(pod, true);
  AdvanceTo(requests, 5 * kSecond);
  EXPECT_EQ(Count(requests.service().served), 1);
  EXPECT_EQ(Count(requests.service().retries), 2);
  requests.SetReady(pod, false);
  Burst(requests, 1);
  AdvanceTo(requests, 20 * kSecond);
  EXPECT_EQ(Count(requests.service().refused), 1);
  EXPECT_EQ(Count(requests.service().retries), 5);
}

TEST(Requests, ATryThatTakesTooLongIsGivenUp) {
  RequestsSpec spec = Plain();
  spec.service = Ms(1000);
  spec.concurrency = 10;
  spec.client = {.attempts = 3, .per_try = absl::Milliseconds(400)};
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 1);
  AdvanceTo(requests, 900 * kMs);
  EXPECT_EQ(requests.in_flight(pod), 3);  // one that is waited for, two that are not
  AdvanceTo(requests, 5 * kSecond);
  EXPECT_EQ(Count(requests.service().timed_out), 1);
  EXPECT_EQ(Count(requests.service().retries), 2);
  EXPECT_EQ(requests.BusyNanos(pod), 3 * kSecond);
}

TEST(Requests, AGatewayTriesAnotherEndpoint) {
  RequestsSpec spec = Plain();
  spec.gateway.attempts = 2;
  Requests requests(spec, {});
  requests.AddServing();
  const int booting = requests.Add();
  requests.SetReady(booting, true);  // it never listens
  requests.SetRate(5000);
  AdvanceTo(requests, 20 * kSecond);
  requests.SetRate(0);
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(Count(requests.service().served), 100);
  EXPECT_NEAR(static_cast<double>(Count(requests.service().retries)), 50, 15);
}

TEST(Requests, WithoutOtherEndpointAFurtherTryMayMeetTheSame) {
  RequestsSpec spec = Plain();
  spec.gateway.attempts = 2;
  spec.gateway.other_endpoint = false;
  Requests requests(spec, {});
  requests.AddServing();
  requests.SetReady(requests.Add(), true);
  requests.SetRate(5000);
  AdvanceTo(requests, 200 * kSecond);
  EXPECT_NEAR(static_cast<double>(Count(requests.service().refused)), 250, 40);  // a quarter
}

TEST(Requests, AGatewayTryHasItsOwnTimeout) {
  RequestsSpec spec = Plain();
  spec.balance = RequestsSpec::Balance::kRoundRobin;
  spec.concurrency = 1;
  spec.gateway = {.attempts = 3, .per_try = absl::Seconds(2)};
  spec.service = Distribution::Quantiles({absl::Seconds(5), absl::Seconds(5)});
  Requests requests(spec, {});
  const int first = requests.AddServing();
  const int second = requests.AddServing();
  Burst(requests, 1);
  AdvanceTo(requests, 3 * kSecond);
  EXPECT_EQ(requests.in_flight(first), 1);   // works on
  EXPECT_EQ(requests.in_flight(second), 1);  // the other one was tried
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(Count(requests.service().timed_out), 1);
  EXPECT_EQ(Count(requests.service().retries), 2);
}

TEST(Requests, OnErrorSaysWhetherAnswersAreTriedAgain) {
  for (const bool on_error : {false, true}) {
    RequestsSpec spec = Plain();
    spec.error_permille = 1000;
    spec.gateway = {.attempts = 3, .on_error = on_error};
    Requests requests(spec, {});
    requests.AddServing();
    Burst(requests, 1);
    AdvanceTo(requests, kSecond);
    EXPECT_EQ(Count(requests.service().wrong), 1);
    EXPECT_EQ(Count(requests.service().retries), on_error ? 2 : 0);
  }
}

TEST(Requests, TheMeshInjectsErrorsAndDelays) {
  RequestsSpec spec = Plain();
  spec.concurrency = 1000;
  spec.error_permille = 100;
  spec.delay_permille = 250;
  spec.delay = Ms(3000);
  Requests requests(spec, {});
  requests.AddServing();
  requests.SetRate(100'000);
  AdvanceTo(requests, 100 * kSecond);
  requests.SetRate(0);
  AdvanceTo(requests, 200 * kSecond);
  const Service& s = requests.service();
  EXPECT_EQ(Count(s.arrived), 10'000);
  EXPECT_NEAR(static_cast<double>(Count(s.wrong)), 1000, 100);
  EXPECT_EQ(s.served + s.wrong, s.arrived);
  EXPECT_LT(s.latencies.Quantile(700), 200 * kMs);
  EXPECT_GT(s.latencies.Quantile(800), 3 * kSecond);
}

TEST(Requests, ADelayCountsInTheTryAndIsForgottenWithIt) {
  RequestsSpec spec = Plain();
  spec.delay_permille = 1000;
  spec.delay = Ms(3000);
  spec.client = {.attempts = 2, .per_try = absl::Seconds(2)};
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 1);
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(Count(requests.service().timed_out), 1);
  EXPECT_EQ(requests.BusyNanos(pod), 0);
}

TEST(Requests, WarmUpAnswersWrong) {
  RequestsSpec spec = Plain();
  spec.concurrency = 100;
  spec.boot = Ms(1000);
  spec.boot_wrong_permille = 500;
  spec.warm_up = absl::Seconds(10);
  Requests requests(spec, {});
  const int pod = requests.Add();
  requests.Run(pod);
  requests.SetReady(pod, true);
  requests.SetRate(100'000);
  AdvanceTo(requests, 20 * kSecond);
  EXPECT_NEAR(static_cast<double>(Count(requests.service().wrong)), 500, 60);
  EXPECT_EQ(Count(requests.service().refused), 100);
  const int64_t wrong = requests.service().wrong;
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(requests.service().wrong, wrong);
}

TEST(Requests, ADrainingPodServesWhatItHas) {
  Requests requests(Plain(), {});
  const int pod = requests.AddServing();
  Burst(requests, 3);
  requests.Delete(pod);
  EXPECT_FALSE(requests.listens(pod));
  EXPECT_EQ(requests.TakeDrained(), kNone);
  Burst(requests, 1);
  EXPECT_EQ(Count(requests.service().refused), 1);
  const int64_t emptied = requests.Advance(kMinute);
  EXPECT_NEAR(static_cast<double>(emptied), 300.0 * kMs, 10'000);
  EXPECT_EQ(requests.TakeDrained(), pod);
  EXPECT_EQ(requests.TakeDrained(), kNone);
  EXPECT_EQ(Count(requests.service().served), 3);
  requests.Remove(pod);
  ExpectConserved(requests);
}

TEST(Requests, WhatIsKilledResets) {
  RequestsSpec spec = Plain();
  spec.drain = false;
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 3);
  requests.Delete(pod);
  EXPECT_EQ(Count(requests.service().reset), 3);
  EXPECT_EQ(requests.TakeDrained(), pod);
  const int crashing = requests.AddServing();
  Burst(requests, 2);
  requests.Stop(crashing);
  EXPECT_EQ(Count(requests.service().reset), 5);
  requests.Run(crashing);  // a container that starts again
  Burst(requests, 1);
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(Count(requests.service().served), 1);
  ExpectConserved(requests);
}

TEST(Requests, WhatIsLeftAtTheEndOfADrainResets) {
  Requests requests(Plain(), {});
  const int pod = requests.AddServing();
  Burst(requests, 3);
  requests.Delete(pod);
  requests.Advance(150 * kMs);
  requests.Remove(pod);  // the grace period is over
  EXPECT_EQ(Count(requests.service().served), 1);
  EXPECT_EQ(Count(requests.service().reset), 2);
  AdvanceTo(requests, kSecond);
  EXPECT_EQ(requests.next(), kNever);
}

TEST(Requests, APodDeletedWhileItBootsNeverListens) {
  RequestsSpec spec = Plain();
  spec.boot = Ms(1000);
  Requests requests(spec, {});
  const int pod = requests.Add();
  requests.Run(pod);
  requests.Delete(pod);
  EXPECT_EQ(requests.TakeDrained(), pod);
  AdvanceTo(requests, kMinute);
  EXPECT_FALSE(requests.listens(pod));
  EXPECT_EQ(requests.Run(pod), kNever);
}

TEST(Requests, AFailingPodIsEjectedAndReturns) {
  RequestsSpec spec = Plain();
  spec.eject_after = 3;
  spec.eject_for = absl::Seconds(30);
  Requests requests(spec, {});
  requests.AddServing();
  const int bad = requests.Add();
  requests.SetReady(bad, true);
  requests.SetRate(5000);
  AdvanceTo(requests, 29 * kSecond);
  EXPECT_EQ(Count(requests.service().refused), 3);
  AdvanceTo(requests, 50 * kSecond);
  EXPECT_EQ(Count(requests.service().refused), 6);
  requests.Run(bad);  // it is mended
  AdvanceTo(requests, 3 * kMinute);
  EXPECT_EQ(Count(requests.service().refused), 6);
  EXPECT_GT(requests.BusyNanos(bad), 0);
}

TEST(Requests, EjectionLeavesAShareOfThePods) {
  RequestsSpec spec = Plain();
  spec.balance = RequestsSpec::Balance::kRoundRobin;
  spec.eject_after = 1;
  spec.eject_for = absl::Hours(1);
  spec.eject_most_percent = 50;
  Requests requests(spec, {});
  for (int i = 0; i < 5; ++i) requests.SetReady(requests.Add(), true);
  requests.AddServing();
  requests.SetRate(4000);
  AdvanceTo(requests, kMinute);
  // Three of six are left: two that refuse, one that serves.
  EXPECT_NEAR(static_cast<double>(Count(requests.service().served)), 80, 3);
}

TEST(Requests, RoundRobinTakesTurns) {
  RequestsSpec spec = Plain();
  spec.balance = RequestsSpec::Balance::kRoundRobin;
  Requests requests(spec, {});
  std::vector<int> pods;
  for (int i = 0; i < 4; ++i) pods.push_back(requests.AddServing());
  requests.SetRate(20'000);
  AdvanceTo(requests, 10 * kSecond);
  for (const int pod : pods) EXPECT_NEAR(static_cast<double>(requests.BusyNanos(pod)), 5e9, 2e8);
  requests.Delete(pods[1]);
  AdvanceTo(requests, 20 * kSecond);
  EXPECT_EQ(Count(requests.service().Failed()), 0);
}

TEST(Requests, LeastRequestsAvoidsTheSlowPod) {
  std::map<bool, int64_t> worst;
  for (const bool least : {false, true}) {
    RequestsSpec spec;
    spec.balance = least ? RequestsSpec::Balance::kLeastRequests : RequestsSpec::Balance::kRandom;
    spec.service = Distribution::Exponential(absl::Milliseconds(100));
    Requests requests(spec, {});
    for (int i = 0; i < 4; ++i) requests.AddServing();
    requests.SetRate(32'000);
    AdvanceTo(requests, 10 * kMinute);
    worst[least] = requests.service().waits.Quantile(990);
  }
  EXPECT_LT(worst[true] * 2, worst[false]);
}

TEST(Requests, AKeptConnectionStaysWithItsPod) {
  RequestsSpec spec = Plain();
  spec.keep_alive = true;
  spec.connections = 1;
  spec.drain = false;
  Requests requests(spec, {.seed = 5});
  std::vector<int> pods;
  for (int i = 0; i < 3; ++i) pods.push_back(requests.AddServing());
  const auto busiest = [&] {
    int best = pods[0];
    for (const int pod : pods) {
      if (requests.BusyNanos(pod) > requests.BusyNanos(best)) best = pod;
    }
    return best;
  };
  requests.SetRate(5000);
  AdvanceTo(requests, kMinute);
  const int kept = busiest();
  EXPECT_EQ(requests.BusyNanos(kept), 300 * 100 * kMs);  // all of them
  requests.SetReady(kept, false);                        // as conntrack: what is open stays open
  AdvanceTo(requests, 2 * kMinute);
  EXPECT_EQ(requests.BusyNanos(kept), 600 * 100 * kMs);
  requests.Delete(kept);
  AdvanceTo(requests, 3 * kMinute);
  EXPECT_EQ(requests.BusyNanos(kept), 600 * 100 * kMs);
  EXPECT_EQ(Count(requests.service().served), 900);
}

TEST(Requests, AClientsFurtherTryLeavesTheKeptConnection) {
  RequestsSpec spec = Plain();
  spec.keep_alive = true;
  spec.connections = 1;
  spec.service = Ms(1000);
  spec.concurrency = 10;
  spec.client = {.attempts = 2, .per_try = absl::Milliseconds(400)};
  Requests requests(spec, {});
  const int first = requests.AddServing();
  const int second = requests.AddServing();
  Burst(requests, 1);
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(requests.BusyNanos(first), kSecond);
  EXPECT_EQ(requests.BusyNanos(second), kSecond);
}

TEST(Requests, ALongLineMeetsARefusalWithoutDepth) {
  RequestsSpec spec = Plain();
  spec.connections = 1;
  spec.service = Ms(10'000);
  spec.drain = false;
  Requests requests(spec, {});
  const int pod = requests.AddServing();
  Burst(requests, 300'000);
  requests.Delete(pod);
  EXPECT_EQ(Count(requests.service().reset), 1);
  EXPECT_EQ(Count(requests.service().refused), 299'999);
}

TEST(Requests, RowsOfATraceCarryTheirWork) {
  RequestsSpec spec = Plain();
  spec.concurrency = 100;
  auto rows = TraceReader::FromText("time,tokens\n100,5\n100,0.5\n101.25,20\n130,1\n", "rows.csv",
                                    {.kind = TraceKind::kRequests});
  ASSERT_TRUE(rows.ok()) << rows.status();
  Requests requests(spec, {.rows = *std::move(rows)});
  const int pod = requests.AddServing();
  requests.SetRate(1'000'000);  // of no meaning here
  EXPECT_EQ(requests.next(), 0);
  AdvanceTo(requests, 10 * kSecond);
  EXPECT_EQ(Count(requests.service().served), 3);
  EXPECT_EQ(requests.BusyNanos(pod), 2550 * kMs);
  EXPECT_FALSE(requests.ended());
  EXPECT_EQ(requests.next(), 30 * kSecond);
  AdvanceTo(requests, kMinute);
  EXPECT_TRUE(requests.ended());
  EXPECT_TRUE(requests.status().ok());
  EXPECT_EQ(Count(requests.service().served), 4);
}

TEST(Requests, ABrokenTraceEndsWithItsError) {
  auto rows = TraceReader::FromText("time,work\n0,1\n1,many\n2,1\n", "rows.csv",
                                    {.kind = TraceKind::kRequests});
  ASSERT_TRUE(rows.ok()) << rows.status();
  Requests requests(Plain(), {.rows = *std::move(rows)});
  requests.AddServing();
  AdvanceTo(requests, kMinute);
  EXPECT_EQ(Count(requests.service().arrived), 1);
  EXPECT_TRUE(requests.ended());
  EXPECT_THAT(std::string(requests.status().message()), testing::HasSubstr("rows.csv:3"));
}

// ---- whatever happens ----

RequestsSpec RandomSpec(Random& random) {
  const auto maybe = [&random](int64_t ms) {
    return random.Below(2) == 0
               ? Distribution()
               : Distribution::Uniform(absl::Milliseconds(ms / 3), absl::Milliseconds(ms));
  };
  const auto retry = [&] {
    return RetrySpec{.attempts = 1 + static_cast<int>(random.Below(4)),
                     .per_try = random.Below(2) == 0 ? absl::InfiniteDuration()
                                                     : absl::Milliseconds(50 + random.Below(500)),
                     .pause = maybe(200),
                     .other_endpoint = random.Below(2) == 0,
                     .on_error = random.Below(2) == 0};
  };
  RequestsSpec spec;
  spec.random = random.Below(2) == 0;
  spec.service = Distribution::Exponential(absl::Milliseconds(20 + random.Below(100)));
  spec.timeout = absl::Milliseconds(100 + random.Below(3000));
  spec.connections = static_cast<int>(random.Below(3) * 7);
  spec.client = retry();
  spec.balance = static_cast<RequestsSpec::Balance>(random.Below(3));
  spec.endpoint_delay = maybe(1500);
  spec.keep_alive = random.Below(2) == 0;
  spec.gateway = retry();
  spec.error_permille = static_cast<int>(random.Below(3) * 40);
  spec.delay_permille = static_cast<int>(random.Below(3) * 100);
  spec.delay = maybe(800);
  spec.eject_after = static_cast<int>(random.Below(4));
  spec.eject_for = absl::Seconds(2);
  spec.eject_most_percent = static_cast<int>(random.Below(101));
  spec.concurrency = 1 + static_cast<int>(random.Below(4));
  spec.queue = static_cast<int>(random.Below(20));
  spec.boot = maybe(3000);
  spec.boot_wrong_permille = static_cast<int>(random.Below(2) * 300);
  spec.warm_up = absl::Seconds(1);
  spec.drain = random.Below(2) == 0;
  return spec;
}

struct Life {
  std::vector<int> up;
  std::vector<int> deleted;
};

// One thing that may happen to pods and load.
void Disturb(Requests& requests, Life& life, Random& random) {
  const auto take = [&random](std::vector<int>& from) {
    std::swap(from[random.Below(from.size())], from.back());
    const int pod = from.back();
    from.pop_back();
    return pod;
  };
  switch (random.Below(8)) {
    case 0:
      life.up.push_back(requests.AddServing());
      return;
    case 1:
      life.up.push_back(requests.Add());
      requests.Run(life.up.back());
      requests.SetReady(life.up.back(), true);
      return;
    case 2:
      if (!life.up.empty()) requests.SetReady(life.up[0], random.Below(2) == 0);
      return;
    case 3:
      if (life.up.empty()) return;
      life.deleted.push_back(take(life.up));
      requests.Delete(life.deleted.back());
      return;
    case 4:
      if (!life.deleted.empty()) requests.Remove(take(life.deleted));
      return;
    case 5:
      if (life.up.empty()) return;
      requests.Stop(life.up.back());
      requests.Run(life.up.back());
      return;
    case 6:
      if (!life.up.empty()) requests.Remove(take(life.up));
      return;
    default:
      requests.SetRate(static_cast<int64_t>(random.Below(120'000)));
  }
}

std::string Picture(const Requests& requests) {
  const Service& s = requests.service();
  return fmt::format("{}: {} {} {} {} {} {} {} {} {} {} {} {}\n", requests.now(), s.arrived,
                     s.served, s.late, s.timed_out, s.refused, s.reset, s.wrong, s.overflowed,
                     s.retries, s.waiting, s.oldest, s.latencies.Quantile(990));
}

// A random life; its pictures. With `jumps` the same moments are reached in other steps.
std::string RunRandom(uint64_t seed, bool jumps) {
  Random random(seed);
  const RequestsSpec spec = RandomSpec(random);
  Requests requests(spec, {.seed = seed, .objective = absl::Milliseconds(50)});
  Life life;
  std::string out;
  for (int step = 0; step < 150; ++step) {
    const int64_t to = requests.now() + static_cast<int64_t>(random.Below(400)) * kMs;
    while (requests.now() < to) {
      if (jumps) requests.Advance(std::min(to, requests.now() + 7 * kMs));
      requests.Advance(to);
      while (requests.TakeDrained() != kNone) {
      }
    }
    ExpectConserved(requests);
    out += Picture(requests);
    Disturb(requests, life, random);
    ExpectConserved(requests);
  }
  for (const int pod : life.up) requests.Remove(pod);
  for (const int pod : life.deleted) requests.Remove(pod);
  requests.SetRate(0);
  while (requests.next() != kNever) requests.Advance(requests.next());
  EXPECT_EQ(requests.service().waiting, 0) << "seed " << seed;
  return out + Picture(requests);
}

TEST(Requests, ConservesAndRepeatsWhateverHappens) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const std::string once = RunRandom(seed, false);
    ASSERT_EQ(once, RunRandom(seed, true)) << "seed " << seed;
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST(Requests, WorkloadsOfOneWorldHaveTheirOwnChance) {
  RequestsSpec spec = Plain();
  spec.random = true;
  std::vector<int64_t> firsts;
  for (int number = 0; number < 3; ++number) {
    Requests requests(spec, {.seed = 1, .number = number});
    requests.SetRate(1000);
    firsts.push_back(requests.next());
  }
  EXPECT_NE(firsts[0], firsts[1]);
  EXPECT_NE(firsts[1], firsts[2]);
}

}  // namespace
}  // namespace neap::sim
