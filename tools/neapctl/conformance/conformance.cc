#include "tools/neapctl/conformance/conformance.h"

#include <zlib.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "autoscaler/base/status.h"

namespace neap::conformance {
namespace {

struct Closer {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

// The next line without its end; false at the end of the file.
bool ReadLine(gzFile_s* file, std::string* line) {
  line->clear();
  char buffer[65536];
  while (gzgets(file, buffer, sizeof buffer) != nullptr) {
    *line += buffer;
    if (line->back() == '\n') {
      line->pop_back();
      return true;
    }
  }
  return !line->empty();
}

}  // namespace

absl::Status RunFile(const std::string& path, const ParseFamily& parse, Report& report) {
  std::unique_ptr<gzFile_s, Closer> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) return base::NotFound("{}: can't be opened", path);
  std::string text;
  for (int number = 1; ReadLine(file.get(), &text); ++number) {
    if (text.empty()) continue;
    const nlohmann::json line = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) return base::InvalidArgument("{}:{}: not a JSON object", path, number);
    const std::string family = line.value("family", "");
    try {
      if (family == "calculator") {
        RunCalculator(line, report["calculator"]);
      } else if (family == "controller") {
        RunController(line, report["controller"]);
      } else if (line.contains("input") && line.contains("type")) {
        FamilyReport& keda = report["parse"];
        if (parse) {
          parse(line, keda);
        } else {
          ++keda.skipped;
          ++keda.skips["no scalers to ask"];
        }
      } else if (line.contains("formula")) {
        FamilyReport& formula = report["formula"];
        ++formula.skipped;
        ++formula.skips["formulas of scalingModifiers are not built"];
      } else {
        return base::InvalidArgument("{}:{}: no known family of vectors", path, number);
      }
    } catch (const nlohmann::json::exception& error) {
      return base::InvalidArgument("{}:{}: {}", path, number, error.what());
    }
  }
  int code = Z_OK;
  const char* problem = gzerror(file.get(), &code);
  if (code != Z_OK && code != Z_STREAM_END) return base::DataLoss("{}: {}", path, problem);
  return absl::OkStatus();
}

}  // namespace neap::conformance
