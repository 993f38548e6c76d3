#include "autoscaler/sim/metric_map.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"

namespace neap::sim {
namespace {

using Reads = MappedMetric::Reads;
using Words = std::span<const std::string_view>;

// Trigger types whose source is a queue, by a part of their name.
constexpr std::array<std::string_view, 16> kQueueTypes = {
    "redis",      "rabbitmq", "kafka",     "queue",     "sqs",    "pubsub",
    "servicebus", "eventhub", "jetstream", "stan",      "pulsar", "activemq",
    "artemis",    "kinesis",  "ibmmq",     "beanstalkd"};
// Parts of names and queries that say what a number is.
constexpr std::array<std::string_view, 5> kRateFunctions = {"rate(", "increase(", "per_second",
                                                            "per-second", "persecond"};
constexpr std::array<std::string_view, 11> kQueueWords = {
    "queue",   "lag",      "backlog", "depth",   "length",  "pending",
    "waiting", "messages", "jobs",    "unacked", "inflight"};
constexpr std::array<std::string_view, 5> kTimeWords = {"latency", "duration", "response_time",
                                                        "_seconds", "temperature"};
constexpr std::array<std::string_view, 8> kRateWords = {"rate", "rps",  "qps",     "request",
                                                        "hits", "http", "through", "load"};

bool Holds(std::string_view text, Words words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view Metadata(const core::TriggerSpec& trigger, std::string_view key) {
  for (const auto& [name, value] : trigger.metadata) {
    if (name == key) return value;
  }
  return {};
}

// What the names of a metric and its query say; nullopt: nothing that such a world has.
std::optional<Reads> ByName(std::string_view text, bool* guessed) {
  if (Holds(text, kRateFunctions)) return Reads::kLoad;
  if (Holds(text, kQueueWords)) return Reads::kQueue;
  if (text.find("cpu") != std::string_view::npos) return Reads::kCores;
  if (text.find("memory") != std::string_view::npos) return std::nullopt;
  if (Holds(text, kTimeWords)) return std::nullopt;
  if (Holds(text, kRateWords)) return Reads::kLoad;
  *guessed = true;
  return Reads::kLoad;
}

class Mapper {
 public:
  Mapper(const Policy& policy, const std::vector<std::string>& overrides)
      : policy_(policy), overrides_(overrides) {}

  absl::StatusOr<std::vector<MappedMetric>> Run() {
    const core::AutoscalerSpec& spec = *policy_.object.spec;
    for (size_t i = 0; i < spec.metrics.size(); ++i) {
      MappedMetric out;
      out.metric = &spec.metrics[i];
      out.label = fmt::format("spec.metrics[{}] ({})", i, out.metric->name);
      AddMetric(std::move(out));
    }
    for (size_t i = 0; i < policy_.triggers.size(); ++i) {
      MappedMetric out;
      out.metric = &policy_.triggers[i].metric;
      out.trigger = static_cast<int>(i);
      out.label = fmt::format("spec.triggers[{}] ({})", i, spec.triggers[i].type);
      AddTrigger(spec.triggers[i], std::move(out));
    }
    if (!errors_.empty()) return absl::Status(absl::StatusCode::kInvalidArgument, errors_);
    return std::move(mapped_);
  }

 private:
  void Error(std::string_view field, std::string_view what) {
    errors_ +=
        fmt::format("{}{}: {}: {}", errors_.empty() ? "" : "\n", policy_.source, field, what);
  }
  void Nothing(const MappedMetric& metric, std::string_view name, std::string_view why) {
    Error(metric.label,
          fmt::format("nothing in this world gives it{}: say what it reads by --metric {}=load, "
                      "loadPerPod, queue, cpu or fixed:NUMBER",
                      why, name));
  }

  // The user's word for one of `names`. False: an override that is wrong, which is reported.
  bool Override(std::initializer_list<std::string_view> names, MappedMetric& out, bool* found) {
    for (const std::string& text : overrides_) {
      const size_t equals = text.rfind('=');
      const std::string_view name = std::string_view(text).substr(0, equals);
      if (std::find(names.begin(), names.end(), name) == names.end() || name.empty()) continue;
      *found = true;
      const std::string_view word = std::string_view(text).substr(equals + 1);
      static constexpr std::array<std::string_view, 4> kWords = {"load", "loadPerPod", "queue",
                                                                 "cpu"};
      static constexpr std::array kReads = {Reads::kLoad, Reads::kLoadPerPod, Reads::kQueue,
                                            Reads::kCores};
      const auto at = std::find(kWords.begin(), kWords.end(), word);
      if (at != kWords.end()) {
        out.reads = kReads[static_cast<size_t>(at - kWords.begin())];
        return true;
      }
      if (word.starts_with("fixed:")) {
        const auto number = base::Quantity::Parse(word.substr(6));
        if (number.ok()) {
          out.reads = Reads::kFixed;
          out.fixed = number->Milli();
          return true;
        }
      }
      Error(fmt::format("--metric {}", text),
            fmt::format("\"{}\" is none of load, loadPerPod, queue, cpu and fixed:NUMBER{}", word,
                        base::DidYouMean(word, kWords)));
      return false;
    }
    return true;
  }

  void AddMetric(MappedMetric out) {
    const core::MetricSpec& metric = *out.metric;
    const bool resource = metric.source == core::MetricSource::kResource ||
                          metric.source == core::MetricSource::kContainerResource;
    if (resource) {
      if (metric.name != "cpu" && metric.name != "memory") {
        return Error(out.label, "pods of this world use cpu and memory alone");
      }
      out.reads = metric.name == "cpu" ? Reads::kCpu : Reads::kMemory;
      mapped_.push_back(std::move(out));
      return;
    }
    bool overridden = false;
    if (!Override({metric.name}, out, &overridden)) return;
    if (!overridden) {
      const auto reads = ByName(Lower(metric.name), &out.guessed);
      if (!reads) return Nothing(out, metric.name, "");
      out.reads = *reads;
      if (metric.source == core::MetricSource::kPods && out.reads == Reads::kLoad) {
        out.reads = Reads::kLoadPerPod;
      }
    }
    mapped_.push_back(std::move(out));
  }

  void AddTrigger(const core::TriggerSpec& trigger, MappedMetric out) {
    bool overridden = false;
    if (!Override({trigger.name, trigger.type, out.metric->name}, out, &overridden)) return;
    if (!overridden) {
      const std::string_view name = trigger.name.empty() ? trigger.type : trigger.name;
      if (trigger.type == "cron") return Nothing(out, name, ", which knows no calendar");
      if (Holds(trigger.type, kQueueTypes)) {
        out.reads = Reads::kQueue;
      } else {
        const std::string text = Lower(
            fmt::format("{} {} {} {}", Metadata(trigger, "query"), Metadata(trigger, "metricName"),
                        Metadata(trigger, "url"), Metadata(trigger, "valueLocation")));
        const auto reads = ByName(text, &out.guessed);
        if (!reads) return Nothing(out, name, "");
        out.reads = *reads;
      }
    }
    mapped_.push_back(std::move(out));
  }

  const Policy& policy_;
  const std::vector<std::string>& overrides_;
  std::vector<MappedMetric> mapped_;
  std::string errors_;
};

}  // namespace

absl::StatusOr<std::vector<MappedMetric>> MapMetrics(const Policy& policy,
                                                     const std::vector<std::string>& overrides) {
  return Mapper(policy, overrides).Run();
}

std::optional<int64_t> TargetPerPod(const MappedMetric& metric, int64_t cpu_request) {
  const core::MetricTarget& target = metric.metric->target;
  if (metric.reads == Reads::kCpu && target.average_utilization) {
    return cpu_request / 100 * *target.average_utilization;
  }
  if (!target.average_value) return std::nullopt;
  return metric.reads == Reads::kCpu ? *target.average_value * 1'000'000 : *target.average_value;
}

}  // namespace neap::sim
