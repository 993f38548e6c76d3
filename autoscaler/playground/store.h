// Store: the objects that the playground shows, with what a Kubernetes API server promises of them:
// one resourceVersion that only grows, lists as of a version, and a log of changes that watches
// read. An object's text is made once per change and shared by all lists and watches. Owned by
// Cluster, whose mutex guards it: no thread rule of its own.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/selector.h"
#include "autoscaler/playground/kinds.h"

namespace neap::playground {

// Immutable once stored.
struct Object {
  std::string ns;
  std::string name;
  std::string uid;
  base::Labels labels;
  uint64_t version = 0;
  std::string body;  // JSON: {"metadata":{...},...}, without apiVersion and kind
};
using ObjectPtr = std::shared_ptr<const Object>;

// The object's JSON with apiVersion and kind, as everything but a list of a built-in kind shows it.
std::string FullText(const Kind& kind, const Object& object);
void AppendFullText(const Kind& kind, const Object& object, std::string& out);

struct StoreEvent {
  uint64_t version = 0;
  ObjectPtr object;  // the last state when deleted
  ObjectPtr before;  // nullptr: it was added
  bool deleted = false;
};

class Store {
 public:
  // Versions begin after `first`: watches from up to there are told that it is forgotten.
  Store(size_t kept_events, uint64_t first);

  uint64_t version() const { return version_; }
  // The version of the next change; the object's text carries it, then Put or Remove follows.
  uint64_t NextVersion() { return ++version_; }
  void Put(KindId kind, ObjectPtr object);
  // `last` is the object's last state, with the version of its deletion.
  void Remove(KindId kind, ObjectPtr last);

  // Nullptr when there is none. `ns` is "" for kinds without namespaces.
  ObjectPtr Get(KindId kind, std::string_view ns, std::string_view name) const;
  // By namespace, then name; `ns` "" means all.
  std::vector<ObjectPtr> List(KindId kind, std::string_view ns) const;
  size_t Count(KindId kind) const { return Of(kind).objects.size(); }

  // Up to `most` events after `version`, oldest first; nullopt when some of them are forgotten.
  std::optional<std::vector<StoreEvent>> After(KindId kind, uint64_t version, size_t most) const;
  // The oldest version that After knows.
  uint64_t OldestVersion(KindId kind) const { return Of(kind).forgotten; }

 private:
  struct Collection {
    std::map<std::pair<std::string, std::string>, ObjectPtr, std::less<>> objects;
    std::deque<StoreEvent> log;
    uint64_t forgotten = 0;  // the version of the last event that is no longer kept
  };
  Collection& Of(KindId kind) { return collections_[static_cast<size_t>(kind)]; }
  const Collection& Of(KindId kind) const { return collections_[static_cast<size_t>(kind)]; }
  void Log(Collection& collection, StoreEvent event);

  const size_t kept_events_;
  uint64_t version_;
  std::array<Collection, kKindCount> collections_;
};

}  // namespace neap::playground
