// The HTTP server of neapd: /metrics, /healthz, /readyz, /records, /shadow over cpp-httplib. It
// runs its own threads and never touches the controller: per-object series come through a Scrape
// (see scrape.h), records through Records (records.h), health through callbacks.
//
//   GET /records?object=NAMESPACE/NAME[&wait=30s]   the object's last decisions, a journal's
//   segment
//   GET /shadow   what Neap would have decided for the HPAs that it shadows (shadows.h); 404 when
//   it shadows none
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "autoscaler/core/spec.h"
#include "autoscaler/telemetry/scrape.h"

namespace neap::telemetry {

struct ServerHandlers {
  std::function<std::string()> process_metrics;  // Prometheus text of the process-wide series
  // A new scrape of the per-object series; nullptr when there are too many.
  std::function<std::shared_ptr<Scrape>()> object_metrics;
  std::function<std::string()> unhealthy;  // "" when healthy, else why; for /healthz
  std::function<std::string()> unready;    // "" when ready, else why; for /readyz
  // Records::Get, or one like it.
  std::function<absl::StatusOr<std::string>(const core::ObjectKey& key, absl::Duration patience)>
      records;
  // Shadows::Get, or one like it; unset: no shadow mode.
  std::function<absl::StatusOr<std::string>(absl::Duration patience)> shadows = {};
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
