// The family `controller`: one HPA followed through a series of reconciliations. What surrounds the
// decision upstream is played here: mapping and GET errors, up to five PUTs on a conflict with the
// same number, the status write. Everything that decides is core's.
#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/duration.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/core/messages.h"
#include "tools/neapctl/conformance/conformance.h"
#include "tools/neapctl/conformance/json.h"
#include "tools/neapctl/conformance/world.h"

namespace neap::conformance {
namespace {

constexpr int kPutAttempts = 5;
constexpr absl::Duration kPutSpacing =
    absl::Milliseconds(20);  // the k-th answer comes (k-1) x 20 ms after the tick
constexpr char kConflict[] =
    "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; "
    "please apply your changes to "
    "the latest version and try again";
constexpr char kServerError[] = "Internal error occurred: etcd is unhappy";

class Series {
 public:
  Series(const Json& line, FamilyReport& report) : line_(line), report_(report) {
    const auto t0 = base::ParseTime(line.at("t0").get<std::string>());
    world_.t0 = t0.value_or(absl::UnixEpoch());
    options_ = ReadOptions(line.at("options"));
  }

  void Run() {
    for (const Json& tick : line_.at("ticks")) Tick(tick);
    ++(failed_ ? report_.failed : report_.passed);
  }

 private:
  // Borrowed by the observation of one tick.
  struct Tables {
    core::Scale scale;
    core::ReadingError scale_error;
    std::string selector_error;
    std::vector<core::Reading> readings;
    std::vector<core::MetricInput> inputs;
    std::vector<std::string> overlapping;
  };

  void TakeOver(const Json& tick) {
    if (tick.value("controllerRestarted", false)) {
      history_ = {};
    }
    if (tick.value("hpaRecreated", false)) {
      history_ = {};
      stored_ = {};
      stored_json_ = Json::object();
    }
    if (tick.contains("hpa")) spec_ = ReadSpec(tick.at("hpa"));
    if (tick.contains("initialStatus")) Store(tick.at("initialStatus"));
    if (tick.contains("podTemplates")) world_.ReadTemplates(tick.at("podTemplates"));
    if (tick.contains("pods")) world_.ReadPods(tick.at("pods"));
  }

  void Store(const Json& status) {
    stored_json_ = status;
    stored_ = ReadStatus(status, world_);
  }

  core::Reading ReadMetricData(const Json& data) const {
    core::Reading reading;
    reading.observed_at = absl::InfiniteFuture();  // the HPA knows no staleness
    if (data.contains("error")) {
      reading.form = core::Reading::Form::kError;
      reading.error = {core::ErrorKind::kUnavailable, data.at("error").get<std::string>()};
    } else if (data.contains("samples")) {
      reading.form = core::Reading::Form::kPods;
      reading.pods = world_.Samples(data.at("samples"));
    } else if (data.contains("values")) {
      reading.form = core::Reading::Form::kMilli;
      reading.milli = data.at("values").get<std::vector<int64_t>>();
    } else {
      reading.form = core::Reading::Form::kMilli;
      reading.milli = {data.value("value", int64_t{0})};
    }
    return reading;
  }

  // The HPAs whose remembered selector matches the pods. Every pod of a vector carries app=web.
  void FindOverlap(const Json& tick, const std::string& selector, Tables& tables) const {
    const base::Labels labels = {{"app", "web"}};
    const base::Labels* const sets[] = {&labels};
    const std::span<const base::Labels* const> present(sets, world_.pods.empty() ? 0 : 1);
    const auto matches = [&](const std::string& text) {
      const auto parsed = base::Selector::Parse(text);
      return parsed.ok() && core::MatchesAnyPod(*parsed, present);
    };
    const auto own = base::Selector::Parse(selector);
    if (!own.ok()) return;
    // Only pods that this HPA's own selector returns count; all pods have the same labels.
    if (!core::MatchesAnyPod(*own, present)) return;
    tables.overlapping.push_back("ns/main");
    for (const Json& other : tick.value("otherHPAs", Json::array())) {
      if (matches(other.value("selector", "")))
        tables.overlapping.push_back("ns/" + other.value("name", ""));
    }
    std::sort(tables.overlapping.begin(), tables.overlapping.end());
  }

  void Tick(const Json& tick) {
    TakeOver(tick);
    Tables tables;
    core::Observation seen;
    seen.now = world_.At(tick.at("t"));
    seen.previous = &stored_;
    seen.requests = world_.requests;
    const Json& scale = tick.at("scale");
    if (scale.contains("error") || scale.contains("mappingError")) {
      tables.scale_error.message =
          scale.at(scale.contains("error") ? "error" : "mappingError").get<std::string>();
      seen.scale_error = &tables.scale_error;
    } else {
      tables.scale.spec_replicas = scale.value("specReplicas", 0);
      tables.scale.status_replicas = scale.value("statusReplicas", 0);
      tables.scale.selector = scale.value("selector", "");
      tables.scale.resource_version = scale.value("resourceVersion", "");
      seen.scale = &tables.scale;
      const auto selector = base::Selector::Parse(tables.scale.selector);
      if (!selector.ok()) {
        tables.selector_error = std::string(selector.status().message());
        seen.selector_error = &tables.selector_error;
      }
      FindOverlap(tick, tables.scale.selector, tables);
      // The lister returns what the selector matches.
      const base::Labels labels = {{"app", "web"}};
      if (selector.ok() && selector->Matches(labels)) seen.pods = world_.pods;
    }
    seen.overlapping = tables.overlapping;
    const Json metrics = tick.value("metrics", Json::array());
    for (const Json& data : metrics) tables.readings.push_back(ReadMetricData(data));
    tables.readings.resize(spec_.metrics.size());
    for (size_t i = 0; i < spec_.metrics.size(); ++i) {
      tables.inputs.push_back({.spec = &spec_.metrics[i], .reading = &tables.readings[i]});
    }
    seen.metrics = tables.inputs;

    const core::Decision decision = core::Decide(options_, spec_, seen, history_);
    Json puts = Json::array();
    Json scaled_to = nullptr;
    core::ApplyResult result;
    result.at = seen.now;
    if (decision.rescale) result = Put(tick, decision.desired, seen.now, &puts, &scaled_to);
    core::Outcome outcome =
        core::Remember(options_, spec_, seen, decision, result, std::move(history_));
    history_ = std::move(outcome.history);
    Compare(tick, decision, result, outcome, puts, scaled_to);
  }

  core::ApplyResult Put(const Json& tick, int32_t replicas, absl::Time now, Json* puts,
                        Json* scaled_to) const {
    const Json answers = tick.value("faults", Json::object()).value("puts", Json::array());
    const Json& expected = tick.at("expect").at("puts");
    core::ApplyResult result;
    for (int k = 0; k < kPutAttempts; ++k) {
      const auto index = static_cast<size_t>(k);
      std::string answer = index < answers.size() ? answers.at(index).get<std::string>() : "ok";
      if (replicas < 0 && answer == "ok") answer = "invalid";
      result.at = now + k * kPutSpacing;
      // The GET after a conflict returns the version that the next recorded attempt sends.
      Json version = k == 0 ? tick.at("scale").value("resourceVersion", "") : std::string();
      if (k > 0 && index < expected.size()) version = expected.at(index).at("resourceVersion");
      puts->push_back({{"t", absl::ToInt64Milliseconds(result.at - world_.t0)},
                       {"replicas", replicas},
                       {"resourceVersion", version},
                       {"result", answer}});
      if (answer == "ok") {
        result.kind = core::ApplyResult::Kind::kApplied;
        *scaled_to = replicas;
        return result;
      }
      result.kind = core::ApplyResult::Kind::kRejected;
      result.error = answer == "conflict"  ? kConflict
                     : answer == "invalid" ? fmt::format(
                                                 "Scale.autoscaling \"web\" is invalid: "
                                                 "spec.replicas: Invalid value: {}: must be "
                                                 "greater than or equal to 0",
                                                 replicas)
                                           : kServerError;
      if (answer != "conflict") return result;
    }
    return result;
  }

  void Compare(const Json& tick, const core::Decision& decision, const core::ApplyResult& result,
               const core::Outcome& outcome, const Json& puts, const Json& scaled_to) {
    const Json& expect = tick.at("expect");
    Json actual_status = WriteStatus(outcome.status, world_);
    const bool changed = Canonical(actual_status) != Canonical(stored_json_);
    const std::string status_fault = tick.value("faults", Json::object()).value("status", "");
    const bool written = changed && status_fault.empty();
    Json events = Json::array();
    // Upstream writes a failed computation's status first and announces the failure after that.
    std::vector<core::Event> in_order = outcome.events;
    if (changed && !status_fault.empty()) {
      const core::Event failure{core::EventType::kWarning, "FailedUpdateStatus", status_fault};
      const bool before_last = decision.verdict == core::Verdict::kFailed && !in_order.empty();
      in_order.insert(before_last ? in_order.end() - 1 : in_order.end(), failure);
    }
    for (const core::Event& event : in_order) {
      events.push_back({{"type", event.type == core::EventType::kNormal ? "Normal" : "Warning"},
                        {"reason", event.reason},
                        {"message", event.message}});
    }
    const bool rescale_failed =
        decision.rescale && result.kind != core::ApplyResult::Kind::kApplied;
    const bool error = decision.verdict == core::Verdict::kNoScale ||
                       decision.verdict == core::Verdict::kFailed || rescale_failed ||
                       decision.some_invalid || (changed && !status_fault.empty());
    Check(tick, "puts", expect.at("puts"), puts);
    Check(tick, "scaledTo", expect.value("scaledTo", Json()), scaled_to);
    Check(tick, "events", expect.value("events", Json::array()), events);
    Check(tick, "reconcileError", expect.value("reconcileError", false), error);
    Check(tick, "statusWritten", expect.value("statusWritten", false), written);
    if (expect.contains("status")) {
      Check(tick, "status", Canonical(expect.at("status")), Canonical(actual_status));
      Store(expect.at("status"));
    }
  }

  void Check(const Json& tick, const std::string& field, const Json& expected, const Json& actual) {
    if (expected == actual) return;
    failed_ = true;
    if (report_.first_differences.size() >= kMaxDifferences) return;
    const std::string id =
        fmt::format("{}#{}", line_.at("id").get<std::string>(), tick.value("i", 0));
    // Name the place inside.
    for (const Json& change : Json::diff(expected, actual)) {
      const Json::json_pointer at(change.at("path").get<std::string>());
      const auto show = [&](const Json& where) {
        return where.contains(at) ? where.at(at).dump() : std::string("(absent)");
      };
      if (report_.first_differences.size() < kMaxDifferences) {
        report_.first_differences.push_back(
            {id, field + at.to_string(), show(expected), show(actual)});
      }
    }
  }

  const Json& line_;
  FamilyReport& report_;
  World world_;
  core::HpaOptions options_;
  core::AutoscalerSpec spec_;
  core::History history_;
  core::Status stored_;
  Json stored_json_ = Json::object();
  bool failed_ = false;
};

}  // namespace

void RunController(const Json& line, FamilyReport& report) {
  const Json present = WithoutNulls(line);
  Series(present, report).Run();
}

}  // namespace neap::conformance
