#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::value {
namespace {

constexpr int kMaxDepth = 100;

struct Position {
  int line = 1;
  int column = 1;
};

Position PositionOf(std::string_view text, size_t at) {
  Position p;
  for (const char c : text.substr(0, at)) {
    p.column = c == '\n' ? 1 : p.column + 1;
    p.line += c == '\n' ? 1 : 0;
  }
  return p;
}

// Walks the text in step with the tree that simdjson made of it, so the text is known to be JSON:
// only the tokens' ends have to be found.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  // Skips blanks and separators; where the next token begins.
  Position Next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n,:").find(text_[at_]) < 6) Step();
    return here_;
  }
  void Step() {
    here_.column = text_[at_] == '\n' ? 1 : here_.column + 1;
    here_.line += text_[at_] == '\n' ? 1 : 0;
    ++at_;
  }
  // Skips a string, number or word; of a list or map its opening bracket.
  void SkipToken() {
    if (at_ >= text_.size()) return;
    if (text_[at_] == '"') {
      for (Step(); at_ < text_.size() && text_[at_] != '"'; Step()) {
        if (text_[at_] == '\\') Step();
      }
      if (at_ < text_.size()) Step();
      return;
    }
    if (std::string_view("[]{}").find(text_[at_]) < 4) return Step();
    while (at_ < text_.size() && std::string_view(" \t\r\n,:]}").find(text_[at_]) > 7) Step();
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
  Position here_;
};

class Converter {
 public:
  Converter(std::string_view text, std::string_view source) : cursor_(text), source_(source) {}

  absl::StatusOr<Value> Convert(simdjson::dom::element element, int depth) {
    using simdjson::dom::element_type;
    const Position at = cursor_.Next();
    if (depth > kMaxDepth) return Error(at, fmt::format("nested deeper than {}", kMaxDepth));
    cursor_.SkipToken();
    Value value;
    switch (element.type()) {
      case element_type::NULL_VALUE:
        break;
      case element_type::BOOL:
        value = Value::Bool(bool(element));
        break;
      case element_type::INT64:
        value = Value::Int(int64_t(element));
        break;
      case element_type::UINT64: {
        const auto number = uint64_t(element);
        value = Value::Real(static_cast<double>(number), std::to_string(number));
        break;
      }
      case element_type::DOUBLE:
        value = Value::Real(double(element), simdjson::minify(element));
        break;
      case element_type::STRING:
        value = Value::String(std::string(std::string_view(element)));
        break;
      case element_type::ARRAY: {
        std::vector<Value> list;
        for (simdjson::dom::element item : simdjson::dom::array(element)) {
          NEAP_ASSIGN_OR_RETURN(Value converted, Convert(item, depth + 1));
          list.push_back(std::move(converted));
        }
        cursor_.Next();
        cursor_.SkipToken();
        value = Value::List(std::move(list));
        break;
      }
      case element_type::OBJECT: {
        std::vector<Value::Member> map;
        for (auto field : simdjson::dom::object(element)) {
          const Position key_at = cursor_.Next();
          cursor_.SkipToken();
          for (const Value::Member& other : map) {
            if (other.first == field.key)
              return Error(key_at, fmt::format("duplicate key \"{}\"", field.key));
          }
          NEAP_ASSIGN_OR_RETURN(Value converted, Convert(field.value, depth + 1));
          if (converted.is_list() || converted.is_map())
            converted.SetPosition(key_at.line, key_at.column);
          map.emplace_back(std::string(field.key), std::move(converted));
        }
        cursor_.Next();
        cursor_.SkipToken();
        value = Value::Map(std::move(map));
        break;
      }
    }
    value.SetPosition(at.line, at.column);
    return value;
  }

 private:
  absl::Status Error(Position at, std::string_view what) const {
    return base::InvalidArgument("{}:{}:{}: {}", source_, at.line, at.column, what);
  }

  Cursor cursor_;
  const std::string_view source_;
};

// Where a text stops being JSON: simdjson does not tell, so the slower parser looks again.
Position FailurePosition(std::string_view text) {
  try {
    const auto ignored = nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& error) {
    return PositionOf(text, error.byte > 0 ? error.byte - 1 : 0);
  } catch (const nlohmann::json::exception&) {
    return {};
  }
  return {};
}

}  // namespace

absl::StatusOr<Value> ParseJson(std::string_view text, std::string_view source) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root)) {
    const Position at = FailurePosition(text);
    return base::InvalidArgument("{}:{}:{}: not JSON: {}", source, at.line, at.column,
                                 simdjson::error_message(error));
  }
  return Converter(text, source).Convert(root, 0);
}

}  // namespace neap::value
