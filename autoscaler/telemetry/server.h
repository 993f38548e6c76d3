// The HTTP server of neapd: /metrics, /healthz, /readyz over cpp-httplib. It runs its own threads
// and never touches the controller: per-object series come through a Scrape (see scrape.h), health
// through callbacks.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "autoscaler/telemetry/scrape.h"

namespace neap::telemetry {

struct ServerHandlers {
  std::function<std::string()> process_metrics;  // Prometheus text of the process-wide series
  // A new scrape of the per-object series; nullptr when there are too many.
  std::function<std::shared_ptr<Scrape>()> object_metrics;
  std::function<std::string()> unhealthy;  // "" when healthy, else why; for /healthz
  std::function<std::string()> unready;    // "" when ready, else why; for /readyz
};

// Thread-safe. Handlers are called on the server's threads until Stop (or the destructor) returned.
class Server {
 public:
  explicit Server(ServerHandlers handlers);
  ~Server();
  // Listens on `address` ("host:port", "[IPv6]:port"; an empty host is every address, port 0 picks
  // one) and returns the port. Errors: InvalidArgument; Unavailable naming the address.
  absl::StatusOr<int> Start(const std::string& address);
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::telemetry
