// A random object with all that a decision may see of it, owned in one place. For property tests of
// core; one thread. Integers alone are drawn (no std distributions), so that a seed gives the same
// worlds everywhere.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "autoscaler/core/decide.h"

namespace neap::core {

enum class WorldKind {
  kSettled,   // pods as many as the count, no errors, ordinary amounts
  kAnything,  // failed, missing, unready and foreign pods, errors, stale and absent readings
  kExtreme,   // and numbers of the full range
};

class RandomWorld {
 public:
  RandomWorld(std::mt19937_64& random, WorldKind kind);
  RandomWorld(const RandomWorld&) = delete;
  RandomWorld& operator=(const RandomWorld&) = delete;

  Decision Run();
  Outcome Follow(const Decision& decision, ApplyResult::Kind kind);

  void AddLoad(std::mt19937_64& random);  // some values grow, none shrinks
  void Multiply(int64_t factor);          // values, targets and requests
  void AddIdleMetric();                   // External, AverageValue, nothing in it

  HpaOptions options;
  AutoscalerSpec spec;
  Scale scale;
  std::vector<Pod> pods;
  std::vector<PodRequests> requests;
  std::vector<Reading> readings;
  std::vector<MetricInput> inputs;
  std::vector<std::string> overlapping;
  ReadingError scale_error;
  Status previous;
  History past;
  Observation seen;

 private:
  // Uniform enough in [low, high].
  int64_t Draw(int64_t low, int64_t high);
  bool Chance(int percent) { return Draw(1, 100) <= percent; }
  int64_t Amount();  // of a metric, in milli
  void MakeSpec();
  void MakeMetric();
  void MakePods();
  void MakeReading(const MetricSpec& metric);
  void MakeHistory();
  void MakeTroubles();  // what guards look at
  ScalingRules MakeRules();

  std::mt19937_64& random_;
  WorldKind kind_;
};

}  // namespace neap::core
