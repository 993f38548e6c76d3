// Server: HTTP on loopback for Api, the world's own pages and the faults. A thread per connection,
// from a pool: a watch holds one as long as it runs. Owned by Playground; Start and Stop on one
// thread, everything else inside runs on the pool.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "autoscaler/base/mutex.h"
#include "autoscaler/playground/api.h"
#include "autoscaler/playground/faults.h"
#include "autoscaler/playground/write_log.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace neap::playground {

struct Certificate;

struct ServerOptions {
  int port = 0;  // 0: a free one
  int threads = 256;
  const Certificate* tls = nullptr;  // speak TLS with it; outlives the server
};

class Server {
 public:
  Server(Cluster& cluster, Api& api, ServerOptions options);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  absl::Status Start();  // listens; errors name the port
  void Stop();           // ends watches, waits for the connections
  int port() const { return port_; }

 private:
  void Serve(const httplib::Request& in, httplib::Response& out);
  void ServeApi(const httplib::Request& in, const ApiRequest& request, httplib::Response& out);
  void ServeFaults(const ApiRequest& request, httplib::Response& out);
  // What a fault makes of the request instead of, or with, its answer. True: all is said.
  bool Spoil(const Fault& fault, const httplib::Request& in, const ApiRequest& request,
             httplib::Response& out);
  void StartWatch(const httplib::Request& in, const ApiRequest& request, WatchRequest watch,
                  httplib::Response& out);
  void Log(const ApiRequest& request, int code, const Answer* answer);
  void Delay(absl::Duration delay) NEAP_EXCLUDES(mutex_);

  Cluster& cluster_;
  Api& api_;
  const ServerOptions options_;
  WriteLog writes_;
  Faults faults_;
  std::unique_ptr<httplib::Server> http_;
  int port_ = 0;
  std::thread thread_;
  base::Mutex mutex_;
  base::CondVar stops_;
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;
};

}  // namespace neap::playground
