// Options and specs.
#include "autoscaler/record/codec.h"
#include "autoscaler/record/wire.h"

namespace neap::record {
namespace {

void EncodeRules(const core::ScalingRules& rules, v1::ScalingRules* out) {
  if (rules.stabilization_window_seconds) {
    out->set_stabilization_window_seconds(*rules.stabilization_window_seconds);
  }
  out->set_select_policy(EnumOf<v1::SelectPolicy>(rules.select_policy));
  for (const core::ScalingPolicy& policy : rules.policies) {
    v1::ScalingPolicy* p = out->add_policies();
    p->set_type(EnumOf<v1::PolicyType>(policy.type));
    p->set_value(policy.value);
    p->set_period_seconds(policy.period_seconds);
  }
  if (rules.tolerance) out->set_tolerance(*rules.tolerance);
}

absl::Status DecodeRules(const v1::ScalingRules& in, core::ScalingRules* rules) {
  if (in.has_stabilization_window_seconds()) {
    rules->stabilization_window_seconds = in.stabilization_window_seconds();
  }
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.select_policy(), core::SelectPolicy::kDisabled,
                                  "select_policy", &rules->select_policy));
  for (const v1::ScalingPolicy& p : in.policies()) {
    core::ScalingPolicy& policy = rules->policies.emplace_back();
    NEAP_RETURN_IF_ERROR(
        DecodeEnum(p.type(), core::PolicyType::kPercent, "policy type", &policy.type));
    policy.value = p.value();
    policy.period_seconds = p.period_seconds();
  }
  if (in.has_tolerance()) rules->tolerance = in.tolerance();
  return absl::OkStatus();
}

}  // namespace

void Encode(const core::HpaOptions& options, v1::HpaOptions* out) {
  out->set_level(EnumOf<v1::Level>(options.level));
  out->set_tolerance(options.tolerance);
  out->set_downscale_stabilization_ns(Nanos(options.downscale_stabilization));
  out->set_cpu_initialization_period_ns(Nanos(options.cpu_initialization_period));
  out->set_initial_readiness_delay_ns(Nanos(options.initial_readiness_delay));
  out->set_scale_to_zero(options.scale_to_zero);
}

absl::Status Decode(const v1::HpaOptions& in, core::HpaOptions* options) {
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.level(), core::Level::kV1_37, "options.level", &options->level));
  options->tolerance = in.tolerance();
  options->downscale_stabilization = DurationOf(in.downscale_stabilization_ns());
  options->cpu_initialization_period = DurationOf(in.cpu_initialization_period_ns());
  options->initial_readiness_delay = DurationOf(in.initial_readiness_delay_ns());
  options->scale_to_zero = in.scale_to_zero();
  return absl::OkStatus();
}

void Encode(const core::ObjectReference& reference, v1::ObjectReference* out) {
  out->set_api_version(reference.api_version);
  out->set_kind(reference.kind);
  out->set_name(reference.name);
}

absl::Status Decode(const v1::ObjectReference& in, core::ObjectReference* reference) {
  *reference = {.api_version = in.api_version(), .kind = in.kind(), .name = in.name()};
  return absl::OkStatus();
}

void Encode(const base::LabelSelector& selector, v1::LabelSelector* out) {
  for (const auto& [key, value] : selector.match_labels) {
    v1::Label* label = out->add_match_labels();
    label->set_key(key);
    label->set_value(value);
  }
  for (const base::LabelSelector::Expression& expression : selector.match_expressions) {
    v1::LabelExpression* e = out->add_match_expressions();
    e->set_key(expression.key);
    e->set_op(expression.op);
    for (const std::string& value : expression.values) e->add_values(value);
  }
}

absl::Status Decode(const v1::LabelSelector& in, base::LabelSelector* selector) {
  for (const v1::Label& label : in.match_labels()) {
    selector->match_labels.emplace_back(label.key(), label.value());
  }
  for (const v1::LabelExpression& e : in.match_expressions()) {
    selector->match_expressions.push_back(
        {.key = e.key(), .op = e.op(), .values = {e.values().begin(), e.values().end()}});
  }
  return absl::OkStatus();
}

void Encode(const core::MetricTarget& target, v1::MetricTarget* out) {
  out->set_kind(EnumOf<v1::TargetKind>(target.kind));
  if (target.average_utilization) out->set_average_utilization(*target.average_utilization);
  if (target.average_value) out->set_average_value(*target.average_value);
  if (target.value) out->set_value(*target.value);
}

absl::Status Decode(const v1::MetricTarget& in, core::MetricTarget* target) {
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.kind(), core::TargetKind::kValue, "target.kind", &target->kind));
  if (in.has_average_utilization()) target->average_utilization = in.average_utilization();
  if (in.has_average_value()) target->average_value = in.average_value();
  if (in.has_value()) target->value = in.value();
  return absl::OkStatus();
}

void Encode(const core::MetricSpec& metric, v1::MetricSpec* out) {
  out->set_source(EnumOf<v1::MetricSource>(metric.source));
  out->set_source_text(metric.source_text);
  out->set_name(metric.name);
  out->set_container(metric.container);
  if (metric.described_object) {
    Encode(*metric.described_object, out->mutable_described_object());
  }
  if (metric.selector) Encode(*metric.selector, out->mutable_selector());
  out->set_selector_error(metric.selector_error);
  Encode(metric.target, out->mutable_target());
  out->set_from_trigger(metric.from_trigger);
  out->set_has_activity(metric.has_activity);
}

absl::Status Decode(const v1::MetricSpec& in, core::MetricSpec* metric) {
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.source(), core::MetricSource::kUnknown, "metric source", &metric->source));
  metric->source_text = in.source_text();
  metric->name = in.name();
  metric->container = in.container();
  if (in.has_described_object()) {
    NEAP_RETURN_IF_ERROR(Decode(in.described_object(), &metric->described_object.emplace()));
  }
  if (in.has_selector()) {
    NEAP_RETURN_IF_ERROR(Decode(in.selector(), &metric->selector.emplace()));
  }
  metric->selector_error = in.selector_error();
  NEAP_RETURN_IF_ERROR(Decode(in.target(), &metric->target));
  metric->from_trigger = in.from_trigger();
  metric->has_activity = in.has_activity();
  return absl::OkStatus();
}

void Encode(const core::AutoscalerSpec& spec, v1::AutoscalerSpec* out) {
  out->set_kind(EnumOf<v1::ObjectKind>(spec.kind));
  out->set_namespace_(spec.key.ns);
  out->set_name(spec.key.name);
  out->set_uid(spec.uid);
  out->set_generation(spec.generation);
  Encode(spec.target, out->mutable_target());
  if (spec.min_replicas) out->set_min_replicas(*spec.min_replicas);
  out->set_max_replicas(spec.max_replicas);
  for (const core::MetricSpec& metric : spec.metrics) Encode(metric, out->add_metrics());
  for (const core::TriggerSpec& trigger : spec.triggers) {
    v1::TriggerSpec* t = out->add_triggers();
    t->set_type(trigger.type);
    t->set_name(trigger.name);
    t->set_metric_type(EnumOf<v1::TargetKind>(trigger.metric_type));
    t->set_use_cached_metrics(trigger.use_cached_metrics);
  }
  if (spec.behavior) {
    EncodeRules(spec.behavior->scale_up, out->mutable_behavior()->mutable_scale_up());
    EncodeRules(spec.behavior->scale_down, out->mutable_behavior()->mutable_scale_down());
  }
  out->set_paused(spec.paused);
  out->set_guards(EnumOf<v1::Guards>(spec.guards));
  out->set_zero_policy(EnumOf<v1::ZeroPolicy>(spec.zero_policy));
  out->set_on_absent(EnumOf<v1::OnAbsent>(spec.on_absent));
  out->set_hold_unschedulable_pods(spec.hold_scale_up.unschedulable_pods);
  out->set_hold_quota_exceeded(spec.hold_scale_up.quota_exceeded);
  out->set_period_ns(Nanos(spec.period));
  out->set_polling_interval_ns(Nanos(spec.polling_interval));
}

absl::Status Decode(const v1::AutoscalerSpec& in, core::AutoscalerSpec* spec) {
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.kind(), core::ObjectKind::kScaledObject, "spec.kind", &spec->kind));
  spec->key = {.ns = in.namespace_(), .name = in.name()};
  spec->uid = in.uid();
  spec->generation = in.generation();
  NEAP_RETURN_IF_ERROR(Decode(in.target(), &spec->target));
  if (in.has_min_replicas()) spec->min_replicas = in.min_replicas();
  spec->max_replicas = in.max_replicas();
  for (const v1::MetricSpec& metric : in.metrics()) {
    NEAP_RETURN_IF_ERROR(Decode(metric, &spec->metrics.emplace_back()));
  }
  for (const v1::TriggerSpec& t : in.triggers()) {
    core::TriggerSpec& trigger = spec->triggers.emplace_back();
    trigger.type = t.type();
    trigger.name = t.name();
    NEAP_RETURN_IF_ERROR(DecodeEnum(t.metric_type(), core::TargetKind::kValue,
                                    "trigger metric_type", &trigger.metric_type));
    trigger.use_cached_metrics = t.use_cached_metrics();
  }
  if (in.has_behavior()) {
    core::Behavior& behavior = spec->behavior.emplace();
    NEAP_RETURN_IF_ERROR(DecodeRules(in.behavior().scale_up(), &behavior.scale_up));
    NEAP_RETURN_IF_ERROR(DecodeRules(in.behavior().scale_down(), &behavior.scale_down));
  }
  spec->paused = in.paused();
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.guards(), core::Guards::kNone, "spec.guards", &spec->guards));
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.zero_policy(), core::ZeroPolicy::kActivation,
                                  "spec.zero_policy", &spec->zero_policy));
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.on_absent(), core::OnAbsent::kValue, "spec.on_absent", &spec->on_absent));
  spec->hold_scale_up = {.unschedulable_pods = in.hold_unschedulable_pods(),
                         .quota_exceeded = in.hold_quota_exceeded()};
  spec->period = DurationOf(in.period_ns());
  spec->polling_interval = DurationOf(in.polling_interval_ns());
  return absl::OkStatus();
}

}  // namespace neap::record
