#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/duration.h"
#include "tools/neapctl/report/figures.h"
#include "tools/neapctl/report/report.h"

namespace neap::ctl {
namespace {

// One row, fields quoted where RFC 4180 asks for it.
void AppendRow(std::string& out, const std::vector<std::string>& fields) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
      out += fields[i];
      continue;
    }
    out += '"';
    for (const char c : fields[i]) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }
  out += "\n";
}

std::string TimeField(absl::Time time) {
  // Buckets and decisions may lie between two seconds.
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

std::string SecondsField(absl::Duration duration) {
  return fmt::format("{}", absl::ToDoubleSeconds(duration));
}

std::vector<const sim::Series*> AllSeries(const sim::TargetResult& t) {
  std::vector<const sim::Series*> all = {&t.load,   &t.wanted,  &t.have,    &t.ready,   &t.pending,
                                         &t.demand, &t.waiting, &t.latency, &t.spending};
  for (const auto& metric : t.metrics) all.push_back(&metric.value);
  return all;
}

// What the columns are called, in the order of AllSeries.
std::vector<std::string> SeriesNames(const sim::TargetResult& t) {
  std::vector<std::string> names = {"load",   "wanted",  "have",    "ready",   "pending",
                                    "demand", "waiting", "latency", "spending"};
  for (const auto& metric : t.metrics) names.push_back("metric " + metric.name);
  return names;
}

void AppendFigures(std::vector<std::string>& fields, const Figures& figures) {
  for (const FigureRow& row : FigureRows()) fields.push_back(fmt::format("{}", figures.*row.value));
}

void AppendFigureNames(std::vector<std::string>& fields) {
  for (const FigureRow& row : FigureRows()) fields.emplace_back(row.key);
}

}  // namespace

std::string SeriesCsv(const sim::Result& result, const sim::TargetResult& target) {
  const std::vector<const sim::Series*> all = AllSeries(target);
  std::string out;
  std::vector<std::string> fields = {"time", "seconds"};
  for (const std::string& name : SeriesNames(target)) {
    for (const std::string_view which : {"", " min", " max"}) {
      fields.push_back(fmt::format("{}{}", name, which));
    }
  }
  AppendRow(out, fields);
  size_t count = 0;
  for (const sim::Series* series : all) count = std::max(count, series->buckets.size());
  for (size_t i = 0; i < count; ++i) {
    const absl::Duration since = result.bucket * static_cast<int64_t>(i);
    fields = {TimeField(result.start + since), SecondsField(since)};
    for (const sim::Series* series : all) {
      const auto bucket = i < series->buckets.size() ? series->buckets[i] : sim::Series::Bucket{};
      for (const double value : {bucket.mean, bucket.min, bucket.max}) {
        fields.push_back(bucket.has ? fmt::format("{}", value) : "");
      }
    }
    AppendRow(out, fields);
  }
  return out;
}

std::string DecisionsCsv(const sim::Result& result, const sim::TargetResult& target) {
  std::string out;
  AppendRow(out, {"time", "seconds", "current", "recommended", "desired", "rescale", "applied",
                  "reason", "explanation"});
  for (const sim::DecisionNote& note : target.decisions) {
    AppendRow(out, {TimeField(note.at), SecondsField(note.at - result.start),
                    fmt::format("{}", note.current), fmt::format("{}", note.recommended),
                    fmt::format("{}", note.desired), note.rescale ? "true" : "false",
                    note.applied ? "true" : "false", note.reason, note.explanation});
  }
  return out;
}

std::string FiguresCsv(std::span<const sim::Result> results) {
  std::string out;
  std::vector<std::string> fields = {"result", "seed", "object", "target", "duration_seconds"};
  AppendFigureNames(fields);
  AppendRow(out, fields);
  for (const sim::Result& result : results) {
    for (const sim::TargetResult& target : result.targets) {
      fields = {result.name, fmt::format("{}", result.seed), target.object.Text(),
                fmt::format("{} {}", target.target.kind, target.target.name),
                SecondsField(result.duration)};
      AppendFigures(fields, FiguresOf(target));
      AppendRow(out, fields);
    }
  }
  return out;
}

std::string ComparisonCsv(const Comparison& comparison) {
  std::string out;
  std::vector<std::string> fields = {"policy", "file", "seed"};
  AppendFigureNames(fields);
  AppendRow(out, fields);
  for (const PolicyRuns& policy : comparison.policies) {
    for (size_t i = 0; i < policy.runs.size(); ++i) {
      const std::string seed =
          i < comparison.seeds.size() ? fmt::format("{}", comparison.seeds[i]) : "";
      fields = {policy.name, policy.file, seed};
      AppendFigures(fields, policy.runs[i]);
      AppendRow(out, fields);
    }
  }
  return out;
}

std::string TuneCsv(const TuneReport& tune) {
  std::string out;
  std::vector<std::string> fields = {"as_given", "on_front", "recommended"};
  // Not every point names every parameter: the object as given may leave some out.
  std::vector<std::string> names;
  for (const TunePoint& point : tune.points) {
    for (const auto& [name, value] : point.parameters) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  fields.insert(fields.end(), names.begin(), names.end());
  for (const std::string_view part : {"searched", "held_out"}) {
    for (const std::string_view what : {"cost", "objective", "meets"}) {
      fields.push_back(fmt::format("{}_{}", part, what));
    }
  }
  AppendRow(out, fields);
  const auto yes = [](bool value) { return value ? "true" : "false"; };
  for (const TunePoint& point : tune.points) {
    fields = {yes(point.as_given), yes(point.on_front), yes(point.recommended)};
    for (const std::string& name : names) {
      const auto found = std::find_if(point.parameters.begin(), point.parameters.end(),
                                      [&](const auto& pair) { return pair.first == name; });
      fields.push_back(found == point.parameters.end() ? "" : found->second);
    }
    for (const std::optional<TunePoint::Part>& part :
         {std::optional(point.searched), point.held_out}) {
      fields.push_back(part ? fmt::format("{}", part->cost) : "");
      fields.push_back(part ? fmt::format("{}", part->objective) : "");
      fields.emplace_back(part ? yes(part->meets) : "");
    }
    AppendRow(out, fields);
  }
  return out;
}

}  // namespace neap::ctl
