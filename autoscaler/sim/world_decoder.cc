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
#include "autoscaler/sim/resource.h"

namespace neap::sim {

namespace objects = kube::objects;

namespace {

constexpr std::array<std::string_view, 13> kNames = {
    "seed",      "speed",  "tick",   "controllerDelay", "metrics",         "namespaces",   "queues",
    "nodePools", "quotas", "faults", "deployments",     "externalMetrics", "customMetrics"};
constexpr absl::Duration kYear = absl::Hours(24 * 366);

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
        "limits", "cpu", "memory", "capacity", "patience", "startup", "termination", "crash",
        "rollout", "traffic", "load"},
       [this](Fields& fields) { ReadDeployment(fields); });
  Each(root, "nodePools",
       {"name", "zone", "zones", "cpu", "memory", "pods", "count", "min", "max", "provision",
        "idle", "price"},
       [this](Fields& fields) { ReadPool(fields); });
  Each(root, "quotas", {"namespace", "pods", "cpu"}, [this](Fields& fields) { ReadQuota(fields); });
  Each(root, "faults",
       {"what", "namespace", "deployment", "count", "at", "every", "until", "lasts"},
       [this](Fields& fields) { ReadFault(fields); });
  Each(root, "queues", {"name", "namespace", "consumer", "perPod", "waiting", "arrivals"},
       [this](Fields& fields) { ReadQueue(fields); });
  Each(root, "externalMetrics", {"name", "namespace", "labels", "from"},
       [this](Fields& fields) { ReadExternalMetric(fields); });
  Each(root, "customMetrics", {"name", "namespace", "labels", "pods", "object", "from"},
       [this](Fields& fields) { ReadCustomMetric(fields); });
  CheckRoom(root);
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
  if (spec.cpu_limit > 0 && spec.cpu_per_request > 0 && spec.cpu_limit <= spec.cpu_idle) {
    limits.Error("cpu", "is not above cpu.idle: a pod could do nothing");
  }
  spec.capacity = Amount(fields, "capacity", 0, 1, kMaxRate);
  spec.patience = Time(fields, "patience", spec.patience, absl::ZeroDuration(), kYear);
  ReadPodLife(fields, spec);
  ReadTraffic(fields, spec);
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

// One duration or [least, most] as ever; any other distribution as such.
void WorldDecoder::ReadTimes(Fields& fields, std::string_view key, Range& range,
                             std::optional<Distribution>& distribution) {
  const Value* at = fields.Get(key);
  if (at != nullptr && at->is_map()) {
    distribution = ReadDistribution(fields, key, {});
  } else {
    range = ReadRange(fields, key, range);
  }
}

void WorldDecoder::ReadPodLife(Fields& fields, DeploymentSpec& spec) {
  Fields startup(fields, "startup", {"running", "ready"});
  ReadTimes(startup, "running", spec.to_running, spec.pull_and_start);
  ReadTimes(startup, "ready", spec.to_ready, spec.become_ready);
  ReadTimes(fields, "termination", spec.to_gone, spec.terminate);

  Fields crash(fields, "crash", {"share", "after", "backoff", "mostBackoff"});
  spec.crash.permille = Permille(crash, "share", 0);
  spec.crash.lives = ReadDistribution(crash, "after", Distribution::Fixed(absl::Seconds(1)));
  spec.crash.backoff = Time(crash, "backoff", spec.crash.backoff, absl::Milliseconds(1), kYear);
  spec.crash.most_backoff =
      Time(crash, "mostBackoff", std::max(spec.crash.most_backoff, spec.crash.backoff),
           absl::Milliseconds(1), kYear);
  if (spec.crash.most_backoff < spec.crash.backoff) {
    crash.Error("mostBackoff", "is less than backoff");
  }

  Fields rollout(fields, "rollout", {"maxSurge", "maxUnavailable", "templates"});
  spec.max_surge = Count(rollout, "maxSurge", spec.max_surge, 0);
  spec.max_unavailable = Count(rollout, "maxUnavailable", spec.max_unavailable, 0);
  if (spec.max_surge == 0 && spec.max_unavailable == 0) {
    rollout.Error("maxUnavailable", "may not be 0 where maxSurge is 0");
  }
  Each(rollout, "templates", {"at", "perRequest", "crashShare"}, [&](Fields& one) {
    RolloutSpec change;
    change.at = Time(one, "at", absl::ZeroDuration(), absl::ZeroDuration(), kYear);
    if (one.Get("at") == nullptr) one.Required("at", "when the template changes");
    if (one.Get("perRequest") != nullptr) change.cpu_per_request = Cpu(one, "perRequest");
    change.crash_permille = Permille(one, "crashShare", -1);
    if (!spec.rollouts.empty() && change.at <= spec.rollouts.back().at) {
      one.Error("at", "each must come after the one before it");
    }
    spec.rollouts.push_back(change);
  });
}

void WorldDecoder::ReadTraffic(Fields& parent, DeploymentSpec& spec) {
  if (parent.Get("traffic") == nullptr) return;
  Fields fields(
      parent, "traffic",
      {"service",   "random",      "trace",   "time",    "work",           "timeout", "connections",
       "keepAlive", "client",      "gateway", "balance", "endpointDelay",  "errors",  "delays",
       "eject",     "concurrency", "queue",   "boot",    "readinessProbe", "warmUp",  "drain"});
  if (!fields.present()) return;
  if (parent.Get("patience") != nullptr) {
    parent.Error("patience", "is of loads without traffic: here traffic.timeout says it");
  }
  RequestsSpec out;
  if (fields.Get("service") == nullptr) {
    fields.Required("service", "the time that a free pod takes for a request");
  }
  out.service = ReadDistribution(fields, "service", Distribution::Fixed(absl::Seconds(1)),
                                 absl::Nanoseconds(1));
  out.random = fields.Bool("random").value_or(out.random);
  if (fields.Get("trace") != nullptr) {
    if (parent.Get("load") != nullptr) {
      fields.Error("trace", "the deployment has a load, too: one of them says what arrives");
    }
    out.trace = TracePath(fields);
    out.trace_options.kind = TraceKind::kRequests;
    out.trace_options.time_column = fields.String("time");
    out.trace_options.value_column = fields.String("work");
    if (const auto rows = TraceReader::Open(out.trace, out.trace_options); !rows.ok()) {
      fields.Error("trace", std::string(base::Message(rows.status())));
    }
  }
  out.timeout = Time(fields, "timeout", out.timeout, absl::Milliseconds(1), absl::Hours(24));
  out.connections = Count(fields, "connections", out.connections, 0);
  out.keep_alive = fields.Bool("keepAlive").value_or(out.keep_alive);
  out.client = ReadRetry(fields, "client");
  out.gateway = ReadRetry(fields, "gateway");
  static constexpr std::array<std::string_view, 3> kBalances = {"Random", "RoundRobin",
                                                                "LeastRequests"};
  out.balance = static_cast<RequestsSpec::Balance>(fields.Enum("balance", kBalances).value_or(0));
  out.endpoint_delay = ReadDistribution(fields, "endpointDelay", {});
  out.error_permille = Permille(fields, "errors", 0);
  Fields delays(fields, "delays", {"share", "by"});
  out.delay_permille = Permille(delays, "share", 0);
  out.delay = ReadDistribution(delays, "by", {});
  Fields eject(fields, "eject", {"after", "lasts", "mostPercent"});
  out.eject_after = Count(eject, "after", out.eject_after, 0);
  out.eject_for = Time(eject, "lasts", out.eject_for, absl::Milliseconds(1), kYear);
  out.eject_most_percent = Count(eject, "mostPercent", out.eject_most_percent, 0);
  if (out.eject_most_percent > 100) eject.Error("mostPercent", "is more than 100");
  out.concurrency = Count(fields, "concurrency", out.concurrency, 1);
  out.queue = Count(fields, "queue", out.queue, 0);
  out.boot = ReadDistribution(fields, "boot", {});
  out.readiness_probe = fields.Bool("readinessProbe").value_or(out.readiness_probe);
  Fields warm_up(fields, "warmUp", {"wrong", "lasts"});
  out.boot_wrong_permille = Permille(warm_up, "wrong", 0);
  out.warm_up = Time(warm_up, "lasts", out.warm_up, absl::ZeroDuration(), absl::Hours(24));
  out.drain = fields.Bool("drain").value_or(out.drain);
  spec.requests = std::move(out);
}

RetrySpec WorldDecoder::ReadRetry(Fields& parent, std::string_view key) {
  RetrySpec out;
  Fields fields(parent, key, {"attempts", "perTry", "pause", "otherEndpoint", "onError"});
  out.attempts = Count(fields, "attempts", out.attempts, 1);
  out.per_try = Time(fields, "perTry", out.per_try, absl::Milliseconds(1), absl::Hours(24));
  out.pause = ReadDistribution(fields, "pause", {});
  out.other_endpoint = fields.Bool("otherEndpoint").value_or(out.other_endpoint);
  out.on_error = fields.Bool("onError").value_or(out.on_error);
  return out;
}

void WorldDecoder::ReadPool(Fields& fields) {
  NodePoolSpec pool;
  if (fields.Get("name") != nullptr) pool.name = Name(fields);
  for (const NodePoolSpec& other : spec_.pools) {
    if (other.name == pool.name) fields.Error("name", fmt::format("a second pool {}", pool.name));
  }
  if (fields.Get("zone") != nullptr) pool.zone = Name(fields, "zone");
  pool.zones = Count(fields, "zones", pool.zones, 1);
  if (pool.zones > 26) fields.Invalid("zones", "must be between 1 and 26");
  if (pool.zones > 1 && !pool.zone.empty()) {
    fields.Error("zone", "nodes of several zones are spread over zone-a, zone-b ...");
  }
  pool.cpu = Cpu(fields, "cpu");
  if (pool.cpu == 0) fields.Required("cpu", "what a node has for pods");
  pool.memory = Memory(fields, "memory");
  pool.pods = Count(fields, "pods", pool.pods, 1);
  pool.count = Count(fields, "count", pool.count, 0);
  pool.min = Count(fields, "min", pool.count, 0);
  pool.max = Count(fields, "max", pool.count, 1);
  if (pool.min > pool.count) fields.Error("min", "is more than count, the nodes at the beginning");
  if (pool.max < pool.count) fields.Error("max", "is less than count, the nodes at the beginning");
  pool.provision = ReadDistribution(fields, "provision", Distribution::Fixed(absl::Minutes(2)));
  pool.idle = Time(fields, "idle", pool.idle, absl::ZeroDuration(), kYear);
  pool.price_milli = Amount(fields, "price", 0, 0, kMaxRate);
  spec_.pools.push_back(std::move(pool));
}

void WorldDecoder::ReadQuota(Fields& fields) {
  QuotaSpec quota;
  quota.ns = Namespace(fields);
  if (fields.Get("pods") != nullptr) quota.pods = Count(fields, "pods", 1, 1);
  quota.cpu = Cpu(fields, "cpu");
  if (quota.pods == 0 && quota.cpu == 0) fields.Required("pods", "or cpu: what it limits");
  for (const QuotaSpec& other : spec_.quotas) {
    if (other.ns == quota.ns) {
      fields.Error("namespace", fmt::format("a second quota of namespace {}", quota.ns));
    }
  }
  spec_.quotas.push_back(std::move(quota));
}

void WorldDecoder::ReadFault(Fields& fields) {
  static constexpr std::array<std::string_view, 3> kWhats = {"KillPods", "LoseNode", "LoseZone"};
  WorldFault fault;
  const auto what = fields.Enum("what", kWhats);
  if (fields.Get("what") == nullptr) fields.Required("what", "KillPods, LoseNode or LoseZone");
  fault.what = static_cast<WorldFault::What>(what.value_or(0));
  const bool kills = fault.what == WorldFault::What::kKillPods;
  fault.ns = Namespace(fields);
  if (kills) {
    if (const int index = DeploymentAt(fields, "deployment", fault.ns); index >= 0) {
      fault.deployment = spec_.deployments[static_cast<size_t>(index)].name;
    }
    if (fields.Get("lasts") != nullptr) fields.Error("lasts", "pods do not come back: others do");
  } else {
    for (std::string_view of_pods : {"namespace", "deployment", "count"}) {
      if (fields.Get(of_pods) != nullptr) fields.Error(of_pods, "is of KillPods alone");
    }
    if (spec_.pools.empty()) fields.Error("what", "there are no nodes: nodePools is empty");
  }
  fault.count = Count(fields, "count", fault.count, 1);
  fault.at = Time(fields, "at", fault.at, absl::ZeroDuration(), kYear);
  fault.every = Time(fields, "every", fault.every, absl::Milliseconds(1), kYear);
  fault.until = Time(fields, "until", fault.until, absl::ZeroDuration(), kYear);
  fault.lasts = Time(fields, "lasts", fault.lasts, absl::ZeroDuration(), kYear);
  if (fault.until < fault.at) fields.Error("until", "is before at");
  spec_.faults.push_back(std::move(fault));
}

// Pods that fit on no node whatsoever would wait for ever.
void WorldDecoder::CheckRoom(Fields& root) {
  if (spec_.pools.empty()) return;
  for (const DeploymentSpec& one : spec_.deployments) {
    const bool fits =
        std::any_of(spec_.pools.begin(), spec_.pools.end(), [&](const NodePoolSpec& pool) {
          return one.cpu_request <= pool.cpu &&
                 (pool.memory == 0 || one.memory_request <= pool.memory);
        });
    if (!fits) {
      root.Error("nodePools",
                 fmt::format("no node is large enough for a pod of {}/{}", one.ns, one.name));
    }
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
  if (spec.consumer >= 0 && fields.Get("perPod") != nullptr && spec.per_pod == 0) {
    fields.Invalid("perPod", "must be above 0: a pod of the consumer would take nothing");
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
  if (spec.resource.empty()) spec.resource = ResourceOf(spec.kind, spec.api_version);
}

}  // namespace neap::sim
