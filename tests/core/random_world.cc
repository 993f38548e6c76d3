#include "tests/core/random_world.h"

#include <limits>

namespace neap::core {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int32_t kMost32 = std::numeric_limits<int32_t>::max();

}  // namespace

RandomWorld::RandomWorld(std::mt19937_64& random, WorldKind kind) : random_(random), kind_(kind) {
  seen.now = absl::FromUnixSeconds(1767225600);
  MakeSpec();
  MakePods();
  for (const MetricSpec& metric : spec.metrics) MakeReading(metric);
  MakeHistory();
  if (kind_ != WorldKind::kSettled) MakeTroubles();
}

void RandomWorld::MakeTroubles() {
  if (Chance(30)) scale.ready_replicas = static_cast<int32_t>(Draw(0, 3));
  scale.quota_refused = Chance(5);
  spec.hold_scale_up = {.unschedulable_pods = Chance(10), .quota_exceeded = Chance(10)};
  const bool crashes = Chance(20);
  for (Pod& pod : pods) {
    if (Chance(crashes ? 60 : 3)) pod.trouble = PodTrouble::kCrashLoop;
    if (Chance(3)) pod.trouble = PodTrouble::kUnschedulable;
  }
  if (!Chance(20)) return;
  const absl::Time last = seen.now - absl::Seconds(Draw(0, 700));
  past.crash_loop = CrashLoop{.since = last - absl::Seconds(Draw(0, 700)), .seen = last};
}

Decision RandomWorld::Run() {
  inputs.clear();
  for (size_t i = 0; i < spec.metrics.size(); ++i) {
    inputs.push_back(
        {.spec = &spec.metrics[i], .reading = &readings[i], .stale_after = absl::Minutes(1)});
  }
  if (seen.scale_error == nullptr) seen.scale = &scale;
  seen.pods = pods;
  seen.requests = requests;
  seen.metrics = inputs;
  seen.overlapping = overlapping;
  seen.previous = &previous;
  return Decide(options, spec, seen, past);
}

Outcome RandomWorld::Follow(const Decision& decision, ApplyResult::Kind kind) {
  const ApplyResult result{
      .kind = decision.rescale ? kind : ApplyResult::Kind::kNotTried, .at = seen.now, .error = ""};
  return Remember(options, spec, seen, decision, result, past);
}

int64_t RandomWorld::Draw(int64_t low, int64_t high) {
  const uint64_t width = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  const uint64_t offset = width == 0 ? random_() : random_() % width;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

int64_t RandomWorld::Amount() {
  if (kind_ == WorldKind::kExtreme && Chance(30)) {
    const int64_t edges[] = {0, 1, -1, kMost, -kMost - 1, kMost - 511, 9007199254740993, -1000};
    return Chance(50) ? edges[Draw(0, 7)] : Draw(-kMost - 1, kMost);
  }
  return Chance(10) ? 0 : Draw(0, 2000000);
}

ScalingRules RandomWorld::MakeRules() {
  ScalingRules rules;
  if (Chance(70)) rules.stabilization_window_seconds = static_cast<int32_t>(Draw(0, 600));
  rules.select_policy = Chance(70)   ? SelectPolicy::kMax
                        : Chance(70) ? SelectPolicy::kMin
                                     : SelectPolicy::kDisabled;
  for (int64_t n = Draw(1, 3); n > 0; --n) {
    const bool percent = Chance(50);
    const int64_t most = kind_ == WorldKind::kExtreme && Chance(20) ? kMost32 : 200;
    rules.policies.push_back({percent ? PolicyType::kPercent : PolicyType::kPods,
                              static_cast<int32_t>(Draw(1, most)),
                              static_cast<int32_t>(Draw(1, 1800))});
  }
  if (Chance(30)) rules.tolerance = static_cast<double>(Draw(0, 300)) / 1000;
  return rules;
}

void RandomWorld::MakeMetric() {
  MetricSpec metric;
  metric.source = static_cast<MetricSource>(Draw(0, kind_ == WorldKind::kSettled ? 4 : 5));
  metric.source_text = "?";
  metric.name = Chance(50) ? "cpu" : "memory";
  if (metric.source == MetricSource::kContainerResource) metric.container = "app";
  metric.described_object = ObjectReference{"networking.k8s.io/v1", "Ingress", "main"};
  const bool resource =
      metric.source == MetricSource::kResource || metric.source == MetricSource::kContainerResource;
  const int64_t target =
      kind_ == WorldKind::kExtreme && Chance(20) ? std::abs(Amount() / 2) : Draw(1, 1000000);
  if (resource && Chance(60)) {
    metric.target.kind = TargetKind::kUtilization;
    metric.target.average_utilization = static_cast<int32_t>(Draw(1, 150));
  } else if (resource || metric.source == MetricSource::kPods || Chance(60)) {
    metric.target.kind = TargetKind::kAverageValue;
    metric.target.average_value = target;
  } else {
    metric.target.kind = TargetKind::kValue;
    metric.target.value = target;
  }
  spec.metrics.push_back(metric);
}

void RandomWorld::MakeSpec() {
  spec.key = {"shop", "web"};
  spec.generation = 1;
  spec.guards = Chance(50) ? Guards::kSafe : Guards::kNone;
  spec.min_replicas = static_cast<int32_t>(Draw(0, 3));
  spec.max_replicas = static_cast<int32_t>(Draw(3, 200));
  for (int64_t n = Draw(1, 3); n > 0; --n) MakeMetric();
  if (Chance(60)) spec.behavior = Behavior{MakeRules(), MakeRules()};
  scale.uid = "u";
  scale.selector = "app=web";
  scale.spec_replicas =
      static_cast<int32_t>(Draw(std::max(1, *spec.min_replicas), spec.max_replicas));
  if (kind_ == WorldKind::kSettled) {
    scale.spec_replicas = std::min(scale.spec_replicas, 30);
    scale.status_replicas = scale.spec_replicas;
    return;
  }
  scale.spec_replicas = std::min(scale.spec_replicas, 60);
  if (Chance(5)) scale.spec_replicas = 0;
  if (Chance(5)) scale.spec_replicas = spec.max_replicas + 1;
  scale.status_replicas =
      Chance(70) ? scale.spec_replicas : static_cast<int32_t>(Draw(0, spec.max_replicas));
  if (Chance(3)) scale.selector = "";
  if (Chance(3)) overlapping = {"shop/other", "shop/web"};
  if (Chance(3)) {
    scale_error.message = "no answer";
    seen.scale_error = &scale_error;
  }
  if (Chance(3)) spec.paused = true;
  if (Chance(3)) seen.views_synced = false;
  if (Chance(50)) {
    previous.conditions.push_back({.type = "ScaledToZero",
                                   .status = ConditionStatus::kTrue,
                                   .reason = "ScaledToZero",
                                   .message = "",
                                   .last_transition = seen.now});
  }
  if (kind_ == WorldKind::kExtreme && Chance(10)) {
    spec.max_replicas = kMost32;
    scale.spec_replicas = static_cast<int32_t>(Draw(1, kMost32));
    scale.status_replicas = static_cast<int32_t>(Draw(0, kMost32));
  }
}

void RandomWorld::MakePods() {
  for (int i = 0; i < 3; ++i) {
    PodRequests r;
    r.containers.push_back({.name = "app", .sidecar = false, .requests = {}});
    for (const char* name : {"cpu", "memory"}) {
      if (kind_ != WorldKind::kSettled && Chance(2)) continue;
      r.containers[0].requests.push_back(
          {.resource = name,
           .milli = kind_ == WorldKind::kExtreme && Chance(20) ? Amount() : Draw(1, 1000000),
           .rounded_up_nano = 0});
    }
    requests.push_back(r);
  }
  int64_t count = std::min(scale.spec_replicas, 60);
  if (kind_ != WorldKind::kSettled && Chance(30)) count = Draw(0, 40);
  const bool one_template = kind_ == WorldKind::kSettled;
  for (int64_t i = 0; i < count; ++i) {
    Pod pod{.name = "web-" + std::to_string(i),
            .start = seen.now - absl::Seconds(Draw(0, 1200)),
            .ready_at = seen.now - absl::Seconds(Draw(0, 1200)),
            .requests = one_template ? 0U : static_cast<uint32_t>(Draw(0, 2)),
            .phase = PodPhase::kRunning,
            .ready = PodReady::kTrue,
            .deleting = false};
    if (Chance(5)) pod.phase = PodPhase::kPending;
    if (Chance(10)) pod.ready = PodReady::kFalse;
    if (kind_ != WorldKind::kSettled) {
      if (Chance(5)) pod.phase = static_cast<PodPhase>(Draw(0, 4));
      if (Chance(5)) pod.ready = static_cast<PodReady>(Draw(0, 3));
      if (Chance(5)) pod.start = absl::InfinitePast();
      if (Chance(5)) pod.ready_at = absl::InfinitePast();
      pod.deleting = Chance(5);
    }
    pods.push_back(pod);
  }
}

void RandomWorld::MakeReading(const MetricSpec& metric) {
  Reading reading;
  reading.sequence = static_cast<uint64_t>(Draw(1, 3));
  reading.observed_at = seen.now;
  const bool settled = kind_ == WorldKind::kSettled;
  if (!settled && Chance(5)) {
    reading.error = {ErrorKind::kTimeout, "deadline exceeded"};
    readings.push_back(reading);
    return;
  }
  if (!settled && Chance(3)) reading.observed_at = seen.now - absl::Minutes(5);
  if (!settled && Chance(3)) reading.absent = true;
  if (metric.source == MetricSource::kObject || metric.source == MetricSource::kExternal ||
      metric.source == MetricSource::kUnknown) {
    reading.form = Reading::Form::kMilli;
    const bool one = settled || metric.source == MetricSource::kObject;
    for (int64_t n = one ? 1 : Draw(0, 4); n > 0; --n) reading.milli.push_back(Amount());
    if (!settled && Chance(20)) {
      reading.form = Reading::Form::kReal;
      for (int64_t value : reading.milli) reading.real.push_back(static_cast<double>(value) / 7);
    }
  } else {
    reading.form = Reading::Form::kPods;
    reading.pods.by_pod.resize(pods.size());
    for (PodSample& sample : reading.pods.by_pod) {
      if (Chance(10)) continue;
      sample = {.milli = Amount(),
                .at = seen.now - absl::Seconds(Draw(0, 60)),
                .window = absl::Seconds(Draw(0, 60)),
                .present = true};
    }
    if (!settled && Chance(10)) reading.pods.stray.push_back(Amount());
  }
  readings.push_back(reading);
}

void RandomWorld::MakeHistory() {
  for (int64_t n = Draw(0, 6); n > 0; --n) {
    past.recommendations.push_back(
        {static_cast<int32_t>(Draw(0, spec.max_replicas)), seen.now - absl::Seconds(Draw(0, 700))});
  }
  for (auto* list : {&past.up_events, &past.down_events}) {
    for (int64_t n = Draw(0, 3); n > 0; --n) {
      const int64_t most = kind_ == WorldKind::kExtreme ? kMost32 : 10;
      list->push_back(
          {static_cast<int32_t>(Draw(1, most)), seen.now - absl::Seconds(Draw(0, 1900)), false});
    }
  }
  // Settled worlds compare two decisions of one moment, so the base is the moment's own.
  if (kind_ == WorldKind::kSettled || Chance(50)) return;
  past.base = Base{static_cast<int32_t>(Draw(0, spec.max_replicas)),
                   static_cast<int32_t>(Draw(0, 60)), seen.now - absl::Seconds(Draw(0, 30))};
  for (size_t i = 0; i < spec.metrics.size(); ++i)
    past.counted.push_back(static_cast<uint64_t>(Draw(0, 3)));
  seen.takes_base = Chance(50);
}

void RandomWorld::AddLoad(std::mt19937_64& random) {
  const auto more = [&](int64_t& value) {
    value += static_cast<int64_t>(random() % 2 == 0 ? 0 : random() % 500000);
  };
  for (Reading& reading : readings) {
    for (int64_t& value : reading.milli) more(value);
    for (PodSample& sample : reading.pods.by_pod) {
      if (sample.present) more(sample.milli);
    }
  }
}

void RandomWorld::Multiply(int64_t factor) {
  for (MetricSpec& metric : spec.metrics) {
    if (metric.target.average_value) *metric.target.average_value *= factor;
    if (metric.target.value) *metric.target.value *= factor;
  }
  for (PodRequests& r : requests) {
    for (ResourceAmount& amount : r.containers[0].requests) amount.milli *= factor;
  }
  for (Reading& reading : readings) {
    for (int64_t& value : reading.milli) value *= factor;
    for (PodSample& sample : reading.pods.by_pod) sample.milli *= factor;
  }
}

void RandomWorld::AddIdleMetric() {
  MetricSpec idle;
  idle.source = MetricSource::kExternal;
  idle.name = "idle";
  idle.target = {.kind = TargetKind::kAverageValue,
                 .average_utilization = {},
                 .average_value = 1000,
                 .value = {}};
  spec.metrics.push_back(idle);
  Reading nothing;
  nothing.form = Reading::Form::kMilli;
  nothing.milli = {0};
  nothing.observed_at = seen.now;
  nothing.sequence = 1;
  readings.push_back(nothing);
}

}  // namespace neap::core
