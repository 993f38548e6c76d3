// PodIndex: the pods of one namespace's metrics list, found by selector without looking at all of
// them for each target. Used by this scaler alone. Immutable after construction; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "autoscaler/base/selector.h"
#include "scalers/kubernetes-metrics/lists.h"

namespace neap::scalers::kubernetes_metrics {

class PodIndex {
 public:
  explicit PodIndex(std::vector<PodUsage> pods);
  // In the list's order. Borrowed from this object.
  std::vector<const PodUsage*> Matching(const base::Selector& selector) const;

 private:
  std::vector<PodUsage> pods_;
  std::unordered_map<std::string, std::vector<uint32_t>> by_label_;  // "key\nvalue" -> pods
};

}  // namespace neap::scalers::kubernetes_metrics
