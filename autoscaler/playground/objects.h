// Bodies of the Kubernetes objects that show a world: Deployments with their scale, Pods,
// Namespaces, and the Events' and Autoscalers' metadata. Called by Cluster under its mutex; pure
// functions over what they are given.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "autoscaler/playground/json.h"
#include "autoscaler/playground/store.h"
#include "autoscaler/sim/world.h"

namespace neap::playground {

ObjectPtr MakeNamespace(std::string_view name, std::string uid, absl::Time created,
                        uint64_t version);
ObjectPtr MakeDeployment(const sim::Deployment& deployment, uint64_t version);
// `node`: its name; "" where the world has no nodes, or the pod has none yet.
ObjectPtr MakePod(const sim::Deployment& deployment, const sim::Pod& pod, std::string_view node,
                  uint64_t version);
// Those of its template.
base::Labels LabelsOf(const sim::Deployment& deployment, const sim::Pod& pod);
// From a complete document (with metadata; apiVersion and kind are left out of the body).
ObjectPtr MakeObject(Json document, uint64_t version);

// autoscaling/v1 Scale of a Deployment. `version` is the Deployment's.
Json ScaleJson(const sim::Deployment& deployment, uint64_t version);

// "app=web,tier=front": labels as a selector's text.
std::string SelectorText(const base::Labels& labels);
// A quantity's text of billionths: 250000000 -> "250m", 1 -> "1n".
std::string NanoText(int64_t nano);

}  // namespace neap::playground
