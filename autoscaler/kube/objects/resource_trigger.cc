#include "autoscaler/kube/objects/resource_trigger.h"

#include <charconv>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"

namespace neap::kube::objects {
namespace {

catalog::TriggerType MakeType(std::string_view type) {
  catalog::TriggerType out;
  out.type = std::string(type);
  out.summary = fmt::format("{} use of the target's pods, as the HPA's Resource metric.", type);
  out.target_parameter = "value";
  out.allowed_targets = {catalog::TargetKind::kUtilization, catalog::TargetKind::kAverageValue};
  out.needs_pod_selector = true;
  const std::vector<catalog::Source> metadata = {catalog::Source::kMetadata};
  out.parameters = {
      {.name = "value",
       .required = true,
       .sources = metadata,
       .description = "Target: percent of the request (Utilization), or a quantity per pod."},
      {.name = "containerName",
       .sources = metadata,
       .description = "The one container to look at; without it the whole pod."},
      {.name = "type",
       .sources = metadata,
       .deprecated = "\"type\" in metadata is no longer taken: use the trigger's metricType",
       .description = "Removed."},
  };
  return out;
}

// An integer as Go's ParseInt(text, 10, 32) reads it: a sign of either kind is fine.
absl::StatusOr<int32_t> ParsePercent(std::string_view text) {
  std::string_view digits = text;
  const bool plus = digits.starts_with('+');
  if (plus) digits.remove_prefix(1);
  int32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc::result_out_of_range) {
    return base::InvalidArgument("value: \"{}\" is beyond 32 bits", text);
  }
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || (plus && digits.starts_with('-'))) {
    return base::InvalidArgument(
        "value: \"{}\" is not a whole percentage, which metricType Utilization asks for", text);
  }
  return number;
}

}  // namespace

bool IsResourceTrigger(std::string_view type) { return type == "cpu" || type == "memory"; }

const catalog::TriggerType& ResourceTriggerType(std::string_view type) {
  static const auto* cpu = new catalog::TriggerType(MakeType("cpu"));
  static const auto* memory = new catalog::TriggerType(MakeType("memory"));
  return type == "memory" ? *memory : *cpu;
}

absl::StatusOr<ResourceTrigger> ParseResourceTrigger(std::string_view type,
                                                     const catalog::Texts& metadata,
                                                     std::string_view metric_type) {
  const catalog::TriggerType& known = ResourceTriggerType(type);
  const catalog::TriggerText text{.metadata = metadata};
  std::string problems;
  const auto add = [&problems](std::string_view problem) {
    problems += fmt::format("{}{}", problems.empty() ? "" : "; ", problem);
  };
  for (const catalog::FieldError& e : catalog::Check(known, text)) {
    add(fmt::format("{}: {}", e.parameter, e.message));
  }
  ResourceTrigger out;
  core::MetricSpec& metric = out.metric;
  const auto container = catalog::FindValue(*known.Find("containerName"), text);
  metric.source =
      container ? core::MetricSource::kContainerResource : core::MetricSource::kResource;
  metric.source_text = container ? "ContainerResource" : "Resource";
  metric.name = std::string(type);
  if (container) metric.container = container->text;

  const auto value = catalog::FindValue(*known.Find("value"), text);
  if (metric_type == "Utilization") {
    metric.target.kind = core::TargetKind::kUtilization;
    if (value) {
      const absl::StatusOr<int32_t> percent = ParsePercent(value->text);
      if (percent.ok()) {
        metric.target.average_utilization = *percent;
        out.target_text = std::to_string(*percent);
      } else {
        add(base::Message(percent.status()));
      }
    }
  } else if (metric_type == "AverageValue") {
    metric.target.kind = core::TargetKind::kAverageValue;
    if (value) {
      const absl::StatusOr<base::Quantity> amount = base::Quantity::Parse(value->text);
      if (amount.ok()) {
        metric.target.average_value = amount->Milli();
        out.target_text = amount->Text();
      } else {
        add(fmt::format("value: {}", base::Message(amount.status())));
      }
    }
  } else {
    static constexpr std::string_view kAllowed[] = {"Utilization", "AverageValue"};
    add(metric_type.empty()
            ? "metricType must be Utilization or AverageValue, it is missing"
            : fmt::format("metricType must be Utilization or AverageValue, not \"{}\"{}",
                          metric_type, base::DidYouMean(metric_type, kAllowed)));
  }
  if (!problems.empty()) return base::InvalidArgument("{}", problems);
  return out;
}

}  // namespace neap::kube::objects
