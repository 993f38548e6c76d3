#include "scalers/metrics-api/json_path.h"

#include <charconv>
#include <optional>

#include "autoscaler/base/status.h"

namespace neap::scalers::metrics_api {

using simdjson::dom::element;
using simdjson::dom::element_type;

struct JsonPath::Condition {
  enum class Op {
    kExists,
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kLike,
    kNotLike
  };
  JsonPath path;  // empty: the element itself
  Op op = Op::kExists;
  std::string text;              // right side, unquoted
  std::optional<double> number;  // right side as a number, where it is one
};

namespace {

constexpr int kMaxDepth = 20;  // of conditions within conditions

std::optional<double> AsNumber(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Position after the bracket that closes the one at `open`; npos when none does. Quoted text is
// skipped.
size_t Close(std::string_view text, size_t open) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = open; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '(' || c == '[')) {
      ++depth;
    } else if (!quoted && (c == ')' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

template <typename T>
bool Compare(const T& left, const T& right, auto op) {
  using Op = decltype(op);
  switch (op) {
    case Op::kEqual:
      return left == right;
    case Op::kNotEqual:
      return left != right;
    case Op::kLess:
      return left < right;
    case Op::kLessEqual:
      return left <= right;
    case Op::kGreater:
      return left > right;
    case Op::kGreaterEqual:
      return left >= right;
    default:
      return false;
  }
}

}  // namespace

bool Like(std::string_view text, std::string_view pattern) {
  // The usual two-pointer match: on a mismatch the last '*' takes one character more.
  size_t t = 0;
  size_t p = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    const size_t at = escaped ? p + 1 : p;
    if (at < pattern.size() && ((!escaped && pattern[at] == '?') || pattern[at] == text[t])) {
      ++t;
      p = at + 1;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view Found::KindName() const {
  if (const auto* json = std::get_if<element>(this)) {
    switch (json->type()) {
      case element_type::ARRAY:
        return "a list";
      case element_type::OBJECT:
        return "an object";
      case element_type::STRING:
        return "a string";
      case element_type::BOOL:
        return "a boolean";
      case element_type::NULL_VALUE:
        return "null";
      default:
        return "a number";
    }
  }
  if (nothing()) return "nothing";
  return std::holds_alternative<int64_t>(*this) ? "a number" : "a list";
}

class JsonPathParser {
 public:
  explicit JsonPathParser(std::string_view path, int depth = 0) : path_(path), depth_(depth) {}

  absl::StatusOr<JsonPath> Parse() {
    JsonPath out;
    bool piped = false;
    if (path_.empty()) return base::InvalidArgument("the path is empty");
    if (depth_ > kMaxDepth) {
      return base::InvalidArgument("path \"{}\": conditions nested deeper than {}", path_,
                                   kMaxDepth);
    }
    for (;;) {
      JsonPath::Step step;
      step.piped = piped;
      NEAP_RETURN_IF_ERROR(path_[at_ < path_.size() ? at_ : 0] == '#' && at_ < path_.size()
                               ? Hash(step)
                               : Member(step));
      out.steps_.push_back(std::move(step));
      if (at_ == path_.size()) return out;
      if (path_[at_] != '.' && path_[at_] != '|') {
        return Error(fmt::format("'{}' where '.' or '|' is expected", path_[at_]));
      }
      piped = path_[at_] == '|';
      ++at_;
      if (at_ == path_.size()) return Error("the path ends with a separator");
    }
  }

 private:
  absl::Status Error(std::string_view what) const {
    return base::InvalidArgument("path \"{}\", position {}: {}", path_, at_ + 1, what);
  }

  absl::Status Member(JsonPath::Step& step) {
    const size_t begin = at_;
    std::string plain;
    for (; at_ < path_.size() && path_[at_] != '.' && path_[at_] != '|'; ++at_) {
      char c = path_[at_];
      if (at_ == begin && (c == '@' || c == '!' || c == '{' || c == '[')) {
        return Error(
            fmt::format("'{}': modifiers, literals and multipaths are not supported; "
                        "write \\{} for a member whose name begins so",
                        c, c));
      }
      if (c == '*' || c == '?') step.pattern = true;
      if (c == '\\') {
        if (++at_ == path_.size()) return Error("'\\' at the end escapes nothing");
        c = path_[at_];
      }
      plain += c;
    }
    if (at_ == begin) return Error("an empty part");
    step.name = step.pattern ? std::string(path_.substr(begin, at_ - begin)) : plain;
    return absl::OkStatus();
  }

  absl::Status Hash(JsonPath::Step& step) {
    ++at_;
    step.kind = JsonPath::Step::Kind::kEach;
    if (at_ == path_.size() || path_[at_] == '.' || path_[at_] == '|') return absl::OkStatus();
    if (path_[at_] != '(' && path_[at_] != '[') {
      return Error("after '#' comes '.', '|' or a condition in parentheses");
    }
    const size_t end = Close(path_, at_);
    if (end == std::string_view::npos) return Error("this parenthesis is not closed");
    NEAP_RETURN_IF_ERROR(ParseCondition(path_.substr(at_ + 1, end - at_ - 2), step));
    at_ = end;
    step.kind = JsonPath::Step::Kind::kFirst;
    if (at_ < path_.size() && path_[at_] == '#') {
      ++at_;
      step.kind = JsonPath::Step::Kind::kAll;
    }
    return absl::OkStatus();
  }

  absl::Status ParseCondition(std::string_view text, JsonPath::Step& step) {
    using Op = JsonPath::Condition::Op;
    auto condition = std::make_shared<JsonPath::Condition>();
    text = Trim(text);
    size_t at = 0;  // of the operator, outside nested conditions
    while (at < text.size() && std::string_view("=!<>%").find(text[at]) == std::string_view::npos) {
      if (text[at] == '\\') {
        ++at;
      } else if (text[at] == '(' || text[at] == '[') {
        at = Close(text, at);
        if (at == std::string_view::npos) return Error("a parenthesis is not closed");
        continue;
      }
      ++at;
    }
    at = std::min(at, text.size());
    const std::string_view left = Trim(text.substr(0, at));
    if (at < text.size()) {
      struct Operator {
        std::string_view text;
        Op op;
      };
      constexpr Operator kOperators[] = {
          {"==", Op::kEqual},        {"!=", Op::kNotEqual}, {"<=", Op::kLessEqual},
          {">=", Op::kGreaterEqual}, {"!%", Op::kNotLike},  {"=", Op::kEqual},
          {"<", Op::kLess},          {">", Op::kGreater},   {"%", Op::kLike}};
      const Operator* found = nullptr;
      for (const Operator& candidate : kOperators) {
        if (text.substr(at).starts_with(candidate.text)) {
          found = &candidate;
          break;
        }
      }
      if (found == nullptr) return Error("a condition's operator is not known");
      condition->op = found->op;
      std::string_view right = Trim(text.substr(at + found->text.size()));
      if (right.starts_with('~')) return Error("'~' in a condition is not supported");
      const bool quoted = right.size() >= 2 && right.front() == '"' && right.back() == '"';
      if (quoted) {
        right = right.substr(1, right.size() - 2);
        for (size_t i = 0; i < right.size(); ++i) {
          if (right[i] == '\\' && i + 1 < right.size() && condition->op != Op::kLike &&
              condition->op != Op::kNotLike) {
            ++i;
          }
          condition->text += right[i];
        }
      } else {
        condition->text = std::string(right);
      }
      condition->number = AsNumber(condition->text);
    } else if (left.empty()) {
      return Error("the condition is empty");
    }
    if (!left.empty()) {
      NEAP_ASSIGN_OR_RETURN(condition->path, JsonPathParser(left, depth_ + 1).Parse());
    }
    step.condition = std::move(condition);
    return absl::OkStatus();
  }

  const std::string_view path_;
  const int depth_;
  size_t at_ = 0;
};

absl::StatusOr<JsonPath> JsonPath::Parse(std::string_view path) {
  return JsonPathParser(path).Parse();
}

Found JsonPath::Find(element root) const {
  return WalkElement(root, steps_.data(), steps_.data() + steps_.size());
}

// A list that was found is walked only by what follows a pipe.
Found JsonPath::Walk(Found from, const Step* step, const Step* end) {
  if (step == end) return from;
  if (const auto* json = std::get_if<element>(&from)) return WalkElement(*json, step, end);
  const auto* list = std::get_if<FoundList>(&from);
  if (list == nullptr) return {};
  if (step->kind == Step::Kind::kEach) {
    if (step + 1 == end || step[1].piped) {
      return Walk(Found(static_cast<int64_t>(list->size())), step + 1, end);
    }
    FoundList out;
    const Step* rest = step + 1;
    while (rest != end && !rest->piped) ++rest;
    for (const Found& item : *list) {
      if (Found found = Walk(item, step + 1, rest); !found.nothing())
        out.push_back(std::move(found));
    }
    return Walk(Found(std::move(out)), rest, end);
  }
  if (step->kind == Step::Kind::kMember) {
    size_t index = 0;
    const auto [at, error] =
        std::from_chars(step->name.data(), step->name.data() + step->name.size(), index);
    if (error != std::errc() || at != step->name.data() + step->name.size()) return {};
    if (index >= list->size()) return {};
    return Walk((*list)[index], step + 1, end);
  }
  FoundList out;
  for (const Found& item : *list) {
    const auto* json = std::get_if<element>(&item);
    if (json == nullptr || !Matches(*step->condition, *json)) continue;
    if (step->kind == Step::Kind::kFirst) return WalkElement(*json, step + 1, end);
    out.push_back(item);
  }
  if (step->kind == Step::Kind::kFirst) return {};
  return Walk(Found(std::move(out)), step + 1, end);
}

Found JsonPath::WalkElement(element from, const Step* step, const Step* end) {
  if (step == end) return Found(from);
  if (from.is_object()) {
    // On an object "#" is a name like any other.
    const std::string_view name =
        step->kind == Step::Kind::kEach ? std::string_view("#") : std::string_view(step->name);
    if (step->kind == Step::Kind::kFirst || step->kind == Step::Kind::kAll) return {};
    for (auto field : simdjson::dom::object(from)) {
      if (step->pattern ? Like(field.key, name) : field.key == name) {
        return WalkElement(field.value, step + 1, end);
      }
    }
    return {};
  }
  if (!from.is_array()) return {};
  const simdjson::dom::array array(from);
  // What applies to each element, and what to the list that comes of it.
  const Step* rest = step + 1;
  while (rest != end && !rest->piped) ++rest;
  switch (step->kind) {
    case Step::Kind::kMember: {
      size_t index = 0;
      const char* last = step->name.data() + step->name.size();
      const auto [at, error] = std::from_chars(step->name.data(), last, index);
      element item;
      if (error != std::errc() || at != last || array.at(index).get(item)) return {};
      return WalkElement(item, step + 1, end);
    }
    case Step::Kind::kEach: {
      if (rest == step + 1) {
        int64_t count = 0;  // array.size() saturates
        for ([[maybe_unused]] element item : array) ++count;
        return Walk(Found(count), rest, end);
      }
      FoundList out;
      for (element item : array) {
        if (Found found = WalkElement(item, step + 1, rest); !found.nothing()) {
          out.push_back(std::move(found));
        }
      }
      return Walk(Found(std::move(out)), rest, end);
    }
    case Step::Kind::kFirst:
      for (element item : array) {
        if (Matches(*step->condition, item)) return WalkElement(item, step + 1, end);
      }
      return {};
    case Step::Kind::kAll: {
      FoundList out;
      for (element item : array) {
        if (!Matches(*step->condition, item)) continue;
        Found found = WalkElement(item, step + 1, rest);
        if (!found.nothing()) out.push_back(std::move(found));
      }
      return Walk(Found(std::move(out)), rest, end);
    }
  }
  return {};
}

bool JsonPath::Matches(const Condition& condition, element item) {
  using Op = Condition::Op;
  Found found(item);
  if (!condition.path.steps_.empty()) {
    if (!item.is_object() && !item.is_array()) return false;
    found = condition.path.Find(item);
  }
  if (found.nothing()) return false;
  if (condition.op == Op::kExists) return true;
  if (const auto* length = std::get_if<int64_t>(&found)) {
    return condition.number &&
           Compare(static_cast<double>(*length), *condition.number, condition.op);
  }
  const auto* json = std::get_if<element>(&found);
  if (json == nullptr) return false;
  switch (json->type()) {
    case element_type::STRING: {
      const std::string_view text(*json);
      if (condition.op == Op::kLike) return Like(text, condition.text);
      if (condition.op == Op::kNotLike) return !Like(text, condition.text);
      return Compare(text, std::string_view(condition.text), condition.op);
    }
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return condition.number && Compare(double(*json), *condition.number, condition.op);
    case element_type::BOOL:
      if (condition.text != "true" && condition.text != "false") return false;
      return Compare(bool(*json), condition.text == "true", condition.op);
    case element_type::NULL_VALUE:
      return condition.text == "null" && condition.op == Op::kEqual;
    default:
      return false;  // lists and objects compare with nothing
  }
}

}  // namespace neap::scalers::metrics_api
