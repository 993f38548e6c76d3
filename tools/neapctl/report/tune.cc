// What tune found: text and JSON. The page is in html.cc.
#include <fmt/format.h>

#include <algorithm>

#include "tools/neapctl/report/format.h"
#include "tools/neapctl/report/json.h"
#include "tools/neapctl/report/report.h"

namespace neap::ctl {
namespace {

constexpr size_t kWidth = 100;

std::string Verdict(const TunePoint& point) {
  if (point.recommended) return "recommended";
  return point.as_given ? "as given" : "";
}

using MaybePart = std::optional<TunePoint::Part>;

std::string CostText(const MaybePart& part) { return part ? NumberText(part->cost) : "not run"; }

std::string ObjectiveText(const MaybePart& part, const TuneReport& tune) {
  if (!part) return "–";
  return ValueText(part->objective, tune.unit) + (part->meets ? "" : " !");
}

Json PartJson(const MaybePart& part) {
  if (!part) return nullptr;
  return {{"cost", part->cost}, {"objective", part->objective}, {"meets", part->meets}};
}

}  // namespace

std::string TextTune(const TuneReport& tune, const ReportMeta& meta) {
  std::string out = Clip(meta.title.empty() ? "tune " + tune.object : meta.title, kWidth) + "\n";
  out += Wrap("",
              fmt::format("objective {}; searched on {}, checked on {}; {} runs", tune.objective,
                          tune.searched, tune.held_out, NumberText(static_cast<double>(tune.runs))),
              kWidth);
  out += "\n" + Wrap("", tune.verdict, kWidth);
  std::vector<const TunePoint*> front;
  for (const TunePoint& point : tune.points) {
    if (point.on_front || point.recommended || point.as_given) front.push_back(&point);
  }
  std::stable_sort(front.begin(), front.end(), [](const TunePoint* a, const TunePoint* b) {
    return a->searched.cost < b->searched.cost;
  });
  out += "\nThe front of cost against objective";
  out += fmt::format(", of {} points; ! misses the objective\n\n", tune.points.size());
  const std::string& unit = tune.cost_unit;
  std::vector<std::vector<std::string>> rows = {
      {"", unit, tune.figure, "held out: " + unit, "held out: " + tune.figure}};
  for (size_t i = 0; i < front.size(); ++i) {
    const TunePoint& point = *front[i];
    rows.push_back({fmt::format("{:>3}  {}", i + 1, Verdict(point)), CostText(point.searched),
                    ObjectiveText(point.searched, tune), CostText(point.held_out),
                    ObjectiveText(point.held_out, tune)});
  }
  out += NumberTable(rows) + "\n";
  for (size_t i = 0; i < front.size(); ++i) {
    std::string parameters;
    for (const auto& [name, value] : front[i]->parameters) {
      parameters += fmt::format("{}{}: {}", parameters.empty() ? "" : ", ", name, value);
    }
    out += Wrap(fmt::format("{:>3}  ", i + 1), parameters, kWidth);
  }
  if (!tune.assumptions.empty()) {
    out += "\nassumed, as nobody said otherwise:\n";
    for (const std::string& assumption : tune.assumptions) out += Wrap("  - ", assumption, kWidth);
  }
  return out;
}

Json JsonTune(const TuneReport& tune, const ReportMeta& meta) {
  Json document = Heading("tune " + tune.object, meta);
  document["tune"] = {
      {"object", tune.object},      {"objective", tune.objective}, {"figure", tune.figure},
      {"unit", tune.unit},          {"limit", tune.limit},         {"below", tune.below},
      {"costUnit", tune.cost_unit}, {"searched", tune.searched},   {"heldOut", tune.held_out},
      {"runs", tune.runs},          {"verdict", tune.verdict}};
  document["assumptions"] = tune.assumptions;
  Json& points = document["points"] = Json::array();
  for (const TunePoint& point : tune.points) {
    Json parameters = Json::object();
    for (const auto& [name, value] : point.parameters) parameters[name] = value;
    points.push_back({{"parameters", std::move(parameters)},
                      {"searched", PartJson(point.searched)},
                      {"heldOut", PartJson(point.held_out)},
                      {"onFront", point.on_front},
                      {"recommended", point.recommended},
                      {"asGiven", point.as_given}});
  }
  return document;
}

}  // namespace neap::ctl
