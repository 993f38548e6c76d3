// What a scaler may do wrong on the wire; what concerns one reading alone is in check_test.cc. Each
// lie is an error on what it touches and a counter, and the host goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <limits>

#include "tests/scalerhost/support.h"
#include "tests/support/stub_scaler.h"

namespace neap::scalerhost {
namespace {

namespace pb = testing_support::pb;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing_support::StubOptions;
using testing_support::StubScaler;

// Lies in frames of readings while it is on.
struct Liar {
  std::atomic<bool> lying = false;
  StubScaler scaler;
  TestHost host;

  explicit Liar(std::function<void(pb::Readings&)> lie)
      : scaler({.edit_frame =
                    [this, lie](pb::WatchResponse& frame) {
                      if (lying && frame.has_readings()) lie(*frame.mutable_readings());
                      return true;
                    }}),
        host({.scalers = {scaler.address()}}) {
    host.Put({Stub("a", {{"value", "1"}}), Stub("b", {{"value", "2"}})});
    EXPECT_EQ(ValueOf(host.Ask("a")), 1);
    lying = true;
  }
  // Polls both; afterwards the scaler is honest again and must be believed again.
  uint64_t Poll(absl::Duration deadline = absl::Seconds(30)) {
    return host.Poll({"a", "b"}, deadline);
  }
  ~Liar() {
    lying = false;
    EXPECT_EQ(ValueOf(host.Ask("a")), 1);
    EXPECT_EQ(ValueOf(host.Ask("b")), 2);
    EXPECT_EQ(scaler.stats().streams, 1u) << "the stream did not survive";
  }
};

TEST(Lies, NaNIsAnErrorOfThatTriggerAlone) {
  Liar liar([](pb::Readings& readings) {
    readings.mutable_readings(0)->mutable_metrics(0)->mutable_series()->set_real(
        0, std::numeric_limits<double>::quiet_NaN());
  });
  const uint64_t round = liar.Poll();
  EXPECT_EQ(ErrorIn(liar.host.Await("a", round)).kind, core::ErrorKind::kBadAnswer);
  EXPECT_EQ(ValueOf(liar.host.Await("b", round)), 2);
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kBadNumber, 1));
  EXPECT_THAT(liar.host.recorder().reports(), Contains(HasSubstr("bad_number")));
}

TEST(Lies, UnknownIdsAreCountedAndLeftOut) {
  Liar liar([](pb::Readings& readings) {
    pb::Reading stranger = readings.readings(0);
    stranger.set_trigger_id("nobody");
    *readings.add_readings() = stranger;
    stranger.set_trigger_id("");
    *readings.add_readings() = stranger;
  });
  const uint64_t round = liar.Poll();
  EXPECT_EQ(ValueOf(liar.host.Await("b", round)), 2);
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kUnknownId, 2));
  EXPECT_TRUE(liar.host.recorder().Answers("nobody", round).empty());
}

TEST(Lies, TheFirstOfDuplicateAnswersCounts) {
  Liar liar([](pb::Readings& readings) {
    pb::Reading again = readings.readings(0);
    again.mutable_metrics(0)->mutable_series()->set_real(0, 0);
    *readings.add_readings() = again;
  });
  const uint64_t round = liar.Poll();
  EXPECT_EQ(ValueOf(liar.host.Await("a", round)), 1);
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kDuplicateAnswer, 1));
  EXPECT_EQ(liar.host.recorder().Answers("a", round).size(), 1u);
}

TEST(Lies, AMissingAnswerIsATimeout) {
  Liar liar([](pb::Readings& readings) { readings.mutable_readings()->DeleteSubrange(0, 1); });
  const uint64_t round = liar.Poll(absl::Seconds(1));
  EXPECT_EQ(ValueOf(liar.host.Await("b", round)), 2);
  EXPECT_EQ(ErrorIn(liar.host.Await("a", round)).kind, core::ErrorKind::kTimeout);
}

TEST(Lies, AnAnswerOfAnotherRoundIsLate) {
  std::atomic<uint64_t> shift = 0;
  Liar liar([&](pb::Readings& readings) {
    for (pb::Reading& reading : *readings.mutable_readings()) {
      reading.set_round(reading.round() + shift);
    }
  });
  for (const uint64_t by : {uint64_t{1000}, ~uint64_t{0}}) {
    shift = by;
    const uint64_t round = liar.Poll(absl::Milliseconds(300));
    EXPECT_EQ(ErrorIn(liar.host.Await("a", round)).kind, core::ErrorKind::kTimeout);
  }
  EXPECT_TRUE(WaitFor([&] {
    return liar.host.Violations(Violation::kLateAnswer) +
               liar.host.Violations(Violation::kDuplicateAnswer) ==
           4;
  }));
}

// The true answer comes when its round is over: it is not the next round's.
TEST(Lies, ALateAnswerIsDropped) {
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
  host.Put({Stub("t", {{"key", "k"}, {"value", "1"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  keep = true;
  EXPECT_EQ(ErrorIn(host.Ask("t", absl::Milliseconds(300))).kind, core::ErrorKind::kTimeout);
  keep = false;
  scaler.SetFault("k", StubScaler::Fault::kHang);
  const uint64_t round = host.Poll({"t"}, absl::Seconds(1));
  {
    base::MutexLock lock(mutex);
    scaler.Inject(kept);
  }
  EXPECT_EQ(ErrorIn(host.Await("t", round)).kind, core::ErrorKind::kTimeout);
  EXPECT_TRUE(host.AwaitViolations(Violation::kLateAnswer, 1));
}

TEST(Lies, WrongGenerationsAreErrors) {
  std::atomic<uint64_t> generation = 0;
  Liar liar(
      [&](pb::Readings& readings) { readings.mutable_readings(0)->set_generation(generation); });
  for (const uint64_t wrong : {uint64_t{0}, uint64_t{1'000'000}, ~uint64_t{0}}) {
    generation = wrong;
    const uint64_t round = liar.Poll();
    EXPECT_THAT(ErrorIn(liar.host.Await("a", round)).message, HasSubstr("another set"));
    EXPECT_EQ(ValueOf(liar.host.Await("b", round)), 2);
  }
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kBadGeneration, 3));
}

TEST(Lies, EmptyAndMeaninglessFramesAreCounted) {
  Liar liar([](pb::Readings&) {});
  liar.scaler.Inject(pb::WatchResponse());
  pb::WatchResponse empty;
  empty.mutable_readings();
  liar.scaler.Inject(empty);
  pb::WatchResponse bare;
  bare.mutable_readings()->add_readings();
  liar.scaler.Inject(bare);
  pb::WatchResponse ahead;
  ahead.mutable_set_status()->set_generation(~uint64_t{0});
  liar.scaler.Inject(ahead);
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kBadGeneration, 1));
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kBadFrame, 1));
}

TEST(Lies, MillionsOfValuesAreOneError) {
  Liar liar([](pb::Readings& readings) {
    auto* series = readings.mutable_readings(0)->mutable_metrics(0)->mutable_series();
    series->clear_real();
    series->mutable_milli()->Resize(3'000'000, 1);
  });
  const uint64_t round = liar.Poll();
  EXPECT_THAT(ErrorIn(liar.host.Await("a", round)).message, HasSubstr("3000000 values"));
  EXPECT_EQ(ValueOf(liar.host.Await("b", round)), 2);
}

// Over the message limit the stream breaks; it is opened anew.
TEST(Lies, AFrameOverTheLimitEndsTheSession) {
  std::atomic<bool> lying = false;
  StubScaler scaler({.edit_frame = [&](pb::WatchResponse& frame) {
    if (lying && frame.has_readings()) {
      auto* series =
          frame.mutable_readings()->mutable_readings(0)->mutable_metrics(0)->mutable_series();
      series->mutable_real()->Resize(3'000'000, 1.5);  // 24 MB
    }
    return true;
  }});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"value", "1"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  lying = true;
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kBadAnswer);
  lying = false;
  EXPECT_TRUE(host.AskUntilValue("t"));
}

TEST(Lies, AFrameThatCannotBeParsedEndsTheSession) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"value", "1"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 1);
  pb::WatchResponse frame;
  frame.mutable_readings()->add_readings()->set_trigger_id("\xff");  // no UTF-8
  scaler.Inject(frame);
  ASSERT_TRUE(WaitFor([&] { return scaler.stats().streams == 2; }));
  EXPECT_TRUE(host.AskUntilValue("t"));
}

TEST(Lies, AReadingBeforeItsStatusIsAnError) {
  std::atomic<bool> silent = true;
  StubScaler scaler(
      {.edit_frame = [&](pb::WatchResponse& frame) { return !silent || !frame.has_set_status(); }});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t", {{"value", "1"}})});
  EXPECT_THAT(ErrorIn(host.Ask("t")).message, HasSubstr("without status"));
  EXPECT_TRUE(host.AwaitViolations(Violation::kReadingBeforeStatus, 1));
  EXPECT_TRUE(host.recorder().Opened("t").empty());
}

TEST(Lies, ATriggerLeftOutOfTheStatusIsRefusedAlone) {
  StubScaler scaler({.edit_frame = [&](pb::WatchResponse& frame) {
    if (!frame.has_set_status()) return true;
    auto* triggers = frame.mutable_set_status()->mutable_triggers();
    for (int i = triggers->size() - 1; i >= 0; --i) {
      if (triggers->Get(i).trigger_id() == "a") triggers->DeleteSubrange(i, 1);
    }
    return true;
  }});
  TestHost host({.scalers = {scaler.address()}, .silence_limit = absl::Milliseconds(400)});
  host.Put({Stub("a"), Stub("b")});
  EXPECT_THAT(host.AwaitOpened("a").error->message, HasSubstr("says nothing of this trigger"));
  EXPECT_FALSE(host.AwaitOpened("b").error.has_value());
  EXPECT_TRUE(host.AwaitViolations(Violation::kMissingAnswer, 1));
  EXPECT_EQ(ValueOf(host.Ask("b")), 0);
  EXPECT_EQ(scaler.stats().streams, 1u);
}

TEST(Lies, AStatusWithoutTargetRefusesTheTrigger) {
  StubScaler scaler({.edit_frame = [&](pb::WatchResponse& frame) {
    if (!frame.has_set_status()) return true;
    for (auto& trigger : *frame.mutable_set_status()->mutable_triggers()) {
      if (trigger.trigger_id() == "a") trigger.mutable_metrics(0)->clear_target();
    }
    return true;
  }});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("a"), Stub("b")});
  EXPECT_THAT(host.AwaitOpened("a").error->message, HasSubstr("no target"));
  EXPECT_EQ(ErrorIn(host.Ask("a")).kind, core::ErrorKind::kBadAnswer);
  EXPECT_EQ(ValueOf(host.Ask("b")), 0);
}

TEST(Lies, APushOfAnOlderSetIsDropped) {
  StubScaler scaler({});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t")});
  host.AwaitOpened("t");
  pb::WatchResponse frame;
  pb::Reading& reading = *frame.mutable_readings()->add_readings();
  reading.set_trigger_id("t");
  reading.mutable_error()->set_message("old");
  scaler.Inject(frame);
  EXPECT_EQ(ValueOf(host.Ask("t")), 0);  // after it on the stream
  EXPECT_TRUE(host.recorder().Answers("t", 0).empty());
}

TEST(Lies, ABadTypeInTheManifestLosesItselfAlone) {
  StubScaler scaler(
      {.types = {"stub", "bad", "stub"}, .edit_description = [](pb::DescribeResponse& description) {
         description.mutable_trigger_types(1)->mutable_parameters(0)->clear_name();
         return true;
       }});
  TestHost host({.scalers = {scaler.address()}});
  host.Put({Stub("t")});
  EXPECT_EQ(ValueOf(host.Ask("t")), 0);
  EXPECT_TRUE(host.AwaitViolations(Violation::kBadFrame, 2));
  EXPECT_EQ(host->types()->names(), std::vector<std::string>{"stub"});
}

TEST(Lies, ADescriptionOfMillionsOfTypesIsBounded) {
  StubScaler scaler({.edit_description = [](pb::DescribeResponse& description) {
    for (int i = 0; i < 5000; ++i) {
      description.add_trigger_types()->set_type("type" + std::to_string(i));
    }
    description.set_name(std::string(1 << 20, 'n'));
    return true;
  }});
  TestHost host({.scalers = {scaler.address()}});
  ASSERT_TRUE(WaitFor([&] { return host->types()->complete(); }));
  EXPECT_LE(host->types()->names().size(), 1000u);
  EXPECT_LE(host->health()[0].name.size(), 1100u);
}

// ---- the same by Read

struct ReadLiar {
  std::atomic<bool> lying = false;
  StubScaler scaler;
  TestHost host;

  explicit ReadLiar(std::function<void(pb::ReadResponse&)> lie)
      : scaler({.watch = false,
                .edit_read =
                    [this, lie](pb::ReadResponse& response) {
                      if (lying) lie(response);
                      return true;
                    }}),
        host({.scalers = {scaler.address()}}) {
    host.Put({Stub("a", {{"value", "1"}}), Stub("b", {{"value", "2"}})});
    EXPECT_EQ(ValueOf(host.Ask("a")), 1);
    EXPECT_EQ(ValueOf(host.Ask("b")), 2);
    lying = true;
  }
};

TEST(ReadLies, AMissingAnswerIsAnError) {
  ReadLiar liar([](pb::ReadResponse& response) { response.clear_readings(); });
  EXPECT_THAT(ErrorIn(liar.host.Ask("a")).message, HasSubstr("missing"));
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kMissingAnswer, 1));
}

TEST(ReadLies, DuplicateAnswersAreAnErrorSinceNoneIsTheFirst) {
  ReadLiar liar([](pb::ReadResponse& response) {
    const pb::Reading copy = response.readings(0);
    *response.add_readings() = copy;
  });
  EXPECT_THAT(ErrorIn(liar.host.Ask("a")).message, HasSubstr("twice"));
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kDuplicateAnswer, 1));
}

TEST(ReadLies, AnswersAreMatchedByIdNotByPlace) {
  ReadLiar liar(
      [](pb::ReadResponse& response) { response.mutable_readings()->SwapElements(0, 1); });
  const uint64_t round = liar.host.Poll({"a", "b"});
  EXPECT_EQ(ValueOf(liar.host.Await("a", round)), 1);
  EXPECT_EQ(ValueOf(liar.host.Await("b", round)), 2);
}

TEST(ReadLies, UnknownIdsAreCounted) {
  ReadLiar liar([](pb::ReadResponse& response) {
    response.mutable_readings(0)->set_trigger_id("nobody");
    response.mutable_statuses(0)->set_trigger_id("nobody");
  });
  EXPECT_EQ(ErrorIn(liar.host.Ask("a")).kind, core::ErrorKind::kBadAnswer);
  EXPECT_TRUE(liar.host.AwaitViolations(Violation::kUnknownId, 2));
}

TEST(ReadLies, AnAnswerWithoutStatusIsJudgedByTheLastOne) {
  ReadLiar liar([](pb::ReadResponse& response) { response.clear_statuses(); });
  EXPECT_EQ(ValueOf(liar.host.Ask("a")), 1);
}

TEST(ReadLies, AnAnswerOverTheLimitIsAnErrorOfItsTriggers) {
  ReadLiar liar([](pb::ReadResponse& response) {
    response.mutable_readings(0)->mutable_metrics(0)->mutable_series()->mutable_real()->Resize(
        3'000'000, 1.5);
  });
  EXPECT_EQ(ErrorIn(liar.host.Ask("a")).kind, core::ErrorKind::kBadAnswer);
  liar.lying = false;
  EXPECT_EQ(ValueOf(liar.host.Ask("a")), 1);
}

}  // namespace
}  // namespace neap::scalerhost
