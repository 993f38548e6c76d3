#include "tools/neapctl/conformance/world.h"

#include <algorithm>
#include <string>

#include "autoscaler/base/quantity.h"

namespace neap::conformance {
namespace {

core::ResourceAmounts Amounts(const Json& map) {
  core::ResourceAmounts out;
  for (const auto& [name, quantity] : map.items()) {
    const auto parsed = base::Quantity::Parse(quantity.get<std::string>());
    out.push_back(core::ResourceAmount::Of(name, parsed.value_or(base::Quantity())));
  }
  return out;
}

std::vector<core::PodRequests::Container> Containers(const Json& pod, const char* key) {
  std::vector<core::PodRequests::Container> out;
  for (const Json& c : pod.value(key, Json::array())) {
    out.push_back({.name = c.at("name"),
                   .sidecar = c.value("restartPolicy", "") == "Always",
                   .requests = Amounts(c.value("requests", Json::object()))});
  }
  return out;
}

}  // namespace

void World::ReadTemplates(const Json& templates) {
  requests.clear();
  for (const Json& pod : templates) {
    core::PodRequests r;
    r.containers = Containers(pod, "containers");
    r.init_containers = Containers(pod, "initContainers");
    if (pod.contains("podRequests")) r.pod_level = Amounts(pod.at("podRequests"));
    if (pod.contains("overhead")) r.overhead = Amounts(pod.at("overhead"));
    requests.push_back(std::move(r));
  }
}

void World::ReadPods(const Json& list) {
  pods.clear();
  for (const Json& p : list) {
    core::Pod pod;
    pod.name = p.at("name").get<std::string>();
    pod.requests = p.value("tpl", 0U);
    const std::string phase = p.value("phase", "");
    pod.phase = phase == "Pending"     ? core::PodPhase::kPending
                : phase == "Running"   ? core::PodPhase::kRunning
                : phase == "Succeeded" ? core::PodPhase::kSucceeded
                : phase == "Failed"    ? core::PodPhase::kFailed
                                       : core::PodPhase::kUnknown;
    const std::string ready = p.value("ready", "");
    pod.ready = ready == "True"    ? core::PodReady::kTrue
                : ready == "False" ? core::PodReady::kFalse
                : ready.empty()    ? core::PodReady::kNone
                                   : core::PodReady::kUnknown;
    if (p.contains("readyAt")) pod.ready_at = At(p.at("readyAt"));
    if (p.contains("start")) pod.start = At(p.at("start"));
    pod.deleting = p.value("deleting", false);
    pods.push_back(std::move(pod));
  }
}

core::PodSamples World::Samples(const Json& samples) const {
  core::PodSamples out;
  out.by_pod.resize(pods.size());
  for (const auto& [name, triple] : samples.items()) {
    const int64_t milli = triple.at(0);
    const auto pod = std::find_if(pods.begin(), pods.end(),
                                  [&n = name](const core::Pod& p) { return p.name == n; });
    if (pod == pods.end()) {
      out.stray.push_back(milli);
      continue;
    }
    out.by_pod[static_cast<size_t>(pod - pods.begin())] = {
        .milli = milli,
        .at = At(triple.at(1)),
        .window = absl::Milliseconds(triple.at(2).get<int64_t>()),
        .present = true};
  }
  return out;
}

}  // namespace neap::conformance
