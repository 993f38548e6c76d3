// TriggerTable<T>: what Host and Endpoint keep of each trigger, found by the trigger's id. The id
// is in the subscription, which control shares with both of them, so no table has a copy of it. One
// thread only. T has a member `SharedSubscription subscription`; a T stays where it is until it is
// erased.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/control/messages.h"

namespace neap::scalerhost {

// Control, Host and Endpoint share what control asked for.
using SharedSubscription = std::shared_ptr<const control::Subscription>;

template <typename T>
class TriggerTable {
 public:
  T* Find(std::string_view id) {  // nullptr: there is none
    const auto at = all_.find(id);
    return at == all_.end() ? nullptr : at->get();
  }
  T& At(std::string_view id) {
    T* found = Find(id);
    NEAP_CHECK(found != nullptr, "no trigger {}", id);
    return *found;
  }
  // The trigger of that id, made with `subscription` when it is new. True: it is.
  std::pair<T&, bool> Put(const SharedSubscription& subscription) {
    if (T* found = Find(subscription->id)) return {*found, false};
    auto fresh = std::make_unique<T>();
    fresh->subscription = subscription;
    return {**all_.insert(std::move(fresh)).first, true};
  }
  bool Erase(std::string_view id) {
    const auto at = all_.find(id);
    if (at == all_.end()) return false;
    all_.erase(at);
    return true;
  }
  size_t size() const { return all_.size(); }
  // Calls `each(T&)` for all, in no order; it may not put or erase.
  template <typename Each>
  void ForEach(Each each) {
    for (const std::unique_ptr<T>& one : all_) each(*one);
  }

 private:
  struct ById {
    using is_transparent = void;
    static std::string_view IdOf(std::string_view id) { return id; }
    static std::string_view IdOf(const std::unique_ptr<T>& one) { return one->subscription->id; }
    size_t operator()(const auto& one) const { return std::hash<std::string_view>()(IdOf(one)); }
    bool operator()(const auto& a, const auto& b) const { return IdOf(a) == IdOf(b); }
  };
  std::unordered_set<std::unique_ptr<T>, ById, ById> all_;
};

}  // namespace neap::scalerhost
