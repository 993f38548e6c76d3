// Value: a tree of plain data read from JSON or YAML that knows where each node stands, so that
// every error can name file, line and field. The strict decoders of kube/objects and the config
// file read it; nothing writes through it.
//
//   NEAP_ASSIGN_OR_RETURN(Value doc, value::ParseJson(body, "https://.../deployments"));
//   const Value* replicas = doc.Find("spec.replicas");
//
// Immutable after parsing; thread-safe; values own their children.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace neap::value {

enum class Kind { kNull, kBool, kInt, kReal, kString, kList, kMap };
std::string_view KindName(
    Kind kind);  // "null", "boolean", "integer", "number", "string", "list", "map"

class Value {
 public:
  using Member = std::pair<std::string, Value>;

  Value() = default;  // null
  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_map() const { return kind_ == Kind::kMap; }
  bool is_list() const { return kind_ == Kind::kList; }
  bool is_string() const { return kind_ == Kind::kString; }

  // Each requires that kind (NEAP_CHECK); AsReal accepts kInt too.
  bool AsBool() const;
  int64_t AsInt() const;
  double AsReal() const;
  const std::string& AsString() const;
  // The scalar as it was written ("1.50", "true", a string's text); "" for null, lists and maps.
  const std::string& text() const { return text_; }
  const std::vector<Value>& list() const { return list_; }
  const std::vector<Member>& map() const {
    return map_;
  }  // in the document's order; keys are unique (duplicates are refused)

  // The member of a map, or nullptr (also when this is no map).
  const Value* Get(std::string_view key) const;
  // By a dotted path of map keys, "spec.template.metadata"; nullptr when any part is missing. Keys
  // with dots: use Get.
  const Value* Find(std::string_view dotted) const;
  // Find, then AsString / AsInt; the fallback when missing or of another kind. For API answers,
  // where unknown shapes are not our user's mistake.
  std::string_view StringAt(std::string_view dotted, std::string_view fallback = "") const;
  int64_t IntAt(std::string_view dotted, int64_t fallback = 0) const;

  // Where the value begins, 1-based; a list or map that is a map's member stands at its key. 0 when
  // it was not parsed.
  int line() const { return line_; }
  int column() const { return column_; }

  // For the parsers and for tests.
  static Value Bool(bool v);
  static Value Int(int64_t v);
  static Value Real(double v, std::string text);
  static Value String(std::string v);
  static Value List(std::vector<Value> v);
  static Value Map(std::vector<Member> v);
  void SetPosition(int line, int column) {
    line_ = line;
    column_ = column;
  }

 private:
  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  int64_t int_ = 0;
  double real_ = 0;
  std::string text_;
  std::vector<Value> list_;
  std::vector<Member> map_;
  int line_ = 0;
  int column_ = 0;
};

// One JSON document (simdjson). Errors: InvalidArgument with source:line:column and what is wrong;
// duplicate keys are refused; nesting deeper than 100 is refused.
absl::StatusOr<Value> ParseJson(std::string_view text, std::string_view source);

// All documents of a YAML stream (yaml-cpp), empty ones left out. YAML 1.2 core schema as
// Kubernetes reads it: true/false are booleans (yes/no/on/off stay strings), 010 is decimal ten,
// quoted scalars are strings. Errors name source:line:column; duplicate keys, anchors that expand
// beyond 100,000 nodes and nesting deeper than 100 are refused.
absl::StatusOr<std::vector<Value>> ParseYaml(std::string_view text, std::string_view source);

// All documents of a file that holds JSON or YAML: JSON when `source` ends with ".json", or when
// the text is JSON; else YAML. Errors as above.
absl::StatusOr<std::vector<Value>> ParseDocuments(std::string_view text, std::string_view source);

// Compact JSON text of a tree (member order kept).
std::string ToJson(const Value& value);

}  // namespace neap::value
