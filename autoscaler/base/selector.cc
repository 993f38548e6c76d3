#include "autoscaler/base/selector.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "autoscaler/base/label_set.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"

namespace neap::base {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// "[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?", at most 63 characters.
bool IsName(std::string_view text) {
  if (text.empty() || text.size() > 63 || !IsAlphanumeric(text.front()) ||
      !IsAlphanumeric(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

absl::Status CheckKey(std::string_view key) {
  const auto slash = key.find('/');
  const bool prefix_ok = slash == std::string_view::npos || IsDnsSubdomain(key.substr(0, slash));
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  if (prefix_ok && IsName(name)) return absl::OkStatus();
  return InvalidArgument(
      "key: Invalid value: \"{}\": name part must consist of alphanumeric characters, '-', '_' or "
      "'.', and must start "
      "and end with an alphanumeric character",
      key);
}

absl::Status CheckValue(std::string_view key, std::string_view value) {
  if (value.empty() || IsName(value)) return absl::OkStatus();
  return InvalidArgument(
      "values[0][{}]: Invalid value: \"{}\": a valid label must be an empty string or consist of "
      "alphanumeric "
      "characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      key, value);
}

std::optional<int64_t> ToInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

absl::Status CheckRequirement(Requirement& r) {
  NEAP_RETURN_IF_ERROR(CheckKey(r.key));
  for (const std::string& value : r.values) NEAP_RETURN_IF_ERROR(CheckValue(r.key, value));
  if ((r.op == SelectorOperator::kGreaterThan || r.op == SelectorOperator::kLessThan) &&
      !ToInt(r.values.at(0))) {
    return InvalidArgument(
        "values[0]: Invalid value: \"{}\": for 'Gt', 'Lt' operators, the value must be an integer",
        r.values[0]);
  }
  std::sort(r.values.begin(), r.values.end());
  r.values.erase(std::unique(r.values.begin(), r.values.end()), r.values.end());
  return absl::OkStatus();
}

enum class Token {
  kEnd,
  kError,
  kIdentifier,
  kComma,
  kBang,
  kOpen,
  kClose,
  kEquals,
  kDoubleEquals,
  kNotEquals,
  kGreater,
  kLess,
  kIn,
  kNotIn
};

// Reads the string form token by token. What it accepts and the words of its errors are the API
// machinery's, because the HPA shows them in conditions and events.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) { Scan(); }

  absl::StatusOr<std::vector<Requirement>> Run() {
    std::vector<Requirement> all;
    while (true) {
      const Token first = Peek();
      if (first == Token::kEnd) break;
      if (first != Token::kIdentifier && first != Token::kBang)
        return Found("!, identifier, or 'end of string'");
      absl::StatusOr<Requirement> r = One();
      if (r.ok()) {
        if (absl::Status checked = CheckRequirement(*r); !checked.ok()) r = checked;
      }
      if (!r.ok()) return Annotate(r.status(), "unable to parse requirement");
      all.push_back(*std::move(r));
      const Token next = Take();
      if (next == Token::kEnd) break;
      if (next != Token::kComma) return FoundTaken("',' or 'end of string'");
      if (Peek() != Token::kIdentifier && Peek() != Token::kBang)
        return Found("identifier after ','");
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
    return all;
  }

 private:
  struct Item {
    Token token;
    std::string literal;
  };

  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  static bool IsSpecial(char c) {
    return std::string_view("=!(),><").find(c) != std::string_view::npos;
  }

  static std::optional<Token> Keyword(std::string_view text) {
    static constexpr std::pair<std::string_view, Token> kAll[] = {
        {")", Token::kClose},         {",", Token::kComma},  {"!", Token::kBang},
        {"==", Token::kDoubleEquals}, {"=", Token::kEquals}, {">", Token::kGreater},
        {"in", Token::kIn},           {"<", Token::kLess},   {"!=", Token::kNotEquals},
        {"notin", Token::kNotIn},     {"(", Token::kOpen},
    };
    for (const auto& [word, token] : kAll) {
      if (word == text) return token;
    }
    return std::nullopt;
  }

  void Scan() {
    size_t at = 0;
    while (true) {
      while (at < text_.size() && IsSpace(text_[at])) ++at;
      if (at == text_.size()) break;
      if (!IsSpecial(text_[at])) {
        const size_t from = at;
        while (at < text_.size() && !IsSpecial(text_[at]) && !IsSpace(text_[at])) ++at;
        std::string word(text_.substr(from, at - from));
        items_.push_back({Keyword(word).value_or(Token::kIdentifier), word});
        continue;
      }
      // The longest run of special characters that is a token.
      std::string run;
      std::optional<Token> token;
      std::string literal;
      while (at < text_.size() && IsSpecial(text_[at])) {
        run += text_[at];
        if (const auto found = Keyword(run)) {
          token = found;
          literal = run;
        } else if (token) {
          break;
        }
        ++at;
      }
      if (!token) literal = fmt::format("error expected: keyword found '{}'", run);
      items_.push_back({token.value_or(Token::kError), literal});
    }
    items_.push_back({Token::kEnd, ""});
  }

  // `in` and `notin` are words like others except where an operator stands.
  static Token AsValue(Token token) {
    return token == Token::kIn || token == Token::kNotIn ? Token::kIdentifier : token;
  }
  Token Peek() const { return AsValue(items_[at_].token); }
  Token Take(bool operators = false) {
    taken_ = items_[at_];
    if (at_ + 1 < items_.size()) ++at_;
    return operators ? taken_.token : AsValue(taken_.token);
  }
  absl::Status Found(std::string_view expected) const {
    return InvalidArgument("found '{}', expected: {}", items_[at_].literal, expected);
  }
  absl::Status FoundTaken(std::string_view expected) const {
    return InvalidArgument("found '{}', expected: {}", taken_.literal, expected);
  }

  absl::StatusOr<Requirement> One() {
    Requirement r;
    Token token = Take();
    const bool negated = token == Token::kBang;
    if (negated) token = Take();
    if (token != Token::kIdentifier) return FoundTaken("identifier");
    r.key = taken_.literal;
    NEAP_RETURN_IF_ERROR(CheckKey(r.key));
    if (negated || Peek() == Token::kEnd || Peek() == Token::kComma) {
      r.op = negated ? SelectorOperator::kDoesNotExist : SelectorOperator::kExists;
      return r;
    }
    switch (Take(/*operators=*/true)) {
      case Token::kIn:
        r.op = SelectorOperator::kIn;
        break;
      case Token::kNotIn:
        r.op = SelectorOperator::kNotIn;
        break;
      case Token::kEquals:
        r.op = SelectorOperator::kEquals;
        break;
      case Token::kDoubleEquals:
        r.op = SelectorOperator::kDoubleEquals;
        break;
      case Token::kNotEquals:
        r.op = SelectorOperator::kNotEquals;
        break;
      case Token::kGreater:
        r.op = SelectorOperator::kGreaterThan;
        break;
      case Token::kLess:
        r.op = SelectorOperator::kLessThan;
        break;
      default:
        return FoundTaken("in, notin, =, ==, !=, gt, lt");
    }
    if (r.op == SelectorOperator::kIn || r.op == SelectorOperator::kNotIn) {
      NEAP_RETURN_IF_ERROR(List(r.values));
      return r;
    }
    if (Peek() == Token::kEnd || Peek() == Token::kComma) {
      r.values.emplace_back();
    } else {
      if (Take() != Token::kIdentifier) return FoundTaken("identifier");
      r.values.push_back(taken_.literal);
    }
    return r;
  }

  // "(a,b)"; "()" and each empty place between commas is one empty value.
  absl::Status List(std::vector<std::string>& values) {
    if (Take() != Token::kOpen) return InvalidArgument("found '{}' expected: '('", taken_.literal);
    if (Peek() == Token::kClose) {
      Take();
      values.emplace_back();
      return absl::OkStatus();
    }
    if (Peek() != Token::kIdentifier && Peek() != Token::kComma)
      return Found("',', ')' or identifier");
    while (true) {
      const Token token = Take();
      if (token == Token::kIdentifier) {
        values.push_back(taken_.literal);
        if (Peek() == Token::kComma) continue;
        if (Peek() != Token::kClose) return Found("',' or ')'");
        break;
      }
      if (token != Token::kComma) return FoundTaken("',', or identifier");
      if (values.empty()) values.emplace_back();
      if (Peek() == Token::kClose) {
        values.emplace_back();
        break;
      }
      if (Peek() == Token::kComma) {
        Take();
        values.emplace_back();
      }
    }
    Take();  // the closing parenthesis
    return absl::OkStatus();
  }

  const std::string_view text_;
  std::vector<Item> items_;
  Item taken_{Token::kEnd, ""};
  size_t at_ = 0;
};

// `label` is the value that the requirement's key has, if it has one.
bool MatchesOne(const Requirement& r, const std::optional<std::string_view>& label) {
  const bool has = label.has_value();
  const auto among = [&] { return std::binary_search(r.values.begin(), r.values.end(), *label); };
  switch (r.op) {
    case SelectorOperator::kEquals:
    case SelectorOperator::kDoubleEquals:
    case SelectorOperator::kIn:
      return has && among();
    case SelectorOperator::kNotEquals:
    case SelectorOperator::kNotIn:
      return !has || !among();
    case SelectorOperator::kExists:
      return has;
    case SelectorOperator::kDoesNotExist:
      return !has;
    case SelectorOperator::kGreaterThan:
    case SelectorOperator::kLessThan: {
      if (!has) return false;
      const auto value = ToInt(*label);
      const auto limit = ToInt(r.values[0]);
      if (!value || !limit) return false;
      return r.op == SelectorOperator::kGreaterThan ? *value > *limit : *value < *limit;
    }
  }
  return false;
}

}  // namespace

Selector Selector::Nothing() {
  Selector selector;
  selector.nothing_ = true;
  return selector;
}

absl::StatusOr<Selector> Selector::Parse(std::string_view text) {
  Selector selector;
  NEAP_ASSIGN_OR_RETURN(selector.requirements_, Parser(text).Run());
  return selector;
}

bool Selector::Matches(const Labels& labels) const {
  if (nothing_) return false;
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const Requirement& r) {
    const auto at = labels.find(r.key);
    return MatchesOne(
        r, at == labels.end() ? std::nullopt : std::optional(std::string_view(at->second)));
  });
}

bool Selector::MatchesSet(const LabelSet& labels) const {
  if (nothing_) return false;
  return std::all_of(requirements_.begin(), requirements_.end(),
                     [&](const Requirement& r) { return MatchesOne(r, labels.Find(r.key)); });
}

std::string Selector::Text() const {
  std::string out;
  for (const Requirement& r : requirements_) {
    if (!out.empty()) out += ',';
    const std::string first = r.values.empty() ? "" : r.values[0];
    switch (r.op) {
      case SelectorOperator::kEquals:
        out += r.key + "=" + first;
        break;
      case SelectorOperator::kDoubleEquals:
        out += r.key + "==" + first;
        break;
      case SelectorOperator::kNotEquals:
        out += r.key + "!=" + first;
        break;
      case SelectorOperator::kGreaterThan:
        out += r.key + ">" + first;
        break;
      case SelectorOperator::kLessThan:
        out += r.key + "<" + first;
        break;
      case SelectorOperator::kExists:
        out += r.key;
        break;
      case SelectorOperator::kDoesNotExist:
        out += "!" + r.key;
        break;
      case SelectorOperator::kIn:
      case SelectorOperator::kNotIn:
        out += fmt::format("{} {} ({})", r.key, r.op == SelectorOperator::kIn ? "in" : "notin",
                           fmt::join(r.values, ","));
        break;
    }
  }
  return out;
}

absl::StatusOr<Selector> LabelSelector::ToSelector() const {
  std::vector<Requirement> all;
  for (const auto& [key, value] : match_labels) {
    all.push_back({.key = key, .op = SelectorOperator::kEquals, .values = {value}});
  }
  for (const Expression& e : match_expressions) {
    Requirement r{.key = e.key, .op = SelectorOperator::kIn, .values = e.values};
    if (e.op == "In" || e.op == "NotIn") {
      r.op = e.op == "In" ? SelectorOperator::kIn : SelectorOperator::kNotIn;
      if (e.values.empty()) {
        return InvalidArgument(
            "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty");
      }
    } else if (e.op == "Exists" || e.op == "DoesNotExist") {
      r.op = e.op == "Exists" ? SelectorOperator::kExists : SelectorOperator::kDoesNotExist;
      if (!e.values.empty()) {
        return InvalidArgument(
            "values: Invalid value: [{}]: values set must be empty for exists and does not exist",
            fmt::join(e.values, " "));
      }
    } else {
      return InvalidArgument("\"{}\" is not a valid label selector operator", e.op);
    }
    all.push_back(std::move(r));
  }
  for (Requirement& r : all) NEAP_RETURN_IF_ERROR(CheckRequirement(r));
  std::stable_sort(all.begin(), all.end(),
                   [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
  return Selector(std::move(all));
}

}  // namespace neap::base
