// neapctl shadow, kubectl neap shadow: what Neap would have decided for HPAs against what their
// controller did (autoscaler/control/shadow.h has the rules), from the page /shadow of neapds.
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "tools/neapctl/kubectl_commands.h"

namespace neap::ctl {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(15);

std::string Number(const Json& row, const char* key) {
  return row.contains(key) ? std::to_string(row.at(key).get<int64_t>()) : "?";
}

std::string Since(const Json& row, const char* key, absl::Time now) {
  const auto at = base::ParseTime(row.value(key, ""));
  if (!at.ok()) return "?";
  return base::FormatDuration(
      absl::Trunc(std::max(now - *at, absl::ZeroDuration()), absl::Seconds(1)));
}

// The last difference in words, with how long ago it was; or what keeps Neap from deciding.
std::string Words(const Json& row, absl::Time now) {
  if (row.contains("problem")) return "not decided: " + row.at("problem").get<std::string>();
  if (!row.contains("last")) return "";
  const Json& last = row.at("last");
  const std::string reason = last.value("reason", "");
  return fmt::format("{} ago: Neap {}, HPA {}{}{}", Since(last, "at", now), Number(last, "neap"),
                     Number(last, "hpa"), reason.empty() ? "" : ": ", reason);
}

std::string TableOf(const Json& rows, absl::Time now) {
  if (rows.empty()) return "no HorizontalPodAutoscaler is shadowed\n";
  std::vector<std::vector<std::string>> table = {{"NAMESPACE", "HPA", "TARGET", "REPLICAS",
                                                  "HPA WANTS", "NEAP WANTS", "COMPARED", "EQUAL",
                                                  "DIFFERENT", "FOR", "LAST DIFFERENCE"}};
  int64_t compared = 0;
  int64_t different = 0;
  for (const Json& row : rows) {
    table.push_back({row.value("namespace", ""), row.value("name", ""), row.value("target", ""),
                     Number(row, "replicas"), Number(row, "hpaDesired"), Number(row, "neapDesired"),
                     Number(row, "compared"), Number(row, "equal"), Number(row, "different"),
                     Since(row, "since", now), Words(row, now)});
    compared += row.value("compared", int64_t{0});
    different += row.value("different", int64_t{0});
  }
  return Table(table) + fmt::format(
                            "\n{} decisions compared, {} different: the difference stood "
                            "longer than the HPA's sync period.\n",
                            compared, different);
}

// The rows of one neapd; an error names it.
absl::StatusOr<Json> RowsOf(const Answered& answer) {
  if (answer.status != 200) return base::Unavailable("{}", answer.Refusal());
  const Json document = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("shadows") || !document["shadows"].is_array()) {
    return base::DataLoss("{}: the answer is no list of shadows", answer.who);
  }
  return document["shadows"];
}

absl::StatusOr<Json> Collect(const KubeOptions& options) {
  const ClusterFlags& flags = options.cluster;
  NEAP_ASSIGN_OR_RETURN(const auto answers, AskAll(flags, "/shadow", {}, kPatience));
  std::string ns = flags.ns;
  if (ns.empty() && !flags.all_namespaces && flags.address.empty()) {
    NEAP_ASSIGN_OR_RETURN(const auto cluster, Cluster::Open(flags));
    ns = cluster->ns();
  }
  std::vector<Json> rows;
  for (const Answered& answer : answers) {
    NEAP_ASSIGN_OR_RETURN(const Json some, RowsOf(answer));
    for (const Json& row : some) {
      if (ns.empty() || row.value("namespace", "") == ns) rows.push_back(row);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Json& a, const Json& b) {
    return std::pair(a.value("namespace", ""), a.value("name", "")) <
           std::pair(b.value("namespace", ""), b.value("name", ""));
  });
  return Json(rows);
}

}  // namespace

int Shadow(const KubeOptions& options) {
  const auto rows = Collect(options);
  if (!rows.ok()) {
    PrintError(base::Message(rows.status()));
    return kFailed;
  }
  Json document = Json::object();
  document["shadows"] = *rows;
  Print(options.format, document, TableOf(*rows, absl::Now()));
  return kOk;
}

}  // namespace neap::ctl
