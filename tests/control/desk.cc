#include "tests/control/desk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "autoscaler/base/duration.h"
#include "autoscaler/control/subscriptions.h"
#include "autoscaler/core/messages.h"

namespace neap::control {
namespace {

const char* CauseName(Cause cause) {
  constexpr const char* kNames[] = {"periodic", "spec", "scale", "pushed", "slot"};
  return kNames[static_cast<int>(cause)];
}

const char* KindName(core::ApplyResult::Kind kind) {
  constexpr const char* kNames[] = {"NotTried", "Applied",  "Withheld", "Conflict",
                                    "Gone",     "Rejected", "Unknown"};
  return kNames[static_cast<int>(kind)];
}

std::string NameOf(const std::string& uid) { return uid.substr(4); }  // uid-NAME

}  // namespace

ControllerOptions Desk::Options() {
  ControllerOptions options;
  options.abort_on_broken_invariant = true;
  return options;
}

Desk::Desk(ControllerOptions options) : controller_(std::move(options)) {}

core::AutoscalerSpec Desk::Spec(const std::string& name, absl::Duration period) {
  core::AutoscalerSpec spec;
  spec.key = {.ns = "shop", .name = name};
  spec.uid = "uid-" + name;
  spec.generation = 1;
  spec.target = {.api_version = "apps/v1", .kind = "Deployment", .name = name};
  spec.min_replicas = 1;
  spec.max_replicas = 100;
  spec.period = period;
  core::MetricSpec metric;
  metric.source = core::MetricSource::kExternal;
  metric.source_text = "External";
  metric.name = name;
  metric.target.kind = core::TargetKind::kAverageValue;
  metric.target.average_value = 10'000;
  spec.metrics.push_back(metric);
  return spec;
}

core::AutoscalerSpec Desk::RelativeSpec(const std::string& name, absl::Duration period) {
  core::AutoscalerSpec spec = Spec(name, period);
  spec.metrics[0].target = {.kind = core::TargetKind::kValue,
                            .average_utilization = {},
                            .average_value = {},
                            .value = 10'000};
  return spec;
}

TargetRef Desk::RefOf(const std::string& name) const {
  return {.group = "apps", .kind = "Deployment", .ns = "shop", .name = name};
}

void Desk::Put(core::AutoscalerSpec spec, core::Status status) {
  const std::string uid = spec.uid;
  SpecChange change{.uid = uid,
                    .spec = std::make_shared<const core::AutoscalerSpec>(std::move(spec)),
                    .status = std::move(status),
                    .source = "api"};
  specs_[uid] = change;
  In(std::move(change));
}

void Desk::SyncSpecs() {
  SpecsReplaced list{.source = "api", .all = {}};
  for (const auto& [uid, change] : specs_) list.all.push_back(change);
  In(std::move(list));
}

void Desk::Scale(const std::string& name, int32_t replicas) {
  core::Scale& scale = scales_[name];
  scale.uid = "workload-" + name;
  scale.resource_version = std::to_string(++version_);
  scale.spec_replicas = scale.status_replicas = replicas;
  scale.selector = "app=" + name;
  In(ScaleChange{.target = RefOf(name), .scale = scale, .error = {}});
}

void Desk::Gone(const std::string& name) {
  scales_.erase(name);
  In(ScaleChange{.target = RefOf(name), .scale = {}, .error = {}});
}

void Desk::Pods(const std::string& app, int count) {
  PodsReplaced list{.ns = "shop", .all = {}};
  const base::LabelSet labels(base::Labels{{"app", app}});
  for (int i = 0; i < count; ++i) {
    PodState state;
    state.pod.name = fmt::format("{}-{:04}", app, i);
    state.pod.start = state.pod.ready_at = now_ - absl::Hours(1);
    state.pod.phase = core::PodPhase::kRunning;
    state.pod.ready = core::PodReady::kTrue;
    state.labels = labels;
    list.all.push_back(std::move(state));
  }
  In(std::move(list));
}

void Desk::Hear() {
  In(ViewHeard{.view = View::kSpecs, .scope = "api"});
  In(ViewHeard{.view = View::kScales, .scope = "apps/Deployment"});
  In(ViewHeard{.view = View::kPods, .scope = "shop"});
}

void Desk::Push(const std::string& metric, int64_t milli) {
  MetricReading reading;
  reading.reading.form = core::Reading::Form::kMilli;
  reading.reading.milli = {milli};
  reading.reading.observed_at = now_;
  In(TriggerReading{.trigger_id = IdOf(metric), .round = 0, .metrics = {reading}, .error = {}});
}

std::string Desk::IdOf(const std::string& metric) const {
  for (const auto& [id, name] : names_) {
    if (name == metric) return id;
  }
  return "unknown-" + metric;
}

TargetInfo Desk::Info(const std::string& name) const {
  TargetInfo info;
  controller_.FindTarget("uid-" + name, &info);
  return info;
}

void Desk::Answer(const Poll& poll) {
  for (const std::string& id : poll.trigger_ids) {
    const std::string& name = names_[id];
    TriggerReading answer{.trigger_id = id, .round = poll.round, .metrics = {}, .error = {}};
    if (const auto fault = faults.find(name); fault != faults.end()) {
      answer.error = fault->second;
    } else if (const auto value = values.find(name); value != values.end()) {
      MetricReading metric;
      metric.reading.form = core::Reading::Form::kMilli;
      metric.reading.milli = {value->second};
      metric.reading.observed_at = now_;
      if (dated) {
        auto& [last, at] = dates_[name];
        if (last != value->second || at == absl::Time()) at = now_;
        last = value->second;
        metric.reading.sampled_at = at;
      }
      answer.metrics.push_back(std::move(metric));
    } else {
      continue;  // hangs
    }
    coming_.emplace(now_ + latency, std::move(answer));
  }
}

void Desk::Answer(const PatchScale& patch) {
  using Kind = core::ApplyResult::Kind;
  const Kind kind = on_write ? on_write(patch) : Kind::kApplied;
  if (kind == Kind::kNotTried) return;
  WriteOutcome outcome{.write_id = patch.write_id, .result = {}, .scale = {}};
  outcome.result.kind = kind;
  if (kind != Kind::kApplied && kind != Kind::kWithheld) outcome.result.error = KindName(kind);
  if (kind == Kind::kApplied || (kind == Kind::kUnknown && apply_unknown)) {
    core::Scale& scale = scales_[patch.target.name];
    scale.spec_replicas = scale.status_replicas = patch.replicas;
    scale.resource_version = std::to_string(++version_);
    if (kind == Kind::kApplied) outcome.scale = scale;
    // The watch brings it a little later than the reply.
    coming_.emplace(now_ + write_latency + absl::Milliseconds(5),
                    ScaleChange{.target = patch.target, .scale = scale, .error = {}});
  }
  coming_.emplace(now_ + write_latency, std::move(outcome));
}

std::string Desk::Line(const Action& action) {
  if (const auto* subscribe = std::get_if<Subscribe>(&action)) {
    for (const auto& put : subscribe->put) {
      std::string name = put->type;
      for (const auto& [key, value] : put->metadata) {
        if (key == kKeyMetric || key == kKeyResource) name = value;
      }
      names_[put->id] = name;
      subscribed_.push_back(*put);
    }
    return fmt::format("subscribe +{} -{}", subscribe->put.size(), subscribe->remove.size());
  }
  if (const auto* poll = std::get_if<Poll>(&action)) {
    std::vector<std::string> names;
    for (const std::string& id : poll->trigger_ids) names.push_back(names_[id]);
    polls_.push_back(*poll);
    return fmt::format("poll {}", fmt::join(names, ","));
  }
  if (const auto* watch = std::get_if<Watch>(&action)) {
    return fmt::format("watch {} scales, pods of [{}]", watch->targets.size(),
                       fmt::join(watch->pod_namespaces, ","));
  }
  if (const auto* patch = std::get_if<PatchScale>(&action)) {
    patches_.push_back(*patch);
    return fmt::format("patch {} {} -> {}", NameOf(patch->uid), patch->observed.spec_replicas,
                       patch->replicas);
  }
  if (const auto* status = std::get_if<WriteStatus>(&action)) {
    statuses_.push_back(*status);
    return fmt::format("status {}", status->key.name);
  }
  if (const auto* event = std::get_if<EmitEvent>(&action)) {
    return fmt::format("event {} {}", event->key.name, event->event.reason);
  }
  if (const auto* record = std::get_if<DecisionRecord>(&action)) {
    if (on_decision) on_decision(*record);
    const core::Decision& d = *record->decision;
    return fmt::format("decide {} {} {} -> {} {}", NameOf(record->uid), CauseName(record->cause),
                       d.current, d.desired, core::ReasonName(d.steps.back().reason));
  }
  if (const auto* quiet = std::get_if<ShardQuiet>(&action)) {
    return fmt::format("quiet {}", quiet->shard);
  }
  const auto& outcome = std::get<OutcomeRecord>(action);
  if (on_outcome) on_outcome(outcome);
  return fmt::format("outcome {} {}", NameOf(outcome.uid), KindName(outcome.result.kind));
}

std::vector<std::string> Desk::Step() {
  if (hears && now_ - heard_ >= absl::Seconds(30)) {
    heard_ = now_;
    Hear();
  }
  for (auto at = coming_.begin(); at != coming_.end() && at->first <= now_;) {
    In(std::move(at->second));
    at = coming_.erase(at);
  }
  std::vector<std::string> lines;
  const std::vector<Action> actions = controller_.Step(std::exchange(inbox_, {}), now_);
  for (const Action& action : actions) lines.push_back(Line(action));
  for (const Action& action : actions) {
    if (const auto* poll = std::get_if<Poll>(&action)) Answer(*poll);
    if (const auto* patch = std::get_if<PatchScale>(&action)) Answer(*patch);
  }
  return lines;
}

std::vector<std::string> Desk::Run(absl::Duration duration) {
  const absl::Time end = now_ + duration;
  std::vector<std::string> lines;
  for (;;) {
    for (std::string& line : Step()) lines.push_back(std::move(line));
    absl::Time next = controller_.NextDue();
    if (!coming_.empty()) next = std::min(next, coming_.begin()->first);
    if (hears) next = std::min(next, heard_ + absl::Seconds(30));
    if (next > end) break;
    now_ = std::max(now_, next);
  }
  if (now_ < end) {
    now_ = end;
    for (std::string& line : Step()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace neap::control
