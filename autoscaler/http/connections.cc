#include "autoscaler/http/connections.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace neap::http {

int Connections::LocalPort(curl_socket_t socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return 0;
}

int Connections::Close(void* self, curl_socket_t socket) {
  auto& all = *static_cast<Connections*>(self);
  all.heard_.erase(LocalPort(socket));
  all.open_.erase(socket);
  return close(socket);
}

void Connections::TimedOut(int local_port, absl::Duration sent) {
  if (local_port <= 0) return;  // it got no connection
  if (const auto heard = heard_.find(local_port); heard != heard_.end() && heard->second >= sent) {
    return;  // others were answered: that one was slow
  }
  for (const curl_socket_t socket : open_) {
    // curl sees that it ended, fails what else waits on it, and closes it.
    if (LocalPort(socket) == local_port) shutdown(socket, SHUT_RDWR);
  }
}

}  // namespace neap::http
