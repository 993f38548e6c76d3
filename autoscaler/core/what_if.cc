#include "autoscaler/core/what_if.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "autoscaler/core/arithmetic.h"
#include "autoscaler/core/behavior.h"

namespace neap::core {
namespace {

__extension__ using Wide = __int128;

constexpr absl::Duration kTick = absl::Nanoseconds(1);
constexpr int64_t kMostAmount = int64_t{1} << 60;
constexpr size_t kMostMoments = 512;  // looked at in the search over time

// Amounts of series are summed by the calculator's own rules; here they need only be in range.
bool Add(int64_t value, int64_t* sum) { return !__builtin_add_overflow(*sum, value, sum); }

std::optional<int64_t> SumOfPods(const PodSamples& pods) {
  int64_t sum = 0;
  bool any = false;
  for (const PodSample& sample : pods.by_pod) {
    if (!sample.present) continue;
    any = true;
    if (!Add(sample.milli, &sum)) return std::nullopt;
  }
  for (const int64_t milli : pods.stray) {
    any = true;
    if (!Add(milli, &sum)) return std::nullopt;
  }
  return any ? std::optional<int64_t>(sum) : std::nullopt;
}

std::optional<int64_t> SumOfReals(const std::vector<double>& values) {
  int64_t sum = 0;
  for (const double value : values) {
    const double milli = value * 1000;
    if (!(milli > -9e18 && milli < 9e18) || !Add(static_cast<int64_t>(milli), &sum)) {
      return std::nullopt;
    }
  }
  return values.empty() ? std::nullopt : std::optional<int64_t>(sum);
}

// Each value times to / from; `from` > 0.
PodSamples InProportion(PodSamples pods, int64_t from, int64_t to) {
  const auto scale = [&](int64_t& milli) {
    const Wide scaled = static_cast<Wide>(milli) * to / from;
    milli = static_cast<int64_t>(std::clamp<Wide>(scaled, std::numeric_limits<int64_t>::min(),
                                                  std::numeric_limits<int64_t>::max()));
  };
  for (PodSample& sample : pods.by_pod) scale(sample.milli);
  for (int64_t& milli : pods.stray) scale(milli);
  return pods;
}

PodSamples AllAlike(PodSamples pods, int64_t amount) {
  int64_t count = static_cast<int64_t>(pods.stray.size());
  for (const PodSample& sample : pods.by_pod) count += sample.present ? 1 : 0;
  int64_t more = amount % count;  // the first ones get one more, so that the sum is the amount
  const auto give = [&](int64_t& milli) { milli = amount / count + (more-- > 0 ? 1 : 0); };
  for (PodSample& sample : pods.by_pod) {
    if (sample.present) give(sample.milli);
  }
  for (int64_t& milli : pods.stray) give(milli);
  return pods;
}

// A metric that is counted, as far as one reading can tell.
bool AllWhole(const Reading& reading) {
  switch (reading.form) {
    case Reading::Form::kMilli:
      return std::all_of(reading.milli.begin(), reading.milli.end(),
                         [](int64_t milli) { return milli % 1000 == 0; });
    case Reading::Form::kReal:
      return std::all_of(reading.real.begin(), reading.real.end(),
                         [](double value) { return std::trunc(value) == value; });
    default:
      return false;
  }
}

// What Decide is asked about. A copy that owns what it changes and borrows the rest.
class Question {
 public:
  Question(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
           const History& past)
      : options_(options), spec_(spec), seen_(seen), past_(&past) {
    inputs_.assign(seen.metrics.begin(), seen.metrics.end());
  }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  Decision Ask() {
    seen_.metrics = inputs_;
    return Decide(options_, spec_, seen_, *past_);
  }

  HpaOptions& options() { return options_; }
  AutoscalerSpec& spec() { return spec_; }
  Observation& seen() { return seen_; }
  std::vector<MetricInput>& inputs() { return inputs_; }
  void UsePast(History past) {
    own_past_ = std::move(past);
    past_ = &own_past_;
  }
  const History& past() const { return *past_; }
  void SetReading(size_t metric, Reading reading) {
    if (own_readings_.empty()) own_readings_.resize(inputs_.size());
    own_readings_[metric] = std::move(reading);
    inputs_[metric].reading = &own_readings_[metric];
  }

 private:
  HpaOptions options_;
  AutoscalerSpec spec_;
  Observation seen_;
  const History* past_;
  History own_past_;
  std::vector<MetricInput> inputs_;
  std::vector<Reading> own_readings_;  // sized once: inputs point into it
};

class Search {
 public:
  Search(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
         const History& past, const Decision& decision)
      : options_(options), spec_(spec), seen_(seen), past_(past), d_(decision) {}

  std::vector<Alternative> Run() {
    for (size_t i = 0; i < d_.metrics.size(); ++i) Metric(i);
    AllMetrics();
    Time();
    Bounds();
    Gates();
    return std::move(out_);
  }

 private:
  // ---- a metric's value ----

  void Metric(size_t index) {
    if (!d_.metrics[index].valid) return;
    const Reading& reading = *seen_.metrics[index].reading;
    const std::optional<int64_t> amount = AmountOf(reading);
    if (!amount || std::abs(*amount) > kMostAmount) return;
    const bool per_pod = reading.form == Reading::Form::kPods;
    if (per_pod && *amount < 0) return;
    Question question(options_, spec_, seen_, past_);
    const auto ask = [&](int64_t value) {
      question.SetReading(index, WithAmount(reading, value));
      return question.Ask();
    };
    int64_t present = *amount;
    // One real number for several, rounded to thousandths, may fall short of them by one.
    if (reading.form == Reading::Form::kReal && ask(present).desired != d_.desired) ++present;
    if (ask(present).desired != d_.desired) return;  // as one series it would be another amount
    const int64_t unit = AllWhole(reading) ? 1000 : 1;
    for (const int64_t step : {unit, -unit}) {
      Alternative a{.kind = Alternative::Kind::kMetric,
                    .metric = static_cast<int16_t>(index),
                    .at_least = step > 0,
                    .per_pod = per_pod,
                    .unit = unit,
                    .present = present};
      if (!Nearest(present, step, ask, &a.value)) continue;
      const Decision other = ask(a.value);
      a.desired = other.desired;
      if (other.metrics.size() <= index || other.metrics[index].overflow) continue;
      a.result = other.metrics[index];
      out_.push_back(std::move(a));
    }
  }

  // The highest proposal counts, so that often only all metrics together can make it lower.
  void AllMetrics() {
    const auto lower = [this](const Alternative& a) { return a.desired < d_.desired; };
    if (d_.metrics.size() < 2 || std::any_of(out_.begin(), out_.end(), lower)) return;
    Question question(options_, spec_, seen_, past_);
    const auto ask = [&](int64_t thousandths) {
      for (size_t i = 0; i < d_.metrics.size(); ++i) {
        const Reading& reading = *seen_.metrics[i].reading;
        const std::optional<int64_t> amount = AmountOf(reading);
        if (!d_.metrics[i].valid || !amount || *amount < 0) continue;
        const auto part = static_cast<int64_t>(static_cast<Wide>(*amount) * thousandths / 1000);
        question.SetReading(i, WithAmount(reading, part));
      }
      return question.Ask();
    };
    Alternative a{.kind = Alternative::Kind::kAllMetrics, .present = 1000};
    if (ask(1000).desired != d_.desired || !Nearest(a.present, -1, ask, &a.value)) return;
    a.desired = ask(a.value).desired;
    if (a.desired < d_.desired) out_.push_back(std::move(a));
  }

  // The nearest value beyond `present`, in steps of `step`, at which Decide gives another result.
  template <typename Ask>
  bool Nearest(int64_t present, int64_t step, const Ask& ask, int64_t* value) {
    const int64_t most = (step > 0 ? kMostAmount - present : present) / std::abs(step);
    int64_t same = 0;  // steps
    for (int64_t n = 1; same < most; n += n / 2 + 1) {
      int64_t other = std::min(n, most);
      if (ask(present + other * step).desired == d_.desired) {
        same = other;
        continue;
      }
      while (other - same > 1) {
        const int64_t middle = same + (other - same) / 2;
        (ask(present + middle * step).desired == d_.desired ? same : other) = middle;
      }
      *value = present + other * step;
      return true;
    }
    return false;
  }

  // ---- time ----

  // Something that time alone may change.
  struct Moment {
    absl::Time at;
    Alternative::Event event = Alternative::Event::kNone;
    int32_t count = 0;
    absl::Time since = absl::InfinitePast();
  };

  // The moments at which something leaves a window or a period. That they are complete only makes
  // the search find the first one; what holds at them is Decide's to say.
  std::vector<Moment> Moments(const History& past) const {
    using Event = Alternative::Event;
    std::vector<absl::Duration> windows = {options_.downscale_stabilization};
    std::vector<absl::Duration> ups, downs;
    if (spec_.behavior) {
      windows = {UpWindow(*spec_.behavior),
                 DownWindow(*spec_.behavior, options_.downscale_stabilization)};
      for (const ScalingRules* rules : {&spec_.behavior->scale_up, &spec_.behavior->scale_down}) {
        for (const ScalingPolicy& policy : rules->policies) {
          ups.push_back(absl::Seconds(policy.period_seconds));
        }
      }
      downs = ups;  // each direction's count nets the changes of both
    }
    std::vector<Moment> all;
    const auto add = [&](absl::Time since, absl::Duration after, Event event, int32_t count) {
      if (since + after <= seen_.now || since == absl::InfinitePast()) return;
      all.push_back({.at = since + after, .event = event, .count = count, .since = since});
    };
    for (const Recommendation& r : past.recommendations) {
      for (const absl::Duration w : windows) add(r.at, w, Event::kRecommendation, r.replicas);
    }
    for (const ScaleEvent& e : past.up_events) {
      for (const absl::Duration p : ups) add(e.at, p, Event::kScaleUp, e.change);
    }
    for (const ScaleEvent& e : past.down_events) {
      for (const absl::Duration p : downs) add(e.at, p, Event::kScaleDown, e.change);
    }
    if (past.base) add(past.base->at, BaseAge(), Event::kBase, past.base->replicas);
    for (const Pod& pod : seen_.pods) {
      add(pod.start, options_.cpu_initialization_period, Event::kPodStarted, 1);
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Moment& a, const Moment& b) { return a.at < b.at; });
    return all;
  }

  // When the next base is due, by asking: half a second before the interval has passed.
  absl::Duration BaseAge() const {
    const Base base{.replicas = 0, .ready_pods = 0, .at = absl::UnixEpoch()};
    absl::Duration age = std::max(spec_.period, absl::Seconds(15));
    while (age > kTick && BaseIsDue(spec_, base, base.at + age - absl::Milliseconds(100))) {
      age -= absl::Milliseconds(100);
    }
    return age;
  }

  // The world after the decision, as the next one will find it.
  struct After {
    Scale scale;
    MetricSpec metric;  // asks for what the metrics ask for now
    Reading reading;
    bool asking = false;
  };

  bool SetUp(After& after, Question& question) {
    if (d_.verdict != Verdict::kComputed && d_.verdict != Verdict::kFailed) return false;
    const ApplyResult result{
        .kind = d_.rescale ? ApplyResult::Kind::kApplied : ApplyResult::Kind::kNotTried,
        .at = seen_.now,
        .error = ""};
    question.UsePast(Remember(options_, spec_, seen_, d_, result, past_).history);
    question.seen().takes_base = true;
    if (!d_.rescale) return true;
    if (d_.recommended == d_.desired) return false;  // nothing holds it back
    after.asking = true;
    after.scale = *seen_.scale;
    after.scale.spec_replicas = after.scale.status_replicas = d_.desired;
    question.seen().scale = &after.scale;
    after.metric.target = {.kind = TargetKind::kAverageValue,
                           .average_utilization = std::nullopt,
                           .average_value = 1000,
                           .value = std::nullopt};
    after.reading.form = Reading::Form::kMilli;
    after.reading.milli = {int64_t{d_.recommended} * 1000};
    after.reading.observed_at = seen_.now;
    question.inputs() = {{.spec = &after.metric, .reading = &after.reading}};
    question.options().tolerance = 0;
    if (question.spec().behavior) {
      question.spec().behavior->scale_up.tolerance = 0;
      question.spec().behavior->scale_down.tolerance = 0;
    }
    return true;
  }

  void Time() {
    After after;
    Question question(options_, spec_, seen_, past_);
    if (!SetUp(after, question)) return;
    const auto ask = [&](absl::Time at) { return AskAt(question, after, at); };
    Alternative a{.kind = Alternative::Kind::kTime, .asking = after.asking};
    if (const Decision next = ask(seen_.now + kTick); next.desired != d_.desired) {
      a.desired = next.desired;
      a.at = seen_.now + kTick;
      a.event = Alternative::Event::kNextDecision;
      out_.push_back(a);
      return;
    }
    const std::vector<Moment> moments = Moments(question.past());
    const size_t stride = moments.size() / kMostMoments + 1;
    absl::Time same = seen_.now + kTick;
    for (size_t i = 0; i < moments.size();
         i = std::min(i + stride, std::max(i + 1, moments.size() - 1))) {
      absl::Time other = moments[i].at + kTick;  // what ends at the moment itself has ended
      if (other <= same) continue;
      if (ask(other).desired == d_.desired) {
        same = other;
        continue;
      }
      while (other - same > kTick) {
        const absl::Time middle =
            same + absl::Nanoseconds(absl::ToInt64Nanoseconds(other - same) / 2);
        (ask(middle).desired == d_.desired ? same : other) = middle;
      }
      a.at = other;
      a.desired = ask(other).desired;
      Name(moments, ask(same), ask(other), &a);
      out_.push_back(a);
      return;
    }
  }

  // The readings come again, as old as they are now.
  Decision AskAt(Question& question, After& after, absl::Time at) {
    const absl::Duration later = at - seen_.now;
    const auto move = [&](Reading reading) {
      reading.observed_at += later;
      for (PodSample& sample : reading.pods.by_pod) sample.at += later;
      return reading;
    };
    question.seen().now = at;
    if (after.asking) {
      question.SetReading(0, move(after.reading));
    } else {
      for (size_t i = 0; i < seen_.metrics.size(); ++i) {
        question.SetReading(i, move(*seen_.metrics[i].reading));
      }
    }
    return question.Ask();
  }

  // What happens at `a->at`: of the moments there, the one whose kind fits the stage that changed.
  static void Name(const std::vector<Moment>& moments, const Decision& before,
                   const Decision& after, Alternative* a) {
    using Event = Alternative::Event;
    const bool window = before.stabilised != after.stabilised;
    for (const Moment& moment : moments) {
      if (moment.at > a->at || moment.at < a->at - kTick) continue;
      const bool fits = (moment.event == Event::kRecommendation) == window;
      if (a->event != Event::kNone && !fits) continue;
      a->event = moment.event;
      a->count = moment.count;
      a->since = moment.since;
      if (fits) return;
    }
  }

  // ---- bounds ----

  void Bounds() {
    if (d_.limited == Reason::kTooManyReplicas || d_.failure == Reason::kAboveMaxReplicas) {
      Bound(Alternative::Kind::kMaxReplicas, spec_.max_replicas,
            std::numeric_limits<int32_t>::max());
    }
    if (spec_.MinReplicas() > 1 &&
        (d_.limited == Reason::kTooFewReplicas || d_.failure == Reason::kBelowMinReplicas)) {
      Bound(Alternative::Kind::kMinReplicas, spec_.MinReplicas(), 1);
    }
  }

  // The bound nearest to the present one that gives what no bound (`free`) gives.
  void Bound(Alternative::Kind kind, int64_t present, int64_t free) {
    Question question(options_, spec_, seen_, past_);
    const auto ask = [&](int64_t bound) {
      const auto value = static_cast<int32_t>(bound);
      if (kind == Alternative::Kind::kMaxReplicas) {
        question.spec().max_replicas = value;
      } else {
        question.spec().min_replicas = value;
      }
      return question.Ask().desired;
    };
    const int32_t desired = ask(free);
    if (desired == d_.desired) return;
    int64_t near = present;
    int64_t far = free;
    while (std::abs(far - near) > 1) {
      const int64_t middle = near + (far - near) / 2;
      (ask(middle) == desired ? far : near) = middle;
    }
    out_.push_back({.kind = kind, .desired = desired, .bound = static_cast<int32_t>(far)});
  }

  // ---- gates, failed metrics, guards ----

  void Gates() {
    using Kind = Alternative::Kind;
    if (d_.verdict == Verdict::kHold && d_.failure == Reason::kPaused) {
      Try(Kind::kNotPaused, [](Question& q) { q.spec().paused = false; });
    }
    if (d_.verdict == Verdict::kFailed && d_.failure == Reason::kAmbiguousSelector) {
      Try(Kind::kAlone, [](Question& q) { q.seen().overlapping = {}; });
    }
    const auto valid = [](const MetricResult& result) { return result.valid; };
    if (!std::all_of(d_.metrics.begin(), d_.metrics.end(), valid) &&
        std::any_of(d_.metrics.begin(), d_.metrics.end(), valid)) {
      Try(Kind::kReadable, [this](Question& q) {
        q.inputs().clear();
        for (size_t i = 0; i < d_.metrics.size(); ++i) {
          if (d_.metrics[i].valid) q.inputs().push_back(seen_.metrics[i]);
        }
      });
    }
    for (const Step& step : d_.steps) {
      if (step.stage != Stage::kGuards) continue;
      if (step.reason == Reason::kHeldSilentView) {
        Try(Kind::kHeard, [](Question& q) { q.seen().views_silent = false; });
      } else if (step.reason == Reason::kHeldAbsentValue) {
        Try(Kind::kPresent, [this](Question& q) {
          for (size_t i = 0; i < seen_.metrics.size(); ++i) {
            Reading reading = *seen_.metrics[i].reading;
            reading.absent = false;
            q.SetReading(i, std::move(reading));
          }
        });
      }
    }
  }

  template <typename Change>
  void Try(Alternative::Kind kind, const Change& change) {
    Question question(options_, spec_, seen_, past_);
    change(question);
    const Decision other = question.Ask();
    const bool known =
        other.verdict == Verdict::kComputed || other.verdict == Verdict::kOutOfBounds;
    if (!known || other.desired == d_.desired) return;
    out_.push_back({.kind = kind, .desired = other.desired});
  }

  const HpaOptions& options_;
  const AutoscalerSpec& spec_;
  const Observation& seen_;
  const History& past_;
  const Decision& d_;
  std::vector<Alternative> out_;
};

}  // namespace

std::vector<Alternative> WhatIf(const HpaOptions& options, const AutoscalerSpec& spec,
                                const Observation& seen, const History& past,
                                const Decision& decision) {
  return Search(options, spec, seen, past, decision).Run();
}

std::optional<int64_t> AmountOf(const Reading& reading) {
  switch (reading.form) {
    case Reading::Form::kError:
      return std::nullopt;
    case Reading::Form::kMilli: {
      int64_t sum = 0;
      for (const int64_t milli : reading.milli) {
        if (!Add(milli, &sum)) return std::nullopt;
      }
      return reading.milli.empty() ? std::nullopt : std::optional<int64_t>(sum);
    }
    case Reading::Form::kReal:
      return SumOfReals(reading.real);
    case Reading::Form::kPods:
      return SumOfPods(reading.pods);
  }
  return std::nullopt;
}

Reading WithAmount(const Reading& reading, int64_t amount) {
  Reading out = reading;
  switch (reading.form) {
    case Reading::Form::kError:
      break;
    case Reading::Form::kMilli:
      out.milli = {amount};
      break;
    case Reading::Form::kReal:
      out.real = {static_cast<double>(amount) / 1000};
      break;
    case Reading::Form::kPods: {
      const int64_t from = AmountOf(reading).value_or(0);
      out.pods = from > 0 ? InProportion(std::move(out.pods), from, amount)
                          : AllAlike(std::move(out.pods), amount);
      break;
    }
  }
  return out;
}

}  // namespace neap::core
