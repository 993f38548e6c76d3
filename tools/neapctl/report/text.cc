// TextReport: one run in a terminal.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autoscaler/base/duration.h"
#include "tools/neapctl/report/format.h"
#include "tools/neapctl/report/report.h"

namespace neap::ctl {
namespace {

constexpr size_t kWidth = 100;
constexpr size_t kLabel = 19;  // of the figures' left half
constexpr size_t kValue = 29;  // and its values
constexpr size_t kSpark = 52;
constexpr size_t kMostTargets = 20;  // shown with all figures; the others are counted

// "0 to 812 1/s, mean 240": what the sparkline's heights stand for.
std::string RangeText(const sim::Series& series) {
  double least = 0;
  double greatest = 0;
  double sum = 0;
  size_t count = 0;
  for (const auto& bucket : series.buckets) {
    if (!bucket.has) continue;
    least = count == 0 ? bucket.min : std::min(least, bucket.min);
    greatest = count == 0 ? bucket.max : std::max(greatest, bucket.max);
    sum += bucket.mean;
    ++count;
  }
  if (count == 0) return "no value";
  if (least == greatest) return ValueText(least, series.unit);
  return fmt::format("{} to {}, mean {}", NumberText(least), ValueText(greatest, series.unit),
                     NumberText(sum / static_cast<double>(count)));
}

void AppendSpark(std::string& out, std::string_view label, const sim::Series& series) {
  if (series.buckets.empty()) return;
  out += fmt::format("  {}{}  {}\n", PadRight(label, 9), Sparkline(series, kSpark),
                     Clip(RangeText(series), kWidth - 13 - kSpark));
}

// Two figures on a line; an empty label leaves its half free.
struct Cell {
  std::string label = {};
  std::string value = {};
};
void AppendPair(std::string& out, const Cell& left, const Cell& right = {}) {
  std::string line =
      fmt::format("  {}{}  {}{}", PadRight(left.label, kLabel), PadRight(left.value, kValue),
                  PadRight(right.label, 15), right.value);
  line.erase(line.find_last_not_of(' ') + 1);
  out += Clip(line, kWidth) + "\n";
}

std::string FailuresText(const sim::TargetResult& t) {
  std::string out;
  const auto add = [&](int64_t milli, std::string_view what) {
    if (milli == 0) return;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ",
                       NumberText(static_cast<double>(milli) / 1000), what);
  };
  add(t.service.timed_out, "timed out");
  add(t.service.refused, "refused");
  add(t.service.reset, "reset");
  add(t.service.wrong, "answered with an error");
  add(t.service.overflowed, "over a full queue or limit");
  return out;
}

std::string WithShare(double part, double whole, std::string_view text) {
  if (!(whole > 0)) return std::string(text);
  return fmt::format("{} ({})", text, ShareText(part, whole));
}

std::string Money(double cost, const ReportMeta& meta) {
  return meta.currency.empty() ? NumberText(cost)
                               : fmt::format("{} {}", NumberText(cost), meta.currency);
}

void AppendFigures(std::string& out, const sim::Result& result, const sim::TargetResult& t,
                   const ReportMeta& meta) {
  const double requests = t.served + t.failed;
  const double seconds = absl::ToDoubleSeconds(result.duration);
  const auto both = [](double p50, double p99) {
    return fmt::format("{} / {}", SecondsText(p50), SecondsText(p99));
  };
  AppendPair(out, {"served", NumberText(t.served)}, {"wait p50/p99", both(t.wait_p50, t.wait_p99)});
  AppendPair(out, {"failed", WithShare(t.failed, requests, NumberText(t.failed))},
             {"took p50/p99",
              t.latency_p99 > 0 ? both(t.latency_p50, t.latency_p99) : "– (not modelled)"});
  Cell late;
  if (meta.objective != absl::InfiniteDuration()) {
    late = {fmt::format("late, over {}", SecondsText(absl::ToDoubleSeconds(meta.objective))),
            WithShare(t.late, t.served, NumberText(t.late))};
  } else {
    late = {"late", "– (no objective stated)"};
  }
  AppendPair(out, late, {"pod-hours", NumberText(t.pod_hours)});
  AppendPair(
      out,
      {"scale changes", fmt::format("{} up, {} down", NumberText(static_cast<double>(t.scale_ups)),
                                    NumberText(static_cast<double>(t.scale_downs)))},
      {"cost", t.cost > 0 ? Money(t.cost, meta) : "– (no price given)"});
  AppendPair(
      out, {"under-provisioned", WithShare(t.under_seconds, seconds, SecondsText(t.under_seconds))},
      {"most replicas", NumberText(t.most_replicas)});
  AppendPair(out,
             {"over-provisioned", WithShare(t.over_seconds, seconds, SecondsText(t.over_seconds))},
             {"no metric in",
              fmt::format("{} of {} decisions", NumberText(static_cast<double>(t.failed_metrics)),
                          NumberText(static_cast<double>(t.decisions_taken)))});
  if (const std::string failures = FailuresText(t); !failures.empty()) {
    out += Wrap("  " + PadRight("failures", kLabel), failures, kWidth);
  }
  // With a space at which no line is broken.
  const auto percent = [](double value) { return NumberText(value) + "\u00a0%"; };
  const sim::Elasticity& e = t.elasticity;
  out +=
      Wrap("  " + PadRight("elasticity (SPEC)", kLabel),
           fmt::format("missing {} of demand, {} of the time; surplus {} of demand, {} of the "
                       "time; instability {}",
                       percent(e.accuracy_under), percent(e.timeshare_under),
                       percent(e.accuracy_over), percent(e.timeshare_over), percent(e.instability)),
           kWidth);
}

void AppendTarget(std::string& out, const sim::Result& result, const sim::TargetResult& t,
                  const ReportMeta& meta) {
  out += "\n";
  out += Clip(fmt::format("{} scales {} {}, {} to {} replicas", t.object.Text(), t.target.kind,
                          t.target.name, t.min_replicas, t.max_replicas),
              kWidth) +
         "\n";
  AppendSpark(out, "load", t.load);
  AppendSpark(out, "wanted", t.wanted);
  AppendSpark(out, "ready", t.ready);
  AppendSpark(out, "demand", t.demand);
  AppendFigures(out, result, t, meta);
}

}  // namespace

std::string TextReport(const sim::Result& result, const ReportMeta& meta) {
  const auto count = [](uint64_t n) { return NumberText(static_cast<double>(n)); };
  std::string out = Clip(meta.title.empty() ? result.name : meta.title, kWidth) + "\n";
  out += Clip(fmt::format("{} from {}, seed {}, {} decisions, {} events",
                          SecondsText(absl::ToDoubleSeconds(result.duration)),
                          base::FormatTime(result.start), result.seed, count(result.decisions),
                          count(result.events)),
              kWidth) +
         "\n";
  for (size_t i = 0; i < std::min(result.targets.size(), kMostTargets); ++i) {
    AppendTarget(out, result, result.targets[i], meta);
  }
  if (result.targets.size() > kMostTargets) {
    out += fmt::format("\nand {} further targets: see the CSV, JSON or HTML report\n",
                       result.targets.size() - kMostTargets);
  }
  if (!result.assumptions.empty()) {
    out += "\nassumed, as nobody said otherwise:\n";
    for (const std::string& assumption : result.assumptions)
      out += Wrap("  - ", assumption, kWidth);
  }
  return out;
}

}  // namespace neap::ctl
