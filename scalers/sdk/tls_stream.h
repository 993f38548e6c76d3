// TlsStream: one TCP connection, plain or TLS, with a deadline on every call: for scalers whose
// source does not speak HTTP and whose client library has no TLS of its own (redis). Owned by its
// scaler; one thread at a time.
//
//   NEAP_ASSIGN_OR_RETURN(auto stream, sdk::TlsStream::Connect({.host = "redis", .port = 6379},
//                                                              sdk::DeadlineIn(absl::Seconds(3))));
//   NEAP_RETURN_IF_ERROR(stream->Write("PING\r\n", deadline));
//
// Errors of all calls name the peer, never a secret, and have these codes: InvalidArgument (a
// certificate or key is unusable), Unavailable (name unknown, refused, broken, closed by the peer),
// DeadlineExceeded, Unauthenticated (TLS: the peer is not trusted, or it refuses our certificate).
// After an error the stream is of no more use.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "scalers/sdk/parameters.h"

namespace neap::sdk {

using Deadline = std::chrono::steady_clock::time_point;
Deadline DeadlineIn(absl::Duration duration);

// Certificates and keys as PEM text.
struct TlsOptions {
  std::string ca;    // to trust; "" = the system's
  std::string cert;  // ours, with its chain; used only together with `key`
  Secret key;
  Secret key_password;      // of an encrypted `key`
  std::string server_name;  // to ask for and to verify; "" = the host
  bool insecure = false;    // trust anybody
};
// Whether the texts are certificates and a key that fit together; does not talk to anybody.
absl::Status CheckTls(const TlsOptions& options);

struct StreamOptions {
  std::string host;  // name or address; IPv6 without brackets
  uint16_t port = 0;
  bool use_tls = false;
  TlsOptions tls = {};
};

class TlsStream {
 public:
  static absl::StatusOr<std::unique_ptr<TlsStream>> Connect(const StreamOptions& options,
                                                            Deadline deadline);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // All of `bytes`.
  absl::Status Write(std::string_view bytes, Deadline deadline);
  // At least one byte and at most what has arrived. The peer's end is Unavailable.
  absl::StatusOr<std::string> Read(Deadline deadline);
  // Whether the connection, which nobody has used for a while, can no longer be used: the peer
  // closed it, or sent something that nobody asked for.
  bool Stale();

 private:
  class Impl;
  explicit TlsStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::sdk
