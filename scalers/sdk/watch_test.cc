// Watch streams over a real connection: sets and their acknowledgement, polls, pushed readings.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "neap/scaler/v1/scaler.grpc.pb.h"
#include "scalers/sdk/fake_scaler.h"
#include "scalers/sdk/server.h"
#include "tests/support/process.h"

namespace neap::sdk {
namespace {

namespace pb = ::neap::scaler::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::TempDir;
using testing_support::WaitFor;

pb::Trigger Fake(const std::string& id, const std::map<std::string, std::string>& metadata = {}) {
  pb::Trigger trigger;
  trigger.set_id(id);
  trigger.set_type("fake");
  trigger.mutable_metadata()->insert(metadata.begin(), metadata.end());
  return trigger;
}

// "id generation.round value" or "id generation.round KIND".
std::string Text(const pb::Reading& reading) {
  const std::string head =
      fmt::format("{} {}.{} ", reading.trigger_id(), reading.generation(), reading.round());
  if (reading.has_error()) return head + pb::Error::Kind_Name(reading.error().kind());
  return head + fmt::format("{}", reading.metrics(0).series().real(0));
}

// One stream; every wait ends with the call's deadline.
class Stream {
 public:
  explicit Stream(pb::ScalerService::Stub& stub) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
    stream_ = stub.Watch(&context_);
  }
  ~Stream() { Cancel(); }

  bool Set(uint64_t generation, bool reset, const std::vector<pb::Trigger>& put,
           const std::vector<std::string>& remove = {}, bool complete = true) {
    pb::WatchRequest request;
    pb::TriggerSet& set = *request.mutable_set();
    set.set_generation(generation);
    set.set_reset(reset);
    for (const pb::Trigger& trigger : put) *set.add_put() = trigger;
    for (const std::string& id : remove) set.add_remove(id);
    set.set_complete(complete);
    return stream_->Write(request);
  }
  bool Poll(uint64_t round, const std::vector<std::string>& ids = {}, int seconds = 60) {
    pb::WatchRequest request;
    request.mutable_poll()->set_round(round);
    for (const std::string& id : ids) request.mutable_poll()->add_trigger_ids(id);
    request.mutable_poll()->mutable_deadline()->set_seconds(seconds);
    return stream_->Write(request);
  }
  bool WriteEmpty() { return stream_->Write({}); }

  // The next acknowledgement: "generation: id ok, id KIND, ".
  std::string Acknowledged() {
    pb::WatchResponse frame;
    while (stream_->Read(&frame)) {
      if (!frame.has_set_status()) continue;
      std::string out = std::to_string(frame.set_status().generation()) + ": ";
      for (const pb::TriggerStatus& status : frame.set_status().triggers()) {
        out += status.trigger_id() + " " +
               (status.has_error() ? pb::Error::Kind_Name(status.error().kind()) : "ok") + ", ";
      }
      return out;
    }
    return "the stream ended";
  }
  // The next `count` readings as text, sorted.
  std::vector<std::string> Readings(size_t count) {
    std::vector<std::string> out;
    pb::WatchResponse frame;
    while (out.size() < count && stream_->Read(&frame)) {
      for (const pb::Reading& reading : frame.readings().readings()) out.push_back(Text(reading));
    }
    std::ranges::sort(out);
    return out;
  }
  bool Read(pb::WatchResponse& frame) { return stream_->Read(&frame); }
  void Cancel() { context_.TryCancel(); }
  // Reads to the end.
  grpc::Status Finish() {
    pb::WatchResponse frame;
    while (stream_->Read(&frame)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>> stream_;
};

class WatchTest : public ::testing::Test {
 protected:
  WatchTest() {
    auto server =
        Server::Start(FakeScaler::Make(control_), {.listen = "unix://" + dir_.path() + "/socket"});
    if (!server.ok()) {
      ADD_FAILURE() << server.status();
      std::abort();
    }
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    stub_ = pb::ScalerService::NewStub(grpc::CreateCustomChannel(
        server_->address(), grpc::InsecureChannelCredentials(), arguments));
  }
  ~WatchTest() override { control_.Release(); }

  TempDir dir_;
  FakeControl control_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<pb::ScalerService::Stub> stub_;
};

TEST_F(WatchTest, AcknowledgesASetAndAnswersPolls) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("a", {{"value", "5"}}), Fake("b", {{"value", "x"}})}));
  EXPECT_EQ(stream.Acknowledged(), "1: a ok, b BAD_PARAMETER, ");
  ASSERT_TRUE(stream.Poll(7, {"a", "b", "c"}));
  EXPECT_THAT(stream.Readings(3),
              ElementsAre("a 1.7 5", "b 1.7 BAD_PARAMETER", "c 1.7 UNKNOWN_TRIGGER"));
  ASSERT_TRUE(stream.Poll(8));
  EXPECT_THAT(stream.Readings(2), ElementsAre("a 1.8 5", "b 1.8 BAD_PARAMETER"));
}

TEST_F(WatchTest, AnswersEachIdOnceInARound) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("a"), Fake("b")}));
  ASSERT_TRUE(stream.Poll(1, {"a", "a", "x", "x"}));
  ASSERT_TRUE(stream.Poll(1));  // a was asked for already
  ASSERT_TRUE(stream.Poll(2, {"a"}));
  EXPECT_THAT(stream.Readings(4),
              ElementsAre("a 1.1 1", "a 1.2 1", "b 1.1 1", "x 1.1 UNKNOWN_TRIGGER"));
  // Nothing else is on its way.
  ASSERT_TRUE(stream.Poll(3, {"y"}));
  EXPECT_THAT(stream.Readings(1), ElementsAre("y 1.3 UNKNOWN_TRIGGER"));
}

TEST_F(WatchTest, AChangeTakesEffectWithItsLastFrame) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("a"), Fake("b")}));
  EXPECT_EQ(stream.Acknowledged(), "1: a ok, b ok, ");
  ASSERT_TRUE(stream.Set(2, false, {Fake("a", {{"value", "2"}})}, {}, /*complete=*/false));
  ASSERT_TRUE(stream.Poll(1));
  EXPECT_THAT(stream.Readings(2), ElementsAre("a 1.1 1", "b 1.1 1"));
  ASSERT_TRUE(stream.Set(2, false, {Fake("c")}, {"b"}));
  EXPECT_EQ(stream.Acknowledged(), "2: a ok, c ok, ");
  ASSERT_TRUE(stream.Poll(2));
  EXPECT_THAT(stream.Readings(2), ElementsAre("a 2.2 2", "c 2.2 1"));
  // A whole set replaces everything, and may be empty.
  ASSERT_TRUE(stream.Set(3, true, {Fake("d")}));
  EXPECT_EQ(stream.Acknowledged(), "3: d ok, ");
  ASSERT_TRUE(stream.Poll(3, {"a", "d"}));
  EXPECT_THAT(stream.Readings(2), ElementsAre("a 3.3 UNKNOWN_TRIGGER", "d 3.3 1"));
  ASSERT_TRUE(stream.Set(4, true, {}));
  EXPECT_EQ(stream.Acknowledged(), "4: ");
}

TEST_F(WatchTest, EndsAStreamThatBreaksTheContract) {
  const auto ends = [&](const std::function<void(Stream&)>& what, const std::string& message) {
    Stream stream(*stub_);
    what(stream);
    const grpc::Status status = stream.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << message;
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  };
  ends([](Stream& s) { s.WriteEmpty(); }, "an empty frame");
  ends([](Stream& s) { s.Set(1, false, {Fake("a")}); }, "must be whole");
  ends([](Stream& s) { s.Set(0, true, {Fake("a")}); }, "generations grow");
  ends([](Stream& s) { s.Set(1, true, {Fake("")}); }, "without id");
  ends([](Stream& s) { s.Set(1, true, {Fake("a"), Fake("a")}); }, "trigger a twice");
  ends([](Stream& s) { s.Poll(0); }, "round 0");
  ends(
      [](Stream& s) {
        s.Set(1, true, {Fake("a")}, {}, false);
        s.Set(2, true, {});
      },
      "before set 1 was complete");
}

TEST_F(WatchTest, TellsOfATimeoutBeforeTheHostGivesUp) {
  Stream stream(*stub_);
  ASSERT_TRUE(
      stream.Set(1, true, {Fake("slow", {{"fault", "hang"}, {"source", "slow"}}), Fake("a")}));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(stream.Poll(1, {}, /*seconds=*/2));
  EXPECT_THAT(stream.Readings(2), ElementsAre("a 1.1 1", "slow 1.1 TIMEOUT"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST_F(WatchTest, ReadsEqualTriggersOnceAndThoseOfASourceTogether) {
  Stream one(*stub_);
  Stream two(*stub_);
  ASSERT_TRUE(one.Set(1, true, {Fake("a"), Fake("b"), Fake("c", {{"value", "2"}})}));
  EXPECT_EQ(one.Acknowledged(), "1: a ok, b ok, c ok, ");
  ASSERT_TRUE(two.Set(1, true, {Fake("z")}));
  EXPECT_EQ(two.Acknowledged(), "1: z ok, ");
  EXPECT_EQ(control_.opened(), 2);
  ASSERT_TRUE(one.Poll(1));
  EXPECT_THAT(one.Readings(3), ElementsAre("a 1.1 1", "b 1.1 1", "c 1.1 2"));
  EXPECT_THAT(control_.batches(), ElementsAre(2U));
}

TEST_F(WatchTest, SendsPushedReadingsAndStopsWatchingWithTheStream) {
  {
    Stream one(*stub_);
    Stream two(*stub_);
    for (Stream* stream : {&one, &two}) {
      ASSERT_TRUE(stream->Set(1, true, {Fake("a")}));
      EXPECT_EQ(stream->Acknowledged(), "1: a ok, ");
      ASSERT_TRUE(stream->Poll(1));  // answered when the set is in effect in all its parts
      EXPECT_THAT(stream->Readings(1), ElementsAre("a 1.1 1"));
    }
    ASSERT_TRUE(control_.watched());
    EXPECT_EQ(control_.watches(), 1) << "equal triggers are watched once";
    ASSERT_TRUE(control_.Push(Reading::Of("fake", 42, 0)));
    EXPECT_THAT(one.Readings(1), ElementsAre("a 1.0 42"));
    // Checked like any other.
    ASSERT_TRUE(control_.Push(Reading{.metrics = {}, .error = std::nullopt}));
    pb::WatchResponse frame;
    ASSERT_TRUE(one.Read(frame));
    EXPECT_EQ(frame.readings().readings(0).metrics(0).error().kind(), pb::Error::INTERNAL);
    ASSERT_TRUE(one.Set(2, false, {}, {"a"}));
    EXPECT_EQ(one.Acknowledged(), "2: ");
    EXPECT_TRUE(control_.watched()) << "the other stream has it still";
  }
  EXPECT_TRUE(WaitFor([&] { return !control_.watched(); }));
}

TEST_F(WatchTest, ASlowReaderGetsTheLatestPushedReading) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("a")}));
  EXPECT_EQ(stream.Acknowledged(), "1: a ok, ");
  ASSERT_TRUE(WaitFor([&] { return control_.watched(); }));
  // Far more than the connection takes in while nobody reads.
  constexpr int kPushed = 2000;
  for (int i = 1; i <= kPushed; ++i) {
    Reading reading = Reading::Of("fake", i, 0);
    std::get<Series>(reading.metrics[0].result).real.resize(20'000);
    ASSERT_TRUE(control_.Push(std::move(reading)));
  }
  int received = 0;
  std::string last;
  while (last != "a 1.0 2000") {
    const std::vector<std::string> readings = stream.Readings(1);
    ASSERT_EQ(readings.size(), 1U) << "the latest one came not; before it: " << last;
    last = readings[0];
    ++received;
  }
  EXPECT_LT(received, kPushed);
}

TEST_F(WatchTest, ASlowReaderGetsEveryPolledReading) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("a", {{"values", "100000"}})}));
  // 160 MB of answers, several times what may wait: the server stops reading polls meanwhile.
  constexpr uint64_t kRounds = 200;
  std::thread polls([&] {
    for (uint64_t round = 1; round <= kRounds; ++round) EXPECT_TRUE(stream.Poll(round));
  });
  EXPECT_TRUE(WaitFor([&] { return !control_.batches().empty(); }));
  std::map<std::string, int> readings;
  for (const std::string& reading : stream.Readings(kRounds)) ++readings[reading];
  polls.join();
  EXPECT_EQ(readings.size(), kRounds) << "each once";
}

TEST_F(WatchTest, AReadingThatNoMessageHoldsIsAnError) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("big", {{"values", "3000000"}}), Fake("a")}));
  ASSERT_TRUE(stream.Poll(1));
  EXPECT_THAT(stream.Readings(2), ElementsAre("a 1.1 1", "big 1.1 BAD_ANSWER"));
}

TEST_F(WatchTest, StopEndsStreams) {
  Stream stream(*stub_);
  ASSERT_TRUE(stream.Set(1, true, {Fake("a", {{"fault", "hang"}})}));
  EXPECT_EQ(stream.Acknowledged(), "1: a ok, ");
  ASSERT_TRUE(stream.Poll(1));
  ASSERT_TRUE(WaitFor([&] { return control_.hanging() == 1; }));
  EXPECT_FALSE(server_->Stop(absl::Milliseconds(100)));
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  control_.Release();
}

TEST_F(WatchTest, AHostThatGoesAwayLeavesNothingBehind) {
  for (int i = 0; i < 20; ++i) {
    Stream stream(*stub_);
    ASSERT_TRUE(stream.Set(1, true, {Fake("a"), Fake("b", {{"value", "2"}})}));
    ASSERT_TRUE(stream.Poll(1));
    stream.Cancel();
  }
  EXPECT_TRUE(WaitFor([&] { return !control_.watched(); }));
  EXPECT_TRUE(server_->Stop(absl::Seconds(20)));
}

}  // namespace
}  // namespace neap::sdk
