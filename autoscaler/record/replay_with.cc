#include "autoscaler/record/replay_with.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/control/subscriptions.h"
#include "autoscaler/core/arithmetic.h"
#include "autoscaler/core/behavior.h"
#include "autoscaler/core/messages.h"

namespace neap::record {
namespace {

// A trigger metric's name without its place among the triggers: "s0-redis-jobs" is "redis-jobs".
std::string_view WithoutPlace(std::string_view name) {
  if (!name.starts_with('s')) return name;
  size_t end = 1;
  while (end < name.size() && std::isdigit(static_cast<unsigned char>(name[end])) != 0) ++end;
  return end > 1 && end < name.size() && name[end] == '-' ? name.substr(end + 1) : name;
}

// Whether two of the object's own metrics read the same.
bool ReadTheSame(const core::MetricSpec& a, const core::MetricSpec& b) {
  const auto query_a = control::QueryOf(a, "", "pods");
  const auto query_b = control::QueryOf(b, "", "pods");
  return query_a && query_b && control::SameQuery(*query_a, *query_b);
}

// A trigger's metric with what is known of its trigger.
struct TriggerMetric {
  const core::TriggerSpec* trigger = nullptr;  // null: which one it is of can't be told
  const core::MetricSpec* metric = nullptr;
};

bool ReadTheSame(const TriggerMetric& a, const TriggerMetric& b) {
  if (WithoutPlace(a.metric->name) != WithoutPlace(b.metric->name)) return false;
  if (a.trigger == nullptr || b.trigger == nullptr) return true;
  const bool named = !a.trigger->name.empty() && !b.trigger->name.empty();
  return a.trigger->type == b.trigger->type && (!named || a.trigger->name == b.trigger->name);
}

std::string NameOf(const core::MetricSpec& metric) { return core::MetricName(metric); }

// The other policy's metrics, each with the place of its reading among the recorded ones.
class Matcher {
 public:
  explicit Matcher(const OtherPolicy& other) {
    for (const core::MetricSpec& metric : other.spec.metrics)
      metrics_.push_back({nullptr, &metric});
    for (size_t i = 0; i < other.spec.triggers.size(); ++i) {
      for (const core::MetricSpec& metric : other.trigger_metrics[i]) {
        metrics_.push_back({&other.spec.triggers[i], &metric});
      }
    }
    recorded_names_.resize(metrics_.size());
  }

  size_t size() const { return metrics_.size(); }
  const core::MetricSpec& metric(size_t i) const { return *metrics_[i].metric; }

  // The metrics of a decision; does nothing when they are those of the last call.
  void Look(const core::AutoscalerSpec& spec,
            const std::vector<OwnedObservation::Metric>& recorded) {
    if (looked_ && recorded == last_) return;
    looked_ = true;
    last_ = recorded;
    places_.assign(metrics_.size(), std::nullopt);
    for (size_t i = 0; i < metrics_.size(); ++i) {
      for (size_t r = 0; r < recorded.size() && !places_[i]; ++r) {
        if (Same(i, spec, recorded, r)) places_[i] = r;
      }
      if (places_[i]) recorded_names_[i] = NameOf(recorded[*places_[i]].spec);
    }
    for (const OwnedObservation::Metric& metric : recorded) seen_.insert(NameOf(metric.spec));
    pods_recorded_ = std::any_of(recorded.begin(), recorded.end(), [](const auto& metric) {
      return control::NeedsPods(metric.spec);
    });
  }
  std::optional<size_t> place(size_t i) const { return places_[i]; }

  // Of all that was looked at: a metric of which nothing is recorded at all.
  absl::Status Missing() const {
    for (size_t i = 0; i < metrics_.size(); ++i) {
      if (!recorded_names_[i].empty() || !IsAsked(i)) continue;
      return base::FailedPrecondition(
          "{}: the journal has no reading of it; what it has is of {}", Where(i),
          seen_.empty() ? "no metric" : fmt::format("{}", fmt::join(seen_, ", ")));
    }
    return absl::OkStatus();
  }
  // At this decision: a metric that takes pods, of which none are recorded.
  absl::Status MissingPods() const {
    if (pods_recorded_) return absl::OkStatus();
    for (size_t i = 0; i < metrics_.size(); ++i) {
      if (!control::NeedsPods(metric(i))) continue;
      return base::FailedPrecondition(
          "{}: its target is multiplied with the ready pods, and the journal has no pods: none of "
          "the recorded metrics needed them",
          Where(i));
    }
    return absl::OkStatus();
  }

  std::vector<WithReport::Match> Matches() const {
    std::vector<WithReport::Match> out;
    for (size_t i = 0; i < metrics_.size(); ++i) {
      out.push_back({.metric = NameOf(metric(i)), .recorded = recorded_names_[i]});
    }
    return out;
  }

 private:
  // Where nothing can be asked, Decide says so without a reading.
  bool IsAsked(size_t i) const {
    return metrics_[i].trigger != nullptr || control::QueryOf(metric(i), "", "pods").has_value();
  }

  std::string Where(size_t i) const {
    const auto* trigger = metrics_[i].trigger;
    if (trigger == nullptr) return fmt::format("spec.metrics[{}], {}", i, NameOf(metric(i)));
    return fmt::format("trigger {}, {}", trigger->name.empty() ? trigger->type : trigger->name,
                       NameOf(metric(i)));
  }

  bool Same(size_t i, const core::AutoscalerSpec& spec,
            const std::vector<OwnedObservation::Metric>& recorded, size_t r) const {
    const bool of_trigger = r >= spec.metrics.size();
    if (of_trigger != (metrics_[i].trigger != nullptr)) return false;
    if (!of_trigger) return ReadTheSame(metric(i), recorded[r].spec);
    const bool one_each = recorded.size() == spec.metrics.size() + spec.triggers.size();
    const TriggerMetric known{
        .trigger = one_each ? &spec.triggers[r - spec.metrics.size()] : nullptr,
        .metric = &recorded[r].spec};
    return ReadTheSame(metrics_[i], known);
  }

  std::vector<TriggerMetric> metrics_;
  std::vector<std::string> recorded_names_;  // parallel; "": never found
  std::set<std::string> seen_;
  bool looked_ = false;
  std::vector<OwnedObservation::Metric> last_;
  std::vector<std::optional<size_t>> places_;
  bool pods_recorded_ = false;
};

std::string Why(const core::Decision& d) {
  if (d.verdict != core::Verdict::kComputed) return std::string(core::ReasonName(d.failure));
  std::string out = fmt::format("asks for {}", d.recommended);
  const auto add = [&](core::Reason reason) {
    out += fmt::format(", {}", core::ReasonName(reason));
  };
  if (d.able != core::Reason::kReadyForNewScale) add(d.able);
  if (d.limited != core::Reason::kDesiredWithinRange) add(d.limited);
  return out;
}

// The time-weighted mean of a count, in whole numbers.
class Mean {
 public:
  void Add(int32_t count, absl::Duration held) {
    const int64_t ms = absl::ToInt64Milliseconds(held);
    sum_ += static_cast<Wide>(count) * ms;
    ms_ += ms;
  }
  int64_t Milli() const { return ms_ == 0 ? 0 : static_cast<int64_t>(sum_ * 1000 / ms_); }

 private:
  __extension__ using Wide = __int128;
  Wide sum_ = 0;
  int64_t ms_ = 0;
};

class Shadow {
 public:
  Shadow(const core::ObjectKey& key, const OtherPolicy& other, const WithOptions& options)
      : other_(other), options_(options), matcher_(other) {
    report_.key = key;
  }

  absl::Status Take(const Entry& entry) {
    if (const auto* d = std::get_if<DecisionEntry>(&entry.what)) {
      objects_.insert(d->spec->key.Text());
      return d->spec->key == report_.key ? Decide(*d) : absl::OkStatus();
    }
    if (const auto* o = std::get_if<OutcomeEntry>(&entry.what)) Outcome(*o);
    return absl::OkStatus();
  }

  absl::StatusOr<WithReport> Finish(const std::string& path, const std::vector<Damage>& damage) {
    if (report_.decisions == 0) {
      return base::NotFound(
          "journal {}: no decision of {} is in it; it has {}", path, report_.key.Text(),
          objects_.empty() ? "none at all" : fmt::format("{}", fmt::join(objects_, ", ")));
    }
    NEAP_RETURN_IF_ERROR(matcher_.Missing());
    EndStretch(report_.last);
    report_.recorded_mean_milli = recorded_mean_.Milli();
    report_.other_mean_milli = other_mean_.Milli();
    report_.matches = matcher_.Matches();
    report_.damage = damage;
    return std::move(report_);
  }

 private:
  absl::Status Decide(const DecisionEntry& d) {
    matcher_.Look(*d.spec, d.seen->metrics);
    NEAP_RETURN_IF_ERROR(matcher_.MissingPods());
    if (report_.decisions == 0) {
      history_.up_events = d.before->up_events;
      history_.down_events = d.before->down_events;
    }
    Translate(*d.seen);
    const core::Observation view = seen_.View();
    const core::Decision decision = core::Decide(*d.options, other_.spec, view, history_);
    const core::ApplyResult result{.kind = decision.rescale ? core::ApplyResult::Kind::kWithheld
                                                            : core::ApplyResult::Kind::kNotTried,
                                   .at = d.seen->now,
                                   .error = ""};
    history_ = core::Remember(*d.options, other_.spec, view, decision, result, std::move(history_))
                   .history;
    Compare(d, decision);
    last_ = {.uid = std::string(d.uid),
             .decision_id = d.decision_id,
             .change = core::WrapSubtract32(d.decision->desired, d.decision->current)};
    return absl::OkStatus();
  }

  // What the other policy sees of what was seen: the same world, its own metrics.
  void Translate(const OwnedObservation& recorded) {
    seen_ = recorded;
    seen_.metrics.clear();
    seen_.readings.clear();
    for (size_t i = 0; i < matcher_.size(); ++i) {
      OwnedObservation::Metric& metric = seen_.metrics.emplace_back();
      core::Reading& reading = seen_.readings.emplace_back();
      metric.spec = matcher_.metric(i);
      const std::optional<size_t> place = matcher_.place(i);
      if (!place) {  // then, not ever: else it is an error at the end
        reading.error = {.kind = core::ErrorKind::kNeverRead,
                         .message = "no reading is recorded at this time"};
        continue;
      }
      metric.stale_after = recorded.metrics[*place].stale_after;
      reading = recorded.readings[*place];
      reading.target.reset();  // its scaler's suggestion was for the recorded trigger
    }
  }

  // A change that was made is an event for the other policy, too.
  void Outcome(const OutcomeEntry& o) {
    if (o.uid != last_.uid || o.decision_id != last_.decision_id ||
        o.result.kind != core::ApplyResult::Kind::kApplied || last_.change == 0) {
      return;
    }
    // Periods of the way up end at a base, which may be as old as two periods.
    core::AddChange(history_, other_.spec.behavior, 0, last_.change, o.result.at,
                    2 * std::max(other_.spec.period, absl::Seconds(15)));
  }

  void Compare(const DecisionEntry& d, const core::Decision& other) {
    const core::Decision& recorded = *d.decision;
    const absl::Time now = d.seen->now;
    if (report_.decisions++ > 0) {
      const absl::Duration held = now - report_.last;
      if (held <= 4 * d.spec->period + absl::Minutes(1)) {
        recorded_mean_.Add(recorded_wanted_, held);
        other_mean_.Add(other_wanted_, held);
      }
    }
    report_.first = std::min(report_.first, now);
    report_.last = now;
    report_.recorded_period = d.spec->period;
    report_.recorded_changes += recorded.rescale ? 1 : 0;
    report_.other_changes += other.rescale ? 1 : 0;
    recorded_wanted_ = recorded.desired;
    other_wanted_ = other.desired;
    const bool more = other.desired > recorded.desired;
    if (other.desired == recorded.desired) return EndStretch(now);
    ++(more ? report_.more : report_.fewer);
    if (open_ && open_->more != more) EndStretch(now);
    if (!open_) {
      open_ = Stretch{.from = now,
                      .to = now,
                      .decisions = 0,
                      .first_decision_id = d.decision_id,
                      .more = more,
                      .recorded = {recorded.desired, recorded.desired, Why(recorded)},
                      .other = {other.desired, other.desired, Why(other)}};
    }
    ++open_->decisions;
    Widen(open_->recorded, recorded.desired);
    Widen(open_->other, other.desired);
  }

  static void Widen(Wanted& wanted, int32_t count) {
    wanted.least = std::min(wanted.least, count);
    wanted.most = std::max(wanted.most, count);
  }

  void EndStretch(absl::Time now) {
    if (!open_) return;
    open_->to = now;
    ++report_.stretch_count;
    const bool longer = report_.longest.decisions == 0 ||
                        open_->to - open_->from > report_.longest.to - report_.longest.from;
    if (longer) report_.longest = *open_;
    if (report_.stretches.size() < options_.most) report_.stretches.push_back(*open_);
    open_.reset();
  }

  const OtherPolicy& other_;
  const WithOptions& options_;
  Matcher matcher_;
  WithReport report_;
  std::set<std::string> objects_;  // that the journal has decisions of
  core::History history_;
  OwnedObservation seen_;
  struct Last {
    std::string uid;
    uint64_t decision_id = 0;
    int32_t change = 0;  // that the recorded decision asked for
  };
  Last last_;
  int32_t recorded_wanted_ = 0;
  int32_t other_wanted_ = 0;
  Mean recorded_mean_;
  Mean other_mean_;
  std::optional<Stretch> open_;
};

}  // namespace

absl::StatusOr<WithReport> ReplayWith(const std::string& path, const core::ObjectKey& key,
                                      const OtherPolicy& other, const WithOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const auto reader, Reader::Open(path));
  Shadow shadow(key, other, options);
  Entry entry;
  while (reader->Next(&entry)) NEAP_RETURN_IF_ERROR(shadow.Take(entry));
  return shadow.Finish(path, reader->damage());
}

}  // namespace neap::record
