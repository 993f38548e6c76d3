#include "scalers/metrics-api/documents.h"

#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <pugixml.hpp>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::scalers::metrics_api {
namespace {

std::optional<size_t> AsIndex(std::string_view text) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return index;
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

void SkipBlanks(std::string_view text, size_t& at) {
  while (at < text.size() && IsBlank(text[at])) ++at;
}

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

std::string_view TakeName(std::string_view text, size_t& at) {
  const size_t begin = at;
  while (at < text.size() &&
         (IsNameStart(text[at]) || (at > begin && text[at] >= '0' && text[at] <= '9'))) {
    ++at;
  }
  return text.substr(begin, at - begin);
}

// A quoted string at `at`, unescaped; false when there is none or it does not end.
bool TakeQuoted(std::string_view text, size_t& at, char quote, std::string& out) {
  if (at >= text.size() || text[at] != quote) return false;
  out.clear();
  for (++at; at < text.size(); ++at) {
    char c = text[at];
    if (c == quote) {
      ++at;
      return true;
    }
    if (c == '\\' && at + 1 < text.size()) {
      c = text[++at];
      if (c == 'n') c = '\n';
    }
    out += c;
  }
  return false;
}

// Whether an element is meant by `name`: its name as written, or without the namespace prefix.
bool Named(std::string_view element, std::string_view name) {
  if (element == name) return true;
  const size_t colon = element.find(':');
  return colon != std::string_view::npos && element.substr(colon + 1) == name;
}

// One line of the text format: `name{labels} value [timestamp] [# exemplar]`.
struct Sample {
  std::string_view name;
  std::vector<std::pair<std::string_view, std::string>> labels;
  std::string_view value;

  // False when the line is no sample.
  bool Parse(std::string_view line) {
    labels.clear();
    size_t at = 0;
    SkipBlanks(line, at);
    name = TakeName(line, at);
    if (name.empty()) return false;
    SkipBlanks(line, at);
    if (at < line.size() && line[at] == '{') {
      ++at;
      for (;;) {
        SkipBlanks(line, at);
        if (at < line.size() && line[at] == '}') break;
        const std::string_view label = TakeName(line, at);
        SkipBlanks(line, at);
        if (label.empty() || at >= line.size() || line[at] != '=') return false;
        ++at;
        SkipBlanks(line, at);
        std::string text;
        if (!TakeQuoted(line, at, '"', text)) return false;
        labels.emplace_back(label, std::move(text));
        SkipBlanks(line, at);
        if (at < line.size() && line[at] == ',') ++at;
      }
      ++at;
      SkipBlanks(line, at);
    }
    const size_t begin = at;
    while (at < line.size() && !IsBlank(line[at])) ++at;
    value = line.substr(begin, at - begin);
    return !value.empty();
  }

  std::string_view Label(std::string_view label) const {
    if (label == "__name__") return name;
    for (const auto& [key, text] : labels) {
      if (key == label) return text;
    }
    return {};
  }
};

}  // namespace

absl::StatusOr<Location> Location::Parse(Format format, std::string_view path) {
  Location location;
  location.format_ = format;
  location.path_ = std::string(path);
  switch (format) {
    case Format::kJson: {
      NEAP_ASSIGN_OR_RETURN(location.parsed_, JsonPath::Parse(path));
      break;
    }
    case Format::kXml:
    case Format::kYaml: {
      NEAP_ASSIGN_OR_RETURN(location.parsed_, ParseKeys(path));
      break;
    }
    case Format::kPrometheus: {
      NEAP_ASSIGN_OR_RETURN(location.parsed_, ParseSelector(path));
      break;
    }
  }
  return location;
}

absl::StatusOr<double> Location::Read(std::string_view body) const {
  absl::StatusOr<double> value;
  switch (format_) {
    case Format::kJson:
      value = ReadJson(body);
      break;
    case Format::kXml:
      value = ReadXml(body);
      break;
    case Format::kYaml:
      value = ReadYaml(body);
      break;
    case Format::kPrometheus:
      value = ReadPrometheus(body);
      break;
  }
  if (value.ok() && !std::isfinite(*value)) return NoNumber(fmt::format("{}", *value));
  return value;
}

absl::StatusOr<Location::Keys> Location::ParseKeys(std::string_view path) {
  Keys keys(1);
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 1 < path.size()) {
      keys.back() += path[++i];
    } else if (path[i] == '.') {
      keys.emplace_back();
    } else {
      keys.back() += path[i];
    }
  }
  for (const std::string& key : keys) {
    if (key.empty()) return base::InvalidArgument("path \"{}\" has an empty part", path);
  }
  return keys;
}

absl::StatusOr<Location::Selector> Location::ParseSelector(std::string_view path) {
  Selector selector;
  size_t at = 0;
  SkipBlanks(path, at);
  selector.name = std::string(TakeName(path, at));
  SkipBlanks(path, at);
  const auto error = [&](std::string_view what) {
    return base::InvalidArgument("selector \"{}\", position {}: {}", path, at + 1, what);
  };
  if (at < path.size() && path[at] == '{') {
    ++at;
    for (;;) {
      SkipBlanks(path, at);
      if (at < path.size() && path[at] == '}') break;
      Selector::Matcher matcher;
      matcher.label = std::string(TakeName(path, at));
      if (matcher.label.empty()) return error("a label's name or '}' is expected");
      SkipBlanks(path, at);
      const std::string_view rest = path.substr(at);
      if (rest.starts_with("=~") || rest.starts_with("!~")) {
        return error("matching by regular expression is not supported, only = and !=");
      }
      matcher.equal = !rest.starts_with("!=");
      if (matcher.equal && !rest.starts_with("=")) return error("= or != is expected");
      at += matcher.equal ? 1 : 2;
      SkipBlanks(path, at);
      const char quote = at < path.size() && path[at] == '\'' ? '\'' : '"';
      if (!TakeQuoted(path, at, quote, matcher.value)) return error("a quoted value is expected");
      selector.matchers.push_back(std::move(matcher));
      SkipBlanks(path, at);
      if (at < path.size() && path[at] == ',') {
        ++at;
      } else if (at >= path.size() || path[at] != '}') {
        return error("',' or '}' is expected");
      }
    }
    ++at;
    SkipBlanks(path, at);
  }
  if (at != path.size()) return error("nothing may follow the selector");
  if (selector.name.empty() && selector.matchers.empty()) {
    return error("a metric's name or a matcher is expected");
  }
  return selector;
}

absl::StatusOr<double> Location::ReadJson(std::string_view body) const {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(body.data(), body.size()).get(root)) {
    return base::InvalidArgument("the answer is not JSON: {}", simdjson::error_message(error));
  }
  const Found found = std::get<JsonPath>(parsed_).Find(root);
  if (const auto* length = std::get_if<int64_t>(&found)) return static_cast<double>(*length);
  if (const auto* json = std::get_if<simdjson::dom::element>(&found)) {
    if (json->is_number()) return double(*json);
    if (json->is_string()) return Quantity(std::string_view(*json));
  }
  if (found.nothing()) return Nothing();
  return NoNumber(found.KindName());
}

absl::StatusOr<double> Location::ReadYaml(std::string_view body) const {
  NEAP_ASSIGN_OR_RETURN(const std::vector<value::Value> documents,
                        value::ParseYaml(body, "the answer"));
  if (documents.empty()) return Nothing();
  const value::Value* at = &documents[0];
  for (const std::string& key : std::get<Keys>(parsed_)) {
    if (at->is_list()) {
      const std::optional<size_t> index = AsIndex(key);
      if (!index || *index >= at->list().size()) return Nothing();
      at = &at->list()[*index];
    } else {
      at = at->Get(key);
      if (at == nullptr) return Nothing();
    }
  }
  switch (at->kind()) {
    case value::Kind::kInt:
    case value::Kind::kReal:
      return at->AsReal();
    case value::Kind::kString:
      return Quantity(at->AsString());
    default:
      return NoNumber(fmt::format("a {}", value::KindName(at->kind())));
  }
}

absl::StatusOr<double> Location::ReadXml(std::string_view body) const {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(body.data(), body.size());
  if (!parsed) {
    return base::InvalidArgument("the answer is not XML: {} at byte {}", parsed.description(),
                                 parsed.offset);
  }
  std::vector<pugi::xml_node> at = {document};  // elements of one name: a list when several
  const Keys& keys = std::get<Keys>(parsed_);
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string& key = keys[i];
    std::vector<pugi::xml_node> next;
    if (at.size() == 1) {
      if (key.starts_with('-')) {
        if (i + 1 < keys.size()) return Nothing();
        for (const pugi::xml_attribute attribute : at[0].attributes()) {
          if (Named(attribute.name(), std::string_view(key).substr(1))) {
            return Quantity(attribute.value());
          }
        }
        return Nothing();
      }
      if (key == "#text" && i + 1 == keys.size()) break;
      for (const pugi::xml_node child : at[0].children()) {
        if (child.type() == pugi::node_element && Named(child.name(), key)) next.push_back(child);
      }
    }
    // A list that happens to have one element answers to the index 0, too.
    if (next.empty()) {
      const std::optional<size_t> index = AsIndex(key);
      if (!index || *index >= at.size()) return Nothing();
      next = {at[*index]};
    }
    at = std::move(next);
  }
  if (at.size() > 1) return NoNumber("a list");
  if (keys.back() != "#text" &&
      at[0].find_child([](pugi::xml_node child) { return child.type() == pugi::node_element; })) {
    return NoNumber("an element with elements in it");
  }
  return Quantity(at[0].text().as_string());
}

absl::StatusOr<double> Location::ReadPrometheus(std::string_view body) const {
  const Selector& selector = std::get<Selector>(parsed_);
  Sample sample;
  while (!body.empty()) {
    const size_t end = body.find('\n');
    std::string_view line = body.substr(0, end);
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    // Most lines are of other metrics: look at the name before anything is taken apart.
    if (!selector.name.empty()) {
      size_t at = 0;
      SkipBlanks(line, at);
      if (TakeName(line, at) != selector.name) continue;
    }
    if (!sample.Parse(line)) continue;
    bool matches = true;
    for (const Selector::Matcher& matcher : selector.matchers) {
      matches = matches && (sample.Label(matcher.label) == matcher.value) == matcher.equal;
    }
    if (!matches) continue;
    double value = 0;
    std::string_view text = sample.value;
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || at != text.data() + text.size()) {
      return NoNumber(fmt::format("\"{}\"", sample.value));
    }
    return value;
  }
  return Nothing();
}

absl::StatusOr<double> Location::Quantity(std::string_view text) const {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return NoNumber("an empty text");
  text = text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
  absl::StatusOr<base::Quantity> quantity = base::Quantity::Parse(text);
  if (!quantity.ok()) {
    // The answer may hold anything, a whole page as well: quote its beginning alone.
    return NoNumber(fmt::format("\"{}{}\"", text.substr(0, 40), text.size() > 40 ? "..." : ""));
  }
  return quantity->AsDouble();
}

absl::Status Location::Nothing() const {
  return base::NotFound("nothing at valueLocation \"{}\" in the answer", path_);
}

absl::Status Location::NoNumber(std::string_view what) const {
  return base::FailedPrecondition(
      "valueLocation \"{}\" must point to a finite number or a quantity, it points to {}", path_,
      what);
}

}  // namespace neap::scalers::metrics_api
