// The documents behind JsonReport, JsonComparison and JsonTune, which the pages embed, too. Pure
// functions.
//
// Of runs:
//   {neap, title, command, objective, currency,           objective in seconds, null = none stated
//    figureRows: [{key, label, unit, better}],             better: "less", "more", "neither"
//    thinned: 1,                                           so many buckets were made one, on pages
//    results: [{name, seed, start, startUnix, duration, bucket, events, decisions, digest,
//      assumptions: [...], figures: {key: value},
//      targets: [{object, target, minReplicas, maxReplicas, figures: {key: value},
//        scaleUps, scaleDowns, decisionsTaken,
//        failures: {timedOut, refused, reset, wrong, overflowed}, retries,
//        series: {load: {name, unit, mean: [...], min: [...], max: [...]}, wanted, have, ready,
//                 pending, demand, waiting, latency, spending},
//        metrics: [{name, target, targetValue, value: {series}}],
//        decisions: [{at, current, recommended, desired, rescale, applied, reason, explanation}],
//        decisionsLeftOut}]}]}
// Times of series: bucket i begins i x bucket seconds after start. null is a bucket without a
// value. min and max are left out where they equal the mean in every bucket. `at` is in seconds
// since the start.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include "tools/neapctl/report/report.h"

namespace neap::ctl {

// How large a page may get. A program's document has no limits.
struct JsonLimits {
  size_t numbers = std::numeric_limits<size_t>::max();     // of all series
  size_t note_bytes = std::numeric_limits<size_t>::max();  // texts of all decisions
  bool rounded = false;                                    // series to six digits
};
inline constexpr JsonLimits kPageLimits = {2'400'000, 8'000'000, true};

Json RunsDocument(std::span<const sim::Result> results, const ReportMeta& meta,
                  const JsonLimits& limits);

// What every document begins with: neap, title, command, objective, currency.
Json Heading(std::string_view title, const ReportMeta& meta);
// [{key, label, unit, better}], without what these runs do not know.
Json FigureRowsJson(std::span<const Figures> runs, const ReportMeta& meta);

}  // namespace neap::ctl
