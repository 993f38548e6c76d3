#include "scalers/kubernetes-metrics/pod_index.h"

#include <numeric>
#include <utility>

namespace neap::scalers::kubernetes_metrics {

PodIndex::PodIndex(std::vector<PodUsage> pods) : pods_(std::move(pods)) {
  for (uint32_t i = 0; i < pods_.size(); ++i) {
    for (const auto& [key, value] : pods_[i].labels) {
      by_label_[key + "\n" + value].push_back(i);
    }
  }
}

std::vector<const PodUsage*> PodIndex::Matching(const base::Selector& selector) const {
  // The shortest list that a requirement of one value leaves; all pods without one.
  std::vector<uint32_t> all;
  static const std::vector<uint32_t> kNone;
  const std::vector<uint32_t>* candidates = nullptr;
  for (const base::Requirement& requirement : selector.requirements()) {
    const bool one_value = (requirement.op == base::SelectorOperator::kEquals ||
                            requirement.op == base::SelectorOperator::kDoubleEquals ||
                            requirement.op == base::SelectorOperator::kIn) &&
                           requirement.values.size() == 1;
    if (!one_value) continue;
    const auto at = by_label_.find(requirement.key + "\n" + requirement.values[0]);
    const std::vector<uint32_t>& list = at == by_label_.end() ? kNone : at->second;
    if (candidates == nullptr || list.size() < candidates->size()) candidates = &list;
  }
  if (candidates == nullptr) {
    all.resize(pods_.size());
    std::iota(all.begin(), all.end(), 0U);
    candidates = &all;
  }
  std::vector<const PodUsage*> out;
  for (uint32_t i : *candidates) {
    if (selector.Matches(pods_[i].labels)) out.push_back(&pods_[i]);
  }
  return out;
}

}  // namespace neap::scalers::kubernetes_metrics
