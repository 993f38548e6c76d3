#include "autoscaler/sim/recorder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/core/explain.h"
#include "autoscaler/sim/digest.h"
#include "autoscaler/sim/notes.h"
#include "autoscaler/sim/series.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr double kNanosPerHour = 3600e9;
constexpr size_t kSeriesOfTarget = 10;
// Of many targets the loads are looked at less often than each tick, as their buckets are wider:
// 1,000 targets every 40 s.
constexpr int64_t kLookPerTarget = kSecond / 25;

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / 1e9; }

// Of a bucket at first: the least power of two of seconds with which the whole run fits.
int64_t FirstWidth(absl::Duration duration, size_t buckets) {
  int64_t width = kSecond;
  if (duration == absl::InfiniteDuration()) return width;
  const int64_t whole = absl::ToInt64Nanoseconds(duration);
  while ((whole + width - 1) / width > static_cast<int64_t>(buckets)) width *= 2;
  return width;
}

// The sum over time of something that holds until it changes.
class Integral {
 public:
  // From `now` on it is that much.
  void Set(int64_t now, double value) {
    total_ += value_ * static_cast<double>(now - since_);
    since_ = now;
    value_ = value;
  }
  double total() const { return total_; }  // value x nanoseconds, up to the last Set

 private:
  double value_ = 0;
  double total_ = 0;
  int64_t since_ = 0;
};

// Demand and supply of one target, and what SPEC's measures make of them.
class Adequacy {
 public:
  void Set(int64_t now, int ready, int demand) {
    for (; minute_ + kMinute <= now; minute_ += kMinute) EndMinute();
    if (ready == ready_ && demand == demand_) return;
    const double missing = std::max(0, demand - ready);
    const double surplus = std::max(0, ready - demand);
    under_.Set(now, missing > 0 ? 1 : 0);
    over_.Set(now, surplus > 0 ? 1 : 0);
    missing_.Set(now, missing / std::max(1, demand));
    surplus_.Set(now, surplus / std::max(1, demand));
    ready_ = ready;
    demand_ = demand;
  }

  void Finish(int64_t end, TargetResult* out) {
    for (Integral* one : {&under_, &over_, &missing_, &surplus_}) one->Set(end, 0);
    out->under_seconds = under_.total() / 1e9;
    out->over_seconds = over_.total() / 1e9;
    if (end == 0) return;
    const double percent = 100.0 / static_cast<double>(end);
    out->elasticity = {.accuracy_under = missing_.total() * percent,
                       .accuracy_over = surplus_.total() * percent,
                       .timeshare_under = under_.total() * percent,
                       .timeshare_over = over_.total() * percent,
                       .instability = minutes_ == 0 ? 0 : 100.0 * apart_ / minutes_};
  }

 private:
  static int Sign(int value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

  void EndMinute() {
    if (minute_ > 0) {
      ++minutes_;
      if (Sign(ready_ - ready_before_) != Sign(demand_ - demand_before_)) ++apart_;
    }
    ready_before_ = ready_;
    demand_before_ = demand_;
  }

  Integral under_, over_, missing_, surplus_;
  int ready_ = 0;
  int demand_ = 0;
  int64_t minute_ = 0;  // the beginning of the one under way
  int ready_before_ = 0;
  int demand_before_ = 0;
  int minutes_ = 0;
  int apart_ = 0;
};

}  // namespace

class Recorder::Impl {
 public:
  Impl(const SimulationSpec& spec, RecorderOptions options)
      : options_(std::move(options)), start_(spec.start), pools_(!spec.world.pools.empty()) {
    const size_t targets = std::max<size_t>(1, spec.objects.size());
    const size_t buckets = std::clamp<size_t>(kMostBuckets / (targets * kSeriesOfTarget), 2,
                                              static_cast<size_t>(std::max(2, options_.buckets)));
    const size_t notes = std::min(options_.decisions, kMostNotes / targets);
    width_ = FirstWidth(spec.duration, buckets);
    result_.name = options_.name;
    result_.seed = spec.world.seed;
    result_.start = spec.start;
    targets_of_.resize(spec.world.deployments.size());
    queues_of_.resize(spec.world.deployments.size());
    for (size_t i = 0; i < spec.world.queues.size(); ++i) {
      const int consumer = spec.world.queues[i].consumer;
      if (consumer >= 0) queues_of_[static_cast<size_t>(consumer)].push_back(static_cast<int>(i));
    }
    for (const ObjectSpec& object : spec.objects) {
      auto target = std::make_unique<Target>(width_, buckets, notes);
      target->uid = object.spec->uid;
      target->result.object = object.spec->key;
      target->result.target = object.spec->target;
      target->result.ns = object.spec->key.ns;
      target->result.min_replicas = object.spec->MinReplicas();
      target->result.max_replicas = object.spec->max_replicas;
      for (size_t i = 0; i < spec.world.deployments.size(); ++i) {
        const DeploymentSpec& deployment = spec.world.deployments[i];
        if (deployment.ns == object.spec->key.ns && deployment.name == object.spec->target.name) {
          target->deployment = static_cast<int>(i);
          targets_of_[i].push_back(target.get());
        }
      }
      by_uid_[target->uid] = target.get();
      targets_.push_back(std::move(target));
    }
  }

  void Decided(const control::DecisionRecord& record, absl::Time when) {
    digest_.Add(record);
    ++result_.decisions;
    if (!Find(record.uid)) return;
    Target& target = *found_;
    const core::Decision& decision = *record.decision;
    ++target.decisions;
    target.decision_id = record.decision_id;
    target.change = decision.rescale ? decision.desired - decision.current : 0;
    target.notes.Add(record, when);
    const bool failed = std::any_of(decision.metrics.begin(), decision.metrics.end(),
                                    [](const core::MetricResult& m) { return !m.valid; });
    if (failed) ++target.failed;
    if (options_.series) AddMetrics(target, record, NanosAt(when));
  }

  void Remembered(const control::OutcomeRecord& record) {
    digest_.Add(record);
    if (record.result.kind == core::ApplyResult::Kind::kNotTried || !Find(record.uid)) return;
    Target& target = *found_;
    if (record.result.kind != core::ApplyResult::Kind::kApplied ||
        record.decision_id != target.decision_id) {
      return;
    }
    ++(target.change > 0 ? target.result.scale_ups : target.result.scale_downs);
    target.notes.Applied(record.decision_id);
  }

  void Scaled(int deployment, int32_t replicas, absl::Time when) {
    for (Target* target : targets_of_[static_cast<size_t>(deployment)]) {
      if (options_.series) target->wanted.Set(NanosAt(when), replicas);
      target->result.most_replicas = std::max(target->result.most_replicas, replicas);
    }
  }

  void LookedAtPods(const World& world, int deployment, absl::Time when) {
    const int64_t now = NanosAt(when);
    for (Target* target : targets_of_[static_cast<size_t>(deployment)]) Counts(world, *target, now);
  }

  void LookedAtWorld(const World& world, absl::Time when) {
    last_ = std::max(last_, NanosAt(when));
    world_ = &world;
    if (last_ >= next_look_) Look(world, last_);
  }

  void Look(const World& world, int64_t now) {
    looked_ = now;
    next_look_ = now + static_cast<int64_t>(targets_.size()) * kLookPerTarget;
    if (pools_) {
      all_pods_ = 0;
      for (const Deployment& one : world.deployments()) all_pods_ += one.active;
    }
    for (const auto& target : targets_) {
      if (target->deployment < 0) continue;
      Counts(world, *target, now);
      Loads(world, *target, now);
    }
    for (; now >= bucket_ + width_; bucket_ += width_) {
      for (const auto& target : targets_) {
        if (target->deployment >= 0) EndBucket(world, *target);
      }
    }
  }

  Result Take() {
    if (world_ != nullptr && looked_ < last_) Look(*world_, last_);
    result_.duration = absl::Nanoseconds(last_);
    result_.digest = digest_.Text();
    int64_t width = width_;
    for (const auto& target : targets_) width = std::max(width, target->wanted.width());
    result_.bucket = absl::Nanoseconds(width);
    if (world_ != nullptr) result_.events = world_->events();
    for (const auto& target : targets_) {
      if (world_ != nullptr && target->deployment >= 0 && last_ > bucket_) {
        EndBucket(*world_, *target);
      }
      Finish(*target, width);
      result_.targets.push_back(std::move(target->result));
    }
    return std::move(result_);
  }

 private:
  struct Metric {
    explicit Metric(SeriesBuilder builder) : value(std::move(builder)) {}
    std::string name;
    std::string target;
    std::string unit;
    double target_value = 0;
    SeriesBuilder value;
  };
  struct Target {
    Target(int64_t width, size_t buckets, size_t most_notes)
        : empty(width, buckets),
          load(empty),
          wanted(empty),
          have(empty),
          ready(empty),
          pending(empty),
          demand(empty),
          waiting(empty),
          latency(empty),
          spending(empty),
          notes(most_notes) {}
    std::string uid;
    int deployment = -1;
    uint64_t decisions = 0;
    uint64_t failed = 0;  // in which a metric failed
    const SeriesBuilder empty;
    SeriesBuilder load, wanted, have, ready, pending, demand, waiting, latency, spending;
    std::vector<Metric> metrics;
    base::Follower<Target> follower;
    uint64_t spec_version = 0;  // that `metrics` were named by
    Notes notes;
    uint64_t decision_id = 0;  // the last one, and what it wants
    int32_t change = 0;
    Adequacy adequacy;
    Integral pods;
    Integral cost;
    int64_t known_total = 0;  // latencies (or waits) up to the last bucket, thousandths
    WaitHistogram known;      // and which; brought up to that when one is not 0
    TargetResult result;
  };

  // Whether the object is one of the run's; `found_` is it then.
  bool Find(const std::string& uid) {
    if (found_ != nullptr && found_->uid == uid) return true;
    Target* const found = in_order_.Get([&](const Target& next) { return next.uid == uid; },
                                        [&]() -> Target* {
                                          Target* const* known = by_uid_.Find(uid);
                                          return known == nullptr ? nullptr : *known;
                                        });
    if (found != nullptr) found_ = found;
    return found != nullptr;
  }

  int64_t NanosAt(absl::Time when) const { return absl::ToInt64Nanoseconds(when - start_); }

  void Counts(const World& world, Target& target, int64_t now) {
    const Deployment& deployment = world.deployments()[static_cast<size_t>(target.deployment)];
    const auto have = static_cast<int>(deployment.pods.size());
    const int demand = world.Demand(target.deployment);
    target.adequacy.Set(now, deployment.ready, demand);
    target.pods.Set(now, have);
    target.result.most_replicas = std::max(target.result.most_replicas, deployment.replicas);
    double per_hour = 0;
    if (!pools_) {
      per_hour = static_cast<double>(options_.pod_price_milli) * have / 1000;
    } else if (all_pods_ > 0) {
      per_hour = static_cast<double>(world.cost_per_hour()) / 1e6 * deployment.active / all_pods_;
    }
    target.cost.Set(now, per_hour);
    if (!options_.series) return;
    target.wanted.Set(now, deployment.replicas);
    target.have.Set(now, have);
    target.ready.Set(now, deployment.ready);
    target.pending.Set(now, deployment.pending);
    target.demand.Set(now, demand);
    target.spending.Set(now, per_hour);
  }

  // What arrives, and what waits.
  void Loads(const World& world, Target& target, int64_t now) {
    if (!options_.series) return;
    const Deployment& deployment = world.deployments()[static_cast<size_t>(target.deployment)];
    int64_t load = deployment.rate;
    int64_t waiting = world.service(target.deployment).waiting;
    int64_t oldest = 0;
    for (int index : queues_of_[static_cast<size_t>(target.deployment)]) {
      const Queue& queue = world.queues()[static_cast<size_t>(index)];
      const Service& service = world.queue_service(index);
      load += queue.arrival_rate - queue.service_rate;
      waiting += service.waiting;
      oldest = std::max(oldest, service.oldest);
    }
    target.load.Set(now, static_cast<double>(load) / 1000);
    target.waiting.Set(now, static_cast<double>(waiting) / 1000);
    if (!queues_of_[static_cast<size_t>(target.deployment)].empty()) {
      target.latency.Set(now, Seconds(oldest));
    }
  }

  // The latency of the bucket under way is known at its end.
  void EndBucket(const World& world, Target& target) {
    if (!options_.series || !queues_of_[static_cast<size_t>(target.deployment)].empty()) return;
    const Service& service = world.service(target.deployment);
    const WaitHistogram& all = service.latencies.total() > 0 ? service.latencies : service.waits;
    const int64_t before = std::exchange(target.known_total, all.total());
    if (all.total() == before) return target.latency.Clear(bucket_);
    if (all.max() == 0) return target.latency.Set(bucket_, 0);  // nobody has waited so far
    target.known.Add(0, before - target.known.total());
    WaitHistogram bucket = all;
    bucket.Remove(target.known);
    target.known = all;
    target.latency.Set(bucket_, Seconds(bucket.Quantile(990)));
  }

  void AddMetrics(Target& target, const control::DecisionRecord& record, int64_t now) {
    const core::Decision& decision = *record.decision;
    if (decision.metrics.empty()) {
      for (Metric& metric : target.metrics) metric.value.Clear(now);
      return;
    }
    if (target.spec_version != record.spec_version ||
        target.metrics.size() != decision.metrics.size()) {
      NameMetrics(target, record);
    }
    for (size_t i = 0; i < decision.metrics.size(); ++i) {
      const core::MetricResult& result = decision.metrics[i];
      SeriesBuilder& series = target.metrics[i].value;
      if (!result.valid) {
        series.Clear(now);
      } else if (result.utilization) {
        series.Set(now, *result.utilization);
      } else if (result.average_value) {
        series.Set(now, static_cast<double>(*result.average_value) / 1000);
      } else if (result.value) {
        series.Set(now, static_cast<double>(*result.value) / 1000);
      }
    }
  }

  static void NameMetrics(Target& target, const control::DecisionRecord& record) {
    const auto lines = core::MetricLines(*record.spec, *record.seen, *record.decision);
    target.spec_version = record.spec_version;
    target.metrics.resize(lines.size(), Metric(target.empty));
    for (size_t i = 0; i < lines.size(); ++i) {
      const core::MetricTarget& wants = record.seen->metrics[i].reading->target
                                            ? *record.seen->metrics[i].reading->target
                                            : record.seen->metrics[i].spec->target;
      Metric& metric = target.metrics[i];
      metric.name = lines[i].name;
      metric.target = lines[i].target;
      metric.unit = wants.average_utilization ? "%" : "";
      metric.target_value =
          wants.average_utilization
              ? static_cast<double>(*wants.average_utilization)
              : static_cast<double>(wants.average_value.value_or(wants.value.value_or(0))) / 1000;
    }
  }

  void Finish(Target& target, int64_t width) {
    TargetResult& out = target.result;
    out.decisions_taken = target.decisions;
    out.failed_metrics = target.failed;
    target.adequacy.Finish(last_, &out);
    target.pods.Set(last_, 0);
    target.cost.Set(last_, 0);
    out.pod_hours = target.pods.total() / kNanosPerHour;
    out.cost = target.cost.total() / kNanosPerHour;
    target.notes.Take(&out);
    if (world_ != nullptr && target.deployment >= 0) FinishService(target);
    if (!options_.series) return;
    const auto finish = [&](SeriesBuilder& series, const char* name, const char* unit) {
      return series.Finish(last_, width, name, unit);
    };
    out.load = finish(target.load, "load", "1/s");
    out.wanted = finish(target.wanted, "replicas wanted", "pods");
    out.have = finish(target.have, "pods", "pods");
    out.ready = finish(target.ready, "ready", "pods");
    out.pending = finish(target.pending, "pending", "pods");
    out.demand = finish(target.demand, "demand", "pods");
    out.waiting = finish(target.waiting, "waiting", "");
    out.latency = finish(target.latency, LatencyName(target), "s");
    out.spending = finish(target.spending, "spending", "1/h");
    for (Metric& metric : target.metrics) {
      out.metrics.push_back({.name = metric.name,
                             .target = metric.target,
                             .target_value = metric.target_value,
                             .value = metric.value.Finish(last_, width, metric.name, metric.unit)});
    }
  }

  // What the series is of, as Loads and EndBucket fill it.
  const char* LatencyName(const Target& target) const {
    if (target.deployment < 0 || world_ == nullptr) return "latency p99";
    if (!queues_of_[static_cast<size_t>(target.deployment)].empty()) return "age of the oldest";
    return world_->service(target.deployment).latencies.total() > 0 ? "latency p99" : "wait p99";
  }

  void FinishService(Target& target) {
    TargetResult& out = target.result;
    Service& sum = out.service;
    sum = world_->service(target.deployment);
    for (int index : queues_of_[static_cast<size_t>(target.deployment)]) {
      const Service& queue = world_->queue_service(index);
      sum.arrived += queue.arrived;
      sum.served += queue.served;
      sum.late += queue.late;
      sum.timed_out += queue.timed_out;
      sum.refused += queue.refused;
      sum.reset += queue.reset;
      sum.wrong += queue.wrong;
      sum.overflowed += queue.overflowed;
      sum.retries += queue.retries;
      sum.waiting += queue.waiting;
      sum.oldest = std::max(sum.oldest, queue.oldest);
      sum.waits.Add(queue.waits);
      sum.latencies.Add(queue.latencies);
    }
    out.served = static_cast<double>(sum.served) / 1000;
    out.failed = static_cast<double>(sum.Failed()) / 1000;
    out.late = static_cast<double>(sum.late) / 1000;
    out.wait_p50 = Seconds(sum.waits.Quantile(500));
    out.wait_p99 = Seconds(sum.waits.Quantile(990));
    out.latency_p50 = Seconds(sum.latencies.Quantile(500));
    out.latency_p99 = Seconds(sum.latencies.Quantile(990));
  }

  const RecorderOptions options_;
  const absl::Time start_;
  const bool pools_;
  Result result_;
  RunDigest digest_;
  int64_t width_ = kSecond;
  int64_t bucket_ = 0;   // the beginning of the one under way, of this width
  int64_t last_ = 0;     // when the world was shown last
  int64_t looked_ = -1;  // and looked at
  int64_t next_look_ = 0;
  int64_t all_pods_ = 0;
  const World* world_ = nullptr;  // as last shown
  std::vector<std::unique_ptr<Target>> targets_;
  base::StringLookup<Target*> by_uid_;
  base::InOrder<Target> in_order_;                // as they are decided
  Target* found_ = nullptr;                       // last
  std::vector<std::vector<Target*>> targets_of_;  // by deployment
  std::vector<std::vector<int>> queues_of_;       // likewise
};

Recorder::Recorder(const SimulationSpec& spec, RecorderOptions options)
    : impl_(std::make_unique<Impl>(spec, std::move(options))) {}
Recorder::~Recorder() = default;
void Recorder::OnDecision(const control::DecisionRecord& record, absl::Time now) {
  impl_->Decided(record, now);
}
void Recorder::OnOutcome(const control::OutcomeRecord& record, absl::Time) {
  impl_->Remembered(record);
}
void Recorder::OnScale(int deployment, int32_t, int32_t after, bool, absl::Time now) {
  impl_->Scaled(deployment, after, now);
}
void Recorder::OnPods(const World& world, int deployment, absl::Time now) {
  impl_->LookedAtPods(world, deployment, now);
}
void Recorder::OnWorld(const World& world, absl::Time now) { impl_->LookedAtWorld(world, now); }
Result Recorder::Take() { return impl_->Take(); }

}  // namespace neap::sim
