#include "scalers/metrics-api/metrics_api_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>

#include "scalers/metrics-api/endpoints.h"
#include "scalers/sdk/testing.h"
#include "tests/support/certificates.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::scalers::metrics_api {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::FreePort;
using testing_support::HttpServer;
using testing_support::TempDir;
using testing_support::WaitFor;

class MetricsApiTest : public testing::Test {
 protected:
  // Serves `text` at `path`.
  void Serve(const std::string& path, const std::string& text, int status = 200) {
    server_->Get(
        path, [this, text, status](const httplib::Request& request, httplib::Response& response) {
          {
            base::MutexLock lock(mutex_);
            last_ = request;
            ++count_;
          }
          response.status = status;
          response.set_content(text, "text/plain");
        });
  }
  httplib::Request last() {
    base::MutexLock lock(mutex_);
    return last_;
  }
  int count() {
    base::MutexLock lock(mutex_);
    return count_;
  }
  sdk::Opened Open(const std::string& url, const std::string& location, catalog::Texts more = {},
                   catalog::Texts auth = {}) {
    catalog::Texts metadata = {{"url", url}, {"valueLocation", location}, {"targetValue", "10"}};
    for (auto& [name, text] : more) metadata[name] = text;
    return scaler_.Open("metrics-api", std::move(metadata), std::move(auth));
  }
  std::string Read(const sdk::Opened& opened, absl::Duration deadline = absl::Seconds(5)) {
    return Describe(scaler_.Read(opened, deadline));
  }

  HttpServer server_{{.keep_alive = false}};
  base::Mutex mutex_;
  httplib::Request last_ NEAP_GUARDED_BY(mutex_);
  int count_ NEAP_GUARDED_BY(mutex_) = 0;
  sdk::TestScaler scaler_{Make()};
};

TEST_F(MetricsApiTest, AgreesWithKedasParser) {
  int passed = 0;
  for (const std::string& line : CompareParseRows(scaler_, "metrics-api", passed)) {
    ADD_FAILURE() << line;
  }
  EXPECT_EQ(passed, 26);
}

TEST_F(MetricsApiTest, EveryFormat) {
  Serve("/json", R"({"queues":[{"name":"a","length":3},{"name":"b","length":"2k"}]})");
  Serve("/yaml", "queues:\n- {name: a, length: 4}\n");
  Serve("/xml", "<stats><queue length=\"5\">6</queue></stats>");
  Serve("/metrics", "# TYPE q gauge\nq{name=\"a\"} 7\nq{name=\"b\"} 8.5\n");
  const std::string url = server_.Start();
  EXPECT_EQ(Read(Open(url + "/json", "queues.#(name==\"b\").length")), "2000 active");
  EXPECT_EQ(Read(Open(url + "/yaml", "queues.0.length", {{"format", "yaml"}})), "4 active");
  EXPECT_EQ(Read(Open(url + "/xml", "stats.queue.-length", {{"format", "xml"}})), "5 active");
  EXPECT_EQ(Read(Open(url + "/xml", "stats.queue", {{"format", "xml"}})), "6 active");
  EXPECT_EQ(Read(Open(url + "/metrics", "q{name=\"b\"}", {{"format", "prometheus"}})),
            "8.5 active");
  EXPECT_EQ(Read(Open(url + "/json", "queues.0.length", {{"activationTargetValue", "3"}})), "3");
  EXPECT_EQ(scaler_.Read(Open(url + "/json", "queues.0.length")).metrics[0].name,
            "metric-api-queues-0-length");
}

TEST_F(MetricsApiTest, WhatIsNoNumberIsAnErrorAndNotZero) {
  Serve("/json", R"({"a":null,"b":"x","c":{},"d":"NaN"})");
  const std::string url = server_.Start();
  EXPECT_THAT(Read(Open(url + "/json", "a")), AllOf(StartsWith("BadAnswer: "), HasSubstr(url)));
  EXPECT_THAT(Read(Open(url + "/json", "b")), StartsWith("BadAnswer: "));
  EXPECT_THAT(Read(Open(url + "/json", "c")), StartsWith("BadAnswer: "));
  EXPECT_THAT(Read(Open(url + "/json", "d")), StartsWith("BadAnswer: "));
  EXPECT_THAT(Read(Open(url + "/json", "none")), StartsWith("NotFound: "));
  EXPECT_THAT(Read(Open(url + "/json", "a", {{"format", "xml"}})), HasSubstr("not XML"));
}

TEST_F(MetricsApiTest, PathsAreCheckedWhenTheTriggerIsOpened) {
  EXPECT_THAT(Open("http://x", "a.@reverse").ErrorText(), HasSubstr("valueLocation: path"));
  EXPECT_THAT(Open("http://x", "q{a=~\"b\"}", {{"format", "prometheus"}}).ErrorText(),
              HasSubstr("valueLocation: selector"));
  EXPECT_THAT(Open("http://x", "a", {{"targetValue", ""}}).ErrorText(), HasSubstr("targetValue:"));
}

TEST_F(MetricsApiTest, Modes) {
  Serve("/v", "{\"v\":1}");
  const std::string url = server_.Start() + "/v?x=1";
  const auto read = [&](const char* mode, catalog::Texts auth, catalog::Texts more = {}) {
    more["authMode"] = mode;
    EXPECT_EQ(Read(Open(url, "v", more, std::move(auth))), "1 active") << mode;
    return last();
  };
  EXPECT_EQ(read("apiKey", {{"apiKey", "k"}}, {{"method", "header"}}).get_header_value("X-API-KEY"),
            "k");
  const httplib::Request query =
      read("apiKey", {{"apiKey", "k&1"}}, {{"method", "query"}, {"keyParamName", "kk"}});
  EXPECT_EQ(query.get_param_value("kk"), "k&1");
  EXPECT_EQ(query.get_param_value("x"), "1");
  EXPECT_EQ(read("basic", {{"username", "u"}, {"password", "p"}}).get_header_value("Authorization"),
            "Basic dTpw");
  EXPECT_EQ(read("bearer", {{"token", "t"}}).get_header_value("Authorization"), "Bearer t");
}

TEST_F(MetricsApiTest, Codes) {
  Serve("/401", "", 401);
  Serve("/404", "", 404);
  Serve("/429", "", 429);
  Serve("/500", "", 500);
  Serve("/204", "", 204);
  const std::string url = server_.Start();
  EXPECT_THAT(Read(Open(url + "/401?key=s3cret", "v")),
              AllOf(StartsWith("Denied: "), HasSubstr("/401"), Not(HasSubstr("s3cret"))));
  EXPECT_THAT(Read(Open(url + "/404", "v")), StartsWith("NotFound: "));
  EXPECT_THAT(Read(Open(url + "/429", "v")), StartsWith("Throttled: "));
  EXPECT_THAT(Read(Open(url + "/500", "v")), StartsWith("Unavailable: "));
  EXPECT_THAT(Read(Open(url + "/204", "v")), StartsWith("BadAnswer: ")) << "only 200 is an answer";
  EXPECT_THAT(Read(Open("http://127.0.0.1:" + std::to_string(FreePort()), "v")),
              StartsWith("Unavailable: "));
}

TEST_F(MetricsApiTest, Tls) {
  const testing_support::TestAuthority ca;
  const testing_support::TestCertificate mine = ca.Issue("127.0.0.1");
  const testing_support::TestCertificate client = ca.Issue("neap");
  HttpServer server({.tls = &mine, .client_ca = &ca, .keep_alive = false});
  server->Get("/v", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("{\"v\":1}", "application/json");
  });
  const std::string url = server.Start() + "/v";
  EXPECT_EQ(Read(Open(url, "v", {{"authMode", "tls"}},
                      {{"ca", ca.cert()}, {"cert", client.cert}, {"key", client.key}})),
            "1 active");
  EXPECT_THAT(
      Read(Open(url, "v", {{"authMode", "tls"}}, {{"cert", client.cert}, {"key", client.key}})),
      StartsWith("Denied: "));
  EXPECT_THAT(Read(Open(url, "v", {}, {{"ca", ca.cert()}})),
              testing::AnyOf(StartsWith("Denied: "), StartsWith("Unavailable: ")));
}

TEST_F(MetricsApiTest, ATimeoutIsOne) {
  std::atomic<bool> stop = false;
  server_->Get("/v", [&](const httplib::Request&, httplib::Response&) {
    WaitFor([&] { return stop.load(); });
  });
  const std::string url = server_.Start() + "/v";
  EXPECT_THAT(Read(Open(url, "v", {{"timeout", "200ms"}}), absl::Seconds(10)),
              StartsWith("Timeout: "));
  EXPECT_THAT(Read(Open(url, "v"), absl::Milliseconds(200)), StartsWith("Timeout: "));
  stop = true;
  server_.Stop();  // before `stop` goes away
}

TEST_F(MetricsApiTest, TriggersOfOneUrlAreOneRequest) {
  Serve("/v", R"({"a":1,"b":2})");
  const std::string url = server_.Start() + "/v";
  const sdk::Opened a = Open(url, "a");
  const sdk::Opened b = Open(url, "b");
  const sdk::Opened none = Open(url, "c");
  sdk::TestContext context(scaler_.http());
  const std::vector<sdk::Reading> readings =
      scaler_.Read({a.trigger.get(), b.trigger.get(), none.trigger.get()}, context);
  EXPECT_EQ(Describe(readings[0]), "1 active");
  EXPECT_EQ(Describe(readings[1]), "2 active");
  EXPECT_THAT(Describe(readings[2]), StartsWith("NotFound: "));
  EXPECT_EQ(count(), 1);
}

// ---- endpoints of a Service

TEST(Endpoints, TakesUrlsApart) {
  const Url url = *Url::Parse("https://user:pw@web.shop.svc:8443/a/b?c=d");
  EXPECT_EQ(url.scheme + "|" + url.host + "|" + url.port + "|" + url.path,
            "https|web.shop.svc|8443|/a/b?c=d");
  EXPECT_EQ(Url::Parse("http://[::1]:80/")->host, "::1");
  EXPECT_FALSE(Url::Parse("web.shop/a").ok());
  EXPECT_FALSE(Url::Parse("http:///a").ok());
  EXPECT_EQ(ServiceName::Parse("web.shop.svc")->ns, "shop");
  EXPECT_EQ(ServiceName::Parse("web.shop")->name, "web");
  EXPECT_FALSE(ServiceName::Parse("web").ok());
}

TEST(Endpoints, ReadyAddressesWithThePortWhereASliceHasIt) {
  constexpr std::string_view kList = R"({"kind":"EndpointSliceList","items":[
    {"ports":[{"port":8080}],"endpoints":[
      {"addresses":["10.0.0.2"],"conditions":{"ready":true}},
      {"addresses":["10.0.0.1"],"conditions":{}},
      {"addresses":["10.0.0.3"],"conditions":{"ready":false}}]},
    {"ports":[{"port":9090}],"endpoints":[{"addresses":["fd00::1"]}]},
    {"endpoints":null}]})";
  EXPECT_THAT(
      *EndpointUrls(kList, *Url::Parse("http://web.shop:8080/v?x=1")),
      ElementsAre("http://10.0.0.1:8080/v", "http://10.0.0.2:8080/v", "http://[fd00::1]/v"));
  EXPECT_FALSE(EndpointUrls("<html>", *Url::Parse("http://web.shop")).ok());
  EXPECT_FALSE(EndpointUrls("{}", *Url::Parse("http://web.shop")).ok());
}

class AggregationTest : public MetricsApiTest {
 protected:
  // An API server whose Service web.shop has two endpoints: this test's server, under two names of
  // loopback.
  void SetUp() override {
    Serve("/v", R"({"v":6})");
    server_.Start();
    api_->Get(
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
        [this](const httplib::Request& request, httplib::Response& response) {
          EXPECT_EQ(request.get_param_value("labelSelector"), "kubernetes.io/service-name=web");
          response.set_content(R"({"items":[{"ports":[{"port":)" + std::to_string(server_.port()) +
                                   R"(}],"endpoints":[)" + endpoints_ + "]}]}",
                               "application/json");
        });
    const std::string kubeconfig =
        dir_.Write("config",
                   "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                   "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
                   "clusters: [{name: c, cluster: {server: '" +
                       api_.Start() + "'}}]\nusers: [{name: u, user: {token: t}}]\n");
    setenv("NEAP_KUBECONFIG", kubeconfig.c_str(), 1);
  }
  void TearDown() override { unsetenv("NEAP_KUBECONFIG"); }
  std::string ReadAll(const std::string& type, const std::string& service = "web.shop") {
    return Read(Open("http://" + service + ":" + std::to_string(server_.port()) + "/v", "v",
                     {{"aggregateFromKubeServiceEndpoints", "true"}, {"aggregationType", type}}));
  }

  std::string endpoints_ = R"({"addresses":["127.0.0.1"]})";
  HttpServer api_{{.keep_alive = false}};
  TempDir dir_;
};

TEST_F(AggregationTest, AllEndpointsAnswer) {
  EXPECT_EQ(ReadAll("sum"), "6 active");
  EXPECT_EQ(ReadAll("average"), "6 active");
  EXPECT_EQ(count(), 2);
}

TEST_F(AggregationTest, AnEndpointThatFailsMakesTheValueAStandIn) {
  // Nobody listens at 127.0.0.3: the server is bound to 127.0.0.1.
  endpoints_ += R"(,{"addresses":["127.0.0.3"]})";
  for (const char* type : {"sum", "average", "max", "min"}) {
    EXPECT_EQ(ReadAll(type), "absent 6 active") << type;
  }
}

TEST_F(AggregationTest, WhenNoneAnswersItIsAnError) {
  endpoints_ = R"({"addresses":["127.0.0.3"]},{"addresses":["127.0.0.4"]})";
  EXPECT_THAT(ReadAll("sum"), AllOf(StartsWith("Unavailable: "), HasSubstr("none of 2 endpoints")));
  endpoints_ = "";
  EXPECT_THAT(ReadAll("sum"),
              AllOf(StartsWith("NotFound: "), HasSubstr("shop/web has no ready endpoint")));
  EXPECT_THAT(ReadAll("sum", "web.other"), StartsWith("NotFound: "));
  EXPECT_THAT(ReadAll("sum", "web"), AllOf(StartsWith("BadParameter: "), HasSubstr("no Service")));
}

}  // namespace
}  // namespace neap::scalers::metrics_api
