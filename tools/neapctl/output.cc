#include "tools/neapctl/output.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace neap::ctl {
namespace {

// Text that YAML reads as a string without quotes. yaml-cpp's emitter writes the string "true" or
// "123" bare, which would read back as something else, so whoever is in doubt is quoted.
bool IsPlain(const std::string& text) {
  static constexpr std::string_view kFirst =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
  static constexpr std::string_view kRest =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/0123456789.-";
  static constexpr std::array<std::string_view, 10> kWords = {
      "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"};
  if (text.empty() || kFirst.find(text[0]) == std::string_view::npos) return false;
  if (text.find_first_not_of(kRest) != std::string::npos) return false;
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

void EmitString(YAML::Emitter& out, const std::string& text) {
  if (!IsPlain(text)) out << YAML::DoubleQuoted;
  out << text;
}

void Emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key;
      EmitString(out, key);
      out << YAML::Value;
      Emit(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& element : value) Emit(out, element);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    EmitString(out, value.get<std::string>());
  } else {
    out << value.dump();  // numbers, true, false, null: YAML's are JSON's
  }
}

std::string& Program() {
  static std::string name = "neapctl";
  return name;
}

}  // namespace

std::string ToYaml(const Json& document) {
  YAML::Emitter out;
  Emit(out, document);
  return std::string(out.c_str()) + "\n";
}

void Print(Format format, const Json& document, std::string_view text) {
  switch (format) {
    case Format::kTable:
      fmt::print(stdout, "{}", text);
      break;
    case Format::kJson:
      // A peer's broken UTF-8 is replaced, not thrown on.
      fmt::print(stdout, "{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
      break;
    case Format::kYaml:
      fmt::print(stdout, "{}", ToYaml(document));
      break;
  }
}

void SetProgram(std::string_view name) { Program() = name; }

void PrintError(std::string_view message) { fmt::print(stderr, "{}: {}\n", Program(), message); }

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}", row[i], widths[i] + 3);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace neap::ctl
