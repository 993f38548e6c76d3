#include "autoscaler/playground/server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <httplib.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <sys/socket.h>

#include <charconv>
#include <cstdlib>

#include "autoscaler/base/status.h"
#include "autoscaler/playground/certificate.h"
#include "autoscaler/playground/pages.h"

namespace neap::playground {
namespace {

// How long a quiet watch sleeps before it looks whether its client is still there.
constexpr absl::Duration kWatchLook = absl::Milliseconds(500);
constexpr time_t kKeepAliveSeconds = 10;
constexpr size_t kMaxBody = size_t{16} << 20;

std::unique_ptr<httplib::Server> MakeHttpServer(const Certificate* tls) {
  if (tls == nullptr) return std::make_unique<httplib::Server>();
  const auto memory = [](const std::string& text) {
    return std::unique_ptr<BIO, int (*)(BIO*)>(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  };
  const std::unique_ptr<X509, void (*)(X509*)> cert(
      PEM_read_bio_X509(memory(tls->cert).get(), nullptr, nullptr, nullptr), X509_free);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(memory(tls->key).get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  return std::make_unique<httplib::SSLServer>(cert.get(), key.get());
}

// Ends the connection under a request. The library does not say which socket serves it, so it is
// looked for by its peer.
void Cut(const httplib::Request& request) {
  DIR* open_files = opendir("/proc/self/fd");
  if (open_files == nullptr) return;
  while (const dirent* entry = readdir(open_files)) {
    const int fd = std::atoi(entry->d_name);
    sockaddr_in peer{};
    sockaddr_in own{};
    socklen_t peer_size = sizeof(peer);
    socklen_t own_size = sizeof(own);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) {
      continue;
    }
    if (peer.sin_family == AF_INET && ntohs(peer.sin_port) == request.remote_port &&
        ntohs(own.sin_port) == request.local_port) {
      shutdown(fd, SHUT_RDWR);
    }
  }
  closedir(open_files);
}

ApiRequest RequestOf(const httplib::Request& in) {
  ApiRequest request{.method = in.method, .path = in.target.substr(0, in.target.find('?'))};
  request.parts = PathParts(request.path);
  for (const auto& [key, value] : in.params) request.query.emplace(key, value);
  request.accept = in.get_header_value("Accept");
  request.content_type = in.get_header_value("Content-Type");
  request.user_agent = in.get_header_value("User-Agent");
  request.body = in.body;
  return request;
}

bool IsWrite(std::string_view method) { return method != "GET" && method != "HEAD"; }

void Send(const Answer& answer, httplib::Response& out) {
  out.status = answer.code;
  for (const auto& [key, value] : answer.headers) out.headers.emplace(key, value);
  out.set_content(answer.body, answer.content_type);
}

}  // namespace

Server::Server(Cluster& cluster, Api& api, ServerOptions options)
    : cluster_(cluster), api_(api), options_(options), http_(MakeHttpServer(options.tls)) {
  http_->new_task_queue = [threads = options_.threads] {
    return new httplib::ThreadPool(static_cast<size_t>(threads));
  };
  http_->set_tcp_nodelay(true);
  http_->set_keep_alive_max_count(1'000'000);
  http_->set_keep_alive_timeout(kKeepAliveSeconds);
  http_->set_payload_max_length(kMaxBody);
  // Not SO_REUSEPORT, the library's default: two servers would share a port in silence.
  http_->set_socket_options([](int socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  // Reads are served before the library looks for a route; writes need their body first.
  http_->set_pre_routing_handler([this](const httplib::Request& in, httplib::Response& out) {
    // Not compressed: the library's compressor would hold a watch's events back. The library made
    // the request as a variable.
    const_cast<httplib::Request&>(in).headers.erase("Accept-Encoding");
    if (in.method != "GET") return httplib::Server::HandlerResponse::Unhandled;
    Serve(in, out);
    return httplib::Server::HandlerResponse::Handled;
  });
  const auto serve = [this](const httplib::Request& in, httplib::Response& out) { Serve(in, out); };
  http_->Post(".*", serve);
  http_->Put(".*", serve);
  http_->Patch(".*", serve);
  http_->Delete(".*", serve);
}

Server::~Server() { Stop(); }

absl::Status Server::Start() {
  if (!http_->is_valid()) return base::Internal("the TLS settings are not usable");
  if (options_.port == 0) {
    port_ = http_->bind_to_any_port("127.0.0.1");
    if (port_ <= 0) return base::Unavailable("no free port on 127.0.0.1");
  } else {
    if (!http_->bind_to_port("127.0.0.1", options_.port)) {
      return base::Unavailable("127.0.0.1:{}: cannot listen there; is the port in use?",
                               options_.port);
    }
    port_ = options_.port;
  }
  thread_ = std::thread([this] { http_->listen_after_bind(); });
  while (!http_->is_running()) std::this_thread::yield();
  return absl::OkStatus();
}

void Server::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stops_.NotifyAll();
  }
  cluster_.Shutdown();  // watches end
  http_->stop();
  thread_.join();
}

void Server::Delay(absl::Duration delay) {
  const absl::Time until = cluster_.Now() + delay;
  base::MutexLock lock(mutex_);
  while (!stopping_ && cluster_.Now() < until) {
    stops_.WaitFor(mutex_, absl::ToChronoNanoseconds(until - cluster_.Now()));
  }
}

void Server::Serve(const httplib::Request& in, httplib::Response& out) {
  const ApiRequest request = RequestOf(in);
  if (request.path == "/faults") return ServeFaults(request, out);
  if (request.method == "GET") {
    const std::string_view page = request.path;
    if (page == "/metrics") {
      return Send({.code = 200,
                   .body = MetricsPage(cluster_),
                   .content_type = "text/plain; version=0.0.4; charset=utf-8"},
                  out);
    }
    if (page == "/world") return Send(Ok(WorldPage(cluster_)), out);
    if (page == "/writes") {
      uint64_t after = 0;
      const std::string_view text = request.Query("after");
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), after);
      if (!text.empty() && (error != std::errc() || end != text.data() + text.size())) {
        return Send(BadRequest(fmt::format("after: \"{}\" is no number", text)), out);
      }
      return Send(Ok(writes_.ToJson(after)), out);
    }
  }
  ServeApi(in, request, out);
}

void Server::ServeFaults(const ApiRequest& request, httplib::Response& out) {
  if (request.method == "POST") {
    if (absl::Status added = faults_.Add(request.body, cluster_.Now()); !added.ok()) {
      return Send(BadRequest(base::Message(added)), out);
    }
  } else if (request.method == "DELETE") {
    faults_.Clear();
  } else if (request.method != "GET") {
    return Send(MethodNotAllowed(), out);
  }
  Send(Ok(faults_.ToJson(cluster_.Now())), out);
}

void Server::ServeApi(const httplib::Request& in, const ApiRequest& request,
                      httplib::Response& out) {
  const Faults::Verdict verdict = faults_.Judge(request.method, request.path, cluster_.Now());
  if (verdict.delay > absl::ZeroDuration()) Delay(verdict.delay);
  if (verdict.fault && Spoil(*verdict.fault, in, request, out)) return;
  Api::Reply reply = api_.Authorized(in.get_header_value("Authorization"))
                         ? api_.Handle(request)
                         : Api::Reply(Unauthorized());
  if (std::holds_alternative<WatchRequest>(reply)) {
    return StartWatch(in, request, std::get<WatchRequest>(std::move(reply)), out);
  }
  const Answer& answer = std::get<Answer>(reply);
  if (IsWrite(request.method)) Log(request, answer.code, &answer);
  Send(answer, out);
  if (verdict.fault && verdict.fault->kind == Fault::Kind::kTruncate) {
    out.body.clear();
    out.set_content_provider(answer.body.size(), answer.content_type,
                             [body = answer.body](size_t, size_t, httplib::DataSink& sink) {
                               sink.write(body.data(), body.size() / 2);
                               return false;
                             });
  }
}

bool Server::Spoil(const Fault& fault, const httplib::Request& in, const ApiRequest& request,
                   httplib::Response& out) {
  Answer answer;
  switch (fault.kind) {
    case Fault::Kind::kDelay:
    case Fault::Kind::kTruncate:  // of the right answer
      return false;
    case Fault::Kind::kCut:
      Cut(in);
      answer.code = 0;
      break;
    case Fault::Kind::kThrottle:
      answer = TooManyRequests(fault.retry_after);
      break;
    case Fault::Kind::kError:
      answer = Failure(fault.code, fault.code == 503 ? "ServiceUnavailable" : "InternalError",
                       "Internal error occurred: a fault of the playground", "{}");
      break;
    case Fault::Kind::kExpire:
      answer = Expired("The resourceVersion for the provided watch is too old.");
      // To a watch the server says so in the stream.
      if (request.Flag("watch")) answer = Ok(ErrorEvent(answer));
      break;
    case Fault::Kind::kGarbage:
      answer = Ok("<html>}{ this is not the API \x01\xff");
      break;
  }
  if (IsWrite(request.method)) Log(request, answer.code, nullptr);
  if (answer.code == 0) answer.code = 500;  // nobody sees it
  Send(answer, out);
  return true;
}

void Server::StartWatch(const httplib::Request& in, const ApiRequest& request, WatchRequest watch,
                        httplib::Response& out) {
  auto stream = std::make_shared<WatchStream>(cluster_, std::move(watch));
  out.status = 200;
  out.set_chunked_content_provider(
      "application/json", [this, stream, path = request.path, peer = in.remote_port,
                           own = in.local_port](size_t, httplib::DataSink& sink) {
        std::string lines;
        if (const auto fault = faults_.JudgeWatch(path, cluster_.Now())) {
          if (fault->kind == Fault::Kind::kCut) {
            httplib::Request whose;
            whose.remote_port = peer;
            whose.local_port = own;
            Cut(whose);
            return false;
          }
          lines = ErrorEvent(Expired("The resourceVersion for the provided watch is too old."));
          sink.write(lines.data(), lines.size());
          sink.done();
          return true;
        }
        const bool goes_on = stream->Next(kWatchLook, lines);
        if (!lines.empty() && !sink.write(lines.data(), lines.size())) return false;
        if (!goes_on) sink.done();
        return goes_on ? sink.is_writable() : true;
      });
}

void Server::Log(const ApiRequest& request, int code, const Answer* answer) {
  Write write{.time = cluster_.Now(),
              .method = request.method,
              .path = request.path,
              .user_agent = request.user_agent,
              .code = code};
  // .../namespaces/NS/PLURAL/NAME[/SUBRESOURCE]
  for (size_t i = 0; i + 1 < request.parts.size(); ++i) {
    if (request.parts[i] != "namespaces") continue;
    write.ns = request.parts[i + 1];
    if (i + 3 < request.parts.size()) write.name = request.parts[i + 3];
    break;
  }
  if (answer != nullptr) write.scaled = answer->scaled;
  writes_.Add(std::move(write));
}

}  // namespace neap::playground
