// Label selectors: the string grammar of the API ("app=web,tier in (a,b),!x") and the structured
// form of objects (matchLabels, matchExpressions). Source of the grammar: the API's label selector
// syntax; canonical text sorts requirements by key and values alphabetically and keeps "=" and "=="
// apart.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace neap::base {

class LabelSet;  // label_set.h
using Labels = std::map<std::string, std::string, std::less<>>;

enum class SelectorOperator {
  kEquals,
  kDoubleEquals,
  kNotEquals,
  kIn,
  kNotIn,
  kExists,
  kDoesNotExist,
  kGreaterThan,
  kLessThan
};

struct Requirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kEquals;
  std::vector<std::string> values;  // sorted
  bool operator==(const Requirement&) const = default;
};

// A parsed selector; immutable, thread-safe. Default: matches everything (the empty selector).
class Selector {
 public:
  Selector() = default;
  // From requirements that are checked and sorted by key (LabelSelector::ToSelector).
  explicit Selector(std::vector<Requirement> requirements)
      : requirements_(std::move(requirements)) {}
  static Selector Nothing();  // matches no labels at all
  // Errors: InvalidArgument naming the position or the bad key, value or operator.
  static absl::StatusOr<Selector> Parse(std::string_view text);

  bool Matches(const Labels& labels) const;
  bool MatchesSet(const LabelSet& labels) const;
  bool empty() const { return !nothing_ && requirements_.empty(); }
  std::string Text() const;  // canonical; "" for the empty one
  const std::vector<Requirement>& requirements() const { return requirements_; }
  bool operator==(const Selector&) const = default;

 private:
  bool nothing_ = false;
  std::vector<Requirement> requirements_;
};

// metav1.LabelSelector as an object carries it, kept as written because status shows it unchanged.
struct LabelSelector {
  struct Expression {
    std::string key;
    std::string op;  // In, NotIn, Exists, DoesNotExist
    std::vector<std::string> values;
    bool operator==(const Expression&) const = default;
  };
  std::vector<std::pair<std::string, std::string>> match_labels;  // sorted by key
  std::vector<Expression> match_expressions;                      // in the object's order
  bool operator==(const LabelSelector&) const = default;

  // The selector it means. Errors: InvalidArgument (In without values, unknown operator, bad key or
  // value), with upstream's words, since they surface in conditions.
  absl::StatusOr<Selector> ToSelector() const;
};

}  // namespace neap::base
