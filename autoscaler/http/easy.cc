#include "autoscaler/http/easy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::http {
namespace {

constexpr size_t kMaxHeaderBytes = size_t{256} << 10;
constexpr long kMaxRedirects = 10;
// A peer that vanished is noticed after about this time, also on an idle HTTP/2 connection that
// would otherwise be taken for the next request.
constexpr int kDeadPeerSeconds = 30;
// How long the system's parsed bundle of trusted certificates is kept: parsing it takes
// milliseconds per connection. A file of the request's own is short, and read at each new
// connection, since a cluster that has just renewed its authority must not be distrusted for a
// minute.
constexpr long kTrustCacheSeconds = 60;

long Milliseconds(absl::Duration duration) {  // 0 = no limit, as curl reads it
  if (duration == absl::InfiniteDuration()) return 0;
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1)));
  return static_cast<long>(std::clamp<int64_t>(ms, 1, std::numeric_limits<int32_t>::max()));
}

bool IsToken(std::string_view text) {
  static constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != std::string_view::npos;
  });
}

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

curl_blob Blob(const std::string& text) {  // curl copies it
  return {.data = const_cast<char*>(text.data()), .len = text.size(), .flags = CURL_BLOB_COPY};
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string UrlPart(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

}  // namespace

Transfer::Transfer(Id id, Request request, Callback done, StreamHandlers handlers, bool is_stream)
    : id_(id),
      request_(std::move(request)),
      done_(std::move(done)),
      handlers_(std::move(handlers)),
      is_stream_(is_stream) {}

Transfer::~Transfer() {
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

std::string Transfer::Where() const { return request_.method + " " + RedactedUrl(request_.url); }

absl::Status Transfer::Prepare(CURL* easy, const std::string& user_agent,
                               Connections& connections) {
  easy_ = easy;
  connections_ = &connections;
  if (request_.timeout <= absl::ZeroDuration()) {
    return base::DeadlineExceeded("{}: no time left", Where());
  }
  if (!IsToken(request_.method)) {
    return base::InvalidArgument("{}: the method is no HTTP token", RedactedUrl(request_.url));
  }
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                   1L);  // a hanging name look-up must not hold the thread
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &Transfer::OnSocket);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, this);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &Connections::Close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, connections_);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, Milliseconds(request_.timeout));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(request_.connect_timeout));
  // Whatever encodings curl knows; a stream is left as it is, so that no event waits in a decoder.
  if (!is_stream_) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &Transfer::OnSend);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  if (!request_.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
  }
  const bool plain_read = request_.method == "GET" || request_.method == "HEAD";
  if (request_.follow_redirects && plain_read) {
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kMaxRedirects);
  }
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!request_.body.empty() || (!plain_read && request_.method != "DELETE")) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     request_.body.data());  // request_ outlives the transfer
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    if (request_.method != "POST") {
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (request_.method != "GET") {
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
  }
  std::string host_header;
  NEAP_RETURN_IF_ERROR(SetUrl(&host_header));
  NEAP_RETURN_IF_ERROR(SetTls());
  return SetHeaders(host_header);
}

absl::Status Transfer::SetUrl(std::string* host_header) {
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  const CURLUcode parsed = curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0);
  if (parsed != CURLUE_OK) {
    return base::InvalidArgument("{}: bad URL: {}", Where(), curl_url_strerror(parsed));
  }
  const std::string scheme = UrlPart(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return base::InvalidArgument("{}: the scheme \"{}\" is neither http nor https", Where(),
                                 scheme);
  }
  const std::string host = UrlPart(url.get(), CURLUPART_HOST);
  // Go's rule, which users of Kubernetes know: the environment's proxy is not for this machine.
  if (request_.proxy.has_value()) {
    curl_easy_setopt(easy_, CURLOPT_PROXY, request_.proxy->c_str());
  } else if (IsLoopback(host) || !request_.unix_socket.empty()) {
    curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  }
  if (const std::string& name = request_.tls.server_name;
      !name.empty() && scheme == "https" && name != host) {
    // curl takes SNI and the name to verify from the URL: put the name there, connect to the real
    // host, and say the real host in the request.
    const std::string port = UrlPart(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
    const std::string given_port = UrlPart(url.get(), CURLUPART_PORT);
    *host_header = given_port.empty() ? host : host + ":" + given_port;
    if (curl_url_set(url.get(), CURLUPART_HOST, name.c_str(), 0) != CURLUE_OK) {
      return base::InvalidArgument("{}: bad TLS server name \"{}\"", Where(), name);
    }
    connect_to_ = curl_slist_append(nullptr, fmt::format("::{}:{}", host, port).c_str());
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  }
  // Wait for a connection that is being made, since it may carry this request, too (HTTP/2). Plain
  // connections never do, and curl would leave the request waiting until another one ends.
  curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, scheme == "https" ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_URL, UrlPart(url.get(), CURLUPART_URL).c_str());
  return absl::OkStatus();
}

absl::Status Transfer::SetTls() {
  const Tls& tls = request_.tls;
  CURLcode result = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (result == CURLE_OK) result = curl_easy_setopt(easy_, option, value);
  };
  const auto set_text = [&](CURLoption option, const std::string& text) {
    curl_blob blob = Blob(text);
    if (result == CURLE_OK) result = curl_easy_setopt(easy_, option, &blob);
  };
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_CA_CACHE_TIMEOUT, tls.ca_file.empty() ? kTrustCacheSeconds : 0L);
  if (tls.insecure) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  } else if (!tls.ca_pem.empty()) {
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    set_text(CURLOPT_CAINFO_BLOB, tls.ca_pem);
  } else if (!tls.ca_file.empty()) {
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    set(CURLOPT_CAINFO, tls.ca_file.c_str());
  }
  if (!tls.cert_pem.empty()) {
    set_text(CURLOPT_SSLCERT_BLOB, tls.cert_pem);
  } else if (!tls.cert_file.empty()) {
    set(CURLOPT_SSLCERT, tls.cert_file.c_str());
  }
  if (!tls.key_pem.empty()) {
    set_text(CURLOPT_SSLKEY_BLOB, tls.key_pem);
  } else if (!tls.key_file.empty()) {
    set(CURLOPT_SSLKEY, tls.key_file.c_str());
  }
  if (result != CURLE_OK) {
    return base::InvalidArgument("{}: TLS settings: {}", Where(), curl_easy_strerror(result));
  }
  return absl::OkStatus();
}

absl::Status Transfer::SetHeaders(std::string_view host_header) {
  const auto append = [&](const std::string& line) {
    headers_ = curl_slist_append(headers_, line.c_str());
  };
  append("Expect:");  // no waiting for 100 Continue
  if (FindHeader(request_.headers, "Content-Type").empty()) append("Content-Type:");
  if (!host_header.empty() && FindHeader(request_.headers, "Host").empty()) {
    append(fmt::format("Host: {}", host_header));
  }
  for (const auto& [name, value] : request_.headers) {
    if (!IsToken(name)) {
      return base::InvalidArgument("{}: bad header name \"{}\"", Where(), name);
    }
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return base::InvalidArgument("{}: the value of header {} has a line break", Where(), name);
    }
    append(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  return absl::OkStatus();
}

// After the connection is made, before the first byte of the request.
int Transfer::OnSend(void* self, char*, char*, int, int local_port) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  transfer.local_port_ = local_port;
  transfer.sent_at_ = transfer.connections_->Now();
  if (!transfer.request_.may_send || transfer.request_.may_send()) {
    transfer.sent_ = true;
    return CURL_PREREQFUNC_OK;
  }
  transfer.abort_ =
      transfer.sent_ ? base::Unavailable("{}: the connection broke, and it may not be sent again",
                                         transfer.Where())
                     : base::Aborted("{}: not sent, it was too late for it", transfer.Where());
  return CURL_PREREQFUNC_ABORT;
}

int Transfer::OnSocket(void* self, curl_socket_t socket, curlsocktype) {
  static_cast<Transfer*>(self)->connections_->Opened(socket);
  const unsigned milliseconds = kDeadPeerSeconds * 1000;
  // Unix sockets refuse it; that is fine.
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
  return CURL_SOCKOPT_OK;
}

size_t Transfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->Header({data, size * count});
}
size_t Transfer::OnBody(char* data, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->Body({data, size * count});
}

void Transfer::Heard() {
  ++activity_;
  connections_->Heard(local_port_);
}

void Transfer::DoubtConnection() {
  if (activity_ == 0) connections_->TimedOut(local_port_, sent_at_);
}

size_t Transfer::Header(std::string_view line) {
  Heard();
  if (!abort_.ok()) return 0;
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    abort_ = base::ResourceExhausted("{}: more than {} bytes of headers", Where(), kMaxHeaderBytes);
    return 0;
  }
  const size_t taken = line.size();
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/") && !headers_done_) {  // a new head: after 1xx or a redirect
    response_.headers.clear();
  } else if (line.empty()) {
    HeadersComplete();
  } else if (const size_t colon = line.find(':');
             colon != std::string_view::npos && !headers_done_) {
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    response_.headers.emplace_back(line.substr(0, colon), value);
  }
  return taken;
}

void Transfer::HeadersComplete() {
  if (headers_done_) return;  // trailers
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200) return;
  const bool redirected = request_.follow_redirects && status >= 300 && status < 400 &&
                          (request_.method == "GET" || request_.method == "HEAD") &&
                          !response_.Header("Location").empty();
  if (redirected) return;
  headers_done_ = true;
  response_.status = static_cast<int>(status);
  long version = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  response_.http_major = version == CURL_HTTP_VERSION_2_0 ? 2 : 1;
  long connects = 0;
  curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &connects);
  response_.reused = connects == 0;
  const char* url = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_EFFECTIVE_URL, &url);
  response_.url = request_.tls.server_name.empty() && url != nullptr ? url : request_.url;
  if (is_stream_ && !dropped_ && handlers_.on_headers) handlers_.on_headers(response_);
}

size_t Transfer::Body(std::string_view chunk) {
  Heard();
  if (!abort_.ok()) return 0;
  if (!headers_done_) return chunk.size();  // of a redirect
  if (is_stream_) {
    if (!dropped_ && handlers_.on_data) handlers_.on_data(chunk);
    return abort_.ok() ? chunk.size() : 0;
  }
  if (chunk.size() > request_.max_response_bytes - response_.body.size()) {
    abort_ = base::ResourceExhausted("{}: the answer is larger than {} bytes", Where(),
                                     request_.max_response_bytes);
    return 0;
  }
  response_.body.append(chunk);
  return chunk.size();
}

absl::Status Transfer::StatusOf(CURLcode result) const {
  const std::string_view detail =
      error_text_[0] != '\0' ? error_text_.data() : curl_easy_strerror(result);
  const std::string text = fmt::format("{}: {}", Where(), detail);
  switch (result) {
    case CURLE_OK:
      return absl::OkStatus();
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return base::InvalidArgument("{}", text);
    case CURLE_OPERATION_TIMEDOUT:
      return base::DeadlineExceeded("{}", text);
    case CURLE_PEER_FAILED_VERIFICATION:
      return base::Unauthenticated("{}", text);
    case CURLE_UNSUPPORTED_PROTOCOL:  // of the answer, or of a redirect: SetUrl saw to the URL
    case CURLE_WEIRD_SERVER_REPLY:
      return base::DataLoss("{}", text);
    case CURLE_BAD_CONTENT_ENCODING:
      return base::DataLoss("{}", text);
    case CURLE_TOO_MANY_REDIRECTS:
      return base::FailedPrecondition("{}", text);
    case CURLE_FILESIZE_EXCEEDED:
      return base::ResourceExhausted("{}", text);
    case CURLE_PARTIAL_FILE:
      return base::Unavailable("{}: the connection closed in the middle of the body", Where());
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      // A server that refuses our certificate says so by a TLS alert, which arrives with the first
      // read under TLS 1.3.
      if (detail.find("alert") != std::string_view::npos &&
          (detail.find("certificate") != std::string_view::npos ||
           detail.find("unknown ca") != std::string_view::npos)) {
        return base::Unauthenticated("{}", text);
      }
      return base::Unavailable("{}", text);
    default:
      return base::Unavailable("{}", text);
  }
}

absl::Status Transfer::IdleError() const {
  return base::DeadlineExceeded("{}: nothing arrived for {}", Where(),
                                base::FormatDuration(request_.idle_timeout));
}

void Transfer::Finish(CURLcode result, absl::Status cause) {
  if (dropped_) return;
  absl::Status status = !cause.ok() ? std::move(cause) : !abort_.ok() ? abort_ : StatusOf(result);
  if (status.ok() && !headers_done_) {
    status = base::DataLoss("{}: the answer has no complete head", Where());
  }
  if (absl::IsCancelled(status) && base::Message(status).empty()) {
    status = base::Cancelled("{}: cancelled", Where());
  }
  if (is_stream_) {
    if (handlers_.on_end) handlers_.on_end(std::move(status));
  } else if (done_) {
    if (status.ok()) {
      done_(std::move(response_));
    } else {
      done_(std::move(status));
    }
  }
}

}  // namespace neap::http
