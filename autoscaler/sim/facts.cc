// CompleteFacts: what nobody said of a workload, from what is likely, given the object and the
// trace's peak.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/sim/metric_map.h"
#include "autoscaler/sim/policy.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

using Reads = MappedMetric::Reads;

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kCpuRequest = kNano / 2;
constexpr absl::Duration kPodStart = absl::Seconds(20);
constexpr absl::Duration kTimeout = absl::Seconds(30);
// How busy a pod is when it stands at its target and the target does not say it.
constexpr int64_t kBusyAtTarget = 800;  // thousandths
constexpr std::string_view kStandardInput = "-";

std::string Rate(int64_t milli) { return fmt::format("{}/s", static_cast<double>(milli) / 1000); }

// a * b / c without overflow for what occurs here.
int64_t Scale(int64_t a, int64_t b, int64_t c) {
  return static_cast<int64_t>(static_cast<Wide>(a) * b / std::max<int64_t>(1, c));
}

// Three digits, at least one: what is assumed is no more exact.
int64_t Rounded(int64_t value) {
  int64_t unit = 1;
  while (value / unit >= 1000) unit *= 10;
  return std::max<int64_t>(1, (value + unit / 2) / unit * unit);
}

struct TraceSummary {
  int64_t first = 0;  // thousandths per second
  int64_t peak = 0;
  int64_t mean_work = 1000;  // of a request, thousandths of a unit
  absl::Time begins = absl::InfinitePast();
  absl::Duration length = {};  // at its own speed
};

// A trace of rates: its rows. Of requests: how many come per minute.
absl::StatusOr<TraceSummary> Summarise(const Facts& facts) {
  NEAP_ASSIGN_OR_RETURN(const auto reader, TraceReader::Open(facts.trace, facts.trace_options));
  const bool requests = facts.trace_options.kind == TraceKind::kRequests;
  TraceSummary out;
  TraceRow row;
  int64_t rows = 0, in_minute = 0, minute = 0;
  Wide work = 0;
  bool first_minute = true;
  const auto end_minute = [&] {
    const int64_t rate = in_minute * 1000 / 60;
    if (std::exchange(first_minute, false)) out.first = rate;
    out.peak = std::max(out.peak, rate);
    in_minute = 0;
  };
  while (reader->Next(&row)) {
    if (!requests) {
      if (rows == 0) out.first = row.milli;
      out.peak = std::max(out.peak, row.milli);
    } else {
      if (absl::ToInt64Minutes(row.at) != minute) end_minute();
      minute = absl::ToInt64Minutes(row.at);
      ++in_minute;
      work += row.milli;
    }
    ++rows;
  }
  NEAP_RETURN_IF_ERROR(reader->status());
  if (requests && rows > 0) {
    if (first_minute) end_minute();  // a last minute that is not whole counts when it is the only
    out.mean_work = std::max<int64_t>(1, static_cast<int64_t>(work / rows));
  }
  out.begins = reader->notes().first;
  out.length = row.at + reader->notes().step;
  out.first = Scale(out.first, facts.scale, 1000);
  out.peak = Scale(out.peak, facts.scale, 1000);
  return out;
}

// Rates come at equal steps, requests do not: fewer than half of the first steps equal the usual
// one.
bool LooksLikeRequests(const Facts& facts) {
  if (facts.trace == kStandardInput || facts.trace_options.kind == TraceKind::kRequests) {
    return false;
  }
  TraceOptions options = facts.trace_options;
  options.kind = TraceKind::kRequests;
  const auto reader = TraceReader::Open(facts.trace, options);
  if (!reader.ok()) return false;
  std::map<absl::Duration, int> steps;
  TraceRow row, before;
  int rows = 0;
  for (; rows < 200 && (*reader)->Next(&row); ++rows, before = row) {
    if (rows > 0) ++steps[row.at - before.at];
  }
  int most = 0;
  for (const auto& [step, count] : steps) most = std::max(most, count);
  return rows >= 20 && most * 2 < rows;
}

constexpr std::string_view kRequestsHint =
    "the trace looks like one row per request, not like rates at equal steps: --requests reads it "
    "so";

// What one pod of the first policy does at its target.
struct AtTarget {
  const MappedMetric* metric = nullptr;
  int64_t busy = kBusyAtTarget;      // thousandths of what it can do
  std::optional<int64_t> rate = {};  // a target that is a rate per pod: thousandths per second
  std::string text = {};             // "the target of 60 % of its CPU request"
};

class Completer {
 public:
  Completer(const Facts& facts, const std::vector<Policy>& policies) : policies_(policies) {
    out_.facts = facts;
  }

  absl::StatusOr<CompletedFacts> Run() {
    NEAP_RETURN_IF_ERROR(CheckOverrides());
    for (const Policy& policy : policies_) {
      NEAP_ASSIGN_OR_RETURN(auto mapped, MapMetrics(policy, f().metrics));
      maps_.push_back(std::move(mapped));
    }
    NEAP_RETURN_IF_ERROR(CompleteKind());
    if (is_requests_trace() && (f().scale != 1000 || f().speed != 1000)) {
      return base::InvalidArgument(
          "a trace of single requests is played as it is: no scale, no speed");
    }
    if (LooksLikeRequests(f())) out_.hints.emplace_back(kRequestsHint);
    if (f().trace != kStandardInput) {
      auto summary = Summarise(f());
      if (!summary.ok()) return WithHint(summary.status());
      summary_ = *summary;
      out_.length = summary->length * 1000 / f().speed;
      out_.mean_work = summary->mean_work;
      if (summary_->peak == 0) {
        return base::InvalidArgument("{}: there is no load in it", f().trace);
      }
    }
    CompleteCpuRequest();
    FindTarget();
    NEAP_RETURN_IF_ERROR(CompleteCapacity());
    CompleteCpuPerRequest();
    CompleteTimes();
    CompleteReplicas();
    Warn();
    return std::move(out_);
  }

 private:
  Facts& f() { return out_.facts; }
  const core::AutoscalerSpec& first() const { return *policies_[0].object.spec; }
  template <typename... Args>
  void Assume(fmt::format_string<Args...> format, Args&&... args) {
    out_.assumptions.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  absl::Status WithHint(const absl::Status& status) const {
    if (out_.hints.empty()) return status;
    return absl::Status(status.code(),
                        fmt::format("{}\nhint: {}", base::Message(status), out_.hints[0]));
  }
  bool single_requests() { return f().service_time || is_requests_trace(); }
  bool is_requests_trace() { return f().trace_options.kind == TraceKind::kRequests; }

  absl::Status CheckOverrides() {
    std::vector<std::string_view> names;
    for (const Policy& policy : policies_) {
      for (const core::MetricSpec& metric : policy.object.spec->metrics) {
        if (metric.source != core::MetricSource::kResource &&
            metric.source != core::MetricSource::kContainerResource) {
          names.push_back(metric.name);
        }
      }
      for (const core::TriggerSpec& trigger : policy.object.spec->triggers) {
        names.push_back(trigger.name.empty() ? trigger.type : trigger.name);
        names.push_back(trigger.type);
      }
      for (const Policy::Trigger& trigger : policy.triggers) names.push_back(trigger.metric.name);
    }
    for (const std::string& text : f().metrics) {
      const size_t equals = text.rfind('=');
      if (equals == std::string::npos) {
        return base::InvalidArgument(
            "--metric {}: expected NAME=load, loadPerPod, queue, cpu or "
            "fixed:NUMBER",
            text);
      }
      const std::string_view name = std::string_view(text).substr(0, equals);
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        return base::InvalidArgument("--metric {}: no object has a metric or trigger \"{}\"{}",
                                     text, name, base::DidYouMean(name, names));
      }
    }
    return absl::OkStatus();
  }

  // Requests or a queue.
  absl::Status CompleteKind() {
    const MappedMetric* queue = nullptr;
    const MappedMetric* steering = nullptr;  // moves with the load
    for (const auto& map : maps_) {
      for (const MappedMetric& metric : map) {
        if (metric.reads == Reads::kQueue && queue == nullptr) queue = &metric;
        if (metric.reads != Reads::kMemory && metric.reads != Reads::kFixed) steering = &metric;
      }
      if (steering == nullptr) {
        return base::InvalidArgument(
            "{}: no metric follows the load: memory and fixed values stand still in this world",
            policies_[static_cast<size_t>(&map - maps_.data())].source);
      }
    }
    if (queue != nullptr && f().queue == false) {
      return base::InvalidArgument("{} reads a queue, but the load was said to be requests",
                                   queue->label);
    }
    if (!f().queue) {
      f().queue = queue != nullptr;
      if (*f().queue) {
        Assume(
            "the trace's load are items that arrive in a queue, whose consumer is the target, "
            "since {} reads a queue",
            queue->label);
      }
    }
    if (*f().queue && is_requests_trace()) {
      return base::InvalidArgument(
          "a trace of single requests can't fill a queue{}{}: give one of rates",
          queue == nullptr ? "" : ", which is what ", queue == nullptr ? "" : queue->label);
    }
    return absl::OkStatus();
  }

  void CompleteCpuRequest() {
    if (f().cpu_request) return;
    f().cpu_request = kCpuRequest;
    if (Cpu() != nullptr) Assume("no CPU request given: 500m of each pod");
  }

  // The first metric of any policy that reads the CPU of pods.
  const MappedMetric* Cpu() const {
    for (const auto& map : maps_) {
      for (const MappedMetric& metric : map) {
        if (metric.reads == Reads::kCpu) return &metric;
      }
    }
    return nullptr;
  }

  void FindTarget() {
    for (const MappedMetric& metric : maps_[0]) {
      const bool rate = metric.reads == Reads::kLoad || metric.reads == Reads::kLoadPerPod;
      if (!rate && metric.reads != Reads::kCpu) continue;
      const auto per_pod = TargetPerPod(metric, *f().cpu_request);
      if (!per_pod) continue;
      at_.metric = &metric;
      if (rate) {
        at_.rate = *per_pod;
        at_.text = fmt::format("the target of {}", Rate(*per_pod));
        return;  // says more than CPU does
      }
      const auto& percent = metric.metric->target.average_utilization;
      at_.busy = percent ? std::min<int64_t>(kBusyAtTarget, int64_t{10} * *percent) : kBusyAtTarget;
      at_.text = percent ? fmt::format("the target of {} % of its CPU request", *percent)
                         : fmt::format("the target of {} CPU",
                                       base::FormatMilli(*metric.metric->target.average_value));
    }
  }

  absl::Status NeedsPeak(std::string_view flag) const {
    return base::InvalidArgument(
        "{} is needed: its default is made from the trace's peak, and standard input can't be read "
        "twice",
        flag);
  }

  absl::Status CompleteCapacity() {
    if (f().service_time && !f().concurrency) {
      f().concurrency = 1;
      Assume("no concurrency given: a pod serves one request at a time");
    }
    if (f().capacity) return CompleteServiceTime();
    if (f().service_time) return CapacityFromServiceTime();
    if (f().cpu_per_request) {
      f().capacity = Rounded(Scale(*f().cpu_request, 1000, *f().cpu_per_request));
      Assume("no capacity given: a pod does what its CPU request allows, {}", Rate(*f().capacity));
      return CompleteServiceTime();
    }
    if (at_.rate) {
      f().capacity = Rounded(Scale(*at_.rate, 1000, kBusyAtTarget));
      Assume("no capacity given: {} for a pod, so that {} keeps it 80 % busy", Rate(*f().capacity),
             at_.text);
      return CompleteServiceTime();
    }
    if (!summary_) return NeedsPeak("--capacity");
    const int64_t most = std::max(1, first().max_replicas);
    f().capacity = Rounded(Scale(summary_->peak, 1000, most * at_.busy));
    const std::string all = fmt::format("all {} pods of maxReplicas", first().max_replicas);
    if (at_.metric != nullptr) {
      Assume("no capacity given: {} for a pod, so that the trace's peak of {} puts {} at {}",
             Rate(*f().capacity), Rate(summary_->peak), all, at_.text);
    } else {
      Assume("no capacity given: {} for a pod, so that the trace's peak of {} keeps {} 80 % busy",
             Rate(*f().capacity), Rate(summary_->peak), all);
    }
    return CompleteServiceTime();
  }

  absl::Status CapacityFromServiceTime() {
    if (is_requests_trace() && !summary_) return NeedsPeak("--capacity");
    const int64_t mean = absl::ToInt64Nanoseconds(f().service_time->Mean());
    if (mean <= 0) return base::InvalidArgument("--service-time: must be more than 0");
    const int64_t work = is_requests_trace() ? summary_->mean_work : 1000;
    f().capacity = std::max<int64_t>(
        1, Scale(int64_t{1000} * *f().concurrency * kNano, 1000, Scale(mean, work, 1)));
    return absl::OkStatus();
  }

  // Of a trace of requests: from the capacity.
  absl::Status CompleteServiceTime() {
    if (!is_requests_trace() || f().service_time) return absl::OkStatus();
    if (!summary_) return NeedsPeak("--service-time");
    if (!f().concurrency) {
      f().concurrency = 1;
      Assume("no concurrency given: a pod serves one request at a time");
    }
    const int64_t nanos = Scale(int64_t{1000} * *f().concurrency * kNano, 1000,
                                Scale(*f().capacity, summary_->mean_work, 1));
    const absl::Duration each = absl::Nanoseconds(Rounded(nanos));
    f().service_time = Distribution::Fixed(each);
    Assume("no service time given: {} for a unit of work, which a request has {} of in the mean",
           base::FormatDuration(each), Rounded(summary_->mean_work / 1000));
    return absl::OkStatus();
  }

  void CompleteCpuPerRequest() {
    if (f().cpu_per_request) return;
    const MappedMetric* cpu = Cpu();
    if (cpu == nullptr) {
      f().cpu_per_request = Scale(*f().cpu_request, 1000, *f().capacity);
      return;  // nobody looks at it
    }
    // At the target a pod is as busy as FindTarget says; so much CPU for so much of its capacity.
    const auto& percent = cpu->metric->target.average_utilization;
    const int64_t busy =
        percent ? std::min<int64_t>(kBusyAtTarget, int64_t{10} * *percent) : kBusyAtTarget;
    const int64_t at_target = TargetPerPod(*cpu, *f().cpu_request).value_or(*f().cpu_request);
    f().cpu_per_request =
        Rounded(Scale(at_target, int64_t{1000} * 1000, Scale(*f().capacity, busy, 1)));
    Assume(
        "no CPU per request given: {}, so that a pod that does all it can uses {} % of its CPU "
        "request",
        base::FormatDuration(absl::Nanoseconds(*f().cpu_per_request)),
        Scale(Scale(at_target, 1000, busy), 100, *f().cpu_request));
  }

  void CompleteTimes() {
    if (!f().pod_start) {
      f().pod_start = Distribution::Fixed(kPodStart);
      Assume("no pod start given: {} from creation to ready", base::FormatDuration(kPodStart));
    }
    if (!f().timeout) {
      f().timeout = kTimeout;
      if (!*f().queue) {
        Assume("no time-out given: a request that is not answered within {} fails",
               base::FormatDuration(kTimeout));
      }
    }
    // Stamps like 0, 15, 30 are no dates.
    if (!f().start && summary_ && summary_->begins > absl::FromUnixSeconds(946'684'800)) {
      f().start = summary_->begins;
    }
  }

  void CompleteReplicas() {
    if (f().replicas) return;
    const int32_t least = std::max(1, first().MinReplicas());
    if (!summary_) {
      f().replicas = least;
      Assume("no replicas given: it begins with {}", least);
      return;
    }
    const int64_t each = std::max<int64_t>(1, Scale(*f().capacity, at_.busy, 1000));
    const int64_t needed = (summary_->first + each - 1) / each;
    f().replicas =
        static_cast<int>(std::clamp<int64_t>(needed, least, std::max(least, first().max_replicas)));
    Assume("no replicas given: it begins with {}, which the trace's first load needs",
           *f().replicas);
  }

  // What the numbers say already: no policy can do what they ask for.
  void Warn() {
    if (summary_) {
      const int64_t needed = (summary_->peak + *f().capacity - 1) / *f().capacity;
      if (needed > first().max_replicas) {
        out_.hints.push_back(fmt::format(
            "the trace's peak of {} needs {} pods of {} each, maxReplicas is {}: --scale or "
            "--capacity bring them together",
            Rate(summary_->peak), needed, Rate(*f().capacity), first().max_replicas));
      }
    }
    for (const auto& map : maps_) {
      for (const MappedMetric& metric : map) WarnOfCpu(metric);
    }
    for (const auto& map : maps_) {
      for (const MappedMetric& metric : map) {
        if (metric.guessed) {
          Assume("{} reads the load, for want of a better guess: --metric says it", metric.label);
        }
      }
    }
  }
  void WarnOfCpu(const MappedMetric& metric) {
    if (metric.reads != Reads::kCpu) return;
    const auto target = TargetPerPod(metric, *f().cpu_request);
    const int64_t most = Scale(*f().capacity, *f().cpu_per_request, 1000);
    if (!target || most > *target) return;
    out_.hints.push_back(fmt::format(
        "{}: a pod that does all it can ({}) uses {} of CPU, which is not above the target of {}: "
        "this metric never asks for more",
        metric.label, Rate(*f().capacity), base::FormatMilli(most / 1'000'000),
        base::FormatMilli(*target / 1'000'000)));
  }

  const std::vector<Policy>& policies_;
  CompletedFacts out_;
  std::vector<std::vector<MappedMetric>> maps_;
  std::optional<TraceSummary> summary_;
  AtTarget at_;
};

}  // namespace

absl::StatusOr<CompletedFacts> CompleteFacts(const Facts& facts,
                                             const std::vector<Policy>& policies) {
  return Completer(facts, policies).Run();
}

}  // namespace neap::sim
