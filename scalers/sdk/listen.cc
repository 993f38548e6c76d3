#include "scalers/sdk/listen.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::sdk {
namespace {

std::string LockPath(const std::string& path) { return path + ".lock"; }

// Whether the open file is still the one of that name: its former owner may have removed it between
// our open and our lock.
bool IsStillNamed(int file, const std::string& name) {
  struct stat opened = {};
  struct stat named = {};
  return fstat(file, &opened) == 0 && stat(name.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

std::string ReadAll(int file) {
  char text[64] = {};
  const ssize_t length = pread(file, text, sizeof(text) - 1, 0);
  return {text, static_cast<size_t>(std::max<ssize_t>(length, 0))};
}

std::string LastTlsError() {
  char text[256] = "unknown";
  const unsigned long code = ERR_peek_last_error();
  if (code != 0) ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return text;
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListen(std::string_view listen) {
  ListenAddress out;
  if (listen.starts_with("unix:")) {
    std::string_view path = listen.substr(5);
    if (path.starts_with("//")) path.remove_prefix(2);
    if (listen.starts_with("unix://") && !path.starts_with('/')) {
      return base::InvalidArgument("--listen {}: unix:// is followed by an absolute path", listen);
    }
    if (path.empty()) return base::InvalidArgument("--listen {}: no path", listen);
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return base::InvalidArgument("--listen {}: a socket's path has at most {} bytes", listen,
                                   sizeof(sockaddr_un::sun_path) - 1);
    }
    out.path = path;
    return out;
  }
  const size_t colon = listen.rfind(':');
  const std::string_view host = listen.substr(0, std::min(colon, listen.size()));
  const std::string_view port =
      colon == std::string_view::npos ? std::string_view() : listen.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() || out.port < 0 ||
      out.port > 65535) {
    return base::InvalidArgument("--listen {}: expected unix:///PATH or HOST:PORT", listen);
  }
  if (host.find(':') != std::string_view::npos && !(host.starts_with('[') && host.ends_with(']'))) {
    return base::InvalidArgument("--listen {}: an IPv6 address stands in brackets", listen);
  }
  out.host = host.empty() ? "[::]" : host;
  return out;
}

absl::StatusOr<std::unique_ptr<SocketLock>> SocketLock::Take(const std::string& path) {
  const std::string lock_path = LockPath(path);
  while (true) {
    const int file = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
      return base::Unavailable("can't open the lock {}: {}", lock_path, std::strerror(errno));
    }
    auto lock = std::unique_ptr<SocketLock>(new SocketLock(file));
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
      return base::AlreadyExists("process {} serves on {} already", ReadAll(file), path);
    }
    if (!IsStillNamed(file, lock_path)) continue;
    struct stat info = {};
    if (lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
      unlink(lock_path.c_str());
      return base::InvalidArgument("{} is there and is no socket", path);
    }
    unlink(path.c_str());
    const std::string pid = std::to_string(getpid());
    if (ftruncate(file, 0) != 0 || pwrite(file, pid.data(), pid.size(), 0) < 0) {
      return base::Unavailable("can't write the lock {}: {}", lock_path, std::strerror(errno));
    }
    lock->path_ = path;
    return lock;
  }
}

SocketLock::~SocketLock() {
  if (!path_.empty()) {
    unlink(path_.c_str());
    unlink(LockPath(path_).c_str());  // while it is locked: see IsStillNamed
  }
  close(file_);
}

absl::Status CheckTlsFiles(const ServerTls& tls) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()),
                                                                  &SSL_CTX_free);
  if (tls.cert_file.empty() || tls.key_file.empty()) {
    return base::InvalidArgument(
        "--tls-cert-file and --tls-private-key-file are given together; --client-ca-file needs "
        "them");
  }
  if (SSL_CTX_use_certificate_chain_file(context.get(), tls.cert_file.c_str()) != 1) {
    return base::InvalidArgument("--tls-cert-file {}: {}", tls.cert_file, LastTlsError());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return base::InvalidArgument("--tls-private-key-file {}: {}", tls.key_file, LastTlsError());
  }
  if (!tls.client_ca_file.empty() &&
      SSL_CTX_load_verify_locations(context.get(), tls.client_ca_file.c_str(), nullptr) != 1) {
    return base::InvalidArgument("--client-ca-file {}: {}", tls.client_ca_file, LastTlsError());
  }
  return absl::OkStatus();
}

}  // namespace neap::sdk
