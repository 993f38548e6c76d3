// Comparisons of policies over seeds: text and JSON. The page is in html.cc.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/neapctl/report/figures.h"
#include "tools/neapctl/report/format.h"
#include "tools/neapctl/report/json.h"
#include "tools/neapctl/report/report.h"

namespace neap::ctl {
namespace {

constexpr size_t kWidth = 100;

std::vector<Figures> AllRuns(const Comparison& comparison) {
  std::vector<Figures> all;
  for (const PolicyRuns& policy : comparison.policies) {
    all.insert(all.end(), policy.runs.begin(), policy.runs.end());
  }
  return all;
}

// Half an interval to two digits: more would pretend.
std::string HalfText(double half, std::string_view unit) {
  if (half == 0 || !std::isfinite(half)) return ValueText(half, unit);
  const double step = std::pow(10, std::floor(std::log10(half)) - 1);
  return ValueText(std::round(half / step) * step, unit);
}

std::string EstimateText(const Estimate& e, std::string_view unit) {
  if (e.runs == 0) return "–";
  if (e.half == 0) return ValueText(e.mean, unit);
  if (unit == "s") return fmt::format("{} ± {}", SecondsText(e.mean), HalfText(e.half, "s"));
  return fmt::format("{} ± {}", NumberText(e.mean), HalfText(e.half, unit));
}

// "−12 ± 3 %": the mean difference as a share of the baseline's mean. A difference whose interval
// includes 0 is in brackets: it may be chance.
std::string DifferenceText(const Estimate& d, double baseline, std::string_view unit) {
  if (d.runs == 0 || (d.mean == 0 && d.half == 0)) return "same";
  const double scale = baseline != 0 ? 100 / std::abs(baseline) : 1;
  const std::string_view of = baseline != 0 ? "%" : unit;
  const std::string text =
      fmt::format("{}{}", d.mean > 0 ? "+" : "",
                  EstimateText({d.mean * scale, d.half * scale, 0, 0, d.runs}, of));
  return std::abs(d.mean) <= d.half ? fmt::format("({})", text) : text;
}

// The baseline's column, then of each policy its values and the differences from the baseline.
std::string PolicyTable(const Comparison& c, const std::vector<size_t>& policies,
                        const std::vector<const FigureRow*>& rows) {
  const PolicyRuns& baseline = c.policies[c.baseline];
  std::vector<std::vector<std::string>> cells = {{"", Clip(baseline.name, 22)}};
  for (const size_t p : policies) {
    cells[0].push_back(Clip(c.policies[p].name, 22));
    cells[0].emplace_back("difference");
  }
  for (const FigureRow* row : rows) {
    const Estimate base = EstimateOf(Values(baseline, *row));
    std::vector<std::string> line = {std::string(row->label), EstimateText(base, row->unit)};
    for (const size_t p : policies) {
      line.push_back(EstimateText(EstimateOf(Values(c.policies[p], *row)), row->unit));
      line.push_back(
          DifferenceText(DifferenceOf(c.policies[p], baseline, *row), base.mean, row->unit));
    }
    cells.push_back(std::move(line));
  }
  return NumberTable(cells);
}

size_t WidthOf(const std::string& table) {
  size_t widest = 0;
  for (size_t at = 0; at < table.size();) {
    const size_t end = std::min(table.find('\n', at), table.size());
    widest = std::max(widest, Columns(std::string_view(table).substr(at, end - at)));
    at = end + 1;
  }
  return widest;
}

Json EstimateJson(const Estimate& e) {
  return {{"mean", e.mean},
          {"half", e.half},
          {"least", e.least},
          {"greatest", e.greatest},
          {"runs", e.runs}};
}

}  // namespace

std::string TextComparison(const Comparison& c, const ReportMeta& meta) {
  std::string out = Clip(meta.title.empty() ? "comparison" : meta.title, kWidth) + "\n";
  if (c.policies.empty() || c.baseline >= c.policies.size()) return out + "no policies\n";
  std::string how = fmt::format("{} seeds; mean ± half the 95 % interval", c.seeds.size());
  if (c.seeds.size() == 1) {
    how = fmt::format("one seed, {}: without an interval, as one run tells nothing of chance",
                      c.seeds[0]);
  } else if (c.policies.size() > 1) {
    how += fmt::format("; differences are from {} on the same seeds; in (brackets): may be chance",
                       c.policies[c.baseline].name);
  }
  out += Wrap("", how, kWidth);
  const std::vector<const FigureRow*> rows = RowsFor(AllRuns(c), meta);
  std::vector<size_t> others;
  for (size_t p = 0; p < c.policies.size(); ++p) {
    if (p != c.baseline) others.push_back(p);
  }
  // Columns are added to a table while it fits.
  size_t next = 0;
  do {
    std::vector<size_t> columns;
    std::string table;
    do {
      if (next < others.size()) columns.push_back(others[next]);
      std::string wider = PolicyTable(c, columns, rows);
      if (columns.size() > 1 && WidthOf(wider) > kWidth) break;
      table = std::move(wider);
    } while (++next < others.size());
    out += "\n" + table;
  } while (next < others.size());
  if (!c.assumptions.empty()) {
    out += "\nassumed, as nobody said otherwise:\n";
    for (const std::string& assumption : c.assumptions) out += Wrap("  - ", assumption, kWidth);
  }
  return out;
}

Json JsonComparison(const Comparison& c, const ReportMeta& meta) {
  Json document = Heading("comparison", meta);
  document["figureRows"] = FigureRowsJson(AllRuns(c), meta);
  document["seeds"] = c.seeds;
  document["baseline"] = c.baseline;
  document["assumptions"] = c.assumptions;
  Json& policies = document["policies"] = Json::array();
  for (const PolicyRuns& policy : c.policies) {
    Json figures = Json::object();
    Json differences = Json::object();
    for (const FigureRow& row : FigureRows()) {
      figures[row.key] = EstimateJson(EstimateOf(Values(policy, row)));
      if (c.baseline >= c.policies.size()) continue;
      differences[row.key] = EstimateJson(DifferenceOf(policy, c.policies[c.baseline], row));
    }
    Json runs = Json::array();
    for (const Figures& run : policy.runs) {
      Json one = Json::object();
      for (const FigureRow& row : FigureRows()) one[row.key] = run.*row.value;
      runs.push_back(std::move(one));
    }
    policies.push_back({{"name", policy.name},
                        {"file", policy.file},
                        {"figures", std::move(figures)},
                        {"differences", std::move(differences)},
                        {"runs", std::move(runs)}});
  }
  return document;
}

}  // namespace neap::ctl
