#include "autoscaler/control/pod_table.h"

#include <algorithm>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/control/digest.h"

namespace neap::control {
namespace {

uint32_t NameHash(std::string_view name) {
  return static_cast<uint32_t>(Digest().Text(name).value());
}

std::string LabelKey(std::string_view key, std::string_view value) {
  std::string text;
  text.reserve(key.size() + value.size() + 1);
  text.append(key).push_back('\0');
  text.append(value);
  return text;
}

const base::Labels& LabelsOf(const std::shared_ptr<const base::Labels>& labels) {
  static const base::Labels kNone;
  return labels == nullptr ? kNone : *labels;
}

// A requirement that names the values a label must have.
bool IsEquality(const base::Requirement& requirement) {
  return requirement.op == base::SelectorOperator::kEquals ||
         requirement.op == base::SelectorOperator::kDoubleEquals ||
         requirement.op == base::SelectorOperator::kIn;
}

auto ByName(std::vector<core::Pod>& pods, std::string_view name) {
  return std::lower_bound(pods.begin(), pods.end(), name,
                          [](const core::Pod& pod, std::string_view n) { return pod.name < n; });
}

}  // namespace

PodTable::Namespace& PodTable::Opened(Namespace& space, const std::string& ns) {
  if (space.slots.empty()) {
    space.slots.push_back(std::make_unique<Set>());
    space.slots[0]->ns = ns;
  }
  return space;
}

PodTable::Set* PodTable::Acquire(const std::string& ns, const base::Selector& selector,
                                 const std::string& text) {
  Namespace& space = Opened(spaces_[ns], ns);
  if (const auto at = space.by_text.find(text); at != space.by_text.end()) {
    Set* set = space.slots[at->second].get();
    ++set->users;
    return set;
  }
  uint32_t slot = 1;
  while (slot < space.slots.size() && space.slots[slot] != nullptr) ++slot;
  if (slot == space.slots.size()) space.slots.emplace_back();
  space.slots[slot] = std::make_unique<Set>();
  Set* set = space.slots[slot].get();
  set->ns = ns;
  set->selector = selector;
  set->users = 1;
  space.by_text.emplace(text, slot);
  if (space.indexed) Index(space, slot);
  space.unsettled = true;
  return set;
}

void PodTable::Release(Set* set) {
  NEAP_CHECK(set->users > 0, "a pod set of {} was released more often than acquired", set->ns);
  if (--set->users == 0) spaces_[set->ns].unsettled = true;
}

void PodTable::Index(Namespace& space) {
  if (std::exchange(space.indexed, true)) return;
  for (uint32_t slot = 1; slot < space.slots.size(); ++slot) {
    if (space.slots[slot] != nullptr) Index(space, slot);
  }
}

void PodTable::Index(Namespace& space, uint32_t slot) {
  for (const base::Requirement& requirement : space.slots[slot]->selector.requirements()) {
    if (!IsEquality(requirement)) continue;
    for (const std::string& value : requirement.values) {
      space.by_label[LabelKey(requirement.key, value)].push_back(slot);
    }
    return;
  }
  space.unindexed.push_back(slot);
}

void PodTable::Matching(const Namespace& space, const base::Labels& labels,
                        std::vector<uint32_t>* slots) {
  slots->clear();
  for (const auto& [key, value] : labels) {
    const std::vector<uint32_t>* candidates = space.by_label.Find(LabelKey(key, value));
    if (candidates == nullptr) continue;
    for (const uint32_t slot : *candidates) {
      if (space.slots[slot]->selector.Matches(labels)) slots->push_back(slot);
    }
  }
  for (const uint32_t slot : space.unindexed) {
    if (space.slots[slot]->selector.Matches(labels)) slots->push_back(slot);
  }
  std::sort(slots->begin(), slots->end());
  slots->erase(std::unique(slots->begin(), slots->end()), slots->end());
  if (slots->empty()) slots->push_back(0);
}

void PodTable::Where(const Namespace& space, std::string_view name, std::vector<uint32_t>* slots) {
  slots->clear();
  const uint32_t hash = NameHash(name);
  for (auto at = std::lower_bound(space.names.begin(), space.names.end(), NameRef{hash, 0});
       at != space.names.end() && at->hash == hash; ++at) {
    std::vector<core::Pod>& pods = space.slots[at->slot]->pods;
    const auto pod = ByName(pods, name);
    if (pod != pods.end() && pod->name == name && (slots->empty() || slots->back() != at->slot)) {
      slots->push_back(at->slot);
    }
  }
}

uint32_t PodTable::RequestSlot(Set& set, const std::shared_ptr<const core::PodRequests>& requests) {
  static const core::PodRequests kNone;
  const core::PodRequests& value = requests == nullptr ? kNone : *requests;
  size_t free = set.requests.size();
  for (size_t i = 0; i < set.requests.size(); ++i) {
    if (set.request_uses[i] == 0) {
      free = i;
      continue;
    }
    if (set.request_sources[i] == requests || set.requests[i] == value) {
      ++set.request_uses[i];
      return static_cast<uint32_t>(i);
    }
  }
  if (free == set.requests.size()) {
    set.requests.emplace_back();
    set.request_sources.emplace_back();
    set.request_uses.push_back(0);
  }
  set.requests[free] = value;
  set.request_sources[free] = requests;
  set.request_uses[free] = 1;
  return static_cast<uint32_t>(free);
}

void PodTable::DropRequest(Set& set, uint32_t slot) {
  if (--set.request_uses[slot] > 0) return;
  set.requests[slot] = {};
  set.request_sources[slot].reset();
}

void PodTable::Put(Set& set, const PodState& state, bool sorted_append) {
  auto at = sorted_append ? set.pods.end() : ByName(set.pods, state.pod.name);
  const auto index = at - set.pods.begin();
  if (at != set.pods.end() && at->name == state.pod.name) {
    const uint32_t old = at->requests;
    const uint32_t slot = RequestSlot(set, state.requests);
    DropRequest(set, old);
    *at = state.pod;
    at->requests = slot;
    set.labels[static_cast<size_t>(index)] = state.labels;
    return;
  }
  at = set.pods.insert(at, state.pod);
  at->requests = RequestSlot(set, state.requests);
  set.labels.insert(set.labels.begin() + index, state.labels);
  ++set.version;
}

void PodTable::Take(Set& set, std::string_view name) {
  const auto at = ByName(set.pods, name);
  DropRequest(set, at->requests);
  set.labels.erase(set.labels.begin() + (at - set.pods.begin()));
  set.pods.erase(at);
  ++set.version;
}

void PodTable::Share(Namespace& space, const std::vector<uint32_t>& slots, bool add) {
  for (const uint32_t a : slots) {
    for (const uint32_t b : slots) {
      if (a == b) continue;
      auto& shared = space.slots[a]->shared;
      Set* other = space.slots[b].get();
      auto at = std::find_if(shared.begin(), shared.end(),
                             [&](const auto& entry) { return entry.first == other; });
      if (add) {
        if (at == shared.end()) {
          shared.emplace_back(other, 1);
        } else {
          ++at->second;
        }
      } else if (at != shared.end() && --at->second == 0) {
        shared.erase(at);
      }
    }
  }
}

void PodTable::Change(const PodChange& change) {
  Namespace& space = Opened(spaces_[change.ns], change.ns);
  std::vector<uint32_t> before;
  std::vector<uint32_t> after;
  Where(space, change.name, &before);
  if (change.pod) {
    Index(space);
    Matching(space, LabelsOf(change.pod->labels), &after);
  }
  if (change.pod && before == after) {
    for (const uint32_t slot : after) Put(*space.slots[slot], *change.pod, false);
    return;
  }
  const uint32_t hash = NameHash(change.name);
  Share(space, before, false);
  for (const uint32_t slot : before) {
    Take(*space.slots[slot], change.name);
    const auto ref = std::lower_bound(space.names.begin(), space.names.end(), NameRef{hash, slot});
    space.names.erase(ref);
  }
  for (const uint32_t slot : after) {
    Put(*space.slots[slot], *change.pod, false);
    const NameRef ref{hash, slot};
    space.names.insert(std::lower_bound(space.names.begin(), space.names.end(), ref), ref);
  }
  Share(space, after, true);
  pods_ = pods_ + (after.empty() ? 0 : 1) - (before.empty() ? 0 : 1);
}

std::vector<PodState> PodTable::Extract(Namespace& space) {
  std::vector<PodState> all;
  for (auto& set : space.slots) {
    if (set == nullptr) continue;
    for (size_t i = 0; i < set->pods.size(); ++i) {
      const uint32_t slot = set->pods[i].requests;
      all.push_back({.pod = std::move(set->pods[i]),
                     .labels = std::move(set->labels[i]),
                     .requests = set->request_sources[slot]});
    }
  }
  return all;
}

void PodTable::Rebuild(Namespace& space, const std::string& ns, std::vector<PodState> all) {
  space.by_label.Clear();
  space.unindexed.clear();
  space.indexed = false;
  space.names.clear();
  for (uint32_t slot = 0; slot < space.slots.size(); ++slot) {
    Set* set = space.slots[slot].get();
    if (set == nullptr) continue;
    if (slot != 0 && set->users == 0) {
      std::erase_if(space.by_text, [&](const auto& entry) { return entry.second == slot; });
      space.slots[slot].reset();
      continue;
    }
    set->pods.clear();
    set->labels.clear();
    set->requests.clear();
    set->request_sources.clear();
    set->request_uses.clear();
    set->shared.clear();
    ++set->version;
  }
  if (!all.empty()) Index(space);
  // The last of equal names wins: it came later.
  std::stable_sort(all.begin(), all.end(),
                   [](const PodState& a, const PodState& b) { return a.pod.name < b.pod.name; });
  std::vector<uint32_t> slots;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i + 1 < all.size() && all[i].pod.name == all[i + 1].pod.name) continue;
    Matching(space, LabelsOf(all[i].labels), &slots);
    for (const uint32_t slot : slots) {
      Put(*space.slots[slot], all[i], true);
      space.names.push_back({NameHash(all[i].pod.name), slot});
    }
    Share(space, slots, true);
  }
  std::sort(space.names.begin(), space.names.end());
  space.names.shrink_to_fit();
  for (auto& set : space.slots) {
    if (set == nullptr) continue;
    set->ns = ns;
    set->pods.shrink_to_fit();
    set->labels.shrink_to_fit();
  }
  space.unsettled = false;
}

namespace {
size_t DistinctPods(std::vector<std::string_view> names) {
  std::sort(names.begin(), names.end());
  return static_cast<size_t>(std::unique(names.begin(), names.end()) - names.begin());
}
}  // namespace

void PodTable::Replace(PodsReplaced list) {
  Namespace& space = Opened(spaces_[list.ns], list.ns);
  const auto count = [&space] {
    std::vector<std::string_view> names;
    for (const auto& set : space.slots) {
      if (set == nullptr) continue;
      for (const core::Pod& pod : set->pods) names.push_back(pod.name);
    }
    return DistinctPods(std::move(names));
  };
  pods_ -= count();
  Rebuild(space, list.ns, std::move(list.all));
  pods_ += count();
}

void PodTable::KeepNamespaces(const std::vector<std::string>& namespaces) {
  for (auto& [ns, space] : spaces_) {
    if (space.names.empty() || std::binary_search(namespaces.begin(), namespaces.end(), ns)) {
      continue;
    }
    Replace({.ns = ns, .all = {}});
  }
}

void PodTable::Settle() {
  for (auto at = spaces_.begin(); at != spaces_.end();) {
    Namespace& space = at->second;
    if (space.unsettled) Rebuild(space, at->first, Extract(space));
    const bool used = !space.by_text.empty() || !space.names.empty();
    at = used ? std::next(at) : spaces_.erase(at);
  }
}

void PodTable::Overlapping(const Set& set, const std::string& self, bool assume_pods, bool shadows,
                           std::vector<std::string>* keys) const {
  if (set.pods.empty() && !assume_pods) {
    keys->clear();
    return;
  }
  *keys = set.remembered_of(shadows);
  for (const auto& [other, count] : set.shared) {
    const std::vector<std::string>& others = other->remembered_of(shadows);
    keys->insert(keys->end(), others.begin(), others.end());
  }
  if (keys->size() == 1 && keys->front() == self) return;  // nearly always
  keys->push_back(self);
  std::sort(keys->begin(), keys->end());
  keys->erase(std::unique(keys->begin(), keys->end()), keys->end());
}

}  // namespace neap::control
