// HttpAuth: the authentication block that several of KEDA's scalers share (authModes):
// modes bearer, basic, custom, apiKey, tls and oauth. Opened with a trigger, applied to each of its
// requests. A scaler that uses it declares the block's parameters in its manifest: authModes
// (authMode), bearerToken (token), username, password, ca, cert, key, customAuthHeader,
// customAuthValue, oauthTokenURI, clientID, clientSecret, scopes (scope), endpointParams, apiKey,
// method, keyParamName.
//
// Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/http/client.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

class HttpAuth {
 public:
  // Errors: BadParameter naming what is missing, what excludes one another, or a certificate or
  // key that can't be used.
  static absl::StatusOr<std::unique_ptr<HttpAuth>> Open(const Parameters& parameters);

  // Some mode is on. Credentials without a mode are not used, except `ca`.
  bool enabled() const { return bearer_ || basic_ || custom_ || api_key_ || tls_ || oauth_; }

  // Adds headers, query parameter and TLS to a request. With oauth it first gets a token, unless a
  // valid one is at hand. Errors: what FetchAll and FromHttpStatus say about the token's server.
  std::optional<Error> Apply(http::Request& request, ReadContext& context);

  // The server answered 401: a token that we hold is forgotten.
  void Refused();

  // Equal for triggers that may share connections and answers; shows no secret.
  const std::string& key() const { return key_; }

 private:
  HttpAuth() = default;
  absl::Status Read(const Parameters& parameters);
  std::optional<Error> Token(ReadContext& context, std::string& token);

  bool bearer_ = false;
  bool basic_ = false;
  bool custom_ = false;
  bool api_key_ = false;
  bool tls_ = false;
  bool oauth_ = false;
  Secret bearer_token_;
  std::string username_;
  Secret password_;
  std::string custom_header_;
  Secret custom_value_;
  Secret api_key_value_;
  bool api_key_in_query_ = false;
  std::string api_key_name_;
  std::string ca_;
  std::string cert_;
  Secret key_pem_;
  std::string token_uri_;
  std::string client_id_;
  Secret client_secret_;
  std::string scopes_;                                         // joined by blanks
  std::vector<std::pair<std::string, std::string>> endpoint_;  // further fields of the request
  std::string key_;

  base::Mutex mutex_;
  std::string token_ NEAP_GUARDED_BY(mutex_);
  absl::Time token_until_ NEAP_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace neap::sdk
