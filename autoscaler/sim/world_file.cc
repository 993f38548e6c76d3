#include "autoscaler/sim/world_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/kube/objects/fields.h"

namespace neap::sim {
namespace {

namespace objects = kube::objects;
using objects::Fields;
using value::Value;
using ReadFile = std::function<absl::StatusOr<std::string>(const std::string& file)>;

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kMaxCpu = 1000 * kNano;  // of a pod
constexpr int64_t kMaxMemory = int64_t{1} << 50;
constexpr int32_t kMaxReplicas = 100'000;
constexpr absl::Duration kMaxDuration = absl::Hours(24 * 30);

class Decoder {
 public:
  Decoder(std::string_view source, const ReadFile& read) : source_(source), read_(read) {}

  absl::StatusOr<WorldSpec> Decode(const Value& document) {
    Fields root(&document, "", report_,
                {"seed", "speed", "tick", "controllerDelay", "metrics", "namespaces", "deployments",
                 "queues", "externalMetrics", "customMetrics"});
    if (!document.is_map()) return base::InvalidArgument("{}: expected a map", source_);
    if (const auto seed = root.Int32("seed")) spec_.seed = static_cast<uint64_t>(*seed);
    speed_ = Amount(root, "speed", 1000, 1, 1'000'000'000);
    spec_.tick = Time(root, "tick", spec_.tick, absl::Milliseconds(10), absl::Minutes(1));
    spec_.controller_delay = Time(root, "controllerDelay", spec_.controller_delay,
                                  absl::ZeroDuration(), absl::Minutes(10));
    Fields metrics(root, "metrics", {"window", "every"});
    spec_.metrics_window =
        Time(metrics, "window", spec_.metrics_window, absl::Seconds(1), absl::Hours(1));
    spec_.metrics_every =
        Time(metrics, "every", spec_.metrics_every, absl::Milliseconds(10), absl::Hours(1));
    ReadNamespaces(root);
    Each(root, "deployments",
         {"name", "namespace", "count", "replicas", "labels", "container", "image", "requests",
          "limits", "cpu", "memory", "startup", "termination", "load"},
         [this](Fields& fields) { ReadDeployment(fields); });
    Each(root, "queues", {"name", "namespace", "consumer", "perPod", "waiting", "arrivals"},
         [this](Fields& fields) { ReadQueue(fields); });
    Each(root, "externalMetrics", {"name", "namespace", "labels", "from"},
         [this](Fields& fields) { ReadExternalMetric(fields); });
    Each(root, "customMetrics", {"name", "namespace", "labels", "pods", "object", "from"},
         [this](Fields& fields) { ReadCustomMetric(fields); });
    if (decoded_.errors.empty()) return std::move(spec_);
    std::string text;
    for (const objects::Problem& problem : decoded_.errors) {
      text += (text.empty() ? "" : "\n") + objects::Text(problem, source_);
    }
    return absl::Status(absl::StatusCode::kInvalidArgument, text);
  }

 private:
  // Calls `read` for each map of the list.
  template <typename Read>
  void Each(Fields& parent, std::string_view key, std::initializer_list<std::string_view> known,
            Read read) {
    const std::vector<Value>* list = parent.List(key);
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      Fields fields(&(*list)[i], fmt::format("{}[{}]", parent.Path(key), i), report_, known);
      if (fields.present()) read(fields);
    }
  }

  // A number or quantity in thousandths.
  int64_t Amount(Fields& fields, std::string_view key, int64_t fallback, int64_t min, int64_t max) {
    const auto quantity = fields.Quantity(key);
    if (!quantity) return fallback;
    if (quantity->Milli() >= min && quantity->Milli() <= max) return quantity->Milli();
    fields.Invalid(key, fmt::format("must be between {} and {}", base::FormatMilli(min),
                                    base::FormatMilli(max)));
    return fallback;
  }
  int64_t Rate(Fields& fields, std::string_view key) { return Amount(fields, key, 0, 0, kMaxRate); }
  // Billionths of a core.
  int64_t Cpu(Fields& fields, std::string_view key) {
    const auto quantity = fields.Quantity(key);
    if (!quantity) return 0;
    if (quantity->Sign() >= 0 && quantity->Milli() <= kMaxCpu / 1'000'000) {
      return quantity->Milli() * 1'000'000 - quantity->RoundedUpNano();
    }
    fields.Invalid(key, "must be between 0 and 1000 cores");
    return 0;
  }
  int64_t Memory(Fields& fields, std::string_view key) {
    const auto quantity = fields.Quantity(key);
    if (!quantity) return 0;
    const int64_t bytes = quantity->Milli() / 1000;
    if (quantity->Sign() >= 0 && bytes <= kMaxMemory) return bytes;
    fields.Invalid(key, "must be between 0 and 1Pi");
    return 0;
  }
  int32_t Count(Fields& fields, std::string_view key, int32_t fallback, int32_t min) {
    const int32_t count = fields.Int32(key).value_or(fallback);
    if (count >= min && count <= kMaxReplicas) return count;
    fields.Invalid(key, fmt::format("must be between {} and {}", min, kMaxReplicas));
    return fallback;
  }

  absl::Duration TimeOf(Fields& fields, std::string_view key, const Value& at, absl::Duration min,
                        absl::Duration max) {
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
  absl::Duration Time(Fields& fields, std::string_view key, absl::Duration fallback,
                      absl::Duration min, absl::Duration max) {
    const Value* at = fields.Get(key);
    return at == nullptr ? fallback : TimeOf(fields, key, *at, min, max);
  }
  Range ReadRange(Fields& fields, std::string_view key, Range fallback) {
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

  base::Labels ReadLabels(Fields& parent) {
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

  std::string Name(Fields& fields, std::string_view key = "name") {
    const std::string name = fields.String(key);
    if (fields.Get(key) == nullptr) {
      fields.Required(key, "");
    } else if (!base::IsDnsSubdomain(name)) {
      fields.Invalid(key, "must be lower-case letters, digits, '-' and '.'");
    }
    return name;
  }
  // The name of a metric: no '/', '%' or blanks, since it stands in paths.
  std::string MetricName(Fields& fields) {
    const std::string name = fields.String("name");
    if (fields.Get("name") == nullptr) {
      fields.Required("name", "");
    } else if (const std::string wrong = objects::PathSegmentProblem(name); !wrong.empty()) {
      fields.Invalid("name", wrong);
    }
    return name;
  }
  std::string Namespace(Fields& fields) {
    if (fields.Get("namespace") == nullptr) return "default";
    const std::string ns = fields.String("namespace");
    if (!base::IsDnsLabel(ns))
      fields.Invalid("namespace", "must be lower-case letters, digits and '-'");
    return ns;
  }
  void ReadNamespaces(Fields& root) {
    const std::vector<Value>* list = root.List("namespaces");
    if (list == nullptr) return;
    for (const Value& one : *list) {
      if (one.is_string() && base::IsDnsLabel(one.AsString())) {
        spec_.namespaces.push_back(one.AsString());
      } else {
        root.Error("namespaces", fmt::format("{} is no name of a namespace", objects::Show(one)));
      }
    }
  }

  void ReadDeployment(Fields& fields) {
    DeploymentSpec spec;
    spec.name = Name(fields);
    spec.ns = Namespace(fields);
    spec.replicas = Count(fields, "replicas", 1, 0);
    spec.labels = ReadLabels(fields);
    if (fields.Get("container") != nullptr) spec.container = Name(fields, "container");
    if (fields.Get("image") != nullptr) spec.image = fields.String("image");
    Fields requests(fields, "requests", {"cpu", "memory"});
    spec.cpu_request = Cpu(requests, "cpu");
    spec.memory_request = Memory(requests, "memory");
    Fields limits(fields, "limits", {"cpu"});
    spec.cpu_limit = Cpu(limits, "cpu");
    Fields cpu(fields, "cpu", {"perRequest", "idle", "startup"});
    spec.cpu_per_request = Cpu(cpu, "perRequest");
    spec.cpu_idle = Cpu(cpu, "idle");
    spec.cpu_startup = cpu.Get("startup") == nullptr ? spec.cpu_idle : Cpu(cpu, "startup");
    spec.memory_usage = Memory(fields, "memory");
    Fields startup(fields, "startup", {"running", "ready"});
    spec.to_running = ReadRange(startup, "running", spec.to_running);
    spec.to_ready = ReadRange(startup, "ready", spec.to_ready);
    spec.to_gone = ReadRange(fields, "termination", spec.to_gone);
    spec.load = ReadLoad(fields, "load");
    const int32_t count = Count(fields, "count", 1, 1);
    for (int32_t i = 0; i < count; ++i) {
      DeploymentSpec copy = spec;
      if (count > 1) copy.name = fmt::format("{}-{}", spec.name, i);
      // Each selects its own pods alone.
      if (count > 1 && !copy.labels.empty()) copy.labels["copy"] = std::to_string(i);
      if (FindDeployment(copy.ns, copy.name) >= 0) {
        fields.Error("name", fmt::format("a second deployment {}/{}", copy.ns, copy.name));
      }
      spec_.deployments.push_back(std::move(copy));
    }
  }

  int FindDeployment(std::string_view ns, std::string_view name) const {
    const auto& all = spec_.deployments;
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const auto& one) { return one.ns == ns && one.name == name; });
    return found == all.end() ? -1 : static_cast<int>(found - all.begin());
  }
  int FindQueue(std::string_view ns, std::string_view name) const {
    const auto& all = spec_.queues;
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const auto& one) { return one.ns == ns && one.name == name; });
    return found == all.end() ? -1 : static_cast<int>(found - all.begin());
  }
  // The deployment that `key` names, -1 with an error when there is none.
  int DeploymentAt(Fields& fields, std::string_view key, std::string_view ns) {
    const std::string name = fields.String(key);
    const int index = FindDeployment(ns, name);
    if (index >= 0) return index;
    std::vector<std::string_view> names;
    for (const DeploymentSpec& one : spec_.deployments) {
      if (one.ns == ns) names.push_back(one.name);
    }
    fields.Error(key, fmt::format("there is no deployment {}/{}{}", ns, name,
                                  base::DidYouMean(name, names)));
    return -1;
  }

  void ReadQueue(Fields& fields) {
    QueueSpec spec;
    spec.name = Name(fields);
    spec.ns = Namespace(fields);
    if (fields.Get("consumer") != nullptr)
      spec.consumer = DeploymentAt(fields, "consumer", spec.ns);
    spec.per_pod = Rate(fields, "perPod");
    if (fields.Get("consumer") != nullptr && fields.Get("perPod") == nullptr) {
      fields.Required("perPod", "items per second that a pod of the consumer takes");
    }
    spec.waiting = Amount(fields, "waiting", 0, 0, kMaxRate * 1000) / 1000;
    spec.arrivals = ReadLoad(fields, "arrivals");
    if (FindQueue(spec.ns, spec.name) >= 0) {
      fields.Error("name", fmt::format("a second queue {}/{}", spec.ns, spec.name));
    }
    spec_.queues.push_back(std::move(spec));
  }

  void ReadExternalMetric(Fields& fields) {
    ExternalMetricSpec spec;
    spec.name = MetricName(fields);
    spec.ns = Namespace(fields);
    spec.labels = ReadLabels(fields);
    spec.from = ReadSource(fields, spec.ns);
    spec_.external_metrics.push_back(std::move(spec));
  }

  void ReadCustomMetric(Fields& fields) {
    CustomMetricSpec spec;
    spec.name = MetricName(fields);
    spec.ns = Namespace(fields);
    spec.labels = ReadLabels(fields);
    spec.from = ReadSource(fields, spec.ns);
    const bool of_pods = fields.Get("pods") != nullptr;
    if (of_pods == (fields.Get("object") != nullptr)) {
      fields.Error("pods", "exactly one of pods and object says whose metric it is");
    } else if (of_pods) {
      spec.pods_of = DeploymentAt(fields, "pods", spec.ns);
    } else {
      ReadObject(fields, spec);
    }
    spec_.custom_metrics.push_back(std::move(spec));
  }

  void ReadObject(Fields& parent, CustomMetricSpec& spec) {
    Fields object(parent, "object", {"apiVersion", "kind", "resource", "name"});
    spec.object = Name(object);
    spec.kind = object.String("kind");
    if (spec.kind.empty()) object.Required("kind", "");
    spec.api_version = object.Get("apiVersion") == nullptr ? "v1" : object.String("apiVersion");
    spec.resource = object.String("resource");
    if (!spec.resource.empty()) return;
    // As most kinds are named: Service -> services, Ingress -> ingresses.
    for (char c : spec.kind) {
      spec.resource += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    spec.resource += spec.resource.ends_with("s") ? "es" : "s";
    const size_t slash = spec.api_version.find('/');
    if (slash != std::string::npos) spec.resource += "." + spec.api_version.substr(0, slash);
  }

  Source ReadSource(Fields& parent, std::string_view ns) {
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
      source.what = fields.Enum("quantity", kOfQueues).value_or(0) == 0 ? What::kQueueLength
                                                                        : What::kArrivals;
    } else {
      source.fixed = Amount(fields, "fixed", 0, -kMaxRate * 1000, kMaxRate * 1000);
    }
    return source;
  }

  Load ReadLoad(Fields& parent, std::string_view key) {
    const Value* at = parent.Get(key);
    if (at == nullptr) return Load();
    Fields fields(parent, key,
                  {"constant", "steps", "ramp", "square", "sine", "trace", "scale", "repeat"});
    if (!fields.present()) return Load();
    int shapes = 0;
    for (std::string_view shape : {"constant", "steps", "ramp", "square", "sine", "trace"}) {
      shapes += fields.Get(shape) != nullptr;
    }
    if (shapes != 1) {
      parent.Error(key, "exactly one of constant, steps, ramp, square, sine and trace is needed");
      return Load();
    }
    return Shape(fields).Scaled(Amount(fields, "scale", 1000, 0, 1'000'000), speed_);
  }

  Load Shape(Fields& fields) {
    if (fields.Get("constant") != nullptr) return Load::Constant(Rate(fields, "constant"));
    if (fields.Get("steps") != nullptr) return StepsOf(fields);
    if (fields.Get("trace") != nullptr) return TraceOf(fields);
    if (fields.Get("ramp") != nullptr) {
      Fields ramp(fields, "ramp", {"from", "to", "over"});
      return Load::Ramp(Rate(ramp, "from"), Rate(ramp, "to"),
                        Time(ramp, "over", absl::Minutes(5), absl::Milliseconds(1), kMaxDuration));
    }
    const bool square = fields.Get("square") != nullptr;
    Fields wave(fields, square ? "square" : "sine", {"low", "high", "period"});
    const Load::Wave shape{
        .low = Rate(wave, "low"),
        .high = Rate(wave, "high"),
        .period = Time(wave, "period", absl::Minutes(5), absl::Milliseconds(1), kMaxDuration)};
    return square ? Load::Square(shape) : Load::Sine(shape);
  }

  Load StepsOf(Fields& fields) {
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

  Load TraceOf(Fields& fields) {
    const std::string file = fields.String("trace");
    const absl::StatusOr<std::string> text = read_(file);
    if (!text.ok()) {
      fields.Error("trace", std::string(base::Message(text.status())));
      return Load();
    }
    absl::StatusOr<std::vector<Load::Point>> points = ParseTrace(*text, file);
    if (!points.ok()) {
      fields.Error("trace", std::string(base::Message(points.status())));
      return Load();
    }
    return Load::Steps(*std::move(points), fields.Bool("repeat").value_or(true));
  }

  const std::string source_;
  const ReadFile& read_;
  const objects::DecodeOptions options_;
  objects::Decoded decoded_;
  objects::Report report_{options_, decoded_};
  WorldSpec spec_;
  int64_t speed_ = 1000;  // thousandths
};

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return base::NotFound("{}: cannot be read", path);
  return std::move(text).str();
}

}  // namespace

absl::StatusOr<WorldSpec> ParseWorld(std::string_view text, std::string_view source,
                                     const ReadFile& read) {
  NEAP_ASSIGN_OR_RETURN(const std::vector<Value> documents, value::ParseYaml(text, source));
  if (documents.size() != 1) {
    return base::InvalidArgument("{}: expected one document, found {}", source, documents.size());
  }
  return Decoder(source, read).Decode(documents[0]);
}

absl::StatusOr<WorldSpec> LoadWorldFile(const std::string& path) {
  NEAP_ASSIGN_OR_RETURN(const std::string text, ReadWhole(path));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return ParseWorld(text, path,
                    [&](const std::string& file) { return ReadWhole((folder / file).string()); });
}

}  // namespace neap::sim
