// Watch: keeps a handler informed of all objects of one kind: lists them page by page, watches from
// there, resumes when a watch ends, lists again when the server no longer knows where we were
// (410). Owned by the classes of kube, one per kind and namespace. Made and destroyed on any
// thread; the handler is called on the http::Client's thread alone, and never after the destructor
// returned.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "autoscaler/base/clock.h"
#include "autoscaler/kube/api/client.h"
#include "autoscaler/kube/api/json.h"

namespace neap::kube::api {

class WatchHandler {
 public:
  virtual ~WatchHandler() = default;
  // A complete list comes: ListBegan, ListItem for each object, ListDone. An attempt that fails
  // begins again with ListBegan; what was collected since the last one is to be forgotten.
  virtual void ListBegan() = 0;
  // `object` is read while the call lasts, each field at most once. An error means that the JSON
  // itself is broken (the list is abandoned and tried again). An object that is well-formed but
  // makes no sense is the handler's to report and pass over.
  virtual absl::Status ListItem(JsonObject& object) = 0;
  virtual void ListDone() = 0;  // what was collected is all there is
  // One object was added or modified, or it was deleted (then `object` is its last state). Errors
  // as above; the watch is then begun anew with a list.
  virtual absl::Status Changed(JsonObject& object, bool deleted) = 0;
  // The server was heard of: an event, a bookmark, a complete list, or it accepted our watch.
  virtual void Heard() = 0;
  // A list or watch failed; it is tried again after `delay`.
  virtual void Trouble(const absl::Status& error, absl::Duration delay) = 0;
};

struct WatchOptions {
  std::string path;          // of the collection
  http::Headers query = {};  // labelSelector, fieldSelector
  int page_size = 500;
  absl::Duration list_timeout = absl::Seconds(60);  // per page
  // A watch is asked for this long to twice this long, so that servers can shed load.
  absl::Duration watch_duration = absl::Minutes(5);
  // Without any byte for this long the watch is opened anew from where it was: that the server
  // accepts it is the sign of life of a quiet collection, which control wants every 30 s.
  // (Bookmarks come about once a minute.)
  absl::Duration idle_timeout = absl::Seconds(25);
  absl::Duration backoff_min = absl::Milliseconds(800);
  absl::Duration backoff_max = absl::Seconds(30);
  size_t max_event_bytes = size_t{16} << 20;
  // Uniform in [0, 1); called on the http::Client's thread. Unset: no jitter.
  std::function<double()> jitter = {};
};

class Watch {
 public:
  Watch(Client& client, WatchOptions options, WatchHandler& handler);  // starts
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  enum class Next { kList, kWatch };

  void List();
  void ListPage(std::string token);
  void OnPage(absl::StatusOr<Reply> reply, bool continued);
  absl::Status ReadPage(std::string& body, std::string_view where, std::string* token);
  void Open();
  void OnHead(const http::Response& head);
  void OnData(std::string_view chunk);
  absl::Status OnLine(std::string_view line);
  absl::Status OnErrorEvent(std::string_view status_json);
  void OnEnd(absl::Status status);
  void Fail(absl::Status error, Next next);  // reports, then tries again after a delay
  void Again(Next next, absl::Duration delay);
  void Settled();  // it works: the next failure waits shortly again
  http::Headers Query() const { return options_.query; }

  Client& client_;
  const WatchOptions options_;
  WatchHandler& handler_;
  const base::Clock clock_;

  // The http::Client's thread.
  http::Id pending_ = 0;  // the request, stream or timer under way; exactly one, unless ended
  simdjson::ondemand::parser parser_;
  std::string version_;      // resourceVersion to watch from
  bool whole_list_ = false;  // ask without pages: the server forgot a continue token
  int failures_ = 0;         // in a row
  int watch_failures_ = 0;   // in a row, of watches that the server refused
  int head_status_ = 0;
  std::string retry_after_;
  absl::Duration opened_at_;
  std::string buffer_;  // of the stream: what is no whole line yet; or the body of a refusal
  std::optional<absl::Status> line_error_;
  bool heard_event_ = false;
};

}  // namespace neap::kube::api
