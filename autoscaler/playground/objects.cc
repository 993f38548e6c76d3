#include "autoscaler/playground/objects.h"

#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"

namespace neap::playground {
namespace {

// What a pod asks for as it ends; its deletionTimestamp lies that far ahead.
constexpr int kGraceSeconds = 30;

Json LabelsJson(const base::Labels& labels) {
  Json out = Json::object();
  for (const auto& [key, value] : labels) out[key] = value;
  return out;
}

std::string BytesText(int64_t bytes) {
  return base::FormatMilli(bytes * 1000, base::QuantityFormat::kBinarySI);
}

Json ContainerJson(const sim::DeploymentSpec& spec) {
  Json requests = Json::object();
  if (spec.cpu_request > 0) requests["cpu"] = NanoText(spec.cpu_request);
  if (spec.memory_request > 0) requests["memory"] = BytesText(spec.memory_request);
  Json resources = Json::object();
  if (spec.cpu_limit > 0) resources["limits"] = {{"cpu", NanoText(spec.cpu_limit)}};
  if (!requests.empty()) resources["requests"] = std::move(requests);
  return {{"name", spec.container}, {"image", spec.image}, {"resources", std::move(resources)}};
}

Json Condition(std::string_view type, bool holds, absl::Time since) {
  return {{"type", type},
          {"status", holds ? "True" : "False"},
          {"lastProbeTime", nullptr},
          {"lastTransitionTime", base::FormatTime(since)}};
}

Json PodStatus(const sim::Pod& pod, const sim::DeploymentSpec& spec) {
  const bool running = pod.phase == sim::PodPhase::kRunning;
  const absl::Time changed = pod.ready ? pod.ready_at : pod.created;
  Json ready = Condition("Ready", pod.ready, changed);
  Json containers_ready = Condition("ContainersReady", pod.ready, changed);
  if (!pod.ready) {
    const std::string why = fmt::format("containers with unready status: [{}]", spec.container);
    ready["reason"] = containers_ready["reason"] = "ContainersNotReady";
    ready["message"] = containers_ready["message"] = why;
  }
  Json scheduled =
      Condition("PodScheduled", pod.scheduled(), std::min(pod.scheduled_at, pod.created));
  if (!pod.scheduled()) {
    scheduled["reason"] = "Unschedulable";
    scheduled["message"] = "no node has room for it";
  }
  Json state = {{"waiting", {{"reason", "ContainerCreating"}}}};
  if (pod.backing_off) {
    state["waiting"]["reason"] = "CrashLoopBackOff";
  } else if (running) {
    state = {{"running", {{"startedAt", base::FormatTime(pod.running_at)}}}};
  }
  Json status = {
      {"phase", running ? "Running" : "Pending"},
      {"conditions", Json::array({Condition("Initialized", true, pod.created), std::move(ready),
                                  std::move(containers_ready), std::move(scheduled)})}};
  status["qosClass"] = "Burstable";
  if (!pod.scheduled()) return status;  // no kubelet says more
  status["hostIP"] = "127.0.0.1";
  if (running) status["podIP"] = "127.0.0.1";
  status["startTime"] = base::FormatTime(pod.created);
  status["containerStatuses"] = Json::array({{{"name", spec.container},
                                              {"state", std::move(state)},
                                              {"ready", pod.ready},
                                              {"restartCount", pod.restarts},
                                              {"image", spec.image},
                                              {"started", running && !pod.backing_off}}});
  return status;
}

Json DeploymentStatus(const sim::Deployment& deployment) {
  Json status = {{"observedGeneration", deployment.observed_generation}};
  // Zeros are left out, as the API's encoder does.
  if (deployment.active > 0) {
    status["replicas"] = deployment.active;
  }
  if (deployment.updated() > 0) status["updatedReplicas"] = deployment.updated();
  if (deployment.ready > 0) {
    status["readyReplicas"] = deployment.ready;
    status["availableReplicas"] = deployment.ready;
  }
  if (deployment.active > deployment.ready) {
    status["unavailableReplicas"] = deployment.active - deployment.ready;
  }
  const bool available = deployment.ready >= deployment.replicas;
  Json condition = {
      {"type", "Available"},
      {"status", available ? "True" : "False"},
      {"lastUpdateTime", base::FormatTime(deployment.available_changed)},
      {"lastTransitionTime", base::FormatTime(deployment.available_changed)},
      {"reason", available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable"},
      {"message", available ? "Deployment has minimum availability."
                            : "Deployment does not have minimum availability."}};
  status["conditions"] = Json::array({std::move(condition)});
  return status;
}

ObjectPtr Finish(std::string_view ns, std::string_view name, std::string_view uid,
                 base::Labels labels, uint64_t version, const Json& document) {
  auto object = std::make_shared<Object>();
  object->ns = ns;
  object->name = name;
  object->uid = uid;
  object->labels = std::move(labels);
  object->version = version;
  // What a user put into an object may be no UTF-8: show it, do not fail.
  object->body = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  return object;
}

}  // namespace

std::string SelectorText(const base::Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels) {
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  }
  return out;
}

std::string NanoText(int64_t nano) {
  if (nano % 1'000'000'000 == 0) return base::FormatMilli(nano / 1'000'000);
  if (nano % 1'000'000 == 0) return fmt::format("{}m", nano / 1'000'000);
  if (nano % 1'000 == 0) return fmt::format("{}u", nano / 1'000);
  return fmt::format("{}n", nano);
}

ObjectPtr MakeNamespace(std::string_view name, std::string uid, absl::Time created,
                        uint64_t version) {
  base::Labels labels = {{"kubernetes.io/metadata.name", std::string(name)}};
  const Json document = {{"metadata",
                          {{"name", name},
                           {"uid", uid},
                           {"resourceVersion", std::to_string(version)},
                           {"creationTimestamp", base::FormatTime(created)},
                           {"labels", LabelsJson(labels)}}},
                         {"spec", {{"finalizers", Json::array({"kubernetes"})}}},
                         {"status", {{"phase", "Active"}}}};
  return Finish("", name, uid, std::move(labels), version, document);
}

ObjectPtr MakeDeployment(const sim::Deployment& deployment, uint64_t version) {
  const sim::DeploymentSpec& spec = deployment.spec;
  const Json labels = LabelsJson(spec.labels);
  const Json document = {
      {"metadata",
       {{"name", spec.name},
        {"namespace", spec.ns},
        {"uid", deployment.uid},
        {"resourceVersion", std::to_string(version)},
        {"generation", deployment.generation},
        {"creationTimestamp", base::FormatTime(deployment.created)},
        {"labels", labels}}},
      {"spec",
       {{"replicas", deployment.replicas},
        {"selector", {{"matchLabels", labels}}},
        {"template",
         {{"metadata", {{"creationTimestamp", nullptr}, {"labels", labels}}},
          {"spec",
           {{"containers", Json::array({ContainerJson(spec)})},
            {"restartPolicy", "Always"},
            {"terminationGracePeriodSeconds", kGraceSeconds}}}}},
        {"strategy",
         {{"type", "RollingUpdate"},
          {"rollingUpdate",
           {{"maxUnavailable", spec.max_unavailable}, {"maxSurge", spec.max_surge}}}}},
        {"revisionHistoryLimit", 10},
        {"progressDeadlineSeconds", 600}}},
      {"status", DeploymentStatus(deployment)}};
  return Finish(spec.ns, spec.name, deployment.uid, spec.labels, version, document);
}

base::Labels LabelsOf(const sim::Deployment& deployment, const sim::Pod& pod) {
  base::Labels labels = deployment.pod_labels;
  labels["pod-template-hash"] = deployment.templates[static_cast<size_t>(pod.revision)].hash;
  return labels;
}

ObjectPtr MakePod(const sim::Deployment& deployment, const sim::Pod& pod, std::string_view node,
                  uint64_t version) {
  const sim::DeploymentSpec& spec = deployment.spec;
  const base::Labels labels = LabelsOf(deployment, pod);
  Json metadata = {{"name", pod.name},
                   {"generateName", pod.name.substr(0, pod.name.rfind('-') + 1)},
                   {"namespace", spec.ns},
                   {"uid", pod.uid},
                   {"resourceVersion", std::to_string(version)},
                   {"creationTimestamp", base::FormatTime(pod.created)},
                   {"labels", LabelsJson(labels)}};
  if (pod.deleting()) {
    metadata["deletionTimestamp"] = base::FormatTime(pod.deleted_at + absl::Seconds(kGraceSeconds));
    metadata["deletionGracePeriodSeconds"] = kGraceSeconds;
  }
  Json document = {{"metadata", std::move(metadata)},
                   {"spec",
                    {{"containers", Json::array({ContainerJson(spec)})},
                     {"restartPolicy", "Always"},
                     {"terminationGracePeriodSeconds", kGraceSeconds}}},
                   {"status", PodStatus(pod, spec)}};
  if (pod.scheduled()) document["spec"]["nodeName"] = node.empty() ? "playground" : node;
  return Finish(spec.ns, pod.name, pod.uid, labels, version, document);
}

ObjectPtr MakeObject(Json document, uint64_t version) {
  document.erase("apiVersion");
  document.erase("kind");
  Json& metadata = document["metadata"];
  metadata["resourceVersion"] = std::to_string(version);
  base::Labels labels;
  if (metadata.contains("labels") && metadata["labels"].is_object()) {
    for (const auto& [key, value] : metadata["labels"].items()) {
      if (value.is_string()) labels[key] = value.get<std::string>();
    }
  }
  const auto text = [&](const char* key) {
    return metadata.contains(key) && metadata[key].is_string() ? metadata[key].get<std::string>()
                                                               : std::string();
  };
  return Finish(text("namespace"), text("name"), text("uid"), std::move(labels), version, document);
}

Json ScaleJson(const sim::Deployment& deployment, uint64_t version) {
  Json spec = Json::object();  // zero is left out
  if (deployment.replicas > 0) spec["replicas"] = deployment.replicas;
  return {{"kind", "Scale"},
          {"apiVersion", "autoscaling/v1"},
          {"metadata",
           {{"name", deployment.spec.name},
            {"namespace", deployment.spec.ns},
            {"uid", deployment.uid},
            {"resourceVersion", std::to_string(version)},
            {"creationTimestamp", base::FormatTime(deployment.created)}}},
          {"spec", std::move(spec)},
          {"status",
           {{"replicas", deployment.active}, {"selector", SelectorText(deployment.spec.labels)}}}};
}

}  // namespace neap::playground
