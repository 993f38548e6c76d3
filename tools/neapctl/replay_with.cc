// neapctl replay JOURNAL --with OBJECT.yaml: what another policy would have decided from what was
// recorded.
#include "autoscaler/record/replay_with.h"

#include <fmt/format.h>

#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/core/explain.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/files.h"
#include "tools/neapctl/object_key.h"
#include "tools/neapctl/replay_damage.h"
#include "tools/neapctl/trigger_reader.h"

namespace neap::ctl {
namespace {

using record::OtherPolicy;
using record::Stretch;
using record::WithReport;

constexpr char kCaveat[] =
    "The replicas and readings are those of the recorded run: had this policy been followed, both\n"
    "would have been others from the first change on. Remembered are its own recommendations, "
    "from\n"
    "none on, and the changes that were really made: what it wanted and nobody did is no scale "
    "event.\n";

constexpr char kTriggerCaveat[] =
    "Triggers are matched by type and metric name: their parameters are not recorded.\n";

std::string Caveat(const core::AutoscalerSpec& spec) {
  return spec.triggers.empty() ? kCaveat : std::string(kCaveat) + kTriggerCaveat;
}

absl::StatusOr<OtherPolicy> PolicyOf(const ReplayOptions& options, kube::objects::Decoded object) {
  OtherPolicy other;
  other.spec = *std::move(object.spec);
  TriggerReader triggers(options.scalers, /*may_read=*/true);
  for (const core::TriggerSpec& trigger : other.spec.triggers) {
    auto metrics = triggers.Read(other.spec, trigger);
    if (!metrics.ok()) {
      return base::Annotate(
          metrics.status(),
          fmt::format("trigger {}", trigger.name.empty() ? trigger.type : trigger.name));
    }
    other.trigger_metrics.push_back(*std::move(metrics));
  }
  return other;
}

Json WantedToJson(const record::Wanted& wanted) {
  return {{"least", wanted.least}, {"most", wanted.most}, {"why", wanted.why}};
}

Json StretchToJson(const Stretch& s) {
  return {{"from", base::FormatTimeMicro(s.from)},
          {"to", base::FormatTimeMicro(s.to)},
          {"seconds", absl::ToDoubleSeconds(s.to - s.from)},
          {"decisions", s.decisions},
          {"firstDecision", s.first_decision_id},
          {"recorded", WantedToJson(s.recorded)},
          {"other", WantedToJson(s.other)}};
}

Json ToJson(const WithReport& report, const core::AutoscalerSpec& spec, const std::string& file) {
  Json metrics = Json::array();
  for (const WithReport::Match& m : report.matches) {
    metrics.push_back({{"metric", m.metric}, {"recorded", m.recorded}});
  }
  Json stretches = Json::array();
  for (const Stretch& s : report.stretches) stretches.push_back(StretchToJson(s));
  const auto policy = [](int64_t mean_milli, uint64_t changes) {
    return Json{{"meanReplicas", static_cast<double>(mean_milli) / 1000}, {"changes", changes}};
  };
  return {{"object", report.key.Text()},
          {"with", file},
          {"from", base::FormatTimeMicro(report.first)},
          {"to", base::FormatTimeMicro(report.last)},
          {"decisions", report.decisions},
          {"different", report.more + report.fewer},
          {"more", report.more},
          {"fewer", report.fewer},
          {"recorded", policy(report.recorded_mean_milli, report.recorded_changes)},
          {"other", policy(report.other_mean_milli, report.other_changes)},
          {"metrics", std::move(metrics)},
          {"stretchCount", report.stretch_count},
          {"longest", report.stretch_count == 0 ? Json() : StretchToJson(report.longest)},
          {"stretches", std::move(stretches)},
          {"caveat", Caveat(spec)},
          {"damage", DamageToJson(report.damage)}};
}

std::string Range(const record::Wanted& wanted) {
  return wanted.least == wanted.most ? std::to_string(wanted.least)
                                     : fmt::format("{}-{}", wanted.least, wanted.most);
}

std::string For(const Stretch& s) {
  return base::FormatDuration(
      absl::Trunc(s.to - s.from + absl::Milliseconds(500), absl::Seconds(1)));
}

std::string StretchWords(const Stretch& s) {
  return fmt::format("{} for {}: {} recorded, {} with it", base::FormatTime(s.from), For(s),
                     Range(s.recorded), Range(s.other));
}

std::string ToText(const WithReport& report, const core::AutoscalerSpec& spec,
                   const std::string& file) {
  const uint64_t different = report.more + report.fewer;
  std::string out = fmt::format("{}, {} to {}: {} decisions, {} different with {}\n",
                                report.key.Text(), base::FormatTime(report.first),
                                base::FormatTime(report.last), report.decisions, different, file);
  for (const WithReport::Match& m : report.matches) {
    if (m.metric != m.recorded) out += fmt::format("{} is read as {}\n", m.metric, m.recorded);
  }
  if (spec.period != report.recorded_period) {
    out += fmt::format(
        "its period of {} is not tried: it decides when the recorded one did, each {}\n",
        base::FormatDuration(spec.period), base::FormatDuration(report.recorded_period));
  }
  out +=
      fmt::format("recorded: {} replicas wanted on average, {} changes; with it: {}, {} changes\n",
                  core::AmountText(report.recorded_mean_milli), report.recorded_changes,
                  core::AmountText(report.other_mean_milli), report.other_changes);
  if (different > 0) {
    out += fmt::format("more in {}, fewer in {}; stretches: {}\n", report.more, report.fewer,
                       report.stretch_count);
    out += fmt::format("first   {}\n", StretchWords(report.stretches.front()));
    out += fmt::format("longest {}\n\n", StretchWords(report.longest));
    std::vector<std::vector<std::string>> rows = {
        {"FROM", "FOR", "DECISIONS", "RECORDED", "WITH", "WHY RECORDED", "WHY WITH"}};
    for (const Stretch& s : report.stretches) {
      rows.push_back({base::FormatTime(s.from), For(s), std::to_string(s.decisions),
                      Range(s.recorded), Range(s.other), s.recorded.why, s.other.why});
    }
    out += Table(rows);
    if (report.stretch_count > report.stretches.size()) {
      out += fmt::format("... and {} more\n", report.stretch_count - report.stretches.size());
    }
    out += "\n";
  }
  return out + Caveat(spec);
}

absl::StatusOr<core::ObjectKey> KeyOf(const std::string& text, const core::ObjectKey& fallback) {
  if (text.empty()) return fallback;
  return ParseKey(text);
}

absl::Status With(const ReplayOptions& options, bool* unchecked) {
  kube::objects::DecodeOptions strict = StrictOptions();
  strict.find_type = nullptr;  // the scaler itself says what it takes
  NEAP_ASSIGN_OR_RETURN(kube::objects::Decoded object, ReadObject(options.with, strict));
  NEAP_ASSIGN_OR_RETURN(const core::ObjectKey key, KeyOf(options.object, object.key));
  NEAP_ASSIGN_OR_RETURN(const OtherPolicy other, PolicyOf(options, std::move(object)));
  NEAP_ASSIGN_OR_RETURN(const WithReport report,
                        record::ReplayWith(options.journal, key, other, {}));
  *unchecked = PrintDamage(report.damage);
  Print(options.format, ToJson(report, other.spec, options.with),
        ToText(report, other.spec, options.with));
  return absl::OkStatus();
}

}  // namespace

int ReplayWith(const ReplayOptions& options) {
  bool unchecked = false;
  const absl::Status status = With(options, &unchecked);
  if (!status.ok()) {
    PrintError(base::Message(status));
    return kFailed;
  }
  return unchecked ? kFailed : kOk;
}

}  // namespace neap::ctl
