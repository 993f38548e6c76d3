// AutoscalerView: the Autoscaler objects of the API server as control messages of source "api": one
// SpecsReplaced per complete list, then SpecChange and SpecGone one by one. An update that changes
// nothing of the spec (our own status writes) is not handed on.
//
// An object that makes no sense stops no other: it is told with its problems, and what it said
// before, if anything, stays in force. Objects are read without looking at what triggers mean: that
// is their scalers' to say, who may come later.
//
// Owned by app. Made and destroyed on any thread; everything is called on the http::Client's
// thread, nothing after the destructor returned.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "autoscaler/base/uid.h"
#include "autoscaler/kube/collection.h"
#include "autoscaler/kube/context.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::kube {

inline constexpr std::string_view kApiSource = "api";

// What is to be known of an object beside its spec.
struct ObjectNews {
  std::string uid;
  core::ObjectKey key;
  objects::Mode mode = objects::Mode::kLive;  // of the spec that is in force
  core::Status status;                        // as stored
  std::vector<core::Condition> own_conditions;
  std::vector<std::string> errors;    // not empty: the object as it stands is refused
  std::vector<std::string> warnings;  // "path: message"
};

class AutoscalerView {
 public:
  // Messages go to context.sink; `news` of an accepted object comes before the message that brings
  // it, of a refused one after.
  AutoscalerView(Context context, objects::DecodeOptions decode,
                 std::function<void(const ObjectNews&)> news);
  ~AutoscalerView();

 private:
  struct Item {  // one object of a list or an event
    ObjectNews news;
    std::shared_ptr<const core::AutoscalerSpec> spec;  // null: refused
    int64_t generation = 0;
  };
  // Kept small: there is one of it per object.
  struct Known {
    base::Uid uid;
    std::shared_ptr<const core::AutoscalerSpec> spec;  // in force; null: refused since it came
    std::unique_ptr<const core::ObjectKey>
        own_key;  // set as long as there is no spec, which has it
    int64_t generation = 0;
    objects::Mode mode = objects::Mode::kLive;
    bool refused = false;

    const core::ObjectKey& key() const { return spec != nullptr ? spec->key : *own_key; }
  };
  struct ByKey {
    using is_transparent = void;
    static const core::ObjectKey& KeyOf(const core::ObjectKey& key) { return key; }
    static const core::ObjectKey& KeyOf(const std::unique_ptr<Known>& known) {
      return known->key();
    }
    size_t operator()(const auto& of) const {
      const core::ObjectKey& key = KeyOf(of);
      const std::hash<std::string> hash;
      return hash(key.ns) * 31 + hash(key.name);
    }
    bool operator()(const auto& a, const auto& b) const { return KeyOf(a) == KeyOf(b); }
  };

  absl::Status Decode(api::JsonObject& object, Collection<Item>::Item* out);
  void Replaced(std::vector<Collection<Item>::Item> all);
  void Changed(Collection<Item>::Item item);
  void Deleted(const std::string& ns, const std::string& name);
  Known& KnownOf(const core::ObjectKey& key);  // made when new
  // Takes in what came of an object. True: its spec or mode is new.
  bool Take(Known& known, Item& item) const;
  static control::SpecChange ChangeOf(const Known& known, const ObjectNews& news);

  const Context context_;
  const objects::DecodeOptions decode_;
  const std::function<void(const ObjectNews&)> news_;
  // The http::Client's thread.
  std::unordered_set<std::unique_ptr<Known>, ByKey, ByKey> known_;
  base::Boxed<core::Behavior> behavior_;  // of the last object: those of one template have it alike
  std::unique_ptr<Collection<Item>> collection_;
};

}  // namespace neap::kube
