#include "autoscaler/telemetry/process_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/telemetry/metric_list.h"

namespace neap::telemetry {
namespace {

using Labels = std::map<std::string, std::string>;
using Sample = ProcessMetrics::Sample;

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry,
                                                  std::string_view name) {
  const MetricInfo& info = FindMetric(name);
  NEAP_CHECK(info.type == MetricType::kCounter, "{} is no counter", name);
  return prometheus::BuildCounter()
      .Name(std::string(name))
      .Help(std::string(info.help))
      .Register(registry);
}

prometheus::Histogram& OneHistogram(prometheus::Registry& registry, std::string_view name,
                                    std::vector<double> bounds) {
  const MetricInfo& info = FindMetric(name);
  NEAP_CHECK(info.type == MetricType::kHistogram, "{} is no histogram", name);
  return prometheus::BuildHistogram()
      .Name(std::string(name))
      .Help(std::string(info.help))
      .Register(registry)
      .Add({}, std::move(bounds));
}

std::string_view CauseName(control::Cause cause) {
  switch (cause) {
    case control::Cause::kPeriodic:
      return "periodic";
    case control::Cause::kSpecChange:
      return "spec_change";
    case control::Cause::kScaleChange:
      return "scale_change";
    case control::Cause::kPushed:
      return "pushed";
    case control::Cause::kWriteSlot:
      return "write_slot";
  }
  return "";
}

std::string_view ResultName(core::ApplyResult::Kind kind) {
  switch (kind) {
    case core::ApplyResult::Kind::kNotTried:
      return "";
    case core::ApplyResult::Kind::kApplied:
      return "applied";
    case core::ApplyResult::Kind::kWithheld:
      return "withheld";
    case core::ApplyResult::Kind::kConflict:
      return "conflict";
    case core::ApplyResult::Kind::kGone:
      return "gone";
    case core::ApplyResult::Kind::kRejected:
      return "rejected";
    case core::ApplyResult::Kind::kUnknown:
      return "unknown";
  }
  return "";
}

std::string_view SourceName(core::MetricSource source) {
  switch (source) {
    case core::MetricSource::kResource:
      return "Resource";
    case core::MetricSource::kContainerResource:
      return "ContainerResource";
    case core::MetricSource::kPods:
      return "Pods";
    case core::MetricSource::kObject:
      return "Object";
    case core::MetricSource::kExternal:
      return "External";
    case core::MetricSource::kUnknown:
      break;
  }
  return "Unknown";
}

// Indices into the label values below, which are the HPA's.
constexpr std::string_view kActions[] = {"none", "scale_up", "scale_down"};
constexpr std::string_view kErrors[] = {"none", "spec", "internal"};
constexpr size_t kNoError = 0, kSpecError = 1, kInternalError = 2;

size_t ActionOf(int32_t from, int32_t to) { return to > from ? 1 : to < from ? 2 : 0; }

// "spec" when the user can mend it in the object, else "internal".
size_t ErrorOf(const core::MetricResult& result, core::MetricSource source) {
  if (result.valid) return kNoError;
  const bool users = source == core::MetricSource::kUnknown ||
                     result.error_kind == core::ErrorKind::kBadParameter ||
                     result.error_kind == core::ErrorKind::kUnknownTrigger;
  return users ? kSpecError : kInternalError;
}

size_t ErrorOf(const core::Decision& decision) {
  if (decision.verdict == core::Verdict::kNoScale) return kInternalError;
  if (decision.verdict != core::Verdict::kFailed) return kNoError;
  switch (decision.failure) {
    case core::Reason::kSelectorRequired:
    case core::Reason::kInvalidSelector:
    case core::Reason::kAmbiguousSelector:
      return kSpecError;
    default:
      return kInternalError;
  }
}

std::vector<std::string> Split(std::string_view labels) {
  std::vector<std::string> names;
  while (!labels.empty()) {
    const size_t comma = labels.find(',');
    names.emplace_back(labels.substr(0, comma));
    labels = comma == std::string_view::npos ? "" : labels.substr(comma + 1);
  }
  return names;
}

prometheus::MetricFamily MakeFamily(std::string_view name, const std::vector<Sample>& samples) {
  const MetricInfo& info = FindMetric(name);
  const std::vector<std::string> label_names = Split(info.labels);
  prometheus::MetricFamily family;
  family.name = std::string(name);
  family.help = std::string(info.help);
  family.type = info.type == MetricType::kCounter ? prometheus::MetricType::Counter
                                                  : prometheus::MetricType::Gauge;
  for (const Sample& sample : samples) {
    NEAP_CHECK(sample.label_values.size() == label_names.size(), "labels of {}", name);
    prometheus::ClientMetric metric;
    for (size_t i = 0; i < label_names.size(); ++i) {
      metric.label.push_back({label_names[i], sample.label_values[i]});
    }
    (info.type == MetricType::kCounter ? metric.counter.value : metric.gauge.value) = sample.value;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

// What Linux says of this process; 0 where it says nothing.
struct ProcessState {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double open_fds = 0;
};
ProcessState ReadProcess() {
  ProcessState state;
  std::ifstream stat("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(stat), {}};
  // After the program's name, which ends at the last ')': field 3 is the first.
  std::vector<std::string> fields;
  if (const size_t close = text.rfind(')'); close != std::string::npos) {
    size_t at = close + 2;
    while (at < text.size()) {
      const size_t space = text.find(' ', at);
      fields.push_back(text.substr(at, space - at));
      if (space == std::string::npos) break;
      at = space + 1;
    }
  }
  const auto number = [&](size_t field) {  // as proc(5) counts them
    double value = 0;
    if (field - 3 < fields.size()) {
      const std::string& f = fields[field - 3];
      std::from_chars(f.data(), f.data() + f.size(), value);
    }
    return value;
  };
  state.cpu_seconds = (number(14) + number(15)) / static_cast<double>(sysconf(_SC_CLK_TCK));
  state.resident_bytes = number(24) * static_cast<double>(sysconf(_SC_PAGESIZE));
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
       at.increment(error)) {
    ++state.open_fds;
  }
  return state;
}

}  // namespace

struct ProcessMetrics::Impl {
  static constexpr int kCauses = static_cast<int>(control::Cause::kWriteSlot) + 1;
  static constexpr int kSources = static_cast<int>(core::MetricSource::kUnknown) + 1;
  static constexpr int kResults = static_cast<int>(core::ApplyResult::Kind::kUnknown) + 1;

  explicit Impl(const std::string& build_version) : version(build_version) {
    auto& by_cause = Counters(registry, "neap_decisions_total");
    for (int i = 0; i < kCauses; ++i) {
      decisions[i] = &by_cause.Add({{"cause", Text(CauseName(static_cast<control::Cause>(i)))}});
    }
    auto& by_result = Counters(registry, "neap_writes_total");
    for (int i = 1; i < kResults; ++i) {
      const auto result = static_cast<core::ApplyResult::Kind>(i);
      writes[i] = &by_result.Add({{"result", Text(ResultName(result))}});
    }
    auto& by_action = Counters(registry, "neap_reconciliations_total");
    auto& by_source = Counters(registry, "neap_metric_computation_total");
    for (int action = 0; action < 3; ++action) {
      for (int error = 0; error < 3; ++error) {
        const Labels labels = {{"action", Text(kActions[action])}, {"error", Text(kErrors[error])}};
        reconciliations[action][error] = &by_action.Add(labels);
        for (int source = 0; source < kSources; ++source) {
          Labels with_source = labels;
          with_source["metric_type"] = SourceName(static_cast<core::MetricSource>(source));
          computations[action][error][source] = &by_source.Add(with_source);
        }
      }
    }
  }
  static std::string Text(std::string_view text) { return std::string(text); }

  prometheus::Registry registry;
  // One counter per combination, made at the start: they are shown before they first count, and
  // counting looks nothing up.
  prometheus::Counter* decisions[kCauses];
  prometheus::Counter* reconciliations[3][3];         // [action][error]
  prometheus::Counter* computations[3][3][kSources];  // [action][error][source]
  prometheus::Counter* writes[kResults];              // but kNotTried
  prometheus::Family<prometheus::Counter>& api_errors = Counters(registry, "neap_api_errors_total");
  prometheus::Counter& messages = Counters(registry, "neap_step_messages_total").Add({});
  prometheus::Histogram& reading_to_write =
      OneHistogram(registry, "neap_reading_to_write_seconds",
                   {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60});
  prometheus::Histogram& write_duration =
      OneHistogram(registry, "neap_write_duration_seconds",
                   {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10});
  prometheus::Histogram& step_duration =
      OneHistogram(registry, "neap_step_duration_seconds",
                   {.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1});

  struct Source {
    std::string_view name;
    std::function<std::vector<Sample>()> read;
  };
  std::vector<Source> sources;  // constant once the server runs

  struct Now {  // what the controller said of itself after its last step
    control::ControllerCounters counters;
    size_t targets = 0;
    size_t subscriptions = 0;
    size_t waiting_writes = 0;
  };
  mutable base::Mutex mutex;
  Now now NEAP_GUARDED_BY(mutex);

  const std::string version;
  const double started_at = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());

  std::vector<prometheus::MetricFamily> ControllerFamilies() const {
    Now n;
    {
      base::MutexLock lock(mutex);
      n = now;
    }
    const std::pair<std::string_view, double> values[] = {
        {"neap_horizontal_pod_autoscalers", n.targets},
        {"neap_subscriptions", n.subscriptions},
        {"neap_waiting_writes", n.waiting_writes},
        {"neap_write_waits_total", n.counters.write_waits},
        {"neap_write_overruns_total", n.counters.overruns},
        {"neap_polls_total", n.counters.polls},
        {"neap_poll_timeouts_total", n.counters.poll_timeouts},
        {"neap_late_periods_total", n.counters.late_periods},
        {"neap_unknown_readings_total", n.counters.unknown_readings},
        {"neap_stale_scales_total", n.counters.stale_scales},
        {"neap_quarantined_decisions_total", n.counters.quarantines},
    };
    std::vector<prometheus::MetricFamily> out;
    for (const auto& [name, value] : values) out.push_back(MakeFamily(name, {{{}, value}}));
    return out;
  }

  std::vector<prometheus::MetricFamily> ProcessFamilies() const {
    const ProcessState process = ReadProcess();
    return {MakeFamily("neap_build_info", {{{version}, 1}}),
            MakeFamily("process_cpu_seconds_total", {{{}, process.cpu_seconds}}),
            MakeFamily("process_resident_memory_bytes", {{{}, process.resident_bytes}}),
            MakeFamily("process_start_time_seconds", {{{}, started_at}}),
            MakeFamily("process_open_fds", {{{}, process.open_fds}})};
  }
};

ProcessMetrics::ProcessMetrics(const std::string& version)
    : impl_(std::make_unique<Impl>(version)) {}
ProcessMetrics::~ProcessMetrics() = default;

void ProcessMetrics::OnDecision(const control::DecisionRecord& record) {
  const core::Decision& decision = *record.decision;
  impl_->decisions[static_cast<int>(record.cause)]->Increment();
  impl_->reconciliations[ActionOf(decision.current, decision.desired)][ErrorOf(decision)]
      ->Increment();
  const auto inputs = record.seen->metrics;
  for (size_t i = 0; i < decision.metrics.size() && i < inputs.size(); ++i) {
    const core::MetricResult& result = decision.metrics[i];
    const core::MetricSource source = inputs[i].spec->source;
    const size_t action = result.valid ? ActionOf(decision.current, result.proposal) : 0;
    impl_->computations[action][ErrorOf(result, source)][static_cast<int>(source)]->Increment();
  }
}

void ProcessMetrics::OnOutcome(const control::OutcomeRecord& record) {
  if (record.result.kind == core::ApplyResult::Kind::kNotTried) return;
  impl_->writes[static_cast<int>(record.result.kind)]->Increment();
}

void ProcessMetrics::OnWrite(absl::Duration age) {
  impl_->reading_to_write.Observe(absl::ToDoubleSeconds(age));
}

void ProcessMetrics::OnWriteAnswered(absl::Duration took) {
  impl_->write_duration.Observe(absl::ToDoubleSeconds(took));
}

void ProcessMetrics::OnStep(absl::Duration took, size_t messages,
                            const control::Controller& controller) {
  impl_->step_duration.Observe(absl::ToDoubleSeconds(took));
  if (messages > 0) impl_->messages.Increment(static_cast<double>(messages));
  base::MutexLock lock(impl_->mutex);
  impl_->now = {.counters = controller.counters(),
                .targets = controller.targets(),
                .subscriptions = controller.subscriptions(),
                .waiting_writes = controller.waiting_writes()};
}

void ProcessMetrics::OnApiError(std::string_view code) {
  impl_->api_errors.Add({{"code", std::string(code)}}).Increment();
}

void ProcessMetrics::AddSource(std::string_view name, std::function<std::vector<Sample>()> read) {
  impl_->sources.push_back({FindMetric(name).name, std::move(read)});
}

std::string ProcessMetrics::Text() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  const auto append = [&](std::vector<prometheus::MetricFamily> more) {
    families.insert(families.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  };
  append(impl_->ControllerFamilies());
  for (const Impl::Source& source : impl_->sources) {
    families.push_back(MakeFamily(source.name, source.read()));
  }
  append(impl_->ProcessFamilies());
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace neap::telemetry
