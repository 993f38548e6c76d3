#include "autoscaler/telemetry/metric_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/check.h"

namespace neap::telemetry {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;
constexpr MetricType kHistogram = MetricType::kHistogram;

// kube-state-metrics' and KEDA's labels.
constexpr std::string_view kHpa = "namespace,horizontalpodautoscaler";
constexpr std::string_view kHpaMetric =
    "namespace,horizontalpodautoscaler,metric_name,metric_target_type";
constexpr std::string_view kKedaObject = "namespace,scaledObject";
constexpr std::string_view kKedaMetric = "namespace,metric,scaledObject,scaler,triggerIndex,type";

constexpr MetricInfo kMetrics[] = {
    // ---- decisions
    {"neap_reconciliations_total", kCounter, "action,error",
     "Decisions: action is scale_up, scale_down or none; error is spec, internal or none.",
     "horizontal_pod_autoscaler_controller_reconciliations_total"},
    {"neap_metric_computation_total", kCounter, "action,error,metric_type",
     "Proposals of single metrics, by the metric's source type.",
     "horizontal_pod_autoscaler_controller_metric_computation_total"},
    {"neap_horizontal_pod_autoscalers", kGauge, "", "Objects that are served.",
     "horizontal_pod_autoscaler_controller_num_horizontal_pod_autoscalers"},
    {"neap_decisions_total", kCounter, "cause",
     "Decisions by why they were taken: periodic, spec_change, scale_change, pushed, write_slot.",
     ""},
    {"neap_writes_total", kCounter, "result",
     "Outcomes of scale writes: applied, withheld, conflict, gone, rejected, unknown.", ""},
    {"neap_reading_to_write_seconds", kHistogram, "",
     "Age of the reading that won a decision, when its scale write was handed over.", ""},
    {"neap_write_duration_seconds", kHistogram, "",
     "Time from handing a scale write over to its outcome.", ""},

    // ---- the controller's thread
    {"neap_step_duration_seconds", kHistogram, "", "One pass of the controller.", ""},
    {"neap_step_messages_total", kCounter, "", "Messages that the controller took in.", ""},
    {"neap_subscriptions", kGauge, "", "Distinct queries that scalers are asked.", ""},
    {"neap_waiting_writes", kGauge, "", "Targets that wait for a write slot.", ""},
    {"neap_write_waits_total", kCounter, "", "Decisions that found no write slot.", ""},
    {"neap_write_overruns_total", kCounter, "", "Scale writes that nobody answered in time.", ""},
    {"neap_polls_total", kCounter, "", "Queries polled.", ""},
    {"neap_poll_timeouts_total", kCounter, "", "Polled queries that did not answer in time.", ""},
    {"neap_late_periods_total", kCounter, "",
     "Targets still undecided when their next period began.", ""},
    {"neap_unknown_readings_total", kCounter, "", "Readings that nobody asked for.", ""},
    {"neap_stale_scales_total", kCounter, "", "Scale events older than our own write, ignored.",
     ""},
    {"neap_quarantined_decisions_total", kCounter, "",
     "Decisions withheld because an object's data broke an invariant.", ""},
    {"neap_replaced_readings_total", kCounter, "",
     "Pushed readings that a later one replaced before the controller took them.", ""},

    // ---- the world around
    {"neap_api_errors_total", kCounter, "code",
     "Requests to the API server that failed: by HTTP status, or what went wrong on the way.", ""},
    {"neap_api_requests_total", kCounter, "verb,resource,code",
     "Requests to the API server; code is error where there was no answer.", ""},
    {"neap_api_delayed_requests_total", kCounter, "",
     "Reads of the API server that waited for the budget (--kube-api-qps).", ""},
    {"neap_api_delay_seconds_total", kCounter, "", "How long they waited, together.", ""},
    {"neap_api_clock_skew_seconds", kGauge, "", "The API server's clock minus ours, whole seconds.",
     ""},
    {"neap_credential_plugin_runs_total", kCounter, "",
     "Runs of the kubeconfig's credential plugin.", ""},
    {"neap_credential_plugin_failures_total", kCounter, "", "Those that gave no credential.", ""},
    {"neap_object_problems", kGauge, "source,severity",
     "Problems of objects as they stand now; severity is error or warning.", ""},
    {"neap_shards", kGauge, "",
     "Parts that the targets are shared in; with --leases, as what follows.", ""},
    {"neap_shards_held", kGauge, "", "Shards whose targets this neapd decides.", ""},
    {"neap_shards_without_history_total", kCounter, "",
     "Shards that were decided though their histories could not be read.", ""},
    {"neap_history_requests_total", kCounter, "operation,outcome",
     "Histories of shards loaded and saved: operation is load or save, outcome ok or error.", ""},
    {"neap_leases_held", kGauge, "", "Leases of shards that are ours.", ""},
    {"neap_leases_lost_total", kCounter, "",
     "Leases that could not be renewed in time, or that another neapd took.", ""},
    {"neap_lease_members", kGauge, "", "Living neapd of this installation, this one included.", ""},
    {"neap_lease_requests_total", kCounter, "", "Requests about Leases.", ""},
    {"neap_lease_errors_total", kCounter, "",
     "Of these, failed ones; conflicts with another neapd are among them.", ""},
    {"neap_scaler_up", kGauge, "endpoint", "1 while the scaler is connected.", ""},
    {"neap_scaler_triggers", kGauge, "endpoint", "Queries that are open at the scaler.", ""},
    {"neap_scaler_connects_total", kCounter, "endpoint", "Connections made.", ""},
    {"neap_scaler_connection_failures_total", kCounter, "endpoint",
     "Attempts to connect and connections that failed.", ""},
    {"neap_scaler_readings_total", kCounter, "endpoint,outcome",
     "Answers of the scaler: value, error, or timeout.", ""},
    {"neap_scaler_pushed_readings_total", kCounter, "endpoint", "Readings that came unasked.", ""},
    {"neap_scaler_received_bytes_total", kCounter, "endpoint", "Bytes of answers.", ""},
    {"neap_scaler_violations_total", kCounter, "endpoint,kind",
     "What a scaler said against the contract; it was refused.", ""},
    {"neap_refused_triggers_total", kCounter, "",
     "Polled queries whose trigger type no scaler serves.", ""},
    {"neap_journal_written_bytes_total", kCounter, "", "Bytes written to the journal.", ""},
    {"neap_journal_lost_records_total", kCounter, "", "Decision records that could not be written.",
     ""},
    {"neap_build_info", kGauge, "version", "Always 1; the version is a label.", "keda_build_info"},
    {"process_cpu_seconds_total", kCounter, "", "User and system CPU time.", ""},
    {"process_resident_memory_bytes", kGauge, "", "Resident memory.", ""},
    {"process_start_time_seconds", kGauge, "", "Start of the process since the epoch.", ""},
    {"process_open_fds", kGauge, "", "Open file descriptors.", ""},

    // ---- per object
    {"neap_autoscaler_info", kGauge,
     "namespace,horizontalpodautoscaler,scaletargetref_api_version,scaletargetref_kind,"
     "scaletargetref_name",
     "Always 1; what the object scales.", "kube_horizontalpodautoscaler_info"},
    {"neap_autoscaler_metadata_generation", kGauge, kHpa, "Generation of the object.",
     "kube_horizontalpodautoscaler_metadata_generation"},
    {"neap_autoscaler_spec_min_replicas", kGauge, kHpa, "Lower bound.",
     "kube_horizontalpodautoscaler_spec_min_replicas"},
    {"neap_autoscaler_spec_max_replicas", kGauge, kHpa, "Upper bound.",
     "kube_horizontalpodautoscaler_spec_max_replicas"},
    {"neap_autoscaler_spec_target_metric", kGauge, kHpaMetric,
     "Target of a metric, a trigger's as its scaler told it.",
     "kube_horizontalpodautoscaler_spec_target_metric"},
    {"neap_autoscaler_status_target_metric", kGauge, kHpaMetric,
     "Value of a metric at the last decision.",
     "kube_horizontalpodautoscaler_status_target_metric"},
    {"neap_autoscaler_status_condition", kGauge,
     "namespace,horizontalpodautoscaler,condition,status",
     "1 for the condition's status (true, false, unknown), 0 for the two others.",
     "kube_horizontalpodautoscaler_status_condition"},
    {"neap_autoscaler_status_current_replicas", kGauge, kHpa,
     "Replicas that the target had at the last decision.",
     "kube_horizontalpodautoscaler_status_current_replicas"},
    {"neap_autoscaler_status_desired_replicas", kGauge, kHpa,
     "Replicas that the last decision asked for.",
     "kube_horizontalpodautoscaler_status_desired_replicas"},
    {"neap_autoscaler_recommended_replicas", kGauge, kHpa,
     "What the metrics asked for, before stabilisation, rate limits and bounds.", ""},
    {"neap_autoscaler_writes_withheld", kGauge, kHpa,
     "1 when the scale is not written: mode DryRun, or neapd --dry-run.", ""},
    {"neap_autoscaler_last_decision_timestamp_seconds", kGauge, kHpa,
     "Time of the last decision since the epoch.", ""},
    {"neap_autoscaler_decisions_total", kCounter, kHpa, "Decisions.", ""},
    {"neap_autoscaler_rescales_total", kCounter, kHpa, "Scale writes that were applied.", ""},
    {"neap_scaled_object_errors_total", kCounter, kKedaObject,
     "Decisions without a count, because metrics or the scale could not be read.",
     "keda_scaled_object_errors_total"},
    {"neap_scaled_object_paused", kGauge, kKedaObject, "1 when the object is paused.",
     "keda_scaled_object_paused"},
    {"neap_scaler_metrics_value", kGauge, kKedaMetric,
     "Latest value of a trigger's metric; no series while it can't be read.",
     "keda_scaler_metrics_value"},
    {"neap_scaler_active", kGauge, kKedaMetric,
     "1 when the trigger is active; no series where its scaler does not say.",
     "keda_scaler_active"},
    {"neap_scaler_failing", kGauge, kKedaMetric,
     "1 when the latest reading of a trigger's metric is an error, 0 when it is a value.", ""},
    {"neap_scaler_reading_age_seconds", kGauge, kKedaMetric,
     "Age of the latest reading of a trigger's metric.", ""},

    // ---- shadowed HPAs (--shadow-hpas)
    {"neap_shadow_decisions_total", kCounter, "namespace,horizontalpodautoscaler,result",
     "Decisions for a shadowed HPA: result is equal to what the HPA did, or different.", ""},
    {"neap_shadow_current_replicas", kGauge, kHpa, "Replicas of a shadowed HPA's target.", ""},
    {"neap_shadow_desired_replicas", kGauge, kHpa,
     "Replicas that Neap would have for a shadowed HPA.", ""},
    {"neap_shadow_hpa_desired_replicas", kGauge, kHpa,
     "Replicas that a shadowed HPA desires, by its status.", ""},
    {"neap_shadow_differs_seconds", kGauge, kHpa,
     "For how long Neap would have had other replicas than a shadowed HPA's target; 0: it would "
     "not.",
     ""},
};

}  // namespace

std::string_view MetricTypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "";
}

std::span<const MetricInfo> MetricList() { return kMetrics; }

const MetricInfo& FindMetric(std::string_view name) {
  const auto* at = std::find_if(std::begin(kMetrics), std::end(kMetrics),
                                [&](const MetricInfo& info) { return info.name == name; });
  NEAP_CHECK(at != std::end(kMetrics), "metric {} is not in the list", name);
  return *at;
}

std::string MetricTable() {
  std::string out = "| metric | type | labels | meaning | like |\n|---|---|---|---|---|\n";
  for (const MetricInfo& info : kMetrics) {
    std::string labels(info.labels);
    for (size_t at = 0; (at = labels.find(',', at)) != std::string::npos; at += 2) {
      labels.replace(at, 1, ", ");
    }
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", info.name, MetricTypeName(info.type),
                       labels, info.help, info.like.empty() ? "" : fmt::format("`{}`", info.like));
  }
  return out;
}

}  // namespace neap::telemetry
