#include "autoscaler/kube/api/client.h"

#include <fstream>
#include <sstream>

#include "autoscaler/base/status.h"

namespace neap::kube::api {

std::string ResourcePath(std::string_view group, std::string_view version, std::string_view plural,
                         std::string_view ns, std::string_view name, std::string_view subresource) {
  std::string path =
      group.empty() ? fmt::format("/api/{}", http::UrlEncode(version))
                    : fmt::format("/apis/{}/{}", http::UrlEncode(group), http::UrlEncode(version));
  if (!ns.empty()) path += "/namespaces/" + http::UrlEncode(ns);
  path += "/" + http::UrlEncode(plural);
  if (!name.empty()) path += "/" + http::UrlEncode(name);
  if (!subresource.empty()) path += "/" + http::UrlEncode(subresource);
  return path;
}

Client::Client(http::Client& http, ClusterConfig config)
    : http_(http), config_(std::move(config)) {}

absl::StatusOr<std::string> Client::CurrentToken() {
  if (config_.token_file.empty()) return config_.token;
  base::MutexLock lock(token_->mutex);
  if (clock_.Elapsed() - token_->read_at < kTokenCheck) return token_->text;
  std::ifstream in(config_.token_file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  std::string token = text.str();
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  if (token.empty()) {
    // While a token file is being replaced the old token is better than none.
    if (!token_->text.empty()) return token_->text;
    return base::Unauthenticated("{}: the token file is empty or can't be read",
                                 config_.token_file);
  }
  token_->text = std::move(token);
  token_->read_at = clock_.Elapsed();
  return token_->text;
}

absl::StatusOr<http::Request> Client::Prepare(Call call) {
  NEAP_ASSIGN_OR_RETURN(const std::string token, CurrentToken());
  http::Request request{.method = std::move(call.method),
                        .url = config_.server + call.path,
                        .headers = {{"Accept", kJson}},
                        .body = std::move(call.body),
                        .timeout = call.timeout,
                        .tls = config_.tls,
                        .proxy = config_.proxy,
                        .max_response_bytes = call.max_response_bytes};
  if (!call.query.empty()) request.url += "?" + http::QueryString(call.query);
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", call.content_type);
  if (!token.empty()) {
    request.headers.emplace_back("Authorization", "Bearer " + token);
  } else if (!config_.username.empty()) {
    request.headers.emplace_back("Authorization",
                                 http::BasicAuthorization(config_.username, config_.password));
  }
  return request;
}

void Client::Token::Doubt() {
  base::MutexLock lock(mutex);
  read_at = -absl::InfiniteDuration();
}

absl::StatusOr<Reply> Client::Judge(absl::StatusOr<http::Response> response, std::string where,
                                    Token& token) {
  if (!response.ok()) return std::move(response).status();
  if (response->status == 401) token.Doubt();
  if (response->status < 200 || response->status > 299) {
    return ToStatus(ApiErrorFrom(*response), where);
  }
  return Reply{
      .status = response->status, .body = std::move(response->body), .where = std::move(where)};
}

http::Id Client::Send(Call call, std::function<void(absl::StatusOr<Reply>)> done) {
  auto request = Prepare(std::move(call));
  if (!request.ok()) {
    return http_.After(absl::ZeroDuration(),
                       [done = std::move(done), status = request.status()] { done(status); });
  }
  std::string where = request->method + " " + http::RedactedUrl(request->url);
  return http_.Send(*std::move(request), [done = std::move(done), where = std::move(where),
                                          token = token_](absl::StatusOr<http::Response> response) {
    done(Judge(std::move(response), where, *token));
  });
}

absl::StatusOr<Reply> Client::Do(Call call) {
  NEAP_ASSIGN_OR_RETURN(http::Request request, Prepare(std::move(call)));
  std::string where = request.method + " " + http::RedactedUrl(request.url);
  return Judge(http_.Do(std::move(request)), std::move(where), *token_);
}

http::Id Client::Stream(Call call, absl::Duration idle_timeout, http::StreamHandlers handlers) {
  auto request = Prepare(std::move(call));
  if (!request.ok()) {
    return http_.After(absl::ZeroDuration(),
                       [end = std::move(handlers.on_end), status = request.status()] {
                         if (end) end(status);
                       });
  }
  request->idle_timeout = idle_timeout;
  handlers.on_headers = [token = token_,
                         next = std::move(handlers.on_headers)](const http::Response& head) {
    if (head.status == 401) token->Doubt();
    if (next) next(head);
  };
  return http_.Stream(*std::move(request), std::move(handlers));
}

}  // namespace neap::kube::api
