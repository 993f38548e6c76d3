// Runs conformance files: recorded inputs and outputs of the real HPA controller (families
// calculator and controller) and of KEDA's trigger parsing (family parse). The family of a line is
// told by its fields. Formats: tests/conformance/FORMAT.md. Used by `neapctl conformance` and by
// the tests. One thread.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace neap::conformance {

struct Difference {
  std::string id;     // of the vector, with "#tick" for a series
  std::string field;  // "status.conditions[1].message"
  std::string expected;
  std::string actual;
};

struct FamilyReport {
  int passed = 0;
  int failed = 0;
  int skipped = 0;  // with the reason counted in `skips`: "type kafka is not built"
  std::map<std::string, int> skips;
  std::vector<Difference> first_differences;  // at most kMaxDifferences
};
inline constexpr size_t kMaxDifferences = 20;

using Report = std::map<std::string, FamilyReport>;  // by family

// One line of a family that needs more than core: adds to its report. May be empty: such lines are
// counted as skipped.
using ParseFamily = std::function<void(const nlohmann::json& line, FamilyReport& report)>;

// Runs one file, plain or gzipped JSON lines. Errors: NotFound, or InvalidArgument naming the line
// that is no vector.
absl::Status RunFile(const std::string& path, const ParseFamily& parse, Report& report);

// One line of the HPA's families.
void RunCalculator(const nlohmann::json& line, FamilyReport& report);
void RunController(const nlohmann::json& line, FamilyReport& report);

}  // namespace neap::conformance
