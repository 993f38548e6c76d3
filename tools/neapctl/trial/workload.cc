#include "tools/neapctl/trial/workload.h"

#include <charconv>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "tools/neapctl/manifests.h"
#include "tools/neapctl/trigger_reader.h"

namespace neap::ctl {
namespace {

constexpr absl::Duration kMostCpu = absl::Minutes(1);  // of a request
constexpr absl::Duration kMostTime = absl::Hours(1);   // of a pod's start, a request
constexpr int64_t kMostMilli = int64_t{1'000'000} * 1000;

// Collects what is wrong with flags.
class Flags {
 public:
  std::optional<absl::Duration> Time(std::string_view flag, std::string_view text,
                                     absl::Duration least, absl::Duration most) {
    if (text.empty()) return std::nullopt;
    const auto duration = base::ParseDuration(text);
    if (!duration.ok()) {
      Wrong(flag, base::Message(duration.status()));
    } else if (*duration < least || *duration > most) {
      Wrong(flag, fmt::format("{} is not between {} and {}", text, base::FormatDuration(least),
                              base::FormatDuration(most)));
    } else {
      return *duration;
    }
    return std::nullopt;
  }

  // In thousandths.
  std::optional<int64_t> Amount(std::string_view flag, std::string_view text, int64_t most) {
    if (text.empty()) return std::nullopt;
    const auto quantity = base::Quantity::Parse(text);
    if (!quantity.ok()) {
      Wrong(flag, base::Message(quantity.status()));
    } else if (quantity->Sign() <= 0 || quantity->Milli() > most) {
      Wrong(flag,
            fmt::format("{} is not more than 0 and at most {}", text, base::FormatMilli(most)));
    } else {
      return quantity->Milli();
    }
    return std::nullopt;
  }

  std::optional<int> Count(std::string_view flag, std::string_view text, int least) {
    if (text.empty()) return std::nullopt;
    const auto number = NumberOf(flag, text, static_cast<uint64_t>(least));
    if (number.ok() && *number <= 100'000) return static_cast<int>(*number);
    errors_ += errors_.empty() ? "" : "\n";
    errors_ += number.ok() ? fmt::format("{}: {} is more than 100000", flag, text)
                           : std::string(base::Message(number.status()));
    return std::nullopt;
  }

  // One duration, or "[5s, 20s]".
  std::optional<sim::Distribution> Distribution(std::string_view flag, std::string_view text,
                                                absl::Duration least) {
    if (text.empty()) return std::nullopt;
    if (!text.starts_with('[')) {
      const auto fixed = Time(flag, text, least, kMostTime);
      return fixed ? std::optional(sim::Distribution::Fixed(*fixed)) : std::nullopt;
    }
    const size_t comma = text.find(',');
    if (comma == std::string_view::npos || !text.ends_with(']')) {
      Wrong(flag, "expected one duration or [least, most]");
      return std::nullopt;
    }
    const auto trim = [](std::string_view part) {
      const size_t begin = part.find_first_not_of(' ');
      return begin == std::string_view::npos
                 ? std::string_view("?")
                 : part.substr(begin, part.find_last_not_of(' ') - begin + 1);
    };
    const auto min = Time(flag, trim(text.substr(1, comma - 1)), least, kMostTime);
    const auto max =
        Time(flag, trim(text.substr(comma + 1, text.size() - comma - 2)), least, kMostTime);
    if (!min || !max) return std::nullopt;
    if (*max < *min) Wrong(flag, "the most is less than the least");
    return sim::Distribution::Uniform(*min, *max);
  }

  void Wrong(std::string_view flag, std::string_view what) {
    errors_ += fmt::format("{}{}: {}", errors_.empty() ? "" : "\n", flag, what);
  }
  absl::Status status() const {
    return errors_.empty() ? absl::OkStatus()
                           : absl::Status(absl::StatusCode::kInvalidArgument, errors_);
  }

 private:
  std::string errors_;
};

}  // namespace

absl::StatusOr<uint64_t> NumberOf(std::string_view flag, std::string_view text, uint64_t least) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least) {
    return base::InvalidArgument("{}: \"{}\" is not a whole number of at least {}", flag, text,
                                 least);
  }
  return number;
}

absl::StatusOr<Workload> WorkloadOf(const WorkloadOptions& options) {
  Workload out;
  Flags flags;
  sim::Facts& f = out.facts;
  f.trace = options.trace;
  f.trace_options.kind = options.requests ? sim::TraceKind::kRequests : sim::TraceKind::kRates;
  f.trace_options.time_column = options.time_column;
  f.trace_options.value_column = options.value_column;
  f.trace_options.per_step = options.per_step;
  using Gap = sim::TraceOptions::Gap;
  f.trace_options.gap = options.gap == "zero"     ? Gap::kZero
                        : options.gap == "refuse" ? Gap::kRefuse
                                                  : Gap::kHold;
  if (options.queue) f.queue = true;
  f.scale = flags.Amount("--scale", options.scale, kMostMilli).value_or(1000);
  f.speed = flags.Amount("--speed", options.speed, kMostMilli).value_or(1000);
  f.pod_start = flags.Distribution("--pod-start", options.pod_start, absl::ZeroDuration());
  if (const auto cpu = flags.Time("--cpu-per-request", options.cpu_per_request,
                                  absl::Nanoseconds(1), kMostCpu)) {
    f.cpu_per_request = absl::ToInt64Nanoseconds(*cpu);
  }
  if (const auto cores = flags.Amount("--cpu-request", options.cpu_request, 1'000'000)) {
    f.cpu_request = *cores * 1'000'000;
  }
  f.capacity = flags.Amount("--capacity", options.capacity, kMostMilli);
  f.service_time = flags.Distribution("--service-time", options.service_time, absl::Nanoseconds(1));
  f.concurrency = flags.Count("--concurrency", options.concurrency, 1);
  f.timeout = flags.Time("--timeout", options.timeout, absl::Milliseconds(1), absl::Hours(24));
  f.replicas = flags.Count("--replicas", options.replicas, 0);
  f.duration =
      flags.Time("--duration", options.duration, absl::Seconds(1), absl::Hours(24 * 366 * 10));
  f.metrics = options.metrics;
  if (!options.objective.empty()) {
    auto objective = ParseObjective(options.objective);
    if (objective.ok()) {
      out.objective = *std::move(objective);
      if (out.objective.wait != absl::InfiniteDuration()) f.objective = out.objective.wait;
    } else {
      flags.Wrong("--objective", base::Message(objective.status()));
    }
  }
  NEAP_RETURN_IF_ERROR(flags.status());
  return out;
}

std::vector<std::string_view> GivenFlags(const WorkloadOptions& options) {
  std::vector<std::string_view> out;
  const auto add = [&](std::string_view flag, bool given) {
    if (given) out.push_back(flag);
  };
  add("--trace", !options.trace.empty());
  add("--requests", options.requests);
  add("--queue", options.queue);
  add("--time-column", !options.time_column.empty());
  add("--value-column", !options.value_column.empty());
  add("--per-step", options.per_step);
  add("--gap", !options.gap.empty());
  add("--scale", !options.scale.empty());
  add("--speed", !options.speed.empty());
  add("--pod-start", !options.pod_start.empty());
  add("--cpu-per-request", !options.cpu_per_request.empty());
  add("--cpu-request", !options.cpu_request.empty());
  add("--capacity", !options.capacity.empty());
  add("--service-time", !options.service_time.empty());
  add("--concurrency", !options.concurrency.empty());
  add("--timeout", !options.timeout.empty());
  add("--replicas", !options.replicas.empty());
  add("--metric", !options.metrics.empty());
  return out;
}

absl::Status NeedsTraceFile(const WorkloadOptions& options) {
  if (options.trace.empty()) return base::InvalidArgument("--trace: a recorded load is needed");
  if (options.trace == "-") {
    return base::InvalidArgument(
        "--trace: standard input can be read once, and each run reads the trace: name a file");
  }
  return absl::OkStatus();
}

sim::ScenarioOptions ObjectOptions(const std::string& address) {
  sim::ScenarioOptions out;
  out.find_type = FindTriggerType;
  out.known_types = TriggerTypeNames();
  const auto reader = std::make_shared<TriggerReader>(address, /*may_read=*/false);
  out.open_trigger = [reader](const auto& spec, const auto& trigger) {
    return reader->Read(spec, trigger);
  };
  return out;
}

}  // namespace neap::ctl
