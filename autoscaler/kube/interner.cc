#include "autoscaler/kube/interner.h"

#include <functional>

namespace neap::kube {
namespace {

uint64_t HashOfText(std::string_view text) { return std::hash<std::string_view>()(text); }

uint64_t Joined(uint64_t a, uint64_t b) { return (a ^ (b >> 29) ^ b) * 0x9e3779b97f4a7c15ULL; }

void Add(const core::ResourceAmounts& amounts, uint64_t* hash) {
  for (const core::ResourceAmount& amount : amounts) {
    *hash = Joined(*hash, HashOfText(amount.resource));
    *hash = Joined(*hash, static_cast<uint64_t>(amount.milli));
  }
  *hash = Joined(*hash, amounts.size());
}

void Add(const std::vector<core::PodRequests::Container>& containers, uint64_t* hash) {
  for (const core::PodRequests::Container& container : containers) {
    *hash = Joined(*hash, HashOfText(container.name));
    Add(container.requests, hash);
  }
  *hash = Joined(*hash, containers.size());
}

uint64_t HashOfRequests(const core::PodRequests& requests) {
  uint64_t hash = 0;
  Add(requests.containers, &hash);
  Add(requests.init_containers, &hash);
  if (requests.pod_level) Add(*requests.pod_level, &hash);
  Add(requests.overhead, &hash);
  return hash;
}

}  // namespace

uint64_t Interner::HashOfLabels(std::string_view keys, std::string_view values) {
  return Joined(HashOfText(keys), HashOfText(values));
}

uint64_t Interner::HashOf(const base::SharedText& text) { return HashOfText(text); }
uint64_t Interner::HashOf(const base::LabelSet& labels) {
  return HashOfLabels(labels.keys(), labels.values());
}
uint64_t Interner::HashOf(const base::Shared<core::PodRequests>& requests) {
  return HashOfRequests(*requests);
}

base::SharedText Interner::Name(std::string_view name) {
  if (name.empty()) return {};
  return names_.Get(
      HashOfText(name), [&](const base::SharedText& known) { return known == name; },
      [&] { return base::SharedText(name); });
}

base::LabelSet Interner::Labels(std::span<base::LabelSet::Label> labels) {
  if (labels.empty()) return {};
  key_text_.clear();
  value_text_.clear();
  base::LabelSet::Encode(labels, &key_text_, &value_text_);
  return labels_.Get(
      HashOfLabels(key_text_, value_text_),
      [&](const base::LabelSet& known) {
        return known.values() == value_text_ && known.keys() == key_text_;
      },
      [&] {
        const base::SharedText& keys = keys_.Get(
            HashOfText(key_text_),
            [&](const base::SharedText& known) { return known == key_text_; },
            [&] { return base::SharedText(key_text_); });
        return base::LabelSet::Of(keys, value_text_);
      });
}

base::Shared<core::PodRequests> Interner::Requests(core::PodRequests requests) {
  return requests_.Get(
      HashOfRequests(requests),
      [&](const base::Shared<core::PodRequests>& known) { return *known == requests; },
      [&] { return base::Shared<core::PodRequests>::Of(std::move(requests)); });
}

}  // namespace neap::kube
