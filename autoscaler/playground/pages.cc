#include "autoscaler/playground/pages.h"

#include <fmt/format.h>

#include <array>

#include "autoscaler/base/duration.h"
#include "autoscaler/playground/write_log.h"

namespace neap::playground {
namespace {

// A label's value: names are plain, but a queue's might hold anything one day.
std::string Escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

template <typename T>
struct Family {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  double (*value)(const T&);
};

template <typename T, size_t N>
void Append(const std::array<Family<T>, N>& families, const std::vector<T>& all,
            std::string_view label, std::string& out) {
  for (const Family<T>& family : families) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", family.name, family.help, family.type);
    for (const T& one : all) {
      out += fmt::format("{}{{namespace=\"{}\",{}=\"{}\"}} {}\n", family.name, one.spec.ns, label,
                         Escaped(one.spec.name), family.value(one));
    }
  }
}

using sim::Deployment;

constexpr double kThousand = 1000;
constexpr double kBillion = 1e9;

const std::array<Family<Deployment>, 7> kOfDeployments = {{
    {"world_requests_total", "counter", "Requests that have arrived.",
     [](const Deployment& d) { return static_cast<double>(d.requested) / kThousand; }},
    {"world_request_rate", "gauge", "Requests that arrive per second.",
     [](const Deployment& d) { return static_cast<double>(d.rate) / kThousand; }},
    {"world_served_rate", "gauge", "Requests that the ready pods serve per second.",
     [](const Deployment& d) { return static_cast<double>(d.served_rate) / kThousand; }},
    {"world_replicas", "gauge", "Replicas asked for.",
     [](const Deployment& d) { return static_cast<double>(d.replicas); }},
    {"world_pods", "gauge", "Pods that are not being deleted.",
     [](const Deployment& d) { return static_cast<double>(d.active); }},
    {"world_ready_pods", "gauge", "Pods that are ready.",
     [](const Deployment& d) { return static_cast<double>(d.ready); }},
    {"world_cpu_cores", "gauge", "CPU that the ready pods use.",
     [](const Deployment& d) { return static_cast<double>(d.pod_cpu * d.ready) / kBillion; }},
}};

// A queue with what became of its items, in whole ones.
struct QueueNow {
  const sim::QueueSpec& spec;
  int64_t arrival_rate;
  int64_t waiting;
  int64_t arrived;
  int64_t served;
};

const std::array<Family<QueueNow>, 4> kOfQueues = {{
    {"world_queue_length", "gauge", "Items that wait.",
     [](const QueueNow& q) { return static_cast<double>(q.waiting); }},
    {"world_queue_arrival_rate", "gauge", "Items that arrive per second.",
     [](const QueueNow& q) { return static_cast<double>(q.arrival_rate) / kThousand; }},
    {"world_queue_arrived_total", "counter", "Items that have arrived.",
     [](const QueueNow& q) { return static_cast<double>(q.arrived); }},
    {"world_queue_served_total", "counter", "Items that were taken.",
     [](const QueueNow& q) { return static_cast<double>(q.served); }},
}};

// What waited at the beginning has not arrived.
std::vector<QueueNow> QueuesNow(const sim::World& world) {
  std::vector<QueueNow> out;
  for (size_t i = 0; i < world.queues().size(); ++i) {
    const sim::Queue& queue = world.queues()[i];
    const sim::Items items = sim::ItemsOf(world.queue_service(static_cast<int>(i)));
    out.push_back({.spec = queue.spec,
                   .arrival_rate = queue.arrival_rate,
                   .waiting = items.waiting,
                   .arrived = items.arrived - queue.spec.waiting,
                   .served = items.taken});
  }
  return out;
}

// Brings the totals of all deployments to now.
const std::vector<Deployment>& DeploymentsNow(const sim::World& world) {
  for (size_t i = 0; i < world.deployments().size(); ++i) world.deployment(static_cast<int>(i));
  return world.deployments();
}

}  // namespace

std::string MetricsPage(Cluster& cluster) {
  std::string out;
  base::MutexLock lock(cluster.mutex);
  cluster.Sync();
  Append(kOfDeployments, DeploymentsNow(cluster.world()), "deployment", out);
  Append(kOfQueues, QueuesNow(cluster.world()), "queue", out);
  return out;
}

std::string WorldPage(Cluster& cluster) {
  base::MutexLock lock(cluster.mutex);
  cluster.Sync();
  const sim::World& world = cluster.world();
  Json deployments = Json::array();
  for (const Deployment& d : world.deployments()) {
    deployments.push_back({{"namespace", d.spec.ns},
                           {"name", d.spec.name},
                           {"replicas", d.replicas},
                           {"pods", d.active},
                           {"readyPods", d.ready},
                           {"load", static_cast<double>(d.rate) / kThousand},
                           {"served", static_cast<double>(d.served_rate) / kThousand},
                           {"cpu", static_cast<double>(d.pod_cpu * d.ready) / kBillion}});
  }
  Json queues = Json::array();
  for (const QueueNow& q : QueuesNow(world)) {
    queues.push_back({{"namespace", q.spec.ns},
                      {"name", q.spec.name},
                      {"length", q.waiting},
                      {"arrivals", static_cast<double>(q.arrival_rate) / kThousand},
                      {"arrived", q.arrived},
                      {"served", q.served}});
  }
  return Json({{"time", base::FormatTimeMicro(world.now())},
               {"elapsedSeconds", absl::ToDoubleSeconds(world.now() - world.start())},
               {"seed", world.spec().seed},
               {"deployments", std::move(deployments)},
               {"queues", std::move(queues)}})
      .dump();
}

void WriteLog::Add(Write write) {
  base::MutexLock lock(mutex_);
  ++total_;
  ++by_code_[write.code];
  writes_.push_back(std::move(write));
  if (writes_.size() > kKept) writes_.pop_front();
}

std::string WriteLog::ToJson(uint64_t after) {
  Json out = {{"total", 0}, {"byCode", Json::object()}, {"writes", Json::array()}};
  base::MutexLock lock(mutex_);
  out["total"] = total_;
  for (const auto& [code, count] : by_code_) out["byCode"][std::to_string(code)] = count;
  uint64_t number = total_ - writes_.size();
  for (const Write& write : writes_) {
    if (++number <= after) continue;
    Json entry = {{"seq", number},
                  {"time", base::FormatTimeMicro(write.time)},
                  {"method", write.method},
                  {"path", write.path},
                  {"userAgent", write.user_agent},
                  {"code", write.code},
                  {"namespace", write.ns},
                  {"name", write.name}};
    if (write.scaled) {
      entry["from"] = write.scaled->first;
      entry["to"] = write.scaled->second;
    }
    out["writes"].push_back(std::move(entry));
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace neap::playground
