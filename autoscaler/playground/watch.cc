#include "autoscaler/playground/watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/playground/answers.h"

namespace neap::playground {
namespace {

constexpr size_t kEventsAtOnce = 512;

}  // namespace

WatchStream::WatchStream(Cluster& cluster, WatchRequest request)
    : cluster_(cluster),
      request_(std::move(request)),
      ends_(cluster.Now() + request_.timeout),
      bookmark_at_(cluster.Now() + request_.bookmark_every) {}

bool WatchStream::Next(absl::Duration most, std::string& out) {
  const KindId kind = request_.kind->id;
  std::vector<ObjectPtr> present;
  std::optional<std::vector<StoreEvent>> events;
  uint64_t oldest = 0;
  {
    base::MutexLock lock(cluster_.mutex);
    const Store& store = cluster_.store();
    if (!began_) {
      began_ = true;
      position_ = request_.after.value_or(store.version());
      if (!request_.after) present = store.List(kind, request_.filter.ns());
    }
    events = store.After(kind, position_, kEventsAtOnce);
    if (present.empty() && events && events->empty()) {
      const absl::Time now = cluster_.Now();
      cluster_.WaitFor(
          kind, std::clamp(std::min(ends_, bookmark_at_) - now, absl::Milliseconds(1), most));
      events = store.After(kind, position_, kEventsAtOnce);
    }
    oldest = store.OldestVersion(kind);
    // With nothing left to send, all up to now has been seen.
    if (events && events->size() < kEventsAtOnce) {
      const uint64_t seen = std::max(position_, store.version());
      position_ = seen;
    } else if (events) {
      position_ = events->back().version;
    }
  }
  if (!events) {
    out += ErrorEvent(Expired(fmt::format("too old resource version: {} ({})", position_, oldest)));
    return false;
  }
  for (const ObjectPtr& object : present) {
    if (request_.filter.Matches(*object)) AppendEvent("ADDED", object, out);
  }
  for (const StoreEvent& event : *events) Append(event, out);
  const absl::Time now = cluster_.Now();
  const bool over = now >= ends_ || cluster_.shutting_down();
  if (request_.bookmarks && (now >= bookmark_at_ || over)) {
    bookmark_at_ = now + request_.bookmark_every;
    AppendBookmark(out);
  }
  return !over;
}

// To a client with a selector an object appears and disappears as it begins and ceases to match.
void WatchStream::Append(const StoreEvent& event, std::string& out) {
  const bool matched = event.before != nullptr && request_.filter.Matches(*event.before);
  const bool matches = !event.deleted && request_.filter.Matches(*event.object);
  if (matches) {
    AppendEvent(matched ? "MODIFIED" : "ADDED", event.object, out);
  } else if (matched) {
    AppendEvent("DELETED", event.object, out);
  }
}

void WatchStream::AppendEvent(std::string_view type, const ObjectPtr& object, std::string& out) {
  out += R"({"type":")";
  out += type;
  out += R"(","object":)";
  if (request_.view.table) {
    const std::string metadata = fmt::format(R"({{"resourceVersion":"{}"}})", object->version);
    out += TableText(*request_.kind, std::span(&object, 1), metadata, request_.view, !columns_sent_,
                     cluster_.Now());
    columns_sent_ = true;
  } else {
    AppendFullText(*request_.kind, *object, out);
  }
  out += "}\n";
}

void WatchStream::AppendBookmark(std::string& out) {
  const std::string metadata =
      fmt::format(R"({{"resourceVersion":"{}","creationTimestamp":null}})", position_);
  if (request_.view.table) {
    out += R"({"type":"BOOKMARK","object":)" +
           TableText(*request_.kind, {}, metadata, request_.view, false, cluster_.Now()) + "}\n";
    return;
  }
  out += fmt::format(
      R"({{"type":"BOOKMARK","object":{{"kind":"{}","apiVersion":"{}","metadata":{}}}}})",
      request_.kind->kind, request_.kind->ApiVersion(), metadata);
  out += '\n';
}

}  // namespace neap::playground
