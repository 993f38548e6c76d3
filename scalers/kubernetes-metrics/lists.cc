#include "scalers/kubernetes-metrics/lists.h"

#include <simdjson.h>

#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"

namespace neap::scalers::kubernetes_metrics {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

absl::StatusOr<object> Root(simdjson::dom::parser& parser, std::string_view body,
                            std::string_view kind) {
  element root;
  if (const auto error = parser.parse(body.data(), body.size()).get(root)) {
    return base::InvalidArgument("the answer is not JSON: {}", simdjson::error_message(error));
  }
  object out;
  if (root.get(out)) return base::InvalidArgument("the answer is not a JSON object");
  std::string_view found;
  // Servers may leave the kind out; another kind is another thing.
  if (!out["kind"].get(found) && found != kind) {
    return base::InvalidArgument("the answer is a {}, not a {}", found, kind);
  }
  return out;
}

std::string_view Text(object from, std::string_view key) {
  std::string_view text;
  if (from[key].get(text)) return {};
  return text;
}

// A quantity as the API's decoder takes it: a string, or a bare number; null and absent are zero
// to upstream's decoder, but a metric without a value is no zero here.
absl::StatusOr<int64_t> Milli(element value, std::string_view where) {
  std::string text;
  if (std::string_view view; !value.get(view)) {
    text = std::string(view);
    const size_t begin = text.find_first_not_of(' ');
    text = begin == std::string::npos ? ""
                                      : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
  } else if (value.is_number()) {
    text = simdjson::minify(value);
  } else {
    return base::InvalidArgument("{} is no quantity", where);
  }
  absl::StatusOr<base::Quantity> quantity = base::Quantity::Parse(text);
  if (!quantity.ok()) return base::Annotate(quantity.status(), where);
  return quantity->Milli();
}

// Absent times stay at the epoch: the value still counts, its age is then that of the answer.
absl::StatusOr<absl::Time> Time(object from, std::string_view key, std::string_view where) {
  const std::string_view text = Text(from, key);
  if (text.empty()) return absl::UnixEpoch();
  absl::StatusOr<absl::Time> time = base::ParseTime(text);
  if (!time.ok()) return base::Annotate(time.status(), fmt::format("{}.{}", where, key));
  return time;
}

absl::StatusOr<simdjson::dom::array> Items(object root) {
  element items;
  simdjson::dom::array out;
  if (root["items"].get(items) || items.is_null()) {
    return base::NotFound("no items");  // the callers take it for an empty list
  }
  if (items.get(out)) return base::InvalidArgument("items is not a list");
  return out;
}

// Calls `each(item, where)` for every item. Stops at the first error.
template <typename Each>
absl::Status ForItems(object root, Each each) {
  absl::StatusOr<simdjson::dom::array> items = Items(root);
  if (absl::IsNotFound(items.status())) return absl::OkStatus();
  NEAP_RETURN_IF_ERROR(items.status());
  size_t index = 0;
  for (element item : *items) {
    const std::string where = fmt::format("items[{}]", index++);
    object fields;
    if (item.get(fields)) return base::InvalidArgument("{} is not an object", where);
    NEAP_RETURN_IF_ERROR(each(fields, where));
  }
  return absl::OkStatus();
}

absl::StatusOr<PodUsage> DecodePod(object item, const std::string& where) {
  PodUsage pod;
  object metadata;
  if (!item["metadata"].get(metadata)) pod.name = std::string(Text(metadata, "name"));
  if (pod.name.empty()) return base::InvalidArgument("{} has no metadata.name", where);
  if (object labels; !metadata["labels"].get(labels)) {
    for (auto label : labels) {
      std::string_view value;
      if (label.value.get(value)) {
        return base::InvalidArgument("{}.metadata.labels.{} is not a string", where, label.key);
      }
      pod.labels.emplace(std::string(label.key), std::string(value));
    }
  }
  NEAP_ASSIGN_OR_RETURN(pod.at, Time(item, "timestamp", where));
  if (const std::string_view window = Text(item, "window"); !window.empty()) {
    absl::StatusOr<absl::Duration> parsed = base::ParseDuration(window);
    if (!parsed.ok()) return base::Annotate(parsed.status(), where + ".window");
    pod.window = *parsed;
  }
  simdjson::dom::array containers;
  if (item["containers"].get(containers)) return pod;
  for (element entry : containers) {
    object container;
    if (entry.get(container)) {
      return base::InvalidArgument("{}.containers holds a value that is not an object", where);
    }
    PodUsage::Container& out = pod.containers.emplace_back();
    out.name = std::string(Text(container, "name"));
    object usage;
    if (container["usage"].get(usage)) continue;
    for (auto amount : usage) {
      NEAP_ASSIGN_OR_RETURN(
          const int64_t milli,
          Milli(amount.value, fmt::format("{} ({}), container {}, usage.{}", where, pod.name,
                                          out.name, amount.key)));
      out.usage.push_back({.resource = std::string(amount.key), .milli = milli});
    }
  }
  return pod;
}

}  // namespace

std::optional<int64_t> PodUsage::OfPod(std::string_view resource) const {
  if (containers.empty()) return std::nullopt;
  uint64_t sum = 0;  // wraps as upstream's int64 does
  for (const Container& container : containers) {
    const Amount* found = nullptr;
    for (const Amount& amount : container.usage) {
      if (amount.resource == resource) found = &amount;
    }
    if (found == nullptr) return std::nullopt;
    sum += static_cast<uint64_t>(found->milli);
  }
  return static_cast<int64_t>(sum);
}

std::optional<int64_t> PodUsage::OfContainer(std::string_view container,
                                             std::string_view resource) const {
  for (const Container& candidate : containers) {
    if (candidate.name != container) continue;
    for (const Amount& amount : candidate.usage) {
      if (amount.resource == resource) return amount.milli;
    }
    return std::nullopt;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<PodUsage>> DecodePodMetrics(std::string_view body,
                                                       std::string& continue_token) {
  simdjson::dom::parser parser;
  NEAP_ASSIGN_OR_RETURN(const object root, Root(parser, body, "PodMetricsList"));
  continue_token.clear();
  if (object metadata; !root["metadata"].get(metadata)) {
    continue_token = std::string(Text(metadata, "continue"));
  }
  std::vector<PodUsage> pods;
  NEAP_RETURN_IF_ERROR(ForItems(root, [&](object item, const std::string& where) -> absl::Status {
    NEAP_ASSIGN_OR_RETURN(PodUsage pod, DecodePod(item, where));
    pods.push_back(std::move(pod));
    return absl::OkStatus();
  }));
  return pods;
}

absl::StatusOr<std::vector<ObjectValue>> DecodeMetricValues(std::string_view body) {
  simdjson::dom::parser parser;
  NEAP_ASSIGN_OR_RETURN(const object root, Root(parser, body, "MetricValueList"));
  std::vector<ObjectValue> values;
  NEAP_RETURN_IF_ERROR(ForItems(root, [&](object item, const std::string& where) -> absl::Status {
    ObjectValue out;
    if (object described; !item["describedObject"].get(described)) {
      out.name = std::string(Text(described, "name"));
    }
    element value;
    if (item["value"].get(value)) return base::InvalidArgument("{} has no value", where);
    NEAP_ASSIGN_OR_RETURN(out.milli, Milli(value, where + ".value"));
    NEAP_ASSIGN_OR_RETURN(out.at, Time(item, "timestamp", where));
    int64_t seconds = 0;  // v1beta2, then v1beta1
    if (!item["windowSeconds"].get(seconds) || !item["window"].get(seconds)) {
      out.window = absl::Seconds(seconds);
    }
    values.push_back(std::move(out));
    return absl::OkStatus();
  }));
  return values;
}

absl::StatusOr<std::vector<ExternalValue>> DecodeExternalValues(std::string_view body) {
  simdjson::dom::parser parser;
  NEAP_ASSIGN_OR_RETURN(const object root, Root(parser, body, "ExternalMetricValueList"));
  std::vector<ExternalValue> values;
  NEAP_RETURN_IF_ERROR(ForItems(root, [&](object item, const std::string& where) -> absl::Status {
    ExternalValue out;
    element value;
    if (item["value"].get(value)) return base::InvalidArgument("{} has no value", where);
    NEAP_ASSIGN_OR_RETURN(out.milli, Milli(value, where + ".value"));
    NEAP_ASSIGN_OR_RETURN(out.at, Time(item, "timestamp", where));
    values.push_back(out);
    return absl::OkStatus();
  }));
  return values;
}

}  // namespace neap::scalers::kubernetes_metrics
