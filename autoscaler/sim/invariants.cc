#include "autoscaler/sim/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "autoscaler/base/duration.h"

namespace neap::sim {
namespace {

constexpr size_t kMostViolations = 20;
// What lies between a fault's beginning and the first decision that must know of it: an answer that
// was under way, and the round's deadline.
constexpr absl::Duration kUnderWay = absl::Seconds(10);
constexpr absl::Duration kAliveEvery = absl::Minutes(1);

struct Recommended {
  absl::Time at;
  int32_t replicas = 0;
};
struct Applied {
  absl::Time at;
  int32_t change = 0;  // of the count, with its sign
};

// What is known of one object, from its records alone.
struct Witness {
  core::ObjectKey key;
  bool dry_run = false;
  bool paused = false;
  absl::Duration period = absl::Seconds(15);
  std::vector<std::string> metric_names;
  std::vector<std::string> trigger_metrics;

  std::deque<Recommended> recommended;
  std::deque<Applied> applied;
  std::optional<uint64_t> undecided;  // a decision that asked for a count: its outcome is due
  int32_t asked = 0;
  bool seen_synced = false;
  bool seeded = false;  // with the count of the first decision, as the HPA does
  absl::Time decided = absl::InfinitePast();
  absl::Time changed = absl::InfinitePast();  // the last count that was applied
  core::Verdict verdict = core::Verdict::kHold;
};

int32_t Ceil(int64_t amount, int64_t by) { return static_cast<int32_t>((amount + by - 1) / by); }

bool NamesMetric(const ControlFault& fault, const std::vector<std::string>& names) {
  return fault.metric.empty() || std::find(names.begin(), names.end(), fault.metric) != names.end();
}

bool BreaksReadings(ControlFault::What what) {
  using What = ControlFault::What;
  return what == What::kScalerError || what == What::kScalerHang || what == What::kNotFinite;
}

}  // namespace

class Invariants::Impl {
 public:
  explicit Impl(const SimulationSpec& spec)
      : seed_(spec.world.seed),
        start_(spec.start),
        faults_(spec.faults),
        options_(spec.controller),
        alive_checked_(spec.start) {
    for (const ObjectSpec& object : spec.objects) Changed(object);
    for (const TriggerSource& source : spec.triggers) {
      witnesses_[source.uid].trigger_metrics.push_back(source.metric.name);
    }
  }

  void Changed(const ObjectSpec& object) {
    Witness& witness = witnesses_[object.spec->uid];
    witness.key = object.spec->key;
    witness.dry_run = object.dry_run;
    witness.paused = object.spec->paused;
    witness.period = object.spec->period;
    witness.metric_names.clear();
    for (const core::MetricSpec& metric : object.spec->metrics) {
      witness.metric_names.push_back(metric.name);
    }
  }

  void Decided(const control::DecisionRecord& record, absl::Time now) {
    Witness& w = witnesses_[record.uid];
    now_ = now;
    Forget(w, now);
    const core::AutoscalerSpec& spec = *record.spec;
    const core::Decision& d = *record.decision;
    if (w.undecided) {
      Violated(w, "one writer", "decided while decision {} still asks for {}", *w.undecided,
               w.asked);
    }
    if (spec.paused && d.rescale) Violated(w, "paused", "asks for {}", d.desired);
    if (!w.seeded && d.verdict != core::Verdict::kHold && d.verdict != core::Verdict::kNoScale) {
      w.seeded = true;
      w.recommended.push_back({.at = now, .replicas = d.current});
    }
    Bounds(w, spec, d);
    Reasons(w, d);
    Errors(w, spec, *record.seen, d);
    for (size_t i = 0; i < d.metrics.size(); ++i) Proposal(w, spec, *record.seen, d, i);
    if (d.verdict == core::Verdict::kComputed) {
      Windows(w, spec, d);
      Rate(w, spec, *record.before, d);
      w.recommended.push_back({.at = now, .replicas = d.recommended});
    }
    w.decided = now;
    w.verdict = d.verdict;
    w.seen_synced = w.seen_synced || record.seen->views_synced;
    if (d.rescale) {
      w.undecided = record.decision_id;
      w.asked = d.desired;
    }
  }

  void Remembered(const control::OutcomeRecord& record, absl::Time now) {
    Witness& w = witnesses_[record.uid];
    now_ = now;
    if (w.undecided != record.decision_id) return;  // nothing was asked for
    w.undecided.reset();
    if (record.result.kind == core::ApplyResult::Kind::kWithheld && !w.dry_run) {
      Violated(w, "one writer", "a write was withheld that nobody told to withhold");
    }
    if (record.result.kind != core::ApplyResult::Kind::kApplied) return;
    const core::Status& status = record.outcome->status;
    if (w.dry_run) Violated(w, "one writer", "a dry run has written {}", w.asked);
    if (status.desired_replicas != w.asked) {
      Violated(w, "reasons", "applied {}, but the status says {}", w.asked,
               status.desired_replicas);
    }
    const bool announced =
        std::any_of(record.outcome->events.begin(), record.outcome->events.end(),
                    [](const core::Event& event) { return event.reason == "SuccessfulRescale"; });
    if (!announced) Violated(w, "reasons", "applied {} without an event", w.asked);
    w.applied.push_back({.at = now, .change = w.asked - status.current_replicas});
    w.changed = now;
  }

  void Looked(const World& world, absl::Time now) {
    now_ = now;
    if (now < alive_checked_ + kAliveEvery) return;
    alive_checked_ = now;
    for (auto& [uid, w] : witnesses_) Alive(w);
    for (size_t i = 0; i < world.deployments().size(); ++i) {
      Conserved(world.deployments()[i].spec.name, world.service(static_cast<int>(i)));
    }
    for (size_t i = 0; i < world.queues().size(); ++i) {
      Conserved(world.queues()[i].spec.name, world.queue_service(static_cast<int>(i)));
    }
  }

  void ExpectConverged(absl::Time since, absl::Time now) {
    now_ = now;
    for (auto& [uid, w] : witnesses_) {
      if (w.changed > since) {
        Violated(w, "converged", "the count still changed at {}", base::FormatTime(w.changed));
      }
      const bool came_to_a_count = w.verdict == core::Verdict::kComputed ||
                                   w.verdict == core::Verdict::kOutOfBounds ||
                                   w.verdict == core::Verdict::kDisabled;
      if (!w.paused && !came_to_a_count) {
        Violated(w, "converged", "the last decision came to no count (verdict {})",
                 static_cast<int>(w.verdict));
      }
      if (w.undecided) Violated(w, "converged", "a write of {} is still under way", w.asked);
    }
  }

  const std::vector<std::string>& violations() const { return violations_; }

 private:
  template <typename... Args>
  void Violated(const Witness& w, std::string_view what, fmt::format_string<Args...> format,
                Args&&... args) {
    if (violations_.size() >= kMostViolations) return;
    violations_.push_back(fmt::format("seed {}, {} at {}: {}: {}", seed_, w.key.Text(),
                                      base::FormatTime(now_), what,
                                      fmt::format(format, std::forward<Args>(args)...)));
  }

  // A restart forgets windows, events and writes under way.
  void Forget(Witness& w, absl::Time now) {
    for (const ControlFault& fault : faults_) {
      if (fault.what != ControlFault::What::kRestart) continue;
      const absl::Time at = start_ + fault.at;
      if (at <= w.decided || at > now || w.decided == absl::InfinitePast()) continue;
      w.recommended.clear();
      w.applied.clear();
      w.undecided.reset();
      w.seeded = false;
    }
  }

  void Bounds(Witness& w, const core::AutoscalerSpec& spec, const core::Decision& d) {
    if (!d.rescale) return;
    if (d.desired > spec.max_replicas) {
      Violated(w, "bounds", "desired {} is above max {}", d.desired, spec.max_replicas);
    }
    // A limit on the way up from below may leave it below the minimum, never the way down.
    if (d.desired < d.current && d.desired < spec.MinReplicas()) {
      Violated(w, "bounds", "desired {} is below min {}", d.desired, spec.MinReplicas());
    }
    if (d.desired < 0) Violated(w, "bounds", "desired {} is negative", d.desired);
  }

  void Reasons(Witness& w, const core::Decision& d) {
    if (!d.rescale) return;
    if (d.steps.empty() || d.steps.back().after != d.desired) {
      return Violated(w, "reasons", "{} -> {}: the steps do not lead there", d.current, d.desired);
    }
    const core::Step* last = nullptr;
    for (const core::Step& step : d.steps) {
      if (step.stage < core::Stage::kCombine && step.stage != core::Stage::kGate) continue;
      const int32_t from = last == nullptr ? d.current : last->after;
      if (step.before != from) {
        Violated(w, "reasons", "{} -> {}: a step begins at {} where the one before ended at {}",
                 d.current, d.desired, step.before, from);
      }
      last = &step;
    }
  }

  void Errors(Witness& w, const core::AutoscalerSpec& spec, const core::Observation& seen,
              const core::Decision& d) {
    if (!d.rescale || d.desired >= d.current) return;
    if (!seen.views_synced)
      Violated(w, "errors", "{} -> {} before all was listed", d.current, d.desired);
    if (MustBeSilent(now_)) {
      Violated(w, "errors", "{} -> {} although the watches are silent", d.current, d.desired);
    }
    if (d.verdict == core::Verdict::kOutOfBounds) return;  // decided without metrics
    for (size_t i = 0; i < seen.metrics.size(); ++i) {
      const core::MetricInput& input = seen.metrics[i];
      const bool failed = input.reading->form == core::Reading::Form::kError;
      const bool stale = now_ - input.reading->observed_at > input.stale_after;
      if (failed || stale || (i < d.metrics.size() && !d.metrics[i].valid)) {
        Violated(w, "errors", "{} -> {} although metric {} {}", d.current, d.desired, i,
                 stale && !failed ? "is stale" : "failed");
      }
    }
    if (const ControlFault* fault = BrokenOnPurpose(w, spec)) {
      Violated(w, "errors", "{} -> {} while {} is broken since {}", d.current, d.desired,
               fault->metric.empty() ? "every metric" : fault->metric,
               base::FormatTime(start_ + fault->at));
    }
  }

  bool MustBeSilent(absl::Time now) const {
    return std::any_of(faults_.begin(), faults_.end(), [&](const ControlFault& fault) {
      return fault.what == ControlFault::What::kWatchSilence && fault.permille >= 1000 &&
             now > start_ + fault.at + options_.silence_limit + kUnderWay &&
             now < start_ + fault.at + fault.lasts;
    });
  }

  // A fault that takes each reading of one of the object's metrics, and has done so for long
  // enough.
  const ControlFault* BrokenOnPurpose(const Witness& w, const core::AutoscalerSpec& spec) const {
    for (const ControlFault& fault : faults_) {
      if (fault.permille < 1000 ||
          !(NamesMetric(fault, w.metric_names) || NamesMetric(fault, w.trigger_metrics))) {
        continue;
      }
      absl::Duration known = std::max(spec.period, spec.polling_interval) + kUnderWay;
      if (fault.what == ControlFault::What::kFrozen) {
        if (spec.kind == core::ObjectKind::kHpa) continue;  // as old as its source makes it
        known += std::max(spec.period * options_.stale_intervals, options_.least_stale_after);
      } else if (!BreaksReadings(fault.what)) {
        continue;
      }
      // Who has restarted asks anew, and is frozen with what there is then.
      const absl::Time since = std::max(start_ + fault.at, LastOutage());
      if (now_ > since + known && now_ < start_ + fault.at + fault.lasts) return &fault;
    }
    return nullptr;
  }

  // spec/hpa: External metrics with an average target: the sum over the target, rounded up, unless
  // the ratio to what the present pods would carry lies within tolerance.
  void Proposal(Witness& w, const core::AutoscalerSpec& spec, const core::Observation& seen,
                const core::Decision& d, size_t i) {
    const core::MetricInput& input = seen.metrics[i];
    const core::Reading& reading = *input.reading;
    if (!d.metrics[i].valid || input.spec->source != core::MetricSource::kExternal ||
        reading.form != core::Reading::Form::kMilli || reading.milli.size() != 1) {
      return;
    }
    const core::MetricTarget& target = reading.target ? *reading.target : input.spec->target;
    const int32_t count = d.current;
    if (!target.average_value || count == 0 || seen.scale->status_replicas != count) return;
    // Only what is clear of the tolerance's edge, whose last bit is upstream's double arithmetic.
    const double ratio = static_cast<double>(reading.milli[0]) /
                         (static_cast<double>(*target.average_value) * count);
    const bool inside = ratio > 0.901 && ratio < 1.099;
    const bool outside = ratio < 0.899 || ratio > 1.101;
    const bool usual =
        options_.hpa.tolerance == 0.1 && !(spec.behavior && (spec.behavior->scale_up.tolerance ||
                                                             spec.behavior->scale_down.tolerance));
    const int32_t formula = Ceil(reading.milli[0], *target.average_value);
    const int32_t proposal = d.metrics[i].proposal;
    if (usual && ((inside && proposal != count) || (outside && proposal != formula))) {
      Violated(w, "proposals", "metric {} at {} of {} per pod with {} pods proposes {}", i,
               reading.milli[0], *target.average_value, count, proposal);
    }
  }

  void Windows(Witness& w, const core::AutoscalerSpec& spec, const core::Decision& d) {
    absl::Duration up = absl::ZeroDuration();
    absl::Duration down = options_.hpa.downscale_stabilization;
    if (spec.behavior) {
      up = absl::Seconds(spec.behavior->scale_up.stabilization_window_seconds.value_or(0));
      if (const auto& s = spec.behavior->scale_down.stabilization_window_seconds) {
        down = absl::Seconds(*s);
      }
    }
    while (!w.recommended.empty() && w.recommended.front().at < now_ - std::max(up, down)) {
      w.recommended.pop_front();
    }
    // Without behavior a recommendation as old as the window still counts, with it no longer.
    const auto within = [&](absl::Time at, absl::Duration window) {
      return at > now_ - window || (!spec.behavior && at == now_ - window);
    };
    int32_t highest = d.recommended;
    int32_t lowest = d.recommended;
    for (const Recommended& one : w.recommended) {
      if (within(one.at, down)) highest = std::max(highest, one.replicas);
      if (within(one.at, up)) lowest = std::min(lowest, one.replicas);
    }
    const int32_t max = spec.max_replicas;
    if (d.desired < d.current && d.desired < std::min({d.current, highest, max})) {
      Violated(w, "windows", "{} -> {}, but {} was recommended within {}", d.current, d.desired,
               highest, base::FormatDuration(down));
    }
    // Without behavior the one window is of the way down, and raises what it holds (upstream too).
    if (!spec.behavior) lowest = highest;
    if (d.desired > d.current && d.desired > std::max({d.current, lowest, spec.MinReplicas()})) {
      Violated(w, "windows", "{} -> {}, but {} was recommended within {}", d.current, d.desired,
               lowest, base::FormatDuration(up));
    }
  }

  // What changed after `cutoff`, up as positive.
  static int64_t NetChange(const Witness& w, absl::Time cutoff) {
    int64_t net = 0;
    for (const Applied& one : w.applied) {
      if (one.at > cutoff) net += one.change;
    }
    return net;
  }

  // What the policies of one direction allow, by our own account of applied changes.
  static int64_t Allowed(const Witness& w, const core::ScalingRules& rules, int32_t current,
                         absl::Time now, bool up) {
    if (rules.select_policy == core::SelectPolicy::kDisabled) return current;
    std::vector<int64_t> limits;
    for (const core::ScalingPolicy& policy : rules.policies) {
      const int64_t start = current - NetChange(w, now - absl::Seconds(policy.period_seconds));
      const int64_t pods = policy.value;
      if (policy.type == core::PolicyType::kPods) {
        limits.push_back(up ? start + pods : start - pods);
      } else {
        const int64_t percent = up ? start * (100 + pods) : start * (100 - pods);
        limits.push_back(up ? (percent + 99) / 100 : percent / 100);
      }
    }
    if (limits.empty()) return up ? std::numeric_limits<int32_t>::max() : 0;
    const bool most = up == (rules.select_policy == core::SelectPolicy::kMax);
    return most ? *std::max_element(limits.begin(), limits.end())
                : *std::min_element(limits.begin(), limits.end());
  }

  void Rate(Witness& w, const core::AutoscalerSpec& spec, const core::History& before,
            const core::Decision& d) {
    while (!w.applied.empty() && w.applied.front().at <= now_ - absl::Minutes(61)) {
      w.applied.pop_front();
    }
    if (!d.rescale) return;
    const bool up = d.desired > d.current;
    if (!spec.behavior) {
      if (up && d.desired > std::max({2 * d.current, 4, spec.MinReplicas()})) {
        Violated(w, "rate", "{} -> {} is more than twice", d.current, d.desired);
      }
      return;
    }
    const core::ScalingRules& rules = up ? spec.behavior->scale_up : spec.behavior->scale_down;
    int64_t allowed = Allowed(w, rules, d.current, now_, up);
    // Between bases the way up is limited as of the last base, or as of the half second before it
    // by which periodic decisions may come early.
    if (up && before.base) {
      for (const absl::Duration early : {absl::ZeroDuration(), absl::Milliseconds(500)}) {
        allowed = std::max(allowed, Allowed(w, rules, d.current, before.base->at - early, up));
      }
    }
    // A percentage is a double upstream: at its edge one more or less is upstream's rounding.
    const bool beyond = up ? d.desired > std::max<int64_t>(allowed + 1, spec.MinReplicas())
                           : d.desired < std::min<int64_t>(allowed - 1, spec.max_replicas);
    if (beyond) {
      Violated(w, "rate", "{} -> {}, but the policies allow {}", d.current, d.desired, allowed);
    }
  }

  void Alive(const Witness& w) {
    if (!w.seen_synced || w.decided == absl::InfinitePast()) return;
    // A write that nobody answers holds it up longest.
    const absl::Duration most = 2 * w.period + options_.poll_deadline + options_.write_limit +
                                options_.unknown_wait + kUnderWay;
    if (now_ - std::max(w.decided, LastOutage()) > most) {
      Violated(w, "alive", "not decided since {}", base::FormatTime(w.decided));
    }
  }

  // The last moment at which watches brought nothing: who starts then knows no object.
  absl::Time LastOutage() const {
    absl::Time last = absl::InfinitePast();
    for (const ControlFault& fault : faults_) {
      const absl::Time at = start_ + fault.at;
      if (at > now_) continue;
      if (fault.what == ControlFault::What::kRestart) last = std::max(last, at + fault.by);
      if (fault.what == ControlFault::What::kWatchSilence) {
        last = std::max(last, std::min(now_, at + fault.lasts));
      }
    }
    return last;
  }

  void Conserved(const std::string& name, const Service& service) {
    if (service.arrived == service.served + service.Failed() + service.waiting) return;
    violations_.push_back(
        fmt::format("seed {}, {} at {}: world: {} arrived, {} served, {} failed, {} waiting", seed_,
                    name, base::FormatTime(now_), service.arrived, service.served, service.Failed(),
                    service.waiting));
  }

  const uint64_t seed_;
  const absl::Time start_;
  const std::vector<ControlFault> faults_;
  const control::ControllerOptions options_;
  std::map<std::string, Witness, std::less<>> witnesses_;  // by uid
  absl::Time now_;
  absl::Time alive_checked_;
  std::vector<std::string> violations_;
};

Invariants::Invariants(const SimulationSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Invariants::~Invariants() = default;
void Invariants::OnDecision(const control::DecisionRecord& record, absl::Time now) {
  impl_->Decided(record, now);
}
void Invariants::OnOutcome(const control::OutcomeRecord& record, absl::Time now) {
  impl_->Remembered(record, now);
}
void Invariants::OnWorld(const World& world, absl::Time now) { impl_->Looked(world, now); }
void Invariants::Changed(const ObjectSpec& object) { impl_->Changed(object); }
void Invariants::ExpectConverged(absl::Time since, absl::Time now) {
  impl_->ExpectConverged(since, now);
}
bool Invariants::violated() const { return !impl_->violations().empty(); }
const std::vector<std::string>& Invariants::violations() const { return impl_->violations(); }

}  // namespace neap::sim
