#include "autoscaler/base/value/value.h"

#include <nlohmann/json.hpp>

#include "autoscaler/base/check.h"

namespace neap::value {

std::string_view KindName(Kind kind) {
  static constexpr std::string_view kNames[] = {"null",   "boolean", "integer", "number",
                                                "string", "list",    "map"};
  return kNames[static_cast<int>(kind)];
}

bool Value::AsBool() const {
  NEAP_CHECK(kind_ == Kind::kBool, "a {} is no boolean", KindName(kind_));
  return bool_;
}

int64_t Value::AsInt() const {
  NEAP_CHECK(kind_ == Kind::kInt, "a {} is no integer", KindName(kind_));
  return int_;
}

double Value::AsReal() const {
  NEAP_CHECK(kind_ == Kind::kInt || kind_ == Kind::kReal, "a {} is no number", KindName(kind_));
  return kind_ == Kind::kInt ? static_cast<double>(int_) : real_;
}

const std::string& Value::AsString() const {
  NEAP_CHECK(kind_ == Kind::kString, "a {} is no string", KindName(kind_));
  return text_;
}

const Value* Value::Get(std::string_view key) const {
  for (const Member& member : map_) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Value* Value::Find(std::string_view dotted) const {
  const Value* at = this;
  while (at != nullptr && !dotted.empty()) {
    const size_t dot = dotted.find('.');
    at = at->Get(dotted.substr(0, dot));
    dotted = dot == std::string_view::npos ? std::string_view() : dotted.substr(dot + 1);
  }
  return at;
}

std::string_view Value::StringAt(std::string_view dotted, std::string_view fallback) const {
  const Value* found = Find(dotted);
  return found != nullptr && found->is_string() ? std::string_view(found->text_) : fallback;
}

int64_t Value::IntAt(std::string_view dotted, int64_t fallback) const {
  const Value* found = Find(dotted);
  return found != nullptr && found->kind_ == Kind::kInt ? found->int_ : fallback;
}

Value Value::Bool(bool v) {
  Value value;
  value.kind_ = Kind::kBool;
  value.bool_ = v;
  value.text_ = v ? "true" : "false";
  return value;
}

Value Value::Int(int64_t v) {
  Value value;
  value.kind_ = Kind::kInt;
  value.int_ = v;
  value.text_ = std::to_string(v);
  return value;
}

Value Value::Real(double v, std::string text) {
  Value value;
  value.kind_ = Kind::kReal;
  value.real_ = v;
  value.text_ = std::move(text);
  return value;
}

Value Value::String(std::string v) {
  Value value;
  value.kind_ = Kind::kString;
  value.text_ = std::move(v);
  return value;
}

Value Value::List(std::vector<Value> v) {
  Value value;
  value.kind_ = Kind::kList;
  value.list_ = std::move(v);
  return value;
}

Value Value::Map(std::vector<Member> v) {
  Value value;
  value.kind_ = Kind::kMap;
  value.map_ = std::move(v);
  return value;
}

namespace {

nlohmann::ordered_json Build(const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBool:
      return value.AsBool();
    case Kind::kInt:
      return value.AsInt();
    case Kind::kReal:
      return value.AsReal();
    case Kind::kString:
      return value.AsString();
    case Kind::kList: {
      nlohmann::ordered_json out = nlohmann::ordered_json::array();
      for (const Value& item : value.list()) out.push_back(Build(item));
      return out;
    }
    case Kind::kMap: {
      nlohmann::ordered_json out = nlohmann::ordered_json::object();
      for (const auto& [key, item] : value.map()) out[key] = Build(item);
      return out;
    }
  }
  return nullptr;
}

}  // namespace

std::string ToJson(const Value& value) {
  return Build(value).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace neap::value
