// The pages: the documents of json.h in the frame of autoscaler/web, with the scripts that show
// them.
#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/web/page.h"
#include "tools/neapctl/report/figures.h"
#include "tools/neapctl/report/json.h"
#include "tools/neapctl/report/report.h"

// Made from the files beside this one by CMake.
extern const char neap_report_js[];
extern const char neap_compare_js[];
extern const char neap_tune_js[];
extern const char neap_report_css[];

namespace neap::ctl {
namespace {

// `kind` names the script's entry: showRun, showComparison or showTune.
std::string Render(const Json& document, std::string_view kind, std::string without_script) {
  const std::string script = fmt::format("{}\n{}\n{}\n{}(neap.data);\n", neap_report_js,
                                         neap_compare_js, neap_tune_js, kind);
  web::Page page;
  page.title = document["title"].get<std::string>();
  page.body = "<main id=\"report\"></main>\n";
  page.data = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  page.script = script;
  page.style = neap_report_css;
  page.without_script = std::move(without_script);
  return web::RenderPage(page);
}

std::string RenderComparison(const Comparison& comparison, std::span<const sim::Result> shown,
                             const ReportMeta& meta) {
  Json document = JsonComparison(comparison, meta);
  document["runs"] = RunsDocument(shown, meta, kPageLimits);
  return Render(document, "showComparison", TextComparison(comparison, meta));
}

}  // namespace

std::string HtmlReport(std::span<const sim::Result> results, const ReportMeta& meta) {
  if (results.size() == 1) {
    return Render(RunsDocument(results, meta, kPageLimits), "showRun",
                  TextReport(results[0], meta));
  }
  // Several are a comparison of one run each, against the first.
  Comparison comparison;
  for (const sim::Result& result : results) {
    comparison.policies.push_back({result.name, "", {FiguresOf(result)}});
    if (comparison.seeds.empty()) comparison.seeds.push_back(result.seed);
    for (const std::string& assumption : result.assumptions) {
      auto& all = comparison.assumptions;
      if (std::find(all.begin(), all.end(), assumption) == all.end()) all.push_back(assumption);
    }
  }
  return RenderComparison(comparison, results, meta);
}

std::string HtmlComparison(const Comparison& comparison, const ReportMeta& meta) {
  return RenderComparison(comparison, comparison.shown, meta);
}

std::string HtmlTune(const TuneReport& tune, const ReportMeta& meta) {
  return Render(JsonTune(tune, meta), "showTune", TextTune(tune, meta));
}

}  // namespace neap::ctl
