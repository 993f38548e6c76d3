// Fields: one map of an object while it is decoded. Knows which field names there are, says what is
// wrong with the words of the API's field errors, and reports names that it does not know. Used by
// kube/objects and sim's world files; lives on a decoder's stack, borrows the value and the report.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/quantity.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::kube::objects {

// Where problems of one object go.
class Report {
 public:
  Report(const DecodeOptions& options, Decoded& out) : options_(options), out_(out) {}

  void Error(const value::Value* at, std::string path, std::string message);
  void Warning(const value::Value* at, std::string path, std::string message);
  void Unknown(const value::Value* at, std::string path, std::string message);  // by the options
  // A map at `path` knows `names`. List positions become "[]".
  void Record(std::string_view path, std::span<const std::string_view> names);
  const DecodeOptions& options() const { return options_; }
  size_t error_count() const { return out_.errors.size(); }

 private:
  const DecodeOptions& options_;
  Decoded& out_;
};

class Fields {
 public:
  // `map` may be null or a null value: then no field is there. Another kind is an error. Unknown
  // names are reported at once.
  Fields(const value::Value* map, std::string path, Report& report,
         std::initializer_list<std::string_view> known);
  Fields(const value::Value* map, std::string path, Report& report,
         std::span<const std::string_view> known);
  // The field `key` of `parent`: when it is missing, errors point at the parent.
  Fields(Fields& parent, std::string_view key, std::initializer_list<std::string_view> known);
  // A map with names of the user's own (labels, a trigger's metadata): none is unknown.
  Fields(const value::Value* map, std::string path, Report& report);

  // False when the map is missing, null or no map.
  bool present() const { return map_ != nullptr; }
  const std::string& path() const { return path_; }
  std::string Path(std::string_view key) const;
  Report& report() { return report_; }

  // The field's value, or nullptr when it is missing or null. `key` must be one of the known names.
  const value::Value* Get(std::string_view key) const;
  // Where an error about the field points: at it, or at this map when it is missing.
  const value::Value* At(std::string_view key) const;

  // Of another kind: an error, and as if it were missing.
  std::string String(std::string_view key);
  std::optional<int32_t> Int32(std::string_view key);
  std::optional<bool> Bool(std::string_view key);
  std::optional<base::Quantity> Quantity(std::string_view key);  // text or number
  const std::vector<value::Value>* List(std::string_view key);
  // One of `allowed`; nullopt when missing, and with an error when it is another.
  std::optional<size_t> Enum(std::string_view key, std::span<const std::string_view> allowed);

  // Errors in the API's words, at the field, or at this map when the field is missing.
  void Required(std::string_view key, std::string_view detail);   // "Required value: detail"
  void Invalid(std::string_view key, std::string_view detail);    // "Invalid value: <text>: detail"
  void Forbidden(std::string_view key, std::string_view detail);  // "Forbidden: detail"
  void NotSupported(std::string_view key, std::string_view value,
                    std::span<const std::string_view> allowed);
  void Error(std::string_view key, std::string message);

 private:
  void WrongKind(std::string_view key, std::string_view expected);

  const value::Value* map_ = nullptr;
  const value::Value* place_ = nullptr;  // where errors about missing fields point
  const std::string path_;
  Report& report_;
};

// A value as an error shows it: strings quoted, lists and maps by their kind.
std::string Show(const value::Value& value);

// "\"A\", \"B\"" of the values that a field may have.
std::string Supported(std::span<const std::string_view> allowed);

// What is wrong with `text` as a part of an API path (names of targets and metrics), or "".
std::string PathSegmentProblem(std::string_view text);

// Decoders of parts, shared by the kinds.

core::ObjectReference DecodeReference(Fields& parent, std::string_view key, bool needs_group);
// One metrics[] entry, validated as the API does.
core::MetricSpec DecodeMetric(const value::Value& value, std::string path, Report& report);
// behavior with both directions filled.
core::Behavior DecodeBehavior(Fields& parent, std::string_view key);
base::LabelSelector DecodeSelector(Fields& parent, std::string_view key);
// triggers[]: cpu and memory go to `metrics`.
void DecodeTriggers(const std::vector<value::Value>& list, const std::string& path, Report& report,
                    core::AutoscalerSpec& spec);

}  // namespace neap::kube::objects
