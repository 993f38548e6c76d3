#include "autoscaler/playground/store.h"

#include <fmt/format.h>

#include <algorithm>

namespace neap::playground {
namespace {

using Key = std::pair<std::string, std::string>;

}  // namespace

void AppendFullText(const Kind& kind, const Object& object, std::string& out) {
  out += R"({"kind":")";
  out += kind.kind;
  out += R"(","apiVersion":")";
  out += kind.ApiVersion();
  out += R"(",)";
  out.append(object.body, 1);
}

std::string FullText(const Kind& kind, const Object& object) {
  std::string out;
  AppendFullText(kind, object, out);
  return out;
}

Store::Store(size_t kept_events, uint64_t first) : kept_events_(kept_events), version_(first) {
  for (Collection& collection : collections_) collection.forgotten = first;
}

void Store::Put(KindId kind, ObjectPtr object) {
  Collection& collection = Of(kind);
  ObjectPtr& place = collection.objects[Key(object->ns, object->name)];
  ObjectPtr before = std::exchange(place, object);
  const uint64_t version = object->version;
  Log(collection, {.version = version, .object = std::move(object), .before = std::move(before)});
}

void Store::Remove(KindId kind, ObjectPtr last) {
  Collection& collection = Of(kind);
  const auto at = collection.objects.find(Key(last->ns, last->name));
  if (at == collection.objects.end()) return;
  ObjectPtr before = std::move(at->second);
  collection.objects.erase(at);
  const uint64_t version = last->version;
  Log(collection, {.version = version,
                   .object = std::move(last),
                   .before = std::move(before),
                   .deleted = true});
}

void Store::Log(Collection& collection, StoreEvent event) {
  collection.log.push_back(std::move(event));
  if (collection.log.size() <= kept_events_) return;
  collection.forgotten = collection.log.front().version;
  collection.log.pop_front();
}

ObjectPtr Store::Get(KindId kind, std::string_view ns, std::string_view name) const {
  const auto& objects = Of(kind).objects;
  const auto at = objects.find(Key(ns, name));
  return at == objects.end() ? nullptr : at->second;
}

std::vector<ObjectPtr> Store::List(KindId kind, std::string_view ns) const {
  const auto& objects = Of(kind).objects;
  std::vector<ObjectPtr> out;
  if (ns.empty()) {
    out.reserve(objects.size());
    for (const auto& [key, object] : objects) out.push_back(object);
    return out;
  }
  for (auto at = objects.lower_bound(Key(ns, "")); at != objects.end() && at->first.first == ns;
       ++at) {
    out.push_back(at->second);
  }
  return out;
}

std::optional<std::vector<StoreEvent>> Store::After(KindId kind, uint64_t version,
                                                    size_t most) const {
  const Collection& collection = Of(kind);
  if (version < collection.forgotten) return std::nullopt;
  auto at = std::upper_bound(collection.log.begin(), collection.log.end(), version,
                             [](uint64_t v, const StoreEvent& event) { return v < event.version; });
  std::vector<StoreEvent> out;
  for (; at != collection.log.end() && out.size() < most; ++at) out.push_back(*at);
  return out;
}

}  // namespace neap::playground
