#include "scalers/prometheus/prometheus_scaler.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "scalers/sdk/testing.h"
#include "tests/support/certificates.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::scalers::prometheus {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::FreePort;
using testing_support::HttpServer;
using testing_support::Process;
using testing_support::TempDir;
using testing_support::WaitFor;

std::string VectorOf(const std::string& value) {
  return R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,")" +
         value + R"("]}]}})";
}

class PrometheusTest : public testing::Test {
 protected:
  sdk::Opened Open(const std::string& server, const std::string& query, catalog::Texts more = {},
                   catalog::Texts auth = {}) {
    catalog::Texts metadata = {{"serverAddress", server}, {"query", query}, {"threshold", "100"}};
    for (auto& [name, text] : more) metadata[name] = text;
    return scaler_.Open("prometheus", std::move(metadata), std::move(auth));
  }
  std::string Read(const sdk::Opened& opened, absl::Duration deadline = absl::Seconds(5)) {
    return Describe(scaler_.Read(opened, deadline));
  }

  sdk::TestScaler scaler_{Make()};
};

TEST_F(PrometheusTest, AgreesWithKedasParser) {
  int passed = 0;
  for (const std::string& line : CompareParseRows(scaler_, "prometheus", passed)) {
    ADD_FAILURE() << line;
  }
  EXPECT_EQ(passed, 33);
}

// ---- a real server that scrapes this test

class RealServerTest : public PrometheusTest {
 protected:
  static void SetUpTestSuite() {
    (*metrics_)->Get("/metrics", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(
          "jobs_waiting{queue=\"a\"} 7\njobs_waiting{queue=\"b\"} 5\nno_number NaN\n",
          "text/plain");
    });
    const std::string target = metrics_->Start().substr(7);
    dir_->Write("prometheus.yml",
                "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
                "scrape_configs:\n- job_name: test\n  static_configs: [{targets: ['" +
                    target + "']}]\n");
    url_ = Start("");
    AwaitData();
  }
  static void TearDownTestSuite() {
    processes_->clear();
    metrics_->Stop();
  }

  // Starts a server; `web` is the text of its web configuration file.
  static std::string Start(const std::string& web) {
    const std::string n = std::to_string(processes_->size());
    const std::string port = std::to_string(FreePort());
    processes_->push_back(std::make_unique<Process>(
        std::vector<std::string>{"prometheus", "--config.file=prometheus.yml",
                                 "--storage.tsdb.path=data" + n,
                                 "--web.listen-address=127.0.0.1:" + port,
                                 "--web.config.file=" + dir_->Write("web" + n + ".yml", web)},
        dir_->path(), "log" + n));
    const bool ready = WaitFor([&] {
      return processes_->back()->Log().find("Server is ready to receive web requests") !=
             std::string::npos;
    });
    if (!ready) ADD_FAILURE() << processes_->back()->Log();
    return (web.find("tls_server_config") == std::string::npos ? "http://" : "https://") +
           ("127.0.0.1:" + port);
  }

  // Scraped data takes a while to be there, and a query is for a whole second.
  static void AwaitData() {
    sdk::TestScaler scaler(Make());
    const sdk::Opened sum =
        scaler.Open("prometheus",
                    {{"serverAddress", url_}, {"query", "sum(jobs_waiting)"}, {"threshold", "1"}});
    EXPECT_TRUE(WaitFor([&] { return Describe(scaler.Read(sum)) == "12 active"; }))
        << "prometheus scraped nothing";
  }

  static inline std::unique_ptr<TempDir> dir_ = std::make_unique<TempDir>();
  static inline std::unique_ptr<HttpServer> metrics_ = std::make_unique<HttpServer>();
  static inline std::unique_ptr<std::vector<std::unique_ptr<Process>>> processes_ =
      std::make_unique<std::vector<std::unique_ptr<Process>>>();
  static inline std::string url_;
};

TEST_F(RealServerTest, ReadsTheValueOfAQuery) {
  EXPECT_EQ(Read(Open(url_, "sum(jobs_waiting)")), "12 active");
  EXPECT_EQ(Read(Open(url_ + "/", "jobs_waiting{queue=\"a\"} / 2")), "3.5 active");
  EXPECT_EQ(Read(Open(url_, "sum(jobs_waiting) - 20")), "-8");
  EXPECT_EQ(Read(Open(url_, "vector(0)")), "0") << "a real zero is not absent";
  EXPECT_EQ(Read(Open(url_, "sum(jobs_waiting)", {{"activationThreshold", "12"}})), "12");
}

TEST_F(RealServerTest, NoFiniteNumberIsAbsentOrAnError) {
  for (const char* query : {"none_such", "sum(no_number)", "vector(1) / 0", "-vector(1) / 0"}) {
    EXPECT_EQ(Read(Open(url_, query)), "absent 0") << query;
    EXPECT_THAT(Read(Open(url_, query, {{"ignoreNullValues", "false"}})),
                AllOf(StartsWith("NotFound: "), HasSubstr("ignoreNullValues"), HasSubstr(url_)))
        << query;
  }
}

TEST_F(RealServerTest, WhatTheServerMinds) {
  EXPECT_THAT(Read(Open(url_, "jobs_waiting")),
              AllOf(StartsWith("BadAnswer: "), HasSubstr("2 elements")));
  EXPECT_THAT(Read(Open(url_, "scalar(sum(jobs_waiting))")), HasSubstr("gives a scalar"));
  EXPECT_THAT(Read(Open(url_, "jobs_waiting[5m]")), StartsWith("BadAnswer: "));
  EXPECT_THAT(Read(Open(url_, "sum(")),
              AllOf(StartsWith("BadParameter: "), HasSubstr("HTTP 400: bad_data")));
  EXPECT_THAT(Read(Open(url_ + "/elsewhere", "up")), StartsWith("NotFound: "));
}

TEST_F(RealServerTest, EqualQueriesAreAskedOnce) {
  std::vector<sdk::Opened> opened;
  std::vector<const sdk::Trigger*> triggers;
  for (int i = 0; i < 60; ++i) {
    opened.push_back(Open(url_, i % 2 == 0 ? "sum(jobs_waiting)" : "none_such",
                          {{"activationThreshold", std::to_string(i)}}));
    triggers.push_back(opened.back().trigger.get());
    ASSERT_EQ(opened[0]->source_key(), opened.back()->source_key());
  }
  sdk::TestContext context(scaler_.http());
  const std::vector<sdk::Reading> readings = scaler_.Read(triggers, context);
  EXPECT_EQ(Describe(readings[10]), "12 active");
  EXPECT_EQ(Describe(readings[12]), "12") << "each has its own activation threshold";
  EXPECT_EQ(Describe(readings[59]), "absent 0");
}

TEST_F(RealServerTest, BasicAuthenticationOverTls) {
  const testing_support::TestAuthority ca;
  const testing_support::TestCertificate server = ca.Issue("127.0.0.1");
  const testing_support::TestCertificate client = ca.Issue("neap");
  const std::string tls = "tls_server_config:\n  cert_file: " + dir_->Write("cert", server.cert) +
                          "\n  key_file: " + dir_->Write("key", server.key) + "\n";
  // The user neap has the password s3cret.
  const std::string users =
      "basic_auth_users: {neap: '$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG'}\n";
  const std::string url = Start(tls + users);
  const catalog::Texts basic = {{"authModes", "basic"}};
  const catalog::Texts right = {{"ca", ca.cert()}, {"username", "neap"}, {"password", "s3cret"}};
  EXPECT_EQ(Read(Open(url, "vector(3)", basic, right)), "3 active");
  EXPECT_EQ(Read(Open(url, "vector(3)", {{"authModes", "basic"}, {"unsafeSsl", "true"}},
                      {{"username", "neap"}, {"password", "s3cret"}})),
            "3 active");
  catalog::Texts wrong = right;
  wrong["password"] = "wrong-one";
  EXPECT_THAT(Read(Open(url, "vector(3)", basic, wrong)),
              AllOf(StartsWith("Denied: "), HasSubstr("HTTP 401"), Not(HasSubstr("wrong-one"))));
  EXPECT_THAT(Read(Open(url, "vector(3)", {}, {{"ca", ca.cert()}})), StartsWith("Denied: "));
  EXPECT_THAT(Read(Open(url, "vector(3)")), AllOf(StartsWith("Denied: "), HasSubstr(url)))
      << "the system does not know the authority";

  const std::string strict = Start(tls + "  client_auth_type: RequireAndVerifyClientCert\n" +
                                   "  client_ca_file: " + dir_->Write("ca", ca.cert()) + "\n");
  EXPECT_EQ(Read(Open(strict, "vector(3)", {{"authModes", "tls"}},
                      {{"ca", ca.cert()}, {"cert", client.cert}, {"key", client.key}})),
            "3 active");
  EXPECT_THAT(Read(Open(strict, "vector(3)", {}, {{"ca", ca.cert()}})),
              testing::AnyOf(StartsWith("Denied: "), StartsWith("Unavailable: ")));
}

// ---- a small server, for what a real one does not do on demand

class FakeServerTest : public PrometheusTest {
 protected:
  // Answers each query with `answer`, and keeps the last request.
  void Serve(std::function<void(const httplib::Request&, httplib::Response&)> answer) {
    server_->Get("/api/v1/query",
                 [this, answer](const httplib::Request& request, httplib::Response& response) {
                   {
                     base::MutexLock lock(mutex_);
                     last_ = request;
                     ++count_;
                   }
                   answer(request, response);
                 });
    url_ = server_.Start();
  }
  httplib::Request last() {
    base::MutexLock lock(mutex_);
    return last_;
  }
  int count() {
    base::MutexLock lock(mutex_);
    return count_;
  }

  HttpServer server_{{.keep_alive = false}};
  std::string url_;
  base::Mutex mutex_;
  httplib::Request last_ NEAP_GUARDED_BY(mutex_);
  int count_ NEAP_GUARDED_BY(mutex_) = 0;
};

void Three(const httplib::Request&, httplib::Response& response) {
  response.set_content(VectorOf("3"), "application/json");
}

TEST_F(FakeServerTest, TheRequestIsKedas) {
  Serve(Three);
  const sdk::Opened opened =
      Open(url_, "sum(a{b=\"c d&e\"})",
           {{"namespace", "team"}, {"queryParameters", "x=1,y=a b"}, {"customHeaders", "X-A=1"}});
  sdk::TestContext context(scaler_.http());
  context.set_now(absl::FromUnixSeconds(1767225600) + absl::Milliseconds(900));
  EXPECT_EQ(Describe(scaler_.Read(opened, context)), "3 active");
  const httplib::Request request = last();
  EXPECT_EQ(request.get_param_value("query"), "sum(a{b=\"c d&e\"})");
  EXPECT_EQ(request.get_param_value("time"), "2026-01-01T00:00:00Z");
  EXPECT_EQ(request.get_param_value("namespace"), "team");
  EXPECT_EQ(request.get_param_value("x"), "1");
  EXPECT_EQ(request.get_param_value("y"), "a b");
  EXPECT_EQ(request.get_header_value("X-A"), "1");
}

TEST_F(FakeServerTest, EqualQueriesOfABatchAreOneRequest) {
  Serve(Three);
  std::vector<sdk::Opened> opened;
  std::vector<const sdk::Trigger*> triggers;
  for (int i = 0; i < 50; ++i) {
    opened.push_back(Open(url_, "q" + std::to_string(i % 5)));
    triggers.push_back(opened.back().trigger.get());
  }
  sdk::TestContext context(scaler_.http());
  for (const sdk::Reading& reading : scaler_.Read(triggers, context)) {
    EXPECT_EQ(Describe(reading), "3 active");
  }
  EXPECT_EQ(count(), 5);
}

TEST_F(FakeServerTest, Modes) {
  Serve(Three);
  const auto read = [&](const char* modes, catalog::Texts auth, catalog::Texts more = {}) {
    more["authModes"] = modes;
    EXPECT_EQ(Read(Open(url_, "q", more, std::move(auth))), "3 active") << modes;
    return last();
  };
  EXPECT_EQ(read("bearer", {{"bearerToken", "t0ken"}}).get_header_value("Authorization"),
            "Bearer t0ken");
  EXPECT_EQ(read("basic", {{"username", "u"}}).get_header_value("Authorization"), "Basic dTo=");
  const httplib::Request custom =
      read("custom", {{"customAuthHeader", "X-Key"}, {"customAuthValue", "v"}});
  EXPECT_EQ(custom.get_header_value("X-Key"), "v");
  EXPECT_FALSE(custom.has_header("Authorization"));
  EXPECT_EQ(read("apiKey", {{"apiKey", "k"}}).get_header_value("X-API-KEY"), "k");
  EXPECT_EQ(read("apiKey", {{"apiKey", "k"}}, {{"method", "query"}}).get_param_value("api_key"),
            "k");
  const httplib::Request both =
      read("custom, basic",
           {{"customAuthHeader", "X-Key"}, {"customAuthValue", "v"}, {"username", "u"}});
  EXPECT_EQ(both.get_header_value("X-Key"), "v");
  EXPECT_EQ(both.get_header_value("Authorization"), "Basic dTo=");
  // Without a mode credentials are not sent.
  EXPECT_EQ(Read(Open(url_, "q", {}, {{"bearerToken", "t"}})), "3 active");
  EXPECT_FALSE(last().has_header("Authorization"));
}

TEST_F(FakeServerTest, ModesThatAreIncomplete) {
  const auto error = [&](const char* modes, catalog::Texts auth) {
    return Open("http://x", "q", {{"authModes", modes}}, std::move(auth)).ErrorText();
  };
  EXPECT_THAT(error("bearer", {}), HasSubstr("bearerToken: is required"));
  EXPECT_THAT(error("basic", {{"password", "p"}}), HasSubstr("username: is required"));
  EXPECT_THAT(error("custom", {{"customAuthValue", "v"}}), HasSubstr("customAuthHeader: is"));
  EXPECT_THAT(error("tls", {{"cert", "c"}}), HasSubstr("key: tls needs both"));
  EXPECT_THAT(error("tls", {{"cert", "c"}, {"key", "k"}}),
              HasSubstr("cert: cert is not a PEM certificate"));
  EXPECT_THAT(error("oauth", {{"oauthTokenURI", "http://x"}}), HasSubstr("clientID: is required"));
  EXPECT_THAT(error("apiKey", {}), HasSubstr("apiKey: is required"));
  EXPECT_THAT(error("bearer,basic", {{"bearerToken", "t"}, {"username", "u"}}),
              HasSubstr("authModes: bearer and basic exclude one another"));
  EXPECT_THAT(error("bearer", {{"bearerToken", "a\r\nb"}}),
              AllOf(HasSubstr("line breaks"), Not(HasSubstr("a\r\nb"))));
}

TEST_F(FakeServerTest, OauthTokensAreKeptAndRenewed) {
  std::atomic<int> tokens = 0;
  std::atomic<bool> revoked = false;
  std::string body;
  std::string authorization;
  server_->Post("/token", [&](const httplib::Request& request, httplib::Response& response) {
    body = request.body;
    authorization = request.get_header_value("Authorization");
    response.set_content(R"({"access_token":"t)" + std::to_string(++tokens) +
                             R"(","token_type":"bearer","expires_in":3600})",
                         "application/json");
    revoked = false;
  });
  Serve([&](const httplib::Request& request, httplib::Response& response) {
    if (revoked ||
        request.get_header_value("Authorization") != "Bearer t" + std::to_string(tokens)) {
      response.status = 401;
      return;
    }
    Three(request, response);
  });
  const sdk::Opened opened = Open(url_, "q", {{"authModes", "oauth"}},
                                  {{"oauthTokenURI", url_ + "/token"},
                                   {"clientID", "me"},
                                   {"clientSecret", "s3cret"},
                                   {"scopes", "a,b"},
                                   {"endpointParams", "audience=x%20y&z=1"}});
  EXPECT_EQ(Read(opened), "3 active");
  EXPECT_EQ(Read(opened), "3 active");
  EXPECT_EQ(tokens, 1);
  EXPECT_EQ(body, "grant_type=client_credentials&scope=a%20b&audience=x%20y&z=1");
  EXPECT_EQ(authorization, http::BasicAuthorization("me", "s3cret"));
  revoked = true;
  EXPECT_THAT(Read(opened), StartsWith("Denied: "));
  EXPECT_EQ(Read(opened), "3 active") << "a refused token is not used again";
  EXPECT_EQ(tokens, 2);
  // After its life a token is renewed.
  sdk::TestContext later(scaler_.http());
  later.set_now(absl::Now() + absl::Hours(1));
  EXPECT_EQ(Describe(scaler_.Read(opened, later)), "3 active");
  EXPECT_EQ(tokens, 3);
}

TEST_F(FakeServerTest, ATokenThatIsNotGivenIsAnErrorOfTheTokensServer) {
  Serve(Three);
  const auto read = [&](const std::string& uri) {
    return Read(Open(url_, "q", {{"authModes", "oauth"}},
                     {{"oauthTokenURI", uri}, {"clientID", "me"}, {"clientSecret", "s3cret"}}));
  };
  EXPECT_THAT(read(url_ + "/none"), AllOf(StartsWith("NotFound: "), HasSubstr("/none"),
                                          HasSubstr("no token"), Not(HasSubstr("s3cret"))));
  EXPECT_THAT(read("http://127.0.0.1:" + std::to_string(FreePort())), StartsWith("Unavailable: "));
  EXPECT_EQ(count(), 0);
}

TEST_F(FakeServerTest, HttpCodes) {
  int code = 0;
  Serve([&](const httplib::Request&, httplib::Response& response) {
    response.status = code;
    response.set_header("Retry-After", "7");
    response.set_content(R"({"status":"error","errorType":"execution","error":"boom"})",
                         "application/json");
  });
  const sdk::Opened opened = Open(url_, "q");
  const std::pair<int, const char*> kCases[] = {
      {400, "BadParameter: "}, {401, "Denied: "},    {403, "Denied: "},    {404, "NotFound: "},
      {408, "Timeout: "},      {422, "BadAnswer: "}, {429, "Throttled: "}, {500, "Unavailable: "},
      {503, "Unavailable: "},  {504, "Timeout: "}};
  for (const auto& [status, kind] : kCases) {
    code = status;
    EXPECT_THAT(Read(opened), AllOf(StartsWith(kind), HasSubstr("HTTP " + std::to_string(status)),
                                    HasSubstr("execution: boom"), HasSubstr(url_)));
  }
  code = 429;
  EXPECT_EQ(scaler_.Read(opened).error->retry_after, absl::Seconds(7));
}

TEST_F(FakeServerTest, AnswersThatAreNone) {
  std::string body = "<html>";
  Serve([&](const httplib::Request&, httplib::Response& response) {
    response.set_content(body, "text/html");
  });
  const sdk::Opened opened = Open(url_, "q");
  EXPECT_THAT(Read(opened), AllOf(StartsWith("BadAnswer: "), HasSubstr("not JSON")));
  body = "";
  EXPECT_THAT(Read(opened), StartsWith("BadAnswer: "));
  body = std::string(20 << 20, ' ');
  EXPECT_THAT(Read(opened), StartsWith("BadAnswer: ")) << "larger than allowed";
}

TEST_F(FakeServerTest, TimeoutsOfTheTriggerAndOfThePoll) {
  std::atomic<bool> stop = false;
  Serve([&](const httplib::Request&, httplib::Response& response) {
    WaitFor([&] { return stop.load(); });
    response.set_content(VectorOf("3"), "application/json");
  });
  const absl::Time start = absl::Now();
  EXPECT_THAT(Read(Open(url_, "q", {{"timeout", "200"}}), absl::Seconds(10)),
              StartsWith("Timeout: "));
  EXPECT_THAT(Read(Open(url_, "q"), absl::Milliseconds(200)), StartsWith("Timeout: "));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  sdk::TestContext cancelled(scaler_.http(), absl::Seconds(30));
  cancelled.Cancel();
  EXPECT_THAT(Describe(scaler_.Read(Open(url_, "q"), cancelled)), StartsWith("Timeout: "));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  stop = true;
  server_.Stop();  // before `stop` goes away
}

TEST_F(FakeServerTest, RedirectsAreFollowedButNotWithASecretHeader) {
  Serve(Three);
  HttpServer front({.keep_alive = false});
  front->Get("/api/v1/query", [&](const httplib::Request& request, httplib::Response& response) {
    response.set_redirect(url_ + request.target);
  });
  const std::string url = front.Start();
  EXPECT_EQ(Read(Open(url, "q")), "3 active");
  EXPECT_THAT(Read(Open(url, "q", {{"authModes", "custom"}},
                        {{"customAuthHeader", "X-Key"}, {"customAuthValue", "v"}})),
              AllOf(StartsWith("BadAnswer: "), HasSubstr("HTTP 302")));
  EXPECT_EQ(count(), 1);
}

TEST_F(PrometheusTest, ServersThatAreNotThere) {
  EXPECT_THAT(Read(Open("http://127.0.0.1:" + std::to_string(FreePort()), "q")),
              StartsWith("Unavailable: "));
  EXPECT_THAT(Read(Open("::zz", "q")),
              testing::AnyOf(StartsWith("BadParameter: "), StartsWith("Unavailable: ")));
  EXPECT_THAT(Read(Open("ftp://x", "q")), StartsWith("BadParameter: "));
}

TEST_F(PrometheusTest, IdentitiesOfCloudsAreRefusedByName) {
  sdk::TriggerRequest request;
  request.type = "prometheus";
  request.text.metadata = {{"serverAddress", "http://x"}, {"query", "q"}, {"threshold", "1"}};
  request.text.pod_identity = "azure-workload";
  const sdk::Opened opened = scaler_.Open(request);
  EXPECT_THAT(Read(opened), AllOf(StartsWith("BadParameter: "), HasSubstr("azure-workload")));
  request.text.pod_identity = "none";
  EXPECT_EQ(scaler_.Open(request).ErrorText(), "");
}

}  // namespace
}  // namespace neap::scalers::prometheus
