// ShardKeeper against the playground's API server: what the controller is told, what is kept.

#include "autoscaler/app/shard_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/http/client.h"
#include "autoscaler/kube/api/client.h"
#include "autoscaler/kube/api/config.h"
#include "autoscaler/playground/playground.h"
#include "tests/support/process.h"

namespace neap::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::TempDir;
using testing_support::WaitFor;
using Json = nlohmann::json;

constexpr char kMaps[] = "/api/v1/namespaces/neap/configmaps";
constexpr char kUid[] = "uid-web";

std::shared_ptr<const core::AutoscalerSpec> Spec() {
  core::AutoscalerSpec spec;
  spec.key = {.ns = "shop", .name = "web"};
  spec.uid = kUid;
  spec.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "web"};
  spec.max_replicas = 10;
  core::TriggerSpec trigger;
  trigger.type = "queue";
  spec.triggers.push_back(trigger);
  return std::make_shared<const core::AutoscalerSpec>(spec);
}

// One keeper of one shard, and the controller that it feeds, stepped by the test.
class ShardKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    playground::Options options;
    options.world_file = dir_.Write("world.yaml", "seed: 1\nnamespaces: [shop, neap]\n");
    options.kubeconfig = dir_.path() + "/kubeconfig";
    playground_ = std::make_unique<playground::Playground>(options);
    const absl::Status started = playground_->Start();
    ASSERT_TRUE(started.ok()) << started;
    auto config = kube::api::LoadKubeconfig(options.kubeconfig, "");
    ASSERT_TRUE(config.ok()) << config.status();
    api_ = std::make_unique<kube::api::Client>(http_, *std::move(config));
    options_.leases = {.ns = "neap",
                       .identity = "me",
                       .shards = 1,
                       .lease_duration = absl::Seconds(2),
                       .renew_deadline = absl::Milliseconds(1400),
                       .retry_period = absl::Milliseconds(200),
                       .renew_interval = absl::Milliseconds(400)};
    options_.store = kube::HistoryStoreOptions{.ns = "neap"};
    options_.retry_min = absl::Milliseconds(50);
    options_.save_soon = absl::Milliseconds(50);
  }
  void TearDown() override {
    keeper_.reset();
    http_.Stop();
  }

  void Start() {
    kube::Context context;
    context.client = api_.get();
    context.report = [this](std::string_view what, const absl::Status& status) {
      base::MutexLock lock(mutex_);
      if (!status.ok()) reports_.push_back(std::string(what) + ": " + status.ToString());
    };
    keeper_ = std::make_unique<ShardKeeper>(
        context, options_, clock_,
        [this](control::Message message) {
          base::MutexLock lock(mutex_);
          inbox_.push_back(std::move(message));
        },
        [this](int) { ++held_; });
    control::ControllerOptions controller;
    controller.shards = 1;
    controller_ = std::make_unique<control::Controller>(controller);
    keeper_->Start();
  }

  // Steps with what came in; hands what concerns the keeper to it.
  void Step() {
    std::vector<control::Message> messages;
    {
      base::MutexLock lock(mutex_);
      messages.swap(inbox_);
    }
    for (const control::Message& message : messages) {
      if (const auto* held = std::get_if<control::ShardHeld>(&message)) told_.push_back(*held);
      left_ += std::holds_alternative<control::ShardLeaving>(message) ? 1 : 0;
      lost_ += std::holds_alternative<control::ShardLost>(message) ? 1 : 0;
    }
    for (const control::Action& action : controller_->Step(std::move(messages), clock_.Now())) {
      if (const auto* outcome = std::get_if<control::OutcomeRecord>(&action)) {
        keeper_->OnOutcome(*outcome);
      } else if (const auto* quiet = std::get_if<control::ShardQuiet>(&action)) {
        keeper_->OnQuiet(quiet->shard);
      }
    }
    keeper_->AfterStep(*controller_);
  }
  bool StepUntil(const std::function<bool()>& done) {
    return WaitFor([&] {
      Step();
      return done();
    });
  }
  // An object and its scale, so that it is decided; its trigger never answers.
  void AddObject() {
    core::Scale scale;
    scale.uid = "workload";
    scale.spec_replicas = scale.status_replicas = 4;
    scale.selector = "app=web";
    const control::TargetRef ref{
        .group = "apps", .kind = "Deployment", .ns = "shop", .name = "web"};
    base::MutexLock lock(mutex_);
    inbox_.push_back(control::SpecsReplaced{
        .source = "api", .all = {{.uid = kUid, .spec = Spec(), .status = {}, .source = "api"}}});
    inbox_.push_back(
        control::ScalesReplaced{.group = "apps",
                                .kind = "Deployment",
                                .all = {{.target = ref, .scale = scale, .error = {}}}});
    scales_ = std::get<control::ScalesReplaced>(inbox_.back());
  }
  void SendScales() {
    base::MutexLock lock(mutex_);
    inbox_.push_back(scales_);
  }
  void Fault(const std::string& body) {
    httplib::Client client(playground_->url());
    const auto result =
        body.empty() ? client.Delete("/faults") : client.Post("/faults", body, "application/json");
    ASSERT_TRUE(result && result->status < 300) << body;
  }
  Json Get(const std::string& path) {
    httplib::Client client(playground_->url());
    const auto result = client.Get(path);
    return result ? Json::parse(result->body, nullptr, false) : Json();
  }
  std::string Holder() {
    const Json lease = Get("/apis/coordination.k8s.io/v1/namespaces/neap/leases/neap-shard-0");
    return lease.value("/spec/holderIdentity"_json_pointer, "");
  }
  bool IsKept() { return Get(kMaps).dump().find(kUid) != std::string::npos; }
  std::vector<std::string> reports() {
    base::MutexLock lock(mutex_);
    return reports_;
  }

  const TempDir dir_;
  const base::Clock clock_;
  http::Client http_;
  std::unique_ptr<playground::Playground> playground_;
  std::unique_ptr<kube::api::Client> api_;
  ShardKeeperOptions options_;
  base::Mutex mutex_;
  std::vector<control::Message> inbox_ NEAP_GUARDED_BY(mutex_);
  std::vector<std::string> reports_ NEAP_GUARDED_BY(mutex_);
  control::ScalesReplaced scales_;
  std::atomic<int> held_ = 0;
  std::vector<control::ShardHeld> told_;
  int left_ = 0;
  int lost_ = 0;
  std::unique_ptr<control::Controller> controller_;
  std::unique_ptr<ShardKeeper> keeper_;
};

TEST_F(ShardKeeperTest, WhatOneLeavesTheNextGoesOnFrom) {
  Start();
  ASSERT_TRUE(StepUntil([&] { return held_ == 1; }));
  EXPECT_TRUE(keeper_->MayWrite(kUid));
  EXPECT_EQ(keeper_->Unready(), "");
  AddObject();
  ASSERT_TRUE(StepUntil([&] { return controller_->targets() == 1; }));
  SendScales();  // its kind is watched now
  ASSERT_TRUE(StepUntil([&] { return controller_->HistoryOf(kUid).has_value(); }));
  EXPECT_FALSE(IsKept());  // nothing was scaled: half a minute would pass

  // The controller steps on while it stops, as in Neapd.
  std::thread stop([&] { keeper_->Stop(absl::Seconds(10)); });
  EXPECT_TRUE(StepUntil([&] { return Holder().empty(); }));
  stop.join();
  EXPECT_TRUE(IsKept());
  EXPECT_FALSE(keeper_->MayWrite(kUid));
  EXPECT_EQ(left_, 1);

  keeper_.reset();
  told_.clear();
  options_.leases.identity = "next";
  Start();
  ASSERT_TRUE(StepUntil([&] { return !told_.empty(); }));
  ASSERT_EQ(told_[0].histories.count(kUid), 1u);
  EXPECT_EQ(told_[0].histories.at(kUid).replicas, 4);
  EXPECT_EQ(told_[0].histories.at(kUid).history.recommendations[0].replicas, 4);
  EXPECT_NE(told_[0].former_until, absl::InfinitePast());
  EXPECT_LE(told_[0].former_until, absl::Now() + absl::Seconds(1));
}

// What a takeover enters for the time that nobody knows of was saved half a minute later: each
// further loss until then began that time anew, and a scale-down could be put off for ever.
TEST_F(ShardKeeperTest, WhatFollowsALossIsSavedSoon) {
  options_.save_every = absl::Hours(1);
  Start();
  AddObject();
  ASSERT_TRUE(StepUntil([&] { return held_ == 1 && controller_->targets() == 1; }));
  SendScales();
  ASSERT_TRUE(StepUntil([&] { return keeper_->counts().saves == 1; }));  // its first record

  keeper_.reset();  // as if killed
  held_ = 0;
  options_.leases.identity = "next";
  Start();
  AddObject();
  ASSERT_TRUE(StepUntil([&] { return held_ == 1 && controller_->targets() == 1; }));
  SendScales();
  EXPECT_TRUE(StepUntil([&] { return keeper_->counts().saves == 1; }));
}

TEST_F(ShardKeeperTest, NothingIsDecidedWhileHistoriesCantBeReadAndThenWithoutThem) {
  options_.load_patience = absl::Milliseconds(700);
  Fault(R"({"fault": "error", "code": 403, "path": "/api/v1/namespaces/neap/configmaps"})");
  Start();
  ASSERT_TRUE(StepUntil([&] { return Holder() == "me"; }));
  const absl::Duration since = clock_.Elapsed();
  ASSERT_TRUE(StepUntil([&] { return keeper_->counts().failed_loads >= 2; }));
  if (clock_.Elapsed() - since < absl::Milliseconds(500)) {  // else the machine is too slow to tell
    EXPECT_THAT(told_, IsEmpty());
    EXPECT_THAT(keeper_->Unready(), HasSubstr("histories"));
  }
  ASSERT_TRUE(StepUntil([&] { return !told_.empty(); }));
  EXPECT_THAT(told_[0].histories, IsEmpty());
  EXPECT_EQ(keeper_->counts().unread, 1u);
  EXPECT_EQ(keeper_->Unready(), "");
  EXPECT_THAT(reports()[0], HasSubstr("the histories of shard 0"));

  // When they can be read again, what was decided since is saved.
  Fault("");
  ASSERT_TRUE(StepUntil([&] { return keeper_->counts().loads == 1; }));
  AddObject();
  ASSERT_TRUE(StepUntil([&] { return controller_->targets() == 1; }));
  SendScales();
  ASSERT_TRUE(StepUntil([&] { return controller_->HistoryOf(kUid).has_value(); }));
  std::thread stop([&] { keeper_->Stop(absl::Seconds(10)); });
  EXPECT_TRUE(StepUntil([&] { return Holder().empty(); }));
  stop.join();
  EXPECT_TRUE(IsKept());
}

TEST_F(ShardKeeperTest, ALeaseThatRunsOutIsLostAndNothingIsSaved) {
  Start();
  ASSERT_TRUE(StepUntil([&] { return held_ == 1; }));
  Fault(R"({"fault": "cut", "path": "/apis/coordination.k8s.io"})");
  ASSERT_TRUE(StepUntil([&] { return lost_ == 1; }));
  EXPECT_FALSE(keeper_->MayWrite(kUid));
  EXPECT_EQ(keeper_->counts().held, 0);
  Fault("");
  ASSERT_TRUE(StepUntil([&] { return held_ == 2; }));
  EXPECT_TRUE(keeper_->MayWrite(kUid));
}

TEST_F(ShardKeeperTest, WithoutAStoreHistoriesLiveInTheProcess) {
  options_.store.reset();
  Start();
  ASSERT_TRUE(StepUntil([&] { return held_ == 1; }));
  std::thread stop([&] { keeper_->Stop(absl::Seconds(10)); });
  EXPECT_TRUE(StepUntil([&] { return Holder().empty(); }));
  stop.join();
  EXPECT_EQ(Get(kMaps)["items"].size(), 0u);
}

}  // namespace
}  // namespace neap::app
