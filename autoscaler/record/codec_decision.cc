// Decisions and their steps.
#include <limits>
#include <type_traits>

#include "autoscaler/record/codec.h"
#include "autoscaler/record/wire.h"

namespace neap::record {
namespace {

// Metric numbers: index + 1, 0 = none.
uint32_t NumberOf(int16_t metric) { return metric < 0 ? 0 : static_cast<uint32_t>(metric) + 1; }

absl::Status DecodeMetricNumber(uint32_t number, int16_t* metric) {
  if (number > static_cast<uint32_t>(std::numeric_limits<int16_t>::max())) {
    return base::InvalidArgument("metric number {} is out of range", number);
  }
  *metric = static_cast<int16_t>(static_cast<int>(number) - 1);
  return absl::OkStatus();
}

absl::Status DecodeReason(int wire, std::string_view field, core::Reason* out) {
  return DecodeEnum(wire, core::kLastReason, field, out);
}

struct DetailEncoder {
  v1::Step* out;
  void operator()(std::monostate) const {}
  void operator()(const core::RatioDetail& d) const {
    v1::RatioDetail* o = out->mutable_ratio();
    o->set_usage(d.usage);
    o->set_target(d.target);
    o->set_ratio(d.ratio);
    o->set_pods(d.pods);
  }
  void operator()(const core::PodsDetail& d) const {
    v1::PodsDetail* o = out->mutable_pods();
    o->set_ready(d.ready);
    o->set_unready(d.unready);
    o->set_missing(d.missing);
    o->set_ignored(d.ignored);
  }
  void operator()(const core::WindowDetail& d) const {
    out->mutable_window()->set_lowest(d.lowest);
    out->mutable_window()->set_highest(d.highest);
  }
  void operator()(const core::LimitDetail& d) const { out->mutable_limit()->set_limit(d.limit); }
  void operator()(const core::CountDetail& d) const {
    out->mutable_count()->set_count(d.count);
    out->mutable_count()->set_of(d.of);
  }
  void operator()(const core::AgeDetail& d) const {
    out->mutable_age()->set_age_ns(Nanos(d.age));
    out->mutable_age()->set_limit_ns(Nanos(d.limit));
  }
  void operator()(const core::CrashLoopDetail& d) const {
    v1::CrashLoopDetail* o = out->mutable_crash_loop();
    o->set_crashing(d.crashing);
    o->set_of(d.of);
    o->set_since_ns(Nanos(d.since));
    o->set_limit_ns(Nanos(d.limit));
  }
};

core::Detail DecodeDetail(const v1::Step& in) {
  switch (in.detail_case()) {
    case v1::Step::kRatio:
      return core::RatioDetail{.usage = in.ratio().usage(),
                               .target = in.ratio().target(),
                               .ratio = in.ratio().ratio(),
                               .pods = in.ratio().pods()};
    case v1::Step::kPods:
      return core::PodsDetail{.ready = in.pods().ready(),
                              .unready = in.pods().unready(),
                              .missing = in.pods().missing(),
                              .ignored = in.pods().ignored()};
    case v1::Step::kWindow:
      return core::WindowDetail{.lowest = in.window().lowest(), .highest = in.window().highest()};
    case v1::Step::kLimit:
      return core::LimitDetail{.limit = in.limit().limit()};
    case v1::Step::kCount:
      return core::CountDetail{.count = in.count().count(), .of = in.count().of()};
    case v1::Step::kAge:
      return core::AgeDetail{.age = DurationOf(in.age().age_ns()),
                             .limit = DurationOf(in.age().limit_ns())};
    case v1::Step::kCrashLoop:
      return core::CrashLoopDetail{.crashing = in.crash_loop().crashing(),
                                   .of = in.crash_loop().of(),
                                   .since = DurationOf(in.crash_loop().since_ns()),
                                   .limit = DurationOf(in.crash_loop().limit_ns())};
    case v1::Step::DETAIL_NOT_SET:
      break;
  }
  return std::monostate();
}

void EncodeStep(const core::Step& step, v1::Step* out) {
  out->set_stage(EnumOf<v1::Stage>(step.stage));
  out->set_reason(EnumOf<v1::Reason>(step.reason));
  out->set_before(step.before);
  out->set_after(step.after);
  out->set_metric(NumberOf(step.metric));
  std::visit(DetailEncoder{out}, step.detail);
}

absl::Status DecodeStep(const v1::Step& in, core::Step* step) {
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.stage(), core::Stage::kGuards, "stage of a step", &step->stage));
  NEAP_RETURN_IF_ERROR(DecodeReason(in.reason(), "reason of a step", &step->reason));
  step->before = in.before();
  step->after = in.after();
  NEAP_RETURN_IF_ERROR(DecodeMetricNumber(in.metric(), &step->metric));
  step->detail = DecodeDetail(in);
  return absl::OkStatus();
}

void EncodeResult(const core::MetricResult& result, v1::MetricResult* out) {
  out->set_valid(result.valid);
  out->set_proposal(result.proposal);
  out->set_overflow(result.overflow);
  out->set_absent(result.absent);
  out->set_no_ready_pods(result.no_ready_pods);
  if (result.utilization) out->set_utilization(*result.utilization);
  if (result.average_value) out->set_average_value(*result.average_value);
  if (result.value) out->set_value(*result.value);
  out->set_error_kind(EnumOf<v1::ErrorKind>(result.error_kind));
  out->set_error(result.error);
  out->set_wrapped(result.wrapped);
}

absl::Status DecodeResult(const v1::MetricResult& in, core::MetricResult* result) {
  result->valid = in.valid();
  result->proposal = in.proposal();
  result->overflow = in.overflow();
  result->absent = in.absent();
  result->no_ready_pods = in.no_ready_pods();
  if (in.has_utilization()) result->utilization = in.utilization();
  if (in.has_average_value()) result->average_value = in.average_value();
  if (in.has_value()) result->value = in.value();
  NEAP_RETURN_IF_ERROR(
      DecodeEnum(in.error_kind(), core::ErrorKind::kStale, "error kind", &result->error_kind));
  result->error = in.error();
  result->wrapped = in.wrapped();
  return absl::OkStatus();
}

}  // namespace

void Encode(const core::Decision& d, v1::Decision* out) {
  out->set_verdict(EnumOf<v1::Verdict>(d.verdict));
  out->set_current(d.current);
  out->set_recommended(d.recommended);
  out->set_stabilised(d.stabilised);
  out->set_desired(d.desired);
  out->set_rescale(d.rescale);
  out->set_rescale_reason(EnumOf<v1::RescaleReason>(d.rescale_reason));
  out->set_winner(NumberOf(d.winner));
  out->set_failure(EnumOf<v1::Reason>(d.failure));
  out->set_failure_text(d.failure_text);
  out->set_first_invalid(NumberOf(d.first_invalid));
  out->set_some_invalid(d.some_invalid);
  out->set_able(EnumOf<v1::Reason>(d.able));
  out->set_limited(EnumOf<v1::Reason>(d.limited));
  out->set_took_base(d.took_base);
  out->set_ready_pods(d.ready_pods);
  out->set_crash_loop(d.crash_loop);
  for (const core::MetricResult& result : d.metrics) EncodeResult(result, out->add_metrics());
  for (const core::Step& step : d.steps) EncodeStep(step, out->add_steps());
}

absl::Status Decode(const v1::Decision& in, core::Decision* d) {
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.verdict(), core::Verdict::kComputed, "verdict", &d->verdict));
  d->current = in.current();
  d->recommended = in.recommended();
  d->stabilised = in.stabilised();
  d->desired = in.desired();
  d->rescale = in.rescale();
  NEAP_RETURN_IF_ERROR(DecodeEnum(in.rescale_reason(), core::RescaleReason::kBelowMin,
                                  "rescale_reason", &d->rescale_reason));
  NEAP_RETURN_IF_ERROR(DecodeMetricNumber(in.winner(), &d->winner));
  NEAP_RETURN_IF_ERROR(DecodeReason(in.failure(), "failure", &d->failure));
  d->failure_text = in.failure_text();
  NEAP_RETURN_IF_ERROR(DecodeMetricNumber(in.first_invalid(), &d->first_invalid));
  d->some_invalid = in.some_invalid();
  NEAP_RETURN_IF_ERROR(DecodeReason(in.able(), "able", &d->able));
  NEAP_RETURN_IF_ERROR(DecodeReason(in.limited(), "limited", &d->limited));
  d->took_base = in.took_base();
  d->ready_pods = in.ready_pods();
  d->crash_loop = in.crash_loop();
  for (const v1::MetricResult& result : in.metrics()) {
    NEAP_RETURN_IF_ERROR(DecodeResult(result, &d->metrics.emplace_back()));
  }
  for (const v1::Step& step : in.steps()) {
    NEAP_RETURN_IF_ERROR(DecodeStep(step, &d->steps.emplace_back()));
  }
  return absl::OkStatus();
}

v1::Cause Encode(control::Cause cause) { return EnumOf<v1::Cause>(cause); }

absl::Status Decode(v1::Cause in, control::Cause* cause) {
  return DecodeEnum(in, control::Cause::kWriteSlot, "cause", cause);
}

}  // namespace neap::record
