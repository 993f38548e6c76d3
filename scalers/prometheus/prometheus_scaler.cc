#include "scalers/prometheus/prometheus_scaler.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/http/client.h"
#include "scalers/prometheus/answer.h"
#include "scalers/sdk/http_auth.h"
#include "scalers/sdk/http_fetch.h"

extern const char neap_manifest_prometheus[];

namespace neap::scalers::prometheus {
namespace {

class PrometheusTrigger : public sdk::Trigger {
 public:
  static absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) {
    auto out = std::unique_ptr<PrometheusTrigger>(new PrometheusTrigger);
    out->server_ = parameters.Text("serverAddress");
    while (out->server_.ends_with('/')) out->server_.pop_back();
    out->query_ = parameters.Text("query");
    out->namespace_ = parameters.Text("namespace");
    out->more_ = parameters.Map("queryParameters");
    out->headers_ = parameters.Map("customHeaders");
    out->ignore_null_ = parameters.Bool("ignoreNullValues");
    out->insecure_ = parameters.Bool("unsafeSsl");
    out->timeout_ = parameters.Duration("timeout");
    out->activation_ = parameters.Float("activationThreshold");
    out->pod_identity_ = parameters.pod_identity();
    NEAP_ASSIGN_OR_RETURN(out->auth_, sdk::HttpAuth::Open(parameters));
    if (out->auth_->enabled() && !out->pod_identity_.empty()) {
      return sdk::BadParameter("authModes", "can't be used together with pod identity {}",
                               out->pod_identity_);
    }
    NEAP_ASSIGN_OR_RETURN(
        const sdk::Target target,
        sdk::ExternalTarget(parameters, sdk::TargetMilli(parameters.Float("threshold"))));
    out->metric_ = {.name = "prometheus", .target = target};
    std::string headers;
    for (const auto& [name, value] : out->headers_) headers += name + "=" + value + "\n";
    out->source_key_ =
        fmt::format("prometheus {} {} {} {} {:x}", out->server_, out->auth_->key(), out->insecure_,
                    out->pod_identity_, sdk::Secret(headers).Fingerprint());
    return out;
  }

  std::vector<sdk::MetricSpec> metrics() const override { return {metric_}; }
  std::string source_key() const override { return source_key_; }

  // Not "": why the server can't be asked at all.
  std::string Refusal() const {
    if (pod_identity_.empty()) return "";
    return fmt::format("pod identity {} is not supported by prometheus; use authModes",
                       pod_identity_);
  }

  http::Request MakeRequest(absl::Time now) const {
    http::Headers query = {{"query", query_}, {"time", base::FormatTime(now)}};
    if (!namespace_.empty()) query.emplace_back("namespace", namespace_);
    query.insert(query.end(), more_.begin(), more_.end());
    http::Request request;
    request.url = server_ + "/api/v1/query?" + http::QueryString(query);
    request.headers = headers_;
    request.follow_redirects = true;
    request.tls.insecure = insecure_;
    if (timeout_ > absl::ZeroDuration()) request.timeout = timeout_;
    return request;
  }
  sdk::HttpAuth& auth() const { return *auth_; }

  sdk::Reading FromAnswer(const absl::StatusOr<http::Response>& answer, absl::Time now) const {
    if (!answer.ok()) return sdk::Reading::Failed(sdk::FromTransport(answer.status()));
    if (answer->status < 200 || answer->status > 299) {
      sdk::Error error = sdk::FromHttpStatus(*answer, ReadErrorText(answer->body));
      if (answer->status == 400) error.kind = sdk::ErrorKind::kBadParameter;  // the query
      return sdk::Reading::Failed(std::move(error));
    }
    const absl::StatusOr<std::optional<double>> value = ReadAnswer(answer->body);
    if (!value.ok()) {
      return sdk::Reading::Failed(
          {.kind = sdk::ErrorKind::kBadAnswer, .message = Peer(base::Message(value.status()))});
    }
    if (!*value && !ignore_null_) {
      return sdk::Reading::Failed(
          {.kind = sdk::ErrorKind::kNotFound,
           .message = Peer("the query gives no finite value, and ignoreNullValues is false")});
    }
    // Zero is what KEDA takes for nothing; `absent` lets the reader hold instead.
    sdk::Reading out =
        sdk::Reading::Of(metric_.name, value->value_or(0), activation_, !value->has_value());
    out.metrics[0].sampled_at = now;
    return out;
  }

 private:
  PrometheusTrigger() = default;

  std::string Peer(std::string_view message) const {
    return fmt::format("{}: {}", http::RedactedUrl(server_), message);
  }

  std::string server_;
  std::string query_;
  std::string namespace_;
  std::vector<std::pair<std::string, std::string>> more_;
  http::Headers headers_;
  bool ignore_null_ = true;
  bool insecure_ = false;
  absl::Duration timeout_;
  double activation_ = 0;
  std::string pod_identity_;
  std::unique_ptr<sdk::HttpAuth> auth_;
  sdk::MetricSpec metric_;
  std::string source_key_;
};

// Stateless; thread-safe.
class PrometheusScaler : public sdk::Scaler {
 public:
  std::string_view manifest() const override { return neap_manifest_prometheus; }

  absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) override {
    return PrometheusTrigger::Open(parameters);
  }

  // Triggers with the same query are answered by one request.
  std::vector<sdk::Reading> Read(std::span<const sdk::Trigger* const> triggers,
                                 sdk::ReadContext& context) override {
    const absl::Time now = context.now();
    std::vector<sdk::Reading> out(triggers.size());
    std::map<std::pair<std::string, absl::Duration>, size_t> seen;  // URL, timeout -> request
    std::vector<http::Request> requests;
    std::vector<size_t> request_of(triggers.size());
    // Equal for all, by their source_key; one of them keeps an oauth token for the others.
    sdk::HttpAuth& auth = static_cast<const PrometheusTrigger&>(*triggers[0]).auth();
    std::optional<sdk::Error> refusal;
    for (size_t i = 0; i < triggers.size(); ++i) {
      const auto& trigger = static_cast<const PrometheusTrigger&>(*triggers[i]);
      if (const std::string text = trigger.Refusal(); !text.empty()) {
        refusal = sdk::Error{.kind = sdk::ErrorKind::kBadParameter, .message = text};
        break;  // the identity is part of the source_key, so it is the same for all
      }
      http::Request request = trigger.MakeRequest(now);
      const auto [at, fresh] =
          seen.try_emplace(std::pair(request.url, request.timeout), requests.size());
      request_of[i] = at->second;
      if (!fresh) continue;
      refusal = auth.Apply(request, context);
      if (refusal) break;
      requests.push_back(std::move(request));
    }
    if (refusal) {
      std::fill(out.begin(), out.end(), sdk::Reading::Failed(*refusal));
      return out;
    }
    const std::vector<absl::StatusOr<http::Response>> answers =
        sdk::FetchAll(context, std::move(requests));
    for (const absl::StatusOr<http::Response>& answer : answers) {
      if (answer.ok() && answer->status == 401) auth.Refused();
    }
    for (size_t i = 0; i < triggers.size(); ++i) {
      const auto& trigger = static_cast<const PrometheusTrigger&>(*triggers[i]);
      out[i] = trigger.FromAnswer(answers[request_of[i]], now);
    }
    return out;
  }
};

}  // namespace

std::vector<std::unique_ptr<sdk::Scaler>> Make() {
  std::vector<std::unique_ptr<sdk::Scaler>> out;
  out.push_back(std::make_unique<PrometheusScaler>());
  return out;
}

}  // namespace neap::scalers::prometheus
