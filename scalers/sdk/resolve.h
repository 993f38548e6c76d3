// Names to addresses, with a deadline: the C library's look-up has none. Used by tls_stream.cc.
// Thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "scalers/sdk/tls_stream.h"

namespace neap::sdk {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
};

// The addresses of a host, in the system's order of preference. Errors: Unavailable (not known, the
// system's text), DeadlineExceeded. A look-up that takes longer goes on in the background; until it
// ends, others of the same host wait for it instead of starting one of their own.
absl::StatusOr<std::vector<SocketAddress>> Resolve(const std::string& host, uint16_t port,
                                                   Deadline deadline);

}  // namespace neap::sdk
