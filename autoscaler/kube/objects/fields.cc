#include "autoscaler/kube/objects/fields.h"

#include <algorithm>
#include <limits>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"

namespace neap::kube::objects {
namespace {

Problem MakeProblem(const value::Value* at, std::string path, std::string message) {
  return {.line = at == nullptr ? 0 : at->line(),
          .column = at == nullptr ? 0 : at->column(),
          .path = std::move(path),
          .message = std::move(message)};
}

}  // namespace

std::string Supported(std::span<const std::string_view> allowed) {
  std::string out;
  for (std::string_view one : allowed) out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", one);
  return out;
}

void Report::Error(const value::Value* at, std::string path, std::string message) {
  out_.errors.push_back(MakeProblem(at, std::move(path), std::move(message)));
}

void Report::Warning(const value::Value* at, std::string path, std::string message) {
  out_.warnings.push_back(MakeProblem(at, std::move(path), std::move(message)));
}

void Report::Unknown(const value::Value* at, std::string path, std::string message) {
  (options_.unknown_fields_are_errors ? out_.errors : out_.warnings)
      .push_back(MakeProblem(at, std::move(path), std::move(message)));
}

void Report::Record(std::string_view path, std::span<const std::string_view> names) {
  if (options_.record_fields == nullptr) return;
  std::string general;
  bool in_index = false;
  for (char c : path) {
    if (c == ']') in_index = false;
    if (!in_index) general += c;
    if (c == '[') in_index = true;
  }
  for (std::string_view name : names) (*options_.record_fields)[general].emplace(name);
}

Fields::Fields(const value::Value* map, std::string path, Report& report,
               std::initializer_list<std::string_view> known)
    : Fields(map, std::move(path), report,
             std::span<const std::string_view>(known.begin(), known.size())) {}

Fields::Fields(const value::Value* map, std::string path, Report& report,
               std::span<const std::string_view> names)
    : place_(map), path_(std::move(path)), report_(report) {
  report_.Record(path_, names);
  if (map == nullptr || map->is_null()) return;
  if (!map->is_map()) {
    report_.Error(map, path_, fmt::format("expected a map, got {}", Show(*map)));
    return;
  }
  map_ = map;
  for (const auto& [key, field] : map->map()) {
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    report_.Unknown(&field, Path(key), "unknown field" + base::DidYouMean(key, names));
  }
}

Fields::Fields(Fields& parent, std::string_view key, std::initializer_list<std::string_view> known)
    : Fields(parent.Get(key), parent.Path(key), parent.report(), known) {
  place_ = parent.At(key);
}

Fields::Fields(const value::Value* map, std::string path, Report& report)
    : map_(map != nullptr && map->is_map() ? map : nullptr),
      place_(map),
      path_(std::move(path)),
      report_(report) {}

std::string Fields::Path(std::string_view key) const {
  if (path_.empty()) return std::string(key);
  if (key.empty()) return path_;
  // Keys of free maps (labels, metadata) may hold dots.
  if (key.find_first_of("./[]") != std::string_view::npos) return fmt::format("{}[{}]", path_, key);
  return fmt::format("{}.{}", path_, key);
}

const value::Value* Fields::Get(std::string_view key) const {
  if (map_ == nullptr) return nullptr;
  const value::Value* found = map_->Get(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

const value::Value* Fields::At(std::string_view key) const {
  const value::Value* found = map_ == nullptr ? nullptr : map_->Get(key);
  return found == nullptr ? place_ : found;
}

void Fields::WrongKind(std::string_view key, std::string_view expected) {
  const value::Value& found = *Get(key);
  const bool wants_quotes = expected == "a string" && found.kind() != value::Kind::kMap &&
                            found.kind() != value::Kind::kList;
  Error(key, fmt::format("expected {}, got {}{}", expected, Show(found),
                         wants_quotes ? fmt::format("; write \"{}\"", found.text()) : ""));
}

std::string Fields::String(std::string_view key) {
  const value::Value* found = Get(key);
  if (found == nullptr) return "";
  if (found->is_string()) return found->AsString();
  WrongKind(key, "a string");
  return "";
}

std::optional<int32_t> Fields::Int32(std::string_view key) {
  const value::Value* found = Get(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind() != value::Kind::kInt) {
    WrongKind(key, "an integer");
    return std::nullopt;
  }
  const int64_t number = found->AsInt();
  if (number < std::numeric_limits<int32_t>::min() ||
      number > std::numeric_limits<int32_t>::max()) {
    Error(key, fmt::format("{} is beyond 32 bits", number));
    return std::nullopt;
  }
  return static_cast<int32_t>(number);
}

std::optional<bool> Fields::Bool(std::string_view key) {
  const value::Value* found = Get(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind() == value::Kind::kBool) return found->AsBool();
  WrongKind(key, "true or false");
  return std::nullopt;
}

std::optional<base::Quantity> Fields::Quantity(std::string_view key) {
  const value::Value* found = Get(key);
  if (found == nullptr) return std::nullopt;
  const bool scalar = found->is_string() || found->kind() == value::Kind::kInt ||
                      found->kind() == value::Kind::kReal;
  if (!scalar) {
    WrongKind(key, "a quantity");
    return std::nullopt;
  }
  // The API's reader trims blanks, the quantity's grammar knows none.
  const absl::StatusOr<base::Quantity> parsed = base::Quantity::Parse(catalog::Trim(found->text()));
  if (parsed.ok()) return *parsed;
  Error(key, std::string(base::Message(parsed.status())));
  return std::nullopt;
}

const std::vector<value::Value>* Fields::List(std::string_view key) {
  const value::Value* found = Get(key);
  if (found == nullptr) return nullptr;
  if (found->is_list()) return &found->list();
  WrongKind(key, "a list");
  return nullptr;
}

std::optional<size_t> Fields::Enum(std::string_view key,
                                   std::span<const std::string_view> allowed) {
  const size_t errors = report_.error_count();
  const std::string text = String(key);
  if (report_.error_count() != errors || Get(key) == nullptr) return std::nullopt;
  for (size_t i = 0; i < allowed.size(); ++i) {
    if (allowed[i] == text) return i;
  }
  NotSupported(key, text, allowed);
  return std::nullopt;
}

void Fields::Required(std::string_view key, std::string_view detail) {
  Error(key, detail.empty() ? "Required value" : fmt::format("Required value: {}", detail));
}

void Fields::Invalid(std::string_view key, std::string_view detail) {
  const value::Value* found = At(key);
  Error(key,
        fmt::format("Invalid value: {}: {}", found == nullptr ? "null" : Show(*found), detail));
}

void Fields::Forbidden(std::string_view key, std::string_view detail) {
  Error(key, fmt::format("Forbidden: {}", detail));
}

void Fields::NotSupported(std::string_view key, std::string_view value,
                          std::span<const std::string_view> allowed) {
  Error(key, fmt::format("Unsupported value: \"{}\": supported values: {}{}", value,
                         Supported(allowed), base::DidYouMean(value, allowed)));
}

void Fields::Error(std::string_view key, std::string message) {
  report_.Error(At(key), Path(key), std::move(message));
}

std::string Show(const value::Value& value) {
  switch (value.kind()) {
    case value::Kind::kNull:
      return "null";
    case value::Kind::kBool:
    case value::Kind::kInt:
    case value::Kind::kReal:
      return value.text();
    case value::Kind::kString:
      return fmt::format("\"{}\"", value.AsString());
    case value::Kind::kList:
      return "a list";
    case value::Kind::kMap:
      return "a map";
  }
  return "?";
}

std::string PathSegmentProblem(std::string_view text) {
  if (text == "." || text == "..") return fmt::format("may not be '{}'", text);
  for (std::string_view bad : {"/", "%"}) {
    if (text.find(bad) != std::string_view::npos) return fmt::format("may not contain '{}'", bad);
  }
  return "";
}

}  // namespace neap::kube::objects
