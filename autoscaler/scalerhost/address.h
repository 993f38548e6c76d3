// Where a scaler listens and how one speaks to it. Plain values, thread-safe.
//
//   unix:///run/neap/scalers.sock   a Unix socket (also unix:path)
//   redis-scaler.neap:9090          TCP; a name, an IPv4 address or [an IPv6 address], and a port
//   dns:///redis-scaler.neap:9090   the same
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace neap::scalerhost {

// TLS of a TCP endpoint. Files are PEM and read again when they change (replace them by rename).
struct Tls {
  std::string ca_file = {};      // whom to trust; "" = the system's authorities
  std::string cert_file = {};    // our certificate (chain) and its key: both or neither
  std::string key_file = {};     //
  std::string server_name = {};  // the name to verify; "" = the address's host
  bool operator==(const Tls&) const = default;
};

bool IsUnixAddress(std::string_view address);

// InvalidArgument that names the address and says what is wrong with it.
absl::Status CheckAddress(std::string_view address);

}  // namespace neap::scalerhost
