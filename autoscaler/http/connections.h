// Connections: which sockets a client has open, and when each was heard of. An HTTP/2 connection
// outlives the requests on it that time out, and curl takes it for the next one for as long as the
// peer's machine acknowledges bytes: also when the process behind it hangs, or a load balancer
// holds a connection to a server that is gone. So one on which a request timed out, while nothing
// at all was answered on it, is broken; the next request makes a new one. Internal to http; on the
// client's thread.
#pragma once

#include <absl/time/time.h>
#include <curl/curl.h>

#include <map>
#include <set>

#include "autoscaler/base/clock.h"

namespace neap::http {

class Connections {
 public:
  Connections() = default;
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  absl::Duration Now() const { return clock_.Elapsed(); }
  void Opened(curl_socket_t socket) { open_.insert(socket); }
  static int Close(void* self, curl_socket_t socket);  // as CURLOPT_CLOSESOCKETFUNCTION
  // A byte of an answer arrived. A connection is named by its port on our side; two to different
  // servers may share one, which at worst breaks both: their callers try again.
  void Heard(int local_port) { heard_[local_port] = Now(); }
  // A request that went out at `sent` timed out without an answer.
  void TimedOut(int local_port, absl::Duration sent);

 private:
  static int LocalPort(curl_socket_t socket);  // 0: not of TCP, or not connected

  const base::Clock clock_;
  std::set<curl_socket_t> open_;
  std::map<int, absl::Duration> heard_;  // at most one entry for each port there is
};

}  // namespace neap::http
