// HTTP servers for tests, on loopback with a port of their own: HttpServer (cpp-httplib, with or
// without TLS) for ordinary answers, RawServer for bytes that no decent server sends. For tests
// alone.
//
//   HttpServer server;
//   server->Get("/x", [](const httplib::Request&, httplib::Response& r) { r.set_content("hi",
//   "text/plain"); }); const std::string url = server.Start() + "/x";
#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "tests/support/certificates.h"

namespace neap::testing_support {

// A value that handlers write and the test reads. Thread-safe.
template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}
  void Set(T value) {
    base::MutexLock lock(mutex_);
    value_ = std::move(value);
  }
  T Get() const {
    base::MutexLock lock(mutex_);
    return value_;
  }

 private:
  mutable base::Mutex mutex_;
  T value_ NEAP_GUARDED_BY(mutex_){};
};

// Add handlers, then Start. Handlers run on threads of their own. Stops with the object: handlers
// must return by then.
class HttpServer {
 public:
  struct Options {
    const TestCertificate* tls = nullptr;      // speak TLS with it
    const TestAuthority* client_ca = nullptr;  // and ask for a client certificate of this authority
    int threads = 64;                          // connections served at a time
    bool keep_alive = true;
    int port = 0;  // to listen on; 0 = any
  };
  HttpServer() : HttpServer(Options{}) {}
  explicit HttpServer(Options options);
  ~HttpServer();

  httplib::Server* operator->() { return server_.get(); }
  // Listens; "http://127.0.0.1:PORT" or "https://...".
  std::string Start();
  void Stop();
  int port() const { return port_; }

 private:
  const Options options_;
  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

// Takes connections and hands each to `serve(socket, n)` on a thread of its own; n counts from 0.
// The socket is closed afterwards.
class RawServer {
 public:
  using Serve = std::function<void(int socket, int connection)>;
  explicit RawServer(Serve serve);                       // on a free port of 127.0.0.1
  RawServer(const std::string& unix_path, Serve serve);  // on a Unix socket
  ~RawServer();
  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

  // For `serve`: reads up to the end of a request's head; writes all. False when the peer is gone.
  static bool ReadHead(int socket, std::string* head = nullptr);
  static bool Write(int socket, const std::string& bytes);
  // Waits until the peer closes.
  static void AwaitClose(int socket);

 private:
  void Listen();

  const Serve serve_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  base::Mutex mutex_;
  std::vector<std::thread> threads_ NEAP_GUARDED_BY(mutex_);
  std::vector<int> sockets_ NEAP_GUARDED_BY(mutex_);
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;
  std::thread acceptor_;
};

}  // namespace neap::testing_support
