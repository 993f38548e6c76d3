// The parts of a world: deployments, queues, metrics.
#include "autoscaler/sim/world_decoder.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"

namespace neap::sim {

namespace objects = kube::objects;

namespace {

constexpr std::array<std::string_view, 10> kNames = {
    "seed",       "speed",       "tick",   "controllerDelay", "metrics",
    "namespaces", "deployments", "queues", "externalMetrics", "customMetrics"};

}  // namespace

std::span<const std::string_view> WorldDecoder::Names() { return kNames; }

void WorldDecoder::Decode(Fields& root) {
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
}

void WorldDecoder::ReadNamespaces(Fields& root) {
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

void WorldDecoder::ReadDeployment(Fields& fields) {
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

void WorldDecoder::ReadQueue(Fields& fields) {
  QueueSpec spec;
  spec.name = Name(fields);
  spec.ns = Namespace(fields);
  if (fields.Get("consumer") != nullptr) spec.consumer = DeploymentAt(fields, "consumer", spec.ns);
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

void WorldDecoder::ReadExternalMetric(Fields& fields) {
  ExternalMetricSpec spec;
  spec.name = MetricName(fields);
  spec.ns = Namespace(fields);
  spec.labels = ReadLabels(fields);
  spec.from = ReadSource(fields, spec.ns);
  spec_.external_metrics.push_back(std::move(spec));
}

void WorldDecoder::ReadCustomMetric(Fields& fields) {
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

void WorldDecoder::ReadObject(Fields& parent, CustomMetricSpec& spec) {
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

}  // namespace neap::sim
