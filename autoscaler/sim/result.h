// Result: what one simulated run gave, in memory that depends on the resolution asked for and not
// on how long the world ran. Made by Recorder (recorder.h), read by reports, compare and tune.
// Plain values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "autoscaler/core/decision.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/sim/service.h"

namespace neap::sim {

// A quantity over time, in buckets of equal width (Result.bucket): least, greatest and mean of each
// (weighted by time). A bucket without a value (a metric that failed, a wait of no request) has
// `has` false.
struct Series {
  struct Bucket {
    double min = 0;
    double max = 0;
    double mean = 0;
    bool has = false;
  };
  std::string name = {};  // "load", "replicas wanted", "ready", "External jobs" ...
  std::string unit = {};  // "1/s", "pods", "s", "cores", "1/h", "" ...
  std::vector<Bucket> buckets = {};
};

// A decision that changed something: for hovering and tables. Kept up to RecorderOptions.decisions;
// beyond that the oldest ones that only held are dropped and counted.
struct DecisionNote {
  absl::Time at = {};
  int32_t current = 0;
  int32_t recommended = 0;
  int32_t desired = 0;
  bool rescale = false;
  bool applied = false;
  std::string reason = {};  // one line: what led there, "cpu 90% of 60%: 6; held by the window: 8"
  std::string explanation = {};  // core::Explain
};

// SPEC Research Group's elasticity measures (Herbst et al., "Ready for rain? A view from SPEC
// Research on the future of cloud metrics", 2016), demand being the least pods that keep up.
struct Elasticity {
  double accuracy_under = 0;   // theta_U: mean of missing pods / demand, percent
  double accuracy_over = 0;    // theta_O: mean of surplus pods / demand, percent
  double timeshare_under = 0;  // tau_U: percent of time with too few
  double timeshare_over = 0;   // tau_O
  double instability = 0;      // upsilon: percent of minutes over which supply (ready pods) and
                               // demand do not change in the same direction
};

// Of one target.
struct TargetResult {
  core::ObjectKey object = {};  // the Autoscaler
  core::ObjectReference target = {};
  std::string ns = {};
  int32_t min_replicas = 0;
  int32_t max_replicas = 0;

  Series load = {};    // requests (or items) per second
  Series wanted = {};  // spec.replicas
  Series have = {};    // pods, with those that start and end
  Series ready = {};
  Series pending = {};   // pods without a node
  Series demand = {};    // least pods that keep up with the load
  Series waiting = {};   // requests or items
  Series latency = {};   // "latency p99" (or "wait p99") of the bucket; queues: "age of the oldest"
  Series spending = {};  // cost per hour
  struct Metric {
    std::string name = {};  // as explanations say it: "cpu resource utilization", "trigger #1 ..."
    std::string target = {};  // "60%", "20 per pod"
    double target_value = 0;
    Series value = {};
  };
  std::vector<Metric> metrics = {};

  Service service = {};  // at the end
  std::vector<DecisionNote> decisions = {};
  uint64_t decisions_dropped = 0;

  // ---- figures ----
  uint64_t decisions_taken = 0;
  uint64_t scale_ups = 0;  // applied changes
  uint64_t scale_downs = 0;
  uint64_t failed_metrics = 0;  // decisions in which a metric failed
  double served = 0;            // requests
  double failed = 0;
  double late = 0;      // served, but over the objective
  double wait_p50 = 0;  // seconds
  double wait_p99 = 0;
  double latency_p50 = 0;
  double latency_p99 = 0;
  double pod_hours = 0;      // from a pod's creation to its end
  double cost = 0;           // of nodes when there are pools, else pod hours x price of a pod
  double under_seconds = 0;  // with fewer ready pods than demand
  double over_seconds = 0;
  int32_t most_replicas = 0;
  Elasticity elasticity = {};
};

struct Result {
  std::string name = {};  // of the policy or scenario
  uint64_t seed = 0;
  absl::Time start = {};
  absl::Duration duration = {};
  absl::Duration bucket = {};                 // width of the series' buckets
  std::vector<std::string> assumptions = {};  // facts nobody gave, as stated defaults
  std::vector<TargetResult> targets = {};
  uint64_t events = 0;  // of the world
  uint64_t decisions = 0;
  std::string digest = {};  // of all decisions and outcomes, hex: equal runs, equal digests
};

}  // namespace neap::sim
