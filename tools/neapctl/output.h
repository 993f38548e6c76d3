// What neapctl prints: a command makes one document (plain JSON data) and its text for people; the
// user's -o chooses. Results go to stdout, everything that is wrong goes to stderr. One thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace neap::ctl {

enum class Format { kTable, kJson, kYaml };

using Json = nlohmann::ordered_json;

// Exit codes of every command.
inline constexpr int kOk = 0;
inline constexpr int kNo = 1;  // the answer is no: an invalid object, a difference, a failed read
inline constexpr int kFailed =
    2;  // it could not be found out: usage, an unreadable file, no answer

// `document` for kJson and kYaml, `text` for kTable.
void Print(Format format, const Json& document, std::string_view text);

// One line to stderr, after "neapctl: ".
void PrintError(std::string_view message);
// What PrintError names instead of neapctl; called before the first error.
void SetProgram(std::string_view name);

// YAML that reads back as the same data: strings that look like something else are quoted.
std::string ToYaml(const Json& document);

// Rows of cells in aligned columns; the first row is the heading.
std::string Table(const std::vector<std::vector<std::string>>& rows);

}  // namespace neap::ctl
