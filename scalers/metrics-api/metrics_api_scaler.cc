#include "scalers/metrics-api/metrics_api_scaler.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/http/client.h"
#include "scalers/metrics-api/documents.h"
#include "scalers/metrics-api/endpoints.h"
#include "scalers/sdk/http_auth.h"
#include "scalers/sdk/http_fetch.h"

extern const char neap_manifest_metrics_api[];

namespace neap::scalers::metrics_api {
namespace {

constexpr size_t kEndpointsAtATime = 5;

enum class Aggregation { kAverage, kSum, kMax, kMin };

double Aggregate(Aggregation aggregation, const std::vector<double>& values) {
  switch (aggregation) {
    case Aggregation::kSum:
      return std::accumulate(values.begin(), values.end(), 0.0);
    case Aggregation::kMax:
      return *std::max_element(values.begin(), values.end());
    case Aggregation::kMin:
      return *std::min_element(values.begin(), values.end());
    case Aggregation::kAverage:
      break;
  }
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

class MetricsApiTrigger : public sdk::Trigger {
 public:
  static absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) {
    auto out = std::unique_ptr<MetricsApiTrigger>(new MetricsApiTrigger);
    const double target_value = parameters.Float("targetValue");
    if (target_value == 0) return sdk::BadParameter("targetValue", "is missing or 0");
    out->activation_ = parameters.Float("activationTargetValue");
    out->url_ = parameters.Text("url");
    const std::string format_name = parameters.Text("format");
    const Format format = format_name == "xml"          ? Format::kXml
                          : format_name == "yaml"       ? Format::kYaml
                          : format_name == "prometheus" ? Format::kPrometheus
                                                        : Format::kJson;
    const std::string location = parameters.Text("valueLocation");
    absl::StatusOr<Location> parsed = Location::Parse(format, location);
    if (!parsed.ok()) {
      return sdk::BadParameter("valueLocation", "{}", base::Message(parsed.status()));
    }
    out->location_ = *std::move(parsed);
    out->insecure_ = parameters.Bool("unsafeSsl");
    out->timeout_ = parameters.Duration("timeout");
    out->aggregate_ = parameters.Bool("aggregateFromKubeServiceEndpoints");
    const std::string aggregation = parameters.Text("aggregationType");
    out->aggregation_ = aggregation == "sum"   ? Aggregation::kSum
                        : aggregation == "max" ? Aggregation::kMax
                        : aggregation == "min" ? Aggregation::kMin
                                               : Aggregation::kAverage;
    NEAP_ASSIGN_OR_RETURN(out->auth_, sdk::HttpAuth::Open(parameters));
    NEAP_ASSIGN_OR_RETURN(const sdk::Target target,
                          sdk::ExternalTarget(parameters, sdk::TargetMilli(target_value)));
    out->metric_ = {.name = sdk::NormalizeName("metric-api-" + location), .target = target};
    // KEDA accepts any text as url and fails on reading; so the peer may be unknown here.
    const absl::StatusOr<Url> url = Url::Parse(out->url_);
    const std::string peer =
        url.ok() ? url->scheme + "://" + url->host + ":" + url->port : out->url_;
    const std::string user = out->url_.find('@') == std::string::npos ? "" : out->url_;
    out->source_key_ = fmt::format("metrics-api {} {} {} {:x}", peer, out->auth_->key(),
                                   out->insecure_, sdk::Secret(user).Fingerprint());
    return out;
  }

  std::vector<sdk::MetricSpec> metrics() const override { return {metric_}; }
  std::string source_key() const override { return source_key_; }

  const std::string& url() const { return url_; }
  bool aggregate() const { return aggregate_; }
  absl::Duration timeout() const { return timeout_; }
  sdk::HttpAuth& auth() const { return *auth_; }

  // `server_name` is the name to verify where the URL holds an address in its place.
  http::Request MakeRequest(const std::string& url, const std::string& server_name) const {
    http::Request request;
    request.url = url;
    request.follow_redirects = true;
    request.tls.insecure = insecure_;
    request.tls.server_name = server_name;
    if (timeout_ > absl::ZeroDuration()) request.timeout = timeout_;
    return request;
  }

  // The value of one answer, or why there is none.
  std::variant<double, sdk::Error> FromAnswer(const absl::StatusOr<http::Response>& answer) const {
    if (!answer.ok()) return sdk::FromTransport(answer.status());
    if (answer->status != 200) return sdk::FromHttpStatus(*answer);
    absl::StatusOr<double> value = location_.Read(answer->body);
    if (value.ok()) return *value;
    return sdk::Error{.kind = absl::IsNotFound(value.status()) ? sdk::ErrorKind::kNotFound
                                                               : sdk::ErrorKind::kBadAnswer,
                      .message = fmt::format("{}: {}", http::RedactedUrl(answer->url),
                                             base::Message(value.status()))};
  }

  sdk::Reading ReadingOf(const absl::StatusOr<http::Response>& answer) const {
    std::variant<double, sdk::Error> value = FromAnswer(answer);
    if (auto* error = std::get_if<sdk::Error>(&value)) {
      return sdk::Reading::Failed(std::move(*error));
    }
    return sdk::Reading::Of(metric_.name, std::get<double>(value), activation_);
  }

  // Over the endpoints that answered. Where some did not, the value stands in for what could not
  // be read: it is marked absent, so that nothing scales down for it (KEDA takes it as it is).
  sdk::Reading ReadingOfAll(const std::vector<absl::StatusOr<http::Response>>& answers) const {
    std::vector<double> values;
    std::optional<sdk::Error> first_error;
    for (const absl::StatusOr<http::Response>& answer : answers) {
      std::variant<double, sdk::Error> value = FromAnswer(answer);
      if (auto* error = std::get_if<sdk::Error>(&value)) {
        if (!first_error) first_error = std::move(*error);
      } else {
        values.push_back(std::get<double>(value));
      }
    }
    if (values.empty()) {
      first_error->message = fmt::format("none of {} endpoints gave a value, the first says: {}",
                                         answers.size(), first_error->message);
      return sdk::Reading::Failed(*std::move(first_error));
    }
    return sdk::Reading::Of(metric_.name, Aggregate(aggregation_, values), activation_,
                            first_error.has_value());
  }

 private:
  MetricsApiTrigger() = default;

  std::string url_;
  Location location_;
  double activation_ = 0;
  bool insecure_ = false;
  absl::Duration timeout_;
  bool aggregate_ = false;
  Aggregation aggregation_ = Aggregation::kAverage;
  std::unique_ptr<sdk::HttpAuth> auth_;
  sdk::MetricSpec metric_;
  std::string source_key_;
};

// Thread-safe.
class MetricsApiScaler : public sdk::Scaler {
 public:
  std::string_view manifest() const override { return neap_manifest_metrics_api; }

  absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) override {
    return MetricsApiTrigger::Open(parameters);
  }

  // Triggers with the same URL are answered by one request, or one for each endpoint.
  std::vector<sdk::Reading> Read(std::span<const sdk::Trigger* const> triggers,
                                 sdk::ReadContext& context) override {
    std::vector<sdk::Reading> out(triggers.size());
    Batch batch;
    for (size_t i = 0; i < triggers.size(); ++i) {
      const auto& trigger = static_cast<const MetricsApiTrigger&>(*triggers[i]);
      batch[{trigger.url(), trigger.aggregate(), trigger.timeout()}].push_back(i);
    }
    // Equal for all, by their source_key; one of them keeps an oauth token for the others.
    sdk::HttpAuth& auth = static_cast<const MetricsApiTrigger&>(*triggers[0]).auth();
    // Every request of the batch, so that all are on their way together.
    std::vector<http::Request> requests;
    std::vector<std::pair<size_t, size_t>> ranges;  // of each group: first request and count
    std::vector<std::optional<sdk::Error>> errors;  // of each group
    for (const auto& [key, members] : batch) {
      const auto& trigger = static_cast<const MetricsApiTrigger&>(*triggers[members[0]]);
      const size_t first = requests.size();
      errors.push_back(AddRequests(trigger, auth, context, requests));
      ranges.emplace_back(first, requests.size() - first);
    }
    const std::vector<absl::StatusOr<http::Response>> answers =
        sdk::FetchAll(context, std::move(requests), kEndpointsAtATime);
    for (const absl::StatusOr<http::Response>& answer : answers) {
      if (answer.ok() && answer->status == 401) auth.Refused();
    }
    size_t group = 0;
    for (const auto& [key, members] : batch) {
      const auto [first, count] = ranges[group];
      for (size_t i : members) {
        const auto& trigger = static_cast<const MetricsApiTrigger&>(*triggers[i]);
        if (errors[group]) {
          out[i] = sdk::Reading::Failed(*errors[group]);
        } else if (!trigger.aggregate()) {
          out[i] = trigger.ReadingOf(answers[first]);
        } else {
          const auto begin = answers.begin() + static_cast<std::ptrdiff_t>(first);
          out[i] = trigger.ReadingOfAll({begin, begin + static_cast<std::ptrdiff_t>(count)});
        }
      }
      ++group;
    }
    return out;
  }

 private:
  // URL, aggregated, timeout -> the triggers that share the requests.
  using Batch = std::map<std::tuple<std::string, bool, absl::Duration>, std::vector<size_t>>;

  std::optional<sdk::Error> AddRequests(const MetricsApiTrigger& trigger, sdk::HttpAuth& auth,
                                        sdk::ReadContext& context,
                                        std::vector<http::Request>& requests) {
    std::vector<std::string> urls = {trigger.url()};
    std::string server_name;
    if (trigger.aggregate()) {
      absl::StatusOr<Url> url = Url::Parse(trigger.url());
      if (!url.ok()) {
        return sdk::Error{.kind = sdk::ErrorKind::kBadParameter,
                          .message = fmt::format("url: {}", base::Message(url.status()))};
      }
      absl::StatusOr<std::vector<std::string>> found = endpoints_.Find(*url, context);
      if (!found.ok()) return sdk::FromStatus(found.status());
      urls = *std::move(found);
      server_name = url->host;
    }
    for (const std::string& url : urls) {
      http::Request request = trigger.MakeRequest(url, server_name);
      if (std::optional<sdk::Error> error = auth.Apply(request, context)) return error;
      requests.push_back(std::move(request));
    }
    return std::nullopt;
  }

  Endpoints endpoints_;
};

}  // namespace

std::vector<std::unique_ptr<sdk::Scaler>> Make() {
  std::vector<std::unique_ptr<sdk::Scaler>> out;
  out.push_back(std::make_unique<MetricsApiScaler>());
  return out;
}

}  // namespace neap::scalers::metrics_api
