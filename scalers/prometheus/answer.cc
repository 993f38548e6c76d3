#include "scalers/prometheus/answer.h"

#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <string>

#include "autoscaler/base/status.h"

namespace neap::scalers::prometheus {
namespace {

constexpr size_t kMaxErrorText = 300;

std::string ErrorText(simdjson::dom::element root) {
  std::string_view kind;
  std::string_view text;
  if (root["error"].get(text)) return "";
  std::string out;
  if (!root["errorType"].get(kind)) out = std::string(kind) + ": ";
  out += text;
  if (out.size() > kMaxErrorText) out = out.substr(0, kMaxErrorText) + "...";
  return out;
}

// "4.2e1", "NaN", "+Inf" as Prometheus writes sample values. Nothing for what is not finite.
absl::StatusOr<std::optional<double>> SampleValue(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return std::optional<double>();
  if (error != std::errc() || end != text.data() + text.size()) {
    return base::InvalidArgument("the sample's value \"{}\" is not a number", text.substr(0, 40));
  }
  if (!std::isfinite(value)) return std::optional<double>();
  return std::optional<double>(value);
}

}  // namespace

absl::StatusOr<std::optional<double>> ReadAnswer(std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(body.data(), body.size()).get(root)) {
    return base::InvalidArgument("the answer is not JSON: {}", simdjson::error_message(error));
  }
  if (!root.is_object()) return base::InvalidArgument("the answer is not a JSON object");
  if (std::string_view status; !root["status"].get(status) && status == "error") {
    return base::InvalidArgument("the server says {}", ErrorText(root));
  }
  simdjson::dom::element result;
  if (root["data"]["result"].get(result)) {
    return base::InvalidArgument("the answer has no data.result");
  }
  std::string_view type;
  if (root["data"]["resultType"].get(type)) type = "result of no type";
  simdjson::dom::array elements;
  if (result.get(elements)) {
    return base::FailedPrecondition("data.result is not a list");
  }
  if (type == "scalar" || type == "string") {
    return base::FailedPrecondition(
        "the query gives a {}, not a vector: write vector(...) around it", type);
  }
  size_t count = 0;
  for ([[maybe_unused]] simdjson::dom::element element : elements) ++count;
  if (count == 0) return std::optional<double>();
  if (count > 1) {
    return base::FailedPrecondition(
        "the query gives {} elements, exactly one is needed: aggregate them, sum(...)", count);
  }
  simdjson::dom::element value;
  const simdjson::dom::element element = elements.at(0);
  if (element["value"].get(value)) {
    return base::FailedPrecondition(
        "the query gives a {} whose element has no value, an instant vector is needed", type);
  }
  simdjson::dom::array pair;
  if (value.is_null()) return std::optional<double>();
  if (value.get(pair)) return base::InvalidArgument("the element's value is not a list");
  if (pair.size() == 0) return std::optional<double>();
  if (pair.size() == 1) {
    return base::InvalidArgument("the element's value has a time and no sample");
  }
  const simdjson::dom::element sample = pair.at(1);
  if (sample.is_null()) return std::optional<double>();
  std::string_view text;
  if (sample.get(text)) return base::InvalidArgument("the sample's value is not a string");
  return SampleValue(text);
}

std::string ReadErrorText(std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(body.data(), body.size()).get(root) || !root.is_object()) return "";
  return ErrorText(root);
}

}  // namespace neap::scalers::prometheus
