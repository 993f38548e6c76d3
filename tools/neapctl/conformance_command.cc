// neapctl conformance: recorded behaviour of the HPA and of KEDA, row by row against ours.
#include <fmt/format.h>

#include <memory>
#include <set>

#include "autoscaler/base/status.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/conformance/parse.h"
#include "tools/neapctl/manifests.h"
#include "tools/neapctl/own_scalers.h"

extern const char neap_keda_differences[];  // tests/conformance/keda_differences.txt

namespace neap::ctl {
namespace {

using conformance::Difference;
using conformance::FamilyReport;
using conformance::Report;

// Asks scalers only when there is a row that needs them: files of the HPA's families need none.
class Asker {
 public:
  explicit Asker(std::string address) : address_(std::move(address)) {}

  void operator()(const nlohmann::json& line, FamilyReport& report) {
    if (!status_.ok()) return;
    if (runner_ == nullptr) status_ = Connect();
    if (status_.ok()) runner_->Run(line, report);
  }

  const absl::Status& status() const { return status_; }
  conformance::Differences differed() const {
    return runner_ == nullptr ? conformance::Differences() : runner_->differed();
  }

 private:
  absl::Status Connect() {
    if (address_.empty()) {
      NEAP_ASSIGN_OR_RETURN(own_, OwnScalers::Start());
      address_ = own_->address();
    }
    NEAP_ASSIGN_OR_RETURN(client_, scalerhost::Client::Make(address_));
    NEAP_RETURN_IF_ERROR(client_->Describe().status());
    NEAP_ASSIGN_OR_RETURN(conformance::Differences differences,
                          conformance::ParseDifferences(neap_keda_differences));
    const std::vector<std::string> types = TriggerTypeNames();
    runner_ = std::make_unique<conformance::ParseRunner>(
        *client_, std::set<std::string>(types.begin(), types.end()), std::move(differences));
    return absl::OkStatus();
  }

  std::string address_;
  std::unique_ptr<OwnScalers> own_;
  std::unique_ptr<scalerhost::Client> client_;
  std::unique_ptr<conformance::ParseRunner> runner_;
  absl::Status status_;
};

Json ToJson(const Report& report, const conformance::Differences& differed) {
  Json families = Json::object();
  for (const auto& [family, result] : report) {
    Json differences = Json::array();
    for (const Difference& d : result.first_differences) {
      differences.push_back(
          {{"id", d.id}, {"field", d.field}, {"expected", d.expected}, {"actual", d.actual}});
    }
    families[family] = {{"passed", result.passed},
                        {"failed", result.failed},
                        {"skipped", result.skipped},
                        {"skips", result.skips},
                        {"firstDifferences", std::move(differences)}};
  }
  return {{"families", std::move(families)}, {"onPurpose", differed}};
}

// Reasons for skipping that people read one by one; of more only the count.
constexpr size_t kShownSkips = 5;

std::string ToText(const Report& report, const conformance::Differences& differed) {
  std::string out;
  for (const auto& [family, result] : report) {
    for (const Difference& d : result.first_differences) {
      out +=
          fmt::format("{} {}\n  expected {}\n  actual   {}\n", d.id, d.field, d.expected, d.actual);
    }
    if (result.first_differences.size() >= conformance::kMaxDifferences) {
      out += fmt::format("{}: only the first {} differences are listed\n", family,
                         conformance::kMaxDifferences);
    }
  }
  for (const auto& [id, reason] : differed) out += fmt::format("on purpose: {}: {}\n", id, reason);
  std::vector<std::vector<std::string>> rows = {{"FAMILY", "PASSED", "FAILED", "SKIPPED", ""}};
  for (const auto& [family, result] : report) {
    std::string why;
    if (result.skips.size() > kShownSkips) {
      why = fmt::format("not built, for {} reasons (-o json lists them)", result.skips.size());
    } else {
      for (const auto& [reason, count] : result.skips) why += (why.empty() ? "" : "; ") + reason;
    }
    rows.push_back({family, std::to_string(result.passed), std::to_string(result.failed),
                    std::to_string(result.skipped), why});
  }
  return out + Table(rows);
}

}  // namespace

int Conformance(const ConformanceOptions& options) {
  Report report;
  Asker asker(options.scalers);
  for (const std::string& file : options.files) {
    const absl::Status status =
        conformance::RunFile(file, [&](const auto& line, auto& r) { asker(line, r); }, report);
    for (const absl::Status& problem : {status, asker.status()}) {
      if (problem.ok()) continue;
      PrintError(base::Message(problem));
      return kFailed;
    }
  }
  if (report.empty()) {
    PrintError("no vectors in these files");
    return kFailed;
  }
  int failed = 0;
  for (const auto& [family, result] : report) failed += result.failed;
  Print(options.format, ToJson(report, asker.differed()), ToText(report, asker.differed()));
  return failed > 0 ? kNo : kOk;
}

}  // namespace neap::ctl
