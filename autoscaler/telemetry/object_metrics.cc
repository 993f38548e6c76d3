#include "autoscaler/telemetry/object_metrics.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <vector>

#include "autoscaler/telemetry/metric_list.h"

namespace neap::telemetry {
namespace {

using control::TargetInfo;

// One object while a family is written.
struct Object {
  const TargetInfo& info;
  absl::Time now;
  bool withheld;
};

// Appends `text` as a label's value: backslash, quote and line feed escaped.
void AppendEscaped(std::string_view text, std::string* out) {
  for (const char c : text) {
    if (c == '\\' || c == '"') out->push_back('\\');
    if (c == '\n') {
      *out += "\\n";
    } else {
      out->push_back(c);
    }
  }
}

// One series line: `name` and then label names and values in turn.
class Line {
 public:
  Line(std::string_view name, std::string* out) : out_(out) { *out_ += name; }
  Line& Label(std::string_view name, std::string_view value) {
    *out_ += first_ ? '{' : ',';
    first_ = false;
    *out_ += name;
    *out_ += "=\"";
    AppendEscaped(value, out_);
    *out_ += '"';
    return *this;
  }
  void Value(double value) {
    if (!first_) *out_ += '}';
    if (value == std::floor(value) && std::abs(value) < 1e15) {
      fmt::format_to(std::back_inserter(*out_), " {}\n", static_cast<int64_t>(value));
    } else {
      fmt::format_to(std::back_inserter(*out_), " {}\n", value);
    }
  }

 private:
  std::string* out_;
  bool first_ = true;
};

Line HpaLine(std::string_view name, const Object& o, std::string* out) {
  Line line(name, out);
  line.Label("namespace", o.info.spec->key.ns)
      .Label("horizontalpodautoscaler", o.info.spec->key.name);
  return line;
}

Line KedaObjectLine(std::string_view name, const Object& o, std::string* out) {
  Line line(name, out);
  line.Label("namespace", o.info.spec->key.ns).Label("scaledObject", o.info.spec->key.name);
  return line;
}

// KEDA's `scaler`: the trigger's name, else what KEDA's own type is called ("prometheusScaler").
std::string ScalerName(const core::TriggerSpec& trigger) {
  return trigger.name.empty() ? trigger.type + "Scaler" : trigger.name.str();
}

std::string_view ObjectType(core::ObjectKind kind) {
  switch (kind) {
    case core::ObjectKind::kAutoscaler:
      return "autoscaler";
    case core::ObjectKind::kHpa:
      return "horizontalpodautoscaler";
    case core::ObjectKind::kScaledObject:
      return "scaledobject";
  }
  return "";
}

// Calls `each(metric, trigger index)` for the metrics that triggers gave. They come in the
// triggers' order; where one trigger gave several metrics the index is not known for sure, and -1.
template <typename Each>
void EachTriggerMetric(const TargetInfo& info, Each each) {
  size_t count = 0;
  for (const TargetInfo::Metric& metric : info.metrics) count += metric.spec->from_trigger ? 1 : 0;
  const bool one_each = count == info.spec->triggers.size();
  int index = 0;
  for (const TargetInfo::Metric& metric : info.metrics) {
    if (metric.spec->from_trigger) each(metric, one_each ? index++ : -1);
  }
}

Line KedaMetricLine(std::string_view name, const Object& o, const TargetInfo::Metric& metric,
                    int index, std::string* out) {
  Line line(name, out);
  line.Label("namespace", o.info.spec->key.ns)
      .Label("metric", metric.spec->name)
      .Label("scaledObject", o.info.spec->key.name)
      .Label("scaler", index < 0 ? "" : ScalerName(o.info.spec->triggers[index]))
      .Label("triggerIndex", index < 0 ? "" : fmt::to_string(index))
      .Label("type", ObjectType(o.info.spec->kind));
  return line;
}

// A reading as one number, as KEDA's gauge shows it: the sum of its series.
std::optional<double> ValueOf(const core::Reading& reading) {
  double sum = 0;
  switch (reading.form) {
    case core::Reading::Form::kMilli:
      for (const int64_t milli : reading.milli) sum += static_cast<double>(milli) / 1000;
      return sum;
    case core::Reading::Form::kReal:
      for (const double real : reading.real) sum += real;
      return sum;
    case core::Reading::Form::kError:
    case core::Reading::Form::kPods:
      break;
  }
  return std::nullopt;
}

// Writes a metric's fields under kube-state-metrics' names of target types. A second metric of the
// same name and type in one object would be a duplicate series, which Prometheus refuses: the first
// stays.
class TargetSeries {
 public:
  TargetSeries(std::string_view family, const Object& object, std::string* out)
      : family_(family), object_(object), out_(out) {}
  void Write(std::string_view name, std::string_view type, double value) {
    for (const auto& [n, t] : written_) {
      if (n == name && t == type) return;
    }
    written_.emplace_back(name, type);
    HpaLine(family_, object_, out_)
        .Label("metric_name", name)
        .Label("metric_target_type", type)
        .Value(value);
  }
  void Milli(std::string_view name, std::string_view type, const std::optional<int64_t>& milli) {
    if (milli) Write(name, type, static_cast<double>(*milli) / 1000);
  }

 private:
  const std::string_view family_;
  const Object& object_;
  std::string* out_;
  std::vector<std::pair<std::string_view, std::string_view>> written_;
};

void WriteInfo(std::string_view name, const Object& o, std::string* out) {
  const core::ObjectReference& target = o.info.spec->target;
  HpaLine(name, o, out)
      .Label("scaletargetref_api_version", target.api_version)
      .Label("scaletargetref_kind", target.kind)
      .Label("scaletargetref_name", target.name)
      .Value(1);
}

void WriteSpecTargets(std::string_view name, const Object& o, std::string* out) {
  TargetSeries series(name, o, out);
  for (const TargetInfo::Metric& metric : o.info.metrics) {
    const bool told = metric.reading != nullptr && metric.reading->target.has_value();
    const core::MetricTarget& target = told ? *metric.reading->target : metric.spec->target;
    if (target.average_utilization) {
      series.Write(metric.spec->name, "utilization", *target.average_utilization);
    }
    series.Milli(metric.spec->name, "average", target.average_value);
    series.Milli(metric.spec->name, "value", target.value);
  }
}

void WriteStatusTargets(std::string_view name, const Object& o, std::string* out) {
  if (o.info.status == nullptr) return;
  TargetSeries series(name, o, out);
  for (const core::MetricStatus& metric : o.info.status->current_metrics) {
    if (!metric.valid) continue;
    if (metric.average_utilization) {
      series.Write(metric.name, "utilization", *metric.average_utilization);
    }
    series.Milli(metric.name, "average", metric.average_value);
    series.Milli(metric.name, "value", metric.value);
  }
}

void WriteConditions(std::string_view name, const Object& o, std::string* out) {
  if (o.info.status == nullptr) return;
  static constexpr std::pair<core::ConditionStatus, std::string_view> kStatuses[] = {
      {core::ConditionStatus::kTrue, "true"},
      {core::ConditionStatus::kFalse, "false"},
      {core::ConditionStatus::kUnknown, "unknown"}};
  for (const core::Condition& condition : o.info.status->conditions) {
    for (const auto& [status, text] : kStatuses) {
      HpaLine(name, o, out)
          .Label("condition", condition.type)
          .Label("status", text)
          .Value(condition.status == status ? 1 : 0);
    }
  }
}

void WriteScalerValue(std::string_view name, const Object& o, std::string* out) {
  EachTriggerMetric(o.info, [&](const TargetInfo::Metric& metric, int index) {
    if (const auto value = metric.reading ? ValueOf(*metric.reading) : std::nullopt) {
      KedaMetricLine(name, o, metric, index, out).Value(*value);
    }
  });
}

void WriteScalerActive(std::string_view name, const Object& o, std::string* out) {
  EachTriggerMetric(o.info, [&](const TargetInfo::Metric& metric, int index) {
    if (metric.reading == nullptr || !metric.reading->active) return;
    KedaMetricLine(name, o, metric, index, out).Value(*metric.reading->active ? 1 : 0);
  });
}

void WriteScalerFailing(std::string_view name, const Object& o, std::string* out) {
  EachTriggerMetric(o.info, [&](const TargetInfo::Metric& metric, int index) {
    if (metric.reading == nullptr) return;
    const bool error = metric.reading->form == core::Reading::Form::kError;
    if (error && metric.reading->error.kind == core::ErrorKind::kNeverRead) return;
    KedaMetricLine(name, o, metric, index, out).Value(error ? 1 : 0);
  });
}

void WriteScalerAge(std::string_view name, const Object& o, std::string* out) {
  EachTriggerMetric(o.info, [&](const TargetInfo::Metric& metric, int index) {
    if (metric.reading == nullptr || metric.reading->observed_at == absl::InfinitePast()) return;
    KedaMetricLine(name, o, metric, index, out)
        .Value(absl::ToDoubleSeconds(o.now - metric.reading->observed_at));
  });
}

void WriteShadowDecisions(std::string_view name, const Object& o, std::string* out) {
  HpaLine(name, o, out).Label("result", "equal").Value(static_cast<double>(o.info.shadow->equal()));
  HpaLine(name, o, out)
      .Label("result", "different")
      .Value(static_cast<double>(o.info.shadow->different()));
}

// What to write of one object: a family with one number per object, or one with its own function.
// Shadowed objects have families of their own: an Autoscaler beside an HPA mostly has its name, and
// would be a duplicate.
struct Family {
  std::string_view name;
  bool shadow = false;
  // Exactly one of the two. nullopt: no series.
  std::optional<double> (*number)(const Object&) = nullptr;
  void (*write)(std::string_view name, const Object&, std::string* out) = nullptr;
};

constexpr Family kFamilies[] = {
    {.name = "neap_autoscaler_info", .write = WriteInfo},
    {.name = "neap_autoscaler_metadata_generation",
     .number = [](const Object& o) -> std::optional<double> { return o.info.spec->generation; }},
    {.name = "neap_autoscaler_spec_min_replicas",
     .number = [](const Object& o) -> std::optional<double> { return o.info.spec->MinReplicas(); }},
    {.name = "neap_autoscaler_spec_max_replicas",
     .number = [](const Object& o) -> std::optional<double> { return o.info.spec->max_replicas; }},
    {.name = "neap_autoscaler_spec_target_metric", .write = WriteSpecTargets},
    {.name = "neap_autoscaler_status_target_metric", .write = WriteStatusTargets},
    {.name = "neap_autoscaler_status_condition", .write = WriteConditions},
    {.name = "neap_autoscaler_status_current_replicas",
     .number = [](const Object& o) -> std::optional<double> {
       if (o.info.decision == nullptr) return std::nullopt;
       return o.info.status->current_replicas;
     }},
    {.name = "neap_autoscaler_status_desired_replicas",
     .number = [](const Object& o) -> std::optional<double> {
       if (o.info.decision == nullptr) return std::nullopt;
       return o.info.status->desired_replicas;
     }},
    {.name = "neap_autoscaler_recommended_replicas",
     .number = [](const Object& o) -> std::optional<double> {
       if (o.info.decision == nullptr || o.info.decision->verdict != core::Verdict::kComputed) {
         return std::nullopt;
       }
       return o.info.decision->recommended;
     }},
    {.name = "neap_autoscaler_writes_withheld",
     .number = [](const Object& o) -> std::optional<double> { return o.withheld ? 1 : 0; }},
    {.name = "neap_autoscaler_last_decision_timestamp_seconds",
     .number = [](const Object& o) -> std::optional<double> {
       if (o.info.decided_at == absl::InfinitePast()) return std::nullopt;
       return absl::ToDoubleSeconds(o.info.decided_at - absl::UnixEpoch());
     }},
    {.name = "neap_autoscaler_decisions_total",
     .number = [](const Object& o) -> std::optional<double> { return o.info.decisions; }},
    {.name = "neap_autoscaler_rescales_total",
     .number = [](const Object& o) -> std::optional<double> { return o.info.rescales; }},
    {.name = "neap_scaled_object_errors_total",
     .write =
         [](std::string_view name, const Object& o, std::string* out) {
           KedaObjectLine(name, o, out).Value(static_cast<double>(o.info.failures));
         }},
    {.name = "neap_scaled_object_paused",
     .write =
         [](std::string_view name, const Object& o, std::string* out) {
           KedaObjectLine(name, o, out).Value(o.info.spec->paused ? 1 : 0);
         }},
    {.name = "neap_scaler_metrics_value", .write = WriteScalerValue},
    {.name = "neap_scaler_active", .write = WriteScalerActive},
    {.name = "neap_scaler_failing", .write = WriteScalerFailing},
    {.name = "neap_scaler_reading_age_seconds", .write = WriteScalerAge},
    {.name = "neap_shadow_decisions_total", .shadow = true, .write = WriteShadowDecisions},
    {.name = "neap_shadow_current_replicas",
     .shadow = true,
     .number = [](const Object& o) -> std::optional<double> {
       if (o.info.scale == nullptr) return std::nullopt;
       return o.info.scale->spec_replicas;
     }},
    {.name = "neap_shadow_desired_replicas",
     .shadow = true,
     .number = [](const Object& o) -> std::optional<double> {
       const core::Decision* d = o.info.decision;
       if (d == nullptr || d->verdict == core::Verdict::kHold ||
           d->verdict == core::Verdict::kFailed || d->verdict == core::Verdict::kNoScale) {
         return std::nullopt;
       }
       return d->desired;
     }},
    {.name = "neap_shadow_hpa_desired_replicas",
     .shadow = true,
     .number = [](const Object& o) -> std::optional<double> {
       return o.info.shadow->other_desired();
     }},
    {.name = "neap_shadow_differs_seconds",
     .shadow = true,
     .number = [](const Object& o) -> std::optional<double> {
       const auto since = o.info.shadow->differs_since();
       return since ? absl::ToDoubleSeconds(o.now - *since) : 0;
     }},
};

}  // namespace

int ObjectMetrics::Families() { return static_cast<int>(std::size(kFamilies)); }

bool ObjectMetrics::Write(int family, absl::Time now, std::string* after, std::string* out) const {
  const Family& f = kFamilies[family];
  if (after->empty()) {
    const MetricInfo& info = FindMetric(f.name);
    fmt::format_to(std::back_inserter(*out), "# HELP {} {}\n# TYPE {} {}\n", f.name, info.help,
                   f.name, MetricTypeName(info.type));
  }
  TargetInfo info;
  for (int i = 0; i < kChunk; ++i) {
    if (!controller_.NextTarget(*after, &info)) return false;
    after->assign(info.uid);
    if (f.shadow != (info.shadow != nullptr)) continue;
    const Object object{.info = info, .now = now, .withheld = withheld_(info.uid)};
    if (f.write != nullptr) {
      f.write(f.name, object, out);
    } else if (const std::optional<double> number = f.number(object)) {
      HpaLine(f.name, object, out).Value(*number);
    }
  }
  return true;
}

}  // namespace neap::telemetry
