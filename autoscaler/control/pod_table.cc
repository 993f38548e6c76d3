#include "autoscaler/control/pod_table.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/control/digest.h"

namespace neap::control {
namespace {

uint32_t NameHash(std::string_view name) {
  return static_cast<uint32_t>(Digest().Text(name).value());
}

uint32_t LabelHash(std::string_view key, std::string_view value) {
  return static_cast<uint32_t>(Digest().Text(key).Text(value).value());
}

// A requirement that names the values a label must have.
bool IsEquality(const base::Requirement& requirement) {
  return requirement.op == base::SelectorOperator::kEquals ||
         requirement.op == base::SelectorOperator::kDoubleEquals ||
         requirement.op == base::SelectorOperator::kIn;
}

// By what a set is found: the labels of the first such requirement, any of which a pod must have.
std::vector<uint32_t> LabelsOf(const base::Selector& selector) {
  std::vector<uint32_t> hashes;
  for (const base::Requirement& requirement : selector.requirements()) {
    if (!IsEquality(requirement)) continue;
    for (const std::string& value : requirement.values) {
      hashes.push_back(LabelHash(requirement.key, value));
    }
    break;
  }
  return hashes;
}

auto ByName(std::vector<core::Pod>& pods, std::string_view name) {
  return std::lower_bound(
      pods.begin(), pods.end(), name,
      [](const core::Pod& pod, std::string_view n) { return pod.name.view() < n; });
}

base::Selector Parsed(std::string_view text) {
  auto selector = base::Selector::Parse(text);
  NEAP_CHECK(selector.ok(), "a pod set of the selector '{}', which does not parse", text);
  return *std::move(selector);
}

const base::Shared<core::PodRequests>& NoRequests() {
  static const auto kNone = base::Shared<core::PodRequests>::Of({});
  return kNone;
}

// Room for an eighth more instead of twice as much: sets are many, and most stay as they are.
template <typename T>
void Grow(std::vector<T>& list) {
  if (list.size() == list.capacity()) list.reserve(list.size() + list.size() / 8 + 1);
}

template <typename T>
void InsertSorted(std::vector<T>& list, const T& value) {
  const auto index = std::lower_bound(list.begin(), list.end(), value) - list.begin();
  Grow(list);
  list.insert(list.begin() + index, value);
}

// What a set remembers is one text of entries: twice the size of a name, and one more for a shadow,
// as four bytes; then the name.
template <typename Each>
void EachRemembered(std::string_view entries, Each each) {
  while (!entries.empty()) {
    uint32_t head = 0;
    std::memcpy(&head, entries.data(), sizeof(head));
    const std::string_view entry = entries.substr(0, sizeof(head) + head / 2);
    each(entry, entry.substr(sizeof(head)), head % 2 != 0);
    entries.remove_prefix(entry.size());
  }
}

std::string WithoutRemembered(std::string_view entries, std::string_view name, bool shadow) {
  std::string rest;
  EachRemembered(entries, [&](std::string_view entry, std::string_view n, bool s) {
    if (n != name || s != shadow) rest += entry;
  });
  return rest;
}

}  // namespace

void PodTable::Set::Remember(std::string_view name, bool shadow) {
  bool known = false;
  EachRemembered(remembered_, [&](std::string_view, std::string_view n, bool s) {
    known = known || (n == name && s == shadow);
  });
  if (known) return;
  const uint32_t head = 2 * static_cast<uint32_t>(name.size()) + (shadow ? 1 : 0);
  std::string entries(remembered_.view());
  entries.append(reinterpret_cast<const char*>(&head), sizeof(head)).append(name);
  remembered_ = entries;
}

void PodTable::Set::Forget(std::string_view name, bool shadow) {
  remembered_ = WithoutRemembered(remembered_, name, shadow);
}

PodTable::Namespace& PodTable::Open(const std::string& ns) {
  Namespace& space = spaces_[ns];
  if (space.slots.empty()) {
    space.ns = ns;
    space.slots.push_back(std::make_unique<Set>());
    space.slots[0]->space_ = &space;
  }
  return space;
}

PodTable::Set* PodTable::Acquire(const std::string& ns, const base::Selector& selector,
                                 const std::string& text) {
  Namespace& space = Open(ns);
  const auto at = std::lower_bound(
      space.by_text.begin(), space.by_text.end(), text,
      [&](uint32_t slot, const std::string& wanted) { return space.slots[slot]->text_ < wanted; });
  if (at != space.by_text.end() && space.slots[*at]->text_ == text) {
    Set* set = space.slots[*at].get();
    ++set->users_;
    return set;
  }
  uint32_t slot = 0;
  if (space.free.empty()) {
    slot = static_cast<uint32_t>(space.slots.size());
    Grow(space.slots);
    space.slots.emplace_back();
  } else {
    slot = space.free.back();
    space.free.pop_back();
  }
  const auto index = at - space.by_text.begin();
  Grow(space.by_text);
  space.by_text.insert(space.by_text.begin() + index, slot);
  space.slots[slot] = std::make_unique<Set>();
  Set* set = space.slots[slot].get();
  set->space_ = &space;
  set->text_ = text;
  set->users_ = 1;
  if (space.indexed) {
    const std::vector<uint32_t> hashes = LabelsOf(selector);
    if (hashes.empty()) space.unindexed.push_back(slot);
    for (const uint32_t hash : hashes) InsertSorted(space.by_label, Ref{hash, slot});
  }
  space.unsettled = true;
  return set;
}

void PodTable::Release(Set* set) {
  NEAP_CHECK(set->users_ > 0, "a pod set of {} was released more often than acquired",
             set->space_->ns);
  if (--set->users_ == 0) set->space_->unsettled = true;
}

void PodTable::Index(Namespace& space) {
  if (std::exchange(space.indexed, true)) return;
  for (uint32_t slot = 1; slot < space.slots.size(); ++slot) {
    if (space.slots[slot] == nullptr) continue;
    const std::vector<uint32_t> hashes = LabelsOf(Parsed(space.slots[slot]->text_));
    if (hashes.empty()) space.unindexed.push_back(slot);
    for (const uint32_t hash : hashes) space.by_label.push_back({hash, slot});
  }
  std::sort(space.by_label.begin(), space.by_label.end());
  space.by_label.shrink_to_fit();
}

bool PodTable::Matches(Set& set, const base::LabelSet& labels) {
  if (set.pods.body_ == nullptr) {
    set.pods.body_ = std::make_unique<Set::Body>();
    set.body().selector = Parsed(set.text_);
  }
  return set.body().selector.MatchesSet(labels);
}

void PodTable::Matching(const Namespace& space, const base::LabelSet& labels,
                        std::vector<uint32_t>* slots) {
  slots->clear();
  labels.ForEach([&](std::string_view key, std::string_view value) {
    const uint32_t hash = LabelHash(key, value);
    for (auto at = std::lower_bound(space.by_label.begin(), space.by_label.end(), Ref{hash, 0});
         at != space.by_label.end() && at->hash == hash; ++at) {
      if (Matches(*space.slots[at->slot], labels)) slots->push_back(at->slot);
    }
  });
  for (const uint32_t slot : space.unindexed) {
    if (Matches(*space.slots[slot], labels)) slots->push_back(slot);
  }
  std::sort(slots->begin(), slots->end());
  slots->erase(std::unique(slots->begin(), slots->end()), slots->end());
  if (slots->empty()) slots->push_back(0);
}

void PodTable::Where(const Namespace& space, std::string_view name, std::vector<uint32_t>* slots) {
  slots->clear();
  const uint32_t hash = NameHash(name);
  for (auto at = std::lower_bound(space.names.begin(), space.names.end(), Ref{hash, 0});
       at != space.names.end() && at->hash == hash; ++at) {
    std::vector<core::Pod>& pods = space.slots[at->slot]->body().pods;
    const auto pod = ByName(pods, name);
    if (pod != pods.end() && pod->name == name && (slots->empty() || slots->back() != at->slot)) {
      slots->push_back(at->slot);
    }
  }
}

uint32_t PodTable::UseTemplate(Set::Body& body, base::Shared<core::PodRequests> requests) {
  if (requests == nullptr) requests = NoRequests();
  size_t free = body.templates.size();
  for (size_t i = 0; i < body.templates.size(); ++i) {
    Set::Body::Template& known = body.templates[i];
    if (known.uses == 0) {
      free = i;
    } else if (known.requests == requests || *known.requests == *requests) {
      ++known.uses;
      return static_cast<uint32_t>(i);
    }
  }
  if (free == body.templates.size()) body.templates.emplace_back();
  body.templates[free] = {.requests = std::move(requests), .uses = 1};
  if (body.templates.size() > 1) {
    body.several.clear();
    for (const auto& known : body.templates) body.several.push_back(*known.requests);
  }
  return static_cast<uint32_t>(free);
}

void PodTable::LeaveTemplate(Set::Body& body, uint32_t slot) {
  if (--body.templates[slot].uses > 0) return;
  body.templates[slot].requests = NoRequests();
  if (!body.several.empty()) body.several[slot] = {};
}

void PodTable::Put(Set& set, PodState state, bool sorted_append) {
  if (set.pods.body_ == nullptr) set.pods.body_ = std::make_unique<Set::Body>();  // slot 0's
  Set::Body& body = set.body();
  auto at = sorted_append ? body.pods.end() : ByName(body.pods, state.pod.name);
  const auto index = at - body.pods.begin();
  state.pod.requests = UseTemplate(body, std::move(state.requests));
  if (at != body.pods.end() && at->name == state.pod.name) {
    LeaveTemplate(body, at->requests);
    *at = std::move(state.pod);
    body.labels[static_cast<size_t>(index)] = std::move(state.labels);
    return;
  }
  if (!sorted_append) {
    Grow(body.pods);
    Grow(body.labels);
  }
  body.pods.insert(body.pods.begin() + index, std::move(state.pod));
  body.labels.insert(body.labels.begin() + index, std::move(state.labels));
  ++set.version;
}

void PodTable::Take(Set& set, std::string_view name) {
  Set::Body& body = set.body();
  const auto at = ByName(body.pods, name);
  LeaveTemplate(body, at->requests);
  body.labels.erase(body.labels.begin() + (at - body.pods.begin()));
  body.pods.erase(at);
  ++set.version;
}

void PodTable::Share(Namespace& space, const std::vector<uint32_t>& slots, bool add) {
  for (const uint32_t a : slots) {
    for (const uint32_t b : slots) {
      if (a == b) continue;
      auto& shared = space.slots[a]->body().shared;
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
  Namespace& space = Open(change.ns);
  std::vector<uint32_t> before;
  std::vector<uint32_t> after;
  Where(space, change.name, &before);
  if (change.pod) {
    Index(space);
    Matching(space, change.pod->labels, &after);
  }
  if (change.pod && before == after) {
    for (const uint32_t slot : after) Put(*space.slots[slot], *change.pod, false);
    return;
  }
  const uint32_t hash = NameHash(change.name);
  Share(space, before, false);
  for (const uint32_t slot : before) {
    Take(*space.slots[slot], change.name);
    const auto ref = std::lower_bound(space.names.begin(), space.names.end(), Ref{hash, slot});
    space.names.erase(ref);
  }
  for (const uint32_t slot : after) {
    Put(*space.slots[slot], *change.pod, false);
    InsertSorted(space.names, Ref{hash, slot});
  }
  Share(space, after, true);
  const size_t added = after.empty() ? 0 : 1;
  const size_t gone = before.empty() ? 0 : 1;
  space.pods = space.pods + added - gone;
  pods_ = pods_ + added - gone;
}

std::deque<PodState> PodTable::Extract(Namespace& space) {
  std::deque<PodState> all;
  for (auto& set : space.slots) {
    if (set == nullptr || set->pods.body_ == nullptr) continue;
    Set::Body& body = set->body();
    for (size_t i = 0; i < body.pods.size(); ++i) {
      const uint32_t slot = body.pods[i].requests;
      all.push_back({.pod = std::move(body.pods[i]),
                     .labels = std::move(body.labels[i]),
                     .requests = body.templates[slot].requests});
    }
  }
  return all;
}

void PodTable::DropUnused(Namespace& space) {
  const auto unused = [&](uint32_t slot) { return space.slots[slot]->users_ == 0; };
  const size_t before = space.by_text.size();
  std::erase_if(space.by_text, [&](uint32_t slot) {
    if (unused(slot)) space.free.push_back(slot);
    return unused(slot);
  });
  if (space.by_text.size() == before) return;
  std::erase_if(space.by_label, [&](const Ref& ref) { return unused(ref.slot); });
  std::erase_if(space.unindexed, unused);
  for (const uint32_t slot : space.free) space.slots[slot].reset();
}

void PodTable::Rebuild(Namespace& space, std::deque<PodState> all) {
  space.names.clear();
  space.pods = 0;
  for (auto& set : space.slots) {
    if (set == nullptr) continue;
    ++set->version;
    if (set->pods.body_ == nullptr) continue;
    Set::Body& body = set->body();
    body.pods.clear();
    body.labels.clear();
    body.templates.clear();
    body.several.clear();
    body.shared.clear();
  }
  DropUnused(space);
  if (!all.empty()) Index(space);
  // The last of equal names wins: it came later.
  const auto by_name = [](const PodState& a, const PodState& b) { return a.pod.name < b.pod.name; };
  if (!std::is_sorted(all.begin(), all.end(), by_name)) {
    std::stable_sort(all.begin(), all.end(), by_name);
  }
  space.names.reserve(all.size());
  std::vector<uint32_t> slots;
  while (!all.empty()) {
    PodState state = std::move(all.front());
    all.pop_front();
    if (!all.empty() && all.front().pod.name == state.pod.name) continue;
    Matching(space, state.labels, &slots);
    const uint32_t hash = NameHash(state.pod.name);
    for (size_t i = 0; i < slots.size(); ++i) {
      Put(*space.slots[slots[i]], i + 1 < slots.size() ? state : std::move(state), true);
      space.names.push_back({hash, slots[i]});
    }
    Share(space, slots, true);
    ++space.pods;
  }
  std::sort(space.names.begin(), space.names.end());
  space.names.shrink_to_fit();
  for (auto& set : space.slots) {
    if (set == nullptr || set->pods.body_ == nullptr) continue;
    if (set->pods.empty()) {
      set->pods.body_.reset();
      continue;
    }
    set->body().pods.shrink_to_fit();
    set->body().labels.shrink_to_fit();
  }
  if (space.pods == 0) {
    space.by_label = {};
    space.unindexed = {};
    space.indexed = false;
  }
  space.unsettled = false;
}

void PodTable::Replace(PodsReplaced list) {
  Namespace& space = Open(list.ns);
  pods_ -= space.pods;
  Rebuild(space, std::move(list.all));
  pods_ += space.pods;
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
    if (space.unsettled) Rebuild(space, Extract(space));
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
  const std::string& ns = set.space_->ns;
  size_t count = 0;
  const auto add = [&](std::string_view, std::string_view name, bool shadow) {
    if (shadow != shadows) return;
    if (count == keys->size()) keys->emplace_back();
    (*keys)[count++].assign(ns).append("/").append(name);
  };
  EachRemembered(set.remembered_, add);
  if (!set.pods.empty()) {
    for (const auto& [other, pods] : set.pods.body_->shared)
      EachRemembered(other->remembered_, add);
  }
  keys->resize(count);
  if (keys->size() == 1 && keys->front() == self) return;  // nearly always
  keys->push_back(self);
  std::sort(keys->begin(), keys->end());
  keys->erase(std::unique(keys->begin(), keys->end()), keys->end());
}

}  // namespace neap::control
