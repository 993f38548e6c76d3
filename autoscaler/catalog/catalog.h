// Catalog: what kinds of trigger there are and which parameters they take, as plain values, read
// from a scaler's manifest (or its Describe answer, by the same function). The scaler SDK parses
// parameters by it, kube/objects and neapctl check triggers against it. No I/O; values are
// immutable once made and thread-safe.
//
//   NEAP_ASSIGN_OR_RETURN(auto types, catalog::ParseManifest(text, "scalers/redis"));
//   std::vector<FieldError> errors = catalog::Check(types[0], trigger);
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/catalog/values.h"

namespace neap::catalog {

enum class Kind { kString, kInt, kFloat, kBool, kDuration, kList, kMap, kQuantity };
// Where a value may stand: the trigger's metadata, the referenced authentication, or a variable
// that metadata's `<parameter>FromEnv` names.
enum class Source { kMetadata, kAuth, kEnv };
enum class TargetKind { kUnspecified, kValue, kAverageValue, kUtilization };

struct Parameter {
  std::string name = {};
  std::vector<std::string> aliases = {};  // tried after the name, in order
  Kind kind = Kind::kString;
  bool required = false;
  std::optional<std::string> default_value = {};
  bool secret = false;                           // never logged, journaled or echoed
  std::vector<Source> sources = {};              // in order of precedence; none: metadata
  std::vector<std::string> allowed_values = {};  // of each element, for a list; none: any
  std::string exclusive_group = {};              // at most one of a group may be set; "" = none
  std::string deprecated = {};                   // not "": setting it is an error with this text
  std::string description = {};
};

struct TriggerType {
  std::string type;
  std::string summary;
  std::vector<Parameter> parameters;
  bool pushes = false;
  std::string target_parameter;  // "listLength"; "" = the scaler computes the target
  std::string activation_parameter;
  std::vector<TargetKind> allowed_targets;  // the first is the default
  bool needs_pod_selector = false;

  // The parameter of that name or alias, or nullptr.
  const Parameter* Find(std::string_view name) const;
};

using Texts = std::map<std::string, std::string, std::less<>>;

// A trigger's parameters as they were written, still apart by where they stood.
struct TriggerText {
  Texts metadata = {};
  Texts auth = {};
  Texts env = {};                 // variables that metadata's <parameter>FromEnv names
  std::string pod_identity = {};  // provider; "" and "none" = none
};

struct FieldError {
  std::string parameter;  // "" when it is of no single one
  std::string message;
  bool operator==(const FieldError&) const = default;
};

// The trigger types of a manifest in protobuf's text form. `source` names it in errors.
// Errors: InvalidArgument with source and line; a type or parameter without a name, a parameter
// named twice, a default that its own kind refuses.
absl::StatusOr<std::vector<TriggerType>> ParseManifest(std::string_view text,
                                                       std::string_view source);
// The same from a serialised neap.scaler.v1.Manifest (a Describe answer's trigger_types).
absl::StatusOr<std::vector<TriggerType>> ParseBinaryManifest(std::string_view bytes,
                                                             std::string_view source);

// The value of a parameter: the first that is not blank, by source and then by name, blanks cut
// off; its default when none is set; nothing otherwise.
struct FoundValue {
  std::string text;
  std::string name;  // under which it stood; the parameter's own for a default
  bool is_default = false;
  Source source = Source::kMetadata;
};
std::optional<FoundValue> FindValue(const Parameter& parameter, const TriggerText& trigger);

// Everything wrong with a trigger as far as its manifest tells: missing, of the wrong kind, not
// allowed, excluding one another, deprecated. Messages never hold a secret's value. Unknown keys
// are no error.
std::vector<FieldError> Check(const TriggerType& type, const TriggerText& trigger);

// Metadata keys that no parameter knows, with a suggestion: "listLenght: unknown parameter (did
// you mean \"listLength\"?)".
std::vector<std::string> UnknownKeys(const TriggerType& type, const TriggerText& trigger);

std::string_view KindName(Kind kind);        // "integer", "list", ...
std::string_view SourceName(Source source);  // "metadata", "authentication", "environment"

}  // namespace neap::catalog
