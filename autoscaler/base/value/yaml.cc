#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::value {
namespace {

constexpr int kMaxDepth = 100;
constexpr int kMaxNodes = 100000;  // aliases are expanded: this is what stops an alias bomb

// A plain scalar by the core schema of YAML 1.2, as Kubernetes' reader takes it.
Value Scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return {};
  if (text == "true" || text == "True" || text == "TRUE") return Value::Bool(true);
  if (text == "false" || text == "False" || text == "FALSE") return Value::Bool(false);
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  int64_t integer = 0;
  if (const auto [at, error] = std::from_chars(begin, end, integer);
      error == std::errc() && at == end) {
    return Value::Int(integer);
  }
  // Only what looks like a number: from_chars also knows "inf" and "nan", which stay words here.
  if (text.find_first_not_of("0123456789+-.eE") == std::string::npos) {
    double real = 0;
    if (const auto [at, error] = std::from_chars(begin, end, real);
        error == std::errc() && at == end) {
      return Value::Real(real, text);
    }
  }
  return Value::String(text);
}

class Converter {
 public:
  explicit Converter(std::string_view source) : source_(source) {}

  absl::StatusOr<Value> Convert(const YAML::Node& node, int depth) {
    const int line = node.Mark().line + 1;
    const int column = node.Mark().column + 1;
    if (depth > kMaxDepth)
      return Error(line, column, fmt::format("nested deeper than {}", kMaxDepth));
    if (++nodes_ > kMaxNodes)
      return Error(line, column, fmt::format("more than {} values", kMaxNodes));
    Value value;
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        break;
      case YAML::NodeType::Scalar:
        // "?" is a plain scalar; "!" a quoted one, and so is a text with an explicit string tag.
        value = node.Tag() == "?" || node.Tag().empty() ? Scalar(node.Scalar())
                                                        : Value::String(node.Scalar());
        break;
      case YAML::NodeType::Sequence: {
        std::vector<Value> list;
        for (const YAML::Node& item : node) {
          NEAP_ASSIGN_OR_RETURN(Value converted, Convert(item, depth + 1));
          list.push_back(std::move(converted));
        }
        value = Value::List(std::move(list));
        break;
      }
      case YAML::NodeType::Map: {
        std::vector<Value::Member> map;
        for (const auto& pair : node) {
          const int key_line = pair.first.Mark().line + 1;
          const int key_column = pair.first.Mark().column + 1;
          if (!pair.first.IsScalar()) return Error(key_line, key_column, "a key must be a scalar");
          const std::string& key = pair.first.Scalar();
          for (const Value::Member& other : map) {
            if (other.first == key)
              return Error(key_line, key_column, fmt::format("duplicate key \"{}\"", key));
          }
          NEAP_ASSIGN_OR_RETURN(Value converted, Convert(pair.second, depth + 1));
          // The key's place is the better one to point at: a block list or map begins a line later,
          // and a null value has no place of its own.
          if (converted.is_null() || converted.is_list() || converted.is_map())
            converted.SetPosition(key_line, key_column);
          map.emplace_back(key, std::move(converted));
        }
        value = Value::Map(std::move(map));
        break;
      }
    }
    value.SetPosition(line, column);
    return value;
  }

 private:
  absl::Status Error(int line, int column, std::string_view what) const {
    return base::InvalidArgument("{}:{}:{}: {}", source_, line, column, what);
  }

  const std::string_view source_;
  int nodes_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<Value>> ParseYaml(std::string_view text, std::string_view source) {
  std::vector<Value> out;
  try {
    // yaml-cpp takes a quoted scalar that ends with the file; a document mark behind it tells. A
    // file that was cut off must not pass.
    const std::string all(text);
    YAML::LoadAll(all + (all.empty() || all.back() == '\n' ? "---\n" : "\n---\n"));
    for (const YAML::Node& document : YAML::LoadAll(all)) {
      NEAP_ASSIGN_OR_RETURN(Value value, Converter(source).Convert(document, 0));
      if (!value.is_null()) out.push_back(std::move(value));
    }
  } catch (const YAML::Exception& error) {
    return base::InvalidArgument("{}:{}:{}: not YAML: {}", source, error.mark.line + 1,
                                 error.mark.column + 1, error.msg);
  }
  return out;
}

absl::StatusOr<std::vector<Value>> ParseDocuments(std::string_view text, std::string_view source) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool named_json = source.ends_with(".json");
  if (named_json ||
      (first != std::string_view::npos && (text[first] == '{' || text[first] == '['))) {
    absl::StatusOr<Value> json = ParseJson(text, source);
    if (json.ok()) {
      std::vector<Value> one;
      one.push_back(*std::move(json));
      return one;
    }
    if (named_json) return json.status();
  }
  return ParseYaml(text, source);
}

}  // namespace neap::value
