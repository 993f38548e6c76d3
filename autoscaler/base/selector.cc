#include "autoscaler/base/selector.h"

#include <algorithm>
#include <charconv>
#include <optional>

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

// Lower-case DNS labels with dots, at most 253 characters.
bool IsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  char before = '.';
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!letter && c != '-' && c != '.') return false;
    if ((c == '.' || c == '-') && before == '.') return false;
    if (c == '.' && before == '-') return false;
    before = c;
  }
  return before != '.' && before != '-';
}

absl::Status CheckKey(std::string_view key) {
  const auto slash = key.find('/');
  const bool prefix_ok = slash == std::string_view::npos || IsSubdomain(key.substr(0, slash));
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

// A recursive-descent reader of the string form.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<Requirement>> Run() {
    std::vector<Requirement> all;
    Skip();
    if (at_ == text_.size()) return all;
    while (true) {
      NEAP_ASSIGN_OR_RETURN(Requirement r, One());
      NEAP_RETURN_IF_ERROR(CheckRequirement(r));
      all.push_back(std::move(r));
      Skip();
      if (at_ == text_.size()) break;
      if (text_[at_] != ',') return Unexpected("',' or the end");
      ++at_;
      Skip();
      if (at_ == text_.size() || text_[at_] == ',') return Unexpected("a label after ','");
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
    return all;
  }

 private:
  void Skip() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  absl::Status Unexpected(std::string_view wanted) const {
    const std::string found = at_ < text_.size() ? fmt::format("'{}'", text_[at_]) : "the end";
    return InvalidArgument("unable to parse selector \"{}\": found {} at position {}, expected {}",
                           text_, found, at_, wanted);
  }

  std::string Word() {
    Skip();
    const size_t from = at_;
    while (at_ < text_.size() &&
           std::string_view(" \t\n\r=!,()<>").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  bool Eat(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  absl::StatusOr<Requirement> One() {
    Requirement r;
    Skip();
    if (Eat("!")) {
      r.op = SelectorOperator::kDoesNotExist;
      r.key = Word();
      if (r.key.empty()) return Unexpected("a label key");
      return r;
    }
    r.key = Word();
    if (r.key.empty()) return Unexpected("a label key");
    Skip();
    if (at_ == text_.size() || text_[at_] == ',') {
      r.op = SelectorOperator::kExists;
      return r;
    }
    if (Eat("==")) return WithValue(std::move(r), SelectorOperator::kDoubleEquals);
    if (Eat("=")) return WithValue(std::move(r), SelectorOperator::kEquals);
    if (Eat("!=")) return WithValue(std::move(r), SelectorOperator::kNotEquals);
    if (Eat(">")) return WithValue(std::move(r), SelectorOperator::kGreaterThan);
    if (Eat("<")) return WithValue(std::move(r), SelectorOperator::kLessThan);
    const std::string word = Word();
    if (word != "in" && word != "notin") return Unexpected("one of in, notin, =, ==, !=, <, >");
    r.op = word == "in" ? SelectorOperator::kIn : SelectorOperator::kNotIn;
    Skip();
    if (!Eat("(")) return Unexpected("'('");
    while (true) {
      r.values.push_back(Word());  // "()" is one empty value
      Skip();
      if (Eat(")")) return r;
      if (!Eat(",")) return Unexpected("',' or ')'");
    }
  }

  absl::StatusOr<Requirement> WithValue(Requirement r, SelectorOperator op) {
    r.op = op;
    r.values.push_back(Word());
    return r;
  }

  const std::string_view text_;
  size_t at_ = 0;
};

bool MatchesOne(const Requirement& r, const Labels& labels) {
  const auto at = labels.find(r.key);
  const bool has = at != labels.end();
  const auto among = [&] {
    return std::binary_search(r.values.begin(), r.values.end(), at->second);
  };
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
      const auto value = ToInt(at->second);
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
  return std::all_of(requirements_.begin(), requirements_.end(),
                     [&](const Requirement& r) { return MatchesOne(r, labels); });
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
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
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
