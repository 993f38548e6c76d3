// Server: scalers behind the contract of proto/neap/scaler/v1, with health and reflection, on one
// address. Serve() (scaler.h) is a Server with flags and signals around it; tests own one
// themselves.
//
//   NEAP_ASSIGN_OR_RETURN(auto server, sdk::Server::Start(queue::Make(), {.listen =
//   "127.0.0.1:0"})); Dial(server->address());
//
// Life of a poll: service.cc takes the frame -> watch_session.h finds the triggers -> reader.h puts
// those of one scaler and source_key together -> executor.h gives them a thread -> Scaler::Read ->
// reader.h checks what came -> outbox.h -> service.cc sends it.
//
// Thread-safe, but for Stop: one thread at a time.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// The contract's minor version that the SDK speaks; proto/neap/scaler/v1/scaler.proto tells what
// came with which.
inline constexpr uint32_t kContractMinor = 0;
inline constexpr int kMaxMessageBytes = 16 << 20;      // the contract's, both ways
inline constexpr uint32_t kMaxTriggersPerRead = 1000;  // of one Read call

// Files are PEM and looked at again every `reload_every`: new connections see new files. Replace
// them by rename; while a pair does not fit together, no new connection is made.
struct ServerTls {
  std::string cert_file = {};       // the server's certificate (chain); "" = no TLS
  std::string key_file = {};        // its key
  std::string client_ca_file = {};  // not "": a client must show a certificate of this authority
  absl::Duration reload_every = absl::Seconds(10);  // whole seconds, at least 1
};

struct ServerOptions {
  // unix:///path, unix:path, or host:port; port 0 picks a free one.
  std::string listen = "127.0.0.1:0";
  mode_t socket_mode = 0660;  // of a Unix socket
  ServerTls tls = {};
  std::string name = "neap-scaler";  // as Describe tells it
  int threads = 64;                  // that may be in Scaler::Read at a time
  int reads_per_source = 4;          // of them for one source_key
};

class Server {
 public:
  // Listens. Errors: InvalidArgument naming the flag, manifest or file; AlreadyExists when another
  // process serves on the socket path; Unavailable when the address can't be listened on.
  static absl::StatusOr<std::unique_ptr<Server>> Start(std::vector<std::unique_ptr<Scaler>> scalers,
                                                       ServerOptions options);
  virtual ~Server() = default;  // Stop(5 s), then waits for every Read that is still at work

  // What clients dial: the address with the port that was picked.
  virtual const std::string& address() const = 0;

  // Streams end with Unavailable; Reads under way may finish for so long. Returns whether no
  // thread is left in a scaler. Idempotent.
  virtual bool Stop(absl::Duration grace) = 0;
};

}  // namespace neap::sdk
