#include <simdjson.h>

#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::value {
namespace {

constexpr int kMaxDepth = 100;

absl::StatusOr<Value> Convert(simdjson::dom::element element, std::string_view source, int depth) {
  using simdjson::dom::element_type;
  if (depth > kMaxDepth)
    return base::InvalidArgument("{}: nested deeper than {}", source, kMaxDepth);
  switch (element.type()) {
    case element_type::NULL_VALUE:
      return Value();
    case element_type::BOOL:
      return Value::Bool(bool(element));
    case element_type::INT64:
      return Value::Int(int64_t(element));
    case element_type::UINT64: {
      const auto number = uint64_t(element);
      return Value::Real(static_cast<double>(number), std::to_string(number));
    }
    case element_type::DOUBLE: {
      const auto number = double(element);
      return Value::Real(number, simdjson::minify(element));
    }
    case element_type::STRING:
      return Value::String(std::string(std::string_view(element)));
    case element_type::ARRAY: {
      std::vector<Value> list;
      for (simdjson::dom::element item : simdjson::dom::array(element)) {
        NEAP_ASSIGN_OR_RETURN(Value value, Convert(item, source, depth + 1));
        list.push_back(std::move(value));
      }
      return Value::List(std::move(list));
    }
    case element_type::OBJECT: {
      std::vector<Value::Member> map;
      for (auto field : simdjson::dom::object(element)) {
        for (const Value::Member& other : map) {
          if (other.first == field.key)
            return base::InvalidArgument("{}: duplicate key \"{}\"", source, field.key);
        }
        NEAP_ASSIGN_OR_RETURN(Value value, Convert(field.value, source, depth + 1));
        map.emplace_back(std::string(field.key), std::move(value));
      }
      return Value::Map(std::move(map));
    }
  }
  return base::Internal("{}: unknown JSON element", source);
}

}  // namespace

absl::StatusOr<Value> ParseJson(std::string_view text, std::string_view source) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root)) {
    return base::InvalidArgument("{}: not JSON: {}", source, simdjson::error_message(error));
  }
  return Convert(root, source, 0);
}

}  // namespace neap::value
