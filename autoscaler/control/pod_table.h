// PodTable: the pods of the namespaces that control watches, grouped by the selectors of scales, so
// that a decision finds its pods as one sorted span. A pod that one selector matches is stored
// once; the rest of a namespace is kept too, since a selector may come later. Owned by Controller;
// one thread only.
//
// Matching goes by an index of the selectors' equality requirements: a pod costs its labels, not
// the number of selectors. Sets acquired or released take effect at Settle, once per step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/label_set.h"
#include "autoscaler/base/selector.h"
#include "autoscaler/base/shared.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/core/observation.h"

namespace neap::control {

class PodTable {
  struct Namespace;

 public:
  // The pods of one selector in one namespace. Most sets never see a pod (nothing in their
  // namespace needs any): such a one is 40 bytes and two texts.
  class Set {
   private:
    struct Body;

   public:
    // Reads as a vector does, sorted by name.
    class Pods {
     public:
      size_t size() const { return body_ == nullptr ? 0 : body_->pods.size(); }
      bool empty() const { return size() == 0; }
      const core::Pod* data() const { return body_ == nullptr ? nullptr : body_->pods.data(); }
      const core::Pod* begin() const { return data(); }
      const core::Pod* end() const { return data() + size(); }
      const core::Pod& operator[](size_t i) const { return body_->pods[i]; }

     private:
      friend class PodTable;
      friend class Set;
      std::unique_ptr<Body> body_;
    };

    Pods pods;
    uint32_t version = 1;  // grows with each change of which pods there are
    // What Pod.requests names.
    std::span<const core::PodRequests> requests() const {
      if (pods.body_ == nullptr) return {};
      const Body& body = *pods.body_;
      if (body.templates.size() == 1) return {body.templates[0].requests.get(), 1};
      return body.several;
    }

    // The autoscalers of the namespace, by name, that were decided with this selector: what makes
    // it ambiguous. Shadowed objects are ambiguous among themselves alone, as for their controller.
    void Remember(std::string_view name, bool shadow);
    void Forget(std::string_view name, bool shadow);

   private:
    friend class PodTable;
    struct Body {  // there when there are pods, or might be
      base::Selector selector;
      std::vector<core::Pod> pods;
      std::vector<base::LabelSet> labels;  // parallel to pods
      struct Template {
        base::Shared<core::PodRequests> requests;  // never null
        uint32_t uses = 0;                         // 0: the place is free, the requests are none
      };
      std::vector<Template> templates;
      std::vector<core::PodRequests> several;         // of the templates, when they are not one
      std::vector<std::pair<Set*, uint32_t>> shared;  // sets with pods in common, and how many
    };
    Body& body() { return *pods.body_; }

    uint32_t users_ = 0;
    Namespace* space_ = nullptr;
    base::SharedText text_;        // of the selector
    base::SharedText remembered_;  // see EachRemembered in pod_table.cc
  };

  // The set of `selector` in `ns`, shared by equal ones; `text`, its canonical form, parses to it.
  // Release each one once.
  Set* Acquire(const std::string& ns, const base::Selector& selector, const std::string& text);
  void Release(Set* set);

  void Change(const PodChange& change);
  void Replace(PodsReplaced list);
  // Forgets the pods of all other namespaces (`namespaces` is sorted).
  void KeepNamespaces(const std::vector<std::string>& namespaces);
  void Settle();

  // Keys ("ns/name") of the autoscalers whose remembered selector matches at least one of `set`'s
  // pods, sorted; `self` always. With `assume_pods` those with the very selector count though no
  // pod is known. Of shadowed objects, or of the others.
  void Overlapping(const Set& set, const std::string& self, bool assume_pods, bool shadows,
                   std::vector<std::string>* keys) const;

  size_t pods() const { return pods_; }

 private:
  // A set by hash of a text: 8 bytes instead of a map of texts. Whoever finds it looks whether the
  // text is the right one.
  struct Ref {
    uint32_t hash = 0;
    uint32_t slot = 0;
    auto operator<=>(const Ref&) const = default;
  };
  struct Namespace {
    std::string ns;
    std::vector<std::unique_ptr<Set>> slots;  // 0 holds the pods that nobody selects
    std::vector<uint32_t> free;               // slots without a set
    std::vector<uint32_t> by_text;            // slots but 0, sorted by the texts of their sets
    std::vector<Ref> by_label;                // sets that require a label: by key and value; sorted
    std::vector<uint32_t> unindexed;          // sets without such a requirement
    std::vector<Ref> names;                   // of pods; sorted
    size_t pods = 0;
    bool unsettled = false;
    bool indexed = false;  // by_label and unindexed are made: not before there is a pod
  };

  Namespace& Open(const std::string& ns);
  static void Index(Namespace& space);
  static void DropUnused(Namespace& space);
  static void Rebuild(Namespace& space, std::deque<PodState> all);
  static std::deque<PodState> Extract(Namespace& space);
  static bool Matches(Set& set, const base::LabelSet& labels);
  static void Matching(const Namespace& space, const base::LabelSet& labels,
                       std::vector<uint32_t>* slots);
  static void Where(const Namespace& space, std::string_view name, std::vector<uint32_t>* slots);
  static void Put(Set& set, PodState state, bool sorted_append);
  static void Take(Set& set, std::string_view name);
  static void Share(Namespace& space, const std::vector<uint32_t>& slots, bool add);
  static uint32_t UseTemplate(Set::Body& body, base::Shared<core::PodRequests> requests);
  static void LeaveTemplate(Set::Body& body, uint32_t slot);

  std::map<std::string, Namespace, std::less<>> spaces_;
  size_t pods_ = 0;
};

}  // namespace neap::control
