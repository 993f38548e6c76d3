#include "tools/neapctl/observation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/selector.h"
#include "autoscaler/base/status.h"
#include "autoscaler/kube/objects/fields.h"

namespace neap::ctl {
namespace {

using kube::objects::Fields;
using kube::objects::Report;

constexpr std::string_view kTrueFalse[] = {"True", "False", "Unknown", "None"};
constexpr std::string_view kPhases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
constexpr std::string_view kErrorKinds[] = {"Unavailable", "Timeout",   "Denied",
                                            "NotFound",    "BadAnswer", "NeverRead"};
constexpr core::ErrorKind kErrorKindValues[] = {
    core::ErrorKind::kUnavailable, core::ErrorKind::kTimeout,   core::ErrorKind::kDenied,
    core::ErrorKind::kNotFound,    core::ErrorKind::kBadAnswer, core::ErrorKind::kNeverRead};
constexpr std::string_view kTargetTypes[] = {"AverageValue", "Value"};

class Decoder {
 public:
  Decoder(const core::AutoscalerSpec& spec, Report& report, WrittenObservation& out)
      : spec_(spec), report_(report), out_(out) {}

  void Document(const value::Value& document) {
    Fields f(&document, "", report_,
             {"apiVersion", "kind", "now", "options", "scale", "pods", "metrics", "history",
              "overlapping", "viewsSynced", "viewsSilent"});
    if (const std::string text = f.String("now"); !text.empty()) {
      const auto now = base::ParseTime(text);
      if (now.ok()) {
        out_.seen.now = *now;
      } else {
        f.Error("now", std::string(base::Message(now.status())));
      }
    }
    Options(f);
    Scale(f);
    ForEach(f, "pods", [&](const value::Value& v, std::string path) { Pods(v, std::move(path)); });
    Metrics(f);
    History(f);
    ForEach(f, "overlapping", [&](const value::Value& v, const std::string& path) {
      if (v.is_string()) {
        out_.seen.overlapping.push_back(v.AsString());
      } else {
        report_.Error(&v, path, "expected the text namespace/name");
      }
    });
    std::sort(out_.seen.overlapping.begin(), out_.seen.overlapping.end());
    out_.seen.views_synced = f.Bool("viewsSynced").value_or(true);
    out_.seen.views_silent = f.Bool("viewsSilent").value_or(false);
  }

 private:
  template <typename F>
  void ForEach(Fields& f, std::string_view key, const F& decode) {
    const std::vector<value::Value>* list = f.List(key);
    for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
      decode((*list)[i], fmt::format("{}[{}]", f.Path(key), i));
    }
  }

  absl::Duration Duration(Fields& f, std::string_view key, absl::Duration otherwise) {
    const std::string text = f.String(key);
    if (text.empty()) return otherwise;
    const auto parsed = base::ParseDuration(text);
    if (parsed.ok() && *parsed >= absl::ZeroDuration()) return *parsed;
    f.Error(key, parsed.ok() ? std::string("must not be negative")
                             : std::string(base::Message(parsed.status())));
    return otherwise;
  }
  absl::Time Ago(Fields& f, std::string_view key, absl::Duration otherwise) {
    return out_.seen.now - Duration(f, key, otherwise);
  }

  void Options(Fields& parent) {
    Fields f(parent, "options",
             {"tolerance", "downscaleStabilization", "cpuInitializationPeriod",
              "initialReadinessDelay", "scaleToZero"});
    core::HpaOptions& o = out_.options;
    if (const auto tolerance = f.Quantity("tolerance")) o.tolerance = tolerance->AsDouble();
    o.downscale_stabilization = Duration(f, "downscaleStabilization", o.downscale_stabilization);
    o.cpu_initialization_period =
        Duration(f, "cpuInitializationPeriod", o.cpu_initialization_period);
    o.initial_readiness_delay = Duration(f, "initialReadinessDelay", o.initial_readiness_delay);
    o.scale_to_zero = f.Bool("scaleToZero").value_or(o.scale_to_zero);
  }

  void Scale(Fields& parent) {
    Fields f(parent, "scale", {"specReplicas", "statusReplicas", "selector", "error"});
    if (!f.present()) {
      parent.Required("scale", "what the target's scale subresource says, or its error");
      return;
    }
    if (const std::string error = f.String("error"); !error.empty()) {
      out_.seen.scale_error = {.kind = core::ErrorKind::kUnavailable, .message = error};
      return;
    }
    const std::optional<int32_t> replicas = f.Int32("specReplicas");
    if (!replicas) f.Required("specReplicas", "the count that is asked for now");
    core::Scale& scale = out_.seen.scale.emplace();
    scale.uid = "observed";
    scale.spec_replicas = replicas.value_or(0);
    scale.status_replicas = f.Int32("statusReplicas").value_or(scale.spec_replicas);
    scale.selector = f.String("selector");
    if (scale.selector.empty()) f.Required("selector", "as scale.status.selector, app=web");
    const auto selector = base::Selector::Parse(scale.selector);
    if (!selector.ok()) out_.seen.selector_error = base::Message(selector.status());
  }

  core::ResourceAmounts Amounts(Fields& parent, std::string_view key) {
    core::ResourceAmounts out;
    const value::Value* map = parent.Get(key);
    if (map == nullptr) return out;
    Fields f(map, parent.Path(key), report_);
    if (!f.present()) return out;
    for (const auto& [resource, amount] : map->map()) {
      if (const auto quantity = f.Quantity(resource)) {
        out.push_back(core::ResourceAmount::Of(resource, *quantity));
      }
    }
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return a.resource < b.resource; });
    return out;
  }

  // One entry is one pod, or `count` pods named <name>-1, <name>-2, ...
  void Pods(const value::Value& value, std::string path) {
    Fields f(&value, std::move(path), report_,
             {"name", "count", "phase", "ready", "readyFor", "startedFor", "deleting", "requests",
              "containers"});
    core::Pod pod;
    pod.name = f.String("name");
    if (pod.name.empty()) f.Required("name", "samples are matched by it");
    pod.start = Ago(f, "startedFor", absl::Hours(1));
    pod.ready_at = Ago(f, "readyFor", absl::Hours(1));
    pod.phase = static_cast<core::PodPhase>(f.Enum("phase", kPhases).value_or(1));
    pod.ready = std::array{core::PodReady::kTrue, core::PodReady::kFalse, core::PodReady::kUnknown,
                           core::PodReady::kNone}[f.Enum("ready", kTrueFalse).value_or(0)];
    pod.deleting = f.Bool("deleting").value_or(false);
    pod.requests = static_cast<uint32_t>(out_.seen.requests.size());
    out_.seen.requests.push_back(Requests(f));
    const std::optional<int32_t> count = f.Int32("count");
    if (!count) {
      out_.seen.pods.push_back(pod);
      return;
    }
    if (*count < 0 || *count > 100000) f.Invalid("count", "must be from 0 to 100000");
    const std::string name(pod.name);
    for (int32_t i = 1; i <= std::min(*count, 100000); ++i) {
      pod.name = fmt::format("{}-{}", name, i);
      out_.seen.pods.push_back(pod);
    }
  }

  core::PodRequests Requests(Fields& f) {
    core::PodRequests out;
    if (f.Get("requests") != nullptr && f.Get("containers") != nullptr) {
      f.Forbidden("requests", "name them for each of the containers, or for the pod without");
    }
    if (f.Get("requests") != nullptr) {
      out.containers.push_back(
          {.name = "main", .sidecar = false, .requests = Amounts(f, "requests")});
    }
    ForEach(f, "containers", [&](const value::Value& v, std::string path) {
      Fields c(&v, std::move(path), report_, {"name", "requests"});
      out.containers.push_back(
          {.name = c.String("name"), .sidecar = false, .requests = Amounts(c, "requests")});
    });
    return out;
  }

  void Metrics(Fields& f) {
    const size_t expected = spec_.metrics.size() + spec_.triggers.size();
    const std::vector<value::Value>* list = f.List("metrics");
    const size_t found = list == nullptr ? 0 : list->size();
    if (found != expected) {
      f.Error("metrics",
              fmt::format("{} entries for the object's {} metrics and {} triggers, in this order",
                          found, spec_.metrics.size(), spec_.triggers.size()));
      return;
    }
    for (size_t i = 0; i < found; ++i) {
      Metric((*list)[i], fmt::format("metrics[{}]", i), i);
    }
  }

  void Metric(const value::Value& value, std::string path, size_t index) {
    Fields f(&value, std::move(path), report_,
             {"value", "values", "everyPod", "perPod", "error", "errorKind", "age", "window",
              "absent", "active", "staleAfter", "name", "target"});
    core::Reading reading;
    reading.sequence = index + 1;
    reading.observed_at = reading.sampled_at = Ago(f, "age", absl::ZeroDuration());
    reading.absent = f.Bool("absent").value_or(false);
    reading.active = f.Bool("active");
    int forms = 0;
    for (const char* form : {"value", "values", "everyPod", "perPod", "error"}) {
      if (f.Get(form) != nullptr) ++forms;
    }
    if (forms != 1) {
      f.Required("value", "one of value, values, everyPod, perPod and error says what was read");
    }
    Values(f, reading);
    record::OwnedObservation::Metric metric;
    if (index >= spec_.metrics.size()) {
      metric.spec = TriggerMetric(f, index - spec_.metrics.size());
    } else {
      metric.spec = spec_.metrics[index];
      if (f.Get("name") != nullptr || f.Get("target") != nullptr) {
        f.Forbidden("target", "the object itself says the name and target of its metrics");
      }
    }
    metric.stale_after = Duration(f, "staleAfter", absl::InfiniteDuration());
    out_.seen.readings.push_back(std::move(reading));
    out_.seen.metrics.push_back(std::move(metric));
  }

  void Values(Fields& f, core::Reading& reading) {
    if (const std::string error = f.String("error"); !error.empty()) {
      reading.form = core::Reading::Form::kError;
      reading.error = {.kind = kErrorKindValues[f.Enum("errorKind", kErrorKinds).value_or(0)],
                       .message = error};
      if (reading.error.kind == core::ErrorKind::kNeverRead) reading.sequence = 0;
    } else if (f.Get("everyPod") != nullptr || f.Get("perPod") != nullptr) {
      reading.form = core::Reading::Form::kPods;
      PodValues(f, reading);
    } else {
      reading.form = core::Reading::Form::kMilli;
      if (const auto one = f.Quantity("value")) reading.milli.push_back(one->Milli());
      ForEach(f, "values", [&](const value::Value& v, const std::string& path) {
        const auto quantity = base::Quantity::Parse(v.text());
        if (quantity.ok()) {
          reading.milli.push_back(quantity->Milli());
        } else {
          report_.Error(&v, path, std::string(base::Message(quantity.status())));
        }
      });
    }
  }

  void PodValues(Fields& f, core::Reading& reading) {
    core::PodSample sample;
    sample.at = reading.sampled_at;
    sample.window = Duration(f, "window", absl::Seconds(30));
    sample.present = true;
    if (const auto every = f.Quantity("everyPod")) {
      sample.milli = every->Milli();
      reading.pods.by_pod.assign(out_.seen.pods.size(), sample);
    }
    const value::Value* map = f.Get("perPod");
    if (map == nullptr) return;
    Fields per_pod(map, f.Path("perPod"), report_);
    if (!per_pod.present()) return;
    reading.pods.by_pod.resize(out_.seen.pods.size());
    for (const auto& [name, amount] : map->map()) {
      const auto quantity = per_pod.Quantity(name);
      if (!quantity) continue;
      sample.milli = quantity->Milli();
      const auto pod =
          std::find_if(out_.seen.pods.begin(), out_.seen.pods.end(),
                       [&, &pod_name = name](const core::Pod& p) { return p.name == pod_name; });
      if (pod == out_.seen.pods.end()) {
        reading.pods.stray.push_back(sample.milli);
      } else {
        reading.pods.by_pod[static_cast<size_t>(pod - out_.seen.pods.begin())] = sample;
      }
    }
  }

  // What a trigger's parameters mean only its scaler knows, so the observation says it.
  core::MetricSpec TriggerMetric(Fields& f, size_t trigger) {
    core::MetricSpec metric;
    metric.source = core::MetricSource::kExternal;
    metric.source_text = "External";
    metric.from_trigger = true;
    metric.has_activity = true;
    metric.name = f.String("name");
    if (metric.name.empty()) {
      metric.name = fmt::format("s{}-{}", trigger, spec_.triggers[trigger].type);
    }
    Fields target(f, "target", {"type", "value"});
    const std::optional<base::Quantity> amount = target.Quantity("value");
    if (!amount || amount->Milli() <= 0) {
      f.Required("target", "{type: AverageValue or Value, value: above 0}, as the scaler gives it");
    } else if (target.Enum("type", kTargetTypes).value_or(0) == 0) {
      metric.target.kind = core::TargetKind::kAverageValue;
      metric.target.average_value = amount->Milli();
    } else {
      metric.target.kind = core::TargetKind::kValue;
      metric.target.value = amount->Milli();
    }
    return metric;
  }

  void History(Fields& parent) {
    Fields f(parent, "history", {"recommendations", "scaleUps", "scaleDowns"});
    ForEach(f, "recommendations", [&](const value::Value& v, std::string path) {
      Fields r(&v, std::move(path), report_, {"replicas", "age"});
      out_.past.recommendations.push_back(
          {.replicas = r.Int32("replicas").value_or(0), .at = Ago(r, "age", absl::ZeroDuration())});
    });
    ForEach(f, "scaleUps", [&](const value::Value& v, std::string path) {
      out_.past.up_events.push_back(ScaleEvent(v, std::move(path)));
    });
    ForEach(f, "scaleDowns", [&](const value::Value& v, std::string path) {
      out_.past.down_events.push_back(ScaleEvent(v, std::move(path)));
    });
  }
  core::ScaleEvent ScaleEvent(const value::Value& v, std::string path) {
    Fields e(&v, std::move(path), report_, {"change", "age"});
    const int32_t change = e.Int32("change").value_or(0);
    if (change <= 0) e.Invalid("change", "must be greater than 0: by how many replicas");
    return {.change = change, .at = Ago(e, "age", absl::ZeroDuration()), .outdated = false};
  }

  const core::AutoscalerSpec& spec_;
  Report& report_;
  WrittenObservation& out_;
};

}  // namespace

bool IsObservation(const value::Value& document) {
  return document.StringAt("kind") == "Observation";
}

WrittenObservation DecodeObservation(const value::Value& document, const core::AutoscalerSpec& spec,
                                     absl::Time now,
                                     std::vector<kube::objects::Problem>& problems) {
  const kube::objects::DecodeOptions options;
  kube::objects::Decoded decoded;
  Report report(options, decoded);
  WrittenObservation out;
  out.seen.now = now;
  Decoder(spec, report, out).Document(document);
  problems.insert(problems.end(), decoded.errors.begin(), decoded.errors.end());
  return out;
}

}  // namespace neap::ctl
