// JsonPath: the paths with which metrics-api's `valueLocation` points into a JSON answer. It is the
// part of the gjson syntax (the library behind KEDA) that finds a value:
//
//   a.b.c          members          a.2.b       element 2 of a list (from 0)
//   a.#            length           a.#.b       b of every element: a list, so only "a.#.b|#" ends
//   a.#(k=="x").v  the first        a.#(k>3)#   all of those       in a number
//   a*.b?          wildcards        a\.b        the member "a.b"
//   a|b            as a.b, but after "#" it applies to the list and not to each element
//
// Conditions: == = != < <= > >= and % !% (like, with wildcards), compared as text with text and
// numbers with numbers; "#(k)" asks whether k is there; "#(>3)" compares the elements; k may be a
// path. Refused when parsed, naming the character: modifiers (@this), multipaths ({a,b} and [a,b]),
// literals (!x) and JSON lines (..), whose result no metric needs.
//
// Immutable; thread-safe. Used by documents.h alone.
#pragma once

#include <absl/status/statusor.h>
#include <simdjson.h>

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace neap::scalers::metrics_api {

// What a path finds: nothing, a JSON element (borrowed from its parser), a length, or a list of
// found things.
struct Found;
using FoundList = std::vector<Found>;
struct Found : std::variant<std::monostate, simdjson::dom::element, int64_t, FoundList> {
  using variant::variant;
  bool nothing() const { return index() == 0; }
  // "a list", "an object", "nothing", ... for messages.
  std::string_view KindName() const;
};

class JsonPath {
 public:
  // Errors: InvalidArgument that quotes the path and says where it goes wrong.
  static absl::StatusOr<JsonPath> Parse(std::string_view path);
  // Duplicate members: the first one counts, as in gjson.
  Found Find(simdjson::dom::element root) const;

 private:
  struct Condition;
  struct Step {
    enum class Kind { kMember, kEach, kFirst, kAll };
    Kind kind = Kind::kMember;
    bool piped = false;    // came after "|": applies to a found list as a whole
    bool pattern = false;  // kMember: has wildcards
    std::string name;      // kMember: the key, escapes kept when `pattern`
    std::shared_ptr<const Condition> condition;  // kFirst, kAll
  };
  friend class JsonPathParser;
  static Found Walk(Found from, const Step* step, const Step* end);
  static Found WalkElement(simdjson::dom::element from, const Step* step, const Step* end);
  static bool Matches(const Condition& condition, simdjson::dom::element element);

  std::vector<Step> steps_;
};

// The wildcard match of gjson: '*' any text, '?' one character, '\' takes the next one literally.
bool Like(std::string_view text, std::string_view pattern);

}  // namespace neap::scalers::metrics_api
