// WatchStream: one running watch of a client: the events of a kind that pass its filter, as lines
// of JSON, with bookmarks and an end. Made by Api, driven by the server on the connection's thread;
// one thread only. Borrows the Cluster.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <vector>

#include "autoscaler/playground/cluster.h"
#include "autoscaler/playground/query.h"
#include "autoscaler/playground/tables.h"

namespace neap::playground {

struct WatchRequest {
  const Kind* kind = nullptr;
  Filter filter;
  View view;
  std::optional<uint64_t> after;  // nullopt: first the present state, as added
  bool bookmarks = false;
  absl::Duration timeout;
  absl::Duration bookmark_every;
};

class WatchStream {
 public:
  WatchStream(Cluster& cluster, WatchRequest request);

  // Waits at most `most` for events and appends their lines. False: the watch is over (what was
  // appended still goes out).
  bool Next(absl::Duration most, std::string& out);

 private:
  void AppendEvent(std::string_view type, const ObjectPtr& object, std::string& out);
  void AppendBookmark(std::string& out);
  void Append(const StoreEvent& event, std::string& out);

  Cluster& cluster_;
  const WatchRequest request_;
  const absl::Time ends_;
  absl::Time bookmark_at_;
  uint64_t position_ = 0;  // all events up to this version have been handled
  bool began_ = false;
  bool columns_sent_ = false;
};

}  // namespace neap::playground
