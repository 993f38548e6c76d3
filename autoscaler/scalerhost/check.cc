#include "autoscaler/scalerhost/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {
namespace {

constexpr absl::Duration kMaxAge = absl::Hours(24 * 366);
constexpr absl::Duration kMaxAhead = absl::Hours(1);
constexpr size_t kMaxName = 253;                          // bytes of a metric name
constexpr int64_t kYear2000 = 946'684'800;                // Unix seconds
constexpr int64_t kNanosecond = 1'000'000'000;            // per second
constexpr int64_t kMaxDurationSeconds = 315'576'000'000;  // google.protobuf.Duration's own limit

core::ReadingError BadAnswer(std::string_view what) {
  return {.kind = core::ErrorKind::kBadAnswer,
          .message = fmt::format("bad answer of the scaler: {}", what)};
}

// One metric's judgement: the first thing that is wrong ends it.
class MetricCheck {
 public:
  MetricCheck(std::string_view type, absl::Time received, Violations& violations)
      : type_(type), received_(received), violations_(violations) {}

  // `metric` is nullptr for hpa-* types.
  control::MetricReading Run(const pb::MetricReading& from, const OpenedTrigger::Metric* metric);

 private:
  bool Fail(Violation violation, std::string_view what) {
    Count(violation);
    out_.reading.form = core::Reading::Form::kError;
    out_.reading.error = BadAnswer(what);
    return false;
  }
  void Count(Violation violation) { ++violations_[static_cast<size_t>(violation)]; }

  bool Times(const pb::MetricReading& from);
  bool SampledAt(int64_t seconds, int64_t nanoseconds, absl::Time* at);
  bool Activity(const pb::MetricReading& from, const OpenedTrigger::Metric* metric);
  bool Target(const pb::MetricReading& from);
  bool Result(const pb::MetricReading& from);
  bool Numbers(const pb::Series& series);
  bool Pods(const pb::PodValues& pods);

  const std::string_view type_;
  const absl::Time received_;
  Violations& violations_;
  control::MetricReading out_;
};

// How far a target can be used: nullopt and why not.
std::optional<core::MetricTarget> TargetOf(const pb::Target& target, int64_t least,
                                           std::string* why) {
  core::MetricTarget result;
  switch (target.kind()) {
    case pb::VALUE:
      result.kind = core::TargetKind::kValue;
      result.value = target.amount();
      break;
    case pb::AVERAGE_VALUE:
      result.kind = core::TargetKind::kAverageValue;
      result.average_value = target.amount();
      break;
    case pb::UTILIZATION:
      *why = "a trigger's target can't be a Utilization";
      return std::nullopt;
    default:
      *why = "the target has no kind";
      return std::nullopt;
  }
  if (target.amount() < least) {
    *why = fmt::format("the target {} is not positive", base::FormatMilli(target.amount()));
    return std::nullopt;
  }
  return result;
}

bool MetricCheck::SampledAt(int64_t seconds, int64_t nanoseconds, absl::Time* at) {
  if (nanoseconds < 0 || nanoseconds >= kNanosecond) {
    return Fail(Violation::kBadTime, "sampled_at is no time");
  }
  // In seconds first: an absurd number must not pass through time arithmetic.
  if (seconds < kYear2000) return Fail(Violation::kBadTime, "sampled_at lies before the year 2000");
  if (seconds > absl::ToUnixSeconds(received_ + kMaxAhead)) {
    return Fail(Violation::kBadTime, "sampled_at lies more than an hour in the future");
  }
  *at = absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanoseconds);
  return true;
}

bool MetricCheck::Times(const pb::MetricReading& from) {
  const google::protobuf::Duration& age = from.age();
  if (age.seconds() > kMaxDurationSeconds || age.seconds() < -kMaxDurationSeconds ||
      age.nanos() <= -kNanosecond || age.nanos() >= kNanosecond) {
    return Fail(Violation::kBadTime, "age is no duration");
  }
  const absl::Duration old = absl::Seconds(age.seconds()) + absl::Nanoseconds(age.nanos());
  if (old < absl::ZeroDuration()) return Fail(Violation::kBadTime, "age is negative");
  if (old > kMaxAge) return Fail(Violation::kBadTime, "age is more than a year");
  out_.reading.observed_at = received_ - old;
  if (!from.has_sampled_at()) return true;
  absl::Time at;
  if (!SampledAt(from.sampled_at().seconds(), from.sampled_at().nanos(), &at)) return false;
  out_.reading.sampled_at = at;
  return true;
}

bool MetricCheck::Activity(const pb::MetricReading& from, const OpenedTrigger::Metric* metric) {
  if (metric == nullptr || !metric->has_activity) return true;
  if (!from.has_active())
    return Fail(Violation::kBadActivity, "it does not say whether it is active");
  out_.reading.active = from.active();
  return true;
}

bool MetricCheck::Target(const pb::MetricReading& from) {
  if (!from.has_suggested_target()) return true;
  std::string why;
  if (IsHpaType(type_)) {
    why = "the target stands in the object, none can be suggested";
  } else if (auto target = TargetOf(from.suggested_target(), 1, &why)) {
    out_.reading.target = *target;
    return true;
  }
  return Fail(Violation::kBadTarget, why);
}

bool MetricCheck::Numbers(const pb::Series& series) {
  if (IsPodType(type_)) return Fail(Violation::kBadForm, "a series where per-pod values belong");
  if (series.milli_size() > 0 && series.real_size() > 0) {
    return Fail(Violation::kBadSeries, "both milli and real are filled");
  }
  const int count = series.milli_size() + series.real_size();
  if (count > kMaxValues) {
    return Fail(Violation::kBadSeries,
                fmt::format("{} values, at most {} are taken", count, kMaxValues));
  }
  if (count == 0 && !IsHpaType(type_))
    return Fail(Violation::kBadSeries, "a series without values");
  if (series.real_size() == 0) {
    out_.reading.form = core::Reading::Form::kMilli;
    out_.reading.milli.assign(series.milli().begin(), series.milli().end());
    return true;
  }
  out_.reading.real.reserve(static_cast<size_t>(count));
  for (double value : series.real()) {
    if (!std::isfinite(value)) {
      out_.reading.real.clear();
      return Fail(Violation::kBadNumber,
                  std::isnan(value) ? "the value is NaN" : "the value is infinite");
    }
    if (value == 0 && std::signbit(value)) {
      Count(Violation::kNegativeZero);
      value = 0;
    }
    out_.reading.real.push_back(value);
  }
  out_.reading.form = core::Reading::Form::kReal;
  return true;
}

bool MetricCheck::Pods(const pb::PodValues& pods) {
  if (!IsPodType(type_)) return Fail(Violation::kBadForm, "per-pod values where a series belongs");
  const int count = pods.pod_size();
  if (count > kMaxValues) {
    return Fail(Violation::kBadColumns,
                fmt::format("{} pods, at most {} are taken", count, kMaxValues));
  }
  const auto fits = [count](int size) { return size == count || (size == 1 && count > 0); };
  if (pods.milli_size() != count || !fits(pods.sampled_at_ns_size()) ||
      !fits(pods.window_ns_size())) {
    return Fail(
        Violation::kBadColumns,
        fmt::format("columns of unequal length: {} pods, {} values, {} times, {} windows", count,
                    pods.milli_size(), pods.sampled_at_ns_size(), pods.window_ns_size()));
  }
  std::set<std::string_view> seen;
  std::vector<control::NamedPodSample> samples;
  samples.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const std::string& name = pods.pod(i);
    if (name.empty()) return Fail(Violation::kBadColumns, "a pod without a name");
    if (!seen.insert(name).second) {
      return Fail(Violation::kBadColumns, fmt::format("pod {} twice", CleanText(name)));
    }
    control::NamedPodSample sample{.pod = name, .milli = pods.milli(i)};
    const int64_t at = pods.sampled_at_ns(pods.sampled_at_ns_size() == 1 ? 0 : i);
    if (at < 0) return Fail(Violation::kBadTime, "sampled_at lies before the year 2000");
    if (!SampledAt(at / kNanosecond, at % kNanosecond, &sample.at)) return false;
    const int64_t window = pods.window_ns(pods.window_ns_size() == 1 ? 0 : i);
    if (window < 0) return Fail(Violation::kBadTime, "a window is negative");
    sample.window = absl::Nanoseconds(window);
    samples.push_back(std::move(sample));
  }
  out_.reading.form = core::Reading::Form::kPods;
  out_.pod_samples = std::move(samples);
  return true;
}

bool MetricCheck::Result(const pb::MetricReading& from) {
  switch (from.result_case()) {
    case pb::MetricReading::kSeries:
      return Numbers(from.series());
    case pb::MetricReading::kPods:
      return Pods(from.pods());
    case pb::MetricReading::kError:
      out_.reading.error = ErrorOf(from.error());
      return false;
    case pb::MetricReading::RESULT_NOT_SET:
      break;
  }
  return Fail(Violation::kBadForm, "it has neither a value nor an error");
}

control::MetricReading MetricCheck::Run(const pb::MetricReading& from,
                                        const OpenedTrigger::Metric* metric) {
  out_.name = from.name();
  out_.reading.absent = from.absent();
  // An error needs no times, but they are kept where they make sense.
  out_.reading.observed_at = received_;
  if (Result(from) && Times(from) && Activity(from, metric) && Target(from)) return std::move(out_);
  // Nothing of a failed reading is left over.
  control::MetricReading failed;
  failed.name = from.name();
  failed.reading.error = std::move(out_.reading.error);
  failed.reading.observed_at = received_;
  return failed;
}

control::MetricReading FailedMetric(std::string name, absl::Time received, std::string_view what) {
  control::MetricReading failed;
  failed.name = std::move(name);
  failed.reading.error = BadAnswer(what);
  failed.reading.observed_at = received;
  return failed;
}

// The metrics of a trigger by name; "" alone for an hpa-* type.
std::map<std::string_view, const OpenedTrigger::Metric*> MetricsOf(const OpenedTrigger& opened,
                                                                   std::string_view type) {
  std::map<std::string_view, const OpenedTrigger::Metric*> metrics;
  if (IsHpaType(type)) metrics.emplace("", nullptr);
  for (const OpenedTrigger::Metric& metric : opened.metrics) metrics.emplace(metric.name, &metric);
  return metrics;
}

}  // namespace

absl::StatusOr<std::vector<core::MetricSpec>> CheckMetrics(
    const google::protobuf::RepeatedPtrField<pb::MetricSpec>& metrics, bool zero_targets,
    Violations& violations) {
  const auto count = [&](Violation violation) { ++violations[static_cast<size_t>(violation)]; };
  if (metrics.empty() || metrics.size() > kMaxMetrics) {
    count(Violation::kBadName);
    return base::InvalidArgument("{} metrics, 1 to {} are taken", metrics.size(), kMaxMetrics);
  }
  std::vector<core::MetricSpec> result;
  std::set<std::string_view> names;
  for (const pb::MetricSpec& metric : metrics) {
    const std::string& name = metric.name();
    if (name.empty() || name.size() > kMaxName || CleanText(name) != name) {
      count(Violation::kBadName);
      return base::InvalidArgument("the metric name \"{}\" can't be used", CleanText(name));
    }
    if (!names.insert(name).second) {
      count(Violation::kBadName);
      return base::InvalidArgument("metric {} twice", name);
    }
    std::string why = "no target";
    const std::optional<core::MetricTarget> target =
        metric.has_target() ? TargetOf(metric.target(), zero_targets ? 0 : 1, &why) : std::nullopt;
    if (!target) {
      count(Violation::kBadTarget);
      return base::InvalidArgument("metric {}: {}", name, why);
    }
    core::MetricSpec& spec = result.emplace_back();
    spec.source = core::MetricSource::kExternal;
    spec.name = metric.name();
    spec.target = *target;
    spec.from_trigger = true;
    spec.has_activity = metric.has_activity();
  }
  return result;
}

control::TriggerOpened CheckStatus(const pb::TriggerStatus& status, std::string_view type,
                                   Violations& violations) {
  control::TriggerOpened opened{.trigger_id = status.trigger_id(), .metrics = {}, .error = {}};
  if (status.has_error()) {
    opened.error = ErrorOf(status.error());
  } else if (!IsHpaType(type)) {
    auto metrics = CheckMetrics(status.metrics(), /*zero_targets=*/false, violations);
    if (metrics.ok()) {
      opened.metrics = *std::move(metrics);
    } else {
      opened.error = BadAnswer(base::Message(metrics.status()));
    }
  }
  return opened;
}

control::TriggerReading FailedReading(std::string trigger_id, uint64_t round,
                                      core::ReadingError error) {
  return {.trigger_id = std::move(trigger_id),
          .round = round,
          .metrics = {},
          .error = std::move(error)};
}

OpenedTrigger::OpenedTrigger(const control::TriggerOpened& opened) : error(opened.error) {
  metrics.reserve(opened.metrics.size());
  for (const core::MetricSpec& metric : opened.metrics) {
    metrics.push_back({metric.name, metric.target, metric.has_activity});
  }
}

size_t OpenedTrigger::ByValue::operator()(
    const std::shared_ptr<const OpenedTrigger>& opened) const {
  size_t hash = 0;
  const auto add = [&hash](size_t more) { hash = hash * 31 + more; };
  for (const Metric& metric : opened->metrics) {
    add(std::hash<std::string>()(metric.name));
    add(static_cast<size_t>(metric.target.average_value.value_or(0)));
    add(static_cast<size_t>(metric.target.value.value_or(0)));
  }
  if (opened->error) add(std::hash<std::string>()(opened->error->message));
  return hash;
}

control::TriggerReading CheckReading(const pb::Reading& reading, std::string_view type,
                                     const OpenedTrigger& opened, absl::Time received,
                                     Violations& violations) {
  const auto count = [&](Violation violation) { ++violations[static_cast<size_t>(violation)]; };
  const auto fail = [&](core::ReadingError error) {
    return FailedReading(reading.trigger_id(), reading.round(), std::move(error));
  };
  if (reading.has_error()) return fail(ErrorOf(reading.error()));
  if (opened.error) return fail(*opened.error);
  if (reading.metrics_size() > kMaxMetrics) {
    count(Violation::kBadName);
    return fail(BadAnswer(
        fmt::format("{} metrics, at most {} are taken", reading.metrics_size(), kMaxMetrics)));
  }

  const auto known = MetricsOf(opened, type);
  std::map<std::string_view, control::MetricReading> judged;
  for (const pb::MetricReading& metric : reading.metrics()) {
    const auto at = known.find(metric.name());
    if (at == known.end()) {  // of nobody: there is no metric that could fail
      count(Violation::kBadName);
      continue;
    }
    if (judged.contains(at->first)) {
      count(Violation::kBadName);
      judged[at->first] = FailedMetric(metric.name(), received, "the metric twice");
      continue;
    }
    judged[at->first] = MetricCheck(type, received, violations).Run(metric, at->second);
  }

  control::TriggerReading result{
      .trigger_id = reading.trigger_id(), .round = reading.round(), .metrics = {}, .error = {}};
  const auto add = [&](std::string_view name) {
    const auto found = judged.find(name);
    if (found != judged.end()) {
      result.metrics.push_back(std::move(found->second));
      return;
    }
    count(Violation::kMissingMetric);
    result.metrics.push_back(FailedMetric(std::string(name), received, "the metric is missing"));
  };
  if (IsHpaType(type)) add("");
  for (const OpenedTrigger::Metric& metric : opened.metrics) add(metric.name);
  return result;
}

}  // namespace neap::scalerhost
