// The HPA's recorded series (tests/conformance/FORMAT.md) through the controller that the simulator
// runs: as messages into control::Controller::Step, in virtual time, guards None. What core decides
// from the same inputs is tested by tests/conformance; here it is what control makes of them: due
// times, rounds, joins of pods, writes, history and status from one tick to the next.
//
// Not everything upstream does can be said in messages; what can't is counted by its reason and
// expected to stay that much. From such a tick on the series has another past than upstream's, so
// its further ticks are left out, until a restart gives both the same one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/control/controller.h"
#include "autoscaler/control/subscriptions.h"
#include "tests/sim/gzip_lines.h"
#include "tools/neapctl/conformance/json.h"

namespace neap::sim {
namespace {

using conformance::Json;
using Kind = core::ApplyResult::Kind;

constexpr int kPutAttempts = 5;
constexpr absl::Duration kPutSpacing = absl::Milliseconds(20);
constexpr char kConflict[] =
    "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; "
    "please apply your changes to the latest version and try again";
constexpr char kServerError[] = "Internal error occurred: etcd is unhappy";

struct Tally {
  int equal = 0;
  int different = 0;
  std::map<std::string, int> unsaid;  // ticks that can't be expressed, by reason
  std::vector<std::string> first_differences;
};

class Series {
 public:
  Series(const Json& line, Tally& tally) : line_(line), tally_(tally) {
    world_.t0 = base::ParseTime(line.at("t0").get<std::string>()).value_or(absl::UnixEpoch());
    options_.hpa = conformance::ReadOptions(line.at("options"));
    options_.min_spacing = absl::ZeroDuration();
  }

  void Run() {
    for (const Json& tick : line_.at("ticks")) {
      Begin(tick);
      if (unsaid_.empty()) Tick(tick);
      if (unsaid_.empty()) continue;
      ++tally_.unsaid[unsaid_];
      if (tick.at("expect").contains("status")) stored_ = tick.at("expect").at("status");
    }
  }

 private:
  static control::TargetRef Ref() {
    return {.group = "apps", .kind = "Deployment", .ns = "ns", .name = "web"};
  }

  // ---- what a tick brings ----

  void Begin(const Json& tick) {
    const bool first = controller_ == nullptr;
    fresh_ = first || tick.value("controllerRestarted", false);
    const bool recreated = tick.value("hpaRecreated", false);
    if (recreated) {
      stored_ = Json::object();
      ++life_;
    }
    if (tick.contains("hpa")) {
      spec_ = conformance::ReadSpec(tick.at("hpa"));
      spec_.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "web"};
      spec_.period = absl::Seconds(1);  // it is stepped at the recorded ticks alone
    }
    spec_.uid = "uid-" + std::to_string(life_);
    if (tick.contains("initialStatus")) stored_ = tick.at("initialStatus");
    if (tick.contains("podTemplates")) world_.ReadTemplates(tick.at("podTemplates"));
    if (tick.contains("pods")) world_.ReadPods(tick.at("pods"));
    now_ = world_.At(tick.at("t"));
    if (fresh_) {
      controller_ = std::make_unique<control::Controller>(options_);
      subscribed_.clear();
      watches_pods_ = false;
    }
    if (fresh_ || recreated) unsaid_.clear();
    inbox_.clear();
    Hear();
    decisions_ = 0;
    patch_.reset();
    if (fresh_ || recreated || tick.contains("hpa")) {
      inbox_.emplace_back(control::SpecsReplaced{
          .source = "api",
          .all = {{.uid = spec_.uid,
                   .spec = std::make_shared<const core::AutoscalerSpec>(spec_),
                   .status = conformance::ReadStatus(stored_, world_),
                   .source = "api"}}});
    }
    if (tick.contains("pods") || tick.contains("podTemplates")) AddPods();
    AskNothingUnsaid(tick);
  }

  void Hear() {
    inbox_.emplace_back(control::ViewHeard{.view = control::View::kSpecs, .scope = "api"});
    inbox_.emplace_back(
        control::ViewHeard{.view = control::View::kScales, .scope = "apps/Deployment"});
    inbox_.emplace_back(control::ViewHeard{.view = control::View::kPods, .scope = "ns"});
  }

  // Reasons that can be told before.
  void AskNothingUnsaid(const Json& tick) {
    if (!unsaid_.empty()) return;
    if (tick.contains("otherHPAs")) {
      unsaid_ = "other HPAs whose selectors upstream remembers, without their own inputs";
    }
    const Json metrics = tick.value("metrics", Json::array());
    for (size_t i = 0; i < spec_.metrics.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        const auto a = control::QueryOf(spec_.metrics[i], "ns", "app=web");
        const auto b = control::QueryOf(spec_.metrics[j], "ns", "app=web");
        if (a && b && control::SameQuery(*a, *b) && i < metrics.size() &&
            metrics[i] != metrics[j]) {
          unsaid_ = "one query of two metrics, answered differently within one tick";
        }
      }
    }
  }

  void AddPods() {
    control::PodsReplaced list{.ns = "ns", .all = {}};
    const base::LabelSet labels(base::Labels{{"app", "web"}});
    for (const core::Pod& pod : world_.pods) {
      control::PodState state{.pod = pod, .labels = labels, .requests = {}};
      state.requests = base::Shared<core::PodRequests>::Of(pod.requests < world_.requests.size()
                                                               ? world_.requests[pod.requests]
                                                               : core::PodRequests{});
      state.pod.requests = 0;
      list.all.push_back(std::move(state));
    }
    inbox_.emplace_back(std::move(list));
  }

  control::ScaleChange ScaleOf(const Json& tick) const {
    const Json& json = tick.at("scale");
    control::ScaleChange change{.target = Ref(), .scale = {}, .error = {}};
    if (json.contains("error") || json.contains("mappingError")) {
      change.error = core::ReadingError{
          .kind = core::ErrorKind::kUnavailable,
          .message = json.at(json.contains("error") ? "error" : "mappingError").get<std::string>()};
    } else {
      change.scale = core::Scale{.uid = "web-uid",
                                 .resource_version = "",
                                 .spec_replicas = json.value("specReplicas", 0),
                                 .status_replicas = json.value("statusReplicas", 0),
                                 .selector = json.value("selector", "")};
    }
    return change;
  }

  // ---- the controller at that moment ----

  void Tick(const Json& tick) {
    const control::ScaleChange scale = ScaleOf(tick);
    // On a scale that somebody else changed Neap decides at once, and one decision is all that
    // upstream takes. With relative metrics it reads them first, so the change may come before;
    // else it comes with the readings. One that came back, or whose pods are others, must be known
    // before what is to be read.
    const bool relative =
        std::any_of(spec_.metrics.begin(), spec_.metrics.end(), control::NeedsPods);
    const bool first = relative || fresh_ || !scale_ || !scale_->scale || !scale.scale ||
                       scale_->scale->selector != scale.scale->selector;
    if (!relative && !fresh_ && scale_ && !scale_->scale && scale.scale) {
      unsaid_ = "a scale that can be read again: Neap decides at once, with the readings it has";
      return;
    }
    if (first) AddScale(scale);
    bool late = !first;
    for (int turn = 0; turn < 8 && (turn == 0 || !inbox_.empty()); ++turn) {
      for (control::Action& action : controller_->Step(std::exchange(inbox_, {}), now_)) {
        Take(tick, action);
      }
      if (std::exchange(late, false)) AddScale(scale);
    }
    scale_ = scale;
    if (decisions_ != 1) {
      unsaid_ = decisions_ == 0 ? "a tick so soon after the one before that it is not due"
                                : "Neap decides at once on a change, and again with the readings";
      return;
    }
    if (patch_) Put(tick);
    Compare(tick);
  }

  void AddScale(const control::ScaleChange& change) {
    if (!fresh_) return inbox_.emplace_back(change), void();
    inbox_.emplace_back(
        control::ScalesReplaced{.group = "apps", .kind = "Deployment", .all = {change}});
  }

  void Take(const Json& tick, const control::Action& action) {
    if (const auto* subscribe = std::get_if<control::Subscribe>(&action)) {
      for (const auto& put : subscribe->put) subscribed_[put->id] = put;
    } else if (const auto* watch = std::get_if<control::Watch>(&action)) {
      const bool watches = !watch->pod_namespaces.empty();
      if (watches && !watches_pods_) AddPods();
      watches_pods_ = watches;
    } else if (const auto* poll = std::get_if<control::Poll>(&action)) {
      for (const std::string& id : poll->trigger_ids) Answer(tick, id, poll->round);
    } else if (const auto* patch = std::get_if<control::PatchScale>(&action)) {
      patch_ = *patch;
    } else if (const auto* record = std::get_if<control::DecisionRecord>(&action)) {
      ++decisions_;
      decision_ = *record->decision;
    } else if (const auto* outcome = std::get_if<control::OutcomeRecord>(&action)) {
      outcome_ = *outcome->outcome;
    }
  }

  void Answer(const Json& tick, const std::string& id, uint64_t round) {
    const control::Subscription& query = *subscribed_.at(id);
    const Json metrics = tick.value("metrics", Json::array());
    for (size_t i = 0; i < spec_.metrics.size() && i < metrics.size(); ++i) {
      const auto asked = control::QueryOf(spec_.metrics[i], "ns", query.pod_selector);
      if (!asked || !control::SameQuery(*asked, query)) continue;
      control::TriggerReading answer = Reading(metrics[i]);
      answer.trigger_id = id;
      answer.round = round;
      inbox_.emplace_back(std::move(answer));
      return;
    }
  }

  control::TriggerReading Reading(const Json& data) const {
    control::TriggerReading out;
    if (data.contains("error")) {
      out.error = core::ReadingError{.kind = core::ErrorKind::kUnavailable,
                                     .message = data.at("error").get<std::string>()};
      return out;
    }
    control::MetricReading& metric = out.metrics.emplace_back();
    core::Reading& reading = metric.reading;
    reading.observed_at = now_;
    reading.form = core::Reading::Form::kMilli;
    if (data.contains("samples")) {
      reading.form = core::Reading::Form::kPods;
      for (const auto& [name, triple] : data.at("samples").items()) {
        metric.pod_samples.push_back({.pod = name,
                                      .milli = triple.at(0),
                                      .at = world_.At(triple.at(1)),
                                      .window = absl::Milliseconds(triple.at(2).get<int64_t>())});
      }
    } else if (data.contains("values")) {
      reading.milli = data.at("values").get<std::vector<int64_t>>();
    } else {
      reading.milli = {data.value("value", int64_t{0})};
    }
    return out;
  }

  // ---- the write: upstream tries the same number again when it meets a conflict ----

  void Put(const Json& tick) {
    const Json answers = tick.value("faults", Json::object()).value("puts", Json::array());
    core::ApplyResult result;
    int attempt = 0;
    for (std::string answer = "conflict"; answer == "conflict" && attempt < kPutAttempts;
         ++attempt) {
      const auto index = static_cast<size_t>(attempt);
      answer = index < answers.size() ? answers.at(index).get<std::string>() : "ok";
      result.kind = answer == "ok" ? Kind::kApplied : Kind::kRejected;
      result.error = answer == "conflict" ? kConflict : answer == "ok" ? "" : kServerError;
    }
    attempts_ = attempt;
    applied_ = result.kind == Kind::kApplied;
    inbox_.emplace_back(
        control::WriteOutcome{.write_id = patch_->write_id, .result = result, .scale = {}});
    for (const control::Action& action :
         controller_->Step(std::exchange(inbox_, {}), now_ + (attempt - 1) * kPutSpacing)) {
      Take(tick, action);
    }
    if (applied_ && scale_->scale) scale_->scale->spec_replicas = patch_->replicas;
    if (!inbox_.empty()) next_unsaid_ = "a write that was tried again ran into the next period";
  }

  // ---- against upstream ----

  void Compare(const Json& tick) {
    const Json& expect = tick.at("expect");
    const std::string status_fault = tick.value("faults", Json::object()).value("status", "");
    bool same = true;
    const auto check = [&](const char* what, const Json& expected, const Json& actual) {
      if (expected == actual) return;
      same = false;
      if (tally_.first_differences.size() >= 10) return;
      tally_.first_differences.push_back(
          fmt::format("{}#{} {}\n  expected {}\n  actual   {}", line_.at("id").get<std::string>(),
                      tick.value("i", 0), what, expected.dump(), actual.dump()));
    };
    Json scaled_to = nullptr;
    if (patch_ && applied_) scaled_to = patch_->replicas;
    check("puts", expect.at("puts").size(), patch_ ? attempts_ : 0);
    check("scaledTo", expect.value("scaledTo", Json()), scaled_to);
    if (status_fault.empty()) {
      Json events = Json::array();
      for (const core::Event& event : outcome_.events) {
        events.push_back({{"type", event.type == core::EventType::kNormal ? "Normal" : "Warning"},
                          {"reason", event.reason},
                          {"message", event.message}});
      }
      check("events", expect.value("events", Json::array()), events);
      if (expect.contains("status")) {
        check("status", conformance::Canonical(expect.at("status")),
              conformance::Canonical(conformance::WriteStatus(outcome_.status, world_)));
        stored_ = expect.at("status");
      }
    }
    ++(same ? tally_.equal : tally_.different);
    if (!status_fault.empty()) {
      unsaid_ = "";
      next_unsaid_ = "a status that could not be written: upstream forgets it, Neap does not";
    }
    if (!same) next_unsaid_ = "after a difference";
    unsaid_ = std::exchange(next_unsaid_, "");
    if (!unsaid_.empty()) --tally_.unsaid[unsaid_];  // this tick itself was compared
  }

  const Json& line_;
  Tally& tally_;
  conformance::World world_;
  control::ControllerOptions options_;
  core::AutoscalerSpec spec_;
  Json stored_ = Json::object();
  int life_ = 1;
  bool fresh_ = true;
  std::string unsaid_;
  std::string next_unsaid_;

  std::unique_ptr<control::Controller> controller_;
  absl::Time now_;
  std::vector<control::Message> inbox_;
  std::map<std::string, std::shared_ptr<const control::Subscription>> subscribed_;
  bool watches_pods_ = false;
  std::optional<control::ScaleChange> scale_;  // as the controller knows it

  int decisions_ = 0;
  core::Decision decision_;
  core::Outcome outcome_;
  std::optional<control::PatchScale> patch_;
  int attempts_ = 0;
  bool applied_ = false;
};

TEST(ConformanceSeries, TheControllerDecidesAsTheHpaDid) {
  Tally tally;
  int series = 0;
  int ticks = 0;
  ForEachLine("tests/conformance/controller.jsonl.gz", [&](const std::string& line) {
    const Json json = conformance::WithoutNulls(Json::parse(line));
    ++series;
    ticks += static_cast<int>(json.at("ticks").size());
    Series(json, tally).Run();
  });
  int unsaid = 0;
  std::printf("%d series, %d ticks: %d equal, %d different\n", series, ticks, tally.equal,
              tally.different);
  for (const auto& [reason, count] : tally.unsaid) {
    std::printf("  %5d left out: %s\n", count, reason.c_str());
    unsaid += count;
  }
  for (const std::string& difference : tally.first_differences) ADD_FAILURE() << difference;
  EXPECT_EQ(series, 400);
  EXPECT_EQ(tally.different, 0);
  EXPECT_GT(tally.equal, 11'000);
  EXPECT_EQ(tally.equal + tally.different + unsaid, ticks);
}

}  // namespace
}  // namespace neap::sim
