#include "tools/neapctl/prometheus_range.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::ctl {
namespace {

constexpr size_t kMostText = 300;

std::string Seconds(int64_t milliseconds) {
  return fmt::format("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
}

std::string Cut(std::string_view text) {
  std::string out(text.substr(0, kMostText));
  for (char& c : out) c = c == '\n' || c == '\r' ? ' ' : c;
  while (out.ends_with(' ')) out.pop_back();
  return text.size() > kMostText ? out + "..." : out;
}

// What a server says of its own failure: in Prometheus' form, else the beginning of its text.
std::string Complaint(std::string_view body) {
  const absl::StatusOr<value::Value> answer = value::ParseJson(body, "answer");
  if (!answer.ok() || answer->StringAt("error").empty()) return Cut(body);
  return Cut(
      fmt::format("{}: {}", answer->StringAt("errorType", "error"), answer->StringAt("error")));
}

bool IsTooMuch(std::string_view complaint) {
  return complaint.find("too many samples") != std::string_view::npos ||
         complaint.find("exceeded maximum resolution") != std::string_view::npos;
}

absl::Status StatusOf(const http::Response& answer, std::string_view where) {
  const std::string complaint = Complaint(answer.body);
  const std::string text = fmt::format("{}: HTTP {}{}{}", where, answer.status,
                                       complaint.empty() ? "" : ": ", complaint);
  if (IsTooMuch(complaint)) return base::ResourceExhausted("{}", text);
  switch (answer.status) {
    case 400:
    case 422:
      return base::InvalidArgument("{}", text);
    case 401:
      return base::Unauthenticated("{}", text);
    case 403:
      return base::PermissionDenied("{}", text);
    case 404:
      return base::NotFound("{}: is it the URL up to and without /api/v1?", text);
    default:
      return base::Unavailable("{}", text);
  }
}

// [1700000000.781, "12.5"]
std::optional<PrometheusRange::Sample> ReadSample(const value::Value& pair) {
  if (pair.list().size() != 2) return std::nullopt;
  const value::Value& at = pair.list()[0];
  if (at.kind() != value::Kind::kInt && at.kind() != value::Kind::kReal) return std::nullopt;
  std::string_view text = pair.list()[1].text();
  if (text.starts_with('+')) text.remove_prefix(1);
  PrometheusRange::Sample sample;
  sample.at = absl::FromUnixMillis(std::llround(at.AsReal() * 1000));
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sample.value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return sample;
}

}  // namespace

PrometheusRange::PrometheusRange(http::Client& client, PrometheusServer server)
    : client_(client), server_(std::move(server)) {
  while (server_.url.ends_with('/')) server_.url.pop_back();
}

absl::StatusOr<std::vector<PrometheusRange::Sample>> PrometheusRange::Read(const std::string& query,
                                                                           absl::Time from,
                                                                           absl::Time to,
                                                                           absl::Duration step) {
  http::Headers parameters = {{"query", query},
                              {"start", Seconds(absl::ToUnixMillis(from))},
                              {"end", Seconds(absl::ToUnixMillis(to))},
                              {"step", Seconds(absl::ToInt64Milliseconds(step))}};
  parameters.insert(parameters.end(), server_.parameters.begin(), server_.parameters.end());
  http::Request request;
  request.url = server_.url + "/api/v1/query_range?" + http::QueryString(parameters);
  request.headers = server_.headers;
  request.tls = server_.tls;
  request.timeout = server_.timeout;
  request.follow_redirects = true;
  const std::string where = fmt::format("{}: query {}", http::RedactedUrl(server_.url), Cut(query));
  const absl::StatusOr<http::Response> answer = client_.Do(std::move(request));
  if (!answer.ok()) return base::Annotate(answer.status(), where);
  if (answer->status != 200) return StatusOf(*answer, where);
  return Samples(answer->body, where);
}

absl::StatusOr<std::vector<PrometheusRange::Sample>> PrometheusRange::Samples(
    std::string_view body, std::string_view where) {
  const absl::StatusOr<value::Value> answer = value::ParseJson(body, "answer");
  if (!answer.ok()) {
    return base::DataLoss("{}: it does not answer as Prometheus does: {}", where,
                          base::Message(answer.status()));
  }
  if (const value::Value* warnings = answer->Get("warnings")) {
    for (const value::Value& warning : warnings->list()) warnings_.insert(warning.text());
  }
  const value::Value* result = answer->Find("data.result");
  if (answer->StringAt("data.resultType") != "matrix" || result == nullptr) {
    return base::DataLoss("{}: it does not answer as Prometheus does: no matrix in data", where);
  }
  if (result->list().size() > 1) {
    std::string names;
    for (size_t i = 0; i < 3 && i < result->list().size(); ++i) {
      const value::Value* labels = result->list()[i].Get("metric");
      if (labels != nullptr) names += (i == 0 ? "" : ", ") + Cut(value::ToJson(*labels));
    }
    return base::InvalidArgument(
        "{}: it gives {} series, of which exactly one is needed: aggregate them, sum(...): {}",
        where, result->list().size(), names);
  }
  std::vector<Sample> samples;
  if (result->list().empty()) return samples;
  const value::Value* values = result->list()[0].Get("values");
  if (values == nullptr) {
    return base::InvalidArgument("{}: it gives histograms, not numbers", where);
  }
  samples.reserve(values->list().size());
  for (const value::Value& pair : values->list()) {
    const std::optional<Sample> sample = ReadSample(pair);
    if (!sample) return base::DataLoss("{}: a sample is no time and number", where);
    samples.push_back(*sample);
  }
  return samples;
}

}  // namespace neap::ctl
