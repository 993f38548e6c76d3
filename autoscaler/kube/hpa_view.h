// HpaView: the HorizontalPodAutoscaler objects of the API server. Neap looks at them for two
// reasons: a target that an HPA scales is not written by Neap (`handlers`: who scales what), and in
// shadow mode they are decided beside the HPA controller (`shadows`: control messages of source
// "hpa", marked as shadows). It never writes one, nor its target.
//
// HPAs that KEDA makes for its ScaledObjects are HPAs like any other; `owner` names the
// ScaledObject.
//
// Reading them may be forbidden (403), or the server may have no autoscaling/v2 (404): that is told
// once per kind of trouble by `unreadable`, and tried again now and then. Other trouble goes to
// context.report.
//
// Owned by app. Made and destroyed on any thread; everything is called on the http::Client's
// thread, nothing after the destructor returned.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/kube/collection.h"
#include "autoscaler/kube/context.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::kube {

inline constexpr std::string_view kHpaSource = "hpa";

// What `spec` scales, as control names it.
control::TargetRef TargetOf(const core::AutoscalerSpec& spec);

// An HPA, as far as it matters to those who would scale its target too.
struct HpaTarget {
  core::ObjectKey key;
  control::TargetRef target;
  std::string owner;  // "ScaledObject orders"; "" for an HPA that nobody owns
};

struct HpaHandlers {
  std::function<void(std::vector<HpaTarget> all)> replaced = {};
  std::function<void(HpaTarget hpa)> changed = {};
  std::function<void(const core::ObjectKey& key)> deleted = {};
  std::function<void(const absl::Status& error)> unreadable = {};
  // Shadow mode only: an HPA that Neap can't decide, once per state of it ("path: message").
  std::function<void(const core::ObjectKey& key, const std::vector<std::string>& problems)>
      refused = {};
  // Shadow mode only: what is about to be handed on to context.sink.
  std::function<void(const control::Message& message)> shadow = {};
};

class HpaView {
 public:
  HpaView(Context context, objects::DecodeOptions decode, HpaHandlers handlers, bool shadows);
  ~HpaView();

 private:
  struct Item {
    objects::Decoded object;
    std::optional<control::TargetRef> target;  // nullopt: it names none
    std::string owner;
  };
  struct Known {
    std::string uid;
    std::shared_ptr<const core::AutoscalerSpec> spec;  // shadow mode; null: refused
    core::Status status;                               // of the HPA controller: counts and time
    std::vector<std::string> problems;
  };

  absl::Status Decode(api::JsonObject& object, Collection<Item>::Item* out) const;
  void Replaced(std::vector<Collection<Item>::Item> all);
  void Changed(Collection<Item>::Item item);
  void Deleted(const std::string& ns, const std::string& name);
  // Takes in what came of an HPA. True: control is to be told.
  bool Take(Known& known, Item& item) const;
  static control::SpecChange ChangeOf(const Known& known);
  void Send(control::Message message) const;

  const HpaHandlers handlers_;
  const bool shadows_;
  const objects::DecodeOptions decode_;
  std::optional<absl::StatusCode> unreadable_;  // the http::Client's thread, like `known_`
  const Context context_;
  std::map<core::ObjectKey, Known> known_;  // shadow mode
  std::unique_ptr<Collection<Item>> collection_;
};

}  // namespace neap::kube
