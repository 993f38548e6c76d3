// Writes the pages that report_page_test.py opens in a browser, from made-up runs:
//   report_pages DIRECTORY
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/neapctl/report_runs.h"
#include "tools/neapctl/report/report.h"

namespace neap::ctl {
namespace {

using testing_runs::MadeUpRun;
using testing_runs::Rule;

const ReportMeta kMeta = {
    .title = "checkout on a day in January",
    .command = "neapctl simulate checkout.yaml --trace day.csv --pod-start 60s",
    .objective = absl::Seconds(1),
    .currency = "€"};

// Names that would break out of a page that does not escape them.
sim::Result Hostile() {
  sim::Result run = MadeUpRun("</script><script>document.title='broken'</script>");
  sim::TargetResult& target = run.targets[0];
  target.object = {"shop", "\"><img src=x onerror=\"document.title='broken'\">"};
  target.target.name = "'<b>&amp;\xe2\x80\xa8";
  target.metrics[0].name = "<i onmouseover=alert(1)>cpu</i>";
  for (auto& note : target.decisions) {
    note.reason = "<!--<script>" + note.reason + "\xff";
    note.explanation = "]]></pre></script>" + note.explanation;
  }
  run.assumptions = {"<svg onload=document.title='broken'>"};
  return run;
}

sim::Result ManyTargets() {
  sim::Result run = MadeUpRun("three targets");
  const sim::TargetResult first = run.targets[0];
  for (const char* name : {"search", "worker"}) {
    sim::TargetResult target = first;
    target.object.name = target.target.name = name;
    // Nothing happened here: no series but the counts.
    for (sim::Series* series : {&target.load, &target.pending, &target.waiting, &target.latency}) {
      for (auto& bucket : series->buckets) bucket = {0, 0, 0, name[0] == 's'};
    }
    target.decisions.clear();
    run.targets.push_back(target);
  }
  return run;
}

Comparison ThreePolicies() {
  Comparison comparison;
  comparison.seeds = {1, 2, 3, 4, 5};
  comparison.assumptions = MadeUpRun("").assumptions;
  const std::vector<std::pair<std::string, Rule>> rules = {
      {"HPA as it is", {.per_pod = 12}},
      {"queue trigger, 60 s window", {.per_pod = 15, .down_after = 4}},
      {"tight <and> cheap", {.per_pod = 19, .down_after = 10}}};
  for (const auto& [name, rule] : rules) {
    PolicyRuns policy{.name = name, .file = name[0] == 'H' ? "" : "policy.yaml"};
    for (const uint64_t seed : comparison.seeds) {
      policy.runs.push_back(FiguresOf(MadeUpRun(name, seed, rule)));
    }
    comparison.policies.push_back(policy);
    comparison.shown.push_back(MadeUpRun(name, 1, rule));
  }
  return comparison;
}

TuneReport Front() {
  TuneReport tune;
  tune.object = "shop/checkout";
  tune.objective = "p99 wait < 1s";
  tune.figure = "p99 wait";
  tune.unit = "s";
  tune.limit = 1;
  tune.cost_unit = "pod-hours";
  tune.searched = "days 1 to 20";
  tune.held_out = "days 21 to 30";
  tune.runs = 144;
  tune.verdict =
      "Recommended: averageUtilization 55 with a scale-down window of 2 min: 18 % cheaper than as "
      "given, and it meets the objective on the part that was not searched.";
  for (int target = 40; target <= 90; target += 5) {
    for (int window = 0; window <= 300; window += 100) {
      TunePoint point;
      point.parameters = {{"metrics[0].averageUtilization", fmt::format("{}", target)},
                          {"behavior.scaleDown.window", fmt::format("{}s", window)}};
      const double cost = 9000.0 / target + window * 0.12;
      const double wait = 0.1 * std::exp((target - 40) / 14.0) + 0.35 * std::exp(-window / 70.0);
      point.searched = {cost, wait, wait < 1};
      point.recommended = target == 55 && window == 100;
      point.as_given = target == 60 && window == 300;
      tune.points.push_back(point);
    }
  }
  for (TunePoint& point : tune.points) {
    point.on_front = std::none_of(tune.points.begin(), tune.points.end(), [&](const auto& other) {
      return other.searched.cost < point.searched.cost &&
             other.searched.objective < point.searched.objective;
    });
    if (!point.on_front && !point.as_given) continue;  // not worth a run there
    const double wait = point.searched.objective * 1.15;
    point.held_out = TunePoint::Part{point.searched.cost * 1.04, wait, wait < 1};
  }
  return tune;
}

int Write(const std::string& directory) {
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
    fmt::print("{} {} bytes\n", name, text.size());
  };
  const sim::Result run = MadeUpRun("checkout");
  write("run.html", HtmlReport({&run, 1}, kMeta));
  write("run.txt", TextReport(run, kMeta));
  const sim::Result hostile = Hostile();
  write("hostile.html", HtmlReport({&hostile, 1}));
  const sim::Result many = ManyTargets();
  write("targets.html", HtmlReport({&many, 1}, kMeta));
  // Longer than what is kept of its decisions.
  sim::Result cut = run;
  auto& notes = cut.targets[0].decisions;
  notes.erase(notes.begin(), notes.begin() + static_cast<std::ptrdiff_t>(notes.size() / 2));
  cut.targets[0].decisions_dropped = 7052;
  cut.targets[0].served = 281'195'488'800;
  write("cut.html", HtmlReport({&cut, 1}));
  sim::Result bare;  // figures alone, as tune makes them
  bare.name = "bare";
  bare.targets.resize(1);
  bare.targets[0].service.arrived = 1000;
  write("bare.html", HtmlReport({&bare, 1}));
  const std::vector<sim::Result> two = {MadeUpRun("first"),
                                        MadeUpRun("second", 1, {.per_pod = 18})};
  write("two.html", HtmlReport(two));
  const Comparison comparison = ThreePolicies();
  write("comparison.html", HtmlComparison(comparison, kMeta));
  write("comparison.txt", TextComparison(comparison, kMeta));
  const TuneReport tune = Front();
  write("tune.html", HtmlTune(tune, {}));
  write("tune.txt", TextTune(tune, {}));
  return 0;
}

}  // namespace
}  // namespace neap::ctl

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "report_pages DIRECTORY\n");
    return 2;
  }
  return neap::ctl::Write(argv[1]);
}
