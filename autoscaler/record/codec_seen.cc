// What was seen: scale, pods, readings.
#include <algorithm>
#include <array>

#include "autoscaler/record/codec.h"
#include "autoscaler/record/wire.h"

namespace neap::record {
namespace {

using Amounts = google::protobuf::RepeatedPtrField<v1::ResourceAmount>;

void EncodeAmounts(const core::ResourceAmounts& amounts, Amounts* out) {
  for (const core::ResourceAmount& amount : amounts) {
    v1::ResourceAmount* a = out->Add();
    a->set_resource(amount.resource);
    a->set_milli(amount.milli);
    a->set_rounded_up_nano(amount.rounded_up_nano);
  }
}

core::ResourceAmounts DecodeAmounts(const Amounts& in) {
  core::ResourceAmounts amounts;
  for (const v1::ResourceAmount& a : in) {
    amounts.push_back(
        {.resource = a.resource(), .milli = a.milli(), .rounded_up_nano = a.rounded_up_nano()});
  }
  return amounts;
}

using Containers = google::protobuf::RepeatedPtrField<v1::Container>;

void EncodeContainers(const std::vector<core::PodRequests::Container>& containers,
                      Containers* out) {
  for (const core::PodRequests::Container& container : containers) {
    v1::Container* c = out->Add();
    c->set_name(container.name);
    c->set_sidecar(container.sidecar);
    EncodeAmounts(container.requests, c->mutable_requests());
  }
}

std::vector<core::PodRequests::Container> DecodeContainers(const Containers& in) {
  std::vector<core::PodRequests::Container> containers;
  for (const v1::Container& c : in) {
    containers.push_back(
        {.name = c.name(), .sidecar = c.sidecar(), .requests = DecodeAmounts(c.requests())});
  }
  return containers;
}

// Differences are taken modulo 2^64: an unset time lies too far from any other.
int64_t Difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

void EncodeColumn(const std::vector<int64_t>& values, v1::Column* out) {
  int64_t unit = 1;
  for (const int64_t candidate : std::array<int64_t, 3>{1000000000, 1000000, 1000}) {
    if (std::all_of(values.begin(), values.end(),
                    [&](int64_t value) { return value % candidate == 0; })) {
      unit = candidate;
      break;
    }
  }
  size_t needed = values.size();
  while (needed > 1 && values[needed - 1] == values[needed - 2]) --needed;
  out->set_unit(unit);
  int64_t before = 0;
  for (size_t i = 0; i < needed; ++i) {
    out->add_steps(unit == 1 ? Difference(values[i], before) : values[i] / unit - before / unit);
    before = values[i];
  }
}

std::vector<int64_t> DecodeColumn(const v1::Column& in, size_t rows) {
  std::vector<int64_t> values;
  uint64_t last = 0;
  for (size_t i = 0; i < rows; ++i) {
    if (static_cast<int>(i) < in.steps_size()) {
      last +=
          static_cast<uint64_t>(in.steps(static_cast<int>(i))) * static_cast<uint64_t>(in.unit());
    }
    values.push_back(static_cast<int64_t>(last));
  }
  return values;
}

void EncodeSamples(const core::PodSamples& samples, v1::PodSamples* out) {
  out->set_rows(static_cast<uint32_t>(samples.by_pod.size()));
  std::vector<int64_t> at;
  std::vector<int64_t> window;
  uint32_t missing = 0;
  for (size_t row = 0; row < samples.by_pod.size(); ++row) {
    const core::PodSample& sample = samples.by_pod[row];
    if (!sample.present) {
      out->add_missing(static_cast<uint32_t>(row) - missing);
      missing = static_cast<uint32_t>(row);
      continue;
    }
    out->add_milli(sample.milli);
    at.push_back(Nanos(sample.at));
    window.push_back(Nanos(sample.window));
  }
  if (!at.empty()) {
    EncodeColumn(at, out->mutable_at_time_ns());
    EncodeColumn(window, out->mutable_window_ns());
  }
  for (const int64_t milli : samples.stray) out->add_stray(milli);
}

absl::Status DecodeSamples(const v1::PodSamples& in, core::PodSamples* samples) {
  const auto present = static_cast<size_t>(in.milli_size());
  if (in.rows() != present + static_cast<size_t>(in.missing_size())) {
    return base::InvalidArgument("pod samples: {} rows, but {} values and {} missing", in.rows(),
                                 present, in.missing_size());
  }
  const std::vector<int64_t> at = DecodeColumn(in.at_time_ns(), present);
  const std::vector<int64_t> window = DecodeColumn(in.window_ns(), present);
  samples->by_pod.resize(in.rows());
  std::vector<bool> missing(in.rows(), false);
  uint64_t row = 0;
  for (const uint32_t step : in.missing()) {
    row += step;
    if (row >= in.rows() || missing[row]) {
      return base::InvalidArgument("pod samples: missing row {} of {}", row, in.rows());
    }
    missing[row] = true;
  }
  size_t next = 0;
  for (size_t i = 0; i < samples->by_pod.size(); ++i) {
    if (missing[i]) continue;
    samples->by_pod[i] = {.milli = in.milli(static_cast<int>(next)),
                          .at = TimeOf(at[next]),
                          .window = DurationOf(window[next]),
                          .present = true};
    ++next;
  }
  samples->stray.assign(in.stray().begin(), in.stray().end());
  return absl::OkStatus();
}

}  // namespace

void Encode(const core::Scale& scale, v1::Scale* out) {
  out->set_uid(scale.uid);
  out->set_resource_version(scale.resource_version);
  out->set_spec_replicas(scale.spec_replicas);
  out->set_status_replicas(scale.status_replicas);
  out->set_selector(scale.selector);
  if (scale.ready_replicas) out->set_ready_replicas(*scale.ready_replicas);
  out->set_quota_refused(scale.quota_refused);
}

absl::Status Decode(const v1::Scale& in, core::Scale* scale) {
  *scale = {.uid = in.uid(),
            .resource_version = in.resource_version(),
            .spec_replicas = in.spec_replicas(),
            .status_replicas = in.status_replicas(),
            .selector = in.selector(),
            .quota_refused = in.quota_refused()};
  if (in.has_ready_replicas()) scale->ready_replicas = in.ready_replicas();
  return absl::OkStatus();
}

void Encode(const core::Pod& pod, v1::Pod* out) {
  out->set_name(std::string(pod.name));
  if (pod.start != absl::InfinitePast()) out->set_start_time_ns(Nanos(pod.start));
  if (pod.ready_at != absl::InfinitePast()) out->set_ready_at_time_ns(Nanos(pod.ready_at));
  out->set_requests(pod.requests);
  out->set_phase(EnumOf<v1::PodPhase>(pod.phase));
  out->set_ready(EnumOf<v1::PodReady>(pod.ready));
  out->set_deleting(pod.deleting);
  out->set_crash_looping(pod.trouble == core::PodTrouble::kCrashLoop);
  out->set_unschedulable(pod.trouble == core::PodTrouble::kUnschedulable);
}

absl::Status Decode(const v1::Pod& in, core::Pod* pod) {
  pod->name = in.name();
  if (in.has_start_time_ns()) pod->start = TimeOf(in.start_time_ns());
  if (in.has_ready_at_time_ns()) pod->ready_at = TimeOf(in.ready_at_time_ns());
  pod->requests = in.requests();
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.phase(), core::PodPhase::kUnknown, "pod phase", &pod->phase));
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.ready(), core::PodReady::kUnknown, "pod ready", &pod->ready));
  pod->deleting = in.deleting();
  pod->trouble = in.crash_looping()   ? core::PodTrouble::kCrashLoop
                 : in.unschedulable() ? core::PodTrouble::kUnschedulable
                                      : core::PodTrouble::kNone;
  return absl::OkStatus();
}

void Encode(const core::PodRequests& requests, v1::PodRequests* out) {
  EncodeContainers(requests.containers, out->mutable_containers());
  EncodeContainers(requests.init_containers, out->mutable_init_containers());
  if (requests.pod_level) {
    EncodeAmounts(*requests.pod_level, out->mutable_pod_level()->mutable_amounts());
  }
  EncodeAmounts(requests.overhead, out->mutable_overhead());
}

absl::Status Decode(const v1::PodRequests& in, core::PodRequests* requests) {
  requests->containers = DecodeContainers(in.containers());
  requests->init_containers = DecodeContainers(in.init_containers());
  if (in.has_pod_level()) requests->pod_level = DecodeAmounts(in.pod_level().amounts());
  requests->overhead = DecodeAmounts(in.overhead());
  return absl::OkStatus();
}

void Encode(const core::ReadingError& error, v1::ReadingError* out) {
  out->set_kind(EnumOf<v1::ErrorKind>(error.kind));
  out->set_message(error.message);
}

absl::Status Decode(const v1::ReadingError& in, core::ReadingError* error) {
  error->message = in.message();
  return DecodeEnum(in.kind(), core::ErrorKind::kStale, "error kind", &error->kind);
}

void Encode(const core::Reading& reading, absl::Time now, v1::Reading* out) {
  out->set_form(EnumOf<v1::ReadingForm>(reading.form));
  if (reading.error != core::ReadingError()) Encode(reading.error, out->mutable_error());
  for (const int64_t milli : reading.milli) out->add_milli(milli);
  for (const double real : reading.real) out->add_real(real);
  if (reading.pods != core::PodSamples()) EncodeSamples(reading.pods, out->mutable_pods());
  out->set_absent(reading.absent);
  if (reading.active) out->set_active(*reading.active);
  if (reading.target) Encode(*reading.target, out->mutable_target());
  // As ages of whole nanoseconds between two whole nanoseconds, so that nothing is rounded twice.
  if (reading.observed_at != absl::InfinitePast()) {
    out->set_observed_age_ns(Difference(Nanos(now), Nanos(reading.observed_at)));
  }
  if (reading.sampled_at != absl::InfinitePast()) {
    out->set_sampled_age_ns(Difference(Nanos(now), Nanos(reading.sampled_at)));
  }
  out->set_sequence(reading.sequence);
}

absl::Status Decode(const v1::Reading& in, absl::Time now, core::Reading* reading) {
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.form(), core::Reading::Form::kPods, "reading form", &reading->form));
  if (in.has_error()) NEAP_RETURN_IF_ERROR(Decode(in.error(), &reading->error));
  reading->milli.assign(in.milli().begin(), in.milli().end());
  reading->real.assign(in.real().begin(), in.real().end());
  if (in.has_pods()) NEAP_RETURN_IF_ERROR(DecodeSamples(in.pods(), &reading->pods));
  reading->absent = in.absent();
  if (in.has_active()) reading->active = in.active();
  if (in.has_target()) NEAP_RETURN_IF_ERROR(Decode(in.target(), &reading->target.emplace()));
  if (in.has_observed_age_ns()) {
    reading->observed_at = TimeOf(Difference(Nanos(now), in.observed_age_ns()));
  }
  if (in.has_sampled_age_ns()) {
    reading->sampled_at = TimeOf(Difference(Nanos(now), in.sampled_age_ns()));
  }
  reading->sequence = in.sequence();
  return absl::OkStatus();
}

void Encode(const OwnedObservation::Metric& metric, v1::MetricInput* out) {
  Encode(metric.spec, out->mutable_spec());
  out->set_stale_after_ns(Nanos(metric.stale_after));
}

absl::Status Decode(const v1::MetricInput& in, OwnedObservation::Metric* metric) {
  metric->stale_after = DurationOf(in.stale_after_ns());
  return Decode(in.spec(), &metric->spec);
}

}  // namespace neap::record
