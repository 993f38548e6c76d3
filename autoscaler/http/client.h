// http::Client: the one HTTP client of Neap. Requests of any number of callers run on one thread
// over libcurl's multi interface: connections are reused, HTTP/2 is used where a TLS server offers
// it, answers are bounded, every request has a deadline and can be cancelled. The kube API client
// and the scalers use it; app and scalers/sdk own one each.
//
//   http::Client client;
//   auto response = client.Do({.url = "https://prometheus:9090/api/v1/query?query=up"});   // waits
//   client.Send({.url = url}, [](absl::StatusOr<http::Response> r) { ... });               // does
//   not
//
// Any HTTP status is a success of the transport: Response::status says 404 or 429 and the caller
// knows what it means. Errors are about the exchange itself, name method and URL (without user,
// password and query, which may hold secrets) and have these codes:
//   InvalidArgument     URL, method or header unusable; certificate or key unusable
//   Unavailable         no connection, or it broke (also in the middle of a body)
//   DeadlineExceeded    `timeout`, `connect_timeout` or `idle_timeout` passed
//   Unauthenticated     TLS: the peer's certificate is not trusted, or it refuses ours
//   DataLoss            the answer is no HTTP, or its content encoding is broken
//   ResourceExhausted   the answer is larger than allowed
//   FailedPrecondition  more than 10 redirects
//   Aborted             `may_send` said no; nothing was sent
//   Cancelled           Cancel, or the client stopped
//
// Threads: all functions may be called from any thread except where they say otherwise. Callbacks
// run on the client's own thread, one at a time; they must not block (other requests wait
// meanwhile). A callback may call every function of the client but Do and Stop.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace neap::http {

using Headers = std::vector<std::pair<std::string, std::string>>;  // in order; names as sent

// How to speak TLS. Files are read at each new connection, so that renewed ones are picked up; of a
// file and a text of the same thing the text wins.
struct Tls {
  std::string ca_file = {};  // PEM bundle to trust; neither file nor text: the system's
  std::string ca_pem = {};
  std::string cert_file = {};  // PEM, the client's certificate (chain)
  std::string cert_pem = {};
  std::string key_file = {};  // PEM, its key
  std::string key_pem = {};
  std::string server_name = {};  // name to ask for (SNI) and to verify, "" = the URL's host
  bool insecure = false;         // trust anybody
};

struct Request {
  std::string method = "GET";
  std::string url;  // http:// or https://
  Headers headers = {};
  std::string body = {};
  absl::Duration timeout = absl::Seconds(30);          // whole exchange; InfiniteDuration() = none
  absl::Duration connect_timeout = absl::Seconds(10);  // name look-up, TCP and TLS
  // Streams only: longest time without a byte after the request was sent.
  absl::Duration idle_timeout = absl::InfiniteDuration();
  Tls tls = {};
  // URL of a proxy, "" = none. Unset: http_proxy, https_proxy and no_proxy of the environment,
  // which never apply to localhost and loopback addresses.
  std::optional<std::string> proxy = std::nullopt;
  // GET and HEAD only, up to 10; to http and https; Authorization and Cookie headers do not follow
  // to another host. Otherwise a 3xx is returned as it is.
  bool follow_redirects = false;
  size_t max_response_bytes = size_t{16} << 20;  // body after decompression; not for streams
  std::string unix_socket = {};  // path to connect to instead of the URL's host and port
  // Asked on the client's thread in the last moment before the request goes out (also when a reused
  // connection turned out to be dead and it goes out again): a request may wait for a connection,
  // and the whole process may be stopped meanwhile. False: it is not sent. Unset: it may always.
  std::function<bool()> may_send = {};
};

struct Response {
  int status = 0;
  Headers headers;  // of the final answer
  std::string body;
  int http_major = 1;   // 1 or 2
  bool reused = false;  // no new connection was made for it
  std::string url;      // where the answer came from, after redirects
  // The first header of that name (any case), or "".
  std::string_view Header(std::string_view name) const;
};

// The value of the first header of that name (any case), or "".
std::string_view FindHeader(const Headers& headers, std::string_view name);

// A request or a timer of one client; 0 is never used. A value, to be copied.
using Id = uint64_t;
inline constexpr Id kNone = 0;  // of no request or timer

using Callback = std::function<void(absl::StatusOr<Response>)>;

// An answer that is handed on as it arrives. Each may be empty.
struct StreamHandlers {
  std::function<void(const Response& head)> on_headers =
      {};  // final status and headers; body is empty
  std::function<void(std::string_view chunk)> on_data = {};
  std::function<void(absl::Status)> on_end = {};  // once, last; OK = the answer is complete
};

struct ClientOptions {
  std::string user_agent = "neap";
  // Further requests to one host wait for a free connection; their deadlines run.
  int max_connections_per_host = 256;
};

class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();  // Stop
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Starts a request. `done` runs exactly once on the client's thread, never inside Send; after
  // Stop it runs at once with Cancelled on the caller's thread.
  Id Send(Request request, Callback done);

  // Starts a request whose body is handed on in chunks of any size. `timeout` is for the whole
  // stream: set InfiniteDuration() and an idle_timeout for a watch.
  Id Stream(Request request, StreamHandlers handlers);

  // The same for a request that is not known yet: its credentials are being fetched, its turn has
  // not come. `begin` runs on the client's thread, soon; it passes `supply` on to whoever will call
  // it once, from any thread, with the request or with why there will be none (`done` or `on_end`
  // gets that). Until then the id is good for Cancel and Drop, as it is afterwards; a supply that
  // comes too late is ignored. The request's deadline begins when it is supplied.
  using Supply = std::function<void(absl::StatusOr<Request>)>;
  Id SendLater(std::function<void(Supply supply)> begin, Callback done);
  Id StreamLater(std::function<void(Supply supply)> begin, StreamHandlers handlers);

  // Sends and waits. Not from the client's thread (CHECK). Ends early with Cancelled when `stop` is
  // requested.
  absl::StatusOr<Response> Do(Request request, std::stop_token stop = {});

  // Runs `what` on the client's thread after `delay` (zero: soon). Dropped without a call at Stop.
  Id After(absl::Duration delay, std::function<void()> what);

  // The request ends with Cancelled (its last callback still runs, unless it has already); a timer
  // is dropped without a call. Unknown and finished ids are fine.
  void Cancel(Id id);

  // Only on the client's thread (inside a callback or RunAndWait): forgets a request or timer; none
  // of its callbacks runs any more. kNone, unknown and finished ids are fine.
  void Drop(Id id);

  // Runs `what` on the client's thread and waits for it; at once when called there or after Stop.
  // The way for an owner of callbacks to be sure that none of them runs: drop the ids inside
  // `what`.
  void RunAndWait(const std::function<void()>& what);

  // Ends all requests with Cancelled, drops timers and joins the thread. Idempotent. Not from a
  // callback.
  void Stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

// "https://host:8080/path?..." : without user, password, fragment and the query's content.
std::string RedactedUrl(std::string_view url);

// Percent-encodes everything but unreserved characters (A-Z a-z 0-9 - . _ ~): path segments and
// values.
std::string UrlEncode(std::string_view text);
// "a=1&b=x%20y" of name-value pairs in their order, both encoded.
std::string QueryString(const Headers& parameters);
// "Basic dXNlcjpwYXNz".
std::string BasicAuthorization(std::string_view user, std::string_view password);

}  // namespace neap::http
