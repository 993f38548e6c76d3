#include "autoscaler/sim/scenario.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/file.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/kube/objects/fields.h"
#include "autoscaler/sim/policy_object.h"
#include "autoscaler/sim/scenario_check.h"
#include "autoscaler/sim/world_decoder.h"

namespace neap::sim {
namespace {

namespace objects = kube::objects;
using objects::Fields;
using value::Value;

// The fields that a world file lacks.
constexpr std::array<std::string_view, 9> kNames = {"name",     "objects",       "duration",
                                                    "start",    "objective",     "triggers",
                                                    "pipeline", "controlFaults", "options"};
constexpr int64_t kMostMilli = int64_t{1'000'000} * 1000;

// The value at `key` of `name`s is one of `values`; nullopt when it is missing or another.
template <typename T, size_t N>
std::optional<T> OneOf(Fields& fields, std::string_view key,
                       const std::array<std::string_view, N>& names,
                       const std::array<T, N>& values) {
  const auto index = fields.Enum(key, names);
  return index ? std::optional(values[*index]) : std::nullopt;
}

class ScenarioDecoder {
 public:
  ScenarioDecoder(const std::string& path, const ScenarioOptions& options)
      : path_(path), folder_(std::filesystem::path(path).parent_path()), options_(options) {}

  absl::StatusOr<Scenario> Run() {
    NEAP_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path_));
    NEAP_ASSIGN_OR_RETURN(const std::vector<Value> documents, value::ParseYaml(text, path_));
    if (documents.size() != 1) {
      return base::InvalidArgument("{}: expected one document, found {}", path_, documents.size());
    }
    if (!documents[0].is_map()) return base::InvalidArgument("{}: expected a map", path_);
    out_.name = std::filesystem::path(path_).stem().string();
    NEAP_RETURN_IF_ERROR(Decode(documents[0]));
    for (const objects::Problem& one : decoded_.errors) Wrong(objects::Text(one, path_));
    if (errors_.empty()) {
      for (const std::string& one : ImpossibleIn(out_.spec)) Wrong(path_ + ": " + one);
    }
    if (!errors_.empty()) return absl::Status(absl::StatusCode::kInvalidArgument, errors_);
    out_.spec.controller.abort_on_broken_invariant = true;
    return std::move(out_);
  }

 private:
  void Wrong(std::string_view line) {
    errors_ += (errors_.empty() ? "" : "\n");
    errors_ += line;
  }

  absl::Status Decode(const Value& document) {
    std::vector<std::string_view> names(WorldDecoder::Names().begin(), WorldDecoder::Names().end());
    names.insert(names.end(), kNames.begin(), kNames.end());
    Fields root(&document, "", report_, names);
    WorldDecoder world(report_, folder_.string());
    world_ = &world;
    world.Decode(root);
    out_.spec.world = world.world();
    if (options_.seed) out_.spec.world.seed = *options_.seed;
    if (root.Get("name") != nullptr) out_.name = root.String("name");
    ReadTimes(root);
    NEAP_RETURN_IF_ERROR(ReadObjects(root));
    ReadTriggers(root);
    NEAP_RETURN_IF_ERROR(OpenTriggers());
    ReadPipeline(root);
    ReadFaults(root);
    ReadOptions(root);
    world_ = nullptr;
    return absl::OkStatus();
  }

  absl::Duration Time(Fields& fields, std::string_view key, absl::Duration fallback,
                      absl::Duration least = absl::ZeroDuration(),
                      absl::Duration most = absl::Hours(24 * 366)) {
    return world_->Time(fields, key, fallback, least, most);
  }

  void ReadTimes(Fields& root) {
    out_.spec.duration = Time(root, "duration", absl::InfiniteDuration(), absl::Seconds(1));
    if (root.Get("start") != nullptr) {
      const auto start = base::ParseTime(root.String("start"));
      if (start.ok()) {
        out_.spec.start = *start;
      } else {
        root.Error("start", std::string(base::Message(start.status())));
      }
    }
    Fields objective(root, "objective", {"wait"});
    out_.spec.world.objective =
        Time(objective, "wait", absl::InfiniteDuration(), absl::Milliseconds(1));
  }

  // ---- objects

  absl::Status ReadObjects(Fields& root) {
    if (!options_.objects.empty()) {
      for (const std::string& file : options_.objects) NEAP_RETURN_IF_ERROR(ReadFile(file));
      return absl::OkStatus();
    }
    const std::vector<Value>* list = root.List("objects");
    if (list == nullptr || list->empty()) {
      root.Required("objects", "the Autoscaler or HorizontalPodAutoscaler objects to try");
      return absl::OkStatus();
    }
    for (const Value& one : *list) {
      if (one.is_map()) {
        NEAP_RETURN_IF_ERROR(AddObject(one, path_));
      } else if (one.is_string()) {
        NEAP_RETURN_IF_ERROR(ReadFile((folder_ / one.AsString()).string()));
      } else {
        root.Error("objects",
                   fmt::format("expected a file or an object, got {}", objects::Show(one)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadFile(const std::string& file) {
    NEAP_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file));
    auto documents = value::ParseDocuments(text, file);
    if (!documents.ok()) {
      Wrong(base::Message(documents.status()));
      return absl::OkStatus();
    }
    int added = 0;
    for (const Value* document : objects::Flatten(*documents)) {
      const auto kind = objects::KindOf(*document);
      if (kind.ok() && !*kind && !IsKeda(*document)) {
        continue;  // a Deployment beside its Autoscaler
      }
      NEAP_RETURN_IF_ERROR(AddObject(*document, file));
      ++added;
    }
    if (added == 0) {
      Wrong(fmt::format("{}: holds no Autoscaler and no HorizontalPodAutoscaler", file));
    }
    return absl::OkStatus();
  }

  absl::Status AddObject(const Value& document, const std::string& source) {
    if (IsKeda(document)) {
      return KedaObject(document, source);
    }
    const objects::Decoded decoded = objects::DecodeDocument(document, StrictObjects(options_));
    for (const objects::Problem& one : decoded.errors) Wrong(objects::Text(one, source));
    if (!decoded.spec) return absl::OkStatus();
    core::AutoscalerSpec spec = *decoded.spec;
    spec.uid = ObjectUid(spec);
    if (spec.generation == 0) spec.generation = 1;
    const std::string where = fmt::format("{}:{}: {}", source, document.line(), spec.key.Text());
    for (const ObjectSpec& other : out_.spec.objects) {
      if (other.spec->uid == spec.uid) Wrong(where + ": a second object of this name");
    }
    out_.spec.objects.push_back({.spec = std::make_shared<const core::AutoscalerSpec>(spec),
                                 .status = decoded.status,
                                 .dry_run = decoded.mode == objects::Mode::kDryRun});
    places_.push_back(where);
    return absl::OkStatus();
  }

  // ---- triggers

  int FindObject(std::string_view key) const {
    const auto& all = out_.spec.objects;
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const ObjectSpec& one) { return one.spec->key.Text() == key; });
    return found == all.end() ? -1 : static_cast<int>(found - all.begin());
  }

  void ReadTriggers(Fields& root) {
    const std::vector<Value>* list = root.List("triggers");
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      Fields fields(&(*list)[i], fmt::format("triggers[{}]", i), report_,
                    {"object", "trigger", "from", "via", "target", "activation"});
      if (fields.present()) ReadTrigger(fields);
    }
  }

  void ReadTrigger(Fields& fields) {
    const std::string key = fields.String("object");
    const int object = FindObject(key);
    if (object < 0) {
      std::vector<std::string> names;
      for (const ObjectSpec& one : out_.spec.objects) names.push_back(one.spec->key.Text());
      const std::vector<std::string_view> views(names.begin(), names.end());
      return fields.Error(
          "object", fmt::format("there is no object \"{}\"{}", key, base::DidYouMean(key, views)));
    }
    const core::AutoscalerSpec& spec = *out_.spec.objects[static_cast<size_t>(object)].spec;
    const int index = fields.Int32("trigger").value_or(0);
    if (index < 0 || static_cast<size_t>(index) >= spec.triggers.size()) {
      return fields.Error(
          "trigger", fmt::format("{} has {} triggers, counted from 0", key, spec.triggers.size()));
    }
    static constexpr std::array<std::string_view, 3> kVias = {"direct", "prometheus",
                                                              "metricsServer"};
    static constexpr std::array kViaValues = {Via::kDirect, Via::kPrometheus, Via::kMetricsServer};
    TriggerSource source;
    source.uid = spec.uid;
    source.trigger = index;
    source.from = world_->ReadSource(fields, spec.key.ns);
    source.via = OneOf(fields, "via", kVias, kViaValues).value_or(Via::kDirect);
    if (fields.Get("activation") != nullptr) {
      source.activation = world_->Amount(fields, "activation", 0, 0, kMostMilli);
    }
    const core::TriggerSpec& trigger = spec.triggers[static_cast<size_t>(index)];
    if (fields.Get("target") != nullptr) {
      source.metric =
          StatedMetric(trigger, index, world_->Amount(fields, "target", 1000, 1, kMostMilli));
      stated_.insert({source.uid, index});
    }
    if (!sourced_.insert({source.uid, index}).second) {
      return fields.Error("trigger",
                          fmt::format("trigger {} of {} has a source already", index, key));
    }
    out_.spec.triggers.push_back(std::move(source));
  }

  static core::MetricSpec StatedMetric(const core::TriggerSpec& trigger, int index,
                                       int64_t target) {
    core::MetricSpec out;
    out.source = core::MetricSource::kExternal;
    out.source_text = "External";
    out.name = fmt::format("s{}-{}", index, trigger.name.empty() ? trigger.type : trigger.name);
    if (trigger.metric_type == core::TargetKind::kValue) {
      out.target.kind = core::TargetKind::kValue;
      out.target.value = target;
    } else {
      out.target.kind = core::TargetKind::kAverageValue;
      out.target.average_value = target;
    }
    out.from_trigger = out.has_activity = true;
    return out;
  }

  // Every trigger has a source; what it asks for says its scaler, unless the scenario does.
  absl::Status OpenTriggers() {
    for (size_t o = 0; o < out_.spec.objects.size(); ++o) {
      const core::AutoscalerSpec& spec = *out_.spec.objects[o].spec;
      for (size_t i = 0; i < spec.triggers.size(); ++i) {
        if (sourced_.contains({spec.uid, static_cast<int>(i)})) continue;
        Wrong(
            fmt::format("{}: spec.triggers[{}] ({}) has no source in this world: add {{object: "
                        "{}, trigger: {}, from: ...}} to triggers of {}",
                        places_[o], i, spec.triggers[i].type, spec.key.Text(), i, path_));
      }
    }
    for (TriggerSource& source : out_.spec.triggers) {
      if (stated_.contains({source.uid, source.trigger})) continue;
      const auto& all = out_.spec.objects;
      const auto object = std::find_if(all.begin(), all.end(), [&](const ObjectSpec& one) {
        return one.spec->uid == source.uid;
      });
      const auto opened =
          OpenPolicyTrigger(*object->spec, static_cast<size_t>(source.trigger), options_);
      if (opened.ok()) {
        source.metric = opened->metric;
        if (!source.activation) source.activation = opened->activation;
      } else if (opened.status().code() == absl::StatusCode::kInvalidArgument) {
        Wrong(fmt::format("{}: {}", places_[static_cast<size_t>(object - all.begin())],
                          base::Message(opened.status())));
      } else {
        return opened.status();
      }
    }
    return absl::OkStatus();
  }

  // ---- the way of metrics, faults, options

  void ReadPipeline(Fields& root) {
    Fields fields(root, "pipeline",
                  {"serverEvery", "kubeletEvery", "scrapeEvery", "rateWindow", "external", "custom",
                   "answer", "write", "watch"});
    static constexpr std::array<std::string_view, 2> kVias = {"direct", "prometheus"};
    static constexpr std::array kViaValues = {Via::kDirect, Via::kPrometheus};
    PipelineSpec& p = out_.spec.pipeline;
    const absl::Duration hour = absl::Hours(1);
    p.server_every = Time(fields, "serverEvery", p.server_every, absl::Seconds(1), hour);
    // 0: the pods' CPU as the playground serves it.
    p.kubelet_every = Time(fields, "kubeletEvery", p.kubelet_every, absl::ZeroDuration(), hour);
    p.scrape_every = Time(fields, "scrapeEvery", p.scrape_every, absl::Seconds(1), hour);
    p.rate_window = Time(fields, "rateWindow", p.rate_window, absl::ZeroDuration(), hour);
    p.external = OneOf(fields, "external", kVias, kViaValues).value_or(p.external);
    p.custom = OneOf(fields, "custom", kVias, kViaValues).value_or(p.custom);
    p.answer = world_->ReadDistribution(fields, "answer", p.answer);
    p.write = world_->ReadDistribution(fields, "write", p.write);
    p.watch = world_->ReadDistribution(fields, "watch", p.watch);
  }

  void ReadFaults(Fields& root) {
    const std::vector<Value>* list = root.List("controlFaults");
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      Fields fields(&(*list)[i], fmt::format("controlFaults[{}]", i), report_,
                    {"what", "metric", "at", "lasts", "by", "share", "keepsHistory"});
      if (fields.present()) ReadFault(fields);
    }
  }

  void ReadFault(Fields& fields) {
    using What = ControlFault::What;
    static constexpr std::array<std::string_view, 11> kFaultNames = {
        "ApiErrors",  "Conflicts", "WatchDelay", "WatchSilence", "ScalerError", "ScalerSlow",
        "ScalerHang", "Frozen",    "NotFinite",  "Restart",      "ClockJump"};
    static constexpr std::array kFaultValues = {
        What::kApiErrors,   What::kConflicts,  What::kWatchDelay, What::kWatchSilence,
        What::kScalerError, What::kScalerSlow, What::kScalerHang, What::kFrozen,
        What::kNotFinite,   What::kRestart,    What::kClockJump};
    ControlFault fault;
    if (fields.Get("what") == nullptr) fields.Required("what", "which fault");
    fault.what = OneOf(fields, "what", kFaultNames, kFaultValues).value_or(fault.what);
    fault.metric = fields.String("metric");
    if (!fault.metric.empty()) CheckMetric(fields, fault.metric);
    fault.at = Time(fields, "at", absl::ZeroDuration());
    fault.lasts = Time(fields, "lasts", absl::InfiniteDuration());
    fault.by = Time(fields, "by", absl::ZeroDuration());
    const bool needs_by = fault.what == What::kWatchDelay || fault.what == What::kScalerSlow ||
                          fault.what == What::kClockJump;
    if (needs_by && fields.Get("by") == nullptr) fields.Required("by", "how much");
    fault.permille = static_cast<int>(world_->Amount(fields, "share", 1000, 1, 1000));
    fault.keeps_history = fields.Bool("keepsHistory").value_or(false);
    out_.spec.faults.push_back(std::move(fault));
  }

  void CheckMetric(Fields& fields, const std::string& name) {
    std::vector<std::string_view> names;
    for (const ObjectSpec& object : out_.spec.objects) {
      for (const core::MetricSpec& metric : object.spec->metrics) names.push_back(metric.name);
    }
    for (const TriggerSource& trigger : out_.spec.triggers) names.push_back(trigger.metric.name);
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    fields.Error("metric", fmt::format("no object has a metric \"{}\"{}", name,
                                       base::DidYouMean(name, names)));
  }

  void ReadOptions(Fields& root) {
    Fields fields(root, "options",
                  {"tolerance", "downscaleStabilization", "cpuInitializationPeriod",
                   "initialReadinessDelay", "scaleToZero", "writesPerSecond"});
    core::HpaOptions& hpa = out_.spec.controller.hpa;
    if (const auto tolerance = fields.Quantity("tolerance")) {
      if (tolerance->AsDouble() >= 0 && tolerance->AsDouble() <= 1) {
        hpa.tolerance = tolerance->AsDouble();
      } else {
        fields.Invalid("tolerance", "must be between 0 and 1");
      }
    }
    const absl::Duration hour = absl::Hours(1);
    const auto time = [&](std::string_view key, absl::Duration fallback) {
      return Time(fields, key, fallback, absl::ZeroDuration(), hour);
    };
    hpa.downscale_stabilization = time("downscaleStabilization", hpa.downscale_stabilization);
    hpa.cpu_initialization_period = time("cpuInitializationPeriod", hpa.cpu_initialization_period);
    hpa.initial_readiness_delay = time("initialReadinessDelay", hpa.initial_readiness_delay);
    hpa.scale_to_zero = fields.Bool("scaleToZero").value_or(hpa.scale_to_zero);
    double& writes = out_.spec.controller.writes_per_second;
    writes = static_cast<double>(world_->Amount(
                 fields, "writesPerSecond", static_cast<int64_t>(writes * 1000), 1, kMostMilli)) /
             1000;
  }

  const std::string path_;
  const std::filesystem::path folder_;
  const ScenarioOptions& options_;
  const objects::DecodeOptions decode_options_;
  objects::Decoded decoded_;
  objects::Report report_{decode_options_, decoded_};
  WorldDecoder* world_ = nullptr;
  Scenario out_;
  std::vector<std::string> places_;                // of each object: "file:line: ns/name"
  std::set<std::pair<std::string, int>> sourced_;  // uid and index of triggers with a source
  std::set<std::pair<std::string, int>> stated_;   // of these, with a target in the scenario
  std::string errors_;
};

}  // namespace

absl::StatusOr<Scenario> LoadScenario(const std::string& path, const ScenarioOptions& options) {
  return ScenarioDecoder(path, options).Run();
}

}  // namespace neap::sim
