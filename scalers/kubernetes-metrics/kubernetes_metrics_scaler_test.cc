#include "scalers/kubernetes-metrics/kubernetes_metrics_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>

#include "scalers/sdk/testing.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::scalers::kubernetes_metrics {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::FreePort;
using testing_support::HttpServer;
using testing_support::TempDir;
using testing_support::WaitFor;

constexpr char kPods[] = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods";
constexpr char kExternal[] = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue";

std::string Pod(const std::string& name, const std::string& labels, const std::string& cpu,
                const std::string& memory = "1Mi") {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"shop","labels":{)" + labels +
         R"(}},"timestamp":"2026-01-01T00:00:00Z","window":"15.04s","containers":[
           {"name":"app","usage":{"cpu":")" +
         cpu + R"(","memory":")" + memory + R"("}},{"name":"side","usage":{"cpu":"1n"}}]})";
}
std::string Items(const std::string& kind, const std::string& items,
                  const std::string& metadata = "") {
  return R"({"kind":")" + kind + R"(","metadata":{)" + metadata + R"(},"items":[)" + items + "]}";
}

class KubernetesMetricsTest : public testing::Test {
 protected:
  void SetUp() override {
    server_->set_pre_routing_handler([this](const httplib::Request& request, httplib::Response&) {
      base::MutexLock lock(mutex_);
      asked_.push_back(request.target);
      return httplib::Server::HandlerResponse::Unhandled;
    });
  }
  void TearDown() override { unsetenv("NEAP_KUBECONFIG"); }

  // Answers GETs of `path` (percent-decoded) with `body`.
  void Serve(const std::string& path, const std::string& body, int status = 200) {
    std::string pattern;
    for (char c : path) {
      if (c == '*' || c == '.') pattern += '\\';
      pattern += c;
    }
    server_->Get(pattern, [body, status](const httplib::Request&, httplib::Response& response) {
      response.status = status;
      response.set_content(body, "application/json");
    });
  }
  void ServeGroups(const std::string& versions, const std::string& preferred) {
    Serve("/apis", R"({"kind":"APIGroupList","groups":[{"name":"apps","versions":[
        {"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1",
        "version":"v1"}},{"name":"custom.metrics.k8s.io","versions":[)" +
                       versions + R"(],"preferredVersion":{"groupVersion":"","version":")" +
                       preferred + R"("}}]})");
  }
  void Start() { UseServer(server_.Start()); }
  void UseServer(const std::string& url) {
    setenv("NEAP_KUBECONFIG",
           dir_.Write("config",
                      "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                      "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
                      "clusters: [{name: c, cluster: {server: '" +
                          url + "'}}]\nusers: [{name: u, user: {token: t}}]\n")
               .c_str(),
           1);
  }
  std::vector<std::string> asked() {
    base::MutexLock lock(mutex_);
    return asked_;
  }

  sdk::Opened Open(const std::string& type, catalog::Texts metadata,
                   const std::string& pod_selector = "app=web", const std::string& ns = "shop") {
    sdk::TriggerRequest request;
    request.type = type;
    request.text.metadata = std::move(metadata);
    request.context = {
        .ns = ns, .kind = "Autoscaler", .name = "o", .uid = "u", .pod_selector = pod_selector};
    return scaler_.Open(request);
  }
  std::string Read(const sdk::Opened& opened, absl::Duration deadline = absl::Seconds(5)) {
    return Describe(scaler_.Read(opened, deadline));
  }
  std::vector<std::string> ReadAll(const std::vector<sdk::Opened>& opened) {
    std::vector<const sdk::Trigger*> triggers;
    for (const sdk::Opened& o : opened) {
      EXPECT_EQ(o.ErrorText(), "");
      EXPECT_EQ(o->source_key(), opened[0]->source_key());
      triggers.push_back(o.trigger.get());
    }
    sdk::TestContext context(scaler_.http());
    std::vector<std::string> out;
    for (const sdk::Reading& reading : scaler_.Read(triggers, context)) {
      out.push_back(Describe(reading));
    }
    return out;
  }

  HttpServer server_{{.keep_alive = false}};
  TempDir dir_;
  base::Mutex mutex_;
  std::vector<std::string> asked_ NEAP_GUARDED_BY(mutex_);
  sdk::TestScaler scaler_{Make()};
};

TEST_F(KubernetesMetricsTest, OneListOfANamespaceAnswersAllOfItsTargets) {
  Serve(kPods, Items("PodMetricsList", Pod("w1", R"("app":"web")", "100m") + "," +
                                           Pod("w2", R"("app":"web","x":"1")", "250m") + "," +
                                           Pod("a1", R"("app":"api")", "12345678n", "20480Ki")));
  Serve("/apis/metrics.k8s.io/v1beta1/namespaces/other/pods",
        Items("PodMetricsList", Pod("o1", R"("app":"web")", "1")));
  Start();
  std::vector<sdk::Opened> opened;
  opened.push_back(Open("hpa-resource", {{"resource", "cpu"}}));
  opened.push_back(Open("hpa-resource", {{"resource", "cpu"}}, "app in (web,api),!x"));
  opened.push_back(Open("hpa-container-resource", {{"resource", "cpu"}, {"container", "app"}}));
  opened.push_back(
      Open("hpa-container-resource", {{"resource", "memory"}, {"container", "app"}}, "app=api"));
  opened.push_back(Open("hpa-resource", {{"resource", "cpu"}}, "app=web", "other"));
  EXPECT_THAT(ReadAll(opened), ElementsAre("w1=101 w2=251", "w1=101 a1=14", "w1=100 w2=250",
                                           "a1=20971520000", "o1=1001"));
  EXPECT_THAT(asked(), testing::UnorderedElementsAre(
                           kPods, "/apis/metrics.k8s.io/v1beta1/namespaces/other/pods"));
}

TEST_F(KubernetesMetricsTest, TimesAndWindowsAreThePods) {
  Serve(kPods, Items("PodMetricsList", Pod("w1", R"("app":"web")", "100m")));
  Start();
  const sdk::Reading reading = scaler_.Read(Open("hpa-resource", {{"resource", "cpu"}}));
  const auto& pods = std::get<sdk::PodValues>(reading.metrics[0].result);
  EXPECT_EQ(absl::ToUnixSeconds(pods.sampled_at[0]), 1767225600);
  EXPECT_EQ(pods.window[0], absl::Milliseconds(15040));
  EXPECT_EQ(reading.metrics[0].name, "");
  EXPECT_FALSE(reading.metrics[0].active.has_value());
}

TEST_F(KubernetesMetricsTest, AContainerWithoutTheResourceLeavesItsPodWithoutASample) {
  Serve(kPods, Items("PodMetricsList", Pod("w1", R"("app":"web")", "100m")));
  Start();
  EXPECT_EQ(Read(Open("hpa-resource", {{"resource", "memory"}})), "")
      << "`side` has no memory: an answer without samples, and no error";
  EXPECT_EQ(Read(Open("hpa-container-resource", {{"resource", "cpu"}, {"container", "none"}})), "");
}

TEST_F(KubernetesMetricsTest, NoPodOfTheSelectorIsUpstreamsError) {
  Serve(kPods, Items("PodMetricsList", Pod("w1", R"("app":"web")", "100m")));
  Start();
  EXPECT_EQ(Read(Open("hpa-resource", {{"resource", "cpu"}}, "app=none")),
            "NotFound: no metrics returned from resource metrics API");
}

TEST_F(KubernetesMetricsTest, PagesAreJoined) {
  server_->Get(kPods, [](const httplib::Request& request, httplib::Response& response) {
    const bool second = request.get_param_value("continue") == "a b/c";
    response.set_content(
        second ? Items("PodMetricsList", Pod("w2", R"("app":"web")", "2"))
               : Items("PodMetricsList", Pod("w1", R"("app":"web")", "1"), R"("continue":"a b/c")"),
        "application/json");
  });
  Start();
  EXPECT_EQ(Read(Open("hpa-resource", {{"resource", "cpu"}})), "w1=1001 w2=2001");
}

TEST_F(KubernetesMetricsTest, CustomMetricsOfPodsAndObjects) {
  ServeGroups(R"({"groupVersion":"","version":"v1beta1"},{"groupVersion":"","version":"v1beta2"})",
              "v1beta2");
  Serve("/apis/apps", R"({"kind":"APIGroup","name":"apps","versions":[{"groupVersion":"apps/v1",
      "version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}})");
  Serve("/apis/apps/v1", R"({"kind":"APIResourceList","groupVersion":"apps/v1","resources":[
      {"name":"deployments","singularName":"deployment","namespaced":true,"kind":"Deployment",
       "verbs":["get"]}]})");
  Serve("/api", R"({"kind":"APIVersions","versions":["v1"]})");
  Serve("/api/v1", R"({"kind":"APIResourceList","groupVersion":"v1","resources":[
      {"name":"services","singularName":"","namespaced":true,"kind":"Service","verbs":["get"]}]})");
  const std::string base = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/";
  Serve(base + "pods/*/rps",
        Items("MetricValueList",
              R"({"describedObject":{"name":"w1"},"windowSeconds":30,"value":"1500m"},
                 {"describedObject":{"name":"w2"},"value":"2"})"));
  const std::string one = R"({"describedObject":{"name":"x"},"value":"7"})";
  Serve(base + "deployments.apps/web/rps", Items("MetricValueList", one));
  Serve(base + "services/web/rps", Items("MetricValueList", one + "," + one));
  Serve(base + "metrics/rps", Items("MetricValueList", one));
  Start();
  std::vector<sdk::Opened> opened;
  opened.push_back(Open("hpa-pods", {{"metric", "rps"}, {"selector", "z,a=1"}}));
  opened.push_back(Open("hpa-pods", {{"metric", "rps"}, {"selector", "a=1,z"}}));
  opened.push_back(Open("hpa-object", {{"metric", "rps"},
                                       {"kind", "Deployment"},
                                       {"apiVersion", "apps/v1beta1"},
                                       {"name", "web"}}));
  opened.push_back(
      Open("hpa-object",
           {{"metric", "rps"}, {"kind", "Service"}, {"apiVersion", "v1"}, {"name", "web"}}));
  opened.push_back(Open(
      "hpa-object",
      {{"metric", "rps"}, {"kind", "Namespace"}, {"apiVersion", "v1"}, {"name", "elsewhere"}}));
  opened.push_back(
      Open("hpa-object",
           {{"metric", "rps"}, {"kind", "Route"}, {"apiVersion", "no.such/v1"}, {"name", "web"}}));
  const std::vector<std::string> readings = ReadAll(opened);
  EXPECT_EQ(readings[0], "w1=1500 w2=2000");
  EXPECT_EQ(readings[1], "w1=1500 w2=2000");
  EXPECT_EQ(readings[2], "milli 7000");
  EXPECT_THAT(readings[3], AllOf(StartsWith("BadAnswer: unable to fetch metrics from custom"),
                                 HasSubstr("exactly one value, got 2")));
  EXPECT_EQ(readings[4], "milli 7000");
  EXPECT_THAT(readings[5], AllOf(StartsWith("NotFound: "), HasSubstr("Route")));
  const std::vector<std::string> all = asked();
  EXPECT_EQ(std::count_if(all.begin(), all.end(),
                          [](const std::string& a) { return a.find("pods/%2A/rps") != a.npos; }),
            1)
      << "equal questions are asked once: " << testing::PrintToString(all);
  EXPECT_THAT(all, testing::Contains(AllOf(HasSubstr("pods/%2A/rps?labelSelector=app%3Dweb"),
                                           HasSubstr("metricLabelSelector=a%3D1%2Cz"))));
}

TEST_F(KubernetesMetricsTest, TheOlderVersionOfCustomMetrics) {
  ServeGroups(R"({"groupVersion":"","version":"v2"},{"groupVersion":"","version":"v1beta1"})",
              "v2");
  Serve("/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/*/rps",
        Items("MetricValueList",
              R"({"describedObject":{"name":"w1"},"metricName":"rps","window":15,"value":3})"));
  Start();
  EXPECT_EQ(Read(Open("hpa-pods", {{"metric", "rps"}})), "w1=3000");
}

TEST_F(KubernetesMetricsTest, NoCustomMetricsServed) {
  Serve("/apis", R"({"kind":"APIGroupList","groups":[]})");
  Start();
  EXPECT_EQ(Read(Open("hpa-pods", {{"metric", "rps"}})),
            "NotFound: unable to fetch metrics from custom metrics API: no known available metric "
            "versions found");
}

TEST_F(KubernetesMetricsTest, ExternalMetricsAreNotSummed) {
  Serve(kExternal, Items("ExternalMetricValueList",
                         R"({"metricName":"queue","metricLabels":{"a":"b"},"value":"42",
                             "timestamp":"2026-01-01T00:00:00Z"},{"value":"500m"})"));
  Start();
  std::vector<sdk::Opened> opened;
  for (const char* selector : {"", "q in (b,a)", "q in (a,b)", ""}) {
    opened.push_back(Open("hpa-external", {{"metric", "queue"}, {"selector", selector}}, ""));
  }
  EXPECT_THAT(ReadAll(opened), testing::Each("milli 42000 500"));
  EXPECT_EQ(asked().size(), 2U) << testing::PrintToString(asked());
}

TEST_F(KubernetesMetricsTest, AnEmptyListIsAnErrorAndNotZero) {
  Serve(kExternal, Items("ExternalMetricValueList", ""));
  Start();
  EXPECT_EQ(Read(Open("hpa-external", {{"metric", "queue"}})),
            "NotFound: no metrics returned from external metrics API");
}

TEST_F(KubernetesMetricsTest, ErrorsAreUpstreams) {
  const std::string resource = "unable to fetch metrics from resource metrics API: ";
  std::string body;
  int status = 0;
  server_->Get(kPods, [&](const httplib::Request&, httplib::Response& response) {
    response.status = status;
    response.set_content(body, "text/plain");
  });
  Start();
  const sdk::Opened cpu = Open("hpa-resource", {{"resource", "cpu"}});
  const auto read = [&](int code, const std::string& text) {
    status = code;
    body = text;
    return Read(cpu);
  };
  EXPECT_EQ(read(503, "service unavailable"),
            "Unavailable: " + resource +
                "the server is currently unable to handle the request (get pods.metrics.k8s.io)");
  EXPECT_EQ(read(404, "404 page not found"),
            "NotFound: " + resource +
                "the server could not find the requested resource (get pods.metrics.k8s.io)");
  EXPECT_EQ(read(403, R"({"kind":"Status","status":"Failure","reason":"Forbidden","code":403,
                  "message":"pods.metrics.k8s.io is forbidden: no"})"),
            "Denied: " + resource + "pods.metrics.k8s.io is forbidden: no");
  EXPECT_THAT(read(401, ""), AllOf(StartsWith("Denied: "), HasSubstr("provide credentials")));
  EXPECT_THAT(read(429, ""), StartsWith("Throttled: "));
  EXPECT_EQ(read(500, "boom"),
            "Internal: " + resource +
                "an error on the server (\"boom\") has prevented the request from succeeding (get "
                "pods.metrics.k8s.io)");
  EXPECT_THAT(read(200, "<html>"), AllOf(StartsWith("BadAnswer: "), HasSubstr("not JSON")));
  EXPECT_THAT(read(200, R"({"kind":"Status"})"),
              AllOf(StartsWith("BadAnswer: "), HasSubstr("is a Status")));
  EXPECT_THAT(read(200, Items("PodMetricsList", Pod("w1", "", "1mm"))),
              AllOf(StartsWith("BadAnswer: "), HasSubstr("items[0] (w1)")));
}

TEST_F(KubernetesMetricsTest, OneNamespaceThatFailsLeavesTheOthers) {
  Serve(kPods, Items("PodMetricsList", Pod("w1", R"("app":"web")", "1")));
  Serve("/apis/metrics.k8s.io/v1beta1/namespaces/other/pods", "{}", 500);
  Start();
  std::vector<sdk::Opened> opened;
  opened.push_back(Open("hpa-resource", {{"resource", "cpu"}}));
  opened.push_back(Open("hpa-resource", {{"resource", "cpu"}}, "app=web", "other"));
  const std::vector<std::string> readings = ReadAll(opened);
  EXPECT_EQ(readings[0], "w1=1001");
  EXPECT_THAT(readings[1], StartsWith("Internal: "));
}

TEST_F(KubernetesMetricsTest, AServerThatHangsIsATimeout) {
  std::atomic<bool> stop = false;
  server_->Get(kExternal, [&](const httplib::Request&, httplib::Response&) {
    WaitFor([&] { return stop.load(); });
  });
  Start();
  EXPECT_THAT(Read(Open("hpa-external", {{"metric", "queue"}}), absl::Milliseconds(300)),
              StartsWith("Timeout: unable to fetch metrics from external metrics API: "));
  stop = true;
  server_.Stop();  // before `stop` goes away
}

TEST_F(KubernetesMetricsTest, NoServerAndNoConfiguration) {
  UseServer("http://127.0.0.1:" + std::to_string(FreePort()));
  EXPECT_THAT(Read(Open("hpa-external", {{"metric", "queue"}})), StartsWith("Unavailable: "));
  setenv("NEAP_KUBECONFIG", "/no/such/file", 1);
  sdk::TestScaler fresh(Make());
  sdk::TriggerRequest request;
  request.type = "hpa-external";
  request.text.metadata = {{"metric", "queue"}};
  request.context.ns = "shop";
  EXPECT_THAT(Describe(fresh.Read(fresh.Open(request))),
              AllOf(StartsWith("Unavailable: "), HasSubstr("/no/such/file")));
}

// As in the bundle's container: no token of its own, the one that neapd writes comes later and
// changes.
TEST_F(KubernetesMetricsTest, TheTokenThatAnotherProcessKeepsFresh) {
  const testing_support::TestAuthority ca;
  const testing_support::TestCertificate certificate = ca.Issue("127.0.0.1");
  testing_support::HttpServer server({.tls = &certificate});
  testing_support::Guarded<std::string> accepted("Bearer first");
  server->Get("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue",
              [&](const httplib::Request& request, httplib::Response& response) {
                const bool good = request.get_header_value("Authorization") == accepted.Get();
                response.status = good ? 200 : 401;
                response.set_content(
                    good ? R"({"kind":"ExternalMetricValueList","items":[{"metricName":"queue",)"
                           R"("timestamp":"2026-01-01T00:00:00Z","value":"7"}]})"
                         : "",
                    "application/json");
              });
  server.Start();
  unsetenv("NEAP_KUBECONFIG");
  setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", std::to_string(server.port()).c_str(), 1);
  setenv("NEAP_TOKEN_FILE", (dir_.path() + "/token").c_str(), 1);
  setenv("NEAP_CA_FILE", dir_.Write("ca.crt", ca.cert()).c_str(), 1);
  const sdk::Opened opened = Open("hpa-external", {{"metric", "queue"}});
  EXPECT_THAT(Read(opened), AllOf(StartsWith("Unavailable: "), HasSubstr(dir_.path() + "/token")));
  dir_.Write("token", "first\n");
  EXPECT_THAT(Read(opened), HasSubstr("7"));
  accepted.Set("Bearer second");
  dir_.Write("token", "second\n");
  EXPECT_THAT(Read(opened), StartsWith("Denied: "));  // once: then the file is read again
  EXPECT_THAT(Read(opened), HasSubstr("7"));
  for (const char* name :
       {"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "NEAP_TOKEN_FILE", "NEAP_CA_FILE"}) {
    unsetenv(name);
  }
}

TEST_F(KubernetesMetricsTest, EachApiIsASourceOfItsOwn) {
  const std::string resource = Open("hpa-resource", {{"resource", "cpu"}})->source_key();
  const std::string custom = Open("hpa-pods", {{"metric", "m"}})->source_key();
  const std::string external = Open("hpa-external", {{"metric", "m"}})->source_key();
  EXPECT_NE(resource, custom);
  EXPECT_NE(custom, external);
  EXPECT_NE(resource, external);
}

TEST_F(KubernetesMetricsTest, BadTriggers) {
  EXPECT_THAT(Open("hpa-resource", {}).ErrorText(), HasSubstr("resource: missing"));
  EXPECT_THAT(Open("hpa-resource", {{"resource", "cpu"}}, "").ErrorText(),
              HasSubstr("podSelector: the target's scale has no selector"));
  EXPECT_THAT(Open("hpa-resource", {{"resource", "cpu"}}, "a in").ErrorText(),
              HasSubstr("podSelector: "));
  EXPECT_THAT(Open("hpa-external", {{"metric", "m"}, {"selector", "a=="}, {"x", "y"}}).ErrorText(),
              "");
  EXPECT_THAT(Open("hpa-external", {{"metric", "m"}, {"selector", "a in ("}}).ErrorText(),
              HasSubstr("selector: "));
  EXPECT_THAT(Open("hpa-object", {{"metric", "m"}, {"kind", "Service"}}).ErrorText(),
              HasSubstr("name: missing"));
  EXPECT_THAT(Open("hpa-pods", {{"metric", "m"}}, "app=web", "").ErrorText(),
              HasSubstr("namespace: "));
}

}  // namespace
}  // namespace neap::scalers::kubernetes_metrics
