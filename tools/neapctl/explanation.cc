#include "tools/neapctl/explanation.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/core/explain.h"
#include "autoscaler/core/messages.h"
#include "autoscaler/core/what_if.h"

namespace neap::ctl {
namespace {

using core::Alternative;

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

std::string_view EventName(Alternative::Event event) {
  using Event = Alternative::Event;
  switch (event) {
    case Event::kNone:
      return "";
    case Event::kNextDecision:
      return "nextDecision";
    case Event::kRecommendation:
      return "recommendation";
    case Event::kScaleUp:
      return "scaleUp";
    case Event::kScaleDown:
      return "scaleDown";
    case Event::kBase:
      return "base";
    case Event::kPodStarted:
      return "podStarted";
  }
  return "";
}

double Amount(int64_t milli) { return static_cast<double>(milli) / 1000; }

void AddMetricFields(const Alternative& a, Json& out) {
  out["metric"] = a.metric;
  out["atLeast"] = a.at_least;
  out["value"] = Amount(a.value);
  out["now"] = Amount(a.present);
  out["sumOverPods"] = a.per_pod;
  if (a.result.utilization) out["utilization"] = *a.result.utilization;
  if (a.per_pod && a.result.average_value) out["average"] = Amount(*a.result.average_value);
}

void AddTimeFields(const Alternative& a, absl::Time now, Json& out) {
  out["at"] = base::FormatTimeMicro(a.at);
  out["in"] = absl::ToDoubleSeconds(absl::Trunc(a.at - now, absl::Milliseconds(1)));
  out["whileAsking"] = a.asking;
  if (a.event == Alternative::Event::kNone) return;
  out["event"] = EventName(a.event);
  if (a.since == absl::InfinitePast()) return;
  out["count"] = a.count;
  out["since"] = base::FormatTimeMicro(a.since);
}

Json ToJson(const record::FoundRecord& found, const Alternative& a) {
  Json out = {{"replicas", a.desired},
              {"kind", core::KindName(a.kind)},
              {"text", core::Words(found.spec, found.decision, a)}};
  switch (a.kind) {
    case Alternative::Kind::kMetric:
      AddMetricFields(a, out);
      break;
    case Alternative::Kind::kAllMetrics:
      out["factor"] = Amount(a.value);
      break;
    case Alternative::Kind::kTime:
      AddTimeFields(a, found.seen.now, out);
      break;
    case Alternative::Kind::kMaxReplicas:
    case Alternative::Kind::kMinReplicas:
      out["bound"] = a.bound;
      break;
    default:
      break;
  }
  return out;
}

Json StepToJson(const core::Step& step) {
  Json out = {{"stage", core::StageName(step.stage)},
              {"reason", core::ReasonName(step.reason)},
              {"before", step.before},
              {"after", step.after}};
  if (step.metric >= 0) out["metric"] = step.metric;
  return out;
}

Json MetricToJson(const core::MetricLine& line, const core::MetricResult& result) {
  Json out = {{"name", line.name}, {"value", line.value}, {"target", line.target}};
  if (line.failed) {
    out["error"] = line.asks;
  } else {
    out["asksFor"] = result.proposal;
  }
  return out;
}

std::string MetricTable(const std::vector<core::MetricLine>& lines) {
  if (lines.empty()) return "";
  std::vector<std::vector<std::string>> rows = {{"METRIC", "VALUE", "TARGET", "ASKS FOR"}};
  for (const core::MetricLine& line : lines) {
    rows.push_back({line.name, line.failed ? "-" : line.value, line.target, line.asks});
  }
  return "\n" + Table(rows) + "\n";
}

std::string Heading(const record::FoundRecord& found) {
  if (found.file.empty()) return found.spec.key.Text();
  return fmt::format("{}, {}, because of {}", found.spec.key.Text(),
                     base::FormatTimeMicro(found.seen.now), CauseText(found.cause));
}

void AddOutcome(const record::FoundRecord& found, Explanation& out) {
  if (found.file.empty()) return;
  out.document["at"] = base::FormatTimeMicro(found.seen.now);
  out.document["cause"] = CauseText(found.cause);
  out.document["decision"] = found.decision_id;
  out.document["journal"] = {{"file", found.file}, {"offset", found.offset}};
  if (found.result) {
    const std::string& error = found.result->error;
    out.document["result"] = ResultText(found.result->kind);
    if (!error.empty()) out.document["error"] = error;
    out.text +=
        fmt::format("\n{}{}{}\n", ResultText(found.result->kind), error.empty() ? "" : ": ", error);
  } else if (found.decision.rescale) {
    out.text += "\nnot answered yet\n";
  }
  out.document["events"] = Json::array();
  if (!found.outcome) return;
  for (const core::Event& event : found.outcome->events) {
    out.document["events"].push_back({{"reason", event.reason}, {"message", event.message}});
    out.text += fmt::format("event {}: {}\n", event.reason, event.message);
  }
}

}  // namespace

Explanation ExplainRecord(record::FoundRecord& found) {
  const core::AutoscalerSpec& spec = found.spec;
  const core::Decision& decision = found.decision;
  const core::Observation seen = found.seen.View();
  const std::vector<core::MetricLine> lines = core::MetricLines(spec, seen, decision);
  const std::vector<Alternative> alternatives =
      core::WhatIf(found.options, spec, seen, found.before, decision);
  const std::string steps = core::Explain(spec, decision);

  Explanation out;
  out.document = {{"namespace", spec.key.ns},    {"name", spec.key.name},
                  {"current", decision.current}, {"recommended", decision.recommended},
                  {"desired", decision.desired}, {"rescale", decision.rescale},
                  {"metrics", Json::array()},    {"steps", Json::array()},
                  {"whatIf", Json::array()}};
  for (size_t i = 0; i < lines.size(); ++i) {
    out.document["metrics"].push_back(MetricToJson(lines[i], decision.metrics[i]));
  }
  for (const core::Step& step : decision.steps) {
    out.document["steps"].push_back(StepToJson(step));
  }
  out.document["explanation"] = steps;

  const size_t first_line = steps.find('\n') + 1;
  out.text = fmt::format("{}: {}{}{}", Heading(found), steps.substr(0, first_line),
                         MetricTable(lines), steps.substr(first_line));
  out.text += !alternatives.empty()       ? "\nIt would be\n"
              : !decision.metrics.empty() ? "\nNo single change would give another count now.\n"
                                          : "";
  for (const Alternative& a : alternatives) {
    out.document["whatIf"].push_back(ToJson(found, a));
    out.text += fmt::format("  {}\n", core::Words(spec, decision, a));
  }
  AddOutcome(found, out);
  return out;
}

}  // namespace neap::ctl
