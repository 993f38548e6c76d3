// Interner: pods' names, labels and container requests, each kept once however often a list or an
// event says it: a list anew shares what the last one left in control's table. Entries live as long
// as somebody uses them, and for some time longer. One thread; what it hands out may go to others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/label_set.h"
#include "autoscaler/base/shared.h"
#include "autoscaler/core/observation.h"

namespace neap::kube {

// A set of T, which holds something shared (or nothing) and knows whether it is alone in that. It
// costs one T, that is a pointer, and up to three quarters of another an entry. Those that nobody
// else holds go when it is full, so at most a third of the entries are unused.
template <typename T, uint64_t (*hash_of)(const T&)>
class InternTable {
 public:
  // The entry of that hash of which `same(entry)` holds, or else what `make()` returns.
  template <typename Same, typename Make>
  const T& Get(uint64_t hash, Same same, Make make) {
    if (!slots_.empty()) {
      for (size_t at = Home(hash); !slots_[at].empty(); at = Next(at)) {
        if (same(slots_[at])) return slots_[at];
      }
    }
    if (8 * (count_ + 1) > 7 * slots_.size()) Rebuild();
    ++count_;
    return Enter(make(), hash);
  }
  size_t size() const { return count_; }

 private:
  static constexpr size_t kLeast = 32;

  size_t Home(uint64_t hash) const {
    return static_cast<size_t>(((hash >> 32) * uint64_t{slots_.size()}) >> 32);
  }
  size_t Next(size_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }
  const T& Enter(T entry, uint64_t hash) {
    size_t at = Home(hash);
    while (!slots_[at].empty()) at = Next(at);
    return slots_[at] = std::move(entry);
  }
  // Without those that nobody else holds, and with room for half as many again.
  void Rebuild() {
    const auto unused = [](const T& entry) { return entry.empty() || entry.alone(); };
    count_ = 0;
    for (T& entry : slots_) {
      if (unused(entry)) {
        entry = T();
      } else {
        ++count_;
      }
    }
    std::vector<T> former = std::exchange(slots_, std::vector<T>(kLeast + count_ * 12 / 7));
    for (T& entry : former) {
      if (entry.empty()) continue;
      const uint64_t hash = hash_of(entry);
      Enter(std::move(entry), hash);
    }
  }

  std::vector<T> slots_;  // T() where there is none
  size_t count_ = 0;
};

class Interner {
 public:
  base::SharedText Name(std::string_view name);
  base::LabelSet Labels(std::span<base::LabelSet::Label> labels);  // sorts them
  base::Shared<core::PodRequests> Requests(core::PodRequests requests);
  // Of sets of labels and of requests: how many kinds of pods there are.
  size_t kinds() const { return labels_.size() + requests_.size(); }
  size_t names() const { return names_.size(); }

 private:
  static uint64_t HashOf(const base::SharedText& text);
  static uint64_t HashOf(const base::LabelSet& labels);
  static uint64_t HashOf(const base::Shared<core::PodRequests>& requests);
  static uint64_t HashOfLabels(std::string_view keys, std::string_view values);

  using Texts = InternTable<base::SharedText, HashOf>;
  Texts names_;
  Texts keys_;  // of labels
  InternTable<base::LabelSet, HashOf> labels_;
  InternTable<base::Shared<core::PodRequests>, HashOf> requests_;
  std::string key_text_;  // room that is used again and again
  std::string value_text_;
};

}  // namespace neap::kube
