#include "tools/neapctl/conformance/parse.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/kube/objects/resource_trigger.h"

namespace neap::conformance {
namespace {

using nlohmann::json;

// Answers are compared as text: "refused", or "accepted" with one bracket per metric, target in
// thousandths. What follows ": " is for people.
constexpr std::string_view kRefused = "refused";
constexpr std::string_view kAccepted = "accepted";

std::string Bracket(std::string_view kind, std::string_view name, std::string_view container,
                    std::string_view target_type, int64_t target) {
  return fmt::format(" [{}{}{} {} {} {}]", kind, container.empty() ? "" : " of ", container, name,
                     target_type, target);
}

// KEDA connects when it builds a scaler, Neap does not: a row that failed on connecting was
// accepted as text, and its metrics are not known.
bool AcceptedAsText(const json& expect) { return expect.value("stage", "") == "connect"; }

std::string Expected(const json& line) {
  const json& expect = line["expect"];
  if (AcceptedAsText(expect)) return std::string(kAccepted);
  if (!expect["ok"].get<bool>()) return std::string(kRefused);
  const std::string prefix = fmt::format("s{}-", line["input"].value("triggerIndex", 0));
  std::string out(kAccepted);
  for (const json& metric : expect["metrics"]) {
    std::string name = metric["name"];
    if (name.starts_with(prefix)) name = name.substr(prefix.size());
    out += Bracket(metric["kind"].get<std::string>(), name, metric.value("container", ""),
                   metric["targetType"].get<std::string>(), metric["target"].get<int64_t>());
  }
  return out;
}

std::string Bracket(const core::MetricSpec& metric, std::string_view kind) {
  const core::MetricTarget& target = metric.target;
  switch (target.kind) {
    case core::TargetKind::kUtilization:
      return Bracket(kind, metric.name, metric.container, "Utilization",
                     int64_t{target.average_utilization.value_or(0)} * 1000);
    case core::TargetKind::kAverageValue:
      return Bracket(kind, metric.name, metric.container, "AverageValue",
                     target.average_value.value_or(0));
    case core::TargetKind::kValue:
      return Bracket(kind, metric.name, metric.container, "Value", target.value.value_or(0));
    case core::TargetKind::kUnspecified:
      break;
  }
  return Bracket(kind, metric.name, metric.container, "no target", 0);
}

catalog::Texts TextsOf(const json& input, const char* key) {
  return input.value(key, catalog::Texts{});
}

// nullopt: a word that the contract has no value for.
std::optional<core::TargetKind> TargetKindOf(std::string_view text) {
  if (text.empty()) return core::TargetKind::kUnspecified;
  if (text == "Value") return core::TargetKind::kValue;
  if (text == "AverageValue") return core::TargetKind::kAverageValue;
  if (text == "Utilization") return core::TargetKind::kUtilization;
  return std::nullopt;
}

std::string AskResourceTrigger(const json& line) {
  const json& input = line["input"];
  const auto parsed = kube::objects::ParseResourceTrigger(
      line["type"].get<std::string>(), TextsOf(input, "metadata"), input.value("metricType", ""));
  if (!parsed.ok()) return fmt::format("{}: {}", kRefused, base::Message(parsed.status()));
  return std::string(kAccepted) + Bracket(parsed->metric, parsed->metric.source_text);
}

// The part of an answer that is compared.
std::string_view Compared(std::string_view answer) {
  return answer.starts_with(kRefused) ? kRefused : answer;
}

}  // namespace

absl::StatusOr<Differences> ParseDifferences(std::string_view text) {
  Differences out;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos ||
        line.find_first_not_of(' ', blank) == std::string::npos) {
      return base::InvalidArgument("keda_differences.txt:{}: \"{}\" has no reason", number, line);
    }
    const std::string reason(line.substr(line.find_first_not_of(' ', blank)));
    if (!out.emplace(line.substr(0, blank), reason).second) {
      return base::InvalidArgument("keda_differences.txt:{}: \"{}\" is there twice", number,
                                   line.substr(0, blank));
    }
  }
  return out;
}

ParseRunner::ParseRunner(scalerhost::Client& client, std::set<std::string> built,
                         Differences differences)
    : client_(client), built_(std::move(built)), differences_(std::move(differences)) {}

absl::StatusOr<std::string> ParseRunner::Ask(const json& line, bool with_metrics) {
  const json& input = line["input"];
  const std::string metric_type = input.value("metricType", "");
  const std::optional<core::TargetKind> target = TargetKindOf(metric_type);
  if (!target) return fmt::format("{}: unknown metricType \"{}\"", kRefused, metric_type);

  scalerhost::TriggerRequest request;
  request.subscription.type = line["type"].get<std::string>();
  const auto metadata = TextsOf(input, "metadata");
  request.subscription.metadata =
      std::vector<core::Metadata::Entry>(metadata.begin(), metadata.end());
  request.subscription.ns = "ns1";
  request.subscription.object_kind = "ScaledObject";
  request.subscription.object_name = "obj1";
  request.subscription.requested_target = *target;
  request.auth = TextsOf(input, "auth");
  request.env = TextsOf(input, "env");
  request.pod_identity = input.value("podIdentity", "");
  NEAP_ASSIGN_OR_RETURN(const scalerhost::Validation answer,
                        client_.Validate(request, /*try_source=*/false));
  if (!answer.errors.empty()) {
    std::string out = fmt::format("{}:", kRefused);
    for (const catalog::FieldError& e : answer.errors) {
      out += fmt::format(" {}: {};", e.parameter, e.message);
    }
    out.pop_back();
    return out;
  }
  std::string out(kAccepted);
  if (!with_metrics) return out;
  for (const core::MetricSpec& metric : answer.metrics) out += Bracket(metric, "External");
  return out;
}

void ParseRunner::Run(const json& line, FamilyReport& report) {
  const std::string type = line["type"];
  const std::string id = line["id"];
  absl::StatusOr<std::string> actual;
  if (kube::objects::IsResourceTrigger(type)) {
    actual = AskResourceTrigger(line);
  } else if (built_.contains(type)) {
    actual = Ask(line, !AcceptedAsText(line["expect"]));
  } else {
    ++report.skipped;
    ++report.skips[fmt::format("trigger type {} is not built", type)];
    return;
  }
  const std::string expected = Expected(line);
  const std::string answer = actual.ok() ? *actual : std::string(base::Message(actual.status()));
  const bool agrees = actual.ok() && Compared(answer) == expected;
  const auto listed = differences_.find(id);
  if (listed == differences_.end() ? agrees : actual.ok() && !agrees) {
    ++report.passed;
    if (listed != differences_.end()) differed_.insert(*listed);
    return;
  }
  ++report.failed;
  if (report.first_differences.size() >= kMaxDifferences) return;
  report.first_differences.push_back(
      {.id = id,
       .field = agrees ? "listed in keda_differences.txt, but agrees" : "answer",
       .expected = expected,
       .actual = answer});
}

}  // namespace neap::conformance
