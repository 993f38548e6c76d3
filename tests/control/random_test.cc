// The controller under random messages, faults and outcomes: what must hold whatever comes, and in
// whatever order. The seed is printed; NEAP_SEED=n plays another one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "autoscaler/control/controller.h"
#include "autoscaler/core/decide.h"
#include "tests/control/desk.h"

namespace neap::control {
namespace {

uint64_t Seed() {
  const char* text = std::getenv("NEAP_SEED");
  return text == nullptr ? 11 : std::strtoull(text, nullptr, 10);
}

std::string Text(const Action& action) {
  if (const auto* s = std::get_if<Subscribe>(&action)) {
    std::string text = "subscribe";
    for (const auto& put : s->put) text += " +" + put->id;
    for (const std::string& id : s->remove) text += " -" + id;
    return text;
  }
  if (const auto* poll = std::get_if<Poll>(&action)) {
    std::string text =
        fmt::format("poll {} {}", poll->round, absl::ToInt64Milliseconds(poll->deadline));
    for (const std::string& id : poll->trigger_ids) text += " " + id;
    return text;
  }
  if (const auto* watch = std::get_if<Watch>(&action)) {
    return fmt::format("watch {} {}", watch->targets.size(), watch->pod_namespaces.size());
  }
  if (const auto* patch = std::get_if<PatchScale>(&action)) {
    return fmt::format("patch {} {} {}->{}", patch->write_id, patch->uid,
                       patch->observed.spec_replicas, patch->replicas);
  }
  if (const auto* status = std::get_if<WriteStatus>(&action)) {
    return "status " + status->uid + " " + status->explanation;
  }
  if (const auto* event = std::get_if<EmitEvent>(&action)) {
    return "event " + event->uid + " " + event->event.message;
  }
  if (const auto* record = std::get_if<DecisionRecord>(&action)) {
    return fmt::format("decide {} {} {}->{}", record->uid, static_cast<int>(record->cause),
                       record->decision->current, record->decision->desired);
  }
  const auto& outcome = std::get<OutcomeRecord>(action);
  return fmt::format("outcome {} {}", outcome.uid, static_cast<int>(outcome.result.kind));
}

// A world that answers as it likes. All that it does follows from its seed.
class Chaos {
 public:
  explicit Chaos(uint64_t seed) : random_(seed), controller_(OptionsFor(seed)) {}

  void Play(int steps) {
    for (int i = 0; i < kNames; ++i) PutSpec(i);
    for (int step = 0; step < steps && !::testing::Test::HasFatalFailure(); ++step) {
      const int messages = static_cast<int>(Draw(0, 6));
      for (int i = 0; i < messages; ++i) AnyMessage();
      Deliver();
      if (Draw(0, 9) != 0) {
        now_ = std::max(now_, std::min(controller_.NextDue(), now_ + absl::Seconds(1)));
      } else {
        now_ += absl::Milliseconds(Draw(0, 3000));
      }
      StepOnce();
    }
  }

  // No more faults: all must be decided again.
  void Recover() {
    calm_ = true;
    for (int i = 0; i < kNames; ++i) PutSpec(i);
    now_ += absl::Seconds(120);  // writes that nobody answers are given up
    absl::Time listed = absl::InfinitePast();
    for (const absl::Time end = now_ + absl::Seconds(120); now_ < end;) {
      if (now_ >= listed + absl::Seconds(2)) {
        List();
        listed = now_;
      }
      Deliver();
      StepOnce();
      now_ = std::max(now_ + absl::Milliseconds(50),
                      std::min(controller_.NextDue(), now_ + absl::Seconds(1)));
    }
    for (const auto& [uid, spec] : specs_) {
      TargetInfo info;
      ASSERT_TRUE(controller_.FindTarget(uid, &info)) << uid;
      const bool just_sent = std::any_of(sent_.begin(), sent_.end(),
                                         [&](const PatchScale& p) { return p.uid == uid; });
      EXPECT_EQ(info.write_in_flight, just_sent) << uid;
      ASSERT_NE(info.decision, nullptr) << uid;
      EXPECT_LT(now_ - info.decided_at, absl::Seconds(20)) << uid;
      EXPECT_NE(info.decision->verdict, core::Verdict::kHold) << uid;
      EXPECT_NE(info.decision->verdict, core::Verdict::kNoScale) << uid;
    }
  }

  const std::vector<std::string>& log() const { return log_; }
  int patches() const { return patches_; }
  int downs() const { return downs_; }
  const ControllerCounters& counters() const { return controller_.counters(); }

 private:
  static constexpr int kNames = 8;

  static ControllerOptions OptionsFor(uint64_t seed) {
    ControllerOptions options = Desk::Options();
    options.writes_per_second = 1 + static_cast<double>(seed % 5);
    options.write_burst = 1 + static_cast<int>(seed % 3);
    return options;
  }

  int64_t Draw(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }

  static TargetRef Ref(int i) {
    return {.group = "apps", .kind = "Deployment", .ns = "shop", .name = fmt::format("w{}", i)};
  }

  void PutSpec(int i) {
    const std::string name = fmt::format("w{}", i);
    const absl::Duration period = absl::Seconds(Draw(1, 15));
    core::AutoscalerSpec spec =
        i % 2 == 0 ? Desk::Spec(name, period) : Desk::RelativeSpec(name, period);
    spec.max_replicas = static_cast<int32_t>(Draw(20, 60));
    spec.min_replicas = static_cast<int32_t>(Draw(0, 2));
    if (Draw(0, 1) == 0) spec.metrics[0].name = "shared";
    if (i == 3) spec.guards = core::Guards::kNone;
    if (Draw(0, 1) == 0) {
      const core::ScalingRules rules{
          .stabilization_window_seconds = static_cast<int32_t>(Draw(0, 10)),
          .select_policy = core::SelectPolicy::kMax,
          .policies = {{core::PolicyType::kPods, static_cast<int32_t>(Draw(1, 20)), 5}},
          .tolerance = {}};
      spec.behavior = core::Behavior{rules, rules};
    }
    specs_[spec.uid] = std::make_shared<const core::AutoscalerSpec>(spec);
    inbox_.emplace_back(
        SpecChange{.uid = spec.uid, .spec = specs_[spec.uid], .status = {}, .source = "api"});
  }

  void List() {  // every view completely
    SpecsReplaced list{.source = "api", .all = {}};
    for (const auto& [uid, spec] : specs_) {
      list.all.push_back({.uid = uid, .spec = spec, .status = {}, .source = "api"});
    }
    inbox_.emplace_back(std::move(list));
    ScalesReplaced scales{.group = "apps", .kind = "Deployment", .all = {}};
    for (int i = 0; i < kNames; ++i) scales.all.push_back({Ref(i), scales_[i], {}});
    inbox_.emplace_back(std::move(scales));
    inbox_.emplace_back(PodList());
  }

  PodsReplaced PodList() {
    PodsReplaced list{.ns = "shop", .all = {}};
    for (int i = 0; i < kNames; ++i) {
      const int32_t pods = std::min(scales_[i] ? scales_[i]->spec_replicas : 0, 60);
      for (int p = 0; p < pods; ++p) list.all.push_back(Pod(i, p));
    }
    return list;
  }
  PodState Pod(int i, int p) {
    PodState state;
    state.pod.name = fmt::format("w{}-{}", i, p);
    state.pod.start = state.pod.ready_at = kStart - absl::Hours(1);
    state.pod.phase = core::PodPhase::kRunning;
    state.pod.ready = calm_ || Draw(0, 3) != 0 ? core::PodReady::kTrue : core::PodReady::kFalse;
    state.labels = base::LabelSet(base::Labels{{"app", fmt::format("w{}", i)}});
    return state;
  }

  void AnyMessage() {
    const int i = static_cast<int>(Draw(0, kNames - 1));
    switch (Draw(0, 13)) {
      case 0:
        if (Draw(0, 5) == 0) PutSpec(i);
        break;
      case 1:
        if (Draw(0, 5) == 0) inbox_.emplace_back(SpecGone{.uid = fmt::format("uid-w{}", i)});
        break;
      case 2: {
        SpecsReplaced list{.source = "api", .all = {}};
        for (const auto& [uid, spec] : specs_) {
          if (Draw(0, 9) != 0) {
            list.all.push_back({.uid = uid, .spec = spec, .status = {}, .source = "api"});
          }
        }
        inbox_.emplace_back(std::move(list));
        break;
      }
      case 3: {
        core::Scale scale{.uid = fmt::format("u{}", i),
                          .resource_version = std::to_string(++version_),
                          .spec_replicas = static_cast<int32_t>(Draw(0, 40)),
                          .status_replicas = 0,
                          .selector = fmt::format("app=w{}", i)};
        scale.status_replicas = scale.spec_replicas;
        scales_[i] = scale;
        inbox_.emplace_back(ScaleChange{Ref(i), scale, {}});
        break;
      }
      case 4:
        inbox_.emplace_back(
            ScaleChange{Ref(i), {}, core::ReadingError{core::ErrorKind::kUnavailable, "no"}});
        break;
      case 5: {
        ScalesReplaced list{.group = "apps", .kind = "Deployment", .all = {}};
        for (int k = 0; k < kNames; ++k) {
          if (scales_[k]) list.all.push_back({Ref(k), scales_[k], {}});
        }
        inbox_.emplace_back(std::move(list));
        break;
      }
      case 6:
        inbox_.emplace_back(PodList());
        break;
      case 7: {
        const int p = static_cast<int>(Draw(0, 20));
        PodChange change{.ns = "shop", .name = fmt::format("w{}-{}", i, p), .pod = {}};
        if (Draw(0, 1) == 0) change.pod = Pod(i, p);
        inbox_.emplace_back(std::move(change));
        break;
      }
      case 8:
        inbox_.emplace_back(ViewHeard{.view = View::kSpecs, .scope = "api"});
        inbox_.emplace_back(ViewHeard{.view = View::kScales, .scope = "apps/Deployment"});
        inbox_.emplace_back(ViewHeard{.view = View::kPods, .scope = "shop"});
        break;
      case 9:  // pushed, or of a poll that is long over
        if (!ids_.empty()) {
          const auto at = std::next(ids_.begin(), Draw(0, static_cast<int64_t>(ids_.size()) - 1));
          inbox_.emplace_back(Reading(*at, Draw(0, 1) == 0 ? 0 : 999'999));
        }
        break;
      case 10:
        inbox_.emplace_back(WriteOutcome{
            .write_id = static_cast<uint64_t>(Draw(0, 400)) + 100000,
            .result = {.kind = core::ApplyResult::Kind::kApplied, .at = {}, .error = ""},
            .scale = {}});
        break;
      case 11:
        if (!ids_.empty()) {
          const auto at = std::next(ids_.begin(), Draw(0, static_cast<int64_t>(ids_.size()) - 1));
          TriggerOpened opened{.trigger_id = *at, .metrics = {}, .error = {}};
          if (Draw(0, 3) == 0) {
            opened.error = core::ReadingError{core::ErrorKind::kBadParameter, "refused"};
          }
          inbox_.emplace_back(std::move(opened));
        }
        break;
      default:
        break;
    }
  }

  TriggerReading Reading(const std::string& id, uint64_t round) {
    TriggerReading answer{.trigger_id = id, .round = round, .metrics = {}, .error = {}};
    if (!calm_ && Draw(0, 4) == 0) {
      answer.error = core::ReadingError{core::ErrorKind::kUnavailable, "refused"};
      return answer;
    }
    MetricReading metric;
    metric.reading.form = core::Reading::Form::kMilli;
    metric.reading.milli = {Draw(0, 400) * 1000};
    metric.reading.observed_at = now_ - absl::Milliseconds(Draw(0, 90'000) * (calm_ ? 0 : 1));
    if (calm_ || Draw(0, 9) != 0) answer.metrics.push_back(std::move(metric));
    return answer;
  }

  // Polls and writes are answered in any order, late, or never.
  void Deliver() {
    for (size_t i = 0; i < asked_.size();) {
      if (!calm_ && Draw(0, 2) == 0) {
        ++i;
        continue;
      }
      const auto& [id, round] = asked_[i];
      if (calm_ || Draw(0, 5) != 0) {
        inbox_.emplace_back(Reading(id, round));
        const auto open = outstanding_.find(id);
        if (open != outstanding_.end() && open->second.first == round) outstanding_.erase(open);
      }
      asked_.erase(asked_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (size_t i = 0; i < sent_.size();) {
      if (!calm_ && Draw(0, 2) == 0) {
        ++i;
        continue;
      }
      if (calm_ || Draw(0, 9) != 0) AnswerWrite(sent_[i]);
      sent_.erase(sent_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void AnswerWrite(const PatchScale& patch) {
    using Kind = core::ApplyResult::Kind;
    const int i = patch.target.name[1] - '0';
    auto kind = static_cast<Kind>(Draw(1, 6));
    if (calm_) kind = Kind::kApplied;
    if (!scales_[i]) kind = Kind::kGone;
    WriteOutcome outcome{
        .write_id = patch.write_id, .result = {.kind = kind, .at = {}, .error = "e"}, .scale = {}};
    if (kind == Kind::kApplied || (kind == Kind::kUnknown && Draw(0, 1) == 0)) {
      scales_[i]->spec_replicas = scales_[i]->status_replicas = patch.replicas;
      scales_[i]->resource_version = std::to_string(++version_);
      if (Draw(0, 1) == 0) outcome.scale = scales_[i];
      inbox_.emplace_back(ScaleChange{Ref(i), scales_[i], {}});
    }
    inbox_.emplace_back(std::move(outcome));
  }

  void StepOnce() {
    std::set<std::string> decided;
    const std::vector<Action> actions = controller_.Step(std::exchange(inbox_, {}), now_);
    for (const Action& action : actions) {
      log_.push_back(Text(action));
      if (const auto* s = std::get_if<Subscribe>(&action)) {
        for (const std::string& id : s->remove) {
          ids_.erase(id);
          outstanding_.erase(id);
        }
        for (const auto& put : s->put) ids_.insert(put->id);
      } else if (const auto* poll = std::get_if<Poll>(&action)) {
        for (const std::string& id : poll->trigger_ids) {
          ASSERT_TRUE(ids_.contains(id)) << "polled before it was subscribed: " << id;
          const auto before = outstanding_.find(id);
          ASSERT_TRUE(before == outstanding_.end() || before->second.second <= now_)
              << "asked again while outstanding: " << id;
          outstanding_[id] = {poll->round, now_ + poll->deadline};
          asked_.emplace_back(id, poll->round);
        }
      } else if (const auto* patch = std::get_if<PatchScale>(&action)) {
        ASSERT_TRUE(in_flight_.emplace(patch->uid, patch->write_id).second)
            << "a second write of " << patch->uid;
        ++patches_;
        if (patch->replicas < patch->observed.spec_replicas) ++downs_;
        ASSERT_GE(patch->replicas, 0);
        sent_.push_back(*patch);
      } else if (const auto* record = std::get_if<DecisionRecord>(&action)) {
        ASSERT_FALSE(in_flight_.contains(record->uid)) << "decided while a write is under way";
        ASSERT_TRUE(decided.insert(record->uid).second) << "decided twice in a step";
        Check(*record);
      } else if (const auto* outcome = std::get_if<OutcomeRecord>(&action)) {
        if (outcome->result.kind != core::ApplyResult::Kind::kNotTried) {
          ASSERT_EQ(in_flight_.erase(outcome->uid), 1u);
        }
      }
    }
    ASSERT_GE(controller_.NextDue(), now_);
  }

  void Check(const DecisionRecord& record) {
    const core::Observation& seen = *record.seen;
    const core::Decision& d = *record.decision;
    ASSERT_EQ(core::Decide(controller_.options().hpa, *record.spec, seen, *record.before), d);
    if (!d.rescale) return;
    ASSERT_TRUE(seen.views_synced);
    if (d.desired >= d.current) return;
    ASSERT_FALSE(seen.views_silent);
    if (d.verdict == core::Verdict::kOutOfBounds) return;
    for (const core::MetricInput& metric : seen.metrics) {
      ASSERT_NE(metric.reading->form, core::Reading::Form::kError) << record.uid;
      ASSERT_LE(seen.now - metric.reading->observed_at, absl::Seconds(60)) << record.uid;
    }
  }

  std::mt19937_64 random_;
  Controller controller_;
  absl::Time now_ = kStart;
  bool calm_ = false;
  std::vector<Message> inbox_;
  std::map<std::string, std::shared_ptr<const core::AutoscalerSpec>> specs_;
  std::optional<core::Scale> scales_[kNames];
  std::set<std::string> ids_;
  // By trigger: the poll that was not answered, and its scaler's deadline.
  std::map<std::string, std::pair<uint64_t, absl::Time>> outstanding_;
  std::vector<std::pair<std::string, uint64_t>> asked_;
  std::vector<PatchScale> sent_;
  std::map<std::string, uint64_t> in_flight_;
  std::vector<std::string> log_;
  int64_t version_ = 100;
  int patches_ = 0;
  int downs_ = 0;
};

TEST(Random, NothingHarmfulWhateverComes) {
  std::printf("seed %lu\n", static_cast<unsigned long>(Seed()));
  ControllerCounters sum;
  int downs = 0;
  for (uint64_t round = 0; round < 15; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    Chaos chaos(Seed() * 1000 + round);
    chaos.Play(1500);
    if (HasFatalFailure()) return;
    chaos.Recover();
    if (HasFatalFailure()) return;
    downs += chaos.downs();
    sum.writes_applied += chaos.counters().writes_applied;
    sum.writes_conflict += chaos.counters().writes_conflict;
    sum.writes_failed += chaos.counters().writes_failed;
    sum.writes_withheld += chaos.counters().writes_withheld;
    sum.poll_timeouts += chaos.counters().poll_timeouts;
    sum.overruns += chaos.counters().overruns;
    sum.fast_decisions += chaos.counters().fast_decisions;
    sum.write_waits += chaos.counters().write_waits;
  }
  // It reached what it is about.
  EXPECT_GT(downs, 20);
  EXPECT_GT(sum.writes_applied, 100u);
  EXPECT_GT(sum.writes_conflict, 20u);
  EXPECT_GT(sum.writes_failed, 20u);
  EXPECT_GT(sum.writes_withheld, 20u);
  EXPECT_GT(sum.poll_timeouts, 20u);
  EXPECT_GT(sum.overruns, 5u);
  EXPECT_GT(sum.fast_decisions, 100u);
  EXPECT_GT(sum.write_waits, 20u);
}

TEST(Random, TheSameInputsGiveTheSameActions) {
  Chaos a(Seed());
  Chaos b(Seed());
  a.Play(1000);
  b.Play(1000);
  EXPECT_GT(a.log().size(), 1000u);
  EXPECT_EQ(a.log(), b.log());
}

}  // namespace
}  // namespace neap::control
