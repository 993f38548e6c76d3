// PodTable: the pods of the namespaces that control watches, grouped by the selectors of scales, so
// that a decision finds its pods as one sorted span. A pod that one selector matches is stored
// once; the rest of a namespace is kept too, since a selector may come later. Owned by Controller;
// one thread only.
//
// Matching goes by an index of the selectors' equality requirements: a pod costs its labels, not
// the number of selectors. Sets acquired or released take effect at Settle, once per step.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/base/selector.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/core/observation.h"

namespace neap::control {

class PodTable {
 public:
  // The pods of one selector in one namespace.
  struct Set {
    std::string ns;
    base::Selector selector;
    std::vector<core::Pod> pods;  // by name
    std::vector<core::PodRequests> requests;
    uint64_t version = 1;  // grows with each change of which pods there are
    // Autoscalers ("ns/name", sorted) that were decided with this selector: what makes it
    // ambiguous. Shadowed objects are ambiguous among themselves alone, as for their controller.
    std::vector<std::string> remembered;
    std::vector<std::string> remembered_shadows;
    std::vector<std::string>& remembered_of(bool shadows) {
      return shadows ? remembered_shadows : remembered;
    }
    const std::vector<std::string>& remembered_of(bool shadows) const {
      return shadows ? remembered_shadows : remembered;
    }

   private:
    friend class PodTable;
    std::vector<std::shared_ptr<const base::Labels>> labels;                // parallel to pods
    std::vector<std::shared_ptr<const core::PodRequests>> request_sources;  // parallel to requests
    std::vector<uint32_t> request_uses;                                     // likewise
    std::vector<std::pair<Set*, uint32_t>> shared;  // sets with pods in common, and how many
    int users = 0;
  };

  // The set of `selector` (whose canonical text is `text`) in `ns`, shared by equal ones. Release
  // each one once.
  Set* Acquire(const std::string& ns, const base::Selector& selector, const std::string& text);
  void Release(Set* set);

  void Change(const PodChange& change);
  void Replace(PodsReplaced list);
  // Forgets the pods of all other namespaces (`namespaces` is sorted).
  void KeepNamespaces(const std::vector<std::string>& namespaces);
  void Settle();

  // Keys of the autoscalers whose remembered selector matches at least one of `set`'s pods, sorted;
  // `self` always. With `assume_pods` those with the very selector count though no pod is known.
  // Of shadowed objects, or of the others.
  void Overlapping(const Set& set, const std::string& self, bool assume_pods, bool shadows,
                   std::vector<std::string>* keys) const;

  size_t pods() const { return pods_; }

 private:
  struct NameRef {  // a pod by hash of its name: 8 bytes instead of a map of names
    uint32_t hash = 0;
    uint32_t slot = 0;
    auto operator<=>(const NameRef&) const = default;
  };
  struct Namespace {
    std::vector<std::unique_ptr<Set>> slots;  // 0 holds the pods that nobody selects
    std::map<std::string, uint32_t, std::less<>> by_text;
    base::StringLookup<std::vector<uint32_t>> by_label;  // "key\0value" -> sets that require it
    std::vector<uint32_t> unindexed;                     // sets without such a requirement
    std::vector<NameRef> names;                          // sorted
    bool unsettled = false;
    bool indexed = false;  // by_label and unindexed are made: not before there is a pod
  };

  static Namespace& Opened(Namespace& space, const std::string& ns);
  static void Index(Namespace& space);
  static void Index(Namespace& space, uint32_t slot);
  static void Rebuild(Namespace& space, const std::string& ns, std::vector<PodState> all);
  static std::vector<PodState> Extract(Namespace& space);
  static void Matching(const Namespace& space, const base::Labels& labels,
                       std::vector<uint32_t>* slots);
  static void Where(const Namespace& space, std::string_view name, std::vector<uint32_t>* slots);
  static void Put(Set& set, const PodState& state, bool sorted_append);
  static void Take(Set& set, std::string_view name);
  static void Share(Namespace& space, const std::vector<uint32_t>& slots, bool add);
  static uint32_t RequestSlot(Set& set, const std::shared_ptr<const core::PodRequests>& requests);
  static void DropRequest(Set& set, uint32_t slot);

  std::map<std::string, Namespace, std::less<>> spaces_;
  size_t pods_ = 0;
};

}  // namespace neap::control
