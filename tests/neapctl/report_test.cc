#include "tools/neapctl/report/report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <sstream>

#include "tests/neapctl/report_runs.h"
#include "tools/neapctl/progress.h"
#include "tools/neapctl/report/figures.h"
#include "tools/neapctl/report/format.h"
#include "tools/neapctl/report/json.h"

namespace neap::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_runs::MadeUpRun;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// ---- numbers ----

TEST(Format, NumbersHaveThreeDigitsAndWholeOnesAll) {
  EXPECT_EQ(NumberText(0), "0");
  EXPECT_EQ(NumberText(7), "7");
  EXPECT_EQ(NumberText(0.012345), "0.0123");
  EXPECT_EQ(NumberText(4.567), "4.57");
  EXPECT_EQ(NumberText(4.5), "4.5");
  EXPECT_EQ(NumberText(99.96), "100");
  EXPECT_EQ(NumberText(123.4), "123");
  EXPECT_EQ(NumberText(14182817.3), "14,182,817");
  EXPECT_EQ(NumberText(-1234.5), "−1,235");
  EXPECT_EQ(NumberText(0.00001234), "1.2e-05");
  EXPECT_EQ(NumberText(std::nan("")), "–");
  EXPECT_EQ(NumberText(std::numeric_limits<double>::infinity()), "–");
}

TEST(Format, SecondsTakeTheUnitThatFits) {
  EXPECT_EQ(SecondsText(0), "0 s");
  EXPECT_EQ(SecondsText(0.00042), "420 µs");
  EXPECT_EQ(SecondsText(0.34), "340 ms");
  EXPECT_EQ(SecondsText(0.9999), "1 s");
  EXPECT_EQ(SecondsText(4.2), "4.2 s");
  EXPECT_EQ(SecondsText(59.97), "1 min");
  EXPECT_EQ(SecondsText(735), "12 min 15 s");
  EXPECT_EQ(SecondsText(12000), "3 h 20 min");
  EXPECT_EQ(SecondsText(86400), "24 h");
  EXPECT_EQ(SecondsText(30 * 86400.0), "30 d");
  EXPECT_EQ(SecondsText(-90), "−1 min 30 s");
}

TEST(Format, SharesNeitherDenyWhatHappenedNorClaimAll) {
  EXPECT_EQ(ShareText(1, 10'000'000), "< 0.001 %");
  EXPECT_EQ(ShareText(9'999'999, 10'000'000), "> 99.9 %");
  EXPECT_EQ(ShareText(10, 10), "100 %");
  EXPECT_EQ(ShareText(0, 10), "0 %");
  EXPECT_EQ(ShareText(0, 0), "–");
}

TEST(Format, ClipsByCharacterAndLetsNoControlCharacterThrough) {
  EXPECT_EQ(Clip("äöüäöü", 4), "äöü…");
  EXPECT_EQ(Clip("äöü", 3), "äöü");
  EXPECT_EQ(Clip("a\x1b[31mb\n", 20), "a [31mb ");
  EXPECT_EQ(PadLeft("µ", 3), "  µ");
}

TEST(Format, WrapsUnderTheFirstLine) {
  EXPECT_EQ(Wrap("  - ", "one two three", 12), "  - one two\n    three\n");
  EXPECT_EQ(Wrap("  - ", "unbreakable-word", 8), "  - unbreakable-word\n");
  EXPECT_EQ(Wrap("", "", 8), "\n");
}

TEST(Format, SparklineShowsPeaksAndGaps) {
  sim::Series series;
  for (int i = 0; i < 8; ++i) series.buckets.push_back({0, i + 1.0, 0, true});
  EXPECT_EQ(Sparkline(series, 8), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(Sparkline(series, 4), "▂▄▆█");  // the greatest of two
  series.buckets[2].has = series.buckets[3].has = false;
  EXPECT_EQ(Sparkline(series, 4), "▂ ▆█");
  for (auto& bucket : series.buckets) bucket = {0, 0, 0, true};
  EXPECT_EQ(Sparkline(series, 2), "▁▁");
  EXPECT_EQ(Sparkline({}, 4), "");
}

// ---- figures ----

TEST(Figures, OfTargetsAreSumsWorstsAndMeans) {
  sim::Result run = MadeUpRun("two");
  run.targets.push_back(run.targets[0]);
  sim::TargetResult& second = run.targets[1];
  second.served = 100;
  second.wait_p99 = 9;
  second.elasticity.instability = run.targets[0].elasticity.instability + 2;
  const Figures all = FiguresOf(run);
  const Figures one = FiguresOf(run.targets[0]);
  EXPECT_EQ(all.served, one.served + 100);
  EXPECT_EQ(all.pod_hours, 2 * one.pod_hours);
  EXPECT_EQ(all.wait_p99, 9);
  EXPECT_EQ(all.wait_p50, one.wait_p50);
  EXPECT_DOUBLE_EQ(all.instability, one.instability + 1);
  EXPECT_EQ(all.scale_changes, 2 * one.scale_changes);
}

TEST(Figures, IntervalIsStudents) {
  // Mean 3, deviation sqrt(2.5), five values: 2.776 x sqrt(2.5 / 5).
  const std::vector<double> values = {1, 2, 3, 4, 5};
  const Estimate e = EstimateOf(values);
  EXPECT_DOUBLE_EQ(e.mean, 3);
  EXPECT_NEAR(e.half, 1.9629, 0.0005);
  EXPECT_EQ(e.least, 1);
  EXPECT_EQ(e.greatest, 5);
  EXPECT_EQ(EstimateOf(std::vector<double>{4}).half, 0);
  EXPECT_EQ(EstimateOf({}).runs, 0U);
  EXPECT_EQ(EstimateOf(std::vector<double>(7, 0.1)).half, 0);  // whose sum is not 0.7
}

TEST(Figures, StudentBeyondTheTableIsContinuous) {
  // 61 alternating values: deviation sqrt(60/59) x about 1; t(60) = 2.0003.
  std::vector<double> values;
  for (int i = 0; i < 61; ++i) values.push_back(i % 2);
  const double mean = 30.0 / 61;
  const double variance = (30 * (1 - mean) * (1 - mean) + 31 * mean * mean) / 60;
  EXPECT_NEAR(EstimateOf(values).half, 2.0003 * std::sqrt(variance / 61), 0.0001);
}

TEST(Figures, DifferencesArePaired) {
  // Seeds differ much, policies by 1 on each of them: the difference is exact.
  const FigureRow row{"served", "", "", Better::kMore, &Figures::served};
  PolicyRuns a;
  PolicyRuns b;
  for (const double seed : {100.0, 500.0, 900.0}) {
    a.runs.push_back({.served = seed});
    b.runs.push_back({.served = seed + 1});
  }
  const Estimate d = DifferenceOf(b, a, row);
  EXPECT_DOUBLE_EQ(d.mean, 1);
  EXPECT_DOUBLE_EQ(d.half, 0);
  EXPECT_GT(EstimateOf(Values(a, row)).half, 100);
}

TEST(Figures, WhatNobodyKnowsHasNoRow) {
  const auto labels = [](const Figures& figures, const ReportMeta& meta) {
    std::string all;
    for (const FigureRow* row : RowsFor({&figures, 1}, meta)) all += fmt::format("{};", row->key);
    return all;
  };
  EXPECT_THAT(labels({}, {}), Not(HasSubstr("late;")));
  EXPECT_THAT(labels({}, {}), Not(HasSubstr("cost;")));
  EXPECT_THAT(labels({}, {}), Not(HasSubstr("latency_p99;")));
  EXPECT_THAT(labels({.latency_p99 = 0.1}, {}), HasSubstr("latency_p99;"));
  EXPECT_THAT(labels({.cost = 1}, {.objective = absl::Seconds(1)}), HasSubstr("late;"));
  EXPECT_THAT(labels({.cost = 1}, {}), HasSubstr("cost;"));
}

// ---- text ----

TEST(TextReport, IsAHundredColumnsWideAndSaysEachFigure) {
  const sim::Result run = MadeUpRun("checkout");
  const std::string text = TextReport(run, {.objective = absl::Seconds(1), .currency = "€"});
  for (const std::string& line : Lines(text)) EXPECT_LE(Columns(line), 100U) << line;
  EXPECT_THAT(text,
              StartsWith("checkout\n24 h from 2026-01-01T00:00:00Z, seed 1, 5,760 decisions"));
  EXPECT_THAT(text, HasSubstr("shop/checkout scales Deployment checkout, 2 to 40 replicas\n"));
  EXPECT_THAT(text, HasSubstr("  load     ▂"));
  EXPECT_THAT(text, HasSubstr("  ready    ▂"));
  EXPECT_THAT(text, HasSubstr("served             14,182,817"));
  EXPECT_THAT(text, HasSubstr("failed             6,823 (0.0481 %)"));
  EXPECT_THAT(text, HasSubstr("late, over 1 s     32,100 (0.226 %)"));
  EXPECT_THAT(text, HasSubstr("wait p50/p99   2.1 ms / 3.4 s"));
  EXPECT_THAT(text, HasSubstr("pod-hours      295"));
  EXPECT_THAT(text, HasSubstr("cost           14.2 €"));
  EXPECT_THAT(text, HasSubstr("scale changes      18 up, 26 down"));
  EXPECT_THAT(text, HasSubstr("under-provisioned  1 min (0.0694 %)"));
  EXPECT_THAT(text, HasSubstr("failures           6,823 timed out\n"));
  EXPECT_THAT(text, HasSubstr("missing 1.9\u00a0% of demand, 0.0694\u00a0% of the time"));
  EXPECT_THAT(text, HasSubstr("  - a pod needs 60 s from creation to ready"));
}

TEST(TextReport, DoesNotInventWhatWasNotStated) {
  sim::Result run = MadeUpRun("checkout");
  run.targets[0].cost = 0;
  run.targets[0].latency_p99 = 0;
  run.targets[0].load.buckets.clear();
  const std::string text = TextReport(run);
  EXPECT_THAT(text, HasSubstr("late               – (no objective stated)"));
  EXPECT_THAT(text, HasSubstr("cost           – (no price given)"));
  EXPECT_THAT(text, HasSubstr("took p50/p99   – (not modelled)"));
  EXPECT_THAT(text, Not(HasSubstr("  load ")));
  EXPECT_THAT(TextReport({}), HasSubstr("0 s from"));
}

TEST(TextReport, NamesCanNotWriteToTheTerminal) {
  sim::Result run = MadeUpRun("evil\x1b]0;title\x07");
  run.targets[0].object.name = std::string(300, 'x') + "\x1b[2J";
  run.assumptions = {"\x1b[31mred"};
  const std::string text = TextReport(run);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\x07")));
  for (const std::string& line : Lines(text)) EXPECT_LE(Columns(line), 100U) << line;
}

TEST(TextReport, ManyTargetsAreCountedNotPrinted) {
  sim::Result run = MadeUpRun("many");
  run.targets.resize(25, run.targets[0]);
  EXPECT_THAT(TextReport(run), HasSubstr("and 5 further targets"));
}

// ---- comparisons ----

Comparison ThreeSeeds() {
  Comparison c;
  c.seeds = {1, 2, 3};
  c.policies = {{.name = "HPA as it is", .runs = {}},
                {.name = "mine", .file = "mine.yaml", .runs = {}}};
  const double wobble[] = {-1, 0, 1};
  for (int i = 0; i < 3; ++i) {
    c.policies[0].runs.push_back(
        {.served = 1000, .failed = 4 + wobble[i], .pod_hours = 100 + 10 * wobble[i]});
    c.policies[1].runs.push_back(
        {.served = 1000, .failed = 4 - wobble[i], .pod_hours = 80 + 10.5 * wobble[i]});
  }
  return c;
}

TEST(TextComparison, HasAColumnPerPolicyWithIntervalsAndPairedDifferences) {
  const std::string text = TextComparison(ThreeSeeds());
  EXPECT_THAT(text, HasSubstr("3 seeds"));
  const auto row = [&](std::string_view label) {
    for (const std::string& line : Lines(text)) {
      if (line.starts_with(label)) return line;
    }
    return std::string();
  };
  EXPECT_THAT(row("served "), ::testing::EndsWith(" same"));
  EXPECT_THAT(row("failed "), HasSubstr("(0 ± 120 %)"));  // it may be chance
  EXPECT_THAT(row("pod-hours "), HasSubstr("100 ± 25 "));
  EXPECT_THAT(row("pod-hours "), HasSubstr("80 ± 26 "));
  EXPECT_THAT(row("pod-hours "), HasSubstr("−20 ± 1.2 %"));  // far sharper than the intervals
  for (const std::string& line : Lines(text)) EXPECT_LE(Columns(line), 100U) << line;
}

TEST(TextComparison, PutsWhatDoesNotFitIntoAFurtherTable) {
  Comparison c = ThreeSeeds();
  for (int i = 0; i < 5; ++i) {
    c.policies.push_back(c.policies[1]);
    c.policies.back().name = fmt::format("policy with a long name {}", i);
  }
  const std::string text = TextComparison(c);
  size_t tables = 0;
  for (const std::string& line : Lines(text)) {
    EXPECT_LE(Columns(line), 100U) << line;
    tables += line.starts_with("served ");
  }
  EXPECT_GE(tables, 2U);
  EXPECT_LE(tables, 6U);
  EXPECT_THAT(text, HasSubstr("mine"));
  // Each name is there, cut where it is long.
  size_t names = 0;
  for (size_t at = 0; (at = text.find("policy with a long na", at)) != std::string::npos; ++at)
    ++names;
  EXPECT_EQ(names, 5U);
}

TEST(TextComparison, OneSeedHasNoIntervalAndSaysSo) {
  Comparison c = ThreeSeeds();
  c.seeds = {7};
  for (auto& policy : c.policies) policy.runs.resize(1);
  const std::string text = TextComparison(c);
  EXPECT_THAT(text, HasSubstr("one seed, 7"));
  EXPECT_THAT(text, Not(HasSubstr("±")));
  EXPECT_THAT(text, HasSubstr("−22.8 %"));  // 90 to 69.5
  c.policies.resize(1);
  EXPECT_THAT(TextComparison(c), HasSubstr("pod-hours"));
  EXPECT_THAT(TextComparison({}), HasSubstr("no policies"));
}

TEST(JsonComparison, HoldsEstimatesDifferencesAndEachRun) {
  const Json document = JsonComparison(ThreeSeeds());
  EXPECT_EQ(document["policies"][1]["file"], "mine.yaml");
  EXPECT_DOUBLE_EQ(document["policies"][1]["figures"]["pod_hours"]["mean"].get<double>(), 80);
  EXPECT_DOUBLE_EQ(document["policies"][1]["differences"]["pod_hours"]["mean"].get<double>(), -20);
  EXPECT_EQ(document["policies"][0]["runs"].size(), 3U);
  EXPECT_EQ(document["seeds"], Json({1, 2, 3}));
}

// ---- tune ----

TuneReport SmallTune() {
  TuneReport tune;
  tune.object = "shop/checkout";
  tune.objective = "p99 wait < 1s";
  tune.figure = "p99 wait";
  tune.unit = "s";
  tune.limit = 1;
  tune.cost_unit = "pod-hours";
  tune.searched = "days 1 to 20";
  tune.held_out = "days 21 to 30";
  tune.runs = 40;
  tune.verdict = "Nothing is recommended: on the part not searched all miss the objective.";
  tune.points = {{.parameters = {{"target", "80"}, {"window", "0s, or \"none\""}},
                  .searched = {100, 0.9, true},
                  .held_out = TunePoint::Part{110, 1.4, false},
                  .on_front = true},
                 {.parameters = {{"target", "70"}}, .searched = {150, 0.95, true}},
                 {.parameters = {}, .searched = {200, 0.5, true}, .as_given = true}};
  return tune;
}

TEST(Tune, TextShowsTheFrontAndWhatMisses) {
  const std::string text = TextTune(SmallTune());
  EXPECT_THAT(text, HasSubstr("Nothing is recommended"));
  EXPECT_THAT(text, HasSubstr("1.4 s !"));
  EXPECT_THAT(text, ::testing::ContainsRegex("as given +200 +500 ms +not run +–\n"));
  EXPECT_THAT(text, HasSubstr("target: 80"));
  EXPECT_THAT(text, Not(HasSubstr("target: 70")));  // off the front
  for (const std::string& line : Lines(text)) EXPECT_LE(Columns(line), 100U) << line;
}

TEST(Tune, CsvHasEveryPointAndEveryParameter) {
  EXPECT_EQ(Lines(TuneCsv(SmallTune()))[0],
            "as_given,on_front,recommended,target,window,searched_cost,searched_objective,"
            "searched_meets,held_out_cost,held_out_objective,held_out_meets");
  EXPECT_EQ(Lines(TuneCsv(SmallTune()))[1],
            "false,true,false,80,\"0s, or \"\"none\"\"\",100,0.9,true,110,1.4,false");
  EXPECT_EQ(Lines(TuneCsv(SmallTune()))[3], "true,false,false,,,200,0.5,true,,,");
}

TEST(Tune, JsonHasEveryPoint) {
  const Json document = JsonTune(SmallTune());
  EXPECT_EQ(document["points"].size(), 3U);
  EXPECT_EQ(document["points"][0]["parameters"]["target"], "80");
  EXPECT_TRUE(document["points"][1]["heldOut"].is_null());
  EXPECT_EQ(document["tune"]["limit"], 1);
}

// ---- CSV ----

TEST(Csv, SeriesHaveARowPerBucketAndEmptyCellsForNoValue) {
  sim::Result run = MadeUpRun("checkout");
  run.bucket = absl::Milliseconds(500);
  const auto lines = Lines(SeriesCsv(run, run.targets[0]));
  ASSERT_EQ(lines.size(), 1441U);
  EXPECT_THAT(lines[0], StartsWith("time,seconds,load,load min,load max,wanted,"));
  EXPECT_THAT(lines[0], HasSubstr(",metric cpu resource utilization,"));
  EXPECT_THAT(lines[2], StartsWith("2026-01-01T00:00:00.5Z,0.5,"));
  EXPECT_THAT(lines[376], HasSubstr(",,,"));  // the metric failed
  EXPECT_THAT(lines[2], Not(HasSubstr(",,")));
}

TEST(Csv, QuotesWhatNeedsIt) {
  sim::Result run = MadeUpRun("a,b");
  run.targets[0].decisions.resize(1);
  run.targets[0].decisions[0].reason = "said \"no\"";
  run.targets[0].decisions[0].explanation = "line 1\nline 2";
  EXPECT_THAT(DecisionsCsv(run, run.targets[0]),
              HasSubstr(",\"said \"\"no\"\"\",\"line 1\nline 2\"\n"));
  const auto figures = Lines(FiguresCsv({&run, 1}));
  EXPECT_THAT(figures[0], StartsWith("result,seed,object,target,duration_seconds,served,failed,"));
  EXPECT_THAT(figures[1], StartsWith("\"a,b\",1,shop/checkout,Deployment checkout,86400,"));
}

TEST(Csv, ComparisonHasARowPerPolicyAndSeed) {
  const auto lines = Lines(ComparisonCsv(ThreeSeeds()));
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_THAT(lines[4], StartsWith("mine,mine.yaml,1,1000,5,"));
}

// ---- JSON ----

TEST(JsonReport, HoldsSeriesFiguresAndDecisions) {
  const sim::Result run = MadeUpRun("checkout");
  const Json document = JsonReport({&run, 1}, {.objective = absl::Milliseconds(1500)});
  EXPECT_EQ(document["objective"], 1.5);
  const Json& target = document["results"][0]["targets"][0];
  EXPECT_EQ(target["series"]["load"]["mean"].size(), 1440U);
  EXPECT_EQ(target["series"]["load"]["unit"], "1/s");
  EXPECT_EQ(target["metrics"][0]["targetValue"], 60);
  EXPECT_TRUE(target["metrics"][0]["value"]["mean"][380].is_null());  // it failed
  EXPECT_EQ(target["decisions"].size(), run.targets[0].decisions.size());
  EXPECT_EQ(target["decisions"][0]["at"], 0.137);
  EXPECT_EQ(target["failures"]["timedOut"], run.targets[0].service.timed_out / 1000.0);
  EXPECT_EQ(document.dump(), JsonReport({&run, 1}, {.objective = absl::Milliseconds(1500)}).dump());
}

TEST(JsonReport, LeastAndGreatestAreLeftOutWhereTheyAreTheMean) {
  sim::Result run = MadeUpRun("checkout");
  for (auto& bucket : run.targets[0].ready.buckets) bucket = testing_runs::Flat(3);
  const Json document = JsonReport({&run, 1});
  EXPECT_FALSE(document["results"][0]["targets"][0]["series"]["ready"].contains("min"));
  EXPECT_TRUE(document["results"][0]["targets"][0]["series"]["load"].contains("min"));
}

TEST(JsonReport, NotANumberIsNull) {
  sim::Result run = MadeUpRun("checkout");
  run.targets[0].wait_p99 = std::numeric_limits<double>::infinity();
  run.targets[0].load.buckets[0].mean = std::nan("");
  const Json document = JsonReport({&run, 1});
  EXPECT_TRUE(document["results"][0]["targets"][0]["figures"]["wait_p99"].is_null());
  EXPECT_TRUE(document["results"][0]["targets"][0]["series"]["load"]["mean"][0].is_null());
}

TEST(RunsDocument, IsThinnedToItsLimitAndKeepsPeaks) {
  const sim::Result run = MadeUpRun("checkout");
  const Json whole = RunsDocument({&run, 1}, {}, {});
  const Json thin = RunsDocument({&run, 1}, {}, {.numbers = 5000, .note_bytes = 3000});
  EXPECT_EQ(thin["thinned"], 10);  // 33 x 1440 numbers in 5000
  EXPECT_EQ(thin["results"][0]["bucket"], 600);
  const Json& before = whole["results"][0]["targets"][0];
  const Json& after = thin["results"][0]["targets"][0];
  EXPECT_EQ(after["series"]["load"]["mean"].size(), 144U);
  const auto peak = [](const Json& target) {
    double greatest = 0;
    for (const Json& v : target["series"]["waiting"]["max"])
      greatest = std::max(greatest, v.get<double>());
    return greatest;
  };
  EXPECT_GT(peak(before), 0);
  EXPECT_EQ(peak(after), peak(before));
  // Changes are kept before decisions that held; what is not shown is counted.
  const auto& kept = after["decisions"];
  EXPECT_GT(kept.size(), 3U);
  EXPECT_LT(kept.size(), 12U);
  for (const Json& decision : kept) EXPECT_EQ(decision["rescale"], true);
  EXPECT_EQ(after["decisionsLeftOut"].get<size_t>() + kept.size(), before["decisions"].size());
}

// ---- pages (a browser opens them in report_page_test.py) ----

TEST(HtmlReport, StaysBoundedWithAThousandTargets) {
  sim::Result run = MadeUpRun("fleet");
  const sim::TargetResult one = run.targets[0];
  run.targets.assign(1000, one);
  const std::string html = HtmlReport({&run, 1});
  EXPECT_LT(html.size(), 25'000'000U);
  EXPECT_GT(html.size(), 5'000'000U);
}

TEST(HtmlReport, SameResultsGiveTheSameBytes) {
  const sim::Result run = MadeUpRun("checkout");
  EXPECT_EQ(HtmlReport({&run, 1}), HtmlReport({&run, 1}));
}

TEST(HtmlReport, NothingAndEmptyRunsAreNoCrash) {
  EXPECT_THAT(HtmlReport({}), HasSubstr("showComparison"));
  const sim::Result empty;
  EXPECT_THAT(HtmlReport({&empty, 1}), HasSubstr("showRun"));
  EXPECT_THAT(HtmlComparison({}), HasSubstr("showComparison"));
  EXPECT_THAT(HtmlTune({}), HasSubstr("showTune"));
}

// ---- progress ----

class ProgressOutput {
 public:
  ProgressOutput() : file_(std::tmpfile()) {}
  ~ProgressOutput() { std::fclose(file_); }
  std::string Text() {
    std::string text(static_cast<size_t>(std::ftell(file_)), '\0');
    std::rewind(file_);
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }
  Progress::Output To(bool terminal) {
    return {file_, terminal, [this] { return now; }};
  }
  absl::Duration now = {};

 private:
  std::FILE* file_;
};

TEST(Progress, ShortRunsPrintNothing) {
  ProgressOutput output;
  {
    Progress progress("simulating", output.To(false));
    for (int i = 0; i <= 10; ++i) progress.Update(i / 10.0);
  }
  EXPECT_EQ(output.Text(), "");
}

TEST(Progress, WithoutATerminalALineEveryTenPercent) {
  ProgressOutput output;
  {
    Progress progress("simulating", output.To(false));
    for (int i = 0; i <= 1000; ++i) {
      output.now = absl::Milliseconds(i * 10);
      progress.Update(i / 1000.0, "seed 1 of 2");
    }
  }
  const auto lines = Lines(output.Text());
  ASSERT_EQ(lines.size(), 10U);
  EXPECT_EQ(lines[0], "simulating: 10 %, 9 s left, seed 1 of 2");
  EXPECT_EQ(lines[8], "simulating: 90 %, 1 s left, seed 1 of 2");
  EXPECT_EQ(lines[9], "simulating: done in 10 s");
}

TEST(Progress, OnATerminalOneBarThatGoesAway) {
  ProgressOutput output;
  {
    Progress progress("simulating", output.To(true));
    for (int i = 0; i <= 1000; ++i) {
      output.now = absl::Milliseconds(i * 2);
      progress.Update(i / 1000.0);
    }
  }
  const std::string text = output.Text();
  EXPECT_THAT(text, HasSubstr("simulating ████████████░░░░░░░░░░░░  50 %"));
  EXPECT_THAT(text, ::testing::EndsWith("\r\x1b[K"));
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_LT(std::count(text.begin(), text.end(), '\r'), 15);  // ten times a second at most
}

}  // namespace
}  // namespace neap::ctl
