#include "autoscaler/scalerhost/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/scalerhost/support.h"
#include "tests/support/process.h"
#include "tests/support/stub_scaler.h"

namespace neap::scalerhost {
namespace {

namespace pb = testing_support::pb;
using ::testing::HasSubstr;
using testing_support::FreePort;
using testing_support::StubScaler;
using testing_support::TempDir;

std::unique_ptr<Client> ClientOf(const std::string& address) {
  auto client = Client::Make(address);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

TEST(Client, Describes) {
  StubScaler scaler({.max_triggers_per_read = 9});
  const auto description = ClientOf(scaler.address())->Describe();
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->name, "stub");
  EXPECT_EQ(description->version, "1");
  EXPECT_EQ(description->max_triggers_per_read, 9u);
  ASSERT_EQ(description->types.size(), 1u);
  EXPECT_TRUE(description->types[0].pushes);
  ASSERT_NE(description->types[0].Find("target"), nullptr);
}

TEST(Client, ReadsInAsManyCallsAsTheScalerWants) {
  std::atomic<int> reads = 0;
  StubScaler scaler({.max_triggers_per_read = 2, .on_read = [&](auto&) { ++reads; }});
  std::vector<TriggerRequest> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back({.subscription = Stub("", {{"value", std::to_string(i)}})});
  }
  const auto answers = ClientOf(scaler.address())->Read(requests);
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 5u);
  EXPECT_EQ(ValueOf((*answers)[4].reading), 4);
  EXPECT_EQ((*answers)[4].opened.metrics.size(), 1u);
  EXPECT_EQ(reads, 3);
}

TEST(Client, GivesUpAtTheDeadline) {
  StubScaler scaler({});
  scaler.SetFault("*", StubScaler::Fault::kHang);
  const auto answers =
      ClientOf(scaler.address())->Read({{.subscription = Stub("t")}}, absl::Milliseconds(300));
  EXPECT_EQ(answers.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(answers.status().message()), HasSubstr(scaler.address()));
}

TEST(Client, SaysThatNobodyIsThere) {
  const std::string address = "127.0.0.1:" + std::to_string(FreePort());
  const auto description = ClientOf(address)->Describe();
  EXPECT_EQ(description.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(description.status().message()), HasSubstr(address));
}

TEST(Client, SaysThatValidateIsUnimplemented) {
  StubScaler scaler({});
  const auto validation = ClientOf(scaler.address())->Validate({.subscription = Stub("t")}, false);
  EXPECT_EQ(validation.status().code(), absl::StatusCode::kUnimplemented);
}

TEST(Client, SendsSecretsOnlyWhereNobodyListens) {
  TempDir dir;
  base::Mutex mutex;
  pb::Trigger seen;
  const auto remember = [&](const pb::ReadRequest& request) {
    base::MutexLock lock(mutex);
    seen = request.triggers(0);
  };
  StubScaler open({.on_read = remember});
  StubScaler closed({.address = "unix://" + dir.path() + "/s.sock", .on_read = remember});
  TriggerRequest request{.subscription = Stub("t"),
                         .auth = {{"password", "hunter2"}},
                         .env = {{"TOKEN", "abc"}},
                         .pod_identity = "aws"};
  const auto refused = ClientOf(open.address())->Read({request});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), testing::Not(HasSubstr("hunter2")));
  EXPECT_EQ(open.stats().rounds, 0u);
  EXPECT_EQ(ClientOf(open.address())->Validate(request, false).status().code(),
            absl::StatusCode::kFailedPrecondition);

  ASSERT_TRUE(ClientOf(closed.address())->Read({request}).ok());
  base::MutexLock lock(mutex);
  EXPECT_EQ(seen.auth().at("password"), "hunter2");
  EXPECT_EQ(seen.env().at("TOKEN"), "abc");
  EXPECT_EQ(seen.pod_identity(), "aws");
}

TEST(Client, DistrustsAnswersThatDoNotMatch) {
  std::atomic<int> lie = 0;
  StubScaler scaler({.edit_read = [&](pb::ReadResponse& response) {
    if (lie == 0) response.clear_readings();
    if (lie == 1) response.mutable_readings(0)->set_trigger_id("x");
    return true;
  }});
  for (lie = 0; lie < 2; ++lie) {
    const auto answers = ClientOf(scaler.address())->Read({{.subscription = Stub("t")}});
    EXPECT_EQ(answers.status().code(), absl::StatusCode::kDataLoss) << lie;
  }
}

}  // namespace
}  // namespace neap::scalerhost
