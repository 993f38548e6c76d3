// The writers against a server that speaks the API's wire format: what is sent, byte by byte, and
// what each answer means.
#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "autoscaler/kube/event_writer.h"
#include "autoscaler/kube/scale_writer.h"
#include "autoscaler/kube/status_writer.h"
#include "autoscaler/kube/withheld_scale_writer.h"
#include "tests/kube/edge.h"

namespace neap::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Kind = core::ApplyResult::Kind;
using testing_support::WaitFor;
using Json = nlohmann::json;

// ---- scale

constexpr char kScalePath[] = "/apis/apps/v1/namespaces/shop/deployments/web/scale";
// What apiserver v1.37 answers to a JSON Patch whose test fails.
const Answer kFailedTest =
    Refusal(422, "Invalid", "the server rejected our request due to an error in our request");

std::string ScaleJson(const std::string& spec, const std::string& uid = "u-1") {
  return R"({"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web",)"
         R"("namespace":"shop","uid":")" +
         uid + R"(","resourceVersion":"42","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":)" +
         spec + R"(,"status":{"replicas":3,"selector":"app=web"}})";
}
control::PatchScale PatchOf(int32_t from, int32_t to, const std::string& kind = "Deployment",
                            const std::string& group = "apps") {
  return {.write_id = 9,
          .uid = "a-1",
          .target = {.group = group, .kind = kind, .ns = "shop", .name = "web"},
          .observed = {.uid = "u-1",
                       .resource_version = "41",
                       .spec_replicas = from,
                       .status_replicas = from,
                       .selector = "app=web"},
          .replicas = to};
}

class ScaleWriterTest : public Edge {
 protected:
  control::WriteOutcome Write(const control::PatchScale& patch, ScaleWriterOptions options = {}) {
    const size_t before = All<control::WriteOutcome>().size();
    ApiScaleWriter writer(context_, options);
    writer.Write(patch);
    EXPECT_TRUE(Await<control::WriteOutcome>(before + 1));
    const auto all = All<control::WriteOutcome>();
    return all.size() > before ? all.back() : control::WriteOutcome{};
  }
};

TEST_F(ScaleWriterTest, PatchesTheSpecUnderUidAndSpecAsSeen) {
  server_.On("PATCH", kScalePath, {.body = ScaleJson(R"({"replicas":5})")});
  const control::WriteOutcome outcome = Write(PatchOf(3, 5));
  EXPECT_EQ(outcome.write_id, 9U);
  EXPECT_EQ(outcome.result.kind, Kind::kApplied);
  ASSERT_TRUE(outcome.scale.has_value());
  EXPECT_EQ(*outcome.scale, (core::Scale{.uid = "u-1",
                                         .resource_version = "42",
                                         .spec_replicas = 5,
                                         .status_replicas = 3,
                                         .selector = "app=web"}));
  const auto requests = server_.Requests();
  ASSERT_EQ(requests.size(), 1U);  // no discovery for Deployments
  EXPECT_EQ(requests[0].content_type, "application/json-patch+json");
  EXPECT_EQ(Json::parse(requests[0].body), Json::parse(R"([
      {"op":"test","path":"/metadata/uid","value":"u-1"},
      {"op":"test","path":"/spec","value":{"replicas":3}},
      {"op":"replace","path":"/spec","value":{"replicas":5}}])"));
}

TEST_F(ScaleWriterTest, AtZeroTheApiLeavesReplicasOut) {
  server_.On("PATCH", kScalePath, {.body = ScaleJson("{}")});
  const control::WriteOutcome down = Write(PatchOf(1, 0));
  EXPECT_EQ(down.result.kind, Kind::kApplied);
  EXPECT_EQ(down.scale->spec_replicas, 0);
  Write(PatchOf(0, 1));
  const auto requests = server_.Requests(kScalePath);
  EXPECT_EQ(Json::parse(requests[0].body)[2]["value"], Json::parse(R"({"replicas":0})"));
  EXPECT_EQ(Json::parse(requests[1].body)[1]["value"], Json::object());
  EXPECT_EQ(Json::parse(requests[1].body)[2]["value"], Json::parse(R"({"replicas":1})"));
}

TEST_F(ScaleWriterTest, EachAnswerHasItsOutcome) {
  const std::string invalid =
      R"({"name":"web","kind":"Scale","group":"autoscaling","causes":[{"reason":)"
      R"("FieldValueInvalid","message":"m","field":"spec.replicas"}]})";
  const struct {
    Answer answer;
    Kind kind;
    std::string error;
  } cases[] = {
      {Refusal(409, "Conflict", "the object has been modified"), Kind::kConflict, "modified"},
      {kFailedTest, Kind::kConflict, "the server rejected our request"},
      {Refusal(422, "Invalid", "Scale is invalid: spec.replicas", invalid), Kind::kRejected,
       "spec.replicas"},
      {Refusal(404, "NotFound", "deployments.apps \\\"web\\\" not found"), Kind::kGone,
       "not found"},
      {Refusal(400, "BadRequest", "bad patch"), Kind::kRejected, "bad patch"},
      {Refusal(401, "Unauthorized", "Unauthorized"), Kind::kRejected, "Unauthorized"},
      {Refusal(403, "Forbidden", "no patch for you"), Kind::kRejected, "no patch for you"},
      {Refusal(429, "TooManyRequests", "slow down"), Kind::kRejected, "slow down"},
      {Refusal(500, "InternalError", "boom"), Kind::kUnknown, "boom"},
      {Refusal(503, "ServiceUnavailable", "away"), Kind::kUnknown, "away"},
      {{.status = 502, .body = "<html>"}, Kind::kUnknown, "502"},
      {{.body = "garbage"}, Kind::kUnknown, "PATCH http"},
      {{.body = R"({"kind":"Status"})"}, Kind::kUnknown, "no Scale"},
      {{.body = ScaleJson(R"({"replicas":-1})")}, Kind::kUnknown, "make no sense"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.answer.body);
    server_.On("PATCH", kScalePath, c.answer);
    const control::WriteOutcome outcome = Write(PatchOf(3, 5));
    EXPECT_EQ(outcome.result.kind, c.kind);
    EXPECT_THAT(outcome.result.error, HasSubstr(c.error));
    EXPECT_FALSE(outcome.scale.has_value());
    EXPECT_TRUE(AwaitReport("scaling Deployment shop/web: "));
  }
}

TEST_F(ScaleWriterTest, WithoutAnAnswerNobodyKnows) {
  // It hangs.
  testing_support::RawServer silent([](int socket, int) {
    testing_support::RawServer::ReadHead(socket);
    testing_support::RawServer::AwaitClose(socket);
  });
  api::Client to_silent(http_, ConfigOf(silent.url()));
  context_.client = &to_silent;
  EXPECT_EQ(Write(PatchOf(3, 5), {.timeout = absl::Milliseconds(100)}).result.kind, Kind::kUnknown);
  // It breaks off.
  testing_support::RawServer rude(
      [](int socket, int) { testing_support::RawServer::ReadHead(socket); });
  api::Client to_rude(http_, ConfigOf(rude.url()));
  context_.client = &to_rude;
  EXPECT_EQ(Write(PatchOf(3, 5)).result.kind, Kind::kUnknown);
  // It is not there.
  api::Client to_nobody(
      http_, ConfigOf("http://127.0.0.1:" + std::to_string(testing_support::FreePort())));
  context_.client = &to_nobody;
  EXPECT_EQ(Write(PatchOf(3, 5)).result.kind, Kind::kUnknown);
  Settle();
}

TEST_F(ScaleWriterTest, OtherKindsAreFoundByDiscovery) {
  server_.On("GET", "/apis/example.com",
             {.body = R"({"kind":"APIGroup","preferredVersion":{"version":"v2"},
                 "versions":[{"version":"v2"}]})"});
  server_.On("GET", "/apis/example.com/v2",
             {.body = R"({"resources":[{"name":"widgets","kind":"Widget","namespaced":true},
                 {"name":"widgets/scale","kind":"Scale","namespaced":true}]})"});
  server_.On("PATCH", "/apis/example.com/v2/namespaces/shop/widgets/web/scale",
             {.body = ScaleJson(R"({"replicas":5})")});
  EXPECT_EQ(Write(PatchOf(3, 5, "Widget", "example.com")).result.kind, Kind::kApplied);
  // Nothing was sent, so that nothing was written.
  const control::WriteOutcome unknown_kind = Write(PatchOf(3, 5, "Gadget", "example.com"));
  EXPECT_EQ(unknown_kind.result.kind, Kind::kGone);
  EXPECT_EQ(unknown_kind.result.error, "no matches for kind \"Gadget\" in group \"example.com\"");
  server_.On("GET", "/apis/broken.com", Refusal(500, "InternalError", "boom"));
  EXPECT_EQ(Write(PatchOf(3, 5, "Gadget", "broken.com")).result.kind, Kind::kRejected);
}

// A scale that is only read every 15 s would stay as it was until then.
TEST_F(ScaleWriterTest, AfterAConflictTheScaleIsReadAgain) {
  std::atomic<int> reread = 0;
  const ScaleWriterOptions options{.timeout = absl::Seconds(10),
                                   .reread = [&](const control::TargetRef& target) {
                                     EXPECT_EQ(target.name, "web");
                                     ++reread;
                                   }};
  server_.On("PATCH", kScalePath, {.body = ScaleJson(R"({"replicas":5})")});
  EXPECT_EQ(Write(PatchOf(3, 5), options).result.kind, Kind::kApplied);
  server_.On("PATCH", kScalePath, Refusal(400, "BadRequest", "bad patch"));
  EXPECT_EQ(Write(PatchOf(3, 5), options).result.kind, Kind::kRejected);
  EXPECT_EQ(reread, 0);
  server_.On("PATCH", kScalePath, kFailedTest);
  EXPECT_EQ(Write(PatchOf(3, 5), options).result.kind, Kind::kConflict);
  EXPECT_EQ(reread, 1);
}

TEST_F(ScaleWriterTest, AfterTheEndNothingIsSaid) {
  testing_support::RawServer silent([](int socket, int) {
    testing_support::RawServer::ReadHead(socket);
    testing_support::RawServer::AwaitClose(socket);
  });
  api::Client to_silent(http_, ConfigOf(silent.url()));
  context_.client = &to_silent;
  {
    ApiScaleWriter writer(context_, {.timeout = absl::Milliseconds(50)});
    writer.Write(PatchOf(3, 5));
    ASSERT_TRUE(WaitFor([&] { return silent.connections() == 1; }));
  }
  std::atomic<bool> later = false;
  http_.After(absl::Milliseconds(100), [&] { later = true; });
  ASSERT_TRUE(WaitFor([&] { return later.load(); }));
  EXPECT_THAT(messages(), IsEmpty());
}

TEST_F(ScaleWriterTest, TheWithholdingOneAsksNobody) {
  WithheldScaleWriter writer(context_.sink);
  writer.Write(PatchOf(3, 5));
  const auto outcomes = All<control::WriteOutcome>();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].write_id, 9U);
  EXPECT_EQ(outcomes[0].result.kind, Kind::kWithheld);
  EXPECT_FALSE(outcomes[0].scale.has_value());
  Settle();
  EXPECT_THAT(server_.Requests(), IsEmpty());
}

// ---- status

constexpr char kStatusPath[] = "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/web/status";

class StatusWriterTest : public Edge {
 protected:
  static control::WriteStatus StatusOf(int32_t desired, const std::string& explanation = "",
                                       const std::string& uid = "a-1",
                                       const std::string& name = "web") {
    control::WriteStatus write;
    write.uid = uid;
    write.key = {.ns = "shop", .name = name};
    write.status.current_replicas = 1;
    write.status.desired_replicas = desired;
    write.explanation = explanation;
    return write;
  }
  // Our own small encoding: what it holds is kube/objects' matter.
  static std::string Encode(const control::WriteStatus& write) {
    return Json({{"desired", write.status.desired_replicas}, {"why", write.explanation}}).dump();
  }
  std::vector<int> Written(const std::string& path = kStatusPath) {
    std::vector<int> out;
    for (const auto& request : server_.Requests(path)) {
      out.push_back(Json::parse(request.body)["status"]["desired"]);
    }
    return out;
  }
};

TEST_F(StatusWriterTest, IsAMergePatchUnderTheObjectsUid) {
  server_.On("PATCH", kStatusPath, {.body = "{}"});
  StatusWriter writer(context_, Encode);
  writer.Write(StatusOf(3, "quote \" and\nline"));
  ASSERT_TRUE(server_.AwaitRequests(kStatusPath, 1));
  const auto request = server_.Requests(kStatusPath)[0];
  EXPECT_EQ(request.content_type, "application/merge-patch+json");
  EXPECT_EQ(Json::parse(request.body),
            (Json{{"metadata", {{"uid", "a-1"}}},
                  {"status", {{"desired", 3}, {"why", "quote \" and\nline"}}}}));
}

TEST_F(StatusWriterTest, WhatSaysNothingNewIsNotWritten) {
  server_.On("PATCH", kStatusPath, {.body = "{}"});
  StatusWriter writer(context_, Encode);
  writer.Write(StatusOf(3));
  ASSERT_TRUE(server_.AwaitRequests(kStatusPath, 1));
  for (int i = 4; i < 10; ++i) {
    writer.Write(StatusOf(i - 1));  // as before, whether its reply has come or not
    writer.Write(StatusOf(i));
    ASSERT_TRUE(WaitFor([&] { return Written().back() == i; }));
  }
  EXPECT_THAT(Written(), ElementsAre(3, 4, 5, 6, 7, 8, 9));
}

TEST_F(StatusWriterTest, OfWhatWaitsOnlyTheLatestIsWritten) {
  std::atomic<bool> open = false;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("PATCH", kStatusPath, [&](const ApiServer::Request&) -> Answer {
    WaitFor([&] { return open.load(); });
    return {.body = "{}"};
  });
  StatusWriter writer(context_, Encode);
  writer.Write(StatusOf(1));
  ASSERT_TRUE(server_.AwaitRequests(kStatusPath, 1));
  for (int i = 2; i <= 50; ++i) writer.Write(StatusOf(i));
  Settle();
  open = true;
  ASSERT_TRUE(server_.AwaitRequests(kStatusPath, 2));
  Settle();
  EXPECT_THAT(Written(), ElementsAre(1, 50));
}

TEST_F(StatusWriterTest, KeepsToItsRate) {
  server_.On("PATCH", kStatusPath, {.body = "{}"});
  // The first takes the only token; then one comes every 100 ms.
  StatusWriter writer(context_, Encode, {.per_second = 10, .burst = 1});
  const base::Clock clock;
  for (int i = 0; i < 4; ++i) writer.Write(StatusOf(1, "", "u" + std::to_string(i)));
  ASSERT_TRUE(server_.AwaitRequests(kStatusPath, 4));
  EXPECT_GE(clock.Elapsed(), absl::Milliseconds(290));
}

TEST_F(StatusWriterTest, ChangesOfCountsGoBeforeThoseOfWords) {
  std::atomic<bool> closed = false;
  const ApiServer::StopAtEnd stop(server_);
  const auto path = [](int i) {
    return "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/o" + std::to_string(i) + "/status";
  };
  for (int i = 0; i < 4; ++i) {
    server_.On("PATCH", path(i), [&](const ApiServer::Request&) -> Answer {
      WaitFor([&] { return !closed; });
      return {.body = "{}"};
    });
  }
  StatusWriter writer(context_, Encode, {.at_a_time = 1});
  const auto write = [&](int i, int desired, const std::string& why) {
    writer.Write(StatusOf(desired, why, "u" + std::to_string(i), "o" + std::to_string(i)));
  };
  for (int i = 0; i < 3; ++i) write(i, 1, "first");
  ASSERT_TRUE(server_.AwaitRequests(path(2), 1));
  closed = true;
  write(3, 1, "holds the others up");
  ASSERT_TRUE(server_.AwaitRequests(path(3), 1));
  write(1, 1, "other words");
  write(2, 1, "other words");
  write(0, 2, "a new count");
  Settle();
  closed = false;
  ASSERT_TRUE(server_.AwaitRequests(path(2), 2));
  std::vector<std::string> order;
  for (const auto& request : server_.Requests()) order.push_back(request.path);
  ASSERT_EQ(order.size(), 7U);
  EXPECT_THAT(std::vector<std::string>(order.end() - 3, order.end()),
              ElementsAre(path(0), path(1), path(2)));
}

TEST_F(StatusWriterTest, WhatFailsInPassingIsTriedAgain) {
  std::atomic<int> left = 4;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("PATCH", kStatusPath, [&](const ApiServer::Request&) -> Answer {
    const int n = left--;
    if (n == 4) return Refusal(401, "Unauthorized", "a token that was just renewed");
    if (n == 3) return Refusal(500, "InternalError", "boom");
    if (n == 2) return Refusal(429, "TooManyRequests", "slow down");
    if (n == 1) return Refusal(503, "ServiceUnavailable", "away");
    return {.body = "{}"};
  });
  StatusWriter writer(context_, Encode, {.retry_min = absl::Milliseconds(5)});
  writer.Write(StatusOf(3));
  ASSERT_TRUE(server_.AwaitRequests(kStatusPath, 5));
  EXPECT_THAT(Written(), ElementsAre(3, 3, 3, 3, 3));
  EXPECT_TRUE(AwaitReport("status of shop/web: "));
  EXPECT_THAT(reports(), SizeIs(4));
}

TEST_F(StatusWriterTest, ANewerStatusTakesThePlaceOfTheOneToBeTriedAgain) {
  std::atomic<bool> up = false;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("PATCH", kStatusPath, [&](const ApiServer::Request&) -> Answer {
    return up ? Answer{.body = "{}"} : Refusal(500, "InternalError", "boom");
  });
  StatusWriter writer(context_, Encode, {.retry_min = absl::Milliseconds(200)});
  writer.Write(StatusOf(3));
  ASSERT_TRUE(AwaitReport("boom"));
  writer.Write(StatusOf(4));
  Settle();
  up = true;
  ASSERT_TRUE(WaitFor([&] { return Written().back() == 4; }));
  EXPECT_THAT(Written(), ElementsAre(3, 4));
}

TEST_F(StatusWriterTest, RefusedAndGoneObjectsAreLeftAlone) {
  StatusWriter writer(context_, Encode, {.retry_min = absl::Milliseconds(1)});
  int n = 0;
  for (const int code : {400, 403, 404, 409, 422}) {
    SCOPED_TRACE(code);
    server_.On("PATCH", kStatusPath, Refusal(code, "", "no"));
    writer.Write(StatusOf(100));
    ASSERT_TRUE(server_.AwaitRequests(kStatusPath, static_cast<size_t>(++n)));
    // The next one is written whatever it says: the server has not got the last.
    ASSERT_TRUE(WaitFor([&] {
      Settle();
      writer.Write(StatusOf(100));
      return server_.Requests(kStatusPath).size() > static_cast<size_t>(n);
    }));
    n = static_cast<int>(server_.Requests(kStatusPath).size());
    ASSERT_TRUE(WaitFor([&] {
      Settle();
      const auto seen = static_cast<int>(server_.Requests(kStatusPath).size());
      return std::exchange(n, seen) == seen;
    }));
  }
  for (const std::string& report : reports()) {
    EXPECT_THAT(report, ::testing::AnyOf(HasSubstr("BadRequest"), HasSubstr("no")));
  }
}

TEST_F(StatusWriterTest, OtherKindsAreNotItsToWrite) {
  StatusWriter writer(context_, Encode);
  control::WriteStatus hpa = StatusOf(3);
  hpa.kind = core::ObjectKind::kHpa;
  writer.Write(hpa);
  Settle();
  EXPECT_THAT(server_.Requests(), IsEmpty());
}

// ---- events

constexpr char kEventsPath[] = "/api/v1/namespaces/shop/events";

control::EmitEvent EventOf(const std::string& message, const std::string& reason = "Rescaled",
                           core::EventType type = core::EventType::kNormal) {
  control::EmitEvent emit;
  emit.uid = "a-1";
  emit.key = {.ns = "shop", .name = "web"};
  emit.event = {.type = type, .reason = reason, .message = message};
  return emit;
}

TEST(EventThinner, ARepeatedEventOnlyCountsUp) {
  EventThinner thinner;
  const absl::Time now = absl::FromUnixSeconds(1000);
  const core::Event event = EventOf("m").event;
  const auto first = thinner.Thin("o", event, now);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->name, "");
  EXPECT_EQ(first->count, 1);
  thinner.Written(*first, "web.1");
  const auto second = thinner.Thin("o", event, now + absl::Seconds(5));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->name, "web.1");
  EXPECT_EQ(second->count, 2);
  EXPECT_EQ(second->first, now);
  thinner.Forget(*second);
  EXPECT_EQ(thinner.Thin("o", event, now + absl::Seconds(6))->name, "");
}

TEST(EventThinner, SimilarOnesAreCombinedFromTheTenthOn) {
  EventThinner thinner;
  const absl::Time now = absl::FromUnixSeconds(1000);
  const auto thin = [&](int i, absl::Time at) {
    return thinner.Thin("o", EventOf("message " + std::to_string(i)).event, at);
  };
  for (int i = 0; i < 9; ++i) EXPECT_EQ(thin(i, now)->message, "message " + std::to_string(i));
  const auto tenth = thin(9, now);
  EXPECT_EQ(tenth->message, "(combined from similar events): message 9");
  thinner.Written(*tenth, "web.c");
  const auto next = thin(10, now + absl::Seconds(599));
  EXPECT_EQ(next->name, "web.c");  // one event for all of them
  EXPECT_EQ(next->count, 2);
  // Ten quiet minutes later they are told apart again.
  EXPECT_EQ(thin(11, now + absl::Seconds(599 + 601))->message, "message 11");
}

TEST(EventThinner, AnObjectMaySendABurstThenOneInFiveMinutes) {
  EventThinner thinner;
  const absl::Time now = absl::FromUnixSeconds(1000);
  const core::Event event = EventOf("m").event;
  int sent = 0;
  for (int i = 0; i < 100; ++i) sent += thinner.Thin("o", event, now).has_value() ? 1 : 0;
  EXPECT_EQ(sent, 25);
  EXPECT_TRUE(thinner.Thin("another", event, now).has_value());
  EXPECT_FALSE(thinner.Thin("o", event, now + absl::Seconds(299)).has_value());
  const auto later = thinner.Thin("o", event, now + absl::Seconds(301));
  ASSERT_TRUE(later.has_value());
  EXPECT_EQ(later->count, 102);  // those that were not sent are counted
}

TEST(EventThinner, RemembersABoundedNumber) {
  EventThinner thinner({.remembered = 10});
  const absl::Time now = absl::FromUnixSeconds(1000);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(thinner.Thin("o" + std::to_string(i), EventOf("m").event, now).has_value());
  }
  RecentlyUsed<int> used(2);
  used["a"] = 1;
  used["b"] = 2;
  used["a"] = 3;
  used["c"] = 4;
  EXPECT_EQ(used.size(), 2U);
  EXPECT_EQ(used["a"], 3);
  EXPECT_EQ(used["b"], 0);  // it went
}

class EventWriterTest : public Edge {};

TEST_F(EventWriterTest, CreatesThenCountsUp) {
  server_.On("POST", kEventsPath, {.status = 201, .body = "{}"});
  EventWriter writer(context_, {.instance = "neapd-0", .thinning = {.burst = 1e9}});
  writer.Write(EventOf("New size: 3", "SuccessfulRescale"));
  ASSERT_TRUE(server_.AwaitRequests(kEventsPath, 1));
  const Json created = Json::parse(server_.Requests(kEventsPath)[0].body);
  const std::string name = created["metadata"]["name"];
  EXPECT_THAT(name, StartsWith("web."));
  EXPECT_EQ(created["metadata"]["namespace"], "shop");
  EXPECT_EQ(created["involvedObject"], Json::parse(R"({"kind":"Autoscaler",
      "apiVersion":"neap.dev/v1alpha1","namespace":"shop","name":"web","uid":"a-1"})"));
  EXPECT_EQ(created["reason"], "SuccessfulRescale");
  EXPECT_EQ(created["message"], "New size: 3");
  EXPECT_EQ(created["type"], "Normal");
  EXPECT_EQ(created["count"], 1);
  EXPECT_EQ(created["source"]["component"], "neap");
  EXPECT_EQ(created["reportingInstance"], "neapd-0");
  EXPECT_EQ(created["firstTimestamp"], created["lastTimestamp"]);

  const std::string path = std::string(kEventsPath) + "/" + name;
  server_.On("PATCH", path, {.body = "{}"});
  ASSERT_TRUE(WaitFor([&] {  // from when the reply has been seen on, it is an update
    writer.Write(EventOf("New size: 3", "SuccessfulRescale"));
    Settle();
    return !server_.Requests(path).empty();
  }));
  const auto update = server_.Requests(path)[0];
  EXPECT_EQ(update.content_type, "application/merge-patch+json");
  EXPECT_GE(Json::parse(update.body)["count"], 2);
  EXPECT_EQ(Json::parse(update.body)["message"], "New size: 3");
}

TEST_F(EventWriterTest, WhileItIsBeingCreatedTheSameIsNotCreatedTwice) {
  std::atomic<bool> open = false;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("POST", kEventsPath, [&](const ApiServer::Request&) -> Answer {
    WaitFor([&] { return open.load(); });
    return {.status = 201, .body = "{}"};
  });
  EventWriter writer(context_, {.thinning = {.burst = 1e9}});
  for (int i = 0; i < 5; ++i) writer.Write(EventOf("m"));
  ASSERT_TRUE(server_.AwaitRequests(kEventsPath, 1));
  Settle();
  open = true;
  const std::string path =
      std::string(kEventsPath) + "/" +
      std::string(Json::parse(server_.Requests(kEventsPath)[0].body)["metadata"]["name"]);
  server_.On("PATCH", path, {.body = "{}"});
  ASSERT_TRUE(WaitFor([&] {
    writer.Write(EventOf("m"));
    Settle();
    return !server_.Requests(path).empty();
  }));
  EXPECT_GE(Json::parse(server_.Requests(path)[0].body)["count"], 6);
  EXPECT_THAT(server_.Requests(kEventsPath), SizeIs(1));
}

TEST_F(EventWriterTest, AnEventThatExpiredIsCreatedAnew) {
  server_.On("POST", kEventsPath, {.status = 201, .body = "{}"});
  EventWriter writer(context_, {.thinning = {.burst = 1e9}});
  ASSERT_TRUE(WaitFor([&] {  // the PATCHes answer 404
    writer.Write(EventOf("m", "Failed", core::EventType::kWarning));
    Settle();
    return server_.Requests(kEventsPath).size() >= 2;
  }));
  EXPECT_GT(server_.Requests().size(), 2U);
  const Json again = Json::parse(server_.Requests(kEventsPath).back().body);
  EXPECT_EQ(again["count"], 1);
  EXPECT_EQ(again["type"], "Warning");
}

TEST_F(EventWriterTest, FailuresAreReportedAndForgotten) {
  server_.On("POST", kEventsPath, Refusal(403, "Forbidden", "no events for you"));
  EventWriter writer(context_);
  writer.Write(EventOf("m"));
  EXPECT_TRUE(AwaitReport("event of shop/web: "));
  EXPECT_TRUE(AwaitReport("no events for you"));
}

TEST_F(EventWriterTest, AFloodIsBoundedAndSaysSoOnce) {
  std::atomic<bool> open = false;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("POST", kEventsPath, [&](const ApiServer::Request&) -> Answer {
    WaitFor([&] { return open.load(); });
    return {.status = 201, .body = "{}"};
  });
  EventWriter writer(context_, {.at_a_time = 1, .waiting = 3});
  for (int i = 0; i < 20; ++i) {
    control::EmitEvent event = EventOf("m" + std::to_string(i));
    event.uid = "u" + std::to_string(i);
    writer.Write(event);
  }
  EXPECT_TRUE(AwaitReport("events: 3 events wait: further ones are dropped"));
  Settle();
  EXPECT_THAT(reports(), SizeIs(1));
  open = true;
  EXPECT_TRUE(server_.AwaitRequests(kEventsPath, 4));
}

}  // namespace
}  // namespace neap::kube
