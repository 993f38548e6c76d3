// neapctl explain: why a count is what it is, step by step: of an object and an observation in
// files, decided here and now by the code that neapd decides with.
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/core/messages.h"
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
  const WrittenObservation written =
      DecodeObservation(*pair.observation, spec, absl::Now(), problems);
  std::string text;
  for (const objects::Problem& p : problems) {
    text += (text.empty() ? "" : "\n") + objects::Text(p, pair.observation_file);
  }
  if (!text.empty()) return base::InvalidArgument("{}", text);

  std::vector<core::MetricInput> inputs;
  const core::Observation seen = View(written, spec, pair.object->status, inputs);
  const core::Decision decision = core::Decide(written.options, spec, seen, written.past);
  Print(options.format, DecisionToJson(spec, decision),
        fmt::format("{}: {}", spec.key.Text(), core::Explain(spec, decision)));
  return absl::OkStatus();
}

}  // namespace

int Explain(const ExplainOptions& options) {
  const absl::Status status = ExplainFiles(options);
  if (status.ok()) return kOk;
  fmt::print(stderr, "{}\n", base::Message(status));
  return status.code() == absl::StatusCode::kNotFound ? kFailed : kNo;
}

}  // namespace neap::ctl
