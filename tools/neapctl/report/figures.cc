#include "tools/neapctl/report/figures.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace neap::ctl {
namespace {

constexpr std::array kRows = {
    FigureRow{"served", "served", "", Better::kMore, &Figures::served},
    FigureRow{"failed", "failed", "", Better::kLess, &Figures::failed},
    FigureRow{"late", "late", "", Better::kLess, &Figures::late},
    FigureRow{"wait_p50", "wait p50", "s", Better::kLess, &Figures::wait_p50},
    FigureRow{"wait_p99", "wait p99", "s", Better::kLess, &Figures::wait_p99},
    FigureRow{"latency_p50", "latency p50", "s", Better::kLess, &Figures::latency_p50},
    FigureRow{"latency_p99", "latency p99", "s", Better::kLess, &Figures::latency_p99},
    FigureRow{"pod_hours", "pod-hours", "", Better::kLess, &Figures::pod_hours},
    FigureRow{"cost", "cost", "", Better::kLess, &Figures::cost},
    FigureRow{"scale_changes", "scale changes", "", Better::kLess, &Figures::scale_changes},
    FigureRow{"most_replicas", "most replicas", "", Better::kNeither, &Figures::most_replicas},
    FigureRow{"under_seconds", "under-provisioned", "s", Better::kLess, &Figures::under_seconds},
    FigureRow{"over_seconds", "over-provisioned", "s", Better::kLess, &Figures::over_seconds},
    FigureRow{"failed_metrics", "decisions without a metric", "", Better::kNeither,
              &Figures::failed_metrics},
    FigureRow{"accuracy_under", "elasticity: missing pods", "%", Better::kLess,
              &Figures::accuracy_under},
    FigureRow{"accuracy_over", "elasticity: surplus pods", "%", Better::kLess,
              &Figures::accuracy_over},
    FigureRow{"timeshare_under", "elasticity: time with too few", "%", Better::kLess,
              &Figures::timeshare_under},
    FigureRow{"timeshare_over", "elasticity: time with too many", "%", Better::kLess,
              &Figures::timeshare_over},
    FigureRow{"instability", "elasticity: instability", "%", Better::kLess, &Figures::instability},
};

// Quantile 0.975 of Student's t for 1 to 30 degrees of freedom.
constexpr std::array<double, 30> kStudent = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

double Student(size_t freedom) {
  if (freedom <= kStudent.size()) return kStudent[freedom - 1];
  // Beyond the table: the first terms of the expansion about the normal quantile, off by less than
  // 0.0005 from 31 on.
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(freedom);
  return z + (z * z * z + z) / (4 * n) +
         (5 * z * z * z * z * z + 16 * z * z * z + 3 * z) / (96 * n * n);
}

}  // namespace

std::span<const FigureRow> FigureRows() { return kRows; }

std::vector<const FigureRow*> RowsFor(std::span<const Figures> runs, const ReportMeta& meta) {
  const auto any = [&](double Figures::* value) {
    return std::any_of(runs.begin(), runs.end(), [&](const auto& f) { return f.*value > 0; });
  };
  const bool priced = any(&Figures::cost);
  const bool served = any(&Figures::latency_p99);
  std::vector<const FigureRow*> rows;
  for (const FigureRow& row : kRows) {
    if (row.value == &Figures::late && meta.objective == absl::InfiniteDuration()) continue;
    if (row.value == &Figures::cost && !priced) continue;
    const bool latency = row.value == &Figures::latency_p50 || row.value == &Figures::latency_p99;
    if (latency && !served) continue;
    rows.push_back(&row);
  }
  return rows;
}

Figures FiguresOf(const sim::TargetResult& t) {
  Figures f;
  f.served = t.served;
  f.failed = t.failed;
  f.late = t.late;
  f.wait_p50 = t.wait_p50;
  f.wait_p99 = t.wait_p99;
  f.latency_p50 = t.latency_p50;
  f.latency_p99 = t.latency_p99;
  f.pod_hours = t.pod_hours;
  f.cost = t.cost;
  f.scale_changes = static_cast<double>(t.scale_ups + t.scale_downs);
  f.most_replicas = t.most_replicas;
  f.under_seconds = t.under_seconds;
  f.over_seconds = t.over_seconds;
  f.failed_metrics = static_cast<double>(t.failed_metrics);
  f.accuracy_under = t.elasticity.accuracy_under;
  f.accuracy_over = t.elasticity.accuracy_over;
  f.timeshare_under = t.elasticity.timeshare_under;
  f.timeshare_over = t.elasticity.timeshare_over;
  f.instability = t.elasticity.instability;
  return f;
}

Figures FiguresOf(const sim::Result& result) {
  static constexpr std::array kWorst = {&Figures::wait_p50, &Figures::wait_p99,
                                        &Figures::latency_p50, &Figures::latency_p99};
  static constexpr std::array kMean = {&Figures::accuracy_under, &Figures::accuracy_over,
                                       &Figures::timeshare_under, &Figures::timeshare_over,
                                       &Figures::instability};
  const auto is = [](const auto& list, double Figures::* value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  Figures all;
  for (const sim::TargetResult& target : result.targets) {
    const Figures one = FiguresOf(target);
    for (const FigureRow& row : kRows) {
      double& sum = all.*row.value;
      const double value = one.*row.value;
      sum = is(kWorst, row.value) ? std::max(sum, value) : sum + value;
    }
  }
  if (result.targets.empty()) return all;
  for (const auto value : kMean) all.*value /= static_cast<double>(result.targets.size());
  return all;
}

Estimate EstimateOf(std::span<const double> values) {
  Estimate e;
  e.runs = values.size();
  if (values.empty()) return e;
  const auto n = static_cast<double>(values.size());
  e.least = e.greatest = values[0];
  double sum = 0;
  for (const double v : values) {
    sum += v;
    e.least = std::min(e.least, v);
    e.greatest = std::max(e.greatest, v);
  }
  e.mean = sum / n;
  if (values.size() == 1) return e;
  double squares = 0;
  for (const double v : values) squares += (v - e.mean) * (v - e.mean);
  e.half = Student(values.size() - 1) * std::sqrt(squares / (n - 1) / n);
  if (e.half < 1e-9 * std::abs(e.mean)) e.half = 0;  // what summing left of equal values
  return e;
}

std::vector<double> Values(const PolicyRuns& policy, const FigureRow& row) {
  std::vector<double> values;
  values.reserve(policy.runs.size());
  for (const Figures& run : policy.runs) values.push_back(run.*row.value);
  return values;
}

Estimate DifferenceOf(const PolicyRuns& policy, const PolicyRuns& baseline, const FigureRow& row) {
  std::vector<double> differences;
  const size_t seeds = std::min(policy.runs.size(), baseline.runs.size());
  for (size_t i = 0; i < seeds; ++i) {
    differences.push_back(policy.runs[i].*row.value - baseline.runs[i].*row.value);
  }
  return EstimateOf(differences);
}

}  // namespace neap::ctl
