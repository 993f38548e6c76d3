// neapctl replay: a journal's decisions, taken again by this build.
#include "autoscaler/record/replay.h"

#include <fmt/format.h>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/replay_damage.h"

namespace neap::ctl {
namespace {

using record::Difference;

Json ToJson(const record::ReplayReport& report) {
  Json differences = Json::array();
  for (const Difference& d : report.differences) {
    differences.push_back({{"file", d.file},
                           {"offset", d.offset},
                           {"object", d.key.Text()},
                           {"at", base::FormatTimeMicro(d.at)},
                           {"decision", d.decision_id},
                           {"of", d.outcome ? "outcome" : "decision"},
                           {"first", d.first}});
  }
  return {{"decisions", report.decisions},
          {"outcomes", report.outcomes},
          {"different", report.different_decisions + report.different_outcomes},
          {"differentDecisions", report.different_decisions},
          {"differentOutcomes", report.different_outcomes},
          {"outcomesWithoutDecision", report.outcomes_without_decision},
          {"lostRecords", report.lost_records},
          {"builds", report.builds},
          {"differences", std::move(differences)},
          {"damage", DamageToJson(report.damage)}};
}

std::string ToText(const record::ReplayReport& report) {
  std::string out;
  for (const Difference& d : report.differences) {
    out += fmt::format("{} at {}, {} {}: {}\n  {} offset {}\n", d.key.Text(),
                       base::FormatTimeMicro(d.at), d.outcome ? "outcome of decision" : "decision",
                       d.decision_id, d.first, d.file, d.offset);
  }
  out += fmt::format("written by {}\n", fmt::join(report.builds, ", "));
  if (report.lost_records > 0) {
    out += fmt::format("{} records were lost when they were written\n", report.lost_records);
  }
  if (report.outcomes_without_decision > 0) {
    out += fmt::format("{} outcomes belong to decisions before the journal begins\n",
                       report.outcomes_without_decision);
  }
  return out + fmt::format("{} decisions, {} different; {} outcomes, {} different\n",
                           report.decisions, report.different_decisions, report.outcomes,
                           report.different_outcomes);
}

}  // namespace

int Replay(const ReplayOptions& options) {
  if (!options.with.empty()) return ReplayWith(options);
  record::ReplayOptions replay;
  replay.build = base::Version();
  const auto report = record::Replay(options.journal, replay);
  if (!report.ok()) {
    PrintError(base::Message(report.status()));
    return kFailed;
  }
  const bool unchecked = PrintDamage(report->damage) || report->decisions == 0;
  if (report->decisions == 0) PrintError(fmt::format("{}: no decisions", options.journal));
  Print(options.format, ToJson(*report), ToText(*report));
  if (!report->Agrees()) return kNo;
  return unchecked ? kFailed : kOk;
}

}  // namespace neap::ctl
