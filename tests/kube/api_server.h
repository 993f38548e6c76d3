// ApiServer: an HTTP server that speaks the Kubernetes API's wire format with answers that a test
// scripts: requests by method and path, watches line by line. It keeps what it was asked. For the
// tests of kube and kube/api alone. All functions may be called from any thread.
//
//   ApiServer server;
//   server.On("GET", "/api/v1/pods", {.body = List("7", "")});
//   server.AwaitWatches("/api/v1/pods", 1);
//   server.Send("/api/v1/pods", Event("ADDED", pod));
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/kube/api/client.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::kube {

struct Answer {
  int status = 200;
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// A metav1.Status as the real server sends it; `details` is a JSON object or "".
inline Answer Refusal(int code, const std::string& reason, const std::string& message,
                      const std::string& details = "") {
  return {.status = code,
          .body = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",)"
                  R"("message":")" +
                  message + R"(","reason":")" + reason + R"(",)" +
                  (details.empty() ? "" : R"("details":)" + details + ",") + R"("code":)" +
                  std::to_string(code) + "}"};
}

// A list; `items` are JSON objects parted by commas.
inline std::string List(const std::string& version, const std::string& items,
                        const std::string& token = "") {
  return R"({"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":")" + version + "\"" +
         (token.empty() ? "" : R"(,"continue":")" + token + R"(","remainingItemCount":1)") +
         R"(},"items":[)" + items + "]}";
}
inline std::string Event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}
inline std::string Bookmark(const std::string& version) {
  return Event("BOOKMARK", R"({"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":")" +
                               version + R"(","creationTimestamp":null},"spec":{}})");
}

class ApiServer {
 public:
  struct Request {
    std::string method;
    std::string path;
    std::multimap<std::string, std::string> query;
    std::string body;
    std::string content_type;
    std::string authorization;
    std::multimap<std::string, std::string> headers;
    std::string Query(const std::string& name) const {
      const auto at = query.find(name);
      return at == query.end() ? "" : at->second;
    }
  };
  using Handler = std::function<Answer(const Request&)>;

  explicit ApiServer(testing_support::HttpServer::Options options = {.keep_alive = false})
      : server_(options) {
    const auto serve = [this](const httplib::Request& request, httplib::Response& response) {
      Serve(request, response);
    };
    server_->Get(".*", serve);
    server_->Post(".*", serve);
    server_->Patch(".*", serve);
    server_->Put(".*", serve);
    server_->Delete(".*", serve);
    url_ = server_.Start();
  }
  ~ApiServer() { Stop(); }

  void Stop() {
    {
      base::MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    server_.Stop();
  }

  // Declared after what handlers refer to: no handler runs when that goes.
  class StopAtEnd {
   public:
    explicit StopAtEnd(ApiServer& server) : server_(server) {}
    ~StopAtEnd() { server_.Stop(); }
    StopAtEnd(const StopAtEnd&) = delete;
    StopAtEnd& operator=(const StopAtEnd&) = delete;

   private:
    ApiServer& server_;
  };

  const std::string& url() const { return url_; }

  // Replaces what was set before. "/path/*" is for all names of a collection that have none.
  void On(const std::string& method, const std::string& path, Handler handler) {
    base::MutexLock lock(mutex_);
    handlers_[method + " " + path] = std::move(handler);
  }
  void On(const std::string& method, const std::string& path, Answer answer) {
    On(method, path, [answer = std::move(answer)](const Request&) { return answer; });
  }
  // The next watch of `path` that has no other refusal before it.
  void RefuseWatch(const std::string& path, Answer answer) {
    base::MutexLock lock(mutex_);
    refusals_[path].push_back(std::move(answer));
  }

  // To the watch of `path` that was opened last.
  void Send(const std::string& path, const std::string& bytes) {
    base::MutexLock lock(mutex_);
    ASSERT_FALSE(streams_[path].empty()) << "nobody watches " << path;
    streams_[path].back()->out.push_back(bytes);
    changed_.NotifyAll();
  }
  void End(const std::string& path) { Close(path, /*cut=*/false); }
  void Cut(const std::string& path) { Close(path, /*cut=*/true); }

  size_t Watches(const std::string& path) {
    base::MutexLock lock(mutex_);
    return streams_[path].size();
  }
  bool AwaitWatches(const std::string& path, size_t n) {
    return testing_support::WaitFor([&] { return Watches(path) >= n; });
  }

  // What was asked, in order; of one path when given ("watch" requests have watch=true).
  std::vector<Request> Requests(const std::string& path = "") {
    base::MutexLock lock(mutex_);
    if (path.empty()) return requests_;
    std::vector<Request> out;
    for (const Request& request : requests_) {
      if (request.path == path) out.push_back(request);
    }
    return out;
  }
  bool AwaitRequests(const std::string& path, size_t n) {
    return testing_support::WaitFor([&] { return Requests(path).size() >= n; });
  }

 private:
  struct Stream {
    std::deque<std::string> out;
    bool end = false;
    bool cut = false;
  };

  void Close(const std::string& path, bool cut) {
    base::MutexLock lock(mutex_);
    ASSERT_FALSE(streams_[path].empty()) << "nobody watches " << path;
    (cut ? streams_[path].back()->cut : streams_[path].back()->end) = true;
    changed_.NotifyAll();
  }

  static void Give(const Answer& answer, httplib::Response& response) {
    response.status = answer.status;
    for (const auto& [name, value] : answer.headers) response.set_header(name.c_str(), value);
    response.set_content(answer.body, "application/json");
  }

  void Serve(const httplib::Request& from, httplib::Response& response) {
    Request request{.method = from.method,
                    .path = from.path,
                    .query = {},
                    .body = from.body,
                    .content_type = from.get_header_value("Content-Type"),
                    .authorization = from.get_header_value("Authorization"),
                    .headers = {from.headers.begin(), from.headers.end()}};
    for (const auto& [name, value] : from.params) request.query.emplace(name, value);
    const bool watch = request.Query("watch") == "true";
    Handler handler;
    {
      base::MutexLock lock(mutex_);
      requests_.push_back(request);
      if (watch) {
        if (auto& refusals = refusals_[request.path]; !refusals.empty()) {
          Give(refusals.front(), response);
          refusals.pop_front();
        } else {
          OpenStream(request.path, response);
        }
        return;
      }
      auto at = handlers_.find(request.method + " " + request.path);
      if (at == handlers_.end()) {
        at = handlers_.find(request.method + " " + request.path.substr(0, request.path.rfind('/')) +
                            "/*");
      }
      if (at != handlers_.end()) handler = at->second;
    }
    Give(handler ? handler(request)
                 : Refusal(404, "NotFound", "the server could not find the requested resource"),
         response);
  }

  void OpenStream(const std::string& path, httplib::Response& response) NEAP_REQUIRES(mutex_) {
    auto stream = std::make_shared<Stream>();
    streams_[path].push_back(stream);
    response.set_chunked_content_provider(
        "application/json", [this, stream](size_t, httplib::DataSink& sink) {
          std::string bytes;
          {
            base::MutexLock lock(mutex_);
            while (stream->out.empty() && !stream->end && !stream->cut && !stopping_) {
              // Looks now and then whether the client is still there.
              if (!changed_.WaitFor(mutex_, std::chrono::milliseconds(50))) break;
            }
            if (!stream->out.empty()) {
              bytes = std::move(stream->out.front());
              stream->out.pop_front();
            } else if (stream->end) {
              sink.done();
              return true;
            } else if (stream->cut || stopping_) {
              return false;
            }
          }
          return bytes.empty() ? sink.is_writable() : sink.write(bytes.data(), bytes.size());
        });
  }

  testing_support::HttpServer server_;
  std::string url_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;
  std::map<std::string, Handler> handlers_ NEAP_GUARDED_BY(mutex_);
  std::map<std::string, std::deque<Answer>> refusals_ NEAP_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<std::shared_ptr<Stream>>> streams_ NEAP_GUARDED_BY(mutex_);
  std::vector<Request> requests_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::kube
