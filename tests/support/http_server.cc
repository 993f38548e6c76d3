#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "autoscaler/base/check.h"

namespace neap::testing_support {
namespace {

struct OpenSslDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* cert) const { X509_free(cert); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using OpenSslPtr = std::unique_ptr<T, OpenSslDeleter>;

OpenSslPtr<BIO> Memory(const std::string& text) {
  return OpenSslPtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}
OpenSslPtr<X509> Certificate(const std::string& pem) {
  return OpenSslPtr<X509>(PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
}

std::unique_ptr<httplib::Server> MakeServer(const HttpServer::Options& options) {
  if (options.tls == nullptr) return std::make_unique<httplib::Server>();
  const auto cert = Certificate(options.tls->cert);
  const OpenSslPtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Memory(options.tls->key).get(), nullptr, nullptr, nullptr));
  X509_STORE* store = nullptr;  // the server takes it over
  if (options.client_ca != nullptr) {
    store = X509_STORE_new();
    X509_STORE_add_cert(store, Certificate(options.client_ca->cert()).get());
  }
  return std::make_unique<httplib::SSLServer>(cert.get(), key.get(), store);
}

}  // namespace

HttpServer::HttpServer(Options options) : options_(options), server_(MakeServer(options)) {
  NEAP_CHECK(server_->is_valid(), "the test server's TLS settings");
  server_->new_task_queue = [n = options.threads] {
    return new httplib::ThreadPool(static_cast<size_t>(n));
  };
  server_->set_tcp_nodelay(true);
  if (!options.keep_alive) server_->set_keep_alive_max_count(1);
}

std::string HttpServer::Start() {
  if (options_.port == 0) {
    port_ = server_->bind_to_any_port("127.0.0.1");
    NEAP_CHECK(port_ > 0, "no free port");
  } else {
    NEAP_CHECK(server_->bind_to_port("127.0.0.1", options_.port), "port {} is taken",
               options_.port);
    port_ = options_.port;
  }
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
  return (options_.tls != nullptr ? "https://127.0.0.1:" : "http://127.0.0.1:") +
         std::to_string(port_);
}

void HttpServer::Stop() {
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
}

HttpServer::~HttpServer() { Stop(); }

RawServer::RawServer(Serve serve) : serve_(std::move(serve)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  NEAP_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                 listen(listener_, 128) == 0 &&
                 getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0,
             "no free port");
  port_ = ntohs(address.sin_port);
  Listen();
}

RawServer::RawServer(const std::string& unix_path, Serve serve) : serve_(std::move(serve)) {
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  NEAP_CHECK(unix_path.size() < sizeof(address.sun_path), "{} is too long", unix_path);
  unix_path.copy(address.sun_path, unix_path.size());
  NEAP_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
                 listen(listener_, 128) == 0,
             "{}: can't listen", unix_path);
  Listen();
}

void RawServer::Listen() {
  acceptor_ = std::thread([this] {
    while (true) {
      const int peer = accept(listener_, nullptr, nullptr);
      if (peer < 0) return;
      base::MutexLock lock(mutex_);
      if (stopping_) {
        close(peer);
        return;
      }
      const size_t index = sockets_.size();
      sockets_.push_back(peer);
      threads_.emplace_back([this, peer, index, n = connections_++] {
        serve_(peer, n);
        shutdown(peer, SHUT_RDWR);
        base::MutexLock closing(mutex_);
        close(peer);
        sockets_[index] = -1;
      });
    }
  });
}

RawServer::~RawServer() {
  std::vector<std::thread> threads;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    for (const int socket : sockets_) {
      if (socket >= 0) shutdown(socket, SHUT_RDWR);
    }
    threads = std::move(threads_);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads) thread.join();
  close(listener_);
}

bool RawServer::ReadHead(int socket, std::string* head) {
  std::string read;
  char c = 0;
  while (!read.ends_with("\r\n\r\n")) {
    if (recv(socket, &c, 1, 0) != 1) return false;
    read += c;
  }
  if (head != nullptr) *head = read;
  return true;
}

bool RawServer::Write(int socket, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = send(socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void RawServer::AwaitClose(int socket) {
  char buffer[256];
  while (recv(socket, buffer, sizeof(buffer), 0) > 0) {
  }
}

}  // namespace neap::testing_support
