#include "autoscaler/sim/policy.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "autoscaler/base/file.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/kube/objects/objects.h"
#include "autoscaler/sim/policy_object.h"

namespace neap::sim {
namespace {

namespace objects = kube::objects;
using value::Value;

absl::Status WrongObject(const Value& document, std::string_view source, std::string_view what) {
  return base::InvalidArgument("{}:{}: {}", source, document.line(), what);
}

// The only object of ours among the documents.
absl::StatusOr<const Value*> OnlyObject(const std::vector<Value>& documents,
                                        std::string_view source) {
  const Value* found = nullptr;
  for (const Value* document : objects::Flatten(documents)) {
    if (IsKeda(*document)) return KedaObject(*document, source);
    const auto kind = objects::KindOf(*document);
    if (!kind.ok()) return WrongObject(*document, source, base::Message(kind.status()));
    if (!kind->has_value()) continue;
    if (found != nullptr) {
      return WrongObject(*document, source, "a second object: one at a time is tried");
    }
    found = document;
  }
  if (found == nullptr) {
    return base::InvalidArgument("{}: holds no Autoscaler and no HorizontalPodAutoscaler", source);
  }
  return found;
}

std::optional<int64_t> ActivationOf(const core::TriggerSpec& trigger,
                                    const catalog::TriggerType& type) {
  if (type.activation_parameter.empty()) return std::nullopt;
  for (const auto& [key, text] : trigger.metadata) {
    if (key != type.activation_parameter) continue;
    const auto quantity = base::Quantity::Parse(text);
    return quantity.ok() ? quantity->Milli() : 0;
  }
  return 0;
}

}  // namespace

bool IsKeda(const Value& document) {
  return document.StringAt("apiVersion").starts_with("keda.sh/");
}

absl::Status KedaObject(const Value& document, std::string_view source) {
  const std::string_view ns = document.StringAt("metadata.namespace", "default");
  return base::Unimplemented(
      "{}:{}: {} {}/{}: KEDA's objects are not simulated; write it as an "
      "Autoscaler, which takes its triggers as they are (docs/migration.md)",
      source, document.line(), document.StringAt("kind"), ns,
      document.StringAt("metadata.name", "?"));
}

absl::StatusOr<Policy::Trigger> OpenPolicyTrigger(const core::AutoscalerSpec& spec, size_t index,
                                                  const ScenarioOptions& options) {
  const core::TriggerSpec& trigger = spec.triggers[index];
  const std::string where = fmt::format("spec.triggers[{}] ({})", index, trigger.type);
  if (options.open_trigger == nullptr) {
    return base::InvalidArgument("{}: no scaler says what its target is", where);
  }
  const auto metrics = options.open_trigger(spec, trigger);
  if (!metrics.ok()) return base::Annotate(metrics.status(), where);
  if (metrics->size() != 1) {
    return base::InvalidArgument("{}: makes {} metrics; triggers of one are simulated", where,
                                 metrics->size());
  }
  Policy::Trigger out;
  out.metric = (*metrics)[0];
  out.metric.from_trigger = true;
  if (trigger.type == "prometheus") out.via = Via::kPrometheus;
  if (options.find_type != nullptr) {
    if (const catalog::TriggerType* type = options.find_type(trigger.type)) {
      out.activation = ActivationOf(trigger, *type);
    }
  }
  return out;
}

objects::DecodeOptions StrictObjects(const ScenarioOptions& options) {
  objects::DecodeOptions out;
  out.unknown_fields_are_errors = true;
  out.find_type = options.find_type;
  out.known_types = options.known_types;
  return out;
}

std::string ObjectUid(const core::AutoscalerSpec& spec) {
  return fmt::format("{}/{}", spec.kind == core::ObjectKind::kHpa ? "hpa" : "autoscaler",
                     spec.key.Text());
}

absl::StatusOr<Policy> ParsePolicy(std::string_view text, const std::string& source,
                                   const ScenarioOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const std::vector<Value> documents, value::ParseDocuments(text, source));
  NEAP_ASSIGN_OR_RETURN(const Value* document, OnlyObject(documents, source));
  const objects::Decoded decoded = objects::DecodeDocument(*document, StrictObjects(options));
  if (!decoded.errors.empty()) {
    return base::InvalidArgument("{}", objects::Text(decoded.errors, source));
  }
  Policy out;
  out.source = source;
  core::AutoscalerSpec spec = *decoded.spec;
  spec.uid = ObjectUid(spec);
  spec.generation = 1;
  if (decoded.mode != objects::Mode::kLive) {
    out.assumptions.push_back(
        fmt::format("mode {} is simulated as Live", objects::ModeName(decoded.mode)));
    spec.paused = false;
  }
  if (spec.target.kind != "Deployment") {
    out.assumptions.push_back(fmt::format(
        "{} {} is simulated as a Deployment: its pods start side by side and each can go first",
        spec.target.kind, spec.target.name));
    spec.target.kind = "Deployment";
    spec.target.api_version = "apps/v1";
  }
  std::string problems;
  for (size_t i = 0; i < spec.triggers.size(); ++i) {
    auto trigger = OpenPolicyTrigger(spec, i, options);
    if (trigger.ok()) {
      out.triggers.push_back(*std::move(trigger));
    } else if (trigger.status().code() == absl::StatusCode::kInvalidArgument) {
      problems += fmt::format("{}{}: {}", problems.empty() ? "" : "\n", source,
                              base::Message(trigger.status()));
    } else {
      return trigger.status();
    }
  }
  if (!problems.empty()) return absl::Status(absl::StatusCode::kInvalidArgument, problems);
  out.object.spec = std::make_shared<const core::AutoscalerSpec>(std::move(spec));
  return out;
}

absl::StatusOr<Policy> LoadPolicy(const std::string& file, const ScenarioOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file));
  return ParsePolicy(text, file, options);
}

namespace {

// The name under which an adapter would serve the n-th trigger: KEDA's form.
std::string AdapterName(int trigger, const core::MetricSpec& metric) {
  return fmt::format("s{}-{}", trigger, metric.name);
}

}  // namespace

Scenario HpaAsItIs(const Scenario& scenario) {
  Scenario out = scenario;
  core::AutoscalerSpec spec = *scenario.spec.objects[0].spec;
  spec.kind = core::ObjectKind::kHpa;
  spec.uid = ObjectUid(spec);
  spec.guards = core::Guards::kNone;
  spec.zero_policy = core::ZeroPolicy::kHpa;
  spec.on_absent = core::OnAbsent::kHold;
  spec.period = absl::Seconds(15);
  spec.polling_interval = absl::ZeroDuration();
  spec.min_replicas = std::max(1, spec.MinReplicas());
  spec.triggers.clear();
  bool prometheus = !out.spec.triggers.empty();
  for (const TriggerSource& trigger : out.spec.triggers) {
    core::MetricSpec metric = trigger.metric;
    metric.name = AdapterName(trigger.trigger, metric);
    metric.source_text = "External";
    metric.from_trigger = metric.has_activity = false;
    out.spec.world.external_metrics.push_back(
        {.ns = spec.key.ns, .name = metric.name, .labels = {}, .from = trigger.from});
    prometheus = prometheus && trigger.via == Via::kPrometheus;
    spec.metrics.push_back(std::move(metric));
  }
  if (!out.spec.triggers.empty()) {
    out.spec.pipeline.external = prometheus ? Via::kPrometheus : Via::kDirect;
  }
  out.spec.triggers.clear();
  out.spec.objects[0].spec = std::make_shared<const core::AutoscalerSpec>(std::move(spec));
  out.name = "HPA as it is";
  return out;
}

}  // namespace neap::sim
