#include "autoscaler/kube/hpa_view.h"

#include <fmt/format.h>

#include <utility>

#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/api/error.h"

namespace neap::kube {
namespace {

constexpr char kWhat[] = "HorizontalPodAutoscaler objects";

// The ScaledObject that KEDA made the HPA for.
std::string OwnerOf(const value::Value& object) {
  const value::Value* owners = object.Find("metadata.ownerReferences");
  if (owners == nullptr || !owners->is_list()) return "";
  for (const value::Value& owner : owners->list()) {
    if (owner.StringAt("kind") != "ScaledObject") continue;
    return fmt::format("ScaledObject {}", owner.StringAt("name"));
  }
  return "";
}

}  // namespace

control::TargetRef TargetOf(const core::AutoscalerSpec& spec) {
  return {.group = std::string(core::GroupOf(spec.target.api_version)),
          .kind = spec.target.kind,
          .ns = spec.key.ns,
          .name = spec.target.name};
}

HpaView::HpaView(Context context, objects::DecodeOptions decode, HpaHandlers handlers, bool shadows)
    : handlers_(std::move(handlers)),
      shadows_(shadows),
      decode_([&] {
        decode.unknown_fields_are_errors = false;
        return std::move(decode);
      }()),
      context_([&] {
        context.report = [this, report = std::move(context.report)](std::string_view what,
                                                                    const absl::Status& error) {
          if (absl::IsPermissionDenied(error) || absl::IsNotFound(error)) {
            if (std::exchange(unreadable_, error.code()) != error.code()) {
              handlers_.unreadable(error);
            }
          } else if (report) {
            report(what, error);
          }
        };
        return std::move(context);
      }()) {
  Collection<Item>::Callbacks callbacks;
  callbacks.decode = [this](api::JsonObject& object, Collection<Item>::Item* item) {
    return Decode(object, item);
  };
  callbacks.replaced = [this](auto all) { Replaced(std::move(all)); };
  callbacks.changed = [this](auto item) { Changed(std::move(item)); };
  callbacks.deleted = [this](const std::string& ns, const std::string& name) { Deleted(ns, name); };
  callbacks.heard = [this] {
    if (!shadows_) return;
    context_.sink(
        control::ViewHeard{.view = control::View::kSpecs, .scope = std::string(kHpaSource)});
  };
  collection_ = std::make_unique<Collection<Item>>(
      context_, kWhat,
      [](const std::string& ns) {
        return api::ResourcePath(std::string(objects::kHpaGroup), std::string(objects::kHpaVersion),
                                 std::string(objects::kHpaPlural), ns);
      },
      std::move(callbacks));
}

HpaView::~HpaView() = default;

absl::Status HpaView::Decode(api::JsonObject& object, Collection<Item>::Item* out) const {
  std::string_view json;
  if (auto error = object.raw_json().get(json)) return api::JsonError(error);
  auto tree = value::ParseJson(json, kWhat);
  if (!tree.ok()) return base::DataLoss("{}", base::Message(tree.status()));
  Item& item = out->value;
  item.object = objects::DecodeHpa(*tree, decode_);
  out->ns = item.object.key.ns;
  out->name = item.object.key.name;
  item.owner = OwnerOf(*tree);
  // By itself: an HPA that this version can't read in full is no less another's.
  const std::string_view kind = tree->StringAt("spec.scaleTargetRef.kind");
  const std::string_view name = tree->StringAt("spec.scaleTargetRef.name");
  if (!kind.empty() && !name.empty()) {
    const std::string_view group = core::GroupOf(tree->StringAt("spec.scaleTargetRef.apiVersion"));
    item.target = control::TargetRef{.group = std::string(group),
                                     .kind = std::string(kind),
                                     .ns = out->ns,
                                     .name = std::string(name)};
  }
  return absl::OkStatus();
}

bool HpaView::Take(Known& known, Item& item) const {
  objects::Decoded& object = item.object;
  std::vector<std::string> problems;
  for (const objects::Problem& problem : object.errors) problems.push_back(objects::Text(problem));
  if (known.uid != object.uid) {
    known = Known();
    known.uid = object.uid;
  }
  if (problems != known.problems && !problems.empty()) handlers_.refused(object.key, problems);
  known.problems = std::move(problems);
  if (!object.spec) return false;  // what it said before, if anything, stays in force
  const core::Status& status = object.status;
  const bool is_new = known.spec == nullptr || !(*known.spec == *object.spec) ||
                      known.status.desired_replicas != status.desired_replicas ||
                      known.status.last_scale_time != status.last_scale_time;
  if (known.spec == nullptr || !(*known.spec == *object.spec)) {
    known.spec = std::make_shared<const core::AutoscalerSpec>(*std::move(object.spec));
  }
  known.status = std::move(object.status);
  return is_new;
}

control::SpecChange HpaView::ChangeOf(const Known& known) {
  return {.uid = known.uid,
          .spec = known.spec,
          .status = known.status,
          .source = std::string(kHpaSource),
          .shadow = true};
}

void HpaView::Send(control::Message message) const {
  handlers_.shadow(message);
  context_.sink(std::move(message));
}

void HpaView::Replaced(std::vector<Collection<Item>::Item> all) {
  unreadable_.reset();
  std::vector<HpaTarget> targets;
  std::map<core::ObjectKey, Known> before = std::exchange(known_, {});
  control::SpecsReplaced message{.source = std::string(kHpaSource), .all = {}};
  for (auto& [ns, name, item] : all) {
    const core::ObjectKey key = item.object.key;
    if (item.target) {
      targets.push_back({.key = key, .target = *item.target, .owner = item.owner});
    }
    if (!shadows_) continue;
    Known& known = known_[key];
    if (const auto at = before.find(key); at != before.end()) known = std::move(at->second);
    Take(known, item);
    if (known.spec != nullptr) message.all.push_back(ChangeOf(known));
  }
  handlers_.replaced(std::move(targets));
  if (shadows_) Send(std::move(message));
}

void HpaView::Changed(Collection<Item>::Item item) {
  const core::ObjectKey key = item.value.object.key;
  if (item.value.target) {
    handlers_.changed({.key = key, .target = *item.value.target, .owner = item.value.owner});
  } else {
    handlers_.deleted(key);
  }
  if (!shadows_) return;
  Known& known = known_[key];
  if (!known.uid.empty() && known.uid != item.value.object.uid) {  // another object of that name
    Send(control::SpecGone{known.uid});
  }
  if (Take(known, item.value)) Send(ChangeOf(known));
}

void HpaView::Deleted(const std::string& ns, const std::string& name) {
  handlers_.deleted({ns, name});
  const auto at = known_.find({ns, name});
  if (at == known_.end()) return;
  Send(control::SpecGone{at->second.uid});
  known_.erase(at);
}

}  // namespace neap::kube
