#include "autoscaler/playground/query.h"

#include <algorithm>
#include <array>

#include "autoscaler/base/status.h"
#include "autoscaler/playground/json.h"

namespace neap::playground {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? HexDigit(text[i + 1]) : -1;
    const int low = escape ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// Besides metadata.name and metadata.namespace.
bool IsSelectable(const Kind& kind, std::string_view field) {
  static constexpr std::array<std::string_view, 5> kPod = {
      "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "status.phase", "status.podIP"};
  static constexpr std::array<std::string_view, 11> kEvent = {"involvedObject.kind",
                                                              "involvedObject.namespace",
                                                              "involvedObject.name",
                                                              "involvedObject.uid",
                                                              "involvedObject.apiVersion",
                                                              "involvedObject.fieldPath",
                                                              "involvedObject.resourceVersion",
                                                              "reason",
                                                              "reportingComponent",
                                                              "source",
                                                              "type"};
  const auto in = [field](const auto& all) {
    return std::find(all.begin(), all.end(), field) != all.end();
  };
  return (kind.id == KindId::kPod && in(kPod)) || (kind.id == KindId::kEvent && in(kEvent)) ||
         (kind.id == KindId::kNamespace && field == "status.phase");
}

std::string FieldOf(const Json& document, std::string_view path) {
  const Json* at = &document;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const auto found = at->find(std::string(path.substr(0, dot)));
    if (!at->is_object() || found == at->end()) return "";
    at = &*found;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at->is_string() ? at->get<std::string>() : "";
}

}  // namespace

std::string_view ApiRequest::Query(std::string_view key) const {
  const auto at = query.find(key);
  return at == query.end() ? std::string_view() : at->second;
}

bool ApiRequest::Flag(std::string_view key) const {
  return Query(key) == "true" || Query(key) == "1";
}

std::vector<std::string> PathParts(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.push_back(Decode(path.substr(0, slash)));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

absl::StatusOr<Filter> Filter::Of(const ApiRequest& request, const Kind& kind, std::string ns,
                                  std::string name) {
  Filter filter;
  filter.ns_ = std::move(ns);
  absl::StatusOr<base::Selector> labels =
      base::Selector::Parse(std::string(request.Query("labelSelector")));
  if (!labels.ok()) {
    return base::InvalidArgument("unable to parse requirement: {}", base::Message(labels.status()));
  }
  filter.labels_ = *std::move(labels);
  if (!name.empty()) filter.fields_.push_back({.path = "metadata.name", .value = std::move(name)});
  std::string_view rest = request.Query("fieldSelector");
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view term = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (term.empty()) continue;
    const size_t sign = term.find('=');
    if (sign == std::string_view::npos || sign == 0) {
      return base::InvalidArgument("invalid selector: '{}'; can't understand '{}'",
                                   request.Query("fieldSelector"), term);
    }
    Field field;
    field.equal = term[sign - 1] != '!';
    field.path = term.substr(0, field.equal ? sign : sign - 1);
    const size_t value = term[std::min(sign + 1, term.size() - 1)] == '=' && sign + 1 < term.size()
                             ? sign + 2
                             : sign + 1;
    field.value = term.substr(value);
    if (field.path != "metadata.name" && field.path != "metadata.namespace" &&
        !IsSelectable(kind, field.path)) {
      return base::InvalidArgument("field label not supported: {}", field.path);
    }
    filter.fields_.push_back(std::move(field));
  }
  return filter;
}

bool Filter::Matches(const Object& object) const {
  if (!ns_.empty() && object.ns != ns_) return false;
  if (!labels_.Matches(object.labels)) return false;
  Json document;  // parsed when a field needs it
  for (const Field& field : fields_) {
    std::string found;
    if (field.path == "metadata.name") {
      found = object.name;
    } else if (field.path == "metadata.namespace") {
      found = object.ns;
    } else {
      if (document.is_null()) document = Json::parse(object.body);
      found = FieldOf(document, field.path == "source" ? "source.component" : field.path);
    }
    if ((found == field.value) != field.equal) return false;
  }
  return true;
}

}  // namespace neap::playground
