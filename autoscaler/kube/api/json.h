// Reading API objects with simdjson, each field once and in any order: what decoders of big lists
// share. The functions return DataLoss when the JSON is broken or of another type than the API's
// schema says. Where the API's null means "not set" it is read as such.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "autoscaler/base/status.h"
#include "autoscaler/base/text.h"

namespace neap::kube::api {

using JsonObject = simdjson::ondemand::object;
using JsonValue = simdjson::ondemand::value;

inline absl::Status JsonError(simdjson::error_code error) {
  return base::DataLoss("broken JSON: {}", simdjson::error_message(error));
}

// Calls `each(key, value)` -> absl::Status for every member.
template <typename Each>
absl::Status EachMember(JsonObject& object, Each each) {
  for (auto field : object) {
    std::string_view key;
    JsonValue value;
    if (auto error = field.unescaped_key().get(key)) return JsonError(error);
    if (auto error = field.value().get(value)) return JsonError(error);
    NEAP_RETURN_IF_ERROR(each(key, value));
  }
  return absl::OkStatus();
}

// The same for a value that is an object; null has no members.
template <typename Each>
absl::Status EachMember(JsonValue& value, Each each) {
  bool null = false;
  if (auto error = value.is_null().get(null)) return JsonError(error);
  if (null) return absl::OkStatus();
  JsonObject object;
  if (auto error = value.get_object().get(object)) return JsonError(error);
  return EachMember(object, each);
}

// Calls `each(value)` -> absl::Status for every element of an array; null has none.
template <typename Each>
absl::Status EachElement(JsonValue& value, Each each) {
  bool null = false;
  if (auto error = value.is_null().get(null)) return JsonError(error);
  if (null) return absl::OkStatus();
  simdjson::ondemand::array array;
  if (auto error = value.get_array().get(array)) return JsonError(error);
  for (auto item : array) {
    JsonValue element;
    if (auto error = item.get(element)) return JsonError(error);
    NEAP_RETURN_IF_ERROR(each(element));
  }
  return absl::OkStatus();
}

// The text lives as long as the document.
inline absl::Status GetText(JsonValue& value, std::string_view* out) {
  bool null = false;
  if (auto error = value.is_null().get(null)) return JsonError(error);
  if (null) return absl::OkStatus();
  if (auto error = value.get_string().get(*out)) return JsonError(error);
  return absl::OkStatus();
}

inline absl::Status GetString(JsonValue& value, std::string* out) {
  std::string_view text = *out;
  NEAP_RETURN_IF_ERROR(GetText(value, &text));
  if (text.data() != out->data()) *out = text;
  return absl::OkStatus();
}

inline absl::Status GetString(JsonValue& value, base::Text* out) {
  std::string_view text = *out;
  NEAP_RETURN_IF_ERROR(GetText(value, &text));
  *out = text;
  return absl::OkStatus();
}

inline absl::Status GetInt32(JsonValue& value, int32_t* out) {
  bool null = false;
  if (auto error = value.is_null().get(null)) return JsonError(error);
  if (null) return absl::OkStatus();
  int64_t number = 0;
  if (auto error = value.get_int64().get(number)) return JsonError(error);
  if (number < INT32_MIN || number > INT32_MAX) {
    return base::DataLoss("broken JSON: {} does not fit 32 bits", number);
  }
  *out = static_cast<int32_t>(number);
  return absl::OkStatus();
}

}  // namespace neap::kube::api
