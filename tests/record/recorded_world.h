// Random worlds as the controller would record them: a few targets that are decided again and again
// while pods, readings and histories change. For the tests of record. One thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/record/owned_observation.h"
#include "tests/core/random_world.h"

namespace neap::record {

// What a journal was given, to compare with what it gives back.
struct Told {
  std::string uid;
  uint64_t decision_id = 0;
  uint64_t spec_version = 0;
  control::Cause cause = control::Cause::kPeriodic;
  core::AutoscalerSpec spec;
  OwnedObservation seen;
  core::History before;
  core::Decision decision;
  core::ApplyResult result;
  core::Outcome outcome;
};

class RecordedWorlds {
 public:
  RecordedWorlds(uint64_t seed, int targets);

  const core::HpaOptions& options() const { return options_; }
  absl::Time now() const { return now_; }

  // One step of the controller: decides some targets, then tells their outcomes. Hands each record
  // to the two functions while its pointers are valid.
  void Step(const std::function<void(const control::DecisionRecord&)>& decision,
            const std::function<void(const control::OutcomeRecord&)>& outcome);
  const std::vector<Told>& told() const { return told_; }

 private:
  struct Target {
    std::string uid;
    std::unique_ptr<core::RandomWorld> world;
    uint64_t spec_version = 0;
    OwnedObservation seen;
    core::History history;
    core::Status status;
  };
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  void Change(Target& target);

  std::mt19937_64 random_;
  core::HpaOptions options_;
  absl::Time now_;
  uint64_t decision_id_ = 0;
  uint64_t spec_version_ = 0;
  std::vector<Target> targets_;
  std::vector<Told> told_;
};

}  // namespace neap::record
