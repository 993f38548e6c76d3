// neapctl explain: why a count is what it is, step by step: of a decision in a journal, as it was
// taken; or of an object and an observation in files, decided here and now by the code that neapd
// decides with.
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/core/messages.h"
#include "autoscaler/record/replay.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/files.h"
#include "tools/neapctl/observation.h"

namespace neap::ctl {
namespace {

namespace objects = kube::objects;

Json StepToJson(const core::Step& step) {
  Json out = {{"stage", core::StageName(step.stage)},
              {"reason", core::ReasonName(step.reason)},
              {"before", step.before},
              {"after", step.after}};
  if (step.metric >= 0) out["metric"] = step.metric;
  return out;
}

Json DecisionToJson(const core::AutoscalerSpec& spec, const core::Decision& decision) {
  Json out = {{"namespace", spec.key.ns},    {"name", spec.key.name},
              {"current", decision.current}, {"recommended", decision.recommended},
              {"desired", decision.desired}, {"rescale", decision.rescale},
              {"steps", Json::array()}};
  for (const core::Step& step : decision.steps) out["steps"].push_back(StepToJson(step));
  out["explanation"] = core::Explain(spec, decision);
  return out;
}

// The two documents that the files must hold between them.
struct Pair {
  std::optional<objects::Decoded> object;
  std::string observation_file;
  std::vector<value::Value> kept;  // owns what `observation` points into
  const value::Value* observation = nullptr;
};

absl::Status Collect(const std::string& file, Pair& out) {
  NEAP_ASSIGN_OR_RETURN(std::vector<value::Value> documents, ReadDocuments(file));
  for (const value::Value* document : objects::Flatten(documents)) {
    if (IsObservation(*document)) {
      if (out.observation != nullptr) {
        return base::InvalidArgument("{}:{}: a second Observation", file, document->line());
      }
      out.observation_file = file;
      out.kept = {*document};
      out.observation = out.kept.data();
      continue;
    }
    NEAP_ASSIGN_OR_RETURN(const auto kind, objects::KindOf(*document));
    if (!kind) continue;
    if (out.object) {
      return base::InvalidArgument("{}:{}: a second object: explain one at a time", file,
                                   document->line());
    }
    out.object = objects::DecodeDocument(*document, StrictOptions());
    std::string problems;
    for (const objects::Problem& p : out.object->errors) {
      problems += (problems.empty() ? "" : "\n") + objects::Text(p, file);
    }
    if (!problems.empty()) return base::InvalidArgument("{}", problems);
  }
  return absl::OkStatus();
}

absl::Status ExplainFiles(const ExplainOptions& options) {
  Pair pair;
  for (const std::string& file : options.files) NEAP_RETURN_IF_ERROR(Collect(file, pair));
  if (!pair.object) {
    return base::InvalidArgument("no Autoscaler or HorizontalPodAutoscaler in these files");
  }
  if (pair.observation == nullptr) {
    return base::InvalidArgument("no document of kind Observation in these files");
  }
  const core::AutoscalerSpec& spec = *pair.object->spec;
  std::vector<objects::Problem> problems;
  WrittenObservation written = DecodeObservation(*pair.observation, spec, absl::Now(), problems);
  written.seen.previous = pair.object->status;
  std::string text;
  for (const objects::Problem& p : problems) {
    text += (text.empty() ? "" : "\n") + objects::Text(p, pair.observation_file);
  }
  if (!text.empty()) return base::InvalidArgument("{}", text);

  const core::Decision decision =
      core::Decide(written.options, spec, written.seen.View(), written.past);
  Print(options.format, DecisionToJson(spec, decision),
        fmt::format("{}: {}", spec.key.Text(), core::Explain(spec, decision)));
  return absl::OkStatus();
}

// ---- a decision of a journal

std::string_view CauseText(control::Cause cause) {
  switch (cause) {
    case control::Cause::kPeriodic:
      return "its period";
    case control::Cause::kSpecChange:
      return "a change of the object";
    case control::Cause::kScaleChange:
      return "a change of the scale";
    case control::Cause::kPushed:
      return "a pushed reading";
    case control::Cause::kWriteSlot:
      return "a free write slot";
  }
  return "";
}

std::string_view ResultText(core::ApplyResult::Kind kind) {
  using Kind = core::ApplyResult::Kind;
  switch (kind) {
    case Kind::kNotTried:
      return "nothing to write";
    case Kind::kApplied:
      return "written";
    case Kind::kWithheld:
      return "withheld: a dry run";
    case Kind::kConflict:
      return "not written: somebody else was faster";
    case Kind::kGone:
      return "not written: the target is gone";
    case Kind::kRejected:
      return "not written: refused";
    case Kind::kUnknown:
      return "not known whether it was written";
  }
  return "";
}

void PrintRecord(Format format, const record::FoundRecord& found) {
  const std::string at = base::FormatTimeMicro(found.seen.now);
  Json document = DecisionToJson(found.spec, found.decision);
  document["at"] = at;
  document["cause"] = CauseText(found.cause);
  document["decision"] = found.decision_id;
  document["journal"] = {{"file", found.file}, {"offset", found.offset}};
  std::string text = fmt::format("{}, {}, because of {}: {}", found.spec.key.Text(), at,
                                 CauseText(found.cause), core::Explain(found.spec, found.decision));
  if (found.result) {
    document["result"] = ResultText(found.result->kind);
    if (!found.result->error.empty()) document["error"] = found.result->error;
    text += fmt::format("{}{}{}\n", ResultText(found.result->kind),
                        found.result->error.empty() ? "" : ": ", found.result->error);
  }
  document["events"] = Json::array();
  if (found.outcome) {
    for (const core::Event& event : found.outcome->events) {
      document["events"].push_back({{"reason", event.reason}, {"message", event.message}});
      text += fmt::format("event {}: {}\n", event.reason, event.message);
    }
  }
  Print(format, document, text);
}

absl::Status ExplainJournal(const ExplainOptions& options) {
  const size_t slash = options.object.find('/');
  if (options.files.size() != 1 || slash == std::string::npos) {
    return base::InvalidArgument("--object NAMESPACE/NAME is of one journal, {} are named",
                                 options.files.size());
  }
  absl::Time at = absl::InfiniteFuture();
  if (!options.at.empty()) {
    const auto parsed = base::ParseTime(options.at);
    if (!parsed.ok()) return base::Annotate(parsed.status(), "--at");
    at = *parsed;
  }
  const core::ObjectKey key = {.ns = options.object.substr(0, slash),
                               .name = options.object.substr(slash + 1)};
  NEAP_ASSIGN_OR_RETURN(const record::FoundRecord found,
                        record::FindRecord(options.files[0], key, at));
  PrintRecord(options.format, found);
  return absl::OkStatus();
}

}  // namespace

int Explain(const ExplainOptions& options) {
  const bool journal = !options.object.empty();
  const absl::Status status = journal ? ExplainJournal(options) : ExplainFiles(options);
  if (status.ok()) return kOk;
  if (journal) {
    PrintError(base::Message(status));
    return kFailed;
  }
  fmt::print(stderr, "{}\n", base::Message(status));  // file:line: field: message
  return status.code() == absl::StatusCode::kNotFound ? kFailed : kNo;
}

}  // namespace neap::ctl
