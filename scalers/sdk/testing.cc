#include "scalers/sdk/testing.h"

#include <absl/time/clock.h>
#include <zlib.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"

namespace neap::sdk {
namespace {

std::map<std::string, std::string> ReadDifferences() {
  std::map<std::string, std::string> out;
  std::ifstream file("tests/conformance/keda_differences.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t blank = line.find(' ');
    out[line.substr(0, blank)] = blank == std::string::npos ? "" : line.substr(blank + 1);
  }
  return out;
}

catalog::Texts TextsOf(const nlohmann::json& input, const char* key) {
  catalog::Texts out;
  if (!input.contains(key)) return out;
  for (const auto& [name, text] : input[key].items()) out[name] = text.get<std::string>();
  return out;
}

// What a row expects and what we make of it, as comparable text.
std::string Expected(const nlohmann::json& expect, const std::string& prefix) {
  // A row that failed on connecting was accepted as text, with metrics unknown.
  const bool connect = expect.value("stage", "") == "connect";
  if (!expect["ok"].get<bool>()) return connect ? "accepted" : "refused";
  std::string out = "accepted";
  for (const nlohmann::json& metric : expect["metrics"]) {
    std::string name = metric["name"];
    if (name.starts_with(prefix)) name = name.substr(prefix.size());
    out += fmt::format(" [{} {} {}]", name, metric["targetType"].get<std::string>(),
                       metric["target"].get<int64_t>());
  }
  return out;
}

std::string Actual(const Opened& opened, bool with_metrics) {
  if (opened.trigger == nullptr) return "refused";
  std::string out = "accepted";
  if (!with_metrics) return out;
  for (const MetricSpec& metric : opened->metrics()) {
    const TargetKind kind = metric.target ? metric.target->kind : TargetKind::kUnspecified;
    const std::string_view name = kind == TargetKind::kValue          ? "Value"
                                  : kind == TargetKind::kAverageValue ? "AverageValue"
                                  : kind == TargetKind::kUtilization  ? "Utilization"
                                                                      : "none";
    out += fmt::format(" [{} {} {}]", metric.name, name, metric.target ? metric.target->amount : 0);
  }
  return out;
}

}  // namespace

TestContext::TestContext(http::Client& client, absl::Duration deadline)
    : client_(client),
      end_(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(deadline)) {}

absl::Duration TestContext::remaining() const {
  const auto left = end_ - std::chrono::steady_clock::now();
  return std::max(absl::FromChrono(left), absl::ZeroDuration());
}

absl::Time TestContext::now() const { return now_ == absl::InfinitePast() ? absl::Now() : now_; }

std::string Opened::ErrorText() const {
  std::string out;
  for (const catalog::FieldError& error : errors) {
    if (!out.empty()) out += "; ";
    out += error.parameter.empty() ? error.message : error.parameter + ": " + error.message;
  }
  return out;
}

TestScaler::TestScaler(std::vector<std::unique_ptr<Scaler>> scalers)
    : scalers_(std::move(scalers)) {
  for (const auto& scaler : scalers_) {
    auto types = catalog::ParseManifest(scaler->manifest(), "manifest");
    NEAP_CHECK(types.ok(), "{}", base::Message(types.status()));
    for (catalog::TriggerType& type : *types) {
      types_.push_back(std::move(type));
      scaler_of_type_.push_back(scaler.get());
    }
  }
}

Opened TestScaler::Open(const TriggerRequest& request) {
  Opened out;
  for (size_t i = 0; i < types_.size(); ++i) {
    if (types_[i].type != request.type) continue;
    out.trigger = OpenTrigger(*scaler_of_type_[i], types_[i], request, out.errors);
    return out;
  }
  out.errors.push_back({"type", "unknown trigger type " + request.type});
  return out;
}

Opened TestScaler::Open(const std::string& type, catalog::Texts metadata, catalog::Texts auth,
                        catalog::Texts env) {
  TriggerRequest request;
  request.type = type;
  request.text = {.metadata = std::move(metadata),
                  .auth = std::move(auth),
                  .env = std::move(env),
                  .pod_identity = ""};
  request.context = {
      .ns = "ns1", .kind = "Autoscaler", .name = "obj1", .uid = "uid1", .pod_selector = ""};
  return Open(request);
}

std::vector<Reading> TestScaler::Read(const std::vector<const Trigger*>& triggers,
                                      ReadContext& context) {
  NEAP_CHECK(scalers_.size() == 1, "batches are read from one scaler");
  return scalers_[0]->Read(triggers, context);
}

Reading TestScaler::Read(const Opened& opened, absl::Duration deadline) {
  TestContext context(client_, deadline);
  return Read(opened, context);
}

Reading TestScaler::Read(const Opened& opened, ReadContext& context) {
  NEAP_CHECK(opened.trigger != nullptr, "the trigger was refused: {}", opened.ErrorText());
  std::vector<Reading> readings = Read({opened.trigger.get()}, context);
  NEAP_CHECK(readings.size() == 1, "{} readings for one trigger", readings.size());
  return std::move(readings[0]);
}

std::string Describe(const Reading& reading) {
  const auto error_text = [](const Error& error) {
    return fmt::format("{}: {}", ErrorKindName(error.kind), error.message);
  };
  if (reading.error) return error_text(*reading.error);
  if (reading.metrics.size() != 1) return fmt::format("{} metrics", reading.metrics.size());
  const MetricReading& metric = reading.metrics[0];
  if (const auto* error = std::get_if<Error>(&metric.result)) return error_text(*error);
  std::string out;
  if (metric.absent) out += "absent ";
  if (const auto* pods = std::get_if<PodValues>(&metric.result)) {
    for (size_t i = 0; i < pods->pod.size(); ++i) {
      out += fmt::format("{}{}={}", i == 0 ? "" : " ", pods->pod[i], pods->milli[i]);
    }
    return out;
  }
  const Series& series = std::get<Series>(metric.result);
  if (!series.milli.empty()) return out + fmt::format("milli {}", fmt::join(series.milli, " "));
  out += fmt::format("{}", fmt::join(series.real, " "));
  if (metric.active == true) out += " active";
  return out;
}

std::vector<std::string> CompareParseRows(TestScaler& scaler, const std::string& type,
                                          int& passed) {
  std::vector<std::string> out;
  const std::map<std::string, std::string> differences = ReadDifferences();
  gzFile file = gzopen("tests/conformance/keda/parse.jsonl.gz", "rb");
  NEAP_CHECK(file != nullptr, "tests/conformance/keda/parse.jsonl.gz is not there");
  std::string text;
  std::vector<char> buffer(1 << 16);
  for (int size = 0; (size = gzread(file, buffer.data(), 1 << 16)) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  gzclose(file);
  passed = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const nlohmann::json row = nlohmann::json::parse(text.substr(at, end - at));
    at = end + 1;
    if (row["type"] != type) continue;
    const nlohmann::json& input = row["input"];
    const std::string id = row["id"];
    TriggerRequest request;
    request.type = type;
    request.text = {.metadata = TextsOf(input, "metadata"),
                    .auth = TextsOf(input, "auth"),
                    .env = TextsOf(input, "env"),
                    .pod_identity = input.value("podIdentity", "")};
    request.context = {
        .ns = "ns1", .kind = "ScaledObject", .name = "obj1", .uid = "", .pod_selector = ""};
    const std::string metric_type = input.value("metricType", "");
    bool representable = true;
    if (metric_type == "Value") {
      request.requested_target = TargetKind::kValue;
    } else if (metric_type == "AverageValue") {
      request.requested_target = TargetKind::kAverageValue;
    } else if (metric_type == "Utilization") {
      request.requested_target = TargetKind::kUtilization;
    } else {
      representable = metric_type.empty();
    }
    const std::string expected =
        Expected(row["expect"], fmt::format("s{}-", input.value("triggerIndex", 0)));
    // A metricType that the contract has no value for is refused before a scaler sees it.
    const std::string actual = representable ? Actual(scaler.Open(request), expected != "accepted")
                                             : std::string("refused");
    const auto difference = differences.find(id);
    if ((expected == actual) == (difference == differences.end())) {
      ++passed;
    } else if (expected == actual) {
      out.push_back(id + ": agrees, but is listed as a difference");
    } else {
      out.push_back(fmt::format("{}: expected {}, got {} {}", id, expected, actual,
                                representable ? scaler.Open(request).ErrorText() : ""));
    }
  }
  return out;
}

}  // namespace neap::sdk
