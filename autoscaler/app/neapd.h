// Neapd: the daemon's composition root, the only place that knows all parts. It makes them from the
// options, connects them (who calls whom is told by Routes and Sinks), and takes them down in
// order. Made by main, and by tests in-process.
//
//   API server --watches--> kube views --+
//   files ------------------> DirSource --+--> Inbox --> ControlLoop --+--> scale, status, events
//   scalers <--------------> Host --------+                            +--> Host, views
//                                                                      +--> journal, metrics, log
#pragma once

#include <absl/status/statusor.h>

#include <memory>

#include "autoscaler/app/options.h"

namespace neap::app {

// Start, Stop and the destructor on one thread; the rest from any thread.
class Neapd {
 public:
  // Starts all threads. An API server or scaler that is not there is no error: it is logged and
  // tried again. Errors: InvalidArgument and NotFound for wrong configuration (kubeconfig,
  // addresses), others for what keeps it from running (port taken, journal directory unusable).
  static absl::StatusOr<std::unique_ptr<Neapd>> Start(const Options& options);
  ~Neapd();  // Stop

  // Stops deciding, waits for writes under way (at most 3/5 of --shutdown-timeout), closes the
  // journal, ends all threads. Idempotent.
  void Stop();

  int port() const;  // of /metrics, /healthz, /readyz

 private:
  class Impl;
  explicit Neapd(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::app
