// Records: a question waits for the object's next decision, later ones do not; what is handed out
// is a segment that the journal's reader takes.
#include "autoscaler/telemetry/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/status.h"
#include "autoscaler/record/replay.h"
#include "tests/support/process.h"

namespace neap::telemetry {
namespace {

using ::testing::HasSubstr;
using testing_support::WaitFor;

// A controller on its own thread that steps whenever it is woken, and then each period.
class RecordsTest : public ::testing::Test {
 protected:
  ~RecordsTest() override { End(); }

  // Objects shop/web-0 and on; they are paused, so that nothing need be read to decide them.
  void Start(int objects) {
    control::SpecsReplaced specs{.source = "api", .all = {}};
    control::ScalesReplaced scales{.group = "apps", .kind = "Deployment", .all = {}};
    for (int i = 0; i < objects; ++i) {
      const std::string name = "web-" + std::to_string(i);
      auto spec = std::make_shared<core::AutoscalerSpec>();
      spec->key = {.ns = "shop", .name = name};
      spec->uid = "uid-" + name;
      spec->target = {.api_version = "apps/v1", .kind = "Deployment", .name = name};
      spec->max_replicas = 9;
      spec->paused = true;
      specs.all.push_back({.uid = spec->uid, .spec = spec, .status = {}, .source = "api"});
      core::Scale scale;
      scale.uid = "d";
      scale.spec_replicas = scale.status_replicas = 3;
      scale.selector = "app=" + name;
      scales.all.push_back(
          {.target = {.group = "apps", .kind = "Deployment", .ns = "shop", .name = name},
           .scale = scale,
           .error = {}});
    }
    first_.emplace_back(std::move(specs));
    first_.emplace_back(std::move(scales));
    thread_ = std::thread([this] { Run(); });
  }

  void End() {
    records_.Close();
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void Run() {
    std::vector<control::Message> messages = std::move(first_);
    absl::Time now = absl::UnixEpoch() + absl::Hours(400000);
    while (!stop_) {
      if (woken_.exchange(false) || !messages.empty() || moving_) {
        if (moving_) now += absl::Seconds(1);
        for (const control::Action& action : controller_.Step(std::move(messages), now)) {
          if (const auto* d = std::get_if<control::DecisionRecord>(&action)) {
            records_.OnDecision(*d, now);
            ++decisions_;
          } else if (const auto* o = std::get_if<control::OutcomeRecord>(&action)) {
            records_.OnOutcome(*o);
          }
        }
        messages.clear();
        records_.Serve(controller_);
      }
      if (gone_.exchange(false)) messages.emplace_back(control::SpecsReplaced{"api", {}});
      std::this_thread::yield();
    }
  }

  std::atomic<bool> woken_ = false;
  std::atomic<bool> moving_ = true;  // time goes on, a second per step
  std::atomic<bool> gone_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<int> decisions_ = 0;
  std::vector<control::Message> first_;
  control::Controller controller_{{}};
  core::HpaOptions options_;
  Records records_{"1.2.3", options_, [this] { woken_ = true; }};
  std::thread thread_;
};

TEST_F(RecordsTest, TheFirstQuestionWaitsForADecisionTheNextDoNot) {
  Start(3);
  const core::ObjectKey key{.ns = "shop", .name = "web-1"};
  const auto first = records_.Get(key, absl::Seconds(60));
  ASSERT_TRUE(first.ok()) << first.status();
  auto found = record::FindRecordIn("neapd", *first, key, absl::InfiniteFuture());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->spec.key.name, "web-1");
  EXPECT_EQ(found->decision.current, 3);
  EXPECT_EQ(found->decision.failure, core::Reason::kPaused);
  EXPECT_TRUE(found->outcome.has_value());
  EXPECT_TRUE(core::Decide(found->options, found->spec, found->seen.View(), found->before) ==
              found->decision);

  moving_ = false;  // nothing is decided any more: the last one is handed out
  const auto again = records_.Get(key, absl::Seconds(60));
  ASSERT_TRUE(again.ok()) << again.status();
  const auto later = record::FindRecordIn("neapd", *again, key, absl::InfiniteFuture());
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_GE(later->decision_id, found->decision_id);
  // Those between are there, too.
  const auto former = record::FindRecordIn("neapd", *again, key, found->seen.now);
  ASSERT_TRUE(former.ok()) << former.status();
  EXPECT_EQ(former->decision_id, found->decision_id);
}

TEST_F(RecordsTest, WhatIsNotThereIsSaidAtOnce) {
  Start(2 * Records::kChunk + 5);  // it is looked for in pieces
  const auto none = records_.Get({.ns = "shop", .name = "nobody"}, absl::Seconds(60));
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(base::Message(none.status())),
              HasSubstr("shop/nobody: there is no such"));
  EXPECT_TRUE(records_.Get({.ns = "shop", .name = "web-2003"}, absl::Seconds(60)).ok());
}

TEST_F(RecordsTest, AnObjectThatWentIsGoneHereToo) {
  Start(1);
  const core::ObjectKey key{.ns = "shop", .name = "web-0"};
  ASSERT_TRUE(records_.Get(key, absl::Seconds(60)).ok());
  gone_ = true;
  EXPECT_TRUE(WaitFor([&] {
    return records_.Get(key, absl::Seconds(60)).status().code() == absl::StatusCode::kNotFound;
  }));
}

TEST_F(RecordsTest, PatienceAndTheEndEndAWait) {
  moving_ = false;
  Start(1);
  const core::ObjectKey key{.ns = "shop", .name = "web-0"};
  ASSERT_TRUE(WaitFor([&] { return decisions_ > 0; }));  // the only one: before anybody asks
  const auto late = records_.Get(key, absl::Milliseconds(50));
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(base::Message(late.status())), HasSubstr("not decided within 50ms"));
  std::thread closer([&] { records_.Close(); });
  const auto stopped = records_.Get(key, absl::Seconds(60));
  closer.join();
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kUnavailable);
}

// More questions than may wait are refused, and those that wait are not disturbed.
TEST_F(RecordsTest, ManyQuestionsAreRefusedNotQueued) {
  moving_ = false;
  Start(10);
  ASSERT_TRUE(WaitFor([&] { return decisions_ >= 10; }));
  std::atomic<int> refused = 0;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&, i] {
      const auto got =
          records_.Get({.ns = "shop", .name = "web-" + std::to_string(i)}, absl::Seconds(60));
      if (got.ok()) ++answered;
      if (got.status().code() == absl::StatusCode::kResourceExhausted) ++refused;
    });
  }
  EXPECT_TRUE(WaitFor([&] { return refused == 10 - Records::kMostWaiting; }));
  moving_ = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, Records::kMostWaiting);
}

// However many objects were asked about, the last ones are kept.
TEST_F(RecordsTest, TheOldestQuestionMakesRoom) {
  Start(40);
  for (int i = 0; i < 40; ++i) {
    const auto got =
        records_.Get({.ns = "shop", .name = "web-" + std::to_string(i)}, absl::Seconds(60));
    ASSERT_TRUE(got.ok()) << got.status();
  }
  moving_ = false;
  EXPECT_TRUE(records_.Get({.ns = "shop", .name = "web-39"}, absl::Seconds(60)).ok());
  EXPECT_EQ(records_.Get({.ns = "shop", .name = "web-0"}, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace neap::telemetry
