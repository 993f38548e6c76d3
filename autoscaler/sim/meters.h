// Meters: what measures the world on its own schedule: metrics-server for the CPU of pods, a
// Prometheus (or metrics-server) that scrapes counters and gauges. What it shows is what was last
// collected; what nobody uses is not measured. Owned by Pipeline; one thread. Times are nanoseconds
// since the world began.
//
// A scraped rate is the mean over the window: what the counter grew between the oldest and the
// newest scrape in it, by the time between them; a gauge is as of the last scrape. The first scrape
// lies at the world's beginning, and until a second one the value of the moment stands in, as
// though the world had stood still before.
//
// Of pods the world remembers the CPU (World::MeanCpu), so that nothing is collected in advance:
// who asks is told what metrics-server would have found.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "autoscaler/sim/simulation.h"
#include "autoscaler/sim/world.h"

namespace neap::sim {

class Meters {
 public:
  struct Value {
    std::optional<int64_t> milli = {};  // nullopt: there is none (a rate per pod without pods)
    int64_t at = 0;                     // when it was measured
  };

  // Both are borrowed and outlive it.
  Meters(const PipelineSpec& spec, const World& world) : spec_(spec), world_(world) {}

  // How far back it looks at pods: WorldSpec.cpu_history must reach so far.
  static absl::Duration Reach(const PipelineSpec& spec);

  // What is to be scraped; before the first Read of it.
  void Use(const Source& source, Via via);

  int64_t next_event() const;
  void Advance(int64_t now);

  // `source` and `via` as in Use. The world stands at `now`.
  Value Read(const Source& source, Via via, int64_t now) const;
  // What metrics-server shows of the pod; nullopt: nothing yet.
  std::optional<CpuSample> UsageOf(const Pod& pod, int64_t now) const;

 private:
  struct Scrape {
    int64_t at = 0;
    int64_t total = 0;                  // of the counter, thousandths; 0 for gauges
    std::optional<int64_t> value = {};  // at that moment, thousandths
  };
  // One source as one collector sees it.
  struct Meter {
    Source source = {};
    Via via = Via::kDirect;
    int64_t every = 0;
    int64_t window = 0;  // 0: the last scrape counts
    int64_t next = 0;
    std::deque<Scrape> scrapes = {};  // those of the window
  };

  // Total of what the source's rate counts, thousandths; nullopt: it is a gauge.
  std::optional<int64_t> TotalOf(const Source& source) const;
  // Cores used by the deployment's pods on average, thousandths.
  int64_t MeanCores(int deployment, int64_t from, int64_t to) const;
  const Meter* Find(const Source& source, Via via) const;
  void Collect(Meter& meter);

  const PipelineSpec& spec_;
  const World& world_;
  std::vector<Meter> meters_;
};

}  // namespace neap::sim
