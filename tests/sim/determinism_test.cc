// The same spec gives the same bytes: on each run, with each compiler, with and without sanitizers.
// Fifty scenarios from a seed are run twice; their digests are compared with each other and with
// tests/golden/sim/digests.txt, which each build must meet. NEAP_REWRITE=1 writes the file anew:
// after a change of what is decided or simulated, never to make a difference between builds go
// away.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "autoscaler/control/digest.h"
#include "autoscaler/sim/recorder.h"
#include "autoscaler/sim/simulation.h"
#include "tests/swarm/scenario.h"

namespace neap::sim {
namespace {

constexpr char kGolden[] = "tests/golden/sim/digests.txt";
constexpr uint64_t kScenarios = 50;

// A scenario of the swarm, with what the swarm does not have: single requests, roll-outs, nodes,
// quotas, crashes, other shapes of load and time, metrics by way of a Prometheus.
SimulationSpec Scenario(uint64_t seed) {
  SimulationSpec spec = MakeSwarmScenario(seed).spec;
  Random random(seed ^ 0x64657465);
  WorldSpec& world = spec.world;
  DeploymentSpec& web = world.deployments[0];
  switch (seed % 5) {
    case 0: {
      RequestsSpec requests;
      requests.service = Distribution::Exponential(absl::Milliseconds(40));
      requests.concurrency = 4;
      requests.timeout = absl::Seconds(5);
      requests.client = {.attempts = 2,
                         .per_try = absl::Seconds(2),
                         .pause = Distribution::Fixed(absl::Milliseconds(100))};
      requests.error_permille = 5;
      web.requests = requests;
      web.load = Load::Sum(
          {Load::Poisson(10'000, absl::Seconds(10)), Load::Sine({.low = 5'000, .high = 60'000})});
      break;
    }
    case 1:
      web.rollouts = {{.at = absl::Minutes(10), .cpu_per_request = 15'000'000},
                      {.at = absl::Minutes(30), .cpu_per_request = -1, .crash_permille = 300}};
      web.crash = {.permille = 50, .lives = Distribution::Exponential(absl::Minutes(10))};
      break;
    case 2:
      world.pools = {{.cpu = 4'000'000'000,
                      .count = 2,
                      .max = 12,
                      .provision = Distribution::Normal(absl::Minutes(1), absl::Seconds(15)),
                      .price_milli = 200}};
      world.faults.push_back({.what = WorldFault::What::kLoseNode,
                              .at = absl::Minutes(15),
                              .lasts = absl::Minutes(3)});
      world.quotas = {{.pods = 60}};
      break;
    case 3:
      web.load = Load::Sine({.low = 10'000, .high = 250'000, .period = absl::Minutes(9)});
      web.pull_and_start = Distribution::Quantiles(
          {absl::Seconds(1), absl::Seconds(4), absl::Seconds(5), absl::Seconds(30)});
      spec.pipeline.external = Via::kPrometheus;
      spec.pipeline.custom = Via::kPrometheus;
      break;
    default:
      break;
  }
  spec.pipeline.answer = Distribution::Exponential(absl::Milliseconds(1 + random.Below(200)));
  return spec;
}

class ResultDigest {
 public:
  void Add(const Series& series) {
    digest_.Text(series.name).Word(series.buckets.size());
    for (const Series::Bucket& bucket : series.buckets) {
      digest_.Word(bucket.has ? 1 : 0).Real(bucket.min).Real(bucket.max).Real(bucket.mean);
    }
  }
  void Add(const TargetResult& target) {
    for (const Series* series :
         {&target.load, &target.wanted, &target.have, &target.ready, &target.pending,
          &target.demand, &target.waiting, &target.latency, &target.spending}) {
      Add(*series);
    }
    for (const TargetResult::Metric& metric : target.metrics) {
      digest_.Text(metric.name).Text(metric.target).Real(metric.target_value);
      Add(metric.value);
    }
    for (const DecisionNote& note : target.decisions) {
      digest_.At(note.at).Signed(note.current).Signed(note.recommended).Signed(note.desired);
      digest_.Word((note.rescale ? 1 : 0) | (note.applied ? 2 : 0));
      digest_.Text(note.reason).Text(note.explanation);
    }
    for (const uint64_t count : {target.decisions_dropped, target.decisions_taken, target.scale_ups,
                                 target.scale_downs, target.failed_metrics}) {
      digest_.Word(count);
    }
    for (const double figure :
         {target.served, target.failed, target.late, target.wait_p50, target.wait_p99,
          target.latency_p50, target.latency_p99, target.pod_hours, target.cost,
          target.under_seconds, target.over_seconds, target.elasticity.accuracy_under,
          target.elasticity.accuracy_over, target.elasticity.timeshare_under,
          target.elasticity.timeshare_over, target.elasticity.instability}) {
      digest_.Real(figure);
    }
    digest_.Signed(target.most_replicas);
  }
  std::string Of(const Result& result) {
    digest_.Text(result.digest).Word(result.events).Word(result.decisions);
    digest_.For(result.duration).For(result.bucket);
    for (const TargetResult& target : result.targets) Add(target);
    return fmt::format("{:016x}", digest_.value());
  }

 private:
  control::Digest digest_;
};

// "digest of the records, digest of the result, decisions, applied changes".
std::string RunOnce(uint64_t seed) {
  const SimulationSpec spec = Scenario(seed);
  Recorder recorder(spec, {});
  Simulation simulation(spec, {&recorder});
  const absl::Status status = simulation.Run();
  EXPECT_TRUE(status.ok()) << status;
  const Result result = recorder.Take();
  uint64_t changes = 0;
  for (const TargetResult& target : result.targets)
    changes += target.scale_ups + target.scale_downs;
  return fmt::format("{} {} {} {}", result.digest, ResultDigest().Of(result), result.decisions,
                     changes);
}

std::map<uint64_t, std::string> ReadGolden() {
  std::map<uint64_t, std::string> lines;
  std::ifstream file(kGolden);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    lines[std::stoull(line.substr(0, space))] = line.substr(space + 1);
  }
  return lines;
}

TEST(Determinism, TheSameSpecGivesTheSameBytesEverywhere) {
  const bool rewrite = std::getenv("NEAP_REWRITE") != nullptr;
  const std::map<uint64_t, std::string> golden = ReadGolden();
  std::ostringstream out;
  out << "# seed, digest of the records, digest of the result, decisions, applied changes\n";
  for (uint64_t seed = 1; seed <= kScenarios; ++seed) {
    const std::string once = RunOnce(seed);
    EXPECT_EQ(RunOnce(seed), once) << "seed " << seed;
    out << seed << ' ' << once << '\n';
    const auto known = golden.find(seed);
    if (rewrite) continue;
    EXPECT_EQ(known == golden.end() ? "" : known->second, once) << "seed " << seed;
  }
  if (!rewrite) return;
  std::ofstream file(kGolden);
  file << out.str();
  EXPECT_TRUE(file.good()) << kGolden;
}

// The digest tells runs apart that differ in one thing alone.
TEST(Determinism, AnotherSeedIsAnotherRun) {
  SimulationSpec spec = Scenario(7);
  const auto digest = [](const SimulationSpec& of) {
    Recorder recorder(of, {});
    Simulation simulation(of, {&recorder});
    EXPECT_TRUE(simulation.Run().ok());
    return recorder.Take().digest;
  };
  const std::string first = digest(spec);
  ++spec.world.seed;
  EXPECT_NE(digest(spec), first);
}

}  // namespace
}  // namespace neap::sim
