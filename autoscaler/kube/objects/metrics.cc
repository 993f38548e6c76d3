// metrics[] of autoscaling/v2, which Autoscalers carry verbatim.
#include <array>

#include "autoscaler/base/names.h"
#include "autoscaler/kube/objects/fields.h"

namespace neap::kube::objects {
namespace {

using core::MetricSource;
using core::MetricTarget;
using core::TargetKind;

constexpr std::array<std::string_view, 5> kSourceTypes = {"ContainerResource", "External", "Object",
                                                          "Pods", "Resource"};

struct SourceField {
  std::string_view key;
  std::string_view type;
  MetricSource source;
};
// In the order in which the API looks at them.
constexpr std::array<SourceField, 5> kSources = {{
    {"object", "Object", MetricSource::kObject},
    {"external", "External", MetricSource::kExternal},
    {"pods", "Pods", MetricSource::kPods},
    {"resource", "Resource", MetricSource::kResource},
    {"containerResource", "ContainerResource", MetricSource::kContainerResource},
}};

// The fields of a target are checked one by one here, their combination by the source.
MetricTarget DecodeTarget(Fields& parent) {
  Fields f(parent, "target", {"type", "value", "averageValue", "averageUtilization"});
  MetricTarget out;
  const std::string type = f.String("type");
  if (type.empty()) {
    f.Required("type", "must specify a metric target type");
  } else if (type == "Utilization") {
    out.kind = TargetKind::kUtilization;
  } else if (type == "Value") {
    out.kind = TargetKind::kValue;
  } else if (type == "AverageValue") {
    out.kind = TargetKind::kAverageValue;
  } else {
    f.Invalid("type", "must be either Utilization, Value, or AverageValue");
  }
  const auto positive = [&f](std::string_view key) -> std::optional<int64_t> {
    const std::optional<base::Quantity> q = f.Quantity(key);
    if (!q) return std::nullopt;
    if (q->Sign() <= 0) f.Invalid(key, "must be positive");
    return q->Milli();
  };
  out.value = positive("value");
  out.average_value = positive("averageValue");
  out.average_utilization = f.Int32("averageUtilization");
  if (out.average_utilization && *out.average_utilization < 1)
    f.Invalid("averageUtilization", "must be greater than 0");
  return out;
}

// The target's map once more, for errors about combinations: fields were reported already.
void TargetError(Fields& parent, std::string_view key, bool forbidden, std::string_view detail) {
  const value::Value* target = parent.Get("target");
  const value::Value* field = target == nullptr ? nullptr : target->Get(key);
  parent.report().Error(field != nullptr ? field : parent.At("target"),
                        fmt::format("{}.target.{}", parent.path(), key),
                        fmt::format("{}: {}", forbidden ? "Forbidden" : "Required value", detail));
}

bool HasTarget(Fields& parent, std::string_view key) {
  const value::Value* target = parent.Get("target");
  const value::Value* field = target == nullptr ? nullptr : target->Get(key);
  return field != nullptr && !field->is_null();
}

void DecodeIdentifier(Fields& parent, core::MetricSpec& out) {
  Fields f(parent, "metric", {"name", "selector"});
  out.name = f.String("name");
  if (out.name.empty()) {
    f.Required("name", "must specify a metric name");
  } else if (const std::string problem = PathSegmentProblem(out.name); !problem.empty()) {
    f.Invalid("name", problem);
  }
  if (f.Get("selector") != nullptr) out.SetSelector(DecodeSelector(f, "selector"));
}

void DecodeResourceTarget(Fields& f, core::MetricSpec& out) {
  out.target = DecodeTarget(f);
  const bool utilization = HasTarget(f, "averageUtilization");
  const bool value = HasTarget(f, "averageValue");
  if (!utilization && !value) {
    TargetError(f, "averageUtilization", false,
                "must set either a target raw value or a target utilization");
  } else if (utilization && value) {
    TargetError(f, "averageValue", true,
                "may not set both a target raw value and a target utilization");
  }
}

void DecodeSource(const SourceField& which, const value::Value* value, const std::string& path,
                  Report& report, core::MetricSpec& out) {
  switch (which.source) {
    case MetricSource::kObject: {
      Fields f(value, path, report, {"describedObject", "metric", "target"});
      out.described_object = DecodeReference(f, "describedObject", /*needs_group=*/false);
      DecodeIdentifier(f, out);
      out.target = DecodeTarget(f);
      if (!HasTarget(f, "value") && !HasTarget(f, "averageValue")) {
        TargetError(f, "averageValue", false, "must set either a target value or averageValue");
      }
      break;
    }
    case MetricSource::kExternal: {
      Fields f(value, path, report, {"metric", "target"});
      DecodeIdentifier(f, out);
      out.target = DecodeTarget(f);
      const bool per_pod = HasTarget(f, "averageValue");
      const bool total = HasTarget(f, "value");
      if (!per_pod && !total) {
        TargetError(f, "averageValue", false,
                    "must set either a target value for metric or a per-pod target");
      } else if (per_pod && total) {
        TargetError(f, "value", true,
                    "may not set both a target value for metric and a per-pod target");
      }
      break;
    }
    case MetricSource::kPods: {
      Fields f(value, path, report, {"metric", "target"});
      DecodeIdentifier(f, out);
      out.target = DecodeTarget(f);
      if (!HasTarget(f, "averageValue"))
        TargetError(f, "averageValue", false, "must specify a positive target averageValue");
      break;
    }
    case MetricSource::kResource: {
      Fields f(value, path, report, {"name", "target"});
      out.name = f.String("name");
      if (out.name.empty()) f.Required("name", "must specify a resource name");
      DecodeResourceTarget(f, out);
      break;
    }
    case MetricSource::kContainerResource: {
      Fields f(value, path, report, {"name", "container", "target"});
      out.name = f.String("name");
      if (out.name.empty()) f.Required("name", "must specify a resource name");
      out.container = f.String("container");
      if (out.container.empty()) {
        f.Required("container", "must specify a container");
      } else if (!base::IsDnsLabel(out.container)) {
        f.Invalid("container", "must be a lower-case RFC 1123 label of at most 63 characters");
      }
      DecodeResourceTarget(f, out);
      break;
    }
    case MetricSource::kUnknown:
      break;
  }
}

}  // namespace

core::ObjectReference DecodeReference(Fields& parent, std::string_view key_of_parent,
                                      bool needs_group) {
  Fields f(parent, key_of_parent, {"apiVersion", "kind", "name"});
  core::ObjectReference out;
  out.api_version = f.String("apiVersion");
  out.kind = f.String("kind");
  out.name = f.String("name");
  const std::pair<std::string_view, std::string_view> parts[] = {{"kind", out.kind},
                                                                 {"name", out.name}};
  for (const auto& [key, text] : parts) {
    if (text.empty()) {
      f.Required(key, "");
    } else if (const std::string problem = PathSegmentProblem(text); !problem.empty()) {
      f.Invalid(key, problem);
    }
  }
  const std::string_view version = out.api_version;
  const size_t slash = version.find('/');
  if (slash != std::string_view::npos && version.find('/', slash + 1) != std::string_view::npos) {
    f.Invalid("apiVersion", "must be \"version\" or \"group/version\"");
  } else if (needs_group && slash == std::string_view::npos &&
             out.kind != "ReplicationController") {
    f.Invalid("apiVersion", "apiVersion must specify API group");
  }
  return out;
}

base::LabelSelector DecodeSelector(Fields& parent, std::string_view key_of_parent) {
  Fields f(parent, key_of_parent, {"matchLabels", "matchExpressions"});
  Report& report = f.report();
  base::LabelSelector out;
  if (const value::Value* labels = f.Get("matchLabels"); labels != nullptr) {
    if (!labels->is_map()) {
      f.Error("matchLabels", fmt::format("expected a map, got {}", Show(*labels)));
    }
    for (const auto& [key, label] : labels->map()) {
      if (label.is_string()) {
        out.match_labels.emplace_back(key, label.AsString());
      } else {
        report.Error(&label, fmt::format("{}[{}]", f.Path("matchLabels"), key),
                     fmt::format("expected a string, got {}", Show(label)));
      }
    }
    std::sort(out.match_labels.begin(), out.match_labels.end());
  }
  if (const auto* expressions = f.List("matchExpressions"); expressions != nullptr) {
    for (size_t i = 0; i < expressions->size(); ++i) {
      Fields e(&(*expressions)[i], fmt::format("{}[{}]", f.Path("matchExpressions"), i), report,
               {"key", "operator", "values"});
      base::LabelSelector::Expression& one = out.match_expressions.emplace_back();
      one.key = e.String("key");
      one.op = e.String("operator");
      if (const auto* values = e.List("values"); values != nullptr) {
        for (size_t j = 0; j < values->size(); ++j) {
          const value::Value& item = (*values)[j];
          if (item.is_string()) {
            one.values.push_back(item.AsString());
          } else {
            report.Error(&item, fmt::format("{}[{}]", e.Path("values"), j),
                         fmt::format("expected a string, got {}", Show(item)));
          }
        }
      }
    }
  }
  return out;
}

core::MetricSpec DecodeMetric(const value::Value& value, std::string path, Report& report) {
  Fields f(&value, std::move(path), report,
           {"type", "object", "external", "pods", "resource", "containerResource"});
  core::MetricSpec out;
  out.source = MetricSource::kUnknown;
  if (value.is_null()) {
    report.Error(&value, f.path(), "Required value: must specify a metric source type");
    return out;
  }
  if (!f.present()) return out;
  const size_t errors = report.error_count();
  out.source_text = f.String("type");
  const SourceField* wanted = nullptr;
  for (const SourceField& field : kSources) {
    if (field.type == out.source_text) wanted = &field;
  }
  if (wanted != nullptr) {
    out.source = wanted->source;
    out.source_text = std::string(wanted->type);
  } else if (out.source_text.empty()) {
    if (report.error_count() == errors) f.Required("type", "must specify a metric source type");
  } else {
    f.NotSupported("type", out.source_text, kSourceTypes);
  }
  if (wanted != nullptr && f.Get(wanted->key) == nullptr) {
    f.Required(wanted->key, "must populate information for the given metric source");
  }
  for (const SourceField& field : kSources) {
    if (f.Get(field.key) == nullptr) continue;
    core::MetricSpec other;
    const bool is_wanted = wanted == &field;
    if (wanted != nullptr && !is_wanted) {
      f.Forbidden(field.key, "must populate the given metric source only");
    }
    DecodeSource(field, f.Get(field.key), f.Path(field.key), report, is_wanted ? out : other);
  }
  return out;
}

}  // namespace neap::kube::objects
