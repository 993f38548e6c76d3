// The host against a scaler in this process: routes, sessions, sets, polls.
#include "autoscaler/scalerhost/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>

#include "tests/scalerhost/support.h"
#include "tests/support/certificates.h"
#include "tests/support/http_server.h"
#include "tests/support/stub_scaler.h"

namespace neap::scalerhost {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace pb = testing_support::pb;
using testing_support::FreePort;
using testing_support::StubOptions;
using testing_support::StubScaler;
using testing_support::TempDir;
using testing_support::TestAuthority;
using testing_support::TestCertificate;

std::string NowhereAddress() { return "127.0.0.1:" + std::to_string(FreePort()); }

TEST(Host, OpensATriggerAndReadsIt) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"key", "load"}, {"target", "2.5"}, {"value", "7"}})});
  const auto opened = host.AwaitOpened("t");
  ASSERT_FALSE(opened.error.has_value()) << opened.error->message;
  ASSERT_EQ(opened.metrics.size(), 1u);
  EXPECT_EQ(opened.metrics[0].name, "stub");
  EXPECT_EQ(opened.metrics[0].target.average_value, std::optional<int64_t>(2500));
  EXPECT_TRUE(opened.metrics[0].has_activity);

  const absl::Time before = host.clock().Now();
  const auto reading = host.Ask("t");
  EXPECT_EQ(ValueOf(reading), 7);
  EXPECT_EQ(reading.metrics[0].name, "stub");
  EXPECT_EQ(reading.metrics[0].reading.active, std::optional(true));
  EXPECT_GE(reading.metrics[0].reading.observed_at, before);
  EXPECT_LE(reading.metrics[0].reading.observed_at, host.clock().Now());
  scaler.Set("load", 0);
  EXPECT_EQ(ValueOf(host.Ask("t")), 0);

  ASSERT_EQ(host->health().size(), 1u);
  const EndpointHealth health = host->health()[0];
  EXPECT_TRUE(health.connected && health.watches);
  EXPECT_EQ(health.name, "stub");
  EXPECT_EQ(health.connects, 1u);
  EXPECT_EQ(health.failures, 0u);
  EXPECT_EQ(health.triggers, 1u);
  EXPECT_THAT(health.types, ElementsAre("stub"));
  EXPECT_EQ(host->counters().endpoints.readings, 2u);
  EXPECT_EQ(host->counters().endpoints.polls, 2u);
  EXPECT_EQ(host->counters().endpoints.failed_readings, 0u);
  EXPECT_EQ(host->counters().endpoints.violations, (std::array<uint64_t, kViolations>{}));
}

TEST(Host, SendsTheWholeTrigger) {
  pb::Trigger sent;
  base::Mutex mutex;
  StubScaler scaler({.on_request = [&](const pb::WatchRequest& request) {
    base::MutexLock lock(mutex);
    if (request.has_set() && request.set().put_size() == 1) sent = request.set().put(0);
  }});
  TestHost host({.scalers = {scaler.address()}});
  control::Subscription subscription = Stub("t", {{"a", "1"}, {"b", "2"}});
  subscription.object_kind = "Autoscaler";
  subscription.object_name = "checkout";
  subscription.object_uid = "uid-1";
  subscription.pod_selector = "app=checkout";
  subscription.interval = absl::Milliseconds(2500);
  subscription.requested_target = core::TargetKind::kValue;
  host.Put({subscription});
  EXPECT_EQ(host.AwaitOpened("t").metrics.at(0).target.value, std::optional<int64_t>(1000));
  base::MutexLock lock(mutex);
  EXPECT_EQ(sent.type(), "stub");
  EXPECT_EQ(sent.metadata().at("b"), "2");
  EXPECT_EQ(sent.context().namespace_(), "shop");
  EXPECT_EQ(sent.context().object_kind(), "Autoscaler");
  EXPECT_EQ(sent.context().object_name(), "checkout");
  EXPECT_EQ(sent.context().object_uid(), "uid-1");
  EXPECT_EQ(sent.context().pod_selector(), "app=checkout");
  EXPECT_EQ(sent.interval().seconds(), 2);
  EXPECT_EQ(sent.interval().nanos(), 500'000'000);
  EXPECT_EQ(sent.requested_target(), pb::VALUE);
  EXPECT_TRUE(sent.auth().empty() && sent.env().empty());
}

TEST(Host, ChangesAndRemovesTriggers) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("a", {{"value", "1"}}), Stub("b", {{"value", "2"}})});
  EXPECT_EQ(ValueOf(host.Ask("b")), 2);
  host.Put({Stub("b", {{"value", "3"}}), Stub("c", {{"value", "4"}})}, {"a"});
  EXPECT_EQ(ValueOf(host.Ask("b")), 3);
  EXPECT_EQ(ValueOf(host.Ask("c")), 4);
  EXPECT_EQ(ErrorIn(host.Ask("a")).kind, core::ErrorKind::kUnknownTrigger);
  EXPECT_EQ(host->counters().unknown_triggers, 1u);
  // Out and in again in one change.
  host.Put({Stub("b", {{"value", "5"}})}, {"b"});
  EXPECT_EQ(ValueOf(host.Ask("b")), 5);
  EXPECT_EQ(scaler.stats().triggers, 2u);
  EXPECT_EQ(scaler.stats().streams, 1u);
  // What is the same already is not sent again.
  const uint64_t sets = scaler.stats().sets;
  host.Put({Stub("b", {{"value", "5"}})});
  EXPECT_EQ(ValueOf(host.Ask("b")), 5);
  EXPECT_EQ(scaler.stats().sets, sets);
}

TEST(Host, CarriesPushedReadings) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"key", "load"}})});
  host.AwaitOpened("t");
  scaler.Set("load", 42);
  scaler.Push("load");
  EXPECT_EQ(ValueOf(host.Await("t", 0)), 42);
  EXPECT_EQ(host->counters().endpoints.pushed, 1u);
}

TEST(Host, RefusesATypeThatNobodyServes) {
  StubScaler scaler({.types = {"redis", "cron"}});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {}, "rediss")});
  const auto opened = host.AwaitOpened("t");
  ASSERT_TRUE(opened.error.has_value());
  EXPECT_EQ(opened.error->kind, core::ErrorKind::kUnknownTrigger);
  EXPECT_EQ(
      opened.error->message,
      "no scaler serves trigger type \"rediss\" (did you mean \"redis\"?); known: cron, redis");
  EXPECT_EQ(host.Ask("t").error, opened.error);
  EXPECT_EQ(host->counters().refused_types, 1u);
}

TEST(Host, SaysThatNoScalerIsConfigured) {
  TestHost host({});
  host.Put({Stub("t")});
  EXPECT_THAT(host.AwaitOpened("t").error->message, HasSubstr("no scaler is configured"));
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kUnknownTrigger);
  EXPECT_TRUE(host->types()->complete());
}

TEST(Host, AnUnreachedScalerMayServeTheType) {
  StubScaler scaler({.types = {"cron"}});
  const std::string nowhere = NowhereAddress();
  TestHost host({.scalers = {nowhere, scaler.address()}});
  host.Put({Stub("t", {}, "redis"), Stub("c", {}, "cron")});
  EXPECT_EQ(ValueOf(host.Ask("c")), 0);
  const auto error = ErrorIn(host.Ask("t"));
  EXPECT_EQ(error.kind, core::ErrorKind::kUnavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("redis"), HasSubstr(nowhere)));
  EXPECT_FALSE(host->types()->complete());
  EXPECT_THAT(host->types()->names(), ElementsAre("cron"));
}

TEST(Host, ExplicitPairsWinAndTheFirstScalerOfAType) {
  StubScaler first({.types = {"a", "b"}});
  StubScaler second({.types = {"b", "c"}});
  StubScaler third({.types = {"c"}});
  first.Set("k", 1);
  second.Set("k", 2);
  third.Set("k", 3);
  TestHost host({.scalers = {first.address(), second.address()},
                 .trigger_endpoints = {{"c", third.address()}}});
  ASSERT_TRUE(WaitFor([&] { return host->types()->complete(); }));
  host.Put({Stub("ta", {{"key", "k"}}, "a"), Stub("tb", {{"key", "k"}}, "b"),
            Stub("tc", {{"key", "k"}}, "c")});
  EXPECT_EQ(ValueOf(host.Ask("ta")), 1);
  EXPECT_EQ(ValueOf(host.Ask("tb")), 1);
  EXPECT_EQ(ValueOf(host.Ask("tc")), 3);
  EXPECT_THAT(host->types()->names(), ElementsAre("a", "b", "c"));
  ASSERT_NE(host->types()->Find("b"), nullptr);
  EXPECT_EQ(host->types()->Find("b")->target_parameter, "target");
  EXPECT_EQ(host->types()->Find("bb"), nullptr);
  EXPECT_THAT(host.recorder().reports(),
              Contains(AllOf(HasSubstr(second.address()), HasSubstr("trigger type b is not used"),
                             HasSubstr(first.address()))));
}

// The type moves when the scaler that comes first appears.
TEST(Host, MovesTriggersToTheScalerThatComesFirst) {
  TempDir dir;
  const std::string address = "unix://" + dir.path() + "/first.sock";
  StubScaler second({});
  second.Set("k", 2);
  TestHost host({.scalers = {address, second.address()}});
  host.Put({Stub("t", {{"key", "k"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 2);
  second.SetFault("k", StubScaler::Fault::kHang);
  const uint64_t crossing = host.Poll({"t"}, absl::Minutes(10));
  ASSERT_TRUE(WaitFor([&] { return second.stats().polls == 2; }));
  StubScaler first({.address = address});
  first.Set("k", 1);
  // What was asked of the other one is answered, too.
  EXPECT_EQ(ErrorIn(host.Await("t", crossing)).kind, core::ErrorKind::kUnavailable);
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  EXPECT_TRUE(WaitFor([&] { return second.stats().triggers == 0; }));
}

TEST(Host, TellsWhenTypesChange) {
  base::Clock clock;
  base::Mutex mutex;
  std::vector<std::shared_ptr<const TriggerTypes>> seen;
  StubScaler scaler({});
  auto host = Host::Make({.scalers = {scaler.address()}}, clock,
                         {.sink = [](control::Message) {},
                          .types_changed =
                              [&](std::shared_ptr<const TriggerTypes> types) {
                                base::MutexLock lock(mutex);
                                seen.push_back(std::move(types));
                              }});
  ASSERT_TRUE(host.ok());
  EXPECT_TRUE(WaitFor([&] {
    base::MutexLock lock(mutex);
    return !seen.empty() && seen.back()->complete() && seen.back()->Find("stub") != nullptr;
  }));
}

TEST(Host, SendsThousandsOfTriggersInFrames) {
  constexpr int kTriggers = 5000;
  base::Mutex mutex;
  size_t largest = 0;
  int frames = 0;
  std::set<std::string> seen;
  bool completed = false;
  StubScaler scaler({.on_request = [&](const pb::WatchRequest& request) {
    base::MutexLock lock(mutex);
    largest = std::max(largest, request.ByteSizeLong());
    if (!request.has_set() || request.set().put().empty()) return;
    ++frames;
    EXPECT_FALSE(completed) << "a frame after the last one";
    completed = request.set().complete();
    for (const auto& trigger : request.set().put()) EXPECT_TRUE(seen.insert(trigger.id()).second);
  }});
  TestHost host({.scalers = {scaler.address()}});
  std::vector<control::Subscription> all;
  std::vector<std::string> ids;
  for (int i = 0; i < kTriggers; ++i) {
    ids.push_back("trigger-" + std::to_string(i));
    all.push_back(
        Stub(ids.back(), {{"value", std::to_string(i)}, {"padding", std::string(700, 'x')}}));
  }
  host.Put(all);
  const uint64_t round = host.Poll(ids, absl::Seconds(60));
  ASSERT_TRUE(WaitFor([&] { return host.recorder().readings() == kTriggers; }, absl::Seconds(60)));
  for (int i = 0; i < kTriggers; i += 499) {
    const auto answers = host.recorder().Answers(ids[static_cast<size_t>(i)], round);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(ValueOf(answers[0]), i);
  }
  EXPECT_EQ(host.recorder().opened(), static_cast<size_t>(kTriggers));
  base::MutexLock lock(mutex);
  EXPECT_LE(largest, size_t{1} << 20);
  EXPECT_GE(frames, 4);  // 3.8 MB
  EXPECT_TRUE(completed);
  EXPECT_EQ(seen.size(), static_cast<size_t>(kTriggers));
}

TEST(Host, RefusesATriggerThatFitsIntoNoFrame) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  ASSERT_TRUE(WaitFor([&] { return host->types()->complete(); }));
  host.Put({Stub("t", {{"value", std::string(2 << 20, '1')}}), Stub("u", {{"value", "1"}})});
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kBadParameter);
  EXPECT_EQ(ValueOf(host.Ask("u")), 1);
}

// ---- deadlines

TEST(Host, TurnsSilenceIntoTimeout) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("slow", {{"key", "slow"}}), Stub("quick", {{"value", "3"}})});
  host.AwaitOpened("quick");
  scaler.SetFault("slow", StubScaler::Fault::kHang);
  const absl::Time before = host.clock().Now();
  const uint64_t round = host.Poll({"slow", "quick"}, absl::Milliseconds(500));
  EXPECT_EQ(ValueOf(host.Await("quick", round)), 3);
  EXPECT_EQ(ErrorIn(host.Await("slow", round)).kind, core::ErrorKind::kTimeout);
  EXPECT_GE(host.clock().Now() - before, absl::Milliseconds(400));
  EXPECT_EQ(host->counters().endpoints.timeouts, 1u);
  scaler.SetFault("slow", StubScaler::Fault::kNone);
  EXPECT_EQ(ValueOf(host.Ask("slow")), 0);
  EXPECT_EQ(host.recorder().Answers("slow", round).size(), 1u);
}

// A poll that overtakes its forerunner, which control's clock has already given up, ends it.
TEST(Host, OnePollPerTriggerIsOutstanding) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"key", "k"}})});
  host.AwaitOpened("t");
  scaler.SetFault("k", StubScaler::Fault::kHang);
  const uint64_t first = host.Poll({"t"});
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().polls == 1; }));
  scaler.SetFault("k", StubScaler::Fault::kNone);
  const uint64_t second = host.Poll({"t", "t"});
  EXPECT_EQ(ErrorIn(host.Await("t", first)).kind, core::ErrorKind::kTimeout);
  EXPECT_EQ(ValueOf(host.Await("t", second)), 0);
  EXPECT_EQ(scaler.stats().polls, 2u);
}

// The interval is only a hint: an answer that crosses such a change on its way is good.
TEST(Host, AnAnswerThatCrossesAChangeOfIntervalCounts) {
  base::Mutex mutex;
  pb::WatchResponse kept;
  std::atomic<bool> keep = false;
  StubScaler scaler({.edit_frame = [&](pb::WatchResponse& frame) {
    if (!keep || !frame.has_readings()) return true;
    base::MutexLock lock(mutex);
    kept = frame;
    return false;
  }});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"value", "1"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  keep = true;
  const uint64_t round = host.Poll({"t"});
  ASSERT_TRUE(WaitFor([&] {
    base::MutexLock lock(mutex);
    return kept.has_readings();
  }));
  control::Subscription changed = Stub("t", {{"value", "1"}});
  changed.interval = absl::Seconds(1);
  const uint64_t sets = scaler.stats().sets;
  host.Put({changed});
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().sets == sets + 1; }));
  scaler.Inject(kept);
  EXPECT_EQ(ValueOf(host.Await("t", round)), 1);
  EXPECT_EQ(host.Violations(Violation::kBadGeneration), 0u);
}

TEST(Host, AnAnswerToAnotherQueryOfTheSameIdDoesNotCount) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"key", "k"}})});
  host.AwaitOpened("t");
  scaler.SetFault("k", StubScaler::Fault::kHang);
  const uint64_t round = host.Poll({"t"});
  host.Put({Stub("t", {{"value", "2"}})});
  EXPECT_EQ(ErrorIn(host.Await("t", round)).kind, core::ErrorKind::kUnavailable);
  EXPECT_EQ(ValueOf(host.Ask("t")), 2);
}

TEST(Host, PollsThatWaitForAConnectionTimeOut) {
  // Takes connections and says nothing.
  testing_support::RawServer server(
      [](int socket, int) { testing_support::RawServer::AwaitClose(socket); });
  TestHost host({.scalers = {"127.0.0.1:" + std::to_string(server.port())}});
  host.Put({Stub("t")});
  EXPECT_EQ(ErrorIn(host.Ask("t", absl::Milliseconds(300))).kind, core::ErrorKind::kTimeout);
  host.Destroy();  // while the call hangs
}

TEST(Host, APollDoesNotWaitForOtherScalersToDescribeThemselves) {
  StubScaler mute({.types = {"mute"}, .edit_description = [](auto&) { return false; }});
  StubScaler scaler({});
  TestHost host(
      {.scalers = {mute.address(), scaler.address()}, .describe_timeout = absl::Hours(1)});
  host.Put({Stub("t", {{"value", "1"}}), Stub("m", {}, "mute")});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  // What only the silent one may serve waits for it, to its deadline.
  EXPECT_EQ(ErrorIn(host.Ask("m", absl::Milliseconds(200))).kind, core::ErrorKind::kTimeout);
}

// ---- sessions

TEST(Host, AnUnreachableScalerIsAnErrorAtOnce) {
  const std::string address = NowhereAddress();
  TestHost host({.trigger_endpoints = {{"stub", address}}});
  host.Put({Stub("t")});
  const auto error = ErrorIn(host.Ask("t", absl::Seconds(60)));
  EXPECT_EQ(error.kind, core::ErrorKind::kUnavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr(address), HasSubstr("onnect")));
  EXPECT_EQ(host.AwaitOpened("t").error->kind, core::ErrorKind::kUnavailable);
  const EndpointHealth health = host->health()[0];
  EXPECT_FALSE(health.connected);
  EXPECT_GE(health.failures, 1u);
  EXPECT_THAT(health.last_error, HasSubstr(address));
}

TEST(Host, UsesAScalerThatComesBack) {
  TempDir dir;
  const std::string address = "unix://" + dir.path() + "/stub.sock";
  auto scaler = std::make_unique<StubScaler>(StubOptions{.address = address});
  TestHost host({.scalers = {address}});
  host.Put({Stub("a", {{"value", "1"}}), Stub("b", {{"value", "2"}})});
  EXPECT_EQ(ValueOf(host.Ask("a")), 1);
  const uint64_t hanging = [&] {
    scaler->SetFault("a", StubScaler::Fault::kHang);
    const uint64_t round = host.Poll({"a"});
    EXPECT_TRUE(WaitFor([&] { return scaler->stats().polls == 2; }));
    return round;
  }();
  scaler.reset();
  // What was outstanding fails at once, and so does what comes while nobody is there.
  EXPECT_EQ(ErrorIn(host.Await("a", hanging)).kind, core::ErrorKind::kUnavailable);
  EXPECT_EQ(ErrorIn(host.Ask("b")).kind, core::ErrorKind::kUnavailable);
  // A trigger that comes meanwhile is opened later.
  host.Put({Stub("c", {{"value", "3"}})}, {"b"});
  EXPECT_EQ(host.AwaitOpened("c").error->kind, core::ErrorKind::kUnavailable);

  scaler = std::make_unique<StubScaler>(StubOptions{.address = address});
  EXPECT_TRUE(host.AskUntilValue("c"));
  EXPECT_EQ(ValueOf(host.Ask("a")), 1);
  EXPECT_FALSE(host.AwaitOpened("c").error.has_value());
  EXPECT_EQ(scaler->stats().triggers, 2u);
  EXPECT_EQ(host->health()[0].connects, 2u);
  // "a" was never closed for control: it is told of it once.
  EXPECT_EQ(host.recorder().Opened("a").size(), 1u);
}

TEST(Host, ANewReleaseOfAScalerServesNewTypes) {
  TempDir dir;
  const std::string address = "unix://" + dir.path() + "/stub.sock";
  auto scaler = std::make_unique<StubScaler>(StubOptions{.address = address, .types = {"old"}});
  TestHost host({.scalers = {address}});
  host.Put({Stub("t", {}, "new"), Stub("o", {}, "old")});
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kUnknownTrigger);
  scaler.reset();
  scaler = std::make_unique<StubScaler>(StubOptions{.address = address, .types = {"new"}});
  EXPECT_TRUE(host.AskUntilValue("t"));
  EXPECT_THAT(ErrorIn(host.Ask("o")).message, HasSubstr("no scaler serves trigger type \"old\""));
  EXPECT_THAT(host->types()->names(), ElementsAre("new"));
}

TEST(Host, OpensAClosedStreamAnew) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"value", "1"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  scaler.CloseStreams();
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().streams == 2; }));
  EXPECT_TRUE(host.AskUntilValue("t"));
  EXPECT_THAT(host->health()[0].last_error, HasSubstr("closed the stream"));
}

TEST(Host, OpensAStreamAnewThatAcknowledgesNothing) {
  std::atomic<bool> silent = true;
  StubScaler scaler({.edit_frame = [&](auto&) { return !silent; }});
  TestHost host({.scalers = {scaler.address()}, .silence_limit = absl::Milliseconds(400)});
  host.Put({Stub("t", {{"value", "1"}})});
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().streams >= 2; }));
  EXPECT_THAT(host->health()[0].last_error, HasSubstr("did not acknowledge"));
  silent = false;
  EXPECT_TRUE(host.AskUntilValue("t"));
}

TEST(Host, OpensAStreamAnewThatAnswersNoPoll) {
  std::atomic<bool> silent = false;
  StubScaler scaler({.edit_frame = [&](auto&) { return !silent; }});
  TestHost host({.scalers = {scaler.address()}, .silence_limit = absl::Milliseconds(400)});
  host.Put({Stub("t", {{"value", "1"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  silent = true;
  EXPECT_EQ(ErrorIn(host.Ask("t", absl::Milliseconds(100))).kind, core::ErrorKind::kTimeout);
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().streams >= 2; }));
  EXPECT_THAT(host->health()[0].last_error, HasSubstr("answered no poll"));
  silent = false;
  EXPECT_TRUE(host.AskUntilValue("t"));
}

// ---- Read, where there is no Watch

TEST(Host, ReadsWhereWatchIsUnimplemented) {
  StubScaler scaler({.watch = false});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"key", "k"}, {"value", "4"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 4);
  EXPECT_EQ(host.AwaitOpened("t").metrics.size(), 1u);
  EXPECT_TRUE(host->health()[0].connected);
  EXPECT_FALSE(host->health()[0].watches);
  scaler.SetFault("k", StubScaler::Fault::kHang);
  EXPECT_EQ(ErrorIn(host.Ask("t", absl::Milliseconds(300))).kind, core::ErrorKind::kTimeout);
  scaler.SetFault("k", StubScaler::Fault::kError);
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kUnavailable);
  EXPECT_TRUE(host->health()[0].connected);  // it was the source that was down
}

TEST(Host, RespectsTheScalersReadLimit) {
  std::atomic<int> reads = 0;
  StubScaler scaler(
      {.watch = false, .max_triggers_per_read = 7, .on_read = [&](const pb::ReadRequest& request) {
         ++reads;
         EXPECT_LE(request.triggers_size(), 7);
       }});
  TestHost host({.scalers = {scaler.address()}});
  std::vector<control::Subscription> all;
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) {
    ids.push_back("t" + std::to_string(i));
    all.push_back(Stub(ids.back(), {{"value", std::to_string(i)}}));
  }
  host.Put(all);
  const uint64_t round = host.Poll(ids);
  EXPECT_EQ(ValueOf(host.Await("t199", round)), 199);
  ASSERT_TRUE(WaitFor([&] { return host.recorder().readings() == 200; }));
  EXPECT_EQ(reads, 29);
}

TEST(Host, AScalerWithoutWatchComesBack) {
  TempDir dir;
  const std::string address = "unix://" + dir.path() + "/stub.sock";
  const StubOptions options{.address = address, .watch = false};
  auto scaler = std::make_unique<StubScaler>(options);
  TestHost host({.scalers = {address}});
  host.Put({Stub("t", {{"value", "4"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 4);
  scaler.reset();
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kUnavailable);
  scaler = std::make_unique<StubScaler>(options);
  EXPECT_TRUE(host.AskUntilValue("t"));
}

// ---- TLS

TEST(Host, SpeaksMutualTls) {
  TempDir dir;
  const TestAuthority authority;
  const TestCertificate server = authority.Issue("scaler.test", /*only=*/true);
  const TestCertificate client = authority.Issue("neapd");
  StubScaler scaler({.tls = &server, .client_ca = authority.cert()});
  const Tls tls{.ca_file = dir.Write("ca.crt", authority.cert()),
                .cert_file = dir.Write("tls.crt", client.cert),
                .key_file = dir.Write("tls.key", client.key),
                .server_name = "scaler.test"};
  TestHost host({.scalers = {scaler.address()}, .tls = {{scaler.address(), tls}}});
  host.Put({Stub("t", {{"value", "4"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 4);
}

TEST(Host, DistrustsAScalerOfAnotherAuthorityOrName) {
  TempDir dir;
  const TestAuthority authority;
  const TestAuthority other;
  const TestCertificate server = authority.Issue("scaler.test", /*only=*/true);
  StubScaler scaler({.tls = &server});
  const std::string ca = dir.Write("ca.crt", authority.cert());
  const std::string other_ca = dir.Write("other.crt", other.cert());
  for (const Tls& tls : {Tls{.ca_file = other_ca, .server_name = "scaler.test"},
                         Tls{.ca_file = ca, .server_name = "another.test"}}) {
    TestHost host(
        {.trigger_endpoints = {{"stub", scaler.address()}}, .tls = {{scaler.address(), tls}}});
    host.Put({Stub("t", {{"value", "4"}})});
    EXPECT_EQ(ErrorIn(host.Ask("t", absl::Seconds(60))).kind, core::ErrorKind::kUnavailable);
  }
  EXPECT_EQ(scaler.stats().streams, 0u);
}

// ---- the end, and bad options

TEST(Host, StopsWhileCallsHang) {
  StubScaler scaler({});
  StubScaler reader({.watch = false, .types = {"read"}});
  StubScaler mute({.types = {"mute"}, .edit_description = [](auto&) { return false; }});
  TestHost host({.scalers = {scaler.address(), reader.address()},
                 .trigger_endpoints = {{"mute", mute.address()}}});
  scaler.SetFault("*", StubScaler::Fault::kHang);
  reader.SetFault("*", StubScaler::Fault::kHang);
  host.Put({Stub("t"), Stub("r", {}, "read"), Stub("m", {}, "mute")});
  host.Poll({"t", "m"});
  host.Poll({"r"});
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().polls == 1 && reader.stats().polls == 1; }));
  const absl::Time before = host.clock().Now();
  host.Destroy();
  EXPECT_LT(host.clock().Now() - before, absl::Seconds(5));
}

TEST(Host, StopsInTheMiddleOfTraffic) {
  StubScaler scaler({});
  for (int i = 0; i < 20; ++i) {
    TestHost host({.scalers = {scaler.address()}});
    std::vector<std::string> ids;
    std::vector<control::Subscription> all;
    for (int n = 0; n < 200; ++n) {
      ids.push_back("t" + std::to_string(n));
      all.push_back(Stub(ids.back(), {{"key", "k"}}));
    }
    host.Put(all);
    for (int n = 0; n < 10; ++n) host.Poll(ids);
    if (i % 2 == 1) {
      ASSERT_TRUE(WaitFor([&] { return host.recorder().readings() > 100; }));
    }
    scaler.Push("k");
  }
}

TEST(Host, RefusesBadOptions) {
  base::Clock clock;
  TempDir dir;
  const auto error = [&](HostOptions options) {
    auto host = Host::Make(std::move(options), clock, {.sink = [](control::Message) {}});
    return host.ok() ? "accepted" : std::string(host.status().message());
  };
  EXPECT_THAT(error({.scalers = {"localhost"}}), HasSubstr("\"localhost\": write unix:///path"));
  EXPECT_THAT(error({.scalers = {"localhost:0"}}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error({.scalers = {"http://localhost:80"}}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error({.scalers = {"::1:9090"}}), HasSubstr("write an IPv6 address as [::1]"));
  EXPECT_THAT(error({.scalers = {"unix://run/x"}}), HasSubstr("unix:///path"));
  EXPECT_THAT(error({.scalers = {"unix:"}}), HasSubstr("no path"));
  EXPECT_THAT(error({.scalers = {"unix:///" + std::string(200, 'x')}}), HasSubstr("107 bytes"));
  EXPECT_THAT(error({.trigger_endpoints = {{"a", "h:1"}, {"a", "h:2"}}}),
              HasSubstr("trigger type a is given two scalers, h:1 and h:2"));
  EXPECT_THAT(error({.trigger_endpoints = {{"", "h:1"}}}), HasSubstr("type is empty"));
  EXPECT_THAT(error({.scalers = {"h:1"}, .tls = {{"h:2", {}}}}), HasSubstr("h:2"));
  EXPECT_THAT(error({.scalers = {"unix:///x"}, .tls = {{"unix:///x", {}}}}),
              HasSubstr("takes no TLS"));
  EXPECT_THAT(error({.scalers = {"h:1"}, .tls = {{"h:1", {.cert_file = "x"}}}}),
              HasSubstr("given together"));
  EXPECT_THAT(error({.scalers = {"h:1"}, .tls = {{"h:1", {.ca_file = dir.path() + "/none"}}}}),
              HasSubstr("/none can't be read"));
}

}  // namespace
}  // namespace neap::scalerhost
