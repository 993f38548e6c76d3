#include "autoscaler/kube/objects/objects.h"

#include <algorithm>
#include <array>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/kube/objects/fields.h"
#include "autoscaler/kube/objects/resource_trigger.h"
#include "autoscaler/kube/objects/status_json.h"

namespace neap::kube::objects {
namespace {

constexpr absl::Duration kMinPeriod = absl::Seconds(1);
constexpr absl::Duration kMaxPeriod = absl::Hours(1);
constexpr absl::Duration kMaxPollingInterval = absl::Hours(24);

constexpr std::array<std::string_view, 3> kModes = {"Live", "DryRun", "Paused"};
constexpr std::array<std::string_view, 2> kGuards = {"Safe", "None"};
constexpr std::array<std::string_view, 2> kOnAbsent = {"Hold", "Value"};
constexpr std::array<std::string_view, 2> kHolds = {"UnschedulablePods", "QuotaExceeded"};
constexpr std::array<std::string_view, 2> kZeroPolicies = {"Hpa", "Activation"};

void CheckTexts(Fields& parent, std::string_view key) {
  const value::Value* map = parent.Get(key);
  if (map == nullptr) return;
  if (!map->is_map()) return parent.Error(key, fmt::format("expected a map, got {}", Show(*map)));
  Fields f(map, parent.Path(key), parent.report());
  for (const auto& [name, text] : map->map()) {
    if (!text.is_null()) f.String(name);
  }
}

void DecodeMetadata(Fields& object, Decoded& out, Report& report) {
  Fields f(object, "metadata",
           {"name", "namespace", "labels", "annotations", "uid", "generation", "resourceVersion",
            "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers",
            "generateName", "managedFields", "ownerReferences", "selfLink"});
  CheckTexts(f, "labels");
  CheckTexts(f, "annotations");
  out.key.name = f.String("name");
  if (out.key.name.empty()) {
    if (object.Get("metadata") == nullptr) {
      object.Required("metadata", "must have a name");
    } else {
      f.Required("name", "name is required");
    }
  } else if (!base::IsDnsSubdomain(out.key.name)) {
    f.Invalid("name",
              "must be a lower-case RFC 1123 subdomain: letters, digits, '-' or '.', beginning and "
              "ending with a letter or digit");
  }
  out.key.ns = f.String("namespace");
  if (out.key.ns.empty()) {
    out.key.ns = report.options().default_namespace;
  } else if (!base::IsDnsLabel(out.key.ns)) {
    f.Invalid("namespace", "must be a lower-case RFC 1123 label of at most 63 characters");
  }
  if (const value::Value* metadata = object.Get("metadata")) {
    out.uid = metadata->StringAt("uid");
    out.generation = metadata->IntAt("generation");
    out.resource_version = metadata->StringAt("resourceVersion");
  }
  out.deleting = f.Get("deletionTimestamp") != nullptr;
}

// What HPA and Autoscaler share: target, bounds, metrics, behavior.
void DecodeCommon(Fields& f, bool zero_allowed, core::AutoscalerSpec& spec) {
  Report& report = f.report();
  spec.target = DecodeReference(f, "scaleTargetRef", /*needs_group=*/true);
  spec.min_replicas = f.Int32("minReplicas");
  const int32_t least = zero_allowed ? 0 : 1;
  if (spec.min_replicas && *spec.min_replicas < least) {
    f.Invalid("minReplicas", fmt::format("must be greater than or equal to {}", least));
  }
  const bool has_max = f.Get("maxReplicas") != nullptr;
  const size_t errors = report.error_count();
  spec.max_replicas = f.Int32("maxReplicas").value_or(0);
  if (!has_max) {
    f.Required("maxReplicas", "must be greater than 0");
  } else if (report.error_count() == errors) {
    if (spec.max_replicas < 1) {
      f.Invalid("maxReplicas", "must be greater than 0");
    } else if (spec.max_replicas < spec.MinReplicas()) {
      f.Invalid("maxReplicas",
                fmt::format("must be greater than or equal to `minReplicas`, which is {}",
                            spec.MinReplicas()));
    }
  }
  if (const auto* metrics = f.List("metrics")) {
    for (size_t i = 0; i < metrics->size(); ++i) {
      spec.metrics.push_back(
          DecodeMetric((*metrics)[i], fmt::format("{}[{}]", f.Path("metrics"), i), report));
    }
  }
  if (f.Get("behavior") != nullptr) {
    spec.behavior = DecodeBehavior(f, "behavior");
  }
}

bool HasMetricForZero(const core::AutoscalerSpec& spec) {
  return std::any_of(spec.metrics.begin(), spec.metrics.end(), [](const core::MetricSpec& m) {
    return m.source == core::MetricSource::kObject || m.source == core::MetricSource::kExternal;
  });
}

// A duration as text, or whole seconds where KEDA has them.
std::optional<absl::Duration> DecodeDuration(Fields& f, std::string_view key, bool or_seconds,
                                             absl::Duration most) {
  const value::Value* found = f.Get(key);
  if (found == nullptr) return std::nullopt;
  absl::Duration out;
  if (found->kind() == value::Kind::kInt && or_seconds) {
    out = absl::Seconds(found->AsInt());
  } else if (found->is_string()) {
    const auto parsed = base::ParseDuration(found->AsString());
    if (!parsed.ok()) {
      f.Error(key, std::string(base::Message(parsed.status())));
      return std::nullopt;
    }
    out = *parsed;
  } else {
    f.Error(key, fmt::format("expected a duration such as \"15s\", got {}", Show(*found)));
    return std::nullopt;
  }
  if (out < kMinPeriod || out > most) {
    f.Invalid(key, fmt::format("must be between {} and {}", base::FormatDuration(kMinPeriod),
                               base::FormatDuration(most)));
    return std::nullopt;
  }
  return out;
}

void DecodeHolds(Fields& f, core::HoldScaleUp& out) {
  const auto* holds = f.List("holdScaleUp");
  if (holds == nullptr) return;
  for (size_t i = 0; i < holds->size(); ++i) {
    const value::Value& hold = (*holds)[i];
    const std::string path = fmt::format("{}[{}]", f.Path("holdScaleUp"), i);
    bool* flag = nullptr;
    if (hold.is_string() && hold.AsString() == kHolds[0]) flag = &out.unschedulable_pods;
    if (hold.is_string() && hold.AsString() == kHolds[1]) flag = &out.quota_exceeded;
    if (flag == nullptr) {
      const std::string hint =
          hold.is_string() ? base::DidYouMean(hold.AsString(), kHolds) : std::string();
      f.report().Error(&hold, path,
                       fmt::format("Unsupported value: {}: supported values: {}{}", Show(hold),
                                   Supported(kHolds), hint));
    } else if (*flag) {
      f.report().Error(&hold, path, fmt::format("Duplicate value: {}", Show(hold)));
    } else {
      *flag = true;
    }
  }
}

void CheckType(Fields& object, std::string_view api_version, std::string_view kind) {
  const std::string_view versions[] = {api_version};
  const std::string_view kinds[] = {kind};
  object.Enum("apiVersion", versions);
  object.Enum("kind", kinds);
}

// The common frame of both kinds: `decode` fills the spec.
template <typename DecodeSpec>
Decoded DecodeObject(const value::Value& value, const DecodeOptions& options, core::ObjectKind kind,
                     std::string_view api_version, std::string_view kind_name,
                     const DecodeSpec& decode) {
  Decoded out;
  out.kind = kind;
  Report report(options, out);
  Fields object(&value, "", report, {"apiVersion", "kind", "metadata", "spec", "status"});
  if (!object.present()) {
    if (out.errors.empty()) report.Error(&value, "", "the object is empty");
    return out;
  }
  CheckType(object, api_version, kind_name);
  DecodeMetadata(object, out, report);
  core::AutoscalerSpec spec;
  spec.kind = kind;
  spec.key = out.key;
  spec.uid = out.uid;
  spec.generation = out.generation;
  if (object.Get("spec") == nullptr) {
    object.Required("spec", "");
  } else {
    decode(object, report, spec, out);
  }
  if (const value::Value* status = object.Get("status"); status != nullptr && status->is_map()) {
    out.status = DecodeStatus(*status, out.own_conditions);
  }
  // By line, so that a reader goes through the file once.
  for (auto* problems : {&out.errors, &out.warnings}) {
    std::stable_sort(problems->begin(), problems->end(),
                     [](const Problem& a, const Problem& b) { return a.line < b.line; });
  }
  if (out.errors.empty()) out.spec = std::move(spec);
  return out;
}

}  // namespace

std::string Text(const Problem& problem, std::string_view source) {
  std::string out(source);
  if (problem.line > 0) out += fmt::format(":{}", problem.line);
  return fmt::format("{}: {}", out, Text(problem));
}

std::string Text(const std::vector<Problem>& problems, std::string_view source) {
  std::string out;
  for (const Problem& problem : problems) out += (out.empty() ? "" : "\n") + Text(problem, source);
  return out;
}

std::string Text(const Problem& problem) {
  if (problem.path.empty()) return problem.message;
  return fmt::format("{}: {}", problem.path, problem.message);
}

std::string_view ModeName(Mode mode) { return kModes[static_cast<size_t>(mode)]; }

absl::StatusOr<std::optional<core::ObjectKind>> KindOf(const value::Value& document) {
  if (!document.is_map()) {
    return base::InvalidArgument("expected an object with apiVersion and kind, got {}",
                                 Show(document));
  }
  const std::string_view api_version = document.StringAt("apiVersion");
  const std::string_view kind = document.StringAt("kind");
  if (api_version.empty() || kind.empty()) {
    return base::InvalidArgument("{}: Required value: an object has apiVersion and kind",
                                 api_version.empty() ? "apiVersion" : "kind");
  }
  const size_t slash = api_version.find('/');
  const std::string_view group =
      slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
  const std::string_view version =
      slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  if (group == kGroup) {
    static constexpr std::string_view kKinds[] = {"Autoscaler"};
    if (kind != kKinds[0]) {
      return base::InvalidArgument("kind: {} has no kind \"{}\", only Autoscaler{}", kGroup, kind,
                                   base::DidYouMean(kind, kKinds));
    }
    if (version != kVersion) {
      return base::InvalidArgument("apiVersion: \"{}\" is not known, only {}/{}", api_version,
                                   kGroup, kVersion);
    }
    return core::ObjectKind::kAutoscaler;
  }
  if (group == kHpaGroup && kind == "HorizontalPodAutoscaler") {
    if (version != kHpaVersion) {
      return base::InvalidArgument("apiVersion: \"{}\" is not read, write {}/{}", api_version,
                                   kHpaGroup, kHpaVersion);
    }
    return core::ObjectKind::kHpa;
  }
  if (kind == "Autoscaler") {
    static const std::string kOurs = fmt::format("{}/{}", kGroup, kVersion);
    const std::string_view candidates[] = {kOurs};
    const std::string suggestion = base::DidYouMean(api_version, candidates);
    if (!suggestion.empty()) {
      return base::InvalidArgument("apiVersion: no Autoscaler of \"{}\" is known{}", api_version,
                                   suggestion);
    }
  }
  return std::nullopt;
}

Decoded DecodeHpa(const value::Value& value, const DecodeOptions& options) {
  const auto decode = [&options](Fields& object, Report& report, core::AutoscalerSpec& spec,
                                 Decoded&) {
    Fields f(object, "spec",
             {"scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior"});
    if (!f.present()) return;
    const size_t errors = report.error_count();
    DecodeCommon(f, options.scale_to_zero, spec);
    spec.guards = core::Guards::kNone;
    spec.period = options.default_period;
    const bool readable = report.error_count() == errors;
    if (spec.metrics.empty() && readable) {
      core::MetricSpec& cpu = spec.metrics.emplace_back();
      cpu.source = core::MetricSource::kResource;
      cpu.source_text = "Resource";
      cpu.name = "cpu";
      cpu.target.kind = core::TargetKind::kUtilization;
      cpu.target.average_utilization = 80;
    }
    if (spec.min_replicas == 0 && readable && !HasMetricForZero(spec)) {
      f.Forbidden("metrics",
                  "must specify at least one Object or External metric to support scaling to zero "
                  "replicas");
    }
    if (!spec.min_replicas) spec.min_replicas = 1;
  };
  static const std::string kApiVersion = fmt::format("{}/{}", kHpaGroup, kHpaVersion);
  return DecodeObject(value, options, core::ObjectKind::kHpa, kApiVersion,
                      "HorizontalPodAutoscaler", decode);
}

Decoded DecodeAutoscaler(const value::Value& value, const DecodeOptions& options) {
  const auto decode = [&options](Fields& object, Report& report, core::AutoscalerSpec& spec,
                                 Decoded& out) {
    Fields f(
        object, "spec",
        {"scaleTargetRef", "minReplicas", "maxReplicas", "mode", "period", "pollingInterval",
         "metrics", "triggers", "behavior", "guards", "zeroPolicy", "onAbsent", "holdScaleUp"});
    if (!f.present()) return;
    const size_t errors = report.error_count();
    DecodeCommon(f, /*zero_allowed=*/true, spec);
    if (const auto* triggers = f.List("triggers")) {
      DecodeTriggers(*triggers, f.Path("triggers"), report, spec);
    }
    const bool readable = report.error_count() == errors;
    if (readable && spec.metrics.empty() && spec.triggers.empty()) {
      f.Required("metrics", "must specify at least one metric or trigger");
    } else if (readable && spec.min_replicas == 0 && spec.triggers.empty() &&
               !HasMetricForZero(spec)) {
      f.Forbidden("minReplicas",
                  "scaling to zero replicas needs an Object or External metric or a trigger other "
                  "than cpu and memory, since nobody is left to measure");
    }

    if (const auto mode = f.Enum("mode", kModes)) out.mode = static_cast<Mode>(*mode);
    spec.paused = out.mode == Mode::kPaused;
    if (const auto guards = f.Enum("guards", kGuards)) {
      spec.guards = *guards == 0 ? core::Guards::kSafe : core::Guards::kNone;
    }
    if (const auto absent = f.Enum("onAbsent", kOnAbsent)) {
      spec.on_absent = *absent == 0 ? core::OnAbsent::kHold : core::OnAbsent::kValue;
    }
    DecodeHolds(f, spec.hold_scale_up);
    if (const auto zero = f.Enum("zeroPolicy", kZeroPolicies); zero && *zero == 1) {
      f.Forbidden("zeroPolicy",
                  "Activation is not supported yet: KEDA's activation rules are missing");
    }
    spec.period = DecodeDuration(f, "period", false, kMaxPeriod).value_or(options.default_period);
    if (const auto polling = DecodeDuration(f, "pollingInterval", true, kMaxPollingInterval)) {
      spec.polling_interval = *polling;
      if (*polling < spec.period) {
        report.Warning(f.Get("pollingInterval"), f.Path("pollingInterval"),
                       fmt::format("shorter than the period, {}: triggers are read once a period",
                                   base::FormatDuration(spec.period)));
      }
    }
  };
  static const std::string kApiVersion = fmt::format("{}/{}", kGroup, kVersion);
  return DecodeObject(value, options, core::ObjectKind::kAutoscaler, kApiVersion, "Autoscaler",
                      decode);
}

Decoded DecodeDocument(const value::Value& document, const DecodeOptions& options) {
  const auto kind = KindOf(document);
  if (kind.ok() && kind->has_value()) {
    return **kind == core::ObjectKind::kHpa ? DecodeHpa(document, options)
                                            : DecodeAutoscaler(document, options);
  }
  Decoded out;
  const std::string message =
      kind.ok() ? fmt::format("{} {} is neither an Autoscaler nor a HorizontalPodAutoscaler",
                              document.StringAt("apiVersion"), document.StringAt("kind"))
                : std::string(base::Message(kind.status()));
  Report(options, out).Error(&document, "", message);
  out.key.name = document.StringAt("metadata.name");
  out.key.ns = document.StringAt("metadata.namespace", options.default_namespace);
  return out;
}

std::vector<const value::Value*> Flatten(const std::vector<value::Value>& documents) {
  std::vector<const value::Value*> out;
  for (const value::Value& document : documents) {
    const std::string_view kind = document.StringAt("kind");
    const value::Value* items = document.Get("items");
    const bool list =
        kind == "List" || kind == "AutoscalerList" || kind == "HorizontalPodAutoscalerList";
    if (!list || items == nullptr || !items->is_list()) {
      out.push_back(&document);
      continue;
    }
    for (const value::Value& item : items->list()) out.push_back(&item);
  }
  return out;
}

}  // namespace neap::kube::objects
