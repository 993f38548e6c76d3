// Context: what every class of kube that talks to the server is given: where to ask, where messages
// go, whom to tell of trouble. Made by app, copied; what it points to outlives all users.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/kube/api/client.h"
#include "autoscaler/kube/api/discovery.h"
#include "autoscaler/kube/api/watch.h"

namespace neap::kube {

struct Context {
  api::Client* client = nullptr;
  api::Discovery* discovery = nullptr;
  control::Sink sink = {};
  // Trouble that is not the user's object: a request failed, an answer made no sense. For logs and
  // counters; called on the http::Client's thread. May be empty.
  std::function<void(std::string_view what, const absl::Status& error)> report = {};
  api::WatchOptions watch = {};              // timings and jitter; path and query are ignored
  std::vector<std::string> namespaces = {};  // empty: all
  // Whether what is written of the Autoscaler with that uid may be sent now: its scale, its status,
  // its events. Asked right before each such request, on the http::Client's thread. Empty: always.
  std::function<bool(std::string_view uid)> may_write = {};

  // For api::Call::may_send.
  std::function<bool()> MaySend(const std::string& uid) const {
    if (!may_write) return {};
    return [ask = may_write, uid] { return ask(uid); };
  }
  void Report(std::string_view what, const absl::Status& error) const {
    if (report) report(what, error);
  }
};

// What a failed read means to a decision; the message is the server's own where there is one, since
// conditions show it.
core::ReadingError ReadingErrorOf(const absl::Status& status);

}  // namespace neap::kube
