#include "tests/core/scenario.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::core {
namespace {

std::vector<std::string> SplitBy(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, separator);) out.push_back(part);
  return out;
}

base::LabelSelector SelectorOf(const std::string& text) {
  base::LabelSelector out;
  for (const std::string& pair : SplitBy(text, ',')) {
    const size_t at = pair.find('=');
    if (at == std::string::npos) {  // "app In" without values: refused by ToSelector
      out.match_expressions.push_back({.key = pair, .op = "In", .values = {}});
    } else {
      out.match_labels.emplace_back(pair.substr(0, at), pair.substr(at + 1));
    }
  }
  return out;
}

template <typename Enum>
struct Named {
  const char* name;
  Enum value;
};

template <typename Enum, size_t N>
bool Find(const Named<Enum> (&table)[N], const std::string& name, Enum* out) {
  for (const auto& row : table) {
    if (name == row.name) {
      *out = row.value;
      return true;
    }
  }
  return false;
}

constexpr Named<PodPhase> kPhases[] = {{"Pending", PodPhase::kPending},
                                       {"Running", PodPhase::kRunning},
                                       {"Succeeded", PodPhase::kSucceeded},
                                       {"Failed", PodPhase::kFailed},
                                       {"Unknown", PodPhase::kUnknown}};
constexpr Named<PodReady> kReady[] = {{"None", PodReady::kNone},
                                      {"True", PodReady::kTrue},
                                      {"False", PodReady::kFalse},
                                      {"Unknown", PodReady::kUnknown}};
constexpr Named<PodTrouble> kTroubles[] = {{"none", PodTrouble::kNone},
                                           {"crash-loop", PodTrouble::kCrashLoop},
                                           {"unschedulable", PodTrouble::kUnschedulable}};
constexpr Named<MetricSource> kSources[] = {
    {"resource", MetricSource::kResource}, {"container", MetricSource::kContainerResource},
    {"pods", MetricSource::kPods},         {"object", MetricSource::kObject},
    {"external", MetricSource::kExternal}, {"trigger", MetricSource::kExternal},
    {"unknown", MetricSource::kUnknown}};
constexpr Named<SelectPolicy> kSelect[] = {{"Max", SelectPolicy::kMax},
                                           {"Min", SelectPolicy::kMin},
                                           {"Disabled", SelectPolicy::kDisabled}};
constexpr Named<ApplyResult::Kind> kResults[] = {
    {"not-tried", ApplyResult::Kind::kNotTried}, {"applied", ApplyResult::Kind::kApplied},
    {"withheld", ApplyResult::Kind::kWithheld},  {"conflict", ApplyResult::Kind::kConflict},
    {"gone", ApplyResult::Kind::kGone},          {"rejected", ApplyResult::Kind::kRejected},
    {"unknown", ApplyResult::Kind::kUnknown}};

std::string Unknown(const std::string& what, const std::string& value) {
  return fmt::format("unknown {} \"{}\"", what, value);
}

}  // namespace

std::vector<std::string> ExpandNames(const std::string& text) {
  const size_t dots = text.find("..");
  const size_t dash = text.rfind('-', dots);
  if (dots == std::string::npos || dash == std::string::npos) return {text};
  std::vector<std::string> out;
  const int first = std::stoi(text.substr(dash + 1, dots - dash - 1));
  const int last = std::stoi(text.substr(dots + 2));
  for (int i = first; i <= last; ++i) out.push_back(text.substr(0, dash + 1) + std::to_string(i));
  return out;
}

void Scenario::Reset() {
  start_ = now_ = absl::FromUnixSeconds(1767225600);  // 2026-01-01T00:00:00Z
  options_ = {};
  spec_ = {};
  spec_.key = {"shop", "web"};
  spec_.guards = Guards::kNone;
  spec_.max_replicas = 10;
  spec_.generation = 1;
  trigger_metrics_.clear();
  has_scale_ = false;
  scale_ = {};
  scale_error_ = {};
  selector_error_.clear();
  pods_.clear();
  requests_.clear();
  readings_.clear();
  limits_.clear();
  overlapping_.clear();
  synced_ = true;
  silent_ = false;
  status_ = {};
  history_ = {};
}

// ---- words ----

Scenario::Words Scenario::Split(const std::string& line, std::string* problem) {
  Words out;
  std::string word;
  bool quoted = false;
  bool any = false;
  const auto end = [&] {
    if (!any) return;
    const size_t at = word.find('=');
    if (at == std::string::npos) {
      out.push_back({"", word});
    } else {
      out.push_back({word.substr(0, at), word.substr(at + 1)});
    }
    word.clear();
    any = false;
  };
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      any = true;
    } else if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (c == ' ' && !quoted) {
      end();
    } else {
      word += c;
      any = true;
    }
  }
  end();
  if (quoted) *problem = "a quote is not closed";
  return out;
}

int64_t Scenario::MilliOf(const std::string& text) {
  const auto parsed = base::Quantity::Parse(text);
  if (!parsed.ok()) problem_ = std::string(base::Message(parsed.status()));
  return parsed.ok() ? parsed->Milli() : 0;
}

absl::Duration Scenario::DurationOf(const std::string& text) {
  const auto parsed = base::ParseDuration(text);
  if (!parsed.ok()) problem_ = std::string(base::Message(parsed.status()));
  return parsed.value_or(absl::ZeroDuration());
}

int32_t Scenario::NumberOf(const std::string& text) {
  const bool number = !text.empty() && text.find_first_not_of("-0123456789") == std::string::npos;
  if (!number) problem_ = fmt::format("\"{}\" is no number", text);
  return number ? static_cast<int32_t>(std::stol(text)) : 0;
}

// ---- lines ----

std::string Scenario::Run(const std::string& lines) {
  std::string out;
  int number = 0;
  for (const std::string& line : SplitBy(lines, '\n')) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    problem_.clear();
    const Words words = Split(line, &problem_);
    if (problem_.empty()) out += Line(words);
    if (!problem_.empty()) return out + fmt::format("line {}: {}\n", number, problem_);
  }
  return out;
}

std::string Scenario::Line(const Words& words) {
  if (words.empty()) return "";
  const std::string& command = words[0].value;
  const Words rest(words.begin() + 1, words.end());
  if (command == "new") {
    Reset();
    return "";
  }
  if (command == "options") return Options(rest);
  if (command == "spec") return Spec(rest);
  if (command == "metric") return Metric(rest);
  if (command == "behavior") return BehaviorRules(rest);
  if (command == "scale") return ScaleLine(rest);
  if (command == "pods") return Pods(rest);
  if (command == "reading") return ReadingLine(rest);
  if (command == "view") return View(rest);
  if (command == "overlap") {
    overlapping_.clear();
    for (const Word& word : rest) overlapping_.push_back(word.value);
    return "";
  }
  if (command == "wait" && rest.size() == 1) {
    now_ += DurationOf(rest[0].value);
    return "";
  }
  if (command == "decide") return DecideLine(rest);
  problem_ = Unknown("command", command);
  return "";
}

std::string Scenario::Options(const Words& words) {
  for (const Word& w : words) {
    if (w.key == "tolerance") {
      options_.tolerance = base::Quantity::Parse(w.value).value_or(base::Quantity()).AsDouble();
    } else if (w.key == "downscale-stabilization") {
      options_.downscale_stabilization = DurationOf(w.value);
    } else if (w.key == "cpu-initialization-period") {
      options_.cpu_initialization_period = DurationOf(w.value);
    } else if (w.key == "initial-readiness-delay") {
      options_.initial_readiness_delay = DurationOf(w.value);
    } else if (w.key == "scale-to-zero") {
      options_.scale_to_zero = w.value == "true";
    } else {
      problem_ = Unknown("option", w.key);
    }
  }
  return "";
}

std::string Scenario::Spec(const Words& words) {
  for (const Word& w : words) {
    if (w.key == "min") {
      spec_.min_replicas = NumberOf(w.value);
    } else if (w.key == "max") {
      spec_.max_replicas = NumberOf(w.value);
    } else if (w.key == "guards") {
      spec_.guards = w.value == "Safe" ? Guards::kSafe : Guards::kNone;
    } else if (w.key == "paused") {
      spec_.paused = w.value == "true";
    } else if (w.key == "on-absent") {
      spec_.on_absent = w.value == "Value" ? OnAbsent::kValue : OnAbsent::kHold;
    } else if (w.key == "hold") {
      for (const std::string& hold : SplitBy(w.value, ',')) {
        if (hold == "unschedulable") spec_.hold_scale_up.unschedulable_pods = true;
        if (hold == "quota") spec_.hold_scale_up.quota_exceeded = true;
      }
    } else if (w.key == "period") {
      spec_.period = DurationOf(w.value);
    } else if (w.key == "behavior" && w.value == "none") {
      spec_.behavior.reset();
    } else if (w.key == "metrics" && w.value == "none") {
      spec_.metrics.clear();
      trigger_metrics_.clear();
    } else {
      problem_ = Unknown("field", w.key);
    }
  }
  return "";
}

std::string Scenario::Metric(const Words& words) {
  MetricSpec metric;
  if (words.size() < 2 || !Find(kSources, words[0].value, &metric.source)) {
    problem_ = "metric needs a source and a name";
    return "";
  }
  const bool trigger = words[0].value == "trigger";
  metric.from_trigger = metric.has_activity = trigger;
  metric.name = words[1].value;
  if (metric.source == MetricSource::kUnknown) metric.source_text = metric.name;
  for (size_t i = 2; i < words.size(); ++i) {
    const Word& w = words[i];
    if (w.key == "utilization") {
      metric.target.kind = TargetKind::kUtilization;
      metric.target.average_utilization = NumberOf(w.value);
    } else if (w.key == "average") {
      metric.target.kind = TargetKind::kAverageValue;
      metric.target.average_value = MilliOf(w.value);
    } else if (w.key == "value") {
      metric.target.kind = TargetKind::kValue;
      metric.target.value = MilliOf(w.value);
    } else if (w.key == "container") {
      metric.container = w.value;
    } else if (w.key == "on") {
      const std::vector<std::string> parts = SplitBy(w.value, '/');
      metric.described_object =
          ObjectReference{"networking.k8s.io/v1", parts[0], parts.size() > 1 ? parts[1] : ""};
    } else if (w.key == "selector") {
      metric.SetSelector(SelectorOf(w.value));
    } else {
      problem_ = Unknown("field", w.key);
    }
  }
  (trigger ? trigger_metrics_ : spec_.metrics).push_back(metric);
  return "";
}

std::string Scenario::BehaviorRules(const Words& words) {
  if (!spec_.behavior) {  // what the API's defaulting makes of `behavior: {}`
    spec_.behavior = Behavior{
        .scale_up = {.stabilization_window_seconds = 0,
                     .select_policy = SelectPolicy::kMax,
                     .policies = {{PolicyType::kPods, 4, 15}, {PolicyType::kPercent, 100, 15}},
                     .tolerance = {}},
        .scale_down = {.stabilization_window_seconds = {},
                       .select_policy = SelectPolicy::kMax,
                       .policies = {{PolicyType::kPercent, 100, 15}},
                       .tolerance = {}}};
  }
  if (words.empty()) return "";
  ScalingRules& rules =
      words[0].value == "up" ? spec_.behavior->scale_up : spec_.behavior->scale_down;
  for (size_t i = 1; i < words.size(); ++i) {
    const Word& w = words[i];
    if (w.key == "window") {
      rules.stabilization_window_seconds =
          static_cast<int32_t>(absl::ToInt64Seconds(DurationOf(w.value)));
    } else if (w.key == "select") {
      if (!Find(kSelect, w.value, &rules.select_policy)) problem_ = Unknown("policy", w.value);
    } else if (w.key == "tolerance") {
      rules.tolerance = base::Quantity::Parse(w.value).value_or(base::Quantity()).AsDouble();
    } else if (w.key == "policies") {
      rules.policies.clear();
      for (const std::string& text : SplitBy(w.value, ',')) {
        const size_t colon = text.find(':');
        const size_t slash = text.find('/');
        if (colon == std::string::npos || slash == std::string::npos) {
          problem_ = Unknown("policy", text);
          return "";
        }
        rules.policies.push_back(
            {text.substr(0, colon) == "percent" ? PolicyType::kPercent : PolicyType::kPods,
             NumberOf(text.substr(colon + 1, slash - colon - 1)),
             static_cast<int32_t>(absl::ToInt64Seconds(DurationOf(text.substr(slash + 1))))});
      }
    } else {
      problem_ = Unknown("field", w.key);
    }
  }
  return "";
}

std::string Scenario::ScaleLine(const Words& words) {
  if (words.size() == 1 && words[0].key == "error") {
    has_scale_ = false;
    scale_error_.message = words[0].value;
    return "";
  }
  if (!has_scale_) scale_.selector = "app=web";
  has_scale_ = true;
  for (const Word& w : words) {
    if (w.key.empty()) {
      scale_.spec_replicas = scale_.status_replicas = NumberOf(w.value);
    } else if (w.key == "status") {
      scale_.status_replicas = NumberOf(w.value);
    } else if (w.key == "ready") {
      scale_.ready_replicas.reset();
      if (w.value != "unknown") scale_.ready_replicas = NumberOf(w.value);
    } else if (w.key == "quota") {
      scale_.quota_refused = w.value == "refused";
    } else if (w.key == "selector") {
      scale_.selector = w.value;
      const auto parsed = base::Selector::Parse(w.value);
      selector_error_ = parsed.ok() ? "" : std::string(base::Message(parsed.status()));
    } else {
      problem_ = Unknown("field", w.key);
    }
  }
  return "";
}

std::string Scenario::Pods(const Words& words) {
  if (words.size() == 1 && words[0].value == "none") {
    pods_.clear();
    return "";
  }
  Pod pod{.name = "",
          .start = now_ - absl::Hours(1),
          .ready_at = now_ - absl::Hours(1),
          .requests = 0,
          .phase = PodPhase::kRunning,
          .ready = PodReady::kTrue,
          .deleting = false};
  PodRequests requests;
  requests.containers.push_back({.name = "app", .sidecar = false, .requests = {}});
  std::vector<std::string> names;
  for (const Word& w : words) {
    if (w.key.empty()) {
      for (std::string& name : ExpandNames(w.value)) names.push_back(std::move(name));
    } else if (w.key == "phase") {
      if (!Find(kPhases, w.value, &pod.phase)) problem_ = Unknown("phase", w.value);
    } else if (w.key == "ready") {
      if (!Find(kReady, w.value, &pod.ready)) problem_ = Unknown("readiness", w.value);
    } else if (w.key == "started") {
      pod.start = now_ - DurationOf(w.value);
    } else if (w.key == "changed") {
      pod.ready_at = now_ - DurationOf(w.value);
    } else if (w.key == "deleting") {
      pod.deleting = w.value == "true";
    } else if (w.key == "trouble") {
      if (!Find(kTroubles, w.value, &pod.trouble)) problem_ = Unknown("trouble", w.value);
    } else if (w.key == "request") {
      for (const std::string& text : SplitBy(w.value, ',')) {
        const size_t colon = text.find(':');
        const auto quantity = base::Quantity::Parse(text.substr(colon + 1));
        if (!quantity.ok()) problem_ = std::string(base::Message(quantity.status()));
        requests.containers[0].requests.push_back(
            ResourceAmount::Of(text.substr(0, colon), quantity.value_or(base::Quantity())));
      }
    } else {
      problem_ = Unknown("field", w.key);
    }
  }
  const auto known = std::find(requests_.begin(), requests_.end(), requests);
  pod.requests = static_cast<uint32_t>(known - requests_.begin());
  if (known == requests_.end()) requests_.push_back(requests);
  for (const std::string& name : names) {
    pod.name = name;
    const auto old =
        std::find_if(pods_.begin(), pods_.end(), [&](const Pod& p) { return p.name == name; });
    if (old == pods_.end()) {
      pods_.push_back(pod);
    } else {
      *old = pod;
    }
  }
  return "";
}

std::string Scenario::ReadingLine(const Words& words) {
  const size_t metrics = spec_.metrics.size() + trigger_metrics_.size();
  const auto index = words.empty() ? 0 : static_cast<size_t>(NumberOf(words[0].value)) - 1;
  if (index >= metrics) {
    problem_ = "reading needs the number of a metric, from 1";
    return "";
  }
  readings_.resize(metrics);
  limits_.resize(metrics, absl::InfiniteDuration());
  const uint64_t before = readings_[index].sequence;
  Reading reading;
  reading.sequence = before + 1;
  reading.observed_at = now_;
  reading.form = Reading::Form::kMilli;
  for (size_t i = 1; i < words.size(); ++i) {
    const Word& w = words[i];
    if (w.key.empty() && w.value == "absent") {
      reading.absent = true;
    } else if (w.key.empty() && w.value == "same") {  // the reading that was seen before
      reading.sequence = before;
    } else if (w.key.empty() && w.value == "none") {  // an answer without values
      if (spec_.metrics.size() > index && spec_.metrics[index].source != MetricSource::kObject &&
          spec_.metrics[index].source != MetricSource::kExternal)
        reading.form = Reading::Form::kPods;
    } else if (w.key.empty()) {
      reading.milli.push_back(MilliOf(w.value));
    } else if (w.key == "real") {
      reading.form = Reading::Form::kReal;
      reading.real.push_back(std::stod(w.value));
    } else if (w.key == "error") {
      reading.form = Reading::Form::kError;
      reading.error = {ErrorKind::kUnavailable, w.value};
    } else if (w.key == "age") {
      reading.observed_at = now_ - DurationOf(w.value);
    } else if (w.key == "limit") {
      limits_[index] = DurationOf(w.value);
    } else if (w.key == "stray") {
      reading.form = Reading::Form::kPods;
      reading.pods.stray.push_back(MilliOf(w.value));
    } else {  // pod=value
      reading.form = Reading::Form::kPods;
      reading.pods.by_pod.resize(pods_.size());
      for (const std::string& name : ExpandNames(w.key)) {
        const auto pod =
            std::find_if(pods_.begin(), pods_.end(), [&](const Pod& p) { return p.name == name; });
        if (pod == pods_.end()) {
          problem_ = Unknown("pod", name);
          return "";
        }
        reading.pods.by_pod[static_cast<size_t>(pod - pods_.begin())] = {
            .milli = MilliOf(w.value),
            .at = now_ - absl::Seconds(10),
            .window = absl::Seconds(30),
            .present = true};
      }
    }
  }
  readings_[index] = reading;
  return "";
}

std::string Scenario::View(const Words& words) {
  synced_ = true;
  silent_ = false;
  for (const Word& w : words) {
    if (w.value == "unsynced") synced_ = false;
    if (w.value == "silent") silent_ = true;
  }
  return "";
}

// ---- decide ----

std::string Scenario::DecideLine(const Words& words) {
  ApplyResult result{.kind = ApplyResult::Kind::kApplied, .at = now_, .error = ""};
  bool fast = false;
  for (const Word& w : words) {
    const std::string& name = w.key.empty() ? w.value : w.key;
    if (name == "fast") {
      fast = true;
    } else if (!Find(kResults, name, &result.kind)) {
      problem_ = Unknown("result", name);
      return "";
    }
    if (!w.key.empty()) result.error = w.value;
  }
  Observation seen;
  seen.now = now_;
  seen.scale = has_scale_ ? &scale_ : nullptr;
  seen.scale_error = has_scale_ || scale_error_.message.empty() ? nullptr : &scale_error_;
  seen.selector_error = selector_error_.empty() ? nullptr : &selector_error_;
  seen.pods = pods_;
  seen.requests = requests_;
  seen.overlapping = overlapping_;
  seen.previous = &status_;
  seen.views_synced = synced_;
  seen.views_silent = silent_;
  seen.takes_base = !fast;
  std::vector<MetricInput> inputs;
  const size_t metrics = spec_.metrics.size() + trigger_metrics_.size();
  readings_.resize(metrics);
  limits_.resize(metrics, absl::InfiniteDuration());
  for (size_t i = 0; i < metrics; ++i) {
    const MetricSpec* metric =
        i < spec_.metrics.size() ? &spec_.metrics[i] : &trigger_metrics_[i - spec_.metrics.size()];
    if (readings_[i].sequence == 0)
      readings_[i].error = {ErrorKind::kNeverRead, "no reading has arrived yet"};
    inputs.push_back({.spec = metric, .reading = &readings_[i], .stale_after = limits_[i]});
  }
  seen.metrics = inputs;
  decision_ = Decide(options_, spec_, seen, history_);
  if (!decision_.rescale) result.kind = ApplyResult::Kind::kNotTried;
  Outcome outcome = Remember(options_, spec_, seen, decision_, result, std::move(history_));
  const std::string out = Explain(spec_, decision_) + Print(outcome);
  history_ = std::move(outcome.history);
  status_ = std::move(outcome.status);
  if (result.kind == ApplyResult::Kind::kApplied) {
    scale_.spec_replicas = decision_.desired;
    scale_.status_replicas = decision_.desired;
  }
  return out;
}

std::string Scenario::When(absl::Time time) const {
  if (time == absl::InfinitePast()) return "never";
  const absl::Duration since = time - start_;
  return (since < absl::ZeroDuration() ? "" : "+") + base::FormatDuration(since);
}

std::string Scenario::Print(const Outcome& outcome) const {
  std::string out;
  for (const Event& e : outcome.events) {
    out += fmt::format("event     {} {}: {}\n", e.type == EventType::kNormal ? "Normal" : "Warning",
                       e.reason, e.message);
  }
  static constexpr const char* kStatus[] = {"True", "False", "Unknown"};
  for (const Condition& c : outcome.status.conditions) {
    out += fmt::format("condition {} {} {} since {}: {}\n", c.type,
                       kStatus[static_cast<int>(c.status)], c.reason, When(c.last_transition),
                       c.message);
  }
  std::string metrics;
  for (const MetricStatus& m : outcome.status.current_metrics) {
    std::string amounts;
    if (m.average_utilization) amounts += fmt::format(" {}%", *m.average_utilization);
    if (m.average_value) amounts += " average " + base::FormatMilli(*m.average_value, m.format);
    if (m.value) amounts += " value " + base::FormatMilli(*m.value, m.format);
    metrics +=
        fmt::format("{}{}{}", metrics.empty() ? "" : ", ", m.valid ? m.name : "(failed)", amounts);
  }
  out += fmt::format("status    replicas {} desired {}{}{}\n", outcome.status.current_replicas,
                     outcome.status.desired_replicas, metrics.empty() ? "" : "; metrics ", metrics);
  const History& h = outcome.history;
  std::string kept;
  for (const Recommendation& r : h.recommendations)
    kept += fmt::format(" {}@{}", r.replicas, When(r.at));
  for (const ScaleEvent& e : h.up_events)
    kept += fmt::format(" up {}@{}{}", e.change, When(e.at), e.outdated ? "(outdated)" : "");
  for (const ScaleEvent& e : h.down_events)
    kept += fmt::format(" down {}@{}{}", e.change, When(e.at), e.outdated ? "(outdated)" : "");
  if (h.base) {
    kept += fmt::format(" base {} ({} ready)@{}", h.base->replicas, h.base->ready_pods,
                        When(h.base->at));
  }
  if (h.crash_loop) {
    kept += fmt::format(" crash loop {}..{}", When(h.crash_loop->since), When(h.crash_loop->seen));
  }
  if (!kept.empty()) out += "remember " + kept + "\n";
  return out;
}

}  // namespace neap::core
