// The swarm: random scenarios with random faults, each checked at every step (sim/invariants.h);
// then faults stop, and it must come to rest. Prints the seed of what was violated and stops.
//
//   swarm --for 120s                # as long as that, from seed 1 on
//   swarm --seed 4711 --runs 1 -v   # one scenario again, with what it consists of
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "autoscaler/base/duration.h"
#include "autoscaler/core/explain.h"
#include "autoscaler/sim/invariants.h"
#include "tests/swarm/scenario.h"

namespace neap::sim {
namespace {

// Counts, so that a swarm that tries nothing is seen.
struct Tried : public Observer {
  void OnDecision(const control::DecisionRecord& record, absl::Time now) override {
    ++decisions;
    if (verbose) {
      fmt::print("{} {}: {}\n", base::FormatTime(now), record.spec->key.Text(),
                 core::Explain(*record.spec, *record.decision));
    }
    if (record.decision->verdict == core::Verdict::kFailed) ++failed;
  }
  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) override {
    if (verbose && record.result.kind != core::ApplyResult::Kind::kNotTried) {
      fmt::print("{} outcome {} of {}: {}\n", base::FormatTime(now),
                 static_cast<int>(record.result.kind), record.uid, record.result.error);
    }
    if (record.result.kind == core::ApplyResult::Kind::kApplied) ++applied;
  }
  void OnScale(int deployment, int32_t before, int32_t after, bool by_neap,
               absl::Time now) override {
    if (!verbose) return;
    fmt::print("{} web-{}: {} -> {}{}\n", base::FormatTime(now), deployment, before, after,
               by_neap ? "" : " by somebody else");
  }
  bool verbose = false;
  uint64_t decisions = 0;
  uint64_t failed = 0;
  uint64_t applied = 0;
};

// What ends the process ends it with its seed said: a CHECK of Neap's own, or worse.
char current_seed[64];
extern "C" void SaySeed(int) {
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, current_seed, strlen(current_seed));
}

bool Play(uint64_t seed, bool verbose, Tried& tried) {
  const SwarmScenario scenario = MakeSwarmScenario(seed);
  *fmt::format_to_n(current_seed, sizeof(current_seed) - 1, "seed {}: aborted\n", seed).out = 0;
  if (verbose) fmt::print("{}", Describe(scenario));
  Invariants invariants(scenario.spec);
  Simulation simulation(scenario.spec, {&invariants, &tried});
  const absl::Time end = scenario.spec.start + scenario.spec.duration;
  for (absl::Time at = scenario.spec.start; at < end && !invariants.violated();) {
    at += absl::Minutes(1);
    const absl::Status status = simulation.Advance(at);
    if (!status.ok()) {
      fmt::print("seed {}: {}\n", seed, std::string(status.message()));
      return false;
    }
  }
  if (!invariants.violated()) invariants.ExpectConverged(scenario.settled, end);
  if (!invariants.violated()) return true;
  for (const std::string& violation : invariants.violations()) fmt::print("{}\n", violation);
  fmt::print("{}", Describe(scenario));
  return false;
}

}  // namespace
}  // namespace neap::sim

int main(int argc, char** argv) {
  CLI::App app{"Random scenarios and faults against Neap's promises"};
  uint64_t seed = 1;
  uint64_t runs = 0;
  std::string time = "120s";
  bool verbose = false;
  app.add_option("--seed", seed, "of the first scenario");
  app.add_option("--runs", runs, "so many scenarios, however long they take");
  app.add_option("--for", time, "as long as this by the clock, when --runs is not given");
  app.add_flag("-v,--verbose", verbose, "say what each scenario consists of");
  CLI11_PARSE(app, argc, argv);
  const auto limit = neap::base::ParseDuration(time);
  if (!limit.ok()) {
    fmt::print(stderr, "--for: {}\n", std::string(limit.status().message()));
    return 2;
  }
  struct sigaction say = {};
  say.sa_handler = neap::sim::SaySeed;
  say.sa_flags = static_cast<int>(SA_RESETHAND);  // and then what it does without us
  sigaction(SIGABRT, &say, nullptr);
  sigaction(SIGSEGV, &say, nullptr);
  const auto begin = std::chrono::steady_clock::now();
  const auto passed = [&] { return absl::FromChrono(std::chrono::steady_clock::now() - begin); };
  neap::sim::Tried tried;
  tried.verbose = verbose;
  uint64_t done = 0;
  for (; runs > 0 ? done < runs : passed() < *limit; ++done) {
    if (!neap::sim::Play(seed + done, verbose, tried)) return 1;
    std::fflush(stdout);
  }
  fmt::print(
      "{} scenarios from seed {} on, {} decisions ({} failed), {} counts applied: nothing "
      "violated\n",
      done, seed, tried.decisions, tried.failed, tried.applied);
  return done > 0 && tried.applied > done ? 0 : 1;
}
