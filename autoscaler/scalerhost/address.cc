#include "autoscaler/scalerhost/address.h"

#include <charconv>

#include "autoscaler/base/status.h"

namespace neap::scalerhost {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDns = "dns:///";
constexpr size_t kMaxUnixPath = 107;  // sun_path without its final zero

absl::Status CheckUnix(std::string_view address) {
  std::string_view path = address.substr(kUnix.size());
  if (path.starts_with("//")) {
    path.remove_prefix(2);
    if (!path.starts_with('/')) {
      return base::InvalidArgument("scaler address \"{}\": write unix:///path for /path", address);
    }
  }
  if (path.empty()) return base::InvalidArgument("scaler address \"{}\": no path", address);
  if (path.size() > kMaxUnixPath) {
    return base::InvalidArgument("scaler address \"{}\": the path is longer than {} bytes", address,
                                 kMaxUnixPath);
  }
  return absl::OkStatus();
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0 && port <= 65535;
}

}  // namespace

bool IsUnixAddress(std::string_view address) { return address.starts_with(kUnix); }

absl::Status CheckAddress(std::string_view address) {
  if (IsUnixAddress(address)) return CheckUnix(address);
  std::string_view rest = address;
  if (rest.starts_with(kDns)) rest.remove_prefix(kDns.size());
  if (rest.find('/') != std::string_view::npos) {
    return base::InvalidArgument("scaler address \"{}\": write unix:///path or HOST:PORT", address);
  }
  const size_t colon = rest.rfind(':');
  const std::string_view host = rest.substr(0, colon);
  if (colon == std::string_view::npos || host.empty() || !IsPort(rest.substr(colon + 1))) {
    return base::InvalidArgument("scaler address \"{}\": write unix:///path or HOST:PORT", address);
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (!bracketed && host.find(':') != std::string_view::npos) {
    return base::InvalidArgument("scaler address \"{}\": write an IPv6 address as [{}]", address,
                                 host);
  }
  return absl::OkStatus();
}

}  // namespace neap::scalerhost
