#include "autoscaler/kube/autoscaler_view.h"

#include <utility>

#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/api/error.h"

namespace neap::kube {
namespace {

constexpr char kWhat[] = "Autoscaler objects";

// A 404 of the collection itself: nobody installed the kind.
absl::Status ExplainTrouble(const absl::Status& error) {
  if (!absl::IsNotFound(error)) return error;
  return base::NotFound(
      "the API server does not know {}.{}: install the CRD (charts/neap/crds) or read objects from "
      "files with --source=dir:PATH",
      objects::kPlural, objects::kGroup);
}

std::vector<std::string> Texts(const std::vector<objects::Problem>& problems) {
  std::vector<std::string> out;
  for (const objects::Problem& problem : problems) out.push_back(objects::Text(problem));
  return out;
}

}  // namespace

AutoscalerView::AutoscalerView(Context context, objects::DecodeOptions decode,
                               std::function<void(const ObjectNews&)> news)
    : context_([&] {
        context.report = [report = std::move(context.report)](std::string_view what,
                                                              const absl::Status& error) {
          if (report) report(what, ExplainTrouble(error));
        };
        return std::move(context);
      }()),
      decode_([&] {
        decode.unknown_fields_are_errors = false;
        return std::move(decode);
      }()),
      news_(std::move(news)) {
  Collection<Item>::Callbacks callbacks;
  callbacks.decode = [this](api::JsonObject& object, Collection<Item>::Item* item) {
    return Decode(object, item);
  };
  callbacks.replaced = [this](auto all) { Replaced(std::move(all)); };
  callbacks.changed = [this](auto item) { Changed(std::move(item)); };
  callbacks.deleted = [this](const std::string& ns, const std::string& name) { Deleted(ns, name); };
  callbacks.heard = [this] {
    context_.sink(
        control::ViewHeard{.view = control::View::kSpecs, .scope = std::string(kApiSource)});
  };
  collection_ = std::make_unique<Collection<Item>>(
      context_, kWhat,
      [](const std::string& ns) {
        return api::ResourcePath(std::string(objects::kGroup), std::string(objects::kVersion),
                                 std::string(objects::kPlural), ns);
      },
      std::move(callbacks));
}

AutoscalerView::~AutoscalerView() = default;

absl::Status AutoscalerView::Decode(api::JsonObject& object, Collection<Item>::Item* out) {
  std::string_view json;
  if (auto error = object.raw_json().get(json)) return api::JsonError(error);
  auto tree = value::ParseJson(json, kWhat);
  // The answer as a whole was JSON; what this object repeats or nests too deeply is its own fault,
  // but without a name there is nobody to tell.
  if (!tree.ok()) return base::DataLoss("{}", base::Message(tree.status()));
  objects::Decoded decoded = objects::DecodeAutoscaler(*tree, decode_);
  out->ns = decoded.key.ns;
  out->name = decoded.key.name;
  Item& item = out->value;
  item.news = {.uid = decoded.uid,
               .key = decoded.key,
               .mode = decoded.mode,
               .status = std::move(decoded.status),
               .own_conditions = std::move(decoded.own_conditions),
               .errors = Texts(decoded.errors),
               .warnings = Texts(decoded.warnings)};
  item.generation = decoded.generation;
  if (decoded.errors.empty() && decoded.spec) {
    if (decoded.spec->behavior == behavior_) {
      decoded.spec->behavior = behavior_;  // one for both
    } else {
      behavior_ = decoded.spec->behavior;
    }
    item.spec = std::make_shared<const core::AutoscalerSpec>(*std::move(decoded.spec));
  } else if (item.news.errors.empty()) {
    item.news.errors.push_back("the object has no spec");
  }
  return absl::OkStatus();
}

AutoscalerView::Known& AutoscalerView::KnownOf(const core::ObjectKey& key) {
  if (const auto at = known_.find(key); at != known_.end()) return **at;
  auto known = std::make_unique<Known>();
  known->own_key = std::make_unique<const core::ObjectKey>(key);
  return **known_.insert(std::move(known)).first;
}

bool AutoscalerView::Take(Known& known, Item& item) const {
  if (base::Uid uid(item.news.uid); known.uid != uid) {
    known = {.uid = std::move(uid),
             .spec = nullptr,
             .own_key = std::make_unique<const core::ObjectKey>(item.news.key)};
  }
  const bool same_generation = known.generation == item.generation && item.generation != 0;
  known.generation = item.generation;
  if (item.spec == nullptr) {
    // Said once per generation: our own status write is an update, too.
    if (known.refused && same_generation) item.news.errors.clear();
    known.refused = true;
    return false;
  }
  const bool is_new = known.refused || known.spec == nullptr || !(*known.spec == *item.spec) ||
                      known.mode != item.news.mode;
  known.refused = false;
  if (is_new) known.spec = std::move(item.spec);
  known.own_key.reset();
  known.mode = item.news.mode;
  return is_new;
}

control::SpecChange AutoscalerView::ChangeOf(const Known& known, const ObjectNews& news) {
  return {.uid = news.uid,
          .spec = known.spec,
          .status = news.status,
          .source = std::string(kApiSource)};
}

void AutoscalerView::Replaced(std::vector<Collection<Item>::Item> all) {
  auto before = std::exchange(known_, {});
  control::SpecsReplaced message{.source = std::string(kApiSource), .all = {}};
  std::vector<ObjectNews> refused;
  for (auto& [ns, name, item] : all) {
    if (const auto at = before.find(item.news.key); at != before.end()) {
      known_.insert(before.extract(at));
    }
    Known& known = KnownOf(item.news.key);
    if (Take(known, item)) news_(item.news);
    if (known.refused && !item.news.errors.empty()) {
      item.news.mode = known.mode;
      refused.push_back(item.news);
    }
    if (known.spec != nullptr) message.all.push_back(ChangeOf(known, item.news));
  }
  context_.sink(std::move(message));
  for (const ObjectNews& news : refused) news_(news);
}

void AutoscalerView::Changed(Collection<Item>::Item item) {
  Known& known = KnownOf(item.value.news.key);
  // Another object of that name.
  if (!known.uid.empty() && known.uid != base::Uid(item.value.news.uid)) {
    context_.sink(control::SpecGone{known.uid.Text()});
  }
  if (Take(known, item.value)) {
    news_(item.value.news);
    context_.sink(ChangeOf(known, item.value.news));
  } else if (known.refused && !item.value.news.errors.empty()) {
    item.value.news.mode = known.mode;
    news_(item.value.news);
  } else if (!known.refused && known.spec != nullptr) {
    // Its status alone: who takes its shard over goes on from what the present owner writes.
    context_.sink(ChangeOf(known, item.value.news));
  }
}

void AutoscalerView::Deleted(const std::string& ns, const std::string& name) {
  const auto at = known_.find(core::ObjectKey{ns, name});
  if (at == known_.end()) return;
  context_.sink(control::SpecGone{(*at)->uid.Text()});
  known_.erase(at);
}

}  // namespace neap::kube
