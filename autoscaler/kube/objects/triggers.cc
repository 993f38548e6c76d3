// triggers[] of keda.sh, which Autoscalers carry verbatim.
#include <algorithm>
#include <array>
#include <map>

#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/kube/objects/fields.h"
#include "autoscaler/kube/objects/resource_trigger.h"

namespace neap::kube::objects {
namespace {

constexpr std::array<std::string_view, 3> kMetricTypes = {"AverageValue", "Value", "Utilization"};
constexpr core::TargetKind kMetricKinds[] = {
    core::TargetKind::kAverageValue, core::TargetKind::kValue, core::TargetKind::kUtilization};
// The HPA's own sources use trigger types of this prefix at the scaler that reads them.
constexpr std::string_view kReservedPrefix = "hpa-";

std::string_view TargetName(catalog::TargetKind kind) {
  switch (kind) {
    case catalog::TargetKind::kAverageValue:
      return "AverageValue";
    case catalog::TargetKind::kValue:
      return "Value";
    case catalog::TargetKind::kUtilization:
      return "Utilization";
    case catalog::TargetKind::kUnspecified:
      break;
  }
  return "";
}

class TriggerDecoder {
 public:
  TriggerDecoder(const value::Value& value, std::string path, Report& report)
      : f_(&value, std::move(path), report,
           {"type", "name", "metadata", "metricType", "useCachedMetrics", "authenticationRef"}),
        report_(report) {}

  void Decode(core::AutoscalerSpec& spec, std::map<std::string, std::string>& names) {
    if (!f_.present()) return;
    core::TriggerSpec out;
    out.type = f_.String("type");
    out.name = f_.String("name");
    out.use_cached_metrics = f_.Bool("useCachedMetrics").value_or(false);
    DecodeMetadata();
    if (!out.name.empty()) {
      const auto [at, fresh] = names.try_emplace(out.name, f_.path());
      if (!fresh)
        f_.Error("name", fmt::format("\"{}\" is the name of {}, too", out.name, at->second));
    }
    if (f_.Get("authenticationRef") != nullptr) {
      f_.Forbidden("authenticationRef", "credentials by reference are not supported yet");
    }
    for (const auto& [key, text] : text_.metadata) {
      if (!key.ends_with("FromEnv")) continue;
      Fields m(f_.Get("metadata"), f_.Path("metadata"), report_);
      m.Forbidden(key, "values from the target's environment are not supported yet");
    }
    if (out.type.empty()) {
      f_.Required("type", "must name what the trigger reads");
    } else if (out.type.starts_with(kReservedPrefix)) {
      f_.Forbidden("type",
                   fmt::format("\"{}\" is reserved: write it as an entry of metrics", out.type));
    } else if (IsResourceTrigger(out.type)) {
      DecodeResource(out, spec);
      return;
    } else {
      out.metric_type = DecodeMetricType(CheckByCatalog(out.type));
    }
    out.metadata = std::vector<core::Metadata::Entry>(text_.metadata.begin(), text_.metadata.end());
    spec.triggers.push_back(std::move(out));
  }

 private:
  void DecodeMetadata() {
    const value::Value* metadata = f_.Get("metadata");
    if (metadata == nullptr) return;
    if (!metadata->is_map()) {
      f_.Error("metadata", fmt::format("expected a map, got {}", Show(*metadata)));
      return;
    }
    Fields m(metadata, f_.Path("metadata"), report_);
    for (const auto& [key, field] : metadata->map()) {
      if (field.is_null()) continue;
      if (field.is_string()) {
        text_.metadata.emplace(key, field.AsString());
      } else {
        m.String(key);  // reports it
        text_.metadata.emplace(key, field.text());
      }
    }
  }

  // What the catalog knows of the type, nullptr without a catalog or with an error.
  const catalog::TriggerType* CheckByCatalog(const std::string& name) {
    const DecodeOptions& options = report_.options();
    if (!options.find_type) return nullptr;
    const catalog::TriggerType* type = options.find_type(name);
    if (type == nullptr) {
      std::vector<std::string_view> known(options.known_types.begin(), options.known_types.end());
      known.push_back("cpu");
      known.push_back("memory");
      f_.Error("type",
               fmt::format("unknown trigger type \"{}\"{}", name, base::DidYouMean(name, known)));
      return nullptr;
    }
    CheckParameters(*type);
    return type;
  }

  void CheckParameters(const catalog::TriggerType& type) {
    Fields m(f_.Get("metadata"), f_.Path("metadata"), report_);
    const value::Value* place = f_.Get("metadata") != nullptr ? f_.Get("metadata") : f_.Get("type");
    for (const catalog::FieldError& e : catalog::Check(type, text_)) {
      const catalog::Parameter* parameter = type.Find(e.parameter);
      std::string key = e.parameter;
      if (parameter != nullptr) {
        if (const auto found = catalog::FindValue(*parameter, text_)) key = found->name;
      }
      if (m.Get(key) != nullptr) {
        m.Error(key, e.message);
      } else {
        report_.Error(place, m.Path(key), e.message);
      }
    }
    // KEDA takes keys that it does not know, so objects that worked there must work here.
    for (const std::string& warning : catalog::UnknownKeys(type, text_)) {
      const std::string key = warning.substr(0, warning.find(": "));
      report_.Warning(m.Get(key) != nullptr ? m.Get(key) : place, m.Path(key),
                      warning.substr(std::min(warning.size(), key.size() + 2)));
    }
  }

  core::TargetKind DecodeMetricType(const catalog::TriggerType* type) {
    const auto chosen = f_.Enum("metricType", kMetricTypes);
    if (!chosen) return core::TargetKind::kUnspecified;
    if (type != nullptr && !type->allowed_targets.empty()) {
      std::vector<std::string_view> allowed;
      for (catalog::TargetKind kind : type->allowed_targets) allowed.push_back(TargetName(kind));
      if (std::find(allowed.begin(), allowed.end(), kMetricTypes[*chosen]) == allowed.end()) {
        f_.NotSupported("metricType", kMetricTypes[*chosen], allowed);
      }
    } else if (kMetricKinds[*chosen] == core::TargetKind::kUtilization) {
      f_.Error(
          "metricType",
          "Unsupported value: \"Utilization\": only cpu and memory triggers have a utilization");
    }
    return kMetricKinds[*chosen];
  }

  void DecodeResource(const core::TriggerSpec& trigger, core::AutoscalerSpec& spec) {
    CheckParameters(ResourceTriggerType(trigger.type));
    if (trigger.use_cached_metrics) {
      f_.Error(
          "useCachedMetrics",
          fmt::format("not for {} triggers: their metric is read for each decision", trigger.type));
    }
    const std::string metric_type = f_.String("metricType");
    const absl::StatusOr<ResourceTrigger> parsed =
        ParseResourceTrigger(trigger.type, text_.metadata, metric_type);
    if (!parsed.ok()) {
      // What the parameters lack was reported one by one above.
      static constexpr std::string_view kAllowed[] = {"Utilization", "AverageValue"};
      if (metric_type.empty()) {
        f_.Required("metricType", "must be Utilization or AverageValue");
      } else if (metric_type != kAllowed[0] && metric_type != kAllowed[1]) {
        f_.NotSupported("metricType", metric_type, kAllowed);
      } else if (catalog::Check(ResourceTriggerType(trigger.type), text_).empty()) {
        f_.Error("metadata", std::string(base::Message(parsed.status())));
      }
      return;
    }
    Fields m(f_.Get("metadata"), f_.Path("metadata"), report_);
    const core::MetricTarget& target = parsed->metric.target;
    if (target.average_utilization && *target.average_utilization < 1) {
      m.Invalid("value", "must be greater than 0");
    }
    if (target.average_value && base::Quantity::Parse(parsed->target_text)->Sign() <= 0) {
      m.Invalid("value", "must be positive");
    }
    spec.metrics.push_back(parsed->metric);
  }

  Fields f_;
  Report& report_;
  catalog::TriggerText text_;
};

}  // namespace

void DecodeTriggers(const std::vector<value::Value>& list, const std::string& path, Report& report,
                    core::AutoscalerSpec& spec) {
  std::map<std::string, std::string> names;
  for (size_t i = 0; i < list.size(); ++i) {
    TriggerDecoder(list[i], fmt::format("{}[{}]", path, i), report).Decode(spec, names);
  }
}

}  // namespace neap::kube::objects
