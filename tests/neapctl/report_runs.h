// Made-up runs for tests of reports: a day of a shop with a flash crowd and a metric that fails for
// a while, scaled by a crude rule. Nothing of it comes from the simulator, so that reports are
// tested apart from it. Pure functions.
#pragma once

#include <absl/time/time.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>
#include <vector>

#include "autoscaler/sim/result.h"

namespace neap::testing_runs {

inline sim::Series::Bucket Flat(double value) { return {value, value, value, true}; }

struct Rule {
  double per_pod = 15;      // load that one pod is given
  int down_after = 20;      // steps of 15 s
  int start_steps = 4;      // until a pod is ready
  int steps = 24 * 60 * 4;  // a day
};

// Load in step `i` of the day; `seed` shifts it a little.
inline double LoadAt(int i, uint64_t seed) {
  const double hour = i / 240.0;
  const double day = 160 - 110 * std::cos((hour - 3) / 24 * 2 * 3.14159265);
  const double crowd = hour > 13 && hour < 14.5 ? 260 * std::exp(-(hour - 13) * 2.5) : 0;
  const double noise = 8 * std::sin(i * (1.7 + 0.13 * static_cast<double>(seed))) +
                       5 * std::sin(i * 0.31 + static_cast<double>(seed));
  return std::max(0.0, day + crowd + noise);
}

inline sim::Result MadeUpRun(std::string name, uint64_t seed = 1, Rule rule = {}) {
  sim::Result result;
  result.name = std::move(name);
  result.seed = seed;
  result.start = absl::FromUnixSeconds(1'767'225'600);
  result.bucket = absl::Seconds(60);
  result.duration = absl::Seconds(15) * rule.steps;
  result.assumptions = {
      "a pod needs 60 s from creation to ready (--pod-start)",
      "a pod serves 15 requests per second (--capacity)",
      "CPU is read as metrics-server gives it: every 15 s, mean of the last 15 s"};
  result.decisions = static_cast<uint64_t>(rule.steps);
  result.events = 412'377;
  result.digest = "5f1c9a7702b3e84d";
  sim::TargetResult t;
  t.object = {"shop", "checkout"};
  t.target = {"apps/v1", "Deployment", "checkout"};
  t.ns = "shop";
  t.min_replicas = 2;
  t.max_replicas = 40;
  t.load = {"load", "1/s", {}};
  t.wanted = {"replicas wanted", "pods", {}};
  t.have = {"pods", "pods", {}};
  t.ready = {"ready", "pods", {}};
  t.pending = {"pending", "pods", {}};
  t.demand = {"demand", "pods", {}};
  t.waiting = {"waiting", "requests", {}};
  t.latency = {"latency p99", "s", {}};
  t.spending = {"cost", "1/h", {}};
  t.metrics = {{"cpu resource utilization", "60%", 60, {"cpu", "%", {}}},
               {"trigger #1 queue_length", "20 per pod", 20, {"queue_length", "per pod", {}}}};
  int wanted = 6;
  int low_for = 0;
  std::deque<int> starting;  // the step in which each becomes ready
  int ready = 6;
  double waiting = 0;
  for (int i = 0; i < rule.steps; ++i) {
    const double load = LoadAt(i, seed);
    const bool blind = i > 1500 && i < 1560;  // the metric fails
    while (!starting.empty() && starting.front() <= i) {
      ++ready;
      starting.pop_front();
    }
    const double capacity = ready * 20.0;
    const double arrived = load * 15;
    const double done = std::min(waiting + arrived, capacity * 15);
    waiting = std::min(waiting + arrived - done, 4000.0);
    t.served += done;
    t.failed += waiting >= 4000 ? arrived - done : 0;
    const int demand = std::max(1, static_cast<int>(std::ceil(load / 20)));
    const double latency = 0.04 + waiting / std::max(1.0, capacity) + 0.02 * load / capacity;
    t.late += latency > 1 ? done : 0;
    t.pod_hours += (ready + static_cast<double>(starting.size())) * 15 / 3600;
    t.under_seconds += ready < demand ? 15 : 0;
    t.over_seconds += ready > demand ? 15 : 0;
    t.failed_metrics += blind ? 1 : 0;
    int ask = std::clamp(static_cast<int>(std::ceil(load / rule.per_pod)), 2, 40);
    low_for = ask < wanted ? low_for + 1 : 0;
    const bool change = !blind && (ask > wanted || low_for > rule.down_after);
    if (change || i % 40 == 0 || blind) {
      sim::DecisionNote note;
      note.at = result.start + absl::Seconds(15) * i + absl::Milliseconds(137);
      note.current = wanted;
      note.recommended = blind ? wanted : ask;
      note.desired = change ? ask : wanted;
      note.rescale = change && ask != wanted;
      note.applied = note.rescale && i % 97 != 0;
      note.reason =
          blind ? "cpu resource utilization: no answer within 5s; a metric that failed holds"
                : fmt::format("cpu {:.0f}% of 60%: {}{}", load / std::max(1, ready) * 4, ask,
                              note.rescale ? "" : "; held by the window of 5m0s");
      const std::string to =
          note.rescale ? fmt::format("{} -> {}", wanted, ask) : fmt::format("{}", wanted);
      note.explanation =
          fmt::format("{} {}\n", note.rescale ? "scale to" : "stay at", note.desired) +
          fmt::format(
              "  propose   Ratio                {:>12}  cpu resource utilization: asks for {}\n",
              to, ask) +
          fmt::format("  stabilise ReadyForNewScale     {:>12}  no window holds it\n",
                      note.desired) +
          fmt::format("  bounds    DesiredWithinRange   {:>12}  within 2 to 40\n", note.desired);
      t.decisions.push_back(note);
    }
    if (change && ask != wanted) {
      ++(ask > wanted ? t.scale_ups : t.scale_downs);
      for (int n = wanted; n < ask; ++n) starting.push_back(i + rule.start_steps);
      if (ask < wanted) ready = std::max(ask, ready - (wanted - ask));
      wanted = ask;
      low_for = 0;
    }
    t.most_replicas = std::max(t.most_replicas, wanted);
    const int have = ready + static_cast<int>(starting.size());
    const auto put = [&](sim::Series& series, double value) {
      if (i % 4 == 0) {
        series.buckets.push_back(Flat(value));
      } else {
        auto& bucket = series.buckets.back();
        bucket.min = std::min(bucket.min, value);
        bucket.max = std::max(bucket.max, value);
        bucket.mean += (value - bucket.mean) / (i % 4 + 1);
      }
    };
    put(t.load, load);
    put(t.wanted, wanted);
    put(t.have, have);
    put(t.ready, ready);
    put(t.pending, std::max(0, have - 24));
    put(t.demand, demand);
    put(t.waiting, waiting);
    put(t.latency, latency);
    put(t.spending, have * 0.048);
    put(t.metrics[0].value, load / std::max(1, ready) * 4);
    put(t.metrics[1].value, waiting / std::max(1, ready));
    if (blind) t.metrics[0].value.buckets.back().has = false;
  }
  t.decisions_taken = static_cast<uint64_t>(rule.steps);
  t.cost = t.pod_hours * 0.048;
  t.wait_p50 = 0.0021;
  t.wait_p99 = 3.4 * rule.per_pod / 15;
  t.latency_p50 = 0.047;
  t.latency_p99 = 3.9 * rule.per_pod / 15;
  t.service.timed_out = static_cast<int64_t>(t.failed * 1000);
  t.elasticity = {1.9, 31.25, 100 * t.under_seconds / 86400, 100 * t.over_seconds / 86400, 4.125};
  result.targets = {t};
  return result;
}

}  // namespace neap::testing_runs
