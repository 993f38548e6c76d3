// Single fields: amounts, times, names, loads, sources.
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/sim/world_decoder.h"

namespace neap::sim {

namespace objects = kube::objects;

namespace {

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kMaxCpu = 1000 * kNano;  // of a pod
constexpr int64_t kMaxMemory = int64_t{1} << 50;
constexpr int32_t kMaxReplicas = 100'000;
constexpr absl::Duration kMaxDuration = absl::Hours(24 * 30);
constexpr absl::Duration kMaxTime = absl::Hours(24);  // of a distribution

}  // namespace

int64_t WorldDecoder::Amount(Fields& fields, std::string_view key, int64_t fallback, int64_t min,
                             int64_t max) {
  const auto quantity = fields.Quantity(key);
  if (!quantity) return fallback;
  if (quantity->Milli() >= min && quantity->Milli() <= max) return quantity->Milli();
  fields.Invalid(key, fmt::format("must be between {} and {}", base::FormatMilli(min),
                                  base::FormatMilli(max)));
  return fallback;
}

int64_t WorldDecoder::Rate(Fields& fields, std::string_view key) {
  return Amount(fields, key, 0, 0, kMaxRate);
}

int64_t WorldDecoder::Cpu(Fields& fields, std::string_view key) {
  const auto quantity = fields.Quantity(key);
  if (!quantity) return 0;
  if (quantity->Sign() >= 0 && quantity->Milli() <= kMaxCpu / 1'000'000) {
    return quantity->Milli() * 1'000'000 - quantity->RoundedUpNano();
  }
  fields.Invalid(key, "must be between 0 and 1000 cores");
  return 0;
}

int64_t WorldDecoder::Memory(Fields& fields, std::string_view key) {
  const auto quantity = fields.Quantity(key);
  if (!quantity) return 0;
  const int64_t bytes = quantity->Milli() / 1000;
  if (quantity->Sign() >= 0 && bytes <= kMaxMemory) return bytes;
  fields.Invalid(key, "must be between 0 and 1Pi");
  return 0;
}

int32_t WorldDecoder::Count(Fields& fields, std::string_view key, int32_t fallback, int32_t min) {
  const int32_t count = fields.Int32(key).value_or(fallback);
  if (count >= min && count <= kMaxReplicas) return count;
  fields.Invalid(key, fmt::format("must be between {} and {}", min, kMaxReplicas));
  return fallback;
}

absl::Duration WorldDecoder::TimeOf(Fields& fields, std::string_view key, const Value& at,
                                    absl::Duration min, absl::Duration max) {
  const absl::StatusOr<absl::Duration> parsed = base::ParseDuration(at.text());
  if (!at.is_string() && at.kind() != value::Kind::kInt) {
    fields.Error(key, fmt::format("expected a duration, got {}", objects::Show(at)));
  } else if (!parsed.ok()) {
    fields.Error(key, std::string(base::Message(parsed.status())));
  } else if (*parsed < min || *parsed > max) {
    fields.Invalid(key, fmt::format("must be between {} and {}", base::FormatDuration(min),
                                    base::FormatDuration(max)));
  } else {
    return *parsed;
  }
  return min;
}

absl::Duration WorldDecoder::Time(Fields& fields, std::string_view key, absl::Duration fallback,
                                  absl::Duration min, absl::Duration max) {
  const Value* at = fields.Get(key);
  return at == nullptr ? fallback : TimeOf(fields, key, *at, min, max);
}

Distribution WorldDecoder::ReadDistribution(Fields& fields, std::string_view key,
                                            Distribution fallback, absl::Duration min) {
  const Value* at = fields.Get(key);
  if (at == nullptr) return fallback;
  const auto one = [&](Fields& where, std::string_view name, const Value& text) {
    return TimeOf(where, name, text, min, kMaxTime);
  };
  if (at->is_list()) {
    if (at->list().size() != 2) {
      fields.Error(key, "expected one duration or [least, most]");
      return fallback;
    }
    const absl::Duration least = one(fields, key, at->list()[0]);
    const absl::Duration most = one(fields, key, at->list()[1]);
    if (most < least) fields.Error(key, "the most is less than the least");
    return Distribution::Uniform(least, std::max(least, most));
  }
  if (!at->is_map()) return Distribution::Fixed(one(fields, key, *at));
  Fields map(fields, key, {"exponential", "normal", "deviation", "quantiles"});
  const int given = (map.Get("exponential") != nullptr) + (map.Get("normal") != nullptr) +
                    (map.Get("quantiles") != nullptr);
  if (given != 1) {
    fields.Error(key, "exactly one of exponential, normal and quantiles is needed");
    return fallback;
  }
  if (const Value* mean = map.Get("exponential")) {
    return Distribution::Exponential(one(map, "exponential", *mean));
  }
  if (const Value* mean = map.Get("normal")) {
    return Distribution::Normal(
        one(map, "normal", *mean),
        Time(map, "deviation", absl::ZeroDuration(), absl::ZeroDuration(), kMaxTime));
  }
  std::vector<absl::Duration> values;
  const std::vector<Value>* list = map.List("quantiles");
  if (list != nullptr) {
    for (const Value& value : *list) values.push_back(one(map, "quantiles", value));
  }
  if (values.size() < 2 || !std::is_sorted(values.begin(), values.end())) {
    map.Error("quantiles", "expected at least two ascending durations");
    return fallback;
  }
  return Distribution::Quantiles(std::move(values));
}

Range WorldDecoder::ReadRange(Fields& fields, std::string_view key, Range fallback) {
  const Value* at = fields.Get(key);
  if (at == nullptr) return fallback;
  const auto one = [&](const Value& text) {
    return TimeOf(fields, key, text, absl::ZeroDuration(), absl::Hours(1));
  };
  if (!at->is_list()) {
    const absl::Duration both = one(*at);
    return {both, both};
  }
  if (at->list().size() != 2) {
    fields.Error(key, "expected one duration or [least, most]");
    return fallback;
  }
  const Range range{one(at->list()[0]), one(at->list()[1])};
  if (range.max < range.min) fields.Error(key, "the most is less than the least");
  return range;
}

base::Labels WorldDecoder::ReadLabels(Fields& parent) {
  base::Labels labels;
  const Value* map = parent.Get("labels");
  if (map == nullptr) return labels;
  if (!map->is_map()) {
    parent.Error("labels", fmt::format("expected a map, got {}", objects::Show(*map)));
    return labels;
  }
  objects::Fields fields(map, parent.Path("labels"), report_);
  for (const auto& [key, text] : map->map()) labels[key] = fields.String(key);
  return labels;
}

std::string WorldDecoder::Name(Fields& fields, std::string_view key) {
  const std::string name = fields.String(key);
  if (fields.Get(key) == nullptr) {
    fields.Required(key, "");
  } else if (!base::IsDnsSubdomain(name)) {
    fields.Invalid(key, "must be lower-case letters, digits, '-' and '.'");
  }
  return name;
}

std::string WorldDecoder::MetricName(Fields& fields) {
  const std::string name = fields.String("name");
  if (fields.Get("name") == nullptr) {
    fields.Required("name", "");
  } else if (const std::string wrong = objects::PathSegmentProblem(name); !wrong.empty()) {
    fields.Invalid("name", wrong);
  }
  return name;
}

std::string WorldDecoder::Namespace(Fields& fields) {
  if (fields.Get("namespace") == nullptr) return "default";
  const std::string ns = fields.String("namespace");
  if (!base::IsDnsLabel(ns))
    fields.Invalid("namespace", "must be lower-case letters, digits and '-'");
  return ns;
}

int WorldDecoder::FindDeployment(std::string_view ns, std::string_view name) const {
  const auto& all = spec_.deployments;
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const auto& one) { return one.ns == ns && one.name == name; });
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
}

int WorldDecoder::FindQueue(std::string_view ns, std::string_view name) const {
  const auto& all = spec_.queues;
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const auto& one) { return one.ns == ns && one.name == name; });
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
}

int WorldDecoder::DeploymentAt(Fields& fields, std::string_view key, std::string_view ns) {
  const std::string name = fields.String(key);
  const int index = FindDeployment(ns, name);
  if (index >= 0) return index;
  std::vector<std::string_view> names;
  for (const DeploymentSpec& one : spec_.deployments) {
    if (one.ns == ns) names.push_back(one.name);
  }
  fields.Error(
      key, fmt::format("there is no deployment {}/{}{}", ns, name, base::DidYouMean(name, names)));
  return -1;
}

Source WorldDecoder::ReadSource(Fields& parent, std::string_view ns) {
  using What = Source::What;
  static constexpr std::array<std::string_view, 5> kOfDeployments = {"rate", "ratePerPod",
                                                                     "replicas", "ready", "cpu"};
  static constexpr std::array kDeploymentWhats = {What::kRate, What::kRatePerPod, What::kReplicas,
                                                  What::kReady, What::kCpu};
  static constexpr std::array<std::string_view, 2> kOfQueues = {"length", "arrivals"};
  Source source;
  Fields fields(parent, "from", {"deployment", "queue", "quantity", "fixed"});
  const int given = (fields.Get("deployment") != nullptr) + (fields.Get("queue") != nullptr) +
                    (fields.Get("fixed") != nullptr);
  if (given != 1) {
    parent.Error("from", "exactly one of deployment, queue and fixed says where it comes from");
  } else if (fields.Get("deployment") != nullptr) {
    source.index = DeploymentAt(fields, "deployment", ns);
    source.what = kDeploymentWhats[fields.Enum("quantity", kOfDeployments).value_or(0)];
  } else if (fields.Get("queue") != nullptr) {
    const std::string name = fields.String("queue");
    source.index = FindQueue(ns, name);
    if (source.index < 0) fields.Error("queue", fmt::format("there is no queue {}/{}", ns, name));
    source.what =
        fields.Enum("quantity", kOfQueues).value_or(0) == 0 ? What::kQueueLength : What::kArrivals;
  } else {
    source.fixed = Amount(fields, "fixed", 0, -kMaxRate * 1000, kMaxRate * 1000);
  }
  return source;
}

Load WorldDecoder::ReadLoad(Fields& parent, std::string_view key) {
  const Value* at = parent.Get(key);
  if (at == nullptr) return Load();
  Fields fields(parent, key,
                {"constant", "steps", "ramp", "square", "sine", "flashCrowd", "poisson", "sum",
                 "trace", "time", "value", "perStep", "gap", "scale", "repeat"});
  return fields.present() ? LoadOf(fields).Scaled(1000, speed_) : Load();
}

// With its scale, and its time as the file writes it.
Load WorldDecoder::LoadOf(Fields& fields) {
  static constexpr std::array<std::string_view, 9> kShapes = {
      "constant", "steps", "ramp", "square", "sine", "flashCrowd", "poisson", "sum", "trace"};
  int shapes = 0;
  for (std::string_view shape : kShapes) shapes += fields.Get(shape) != nullptr;
  if (shapes != 1) {
    report_.Error(fields.At(""), fields.path(),
                  "exactly one of constant, steps, ramp, square, sine, flashCrowd, poisson, sum "
                  "and trace is needed");
    return Load();
  }
  for (std::string_view of_traces : {"time", "value", "perStep", "gap"}) {
    if (fields.Get(of_traces) != nullptr && fields.Get("trace") == nullptr) {
      fields.Error(of_traces, "is of traces alone");
    }
  }
  if (fields.Get("repeat") != nullptr && fields.Get("trace") == nullptr &&
      fields.Get("steps") == nullptr) {
    fields.Error("repeat", "is of traces and steps alone");
  }
  return Shape(fields).Scaled(Amount(fields, "scale", 1000, 0, 1'000'000), 1000);
}

Load WorldDecoder::Shape(Fields& fields) {
  const auto time = [this](Fields& of, std::string_view key, absl::Duration fallback) {
    return Time(of, key, fallback, absl::Milliseconds(1), kMaxDuration);
  };
  if (fields.Get("constant") != nullptr) return Load::Constant(Rate(fields, "constant"));
  if (fields.Get("steps") != nullptr) return StepsOf(fields);
  if (fields.Get("sum") != nullptr) return SumOf(fields);
  if (fields.Get("trace") != nullptr) return TraceOf(fields);
  if (fields.Get("ramp") != nullptr) {
    Fields ramp(fields, "ramp", {"from", "to", "over"});
    return Load::Ramp(Rate(ramp, "from"), Rate(ramp, "to"), time(ramp, "over", absl::Minutes(5)));
  }
  if (fields.Get("poisson") != nullptr) {
    Fields poisson(fields, "poisson", {"rate", "every"});
    return Load::Poisson(Rate(poisson, "rate"), time(poisson, "every", absl::Seconds(1)));
  }
  if (fields.Get("flashCrowd") != nullptr) {
    Fields crowd(fields, "flashCrowd", {"base", "peak", "at", "rise", "hold", "fall"});
    const Load::Crowd shape;
    return Load::FlashCrowd({.base = Rate(crowd, "base"),
                             .peak = Rate(crowd, "peak"),
                             .at = time(crowd, "at", shape.at),
                             .rise = time(crowd, "rise", shape.rise),
                             .hold = time(crowd, "hold", shape.hold),
                             .fall = time(crowd, "fall", shape.fall)});
  }
  const bool square = fields.Get("square") != nullptr;
  Fields wave(fields, square ? "square" : "sine", {"low", "high", "period"});
  const Load::Wave shape{.low = Rate(wave, "low"),
                         .high = Rate(wave, "high"),
                         .period = time(wave, "period", absl::Minutes(5))};
  return square ? Load::Square(shape) : Load::Sine(shape);
}

Load WorldDecoder::SumOf(Fields& fields) {
  std::vector<Load> parts;
  Each(fields, "sum",
       {"constant", "steps", "ramp", "square", "sine", "flashCrowd", "poisson", "sum", "trace",
        "time", "value", "perStep", "gap", "scale", "repeat"},
       [&](Fields& part) { parts.push_back(LoadOf(part)); });
  if (parts.empty()) fields.Required("sum", "at least one load");
  return Load::Sum(std::move(parts));
}

Load WorldDecoder::StepsOf(Fields& fields) {
  std::vector<Load::Point> points;
  Each(fields, "steps", {"at", "rate"}, [&](Fields& step) {
    const absl::Duration at =
        Time(step, "at", absl::ZeroDuration(), absl::ZeroDuration(), kMaxDuration);
    if (!points.empty() && at <= points.back().at) {
      step.Error("at", "each step must come after the one before it");
    }
    points.push_back({.at = at, .rate = Rate(step, "rate")});
  });
  if (points.empty()) {
    fields.Required("steps", "at least one step");
    return Load();
  }
  return Load::Steps(std::move(points), fields.Bool("repeat").value_or(false));
}

// As the file names it: relative to its folder; "-" is standard input.
std::string WorldDecoder::TracePath(Fields& fields) {
  const std::string file = fields.String("trace");
  return file == "-" ? file : (std::filesystem::path(folder_) / file).string();
}

// Read from the file while the world runs. Its first rows are read here, too, so that most mistakes
// are told with their place; later ones end the run.
Load WorldDecoder::TraceOf(Fields& fields) {
  constexpr int kRowsLookedAt = 10'000;
  static constexpr std::array<std::string_view, 3> kGaps = {"hold", "zero", "refuse"};
  TraceOptions options;
  options.time_column = fields.String("time");
  options.value_column = fields.String("value");
  options.per_step = fields.Bool("perStep").value_or(false);
  options.gap = static_cast<TraceOptions::Gap>(fields.Enum("gap", kGaps).value_or(0));
  const std::string path = TracePath(fields);
  const bool repeat = fields.Bool("repeat").value_or(false);
  const Load load = Load::Trace(path, options, repeat);
  if (path == "-") return load;  // can be read once
  absl::Status status = load.Open(0).status();
  if (status.ok() && std::filesystem::is_regular_file(path)) {
    auto rows = TraceReader::Open(path, options);
    status = rows.status();
    TraceRow row;
    for (int i = 0; status.ok() && i < kRowsLookedAt && (*rows)->Next(&row); ++i) {
    }
    if (status.ok()) status = (*rows)->status();
  }
  if (!status.ok()) fields.Error("trace", std::string(base::Message(status)));
  return load;
}

int WorldDecoder::Permille(Fields& fields, std::string_view key, int fallback) {
  return static_cast<int>(Amount(fields, key, fallback, 0, 1000));
}

}  // namespace neap::sim
