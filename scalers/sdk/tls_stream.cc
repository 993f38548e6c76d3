#include "scalers/sdk/tls_stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"
#include "scalers/sdk/resolve.h"

namespace neap::sdk {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using CertPtr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// The reason of OpenSSL's latest error; the queue is emptied.
std::string TlsReason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "unknown TLS error" : reason;
}

BioPtr TextBio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// The certificates of a PEM text, at least one.
absl::StatusOr<std::vector<CertPtr>> Certificates(const std::string& pem, std::string_view what) {
  std::vector<CertPtr> out;
  const BioPtr bio = TextBio(pem);
  for (;;) {
    CertPtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    out.push_back(std::move(certificate));
  }
  const unsigned long error = ERR_peek_last_error();
  const bool ended =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = TlsReason();
  if (out.empty() || !ended) {
    return base::InvalidArgument("{} is not a PEM certificate: {}", what, reason);
  }
  return out;
}

absl::StatusOr<ContextPtr> MakeContext(const TlsOptions& options) {
  ERR_clear_error();
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  NEAP_CHECK(context != nullptr, "out of memory for a TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A peer that closes without the TLS goodbye is an ordinary end: our protocols know their length.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (options.ca.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else {
    NEAP_ASSIGN_OR_RETURN(const std::vector<CertPtr> trusted, Certificates(options.ca, "ca"));
    X509_STORE* store = SSL_CTX_get_cert_store(context.get());
    for (const CertPtr& certificate : trusted) X509_STORE_add_cert(store, certificate.get());
  }
  SSL_CTX_set_verify(context.get(), options.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);

  if (options.cert.empty() || options.key.empty()) return context;
  NEAP_ASSIGN_OR_RETURN(const std::vector<CertPtr> chain, Certificates(options.cert, "cert"));
  SSL_CTX_use_certificate(context.get(), chain[0].get());
  for (size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(context.get(), chain[i].get());
  std::string password = options.key_password.Reveal();
  const BioPtr bio = TextBio(options.key.Reveal());
  const auto give_password = [](char* buffer, int size, int, void* user) {
    const auto& text = *static_cast<const std::string*>(user);
    const int length = std::min(size, static_cast<int>(text.size()));
    std::memcpy(buffer, text.data(), static_cast<size_t>(length));
    return length;
  };
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, &password));
  if (key == nullptr) {
    return base::InvalidArgument("key is not a PEM private key, or keyPassword is wrong: {}",
                                 TlsReason());
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return base::InvalidArgument("key does not belong to cert: {}", TlsReason());
  }
  return context;
}

// Alerts by which a server says that our certificate is missing or not good enough.
bool IsRefusedCertificate(int reason) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return true;
    default:
      return false;
  }
}

}  // namespace

Deadline DeadlineIn(absl::Duration duration) {
  // Far enough for "never", near enough for the clock not to overflow.
  duration = std::clamp(duration, absl::ZeroDuration(), absl::Hours(24 * 365));
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
}

absl::Status CheckTls(const TlsOptions& options) { return MakeContext(options).status(); }

// TLS runs over two memory buffers, so that every system call is this class's own: with a deadline,
// and without SIGPIPE.
class TlsStream::Impl {
 public:
  explicit Impl(const StreamOptions& options)
      : peer_(options.host.find(':') == std::string::npos
                  ? fmt::format("{}:{}", options.host, options.port)
                  : fmt::format("[{}]:{}", options.host, options.port)) {}

  absl::Status Connect(const StreamOptions& options, Deadline deadline) {
    const auto addresses = Resolve(options.host, options.port, deadline);
    if (!addresses.ok()) return addresses.status();
    absl::Status status;
    for (const SocketAddress& address : *addresses) {
      status = ConnectTo(address, deadline);
      if (status.ok() || absl::IsDeadlineExceeded(status)) break;
    }
    NEAP_RETURN_IF_ERROR(status);
    return options.use_tls ? Handshake(options, deadline) : absl::OkStatus();
  }

  absl::Status Write(std::string_view bytes, Deadline deadline) {
    if (ssl_ == nullptr) return Send(bytes, deadline);
    while (!bytes.empty()) {
      size_t written = 0;
      ERR_clear_error();
      const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written);
      if (result == 1) bytes.remove_prefix(written);
      const absl::Status sent = Continue(result, deadline);
      if (!sent.ok()) return LastWords(sent);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(Deadline deadline) {
    std::string buffer(16384, '\0');
    if (ssl_ == nullptr) {
      NEAP_ASSIGN_OR_RETURN(const size_t size, Receive(buffer.data(), buffer.size(), deadline));
      buffer.resize(size);
      return buffer;
    }
    for (;;) {
      size_t size = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
      if (result == 1) {
        buffer.resize(size);
        return buffer;
      }
      NEAP_RETURN_IF_ERROR(Continue(result, deadline));
    }
  }

  bool Stale() {
    pollfd waiting = {.fd = socket_.fd(), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 0) == 0) return false;
    if (ssl_ == nullptr) return true;
    // A TLS server sends session tickets unasked: take them in and see whether there is more.
    char byte = 0;
    ERR_clear_error();
    absl::StatusOr<size_t> fed = Feed(Deadline());
    if (!fed.ok()) return true;
    const int result = SSL_read(ssl_.get(), &byte, 1);
    return SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ;
  }

 private:
  absl::Status System(std::string_view what, int error) const {
    return base::Unavailable("{}: {}: {}", peer_, what, std::strerror(error));
  }

  absl::Status Wait(short events, Deadline deadline) {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return base::DeadlineExceeded("{}: no answer in time", peer_);
      pollfd waiting = {.fd = socket_.fd(), .events = events, .revents = 0};
      const int ready = poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left.count(), 60000)));
      if (ready > 0) return absl::OkStatus();
      if (ready < 0 && errno != EINTR) return System("poll", errno);
    }
  }

  absl::Status ConnectTo(const SocketAddress& address, Deadline deadline) {
    socket_ =
        Socket(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket_.fd() < 0) return System("socket", errno);
    const int on = 1;
    setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
    if (connect(socket_.fd(), to, address.size) == 0) return absl::OkStatus();
    if (errno != EINPROGRESS) return System("connect", errno);
    const absl::Status waited = Wait(POLLOUT, deadline);
    if (absl::IsDeadlineExceeded(waited)) {
      return base::DeadlineExceeded("{}: no connection in time", peer_);
    }
    NEAP_RETURN_IF_ERROR(waited);
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? absl::OkStatus() : System("connect", error);
  }

  absl::Status Handshake(const StreamOptions& options, Deadline deadline) {
    NEAP_ASSIGN_OR_RETURN(const ContextPtr context, MakeContext(options.tls));
    ssl_.reset(SSL_new(context.get()));
    NEAP_CHECK(ssl_ != nullptr, "out of memory for a TLS connection");
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);  // empty means "more later", not the end
    SSL_set_bio(ssl_.get(), in, out);
    const std::string& name =
        options.tls.server_name.empty() ? options.host : options.tls.server_name;
    unsigned char scratch[sizeof(in6_addr)];
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
    if (inet_pton(AF_INET, name.c_str(), scratch) == 1 ||
        inet_pton(AF_INET6, name.c_str(), scratch) == 1) {
      X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str());
    } else {
      SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
      X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size());
    }
    for (;;) {
      ERR_clear_error();
      const int result = SSL_connect(ssl_.get());
      NEAP_RETURN_IF_ERROR(Continue(result, deadline));
      if (result == 1) return absl::OkStatus();
    }
  }

  // TLS 1.3 refuses a client's certificate after the handshake: the server may have closed before
  // we sent, and what it said then tells more than that sending failed.
  absl::Status LastWords(const absl::Status& send_error) {
    if (!Feed(Deadline()).ok()) return send_error;  // what has arrived by now, without waiting
    char byte = 0;
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), &byte, 1);
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_SSL) return send_error;
    const absl::Status said = TlsFailure();
    return absl::IsUnauthenticated(said) ? said : send_error;
  }

  // What to do after an SSL_ call: send what it made, and get what it lacks.
  absl::Status Continue(int result, Deadline deadline) {
    const int error = SSL_get_error(ssl_.get(), result);
    absl::Status failure;
    if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL) failure = TlsFailure();
    // Also after a failure: the peer is told why.
    const absl::Status flushed = Flush(deadline);
    NEAP_RETURN_IF_ERROR(failure);
    NEAP_RETURN_IF_ERROR(flushed);
    if (error == SSL_ERROR_ZERO_RETURN) return Closed();
    if (error == SSL_ERROR_WANT_READ) return Feed(deadline).status();
    return absl::OkStatus();
  }

  absl::Status TlsFailure() {
    const long verified = SSL_get_verify_result(ssl_.get());
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    const std::string text = TlsReason();
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      return base::Unauthenticated("{}: the server's certificate is not trusted: {}", peer_,
                                   X509_verify_cert_error_string(verified));
    }
    if (IsRefusedCertificate(reason)) {
      return base::Unauthenticated("{}: the server refuses our certificate: {}", peer_, text);
    }
    return base::Unavailable("{}: TLS: {}", peer_, text);
  }

  absl::Status Closed() const { return base::Unavailable("{}: closed by the server", peer_); }

  absl::Status Flush(Deadline deadline) {
    char buffer[16384];
    BIO* out = SSL_get_wbio(ssl_.get());
    while (BIO_pending(out) > 0) {
      const int size = BIO_read(out, buffer, sizeof(buffer));
      if (size <= 0) break;
      NEAP_RETURN_IF_ERROR(Send({buffer, static_cast<size_t>(size)}, deadline));
    }
    return absl::OkStatus();
  }

  // Moves what has arrived from the socket into TLS.
  absl::StatusOr<size_t> Feed(Deadline deadline) {
    char buffer[16384];
    NEAP_ASSIGN_OR_RETURN(const size_t size, Receive(buffer, sizeof(buffer), deadline));
    BIO_write(SSL_get_rbio(ssl_.get()), buffer, static_cast<int>(size));
    return size;
  }

  absl::Status Send(std::string_view bytes, Deadline deadline) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        NEAP_RETURN_IF_ERROR(Wait(POLLOUT, deadline));
      } else if (errno != EINTR) {
        return System("send", errno);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> Receive(char* buffer, size_t size, Deadline deadline) {
    for (;;) {
      const ssize_t received = recv(socket_.fd(), buffer, size, 0);
      if (received > 0) return static_cast<size_t>(received);
      if (received == 0) return Closed();
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        NEAP_RETURN_IF_ERROR(Wait(POLLIN, deadline));
      } else if (errno != EINTR) {
        return System("receive", errno);
      }
    }
  }

  const std::string peer_;
  Socket socket_;
  SslPtr ssl_;
};

absl::StatusOr<std::unique_ptr<TlsStream>> TlsStream::Connect(const StreamOptions& options,
                                                              Deadline deadline) {
  auto impl = std::make_unique<Impl>(options);
  NEAP_RETURN_IF_ERROR(impl->Connect(options, deadline));
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(impl)));
}

TlsStream::TlsStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsStream::~TlsStream() = default;

absl::Status TlsStream::Write(std::string_view bytes, Deadline deadline) {
  return impl_->Write(bytes, deadline);
}
absl::StatusOr<std::string> TlsStream::Read(Deadline deadline) { return impl_->Read(deadline); }
bool TlsStream::Stale() { return impl_->Stale(); }

}  // namespace neap::sdk
