// The loop with a real controller and a world of a few lines behind its routes.

#include "autoscaler/app/control_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "tests/support/process.h"

namespace neap::app {
namespace {

using core::ApplyResult;
using testing_support::WaitFor;

constexpr char kUid[] = "uid-web";

std::shared_ptr<const core::AutoscalerSpec> Spec() {
  core::AutoscalerSpec spec;
  spec.key = {.ns = "shop", .name = "web"};
  spec.uid = kUid;
  spec.generation = 1;
  spec.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "web"};
  spec.min_replicas = 1;
  spec.max_replicas = 100;
  core::TriggerSpec trigger;
  trigger.type = "queue";
  spec.triggers.push_back(trigger);
  return std::make_shared<const core::AutoscalerSpec>(spec);
}

// One Deployment, one queue with 10 items per pod as its target. Routes are called on the loop's
// thread, the rest by the test.
class World {
 public:
  World() = default;
  ~World() { loop_.Stop(absl::ZeroDuration()); }

  ControlLoop& loop() { return loop_; }
  void Start() {
    loop_.Start();
    inbox_.Push(control::SpecsReplaced{
        .source = "api", .all = {{.uid = kUid, .spec = Spec(), .status = {}, .source = "api"}}});
  }
  void SetQueue(int64_t items) {
    base::MutexLock lock(mutex_);
    items_ = items;
  }
  void PushQueue(int64_t items) { inbox_.Push(Reading(/*round=*/0, items)); }
  std::vector<control::PatchScale> writes() {
    base::MutexLock lock(mutex_);
    return writes_;
  }
  void Answer(const control::PatchScale& write, ApplyResult::Kind kind) {
    control::WriteOutcome outcome{.write_id = write.write_id,
                                  .result = {.kind = kind, .at = {}, .error = ""},
                                  .scale = write.observed};
    outcome.scale->spec_replicas = write.replicas;
    outcome.scale->status_replicas = write.replicas;
    inbox_.Push(std::move(outcome));
  }
  std::vector<ApplyResult::Kind> outcomes() {
    base::MutexLock lock(mutex_);
    return outcomes_;
  }
  size_t decisions() {
    base::MutexLock lock(mutex_);
    return decisions_;
  }
  // The text of one scrape.
  std::string ObjectMetrics() {
    const auto scrape = loop_.OpenScrape();
    std::string text;
    for (auto state = telemetry::Scrape::State::kMore; state == telemetry::Scrape::State::kMore;) {
      std::string chunk;
      state = scrape->Next(&chunk);
      text += chunk;
    }
    return text;
  }
  std::string ProcessMetrics() { return metrics_.Text(); }

 private:
  control::TriggerReading Reading(uint64_t round, int64_t items) {
    core::Reading reading;
    reading.form = core::Reading::Form::kMilli;
    reading.milli = {items * 1000};
    reading.observed_at = clock_.Now();
    control::TriggerReading out;
    base::MutexLock lock(mutex_);
    out.trigger_id = trigger_;
    out.round = round;
    out.metrics.push_back({.name = "length", .reading = reading, .pod_samples = {}});
    return out;
  }

  Routes MakeRoutes() {
    Routes routes;
    routes.subscribe = [this](control::Subscribe change) {
      for (const auto& put : change.put) {
        {
          base::MutexLock lock(mutex_);
          trigger_ = put->id;
        }
        core::MetricSpec metric;
        metric.name = "length";
        metric.from_trigger = true;
        metric.target = {.kind = core::TargetKind::kAverageValue,
                         .average_utilization = {},
                         .average_value = 10000,
                         .value = {}};
        inbox_.Push(
            control::TriggerOpened{.trigger_id = put->id, .metrics = {metric}, .error = {}});
      }
    };
    routes.quiet = [](const control::ShardQuiet&) {};
    routes.poll = [this](control::Poll poll) {
      int64_t items = 0;
      {
        base::MutexLock lock(mutex_);
        items = items_;
      }
      inbox_.Push(Reading(poll.round, items));
    };
    routes.watch = [this](const control::Watch& watch) {
      if (watch.targets.empty()) return;
      core::Scale scale;
      scale.uid = "deployment";
      scale.spec_replicas = scale.status_replicas = 1;
      scale.selector = "app=web";
      inbox_.Push(control::ScalesReplaced{
          .group = "apps",
          .kind = "Deployment",
          .all = {{.target = watch.targets[0], .scale = scale, .error = {}}}});
      for (const std::string& ns : watch.pod_namespaces) {
        inbox_.Push(control::PodsReplaced{.ns = ns, .all = {}});
      }
    };
    routes.patch = [this](const control::PatchScale& patch) {
      base::MutexLock lock(mutex_);
      writes_.push_back(patch);
    };
    routes.status = [](const control::WriteStatus&) {};
    routes.event = [](const control::EmitEvent&) {};
    routes.decision = [this](const control::DecisionRecord& record) {
      base::MutexLock lock(mutex_);
      ASSERT_NE(record.decision, nullptr);
      ++decisions_;
    };
    routes.outcome = [this](const control::OutcomeRecord& record) {
      if (record.result.kind == ApplyResult::Kind::kNotTried) return;
      base::MutexLock lock(mutex_);
      outcomes_.push_back(record.result.kind);
    };
    routes.after_step = [](const control::Controller&) {};
    return routes;
  }

  const base::Clock clock_;
  Inbox inbox_;
  telemetry::ProcessMetrics metrics_{"test"};
  base::Mutex mutex_;
  std::string trigger_ NEAP_GUARDED_BY(mutex_);
  int64_t items_ NEAP_GUARDED_BY(mutex_) = 10;
  std::vector<control::PatchScale> writes_ NEAP_GUARDED_BY(mutex_);
  std::vector<ApplyResult::Kind> outcomes_ NEAP_GUARDED_BY(mutex_);
  size_t decisions_ NEAP_GUARDED_BY(mutex_) = 0;
  ControlLoop loop_{control::ControllerOptions{},          inbox_, clock_, MakeRoutes(), metrics_,
                    [](std::string_view) { return false; }};
};

TEST(ControlLoop, DecidesAndWrites) {
  World world;
  world.SetQueue(50);
  EXPECT_FALSE(world.loop().AllSynced() && world.decisions() > 0);
  world.Start();
  ASSERT_TRUE(WaitFor([&] { return !world.writes().empty(); }));
  const control::PatchScale write = world.writes()[0];
  EXPECT_EQ(write.uid, kUid);
  EXPECT_EQ(write.replicas, 4);  // 5 are asked for; the HPA's limit of a first step is 4
  EXPECT_EQ(write.observed.spec_replicas, 1);
  world.Answer(write, ApplyResult::Kind::kApplied);
  ASSERT_TRUE(WaitFor([&] { return !world.outcomes().empty(); }));
  EXPECT_EQ(world.outcomes()[0], ApplyResult::Kind::kApplied);
  EXPECT_TRUE(world.loop().AllSynced());
  EXPECT_LT(world.loop().SinceLastStep(), absl::Seconds(20));
  EXPECT_NE(world.ProcessMetrics().find("neap_writes_total{result=\"applied\"} 1"),
            std::string::npos);
}

// The way that is promised to be fast: no part of it waits for a tick.
TEST(ControlLoop, APushedReadingIsWrittenAtOnce) {
  World world;
  world.Start();
  ASSERT_TRUE(WaitFor([&] { return world.decisions() > 0; }));
  std::vector<absl::Duration> took;
  int64_t items = 10;
  for (size_t i = 0; i < 3; ++i) {  // up to 4 replicas, which the HPA's limit allows at once
    items += 10;
    // Two decisions of one target are 100 ms apart at least; that is no part of the way.
    const size_t before = world.writes().size();
    EXPECT_FALSE(WaitFor([&] { return world.writes().size() > before; }, absl::Milliseconds(150)));
    const absl::Time pushed = absl::Now();
    world.PushQueue(items);
    ASSERT_TRUE(WaitFor([&] { return world.writes().size() > before; })) << i;
    took.push_back(absl::Now() - pushed);
    world.Answer(world.writes().back(), ApplyResult::Kind::kApplied);
    ASSERT_TRUE(WaitFor([&] { return world.outcomes().size() == i + 1; }));
    EXPECT_EQ(world.writes().back().replicas * 10, items);
  }
  std::sort(took.begin(), took.end());
  EXPECT_LT(took[took.size() / 2], absl::Milliseconds(250));  // budget: 10 ms on a quiet machine
}

TEST(ControlLoop, StopWaitsForTheWriteUnderWayAndRecordsIt) {
  World world;
  world.SetQueue(50);
  world.Start();
  ASSERT_TRUE(WaitFor([&] { return !world.writes().empty(); }));
  size_t unanswered = 99;
  std::thread stopper([&] { unanswered = world.loop().Stop(absl::Seconds(60)); });
  world.Answer(world.writes()[0], ApplyResult::Kind::kApplied);
  stopper.join();
  EXPECT_EQ(unanswered, 0u);
  ASSERT_EQ(world.outcomes().size(), 1u);
  EXPECT_EQ(world.outcomes()[0], ApplyResult::Kind::kApplied);
}

TEST(ControlLoop, StopGivesUpOnAWriteThatNobodyAnswers) {
  World world;
  world.SetQueue(50);
  world.Start();
  ASSERT_TRUE(WaitFor([&] { return !world.writes().empty(); }));
  EXPECT_EQ(world.loop().Stop(absl::Milliseconds(50)), 1u);
  EXPECT_TRUE(world.outcomes().empty());
}

TEST(ControlLoop, NothingIsDecidedAfterStop) {
  World world;
  world.Start();
  ASSERT_TRUE(WaitFor([&] { return world.decisions() > 0; }));
  EXPECT_EQ(world.loop().Stop(absl::Seconds(60)), 0u);
  const size_t decisions = world.decisions();
  world.PushQueue(1000);
  EXPECT_FALSE(WaitFor([&] { return world.decisions() != decisions; }, absl::Milliseconds(100)));
  EXPECT_TRUE(world.writes().empty());
  EXPECT_EQ(world.loop().OpenScrape(), nullptr);
}

TEST(ControlLoop, ScrapesBetweenSteps) {
  World world;
  world.Start();
  ASSERT_TRUE(WaitFor([&] { return world.decisions() > 0; }));
  const std::string text = world.ObjectMetrics();
  EXPECT_NE(text.find("neap_autoscaler_info{namespace=\"shop\",horizontalpodautoscaler=\"web\","
                      "scaletargetref_api_version=\"apps/v1\",scaletargetref_kind=\"Deployment\","
                      "scaletargetref_name=\"web\"} 1\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("neap_scaler_metrics_value{namespace=\"shop\",metric=\"length\","
                      "scaledObject=\"web\",scaler=\"queueScaler\",triggerIndex=\"0\","
                      "type=\"autoscaler\"} 10\n"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace neap::app
