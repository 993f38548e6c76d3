// Collection<T>: the objects of one kind in all namespaces, or in some, as one view: a Watch per
// namespace, their lists put together. With several namespaces the first complete list is handed on
// when all have theirs; a later relist of one becomes single changes. Owned by the views of kube;
// made and destroyed on any thread; the callbacks run on the http::Client's thread, and none runs
// after the destructor returned.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/kube/api/watch.h"
#include "autoscaler/kube/context.h"

namespace neap::kube {

template <typename T>
class Collection {
 public:
  struct Item {
    std::string ns;
    std::string name;
    T value;
  };
  struct Callbacks {
    // Makes an item of an object.
    std::function<absl::Status(api::JsonObject&, Item* item)> decode = {};
    std::function<void(std::vector<Item> all)> replaced = {};
    std::function<void(Item item)> changed = {};
    std::function<void(const std::string& ns, const std::string& name)> deleted = {};
    std::function<void()> heard = {};  // at most once a second
  };

  // `what` names the view in reports; `path_of` makes the collection's path of a namespace ("" =
  // all).
  Collection(const Context& context, std::string what,
             const std::function<std::string(const std::string& ns)>& path_of, Callbacks callbacks)
      : context_(context), what_(std::move(what)), callbacks_(std::move(callbacks)) {
    std::vector<std::string> namespaces = context.namespaces;
    if (namespaces.empty()) namespaces.push_back("");
    single_ = namespaces.size() == 1;
    for (size_t i = 0; i < namespaces.size(); ++i) parts_.push_back(std::make_unique<Part>(*this));
    // At once, so that no answer is handled before all parts are there.
    context_.client->http().RunAndWait([&] {
      for (size_t i = 0; i < namespaces.size(); ++i) {
        api::WatchOptions options = context_.watch;
        options.path = path_of(namespaces[i]);
        options.query.clear();
        parts_[i]->watch =
            std::make_unique<api::Watch>(*context_.client, std::move(options), *parts_[i]);
      }
    });
  }
  ~Collection() {
    // At once, so that no part speaks while another is gone.
    context_.client->http().RunAndWait([this] {
      for (auto& part : parts_) part->watch.reset();
    });
  }

 private:
  struct Part final : api::WatchHandler {
    explicit Part(Collection& c) : collection(c) {}
    void ListBegan() override { listing.clear(); }
    absl::Status ListItem(api::JsonObject& object) override {
      return collection.callbacks_.decode(object, &listing.emplace_back());
    }
    void ListDone() override { collection.ListDone(*this); }
    absl::Status Changed(api::JsonObject& object, bool deleted) override {
      Item item;
      NEAP_RETURN_IF_ERROR(collection.callbacks_.decode(object, &item));
      collection.Changed(*this, std::move(item), deleted);
      return absl::OkStatus();
    }
    void Heard() override { collection.Heard(*this); }
    void Trouble(const absl::Status& error, absl::Duration) override {
      collection.context_.Report(collection.what_, error);
    }

    Collection& collection;
    std::unique_ptr<api::Watch> watch;
    std::vector<Item> listing;  // of the list under way
    bool listed = false;        // has had a complete list
    bool heard = false;         // since the view was last said to be heard of
    // With several namespaces only:
    std::vector<Item> first;  // what is there, until all have their first list
    std::set<std::pair<std::string, std::string>> known;
  };

  void ListDone(Part& part) {
    std::vector<Item> items = std::exchange(part.listing, {});
    part.listed = true;
    if (single_) {
      synced_ = true;
      callbacks_.replaced(std::move(items));
      return;
    }
    std::set<std::pair<std::string, std::string>> now;
    for (const Item& item : items) now.emplace(item.ns, item.name);
    const auto before = std::exchange(part.known, std::move(now));
    if (synced_) {
      for (Item& item : items) callbacks_.changed(std::move(item));
      for (const auto& [ns, name] : before) {
        if (!part.known.contains({ns, name})) callbacks_.deleted(ns, name);
      }
      return;
    }
    part.first = std::move(items);
    for (const auto& other : parts_) {
      if (!other->listed) return;
    }
    synced_ = true;
    std::vector<Item> all;
    for (const auto& other : parts_) {
      for (Item& item : std::exchange(other->first, {})) all.push_back(std::move(item));
    }
    callbacks_.replaced(std::move(all));
  }

  void Changed(Part& part, Item item, bool deleted) {
    if (!single_) {
      if (deleted) {
        part.known.erase({item.ns, item.name});
      } else {
        part.known.emplace(item.ns, item.name);
      }
      if (!synced_) {  // into the list that waits for the other namespaces
        std::erase_if(part.first, [&](const Item& i) { return i.name == item.name; });
        if (!deleted) part.first.push_back(std::move(item));
        return;
      }
    }
    if (deleted) {
      callbacks_.deleted(item.ns, item.name);
    } else {
      callbacks_.changed(std::move(item));
    }
  }

  // One silent namespace makes the whole view silent: it is heard of when each part was since the
  // last time.
  void Heard(Part& part) {
    part.heard = true;
    if (!synced_) return;
    const absl::Duration now = clock_.Elapsed();
    if (now - heard_at_ < absl::Seconds(1)) return;
    for (const auto& other : parts_) {
      if (!other->heard) return;
    }
    for (const auto& other : parts_) other->heard = false;
    heard_at_ = now;
    callbacks_.heard();
  }

  const Context context_;
  const std::string what_;
  const Callbacks callbacks_;
  const base::Clock clock_;
  // The http::Client's thread.
  bool single_ = true;
  bool synced_ = false;
  absl::Duration heard_at_ = -absl::InfiniteDuration();
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace neap::kube
