// What a server needs of the file system before it listens: the address in its parts, the lock that
// keeps two processes off one socket path, and a first look at TLS files. One thread.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "scalers/sdk/server.h"

namespace neap::sdk {

struct ListenAddress {
  std::string path;  // of a Unix socket, "" = TCP
  std::string host;  // of TCP, in brackets when it has colons
  int port = 0;      // 0 = any
};
// Errors: InvalidArgument that says what is wrong.
absl::StatusOr<ListenAddress> ParseListen(std::string_view listen);

// The right to serve on a socket path, held by a locked file beside it ("<path>.lock") until it is
// destroyed, when both files go; the kernel lets the lock go with the process.
class SocketLock {
 public:
  // Removes a socket that nobody serves on any more. Errors: AlreadyExists naming the process that
  // holds the path; InvalidArgument when there is a file that is no socket; Unavailable when the
  // lock can't be made.
  static absl::StatusOr<std::unique_ptr<SocketLock>> Take(const std::string& path);
  ~SocketLock();
  SocketLock(const SocketLock&) = delete;
  SocketLock& operator=(const SocketLock&) = delete;

 private:
  explicit SocketLock(int file) : file_(file) {}
  const int file_;    // locked, or about to be
  std::string path_;  // "" until it is ours
};

// Whether certificate and key can be read and belong together, and the CA file has certificates.
// Errors: InvalidArgument naming the flag and the file.
absl::Status CheckTlsFiles(const ServerTls& tls);

}  // namespace neap::sdk
