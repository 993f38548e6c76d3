// api::Client, its errors, and Discovery, against an HTTP server.
#include "autoscaler/kube/api/client.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/status.h"
#include "autoscaler/kube/api/discovery.h"
#include "tests/kube/api_server.h"

namespace neap::kube::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::WaitFor;

std::string Text(const absl::Status& status) { return std::string(base::Message(status)); }

ClusterConfig ConfigOf(const std::string& server) {
  ClusterConfig config;
  config.server = server;
  return config;
}

TEST(ResourcePath, EncodesItsParts) {
  EXPECT_EQ(ResourcePath("", "v1", "pods"), "/api/v1/pods");
  EXPECT_EQ(ResourcePath("apps", "v1", "deployments", "shop", "web", "scale"),
            "/apis/apps/v1/namespaces/shop/deployments/web/scale");
  EXPECT_EQ(ResourcePath("custom.metrics.k8s.io", "v1beta2", "pods", "a/b", "*", "m x"),
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/a%2Fb/pods/%2A/m%20x");
}

TEST(ApiError, EachCodeHasItsStatusAndKeepsWhatTheServerSaid) {
  const struct {
    int code;
    std::string reason;
    absl::StatusCode status;
  } cases[] = {
      {400, "BadRequest", absl::StatusCode::kInvalidArgument},
      {401, "Unauthorized", absl::StatusCode::kUnauthenticated},
      {403, "Forbidden", absl::StatusCode::kPermissionDenied},
      {404, "NotFound", absl::StatusCode::kNotFound},
      {409, "Conflict", absl::StatusCode::kAborted},
      {409, "AlreadyExists", absl::StatusCode::kAlreadyExists},
      {410, "Expired", absl::StatusCode::kOutOfRange},
      {422, "Invalid", absl::StatusCode::kFailedPrecondition},
      {429, "TooManyRequests", absl::StatusCode::kResourceExhausted},
      {500, "InternalError", absl::StatusCode::kInternal},
      {503, "ServiceUnavailable", absl::StatusCode::kUnavailable},
      {418, "Teapot", absl::StatusCode::kUnknown},
  };
  http::Client http;
  ApiServer server;
  Client client(http, ConfigOf(server.url()));
  for (const auto& c : cases) {
    SCOPED_TRACE(c.reason);
    server.On("GET", "/x",
              Refusal(c.code, c.reason, "words",
                      R"({"name":"web","kind":"Scale","causes":[{"reason":"FieldValueInvalid",)"
                      R"("message":"m","field":"spec.replicas"}],"retryAfterSeconds":3})"));
    const auto reply = client.Do({.path = "/x"});
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.status().code(), c.status);
    EXPECT_EQ(Text(reply.status()), "GET " + server.url() + "/x: words");
    EXPECT_EQ(ServerMessage(reply.status()), "words");
    EXPECT_EQ(ApiErrorOf(reply.status()),
              (ApiError{.code = c.code,
                        .reason = c.reason,
                        .message = "words",
                        .kind = "Scale",
                        .name = "web",
                        .causes = {{"FieldValueInvalid", "m", "spec.replicas"}},
                        .retry_after = absl::Seconds(3)}));
  }
}

TEST(ApiError, AnswersThatAreNoStatusSaySo) {
  const ApiError html =
      ApiErrorFrom({.status = 502, .headers = {}, .body = "<html>\nbad", .url = {}});
  EXPECT_EQ(html.message, "the server answered 502 (Unknown): <html> bad");
  EXPECT_EQ(ApiErrorFrom({.status = 503, .headers = {}, .body = "", .url = {}}).message,
            "the server answered 503 (ServiceUnavailable)");
  // Fields of wrong types are passed over.
  const ApiError odd = ApiErrorFrom(
      {.status = 409,
       .headers = {{"Retry-After", "7"}},
       .body = R"({"kind":"Status","code":"x","message":3,"details":{"causes":[1],"kind":[]}})",
       .url = {}});
  EXPECT_EQ(odd.code, 409);
  EXPECT_EQ(odd.reason, "Conflict");
  EXPECT_EQ(odd.retry_after, absl::Seconds(7));
  EXPECT_EQ(ApiErrorOf(absl::UnavailableError("x")), std::nullopt);
}

TEST(Client, SendsCredentialsAndMediaTypes) {
  http::Client http;
  ApiServer server;
  server.On("PATCH", "/x", {.body = "{}"});
  server.On("GET", "/x", {.body = "{}"});
  ClusterConfig config = ConfigOf(server.url());
  config.token = "s3cret";
  Client with_token(http, config);
  ASSERT_TRUE(with_token
                  .Do({.method = "PATCH",
                       .path = "/x",
                       .query = {{"fieldManager", "a b"}},
                       .body = "[]",
                       .content_type = kJsonPatch})
                  .ok());
  config.token.clear();
  config.username = "bob";
  config.password = "pw";
  Client with_password(http, config);
  ASSERT_TRUE(with_password.Do({.path = "/x"}).ok());
  const auto requests = server.Requests("/x");
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].authorization, "Bearer s3cret");
  EXPECT_EQ(requests[0].content_type, "application/json-patch+json");
  EXPECT_EQ(requests[0].body, "[]");
  EXPECT_EQ(requests[0].Query("fieldManager"), "a b");
  EXPECT_EQ(requests[1].authorization, http::BasicAuthorization("bob", "pw"));
}

TEST(Client, ATokenFileIsReadAgainAfterA401) {
  testing_support::TempDir dir;
  http::Client http;
  ApiServer server;
  server.On("GET", "/x", [](const ApiServer::Request& request) -> Answer {
    if (request.authorization == "Bearer new") return {.body = "{}"};
    return Refusal(401, "Unauthorized", "Unauthorized");
  });
  ClusterConfig config = ConfigOf(server.url());
  config.token_file = dir.Write("token", "old\n");
  Client client(http, config);
  EXPECT_TRUE(absl::IsUnauthenticated(client.Do({.path = "/x"}).status()));
  dir.Write("token", "new\n");
  EXPECT_TRUE(client.Do({.path = "/x"}).ok());
  // While the file is being replaced the old token is better than none.
  dir.Write("token", "");
  EXPECT_TRUE(client.Do({.path = "/x"}).ok());
}

TEST(Client, AnUnusableTokenFileIsNamed) {
  http::Client http;
  ClusterConfig config = ConfigOf("http://127.0.0.1:1");
  config.token_file = "/nowhere/token";
  Client client(http, config);
  EXPECT_THAT(Text(client.Do({.path = "/x"}).status()), HasSubstr("/nowhere/token"));
  testing_support::Guarded<absl::Status> seen;
  std::atomic<int> calls = 0;
  client.Send({.path = "/x"}, [&](absl::StatusOr<Reply> reply) {
    seen.Set(reply.status());
    ++calls;
  });
  client.Stream({.path = "/x"}, absl::Seconds(1), {.on_end = [&](absl::Status) { ++calls; }});
  ASSERT_TRUE(WaitFor([&] { return calls == 2; }));
  EXPECT_TRUE(absl::IsUnauthenticated(seen.Get()));
}

TEST(Client, ProvesItselfByTheKubeconfigsCertificate) {
  const testing_support::TestAuthority ca;
  const testing_support::TestCertificate server_cert = ca.Issue("127.0.0.1");
  const testing_support::TestCertificate me = ca.Issue("bob");
  ApiServer server({.tls = &server_cert, .client_ca = &ca, .keep_alive = false});
  server.On("GET", "/x", {.body = "{}"});
  http::Client http;
  testing_support::TempDir dir;
  const std::string start =
      "current-context: m\ncontexts: [{name: m, context: {cluster: c, user: "
      "u}}]\nclusters: [{name: c, cluster: {server: '" +
      server.url() + "', certificate-authority: ca.crt}}]\n";
  dir.Write("ca.crt", ca.cert());
  dir.Write("me.crt", me.cert);
  dir.Write("me.key", me.key);
  const auto with = LoadKubeconfig(dir.Write(
      "with",
      start + "users: [{name: u, user: {client-certificate: me.crt, client-key: me.key}}]"));
  ASSERT_TRUE(with.ok()) << with.status();
  const auto reply = Client(http, *with).Do({.path = "/x"});
  EXPECT_TRUE(reply.ok()) << reply.status();
  const auto without = LoadKubeconfig(dir.Write("without", start + "users: [{name: u, user: {}}]"));
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE(Client(http, *without).Do({.path = "/x"}).ok());
  ClusterConfig distrustful = *with;
  distrustful.tls.ca_file.clear();
  distrustful.tls.ca_pem = testing_support::TestAuthority("another").cert();
  EXPECT_TRUE(absl::IsUnauthenticated(Client(http, distrustful).Do({.path = "/x"}).status()));
}

TEST(Client, SaysAsWhomItAskedWhereItWasNotLetIn) {
  http::Client http;
  ApiServer server;
  ClusterConfig config = ConfigOf(server.url());
  config.origin = "bobs-config";
  config.context = "main";
  config.cluster = "prod";
  config.user = "bob";
  Client client(http, config);
  const std::string who = " (context \"main\", cluster \"prod\", user \"bob\" of bobs-config)";
  server.On("GET", "/x", Refusal(401, "Unauthorized", "Unauthorized"));
  const auto unknown = client.Do({.path = "/x"}).status();
  EXPECT_EQ(Text(unknown), "GET " + server.url() + "/x: Unauthorized" + who);
  EXPECT_EQ(ServerMessage(unknown), "Unauthorized");  // what conditions show
  server.On("GET", "/x", Refusal(403, "Forbidden", "no"));
  EXPECT_THAT(Text(client.Do({.path = "/x"}).status()), HasSubstr("no" + who));
  server.On("GET", "/x", Refusal(500, "InternalError", "boom"));
  EXPECT_THAT(Text(client.Do({.path = "/x"}).status()), Not(HasSubstr("bob")));

  const testing_support::TestAuthority ca;
  const testing_support::TestCertificate old = ca.Issue("127.0.0.1", false, -7200, -3600);
  ApiServer expired({.tls = &old, .keep_alive = false});
  config.server = expired.url();
  config.tls.ca_pem = ca.cert();
  EXPECT_THAT(Text(Client(http, config).Do({.path = "/x"}).status()),
              HasSubstr("certificate has expired" + who));
}

TEST(Client, ActsAsAnother) {
  http::Client http;
  ApiServer server;
  server.On("GET", "/x", {.body = "{}"});
  ClusterConfig config = ConfigOf(server.url());
  config.token = "s3cret";
  config.impersonate = {
      .user = "ann", .uid = "u1", .groups = {"g1", "g2"}, .extra = {{"acme.com/x", {"a", "b"}}}};
  ASSERT_TRUE(Client(http, config).Do({.path = "/x"}).ok());
  const auto request = server.Requests("/x")[0];
  std::vector<std::string> as;
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("Impersonate-")) as.push_back(name + "=" + value);
  }
  EXPECT_THAT(as, testing::UnorderedElementsAre("Impersonate-User=ann", "Impersonate-Uid=u1",
                                                "Impersonate-Group=g1", "Impersonate-Group=g2",
                                                "Impersonate-Extra-acme.com%2Fx=a",
                                                "Impersonate-Extra-acme.com%2Fx=b"));
}

TEST(Client, CountsRequestsAndTellsTheServersClock) {
  http::Client http;
  ApiServer server;
  const std::string in_an_hour = absl::FormatTime(
      "%a, %d %b %Y %H:%M:%S GMT", absl::Now() + absl::Hours(1), absl::UTCTimeZone());
  server.On("GET", "/api/v1/namespaces/shop/pods", {.body = List("1", "")});
  server.On("GET", "/apis/apps/v1/deployments", Refusal(403, "Forbidden", "no"));
  server.On("GET", "/apis", {.body = "{}", .headers = {{"Date", in_an_hour}}});
  Client client(http, ConfigOf(server.url()));
  ASSERT_TRUE(client.Do({.path = "/api/v1/namespaces/shop/pods"}).ok());
  ASSERT_TRUE(client.Do({.path = "/api/v1/namespaces/shop/pods"}).ok());
  ASSERT_FALSE(client.Do({.path = "/apis/apps/v1/deployments"}).ok());
  ASSERT_FALSE(client
                   .Do({.method = "PATCH",
                        .path = "/apis/apps/v1/namespaces/a/deployments/b/scale",
                        .body = "[]"})
                   .ok());
  ASSERT_FALSE(
      client.Do({.method = "PUT", .path = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"})
          .ok());
  ASSERT_TRUE(client.Do({.path = "/apis"}).ok());
  Client nowhere(http, ConfigOf("http://127.0.0.1:" + std::to_string(testing_support::FreePort())));
  ASSERT_FALSE(nowhere.Do({.method = "DELETE", .path = "/api/v1/namespaces/a"}).ok());
  const auto texts = [](const ClientCounters& counters) {
    std::vector<std::string> out;
    for (const RequestCount& c : counters.requests) {
      out.push_back(c.verb + " " + c.resource + " " + c.code + " " + std::to_string(c.requests));
    }
    return out;
  };
  EXPECT_THAT(texts(client.counters()),
              testing::UnorderedElementsAre("list pods 200 2", "list deployments 403 1",
                                            "patch deployments/scale 404 1", "update leases 404 1",
                                            "get - 200 1"));
  EXPECT_THAT(texts(nowhere.counters()), testing::ElementsAre("delete namespaces error 1"));
  ASSERT_TRUE(client.counters().clock_skew.has_value());
  EXPECT_GE(*client.counters().clock_skew, absl::Minutes(59));
  EXPECT_EQ(nowhere.counters().clock_skew, std::nullopt);
}

TEST(Client, ReadsWaitForTheirBudgetAndWritesDoNot) {
  http::Client http;
  ApiServer server;
  server.On("GET", "/x", {.body = "{}"});
  server.On("PUT", "/x", {.body = "{}"});
  // One read every 100 s: after the first two only writes get through.
  Client client(http, ConfigOf(server.url()), {.reads_per_second = 0.01, .burst = 2});
  ASSERT_TRUE(client.Do({.path = "/x"}).ok());
  ASSERT_TRUE(client.Do({.path = "/x"}).ok());
  std::atomic<int> answers = 0;
  const http::Id waiting =
      client.Send({.path = "/x", .timeout = absl::Hours(1)}, [&](const auto&) { ++answers; });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.Do({.method = "PUT", .path = "/x"}).ok());
  EXPECT_EQ(answers, 0);
  http.Cancel(waiting);
  ASSERT_TRUE(WaitFor([&] { return answers == 1; }));
  // One whose deadline would pass meanwhile is not kept for nothing.
  const auto refused = client.Do({.path = "/x", .timeout = absl::Seconds(30)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused.status()));
  EXPECT_THAT(Text(refused.status()), HasSubstr("the budget of reads"));
  EXPECT_EQ(client.counters().delayed, 1U);
  EXPECT_EQ(server.Requests("/x").size(), 7U);
}

TEST(Client, ReadsThatWaitedAreSent) {
  http::Client http;
  ApiServer server;
  server.On("GET", "/x", {.body = "{}"});
  Client client(http, ConfigOf(server.url()), {.reads_per_second = 50, .burst = 1});
  const base::Clock clock;
  for (int i = 0; i < 11; ++i) ASSERT_TRUE(client.Do({.path = "/x"}).ok());
  EXPECT_GE(clock.Elapsed(), absl::Milliseconds(190));
  EXPECT_EQ(server.Requests("/x").size(), 11U);
}

// The plugin of a kubeconfig, from the file to the request.
class ClientWithPlugin : public testing::Test {
 protected:
  ClusterConfig Config(const std::string& script) {
    const std::string command =
        dir_.Write("plugin", "#!/bin/sh\ncd " + dir_.path() + "\n" + script);
    std::filesystem::permissions(command, std::filesystem::perms::owner_all);
    const auto config = ParseKubeconfig(
        "current-context: m\ncontexts: [{name: m, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: '" +
            server_.url() +
            "'}}]\n"
            "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, "
            "command: ./plugin}}}]\n",
        "config", dir_.path());
    EXPECT_TRUE(config.ok()) << config.status();
    return *config;
  }
  static std::string Token(const std::string& token) {
    return R"(printf x >> runs
echo '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential",)"
           R"("status":{"token":")" +
           token + "\"}}'\n";
  }
  testing_support::TempDir dir_;
  ApiServer server_;
  http::Client http_;
};

TEST_F(ClientWithPlugin, RequestsWaitForItAndMayBeCancelledMeanwhile) {
  server_.On("GET", "/x", {.body = "{}"});
  Client client(http_, Config("while [ ! -e go ]; do sleep 0.01; done\n" + Token("t")));
  std::atomic<int> good = 0;
  std::atomic<int> cancelled = 0;
  const auto count = [&](const absl::StatusOr<Reply>& reply) {
    if (reply.ok()) ++good;
    if (absl::IsCancelled(reply.status())) ++cancelled;
  };
  client.Send({.path = "/x"}, count);
  http_.Cancel(client.Send({.path = "/x"}, count));
  std::atomic<bool> dropped_called = false;
  const http::Id dropped = client.Send({.path = "/x"}, [&](const auto&) { dropped_called = true; });
  http_.RunAndWait([&] { http_.Drop(dropped); });
  ASSERT_TRUE(WaitFor([&] { return cancelled == 1; }));
  EXPECT_TRUE(server_.Requests().empty());
  dir_.Write("go", "");
  ASSERT_TRUE(WaitFor([&] { return good == 1; }));
  EXPECT_EQ(server_.Requests("/x").size(), 1U);
  EXPECT_EQ(server_.Requests("/x")[0].authorization, "Bearer t");
  EXPECT_FALSE(dropped_called);
}

TEST_F(ClientWithPlugin, IsRunAgainAfterA401) {
  server_.On("GET", "/x", [](const ApiServer::Request& request) -> Answer {
    if (request.authorization == "Bearer 2") return {.body = "{}"};
    return Refusal(401, "Unauthorized", "Unauthorized");
  });
  ClientOptions options;
  options.credentials.refusal_spacing = absl::ZeroDuration();
  Client client(http_, Config(Token("'$(wc -c < runs)'")), options);
  const auto refused = client.Do({.path = "/x"}).status();
  EXPECT_TRUE(absl::IsUnauthenticated(refused));
  EXPECT_THAT(Text(refused), HasSubstr("context \"m\", cluster \"c\", user \"u\""));
  EXPECT_TRUE(client.Do({.path = "/x"}).ok());
}

TEST_F(ClientWithPlugin, ItsFailureIsTheRequests) {
  Client client(http_, Config("echo 'log in first' >&2; exit 1"));
  const auto failed = client.Do({.path = "/x"}).status();
  EXPECT_TRUE(absl::IsUnauthenticated(failed));
  EXPECT_EQ(Text(failed), "context \"m\", cluster \"c\", user \"u\" of config: credential plugin " +
                              dir_.path() + "/plugin: exit code 1: log in first");
  EXPECT_TRUE(server_.Requests().empty());
}

TEST_F(ClientWithPlugin, ARequestThatWaitsWhenTheClientGoesIsCancelled) {
  auto client = std::make_unique<Client>(http_, Config("sleep 1000"));
  testing_support::Guarded<absl::Status> end;
  std::atomic<bool> ended = false;
  client->Send({.path = "/x"}, [&](const absl::StatusOr<Reply>& reply) {
    end.Set(reply.status());
    ended = true;
  });
  client.reset();
  ASSERT_TRUE(WaitFor([&] { return ended.load(); }));
  EXPECT_TRUE(absl::IsCancelled(end.Get())) << end.Get();
}

TEST_F(ClientWithPlugin, ShowsItsCertificate) {
  const testing_support::TestAuthority ca;
  const testing_support::TestCertificate server_cert = ca.Issue("127.0.0.1");
  const testing_support::TestCertificate me = ca.Issue("bob");
  ApiServer server({.tls = &server_cert, .client_ca = &ca, .keep_alive = false});
  server.On("GET", "/x", {.body = "{}"});
  const nlohmann::json answer = {
      {"apiVersion", "client.authentication.k8s.io/v1beta1"},
      {"kind", "ExecCredential"},
      {"status", {{"clientCertificateData", me.cert}, {"clientKeyData", me.key}}}};
  dir_.Write("answer", answer.dump());
  ClusterConfig config = Config("cat answer");
  config.server = server.url();
  config.tls.ca_pem = ca.cert();
  const auto reply = Client(http_, config).Do({.path = "/x"});
  EXPECT_TRUE(reply.ok()) << reply.status();
}

// ---- Discovery

constexpr char kGroup[] = R"({"kind":"APIGroup","name":"example.com","versions":[
    {"groupVersion":"example.com/v1","version":"v1"},
    {"groupVersion":"example.com/v2","version":"v2"}],
    "preferredVersion":{"groupVersion":"example.com/v2","version":"v2"}})";
std::string Resources(const std::string& entries) {
  return R"({"kind":"APIResourceList","groupVersion":"x","resources":[)" + entries + "]}";
}

class DiscoveryTest : public testing::Test {
 protected:
  DiscoveryTest() {
    server_.On("GET", "/apis/example.com", {.body = kGroup});
    server_.On("GET", "/apis/example.com/v2",
               {.body = Resources(R"({"name":"widgets","kind":"Widget","namespaced":true},
                   {"name":"widgets/scale","kind":"Scale","namespaced":true},
                   {"name":"widgets/status","kind":"Widget","namespaced":true})")});
    server_.On("GET", "/apis/example.com/v1",
               {.body = Resources(R"({"name":"widgets","kind":"Widget","namespaced":true},
                   {"name":"gadgets","kind":"Gadget","namespaced":false})")});
    server_.On("GET", "/api/v1",
               {.body = Resources(R"({"name":"services","kind":"Service","namespaced":true})")});
  }
  absl::StatusOr<Resource> Find(const std::string& group, const std::string& kind) {
    testing_support::Guarded<absl::StatusOr<Resource>> found(absl::UnknownError("no answer"));
    std::atomic<bool> answered = false;
    discovery_.Find(group, kind, [&](absl::StatusOr<Resource> resource) {
      found.Set(std::move(resource));
      answered = true;
    });
    EXPECT_TRUE(WaitFor([&] { return answered.load(); }));
    return found.Get();
  }
  size_t GroupReads() { return server_.Requests("/apis/example.com").size(); }

  ApiServer server_;
  http::Client http_;
  Client client_{http_, ConfigOf(server_.url())};
  Discovery discovery_{client_, {.keep = absl::Minutes(10), .keep_missing = absl::Milliseconds(1)}};
};

TEST_F(DiscoveryTest, ThePreferredVersionComesFirst) {
  const auto widget = Find("example.com", "Widget");
  ASSERT_TRUE(widget.ok()) << widget.status();
  EXPECT_EQ(*widget, (Resource{.group = "example.com",
                               .version = "v2",
                               .plural = "widgets",
                               .kind = "Widget",
                               .namespaced = true,
                               .has_scale = true,
                               .has_status = true}));
  EXPECT_EQ(Find("example.com", "Gadget")->version, "v1");
  EXPECT_EQ(Find("example.com", "gadget")->plural, "gadgets");  // kinds are known in lower case
  EXPECT_EQ(Find("", "Service")->plural, "services");
  EXPECT_EQ(GroupReads(), 1U);
}

TEST_F(DiscoveryTest, WhatIsMissingIsAskedForAgainSoon) {
  const auto missing = Find("example.com", "Gizmo");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_EQ(Text(missing.status()), "no matches for kind \"Gizmo\" in group \"example.com\"");
  EXPECT_TRUE(absl::IsNotFound(Find("gone.example.com", "Widget").status()));
  server_.On("GET", "/apis/example.com/v1",
             {.body = Resources(R"({"name":"gizmos","kind":"Gizmo","namespaced":true})")});
  ASSERT_TRUE(WaitFor([&] { return Find("example.com", "Gizmo").ok(); }));
}

TEST_F(DiscoveryTest, ErrorsAreNotKept) {
  server_.On("GET", "/apis/example.com", Refusal(500, "InternalError", "boom"));
  EXPECT_EQ(Find("example.com", "Widget").status().code(), absl::StatusCode::kInternal);
  for (const char* garbage : {"", "[]", "{}", R"({"versions":[{}]})"}) {
    server_.On("GET", "/apis/example.com", {.body = garbage});
    EXPECT_FALSE(Find("example.com", "Widget").ok()) << garbage;
    EXPECT_FALSE(absl::IsNotFound(Find("example.com", "Widget").status())) << garbage;
  }
  server_.On("GET", "/apis/example.com", {.body = kGroup});
  EXPECT_TRUE(Find("example.com", "Widget").ok());
}

TEST_F(DiscoveryTest, ForgettingAsksAgain) {
  ASSERT_TRUE(Find("example.com", "Widget").ok());
  ASSERT_TRUE(Find("example.com", "Widget").ok());
  EXPECT_EQ(GroupReads(), 1U);
  discovery_.Forget("example.com");
  ASSERT_TRUE(Find("example.com", "Widget").ok());
  EXPECT_EQ(GroupReads(), 2U);
}

TEST_F(DiscoveryTest, OneReadingAnswersAllWhoWait) {
  std::atomic<int> answers = 0;
  for (int i = 0; i < 20; ++i) {
    discovery_.Find("example.com", "Widget", [&](const absl::StatusOr<Resource>& found) {
      answers += found.ok() ? 1 : 100;
    });
  }
  ASSERT_TRUE(WaitFor([&] { return answers == 20; }));
  EXPECT_EQ(GroupReads(), 1U);
}

}  // namespace
}  // namespace neap::kube::api
