#include "autoscaler/control/subscriptions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autoscaler/control/digest.h"

namespace neap::control {
namespace {

bool TakesPodSelector(core::MetricSource source) {
  return source == core::MetricSource::kResource ||
         source == core::MetricSource::kContainerResource || source == core::MetricSource::kPods;
}

}  // namespace

bool NeedsPods(const core::MetricSpec& metric) {
  switch (metric.source) {
    case core::MetricSource::kResource:
    case core::MetricSource::kContainerResource:
    case core::MetricSource::kPods:
      return true;
    case core::MetricSource::kObject:
      return metric.target.kind == core::TargetKind::kValue;
    case core::MetricSource::kExternal:
      return !metric.target.average_value.has_value();
    case core::MetricSource::kUnknown:
      break;
  }
  return false;
}

std::optional<Subscription> QueryOf(const core::MetricSpec& metric, const std::string& ns,
                                    const std::optional<base::Text>& pod_selector) {
  if (!metric.selector_error.empty()) return std::nullopt;
  if (TakesPodSelector(metric.source) && !pod_selector) return std::nullopt;
  Subscription query;
  query.ns = ns;
  if (TakesPodSelector(metric.source)) query.pod_selector = *pod_selector;
  std::vector<core::Metadata::Entry> metadata;
  const auto add = [&](std::string_view key, std::string value) {
    if (!value.empty()) metadata.emplace_back(std::string(key), std::move(value));
  };
  const auto add_selector = [&] {
    if (metric.selector) add(kKeySelector, metric.selector->ToSelector()->Text());
  };
  switch (metric.source) {
    case core::MetricSource::kResource:
      query.type = kHpaResource;
      add(kKeyResource, metric.name);
      break;
    case core::MetricSource::kContainerResource:
      query.type = kHpaContainerResource;
      add(kKeyResource, metric.name);
      add(kKeyContainer, metric.container);
      break;
    case core::MetricSource::kPods:
      query.type = kHpaPods;
      add(kKeyMetric, metric.name);
      add_selector();
      break;
    case core::MetricSource::kObject:
      query.type = kHpaObject;
      add(kKeyMetric, metric.name);
      add_selector();
      add(kKeyApiVersion, metric.described().api_version);
      add(kKeyKind, metric.described().kind);
      add(kKeyName, metric.described().name);
      break;
    case core::MetricSource::kExternal:
      query.type = kHpaExternal;
      add(kKeyMetric, metric.name);
      add_selector();
      break;
    case core::MetricSource::kUnknown:
      return std::nullopt;
  }
  std::sort(metadata.begin(), metadata.end());
  query.metadata = std::move(metadata);
  return query;
}

std::optional<Subscription> QueryOf(const core::TriggerSpec& trigger,
                                    const core::AutoscalerSpec& spec, const std::string& uid,
                                    TriggerContext context,
                                    const std::optional<base::Text>& pod_selector) {
  if (context.pod_selector && !pod_selector) return std::nullopt;
  Subscription query;
  query.type = trigger.type;
  query.metadata = trigger.metadata;
  query.ns = spec.key.ns;
  query.requested_target = trigger.metric_type;
  if (context.pod_selector) query.pod_selector = *pod_selector;
  if (context.object) {
    query.object_kind =
        spec.kind == core::ObjectKind::kScaledObject ? "ScaledObject" : "Autoscaler";
    query.object_name = spec.key.name;
    query.object_uid = uid;
  }
  return query;
}

std::string ContentId(const Subscription& query) {
  Digest low(0x6e656170);
  Digest high(0x746964e5);
  for (Digest* digest : {&low, &high}) {
    digest->Text(query.type).Text(query.ns).Text(query.pod_selector);
    digest->Text(query.object_kind).Text(query.object_name).Text(query.object_uid);
    digest->Word(static_cast<uint64_t>(query.requested_target)).Word(query.metadata.size());
    for (const auto& [key, value] : query.metadata) digest->Text(key).Text(value);
  }
  return fmt::format("{}-{:016x}{:016x}", query.type, high.value(), low.value());
}

bool SameQuery(const Subscription& a, const Subscription& b) {
  return a.type == b.type && a.metadata == b.metadata && a.ns == b.ns &&
         a.object_kind == b.object_kind && a.object_name == b.object_name &&
         a.object_uid == b.object_uid && a.pod_selector == b.pod_selector &&
         a.requested_target == b.requested_target;
}

core::MetricSpec PlaceholderOf(const core::TriggerSpec& trigger) {
  core::MetricSpec metric;
  metric.source = core::MetricSource::kExternal;
  metric.name = trigger.name.empty() ? trigger.type : trigger.name;
  metric.from_trigger = true;
  metric.target.kind = core::TargetKind::kAverageValue;
  metric.target.average_value = 1000;
  return metric;
}

}  // namespace neap::control
