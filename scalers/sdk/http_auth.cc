#include "scalers/sdk/http_auth.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "autoscaler/base/status.h"
#include "scalers/sdk/http_fetch.h"
#include "scalers/sdk/tls_stream.h"

namespace neap::sdk {
namespace {

constexpr absl::Duration kTokenMargin = absl::Seconds(10);  // a token is renewed so much earlier
constexpr absl::Duration kTokenDefault = absl::Minutes(5);  // life of one that names none

// "a=1&b=x%20y" as an HTML form or a URL's query has it.
std::vector<std::pair<std::string, std::string>> ParseForm(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto decode = [](std::string_view part) {
    std::string plain;
    for (size_t i = 0; i < part.size(); ++i) {
      const auto hex = [&](size_t at) {
        const std::string_view digits = "0123456789abcdef";
        return at < part.size() ? digits.find(static_cast<char>(part[at] | 0x20))
                                : std::string::npos;
      };
      if (part[i] == '+') {
        plain += ' ';
      } else if (part[i] == '%' && hex(i + 1) != std::string::npos &&
                 hex(i + 2) != std::string::npos) {
        plain += static_cast<char>(hex(i + 1) * 16 + hex(i + 2));
        i += 2;
      } else {
        plain += part[i];
      }
    }
    return plain;
  };
  for (const std::string& pair : catalog::ParseList(text, '&')) {
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    out.emplace_back(decode(std::string_view(pair).substr(0, equals)),
                     decode(std::string_view(pair).substr(std::min(equals + 1, pair.size()))));
  }
  return out;
}

// A header's name and value must not end the header.
bool IsHeaderText(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

std::string State(bool present) { return present ? "is set" : "is missing"; }

}  // namespace

absl::StatusOr<std::unique_ptr<HttpAuth>> HttpAuth::Open(const Parameters& parameters) {
  std::unique_ptr<HttpAuth> out(new HttpAuth);
  NEAP_RETURN_IF_ERROR(out->Read(parameters));
  return out;
}

absl::Status HttpAuth::Read(const Parameters& parameters) {
  std::string exclusive;
  for (const std::string& mode : parameters.List("authModes")) {
    if (mode == "bearer" || mode == "basic" || mode == "oauth") {
      if (!exclusive.empty() && exclusive != mode) {
        return BadParameter("authModes", "{} and {} exclude one another", exclusive, mode);
      }
      exclusive = mode;
    }
    bearer_ |= mode == "bearer";
    basic_ |= mode == "basic";
    custom_ |= mode == "custom";
    api_key_ |= mode == "apiKey";
    tls_ |= mode == "tls";
    oauth_ |= mode == "oauth";
  }
  ca_ = parameters.Text("ca");
  const auto missing = [](std::string_view parameter, std::string_view mode) {
    return BadParameter(parameter, "is required when authModes has {}", mode);
  };
  if (bearer_) {
    bearer_token_ = parameters.GetSecret("bearerToken");
    if (bearer_token_.empty()) return missing("bearerToken", "bearer");
    if (!IsHeaderText(bearer_token_.Reveal()))
      return BadParameter("bearerToken", "has line breaks");
  }
  if (basic_) {
    username_ = parameters.Text("username");
    password_ = parameters.GetSecret("password");
    if (username_.empty()) return missing("username", "basic");
  }
  if (custom_) {
    custom_header_ = parameters.Text("customAuthHeader");
    custom_value_ = parameters.GetSecret("customAuthValue");
    if (custom_header_.empty()) return missing("customAuthHeader", "custom");
    if (custom_value_.empty()) return missing("customAuthValue", "custom");
    if (!IsHeaderText(custom_header_) || !IsHeaderText(custom_value_.Reveal())) {
      return BadParameter("customAuthValue", "it or customAuthHeader has line breaks");
    }
  }
  if (api_key_) {
    api_key_value_ = parameters.GetSecret("apiKey");
    if (api_key_value_.empty()) return missing("apiKey", "apiKey");
    if (!IsHeaderText(api_key_value_.Reveal())) return BadParameter("apiKey", "has line breaks");
    api_key_in_query_ = parameters.Text("method") == "query";
    api_key_name_ = parameters.Text("keyParamName");
    if (api_key_name_.empty()) api_key_name_ = api_key_in_query_ ? "api_key" : "X-API-KEY";
  }
  if (tls_) {
    cert_ = parameters.Text("cert");
    key_pem_ = parameters.GetSecret("key");
    if (cert_.empty() || key_pem_.empty()) {
      return BadParameter(cert_.empty() ? "cert" : "key", "tls needs both: cert {}, key {}",
                          State(!cert_.empty()), State(!key_pem_.empty()));
    }
  }
  if (tls_ || !ca_.empty()) {
    const absl::Status usable = CheckTls({.ca = ca_,
                                          .cert = cert_,
                                          .key = key_pem_,
                                          .key_password = {},
                                          .server_name = "",
                                          .insecure = false});
    // The texts of CheckTls begin with the parameter at fault.
    const std::string_view message = base::Message(usable);
    if (!usable.ok()) return BadParameter(message.substr(0, message.find(' ')), "{}", message);
  }
  if (oauth_) {
    token_uri_ = parameters.Text("oauthTokenURI");
    client_id_ = parameters.Text("clientID");
    client_secret_ = parameters.GetSecret("clientSecret");
    scopes_ = fmt::format("{}", fmt::join(parameters.List("scopes"), " "));
    endpoint_ = ParseForm(parameters.GetSecret("endpointParams").Reveal());
    if (token_uri_.empty()) return missing("oauthTokenURI", "oauth");
    if (client_id_.empty()) return missing("clientID", "oauth");
  }
  std::string endpoint_text;
  for (const auto& [name, value] : endpoint_) endpoint_text += name + "=" + value + "\n";
  key_ = fmt::format(
      "{}{}{}{}{}{} {:x}", bearer_ ? "b" : "", basic_ ? "p" : "", custom_ ? "c" : "",
      api_key_ ? "k" : "", tls_ ? "t" : "", oauth_ ? "o" : "",
      Secret(fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
                         bearer_token_.Reveal(), username_, password_.Reveal(), custom_header_,
                         custom_value_.Reveal(), api_key_value_.Reveal(), api_key_in_query_,
                         api_key_name_, ca_, cert_, key_pem_.Reveal(), token_uri_, client_id_,
                         client_secret_.Reveal(), scopes_ + endpoint_text))
          .Fingerprint());
  return absl::OkStatus();
}

std::optional<Error> HttpAuth::Apply(http::Request& request, ReadContext& context) {
  request.tls.ca_pem = ca_;
  if (tls_) {
    request.tls.cert_pem = cert_;
    request.tls.key_pem = key_pem_.Reveal();
  }
  // One Authorization header: bearer, then basic, then oauth (they exclude one another).
  if (bearer_) {
    request.headers.emplace_back("Authorization", "Bearer " + bearer_token_.Reveal());
  } else if (basic_) {
    request.headers.emplace_back("Authorization",
                                 http::BasicAuthorization(username_, password_.Reveal()));
  } else if (oauth_) {
    std::string token;
    if (auto error = Token(context, token)) return error;
    request.headers.emplace_back("Authorization", "Bearer " + token);
  }
  // Only an Authorization header is kept from another host by the client: with a secret in any
  // other place a redirect is not followed.
  if (custom_ || api_key_) request.follow_redirects = false;
  if (custom_) request.headers.emplace_back(custom_header_, custom_value_.Reveal());
  if (api_key_ && api_key_in_query_) {
    request.url += request.url.find('?') == std::string::npos ? '?' : '&';
    request.url += http::QueryString({{api_key_name_, api_key_value_.Reveal()}});
  } else if (api_key_) {
    request.headers.emplace_back(api_key_name_, api_key_value_.Reveal());
  }
  return std::nullopt;
}

void HttpAuth::Refused() {
  base::MutexLock lock(mutex_);
  token_.clear();
}

// Client credentials (RFC 6749 §4.4). The lock is not held over the network: two readers may both
// get a token, which is harmless.
std::optional<Error> HttpAuth::Token(ReadContext& context, std::string& token) {
  {
    base::MutexLock lock(mutex_);
    if (!token_.empty() && context.now() < token_until_) {
      token = token_;
      return std::nullopt;
    }
  }
  http::Headers form = {{"grant_type", "client_credentials"}};
  if (!scopes_.empty()) form.emplace_back("scope", scopes_);
  form.insert(form.end(), endpoint_.begin(), endpoint_.end());
  http::Request request;
  request.method = "POST";
  request.url = token_uri_;
  request.headers = {
      {"Content-Type", "application/x-www-form-urlencoded"},
      {"Accept", "application/json"},
      {"Authorization", http::BasicAuthorization(http::UrlEncode(client_id_),
                                                 http::UrlEncode(client_secret_.Reveal()))}};
  request.body = http::QueryString(form);
  request.tls.ca_pem = ca_;
  const absl::Time asked = context.now();
  auto answers = FetchAll(context, {std::move(request)});
  if (!answers[0].ok()) return FromTransport(answers[0].status());
  if (answers[0]->status != 200) return FromHttpStatus(*answers[0], "no token");
  const nlohmann::json body = nlohmann::json::parse(answers[0]->body, nullptr, false);
  const auto text = body.is_object() ? body.find("access_token") : body.end();
  if (text == body.end() || !text->is_string() || text->get<std::string>().empty() ||
      !IsHeaderText(text->get<std::string>())) {
    return Error{.kind = ErrorKind::kBadAnswer,
                 .message = fmt::format("{}: the answer has no access_token",
                                        http::RedactedUrl(token_uri_))};
  }
  absl::Duration life = kTokenDefault;
  if (const auto seconds = body.find("expires_in"); seconds != body.end() && seconds->is_number()) {
    life = absl::Seconds(std::clamp(seconds->get<double>(), 0.0, 1e9));
  }
  token = text->get<std::string>();
  base::MutexLock lock(mutex_);
  token_ = token;
  token_until_ = asked + life - kTokenMargin;
  return std::nullopt;
}

}  // namespace neap::sdk
