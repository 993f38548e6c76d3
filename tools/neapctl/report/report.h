// Reports: what simulated runs gave, for people and for programs: as text for a terminal, as one
// HTML file that needs no network, as JSON and as CSV. Three kinds: runs (one, or several side by
// side), a comparison of policies over seeds, and the front that `tune` found. Called by neapctl's
// commands, which read and write the files; pure functions, thread-safe. The same results give the
// same bytes.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/sim/result.h"
#include "tools/neapctl/output.h"

namespace neap::ctl {

struct ReportMeta {
  std::string title = {};    // "" = the name of the first result
  std::string command = {};  // how it was made, for whoever wants to make it again
  // What is served later counts as late; infinite: nobody stated one, and no "late" is shown.
  absl::Duration objective = absl::InfiniteDuration();
  std::string currency = {};  // of costs: "€", "USD"; "" = none is shown
};

// ---- runs ----

// Figures, sparklines of load and replicas, assumptions; at most 100 columns wide, ends with a line
// break.
std::string TextReport(const sim::Result& result, const ReportMeta& meta = {});

// Everything that the results hold; times in seconds since `start`. The layout is described in
// report/json.h; HtmlReport embeds the same document.
Json JsonReport(std::span<const sim::Result> results, const ReportMeta& meta = {});

// Plots under one cursor, figures, the changes and their reasons; policies are the columns when
// there are several results. Bounded: series are thinned (least and greatest are kept) and the
// oldest notes left out, both stated on the page, when it would get larger than about 24 MB.
std::string HtmlReport(std::span<const sim::Result> results, const ReportMeta& meta = {});

// One row per bucket: time (RFC 3339), seconds since the start, then mean, least and greatest of
// each series; an empty cell is a bucket without a value. Quoted as RFC 4180
// says, with a heading, lines end as Unix has them.
std::string SeriesCsv(const sim::Result& result, const sim::TargetResult& target);
// One row per kept decision.
std::string DecisionsCsv(const sim::Result& result, const sim::TargetResult& target);
// One row per target of each result: all figures.
std::string FiguresCsv(std::span<const sim::Result> results);

// ---- the figures of a run, as one row ----

// Of all targets of a run: counts, hours and cost are sums, waits are those of the worst target,
// percentages the mean over targets.
struct Figures {
  double served = 0;
  double failed = 0;
  double late = 0;
  double wait_p50 = 0;  // seconds
  double wait_p99 = 0;
  double latency_p50 = 0;
  double latency_p99 = 0;
  double pod_hours = 0;
  double cost = 0;
  double scale_changes = 0;
  double most_replicas = 0;
  double under_seconds = 0;
  double over_seconds = 0;
  double failed_metrics = 0;
  double accuracy_under = 0;  // percent, as sim::Elasticity
  double accuracy_over = 0;
  double timeshare_under = 0;
  double timeshare_over = 0;
  double instability = 0;
};
Figures FiguresOf(const sim::Result& result);

// ---- policies over seeds ----

struct PolicyRuns {
  std::string name = {};           // "hpa as it is"
  std::string file = {};           // the object's, "" when there is none
  std::vector<Figures> runs = {};  // one per seed, in the order of Comparison.seeds
};

struct Comparison {
  std::vector<uint64_t> seeds = {};
  std::vector<PolicyRuns> policies = {};
  size_t baseline = 0;                  // differences are against it
  std::vector<sim::Result> shown = {};  // with series, of the first seed, one per policy, in order;
                                        // empty: no plots
  std::vector<std::string> assumptions = {};
};

// A figure over seeds. `half` is half the width of the 95 % interval of the mean (Student's t);
// 0 with one run, whose interval is unknown.
struct Estimate {
  double mean = 0;
  double half = 0;
  double least = 0;
  double greatest = 0;
  size_t runs = 0;
};
Estimate EstimateOf(std::span<const double> values);

// A column per policy: mean ± half the interval, and the difference from the baseline on the same
// seeds (paired, so that what all policies met alike does not blur it).
std::string TextComparison(const Comparison& comparison, const ReportMeta& meta = {});
Json JsonComparison(const Comparison& comparison, const ReportMeta& meta = {});
std::string HtmlComparison(const Comparison& comparison, const ReportMeta& meta = {});
// One row per policy and seed.
std::string ComparisonCsv(const Comparison& comparison);

// ---- tune's front ----

struct TunePoint {
  std::vector<std::pair<std::string, std::string>> parameters = {};  // field and value, as in YAML
  struct Part {                                                      // of the trace
    double cost = 0;
    double objective = 0;  // the value of the objective's figure
    bool meets = false;
  };
  Part searched = {};
  std::optional<Part> held_out = {};  // only what is worth it is run there
  bool on_front = false;              // of cost against objective, on the searched part
  bool recommended = false;           // at most one point
  bool as_given = false;              // the object as the user wrote it
};

struct TuneReport {
  std::string object = {};     // "shop/checkout"
  std::string objective = {};  // as the user wrote it: "p99 wait < 1s"
  std::string figure = {};     // what it is about: "p99 wait"
  std::string unit = {};       // of the objective's value: "s", "%", ""
  double limit = 0;            // in that unit
  bool below = true;           // the value must lie below the limit, else above
  std::string cost_unit = {};  // "pod-hours", or the currency
  std::string searched = {};   // which part: "day 1 to 20"
  std::string held_out = {};
  uint64_t runs = 0;  // simulated
  std::vector<TunePoint> points = {};
  std::string verdict = {};  // one or two sentences: what is recommended, or why nothing is
  std::vector<std::string> assumptions = {};
};

std::string TextTune(const TuneReport& tune, const ReportMeta& meta = {});  // the front alone
Json JsonTune(const TuneReport& tune, const ReportMeta& meta = {});
std::string HtmlTune(const TuneReport& tune, const ReportMeta& meta = {});
std::string TuneCsv(const TuneReport& tune);  // every point

}  // namespace neap::ctl
