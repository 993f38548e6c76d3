#include "tools/neapctl/report/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/version.h"
#include "tools/neapctl/report/figures.h"

namespace neap::ctl {
namespace {

// Six digits are more than a plot can show, and a third of the bytes.
double SixDigits(double value) {
  if (value == 0) return 0;
  const double scale = std::pow(10, 5 - std::floor(std::log10(std::abs(value))));
  return std::isfinite(scale) && scale > 0 ? std::round(value * scale) / scale : value;
}

// Whole numbers without ".0"; what is not finite is null.
Json Number(double value, bool rounded = false) {
  if (!std::isfinite(value)) return nullptr;
  if (rounded) value = SixDigits(value);
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<int64_t>(value);
  return value;
}

// Each `group` buckets become one: the least, the greatest, the mean of those with a value.
sim::Series Thin(const sim::Series& series, size_t group) {
  if (group <= 1) return series;
  sim::Series out{series.name, series.unit, {}};
  for (size_t i = 0; i < series.buckets.size(); i += group) {
    sim::Series::Bucket all;
    double sum = 0;
    int count = 0;
    for (size_t j = i; j < std::min(i + group, series.buckets.size()); ++j) {
      const auto& one = series.buckets[j];
      if (!one.has) continue;
      all.min = count == 0 ? one.min : std::min(all.min, one.min);
      all.max = count == 0 ? one.max : std::max(all.max, one.max);
      sum += one.mean;
      ++count;
    }
    if (count > 0) all.mean = sum / count;
    all.has = count > 0;
    out.buckets.push_back(all);
  }
  return out;
}

Json SeriesJson(const sim::Series& whole, size_t group, const JsonLimits& limits) {
  const sim::Series series = Thin(whole, group);
  Json mean = Json::array();
  Json min = Json::array();
  Json max = Json::array();
  bool flat = true;
  for (const auto& bucket : series.buckets) {
    const auto number = [&](double v) { return bucket.has ? Number(v, limits.rounded) : Json(); };
    mean.push_back(number(bucket.mean));
    min.push_back(number(bucket.min));
    max.push_back(number(bucket.max));
    flat = flat && (!bucket.has || bucket.min == bucket.max);
  }
  Json out = {{"name", series.name}, {"unit", series.unit}, {"mean", std::move(mean)}};
  if (!flat) {
    out["min"] = std::move(min);
    out["max"] = std::move(max);
  }
  return out;
}

Json FiguresJson(const Figures& figures) {
  Json out = Json::object();
  for (const FigureRow& row : FigureRows()) out[row.key] = Number(figures.*row.value);
  return out;
}

// The notes that fit into `bytes`: changes before decisions that only held, late before early.
// `left_out` counts the others.
Json DecisionsJson(const sim::TargetResult& target, absl::Time start, size_t bytes,
                   uint64_t& left_out) {
  const auto& notes = target.decisions;
  std::vector<bool> kept(notes.size(), false);
  size_t used = 0;
  for (const bool changes : {true, false}) {
    for (size_t i = notes.size(); i-- > 0;) {
      if (notes[i].rescale != changes) continue;
      const size_t size = notes[i].reason.size() + notes[i].explanation.size() + 150;
      if (used + size > bytes) break;
      used += size;
      kept[i] = true;
    }
  }
  Json out = Json::array();
  for (size_t i = 0; i < notes.size(); ++i) {
    if (!kept[i]) {
      ++left_out;
      continue;
    }
    const sim::DecisionNote& note = notes[i];
    out.push_back({{"at", Number(absl::ToDoubleSeconds(note.at - start))},
                   {"current", note.current},
                   {"recommended", note.recommended},
                   {"desired", note.desired},
                   {"rescale", note.rescale},
                   {"applied", note.applied},
                   {"reason", note.reason},
                   {"explanation", note.explanation}});
  }
  return out;
}

Json TargetJson(const sim::Result& result, const sim::TargetResult& t, size_t group,
                const JsonLimits& limits, size_t note_bytes) {
  const auto requests = [](int64_t milli) { return Number(static_cast<double>(milli) / 1000); };
  const auto series = [&](const sim::Series& s) { return SeriesJson(s, group, limits); };
  Json metrics = Json::array();
  for (const auto& metric : t.metrics) {
    metrics.push_back({{"name", metric.name},
                       {"target", metric.target},
                       {"targetValue", Number(metric.target_value)},
                       {"value", series(metric.value)}});
  }
  uint64_t left_out = t.decisions_dropped;
  Json decisions = DecisionsJson(t, result.start, note_bytes, left_out);
  return {{"object", t.object.Text()},
          {"target", fmt::format("{} {}", t.target.kind, t.target.name)},
          {"minReplicas", t.min_replicas},
          {"maxReplicas", t.max_replicas},
          {"figures", FiguresJson(FiguresOf(t))},
          {"scaleUps", t.scale_ups},
          {"scaleDowns", t.scale_downs},
          {"decisionsTaken", t.decisions_taken},
          {"failures",
           {{"timedOut", requests(t.service.timed_out)},
            {"refused", requests(t.service.refused)},
            {"reset", requests(t.service.reset)},
            {"wrong", requests(t.service.wrong)},
            {"overflowed", requests(t.service.overflowed)}}},
          {"retries", requests(t.service.retries)},
          {"series",
           {{"load", series(t.load)},
            {"wanted", series(t.wanted)},
            {"have", series(t.have)},
            {"ready", series(t.ready)},
            {"pending", series(t.pending)},
            {"demand", series(t.demand)},
            {"waiting", series(t.waiting)},
            {"latency", series(t.latency)},
            {"spending", series(t.spending)}}},
          {"metrics", std::move(metrics)},
          {"decisions", std::move(decisions)},
          {"decisionsLeftOut", left_out}};
}

// What the series of all targets hold.
size_t NumbersIn(std::span<const sim::Result> results) {
  size_t numbers = 0;
  for (const auto& result : results) {
    for (const auto& t : result.targets) {
      numbers += 3 * (9 + t.metrics.size()) * t.load.buckets.size();
    }
  }
  return numbers;
}

}  // namespace

Json Heading(std::string_view title, const ReportMeta& meta) {
  const bool stated = meta.objective != absl::InfiniteDuration();
  return {{"neap", base::Version()},
          {"title", meta.title.empty() ? title : std::string_view(meta.title)},
          {"command", meta.command},
          {"objective", stated ? Number(absl::ToDoubleSeconds(meta.objective)) : Json()},
          {"currency", meta.currency}};
}

Json FigureRowsJson(std::span<const Figures> runs, const ReportMeta& meta) {
  Json rows = Json::array();
  for (const FigureRow* row : RowsFor(runs, meta)) {
    rows.push_back({{"key", row->key},
                    {"label", row->label},
                    {"unit", row->unit},
                    {"better", row->better == Better::kLess   ? "less"
                               : row->better == Better::kMore ? "more"
                                                              : "neither"}});
  }
  return rows;
}

Json RunsDocument(std::span<const sim::Result> results, const ReportMeta& meta,
                  const JsonLimits& limits) {
  size_t targets = 0;
  std::vector<Figures> figures;
  for (const auto& result : results) {
    targets += result.targets.size();
    figures.push_back(FiguresOf(result));
  }
  const size_t numbers = NumbersIn(results);
  const size_t group = numbers <= limits.numbers ? 1 : (numbers - 1) / limits.numbers + 1;
  const size_t note_bytes = limits.note_bytes / std::max<size_t>(1, targets);

  Json document = Heading(results.empty() ? "" : results[0].name, meta);
  document["figureRows"] = FigureRowsJson(figures, meta);
  document["thinned"] = group;
  Json& list = document["results"] = Json::array();
  for (size_t i = 0; i < results.size(); ++i) {
    const sim::Result& result = results[i];
    Json of_targets = Json::array();
    for (const auto& target : result.targets) {
      of_targets.push_back(TargetJson(result, target, group, limits, note_bytes));
    }
    const double bucket = absl::ToDoubleSeconds(result.bucket) * static_cast<double>(group);
    list.push_back({{"name", result.name},
                    {"seed", result.seed},
                    {"start", base::FormatTime(result.start)},
                    {"startUnix", Number(absl::ToDoubleSeconds(result.start - absl::UnixEpoch()))},
                    {"duration", Number(absl::ToDoubleSeconds(result.duration))},
                    {"bucket", Number(bucket)},
                    {"events", result.events},
                    {"decisions", result.decisions},
                    {"digest", result.digest},
                    {"assumptions", result.assumptions},
                    {"figures", FiguresJson(figures[i])},
                    {"targets", std::move(of_targets)}});
  }
  return document;
}

Json JsonReport(std::span<const sim::Result> results, const ReportMeta& meta) {
  return RunsDocument(results, meta, {});
}

}  // namespace neap::ctl
