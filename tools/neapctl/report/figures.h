// The figures of a run as rows of a table: key (JSON, CSV), label, unit and which way is better.
// What the text, HTML, JSON and CSV forms of a comparison have in common. Pure functions.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tools/neapctl/report/report.h"

namespace neap::ctl {

enum class Better { kLess, kMore, kNeither };

struct FigureRow {
  std::string_view key;
  std::string_view label;
  std::string_view unit;  // "s", "%", ""
  Better better;
  double Figures::* value;
};
// In the order of tables.
std::span<const FigureRow> FigureRows();
// The same without what these runs do not know: late without an objective, cost without a
// price, latencies where the time of serving is not modelled.
std::vector<const FigureRow*> RowsFor(std::span<const Figures> runs, const ReportMeta& meta);

Figures FiguresOf(const sim::TargetResult& target);

// The values of one row, one per run.
std::vector<double> Values(const PolicyRuns& policy, const FigureRow& row);
// Of the differences from the baseline, seed by seed; seeds that one of them lacks are left out.
Estimate DifferenceOf(const PolicyRuns& policy, const PolicyRuns& baseline, const FigureRow& row);

}  // namespace neap::ctl
