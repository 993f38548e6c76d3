#include "autoscaler/telemetry/server.h"

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <list>
#include <thread>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"

namespace neap::telemetry {
namespace {
constexpr char kText[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kPlain[] = "text/plain; charset=utf-8";
constexpr absl::Duration kRecordsWait = absl::Seconds(30);  // without wait=
constexpr absl::Duration kShadowsWait = absl::Seconds(10);
constexpr absl::Duration kMostRecordsWait = absl::Minutes(5);

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 503;
  }
}

// The library's pool keeps all its threads for ever, each with a stack and a cache of the allocator
// (70 KB together). Connections are few: a thread is made when none is free and ends when it had
// nothing to do for a while.
class ConnectionThreads final : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(size_t most) : most_(most) {}
  ~ConnectionThreads() override { shutdown(); }

  void enqueue(std::function<void()> serve) override NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    for (std::thread& ended : ended_) ended.join();  // they do nothing any more
    ended_.clear();
    waiting_.push_back(std::move(serve));
    if (idle_ < waiting_.size() && threads_.size() < most_) {
      threads_.emplace_front();
      threads_.front() = std::thread([this, self = threads_.begin()] { Run(self); });
    }
    wake_.NotifyOne();
  }
  // What waits is still served, as by the library's pool.
  void shutdown() override NEAP_EXCLUDES(mutex_) {
    std::list<std::thread> threads;
    {
      base::MutexLock lock(mutex_);
      stopping_ = true;
      wake_.NotifyAll();
      while (!threads_.empty()) ended_all_.Wait(mutex_);
      threads.swap(ended_);
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  using Threads = std::list<std::thread>;
  static constexpr std::chrono::seconds kIdle{5};

  void Run(Threads::iterator self) NEAP_EXCLUDES(mutex_) {
    for (;;) {
      const std::function<void()> serve = Take(self);
      if (!serve) return;
      serve();
    }
  }
  // The next connection; empty: the thread is to end.
  std::function<void()> Take(Threads::iterator self) NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    ++idle_;
    bool in_time = true;
    while (waiting_.empty() && !stopping_ && in_time) in_time = wake_.WaitFor(mutex_, kIdle);
    --idle_;
    if (waiting_.empty()) {
      ended_.splice(ended_.begin(), threads_, self);
      ended_all_.NotifyAll();
      return {};
    }
    std::function<void()> serve = std::move(waiting_.front());
    waiting_.pop_front();
    return serve;
  }

  const size_t most_;
  base::Mutex mutex_;
  base::CondVar wake_;
  base::CondVar ended_all_;
  std::deque<std::function<void()>> waiting_ NEAP_GUARDED_BY(mutex_);
  Threads threads_ NEAP_GUARDED_BY(mutex_);
  Threads ended_ NEAP_GUARDED_BY(mutex_);
  size_t idle_ NEAP_GUARDED_BY(mutex_) = 0;
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;
};

}  // namespace

struct Server::Impl {
  absl::StatusOr<std::string> Records(const httplib::Request& request) const {
    const std::string object = request.get_param_value("object");
    const auto key = core::ObjectKey::Parse(object);
    if (!key) return base::InvalidArgument("object=\"{}\" is not NAMESPACE/NAME", object);
    absl::Duration patience = kRecordsWait;
    if (request.has_param("wait")) {
      const auto wait = base::ParseDuration(request.get_param_value("wait"));
      if (!wait.ok()) return base::Annotate(wait.status(), "wait");
      patience = std::clamp(*wait, absl::ZeroDuration(), kMostRecordsWait);
    }
    return handlers.records(*key, patience);
  }

  ServerHandlers handlers;
  httplib::Server http;
  std::thread thread;

  void Health(const std::function<std::string()>& why, httplib::Response& response) const {
    const std::string text = why();
    response.status = text.empty() ? 200 : 503;
    response.set_content(text.empty() ? "ok\n" : text + "\n", kPlain);
  }

  void Metrics(httplib::Response& response) {
    auto scrape = handlers.object_metrics();
    if (scrape == nullptr) {
      response.status = 503;
      response.set_content("too many scrapes at a time\n", kPlain);
      return;
    }
    auto first = std::make_shared<std::string>(handlers.process_metrics());
    response.set_chunked_content_provider(
        kText,
        [first, scrape](size_t, httplib::DataSink& sink) {
          if (!first->empty()) {
            const bool sent = sink.write(first->data(), first->size());
            first->clear();
            return sent;
          }
          std::string chunk;
          switch (scrape->Next(&chunk)) {
            case Scrape::State::kMore:
              return chunk.empty() || sink.write(chunk.data(), chunk.size());
            case Scrape::State::kDone:
              if (!chunk.empty() && !sink.write(chunk.data(), chunk.size())) return false;
              sink.done();
              return true;
            case Scrape::State::kBroken:
              return false;  // the connection is cut, so that the scraper sees an incomplete answer
                             // as an error
          }
          return false;
        },
        [scrape](bool) { scrape->Abandon(); });
  }
};

Server::Server(ServerHandlers handlers) : impl_(std::make_unique<Impl>()) {
  impl_->handlers = std::move(handlers);
  // A thread serves one connection. More than there may be scrapes, so that slow ones don't starve
  // the health checks.
  impl_->http.new_task_queue = [] { return new ConnectionThreads(Scrapes::kMaxOpen + 8); };
  // Stop waits for idle connections as long as this.
  impl_->http.set_keep_alive_timeout(1);
  // Not the library's SO_REUSEPORT: a second neapd on the same port is to be told so.
  impl_->http.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  impl_->http.Get("/metrics",
                  [impl = impl_.get()](const httplib::Request&, httplib::Response& response) {
                    impl->Metrics(response);
                  });
  impl_->http.Get("/healthz",
                  [impl = impl_.get()](const httplib::Request&, httplib::Response& response) {
                    impl->Health(impl->handlers.unhealthy, response);
                  });
  impl_->http.Get("/readyz",
                  [impl = impl_.get()](const httplib::Request&, httplib::Response& response) {
                    impl->Health(impl->handlers.unready, response);
                  });
  impl_->http.Get(
      "/shadow", [impl = impl_.get()](const httplib::Request&, httplib::Response& response) {
        const auto& shadows = impl->handlers.shadows;
        absl::StatusOr<std::string> document = base::NotFound("neapd runs without --shadow-hpas");
        if (shadows) document = shadows(kShadowsWait);
        if (document.ok()) {
          response.set_content(*document, "application/json");
          return;
        }
        response.status = HttpStatusOf(document.status());
        response.set_content(std::string(base::Message(document.status())) + "\n", kPlain);
      });
  impl_->http.Get("/records", [impl = impl_.get()](const httplib::Request& request,
                                                   httplib::Response& response) {
    auto records = impl->Records(request);
    if (records.ok()) {
      response.set_content(*std::move(records), "application/octet-stream");
      return;
    }
    response.status = HttpStatusOf(records.status());
    response.set_content(std::string(base::Message(records.status())) + "\n", kPlain);
  });
}

Server::~Server() { Stop(); }

absl::StatusOr<int> Server::Start(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  const char* end = address.data() + address.size();
  if (colon == std::string::npos ||
      std::from_chars(address.data() + colon + 1, end, port).ptr != end || port < 0 ||
      port > 65535) {
    return base::InvalidArgument("\"{}\" is not host:port", address);
  }
  std::string host = address.substr(0, colon);
  if (host.empty()) host = "0.0.0.0";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (port == 0) {
    port = impl_->http.bind_to_any_port(host);
    if (port <= 0) return base::Unavailable("can't listen on {}", address);
  } else if (!impl_->http.bind_to_port(host, port)) {
    return base::Unavailable(
        "can't listen on {}: the port is taken or the address is not this machine's", address);
  }
  impl_->thread = std::thread([impl = impl_.get()] { impl->http.listen_after_bind(); });
  // Stop of a server that does not run yet is lost. It listens already, so this is short.
  while (!impl_->http.is_running()) std::this_thread::yield();
  return port;
}

void Server::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->http.stop();
  impl_->thread.join();
}

}  // namespace neap::telemetry
