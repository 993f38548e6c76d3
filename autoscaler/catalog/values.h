// How a parameter's text becomes a value, by KEDA's rules (keda-core, "typed config"), since its
// users' objects must keep meaning the same. Every function takes text without blanks at its ends.
// Errors: InvalidArgument that quotes the text, without the parameter's name. Thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace neap::catalog {

std::string_view Trim(std::string_view text);

// A JSON number without fraction and exponent: "5", "-1"; not "+5", "007", "1e2", "0x10".
absl::StatusOr<int64_t> ParseInt(std::string_view text);
// A JSON number: "5", "2.5", "1e3"; finite.
absl::StatusOr<double> ParseFloat(std::string_view text);
// 1 t T TRUE true True, 0 f F FALSE false False.
absl::StatusOr<bool> ParseBool(std::string_view text);
// "1m30s", or a bare integer in milliseconds. Not negative.
absl::StatusOr<absl::Duration> ParseDurationValue(std::string_view text);
// Split at `separator`, blanks around elements cut off; empty elements stay.
std::vector<std::string> ParseList(std::string_view text, char separator = ',');
// "k=v,k2=v2" with exactly one '=' each, in the written order. A key given twice keeps its last
// value.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseMap(std::string_view text);

}  // namespace neap::catalog
