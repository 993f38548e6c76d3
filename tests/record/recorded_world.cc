#include "tests/record/recorded_world.h"

#include <utility>

namespace neap::record {

using core::ApplyResult;

RecordedWorlds::RecordedWorlds(uint64_t seed, int targets) : random_(seed) {
  for (int i = 0; i < targets; ++i) {
    Target& target = targets_.emplace_back();
    target.uid = "uid-" + std::to_string(i);
    target.world = std::make_unique<core::RandomWorld>(
        random_, i % 3 == 0 ? core::WorldKind::kExtreme : core::WorldKind::kAnything);
    target.world->Run();  // fills `seen`
    target.world->spec.key.name = "web-" + std::to_string(i);
    target.world->spec.uid = target.uid;
    target.world->spec.triggers = {{.type = "redis",
                                    .name = "jobs",
                                    .metadata = {},
                                    .metric_type = core::TargetKind::kAverageValue,
                                    .use_cached_metrics = true}};
    target.spec_version = ++spec_version_;
    target.seen = OwnedObservation::Of(target.world->seen);
    target.history = target.world->past;
    target.status = target.world->previous;
    now_ = target.seen.now;
  }
}

void RecordedWorlds::Change(Target& target) {
  OwnedObservation& seen = target.seen;
  if (Chance(5)) {
    target.world->spec.max_replicas = 200 + static_cast<int32_t>(random_() % 100);
    ++target.world->spec.generation;
    target.spec_version = ++spec_version_;
  }
  if (seen.scale && Chance(30)) seen.scale->spec_replicas = static_cast<int32_t>(random_() % 20);
  if (!seen.pods.empty() && Chance(30)) {
    seen.pods.erase(seen.pods.begin() + static_cast<std::ptrdiff_t>(random_() % seen.pods.size()));
  }
  if (!seen.pods.empty() && Chance(30)) seen.pods[random_() % seen.pods.size()].deleting = true;
  if (!seen.pods.empty() && Chance(5)) std::swap(seen.pods.front(), seen.pods.back());
  if (Chance(30)) {
    core::Pod pod;
    pod.name = "new-" + std::to_string(random_());
    pod.start = now_ - absl::Nanoseconds(static_cast<int64_t>(random_() % 1000000000));
    pod.phase = core::PodPhase::kRunning;
    pod.ready = core::PodReady::kTrue;
    seen.pods.insert(
        seen.pods.begin() + static_cast<std::ptrdiff_t>(random_() % (seen.pods.size() + 1)), pod);
  }
  for (core::Reading& reading : seen.readings) {
    if (reading.form == core::Reading::Form::kPods) reading.pods.by_pod.resize(seen.pods.size());
    if (Chance(50)) reading.observed_at = now_ - absl::Nanoseconds(123456789);
    if (Chance(20)) reading.sampled_at = now_ - absl::Seconds(2);
    ++reading.sequence;
    for (int64_t& milli : reading.milli) milli = milli / 2 + static_cast<int64_t>(random_() % 1000);
    for (core::PodSample& sample : reading.pods.by_pod) {
      if (sample.present && Chance(50)) sample.at = now_ - absl::Seconds(1);
    }
  }
  seen.overlapping.clear();
  if (Chance(5)) seen.overlapping = {"shop/a", "shop/b"};
}

void RecordedWorlds::Step(const std::function<void(const control::DecisionRecord&)>& decision,
                          const std::function<void(const control::OutcomeRecord&)>& outcome) {
  now_ += absl::Milliseconds(1500);
  const size_t first = told_.size();
  for (Target& target : targets_) {
    if (Chance(30)) continue;
    Change(target);
    target.seen.now = now_;
    target.seen.previous = target.status;
    Told& told = told_.emplace_back();
    told.uid = target.uid;
    told.decision_id = ++decision_id_;
    told.spec_version = target.spec_version;
    told.cause = static_cast<control::Cause>(random_() % 5);
    told.spec = target.world->spec;
    told.seen = target.seen;
    told.before = target.history;
    core::Observation view = told.seen.View();
    told.decision = core::Decide(options_, told.spec, view, told.before);
    told.result.kind = told.decision.rescale ? static_cast<ApplyResult::Kind>(random_() % 7)
                                             : ApplyResult::Kind::kNotTried;
    if (told.result.kind != ApplyResult::Kind::kNotTried) {
      told.result.at = now_ + absl::Milliseconds(3);
      if (told.result.kind > ApplyResult::Kind::kWithheld) told.result.error = "no: \xff\xfe";
    }
    told.outcome =
        core::Remember(options_, told.spec, view, told.decision, told.result, told.before);
    target.history = told.outcome.history;
    target.status = told.outcome.status;
    decision({.uid = told.uid,
              .decision_id = told.decision_id,
              .spec = &told.spec,
              .spec_version = told.spec_version,
              .cause = told.cause,
              .seen = &view,
              .before = &told.before,
              .decision = &told.decision});
  }
  for (size_t i = first; i < told_.size(); ++i) {
    outcome({.uid = told_[i].uid,
             .decision_id = told_[i].decision_id,
             .result = told_[i].result,
             .outcome = &told_[i].outcome});
  }
}

}  // namespace neap::record
