// Transfer: one request or stream on libcurl's easy interface: from Request to options, collecting
// the answer, from curl's result to a status. Internal to http; only client.cc uses it, on the
// client's thread.
#pragma once

#include <absl/status/status.h>
#include <curl/curl.h>

#include <array>
#include <memory>
#include <string>

#include "autoscaler/http/client.h"
#include "autoscaler/http/connections.h"

namespace neap::http {

class Transfer {
 public:
  Transfer(Id id, Request request, Callback done, StreamHandlers handlers, bool is_stream);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // The request of a transfer that was made before it was known; before Prepare.
  void Supply(Request request) { request_ = std::move(request); }
  // Sets all options on `easy` (fresh or reset). Errors: InvalidArgument.
  absl::Status Prepare(CURL* easy, const std::string& user_agent, Connections& connections);

  // The exchange is over: calls the last callback, unless dropped. `cause` overrides curl's result
  // when it is an error.
  void Finish(CURLcode result, absl::Status cause);

  void Abort(absl::Status cause) { abort_ = std::move(cause); }  // ends at the next chance
  const absl::Status& aborted() const { return abort_; }
  void Drop() { dropped_ = true; }

  Id id() const { return id_; }
  CURL* easy() const { return easy_; }
  bool is_stream() const { return is_stream_; }
  absl::Duration idle_timeout() const { return request_.idle_timeout; }
  absl::Status IdleError() const;                  // the stream was silent for idle_timeout
  uint64_t activity() const { return activity_; }  // grows with each byte that arrives
  // It ends for want of an answer: its connection is broken if nobody got one.
  void DoubtConnection();

 private:
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static int OnSend(void* self, char*, char*, int, int local_port);
  static int OnSocket(void* self, curl_socket_t socket, curlsocktype purpose);

  void Heard();
  size_t Header(std::string_view line);
  size_t Body(std::string_view chunk);
  void HeadersComplete();
  absl::Status SetTls();
  absl::Status SetHeaders(std::string_view host_header);
  absl::Status SetUrl(std::string* host_header);
  absl::Status StatusOf(CURLcode result) const;
  std::string Where() const;  // "GET https://host/path"

  const Id id_;
  Request request_;  // constant from Prepare on
  const Callback done_;
  const StreamHandlers handlers_;
  const bool is_stream_;
  CURL* easy_ = nullptr;
  Connections* connections_ = nullptr;  // with easy_
  int local_port_ = 0;                  // of the connection it was sent on
  absl::Duration sent_at_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  Response response_;
  size_t header_bytes_ = 0;
  uint64_t activity_ = 0;
  bool sent_ = false;  // may_send was asked, and said yes
  bool headers_done_ = false;
  bool dropped_ = false;
  absl::Status abort_;
};

}  // namespace neap::http
