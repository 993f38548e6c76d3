// What a cluster does wrong, and what its users are told: each verb denied, objects of newer
// versions, scales that lie, huge objects, a server whose clock is wrong.
#include <absl/time/clock.h>

#include <nlohmann/json.hpp>

#include "autoscaler/base/duration.h"
#include "autoscaler/kube/autoscaler_view.h"
#include "autoscaler/kube/event_writer.h"
#include "autoscaler/kube/pod_views.h"
#include "autoscaler/kube/scale_views.h"
#include "autoscaler/kube/scale_writer.h"
#include "autoscaler/kube/status_writer.h"
#include "tests/kube/edge.h"

namespace neap::kube {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kPods[] = "/api/v1/namespaces/shop/pods";
constexpr char kDeployments[] = "/apis/apps/v1/deployments";
constexpr char kAutoscalers[] = "/apis/neap.dev/v1alpha1/autoscalers";
const control::TargetRef kWeb = {
    .group = "apps", .kind = "Deployment", .ns = "shop", .name = "web"};

std::string Autoscaler(const std::string& spec_more = "", const std::string& annotation = "") {
  return R"({"apiVersion":"neap.dev/v1alpha1","kind":"Autoscaler","metadata":{"name":"web",)"
         R"("namespace":"shop","uid":"a-1","resourceVersion":"5","generation":1,"annotations":{"x":")" +
         annotation +
         R"("}},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},)"
         R"("minReplicas":1,"maxReplicas":5,"metrics":[{"type":"Resource","resource":{"name":"cpu",)"
         R"("target":{"type":"Utilization","averageUtilization":60}}}])" +
         spec_more + "}}";
}
std::string Deployment(const std::string& annotation = "") {
  return R"({"metadata":{"name":"web","namespace":"shop","uid":"u-1","resourceVersion":"7",)"
         R"("annotations":{"x":")" +
         annotation +
         R"("}},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}}},)"
         R"("status":{"replicas":3}})";
}
std::string Pod(const std::string& name, const std::string& start,
                const std::string& annotation = "") {
  return R"({"metadata":{"name":")" + name +
         R"(","namespace":"shop","resourceVersion":"7","labels":{"app":"web"},"annotations":{"x":")" +
         annotation +
         R"("}},"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1"}}}]},)"
         R"("status":{"phase":"Running","startTime":")" +
         start + R"(","conditions":[{"type":"Ready","status":"True","lastTransitionTime":")" +
         start + R"("}]}})";
}

class Trouble : public Edge {
 protected:
  // As the server of a cluster with RBAC says it.
  static Answer Denied(const std::string& verb, const std::string& resource,
                       const std::string& group, const std::string& name) {
    return Refusal(403, "Forbidden",
                   resource + (group.empty() ? "" : "." + group) +
                       (name.empty() ? "" : " \\\"" + name + "\\\"") +
                       " is forbidden: User \\\"system:serviceaccount:neap:neap\\\" cannot " +
                       verb + " resource \\\"" + resource + "\\\" in API group \\\"" + group +
                       "\\\" in the namespace \\\"shop\\\"");
  }
  // A report that tells all that is needed to grant the right.
  bool AwaitDenial(const std::string& what, const std::string& verb, const std::string& resource) {
    return testing_support::WaitFor([&] {
      for (const std::string& report : reports()) {
        const auto says = [&](const std::string& text) {
          return report.find(text) != std::string::npos;
        };
        if (report.starts_with(what) && says("cannot " + verb + " resource \"" + resource + "\"") &&
            says("in the namespace \"shop\"") && says("User \"system:serviceaccount:neap:neap\"") &&
            says("(in-cluster)")) {
          return true;
        }
      }
      return false;
    });
  }
  Trouble() {
    api::ClusterConfig config = ConfigOf(server_.url());
    config.origin = "in-cluster";
    pod_client_ = std::make_unique<api::Client>(http_, std::move(config));
    context_.client = pod_client_.get();
  }
  std::unique_ptr<api::Client> pod_client_;
};

TEST_F(Trouble, EachVerbThatIsDeniedIsNamedWithResourceNamespaceAndUser) {
  server_.On("GET", kPods, Denied("list", "pods", "", ""));
  server_.On("GET", kDeployments, {.body = List("7", Deployment())});
  for (int i = 0; i < 3; ++i) {
    server_.RefuseWatch(kDeployments, Denied("watch", "deployments", "apps", ""));
  }
  server_.On("GET", kAutoscalers, Denied("list", "autoscalers", "neap.dev", ""));
  server_.On("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web/scale",
             Denied("patch", "deployments/scale", "apps", "web"));
  server_.On("PATCH", "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/web/status",
             Denied("patch", "autoscalers/status", "neap.dev", "web"));
  server_.On("POST", "/api/v1/namespaces/shop/events", Denied("create", "events", "", ""));

  PodViews pods(context_);
  pods.SetNamespaces({"shop"});
  EXPECT_TRUE(AwaitDenial("pods of shop", "list", "pods"));
  ScaleViews scales(context_);
  scales.SetTargets({kWeb});
  EXPECT_TRUE(AwaitDenial("deployments", "watch", "deployments"));
  AutoscalerView autoscalers(context_, {}, [](const ObjectNews&) {});
  EXPECT_TRUE(AwaitDenial("Autoscaler objects", "list", "autoscalers"));

  ApiScaleWriter writer(context_);
  writer.Write({.write_id = 1,
                .uid = "a-1",
                .target = kWeb,
                .observed = {.uid = "u-1",
                             .resource_version = "7",
                             .spec_replicas = 3,
                             .status_replicas = 3,
                             .selector = "app=web"},
                .replicas = 4});
  EXPECT_TRUE(AwaitDenial("scaling Deployment shop/web", "patch", "deployments/scale"));
  ASSERT_TRUE(Await<control::WriteOutcome>(1));
  // What the object's condition shows: the server's words.
  EXPECT_EQ(All<control::WriteOutcome>()[0].result.kind, core::ApplyResult::Kind::kRejected);
  EXPECT_THAT(All<control::WriteOutcome>()[0].result.error,
              HasSubstr("cannot patch resource \"deployments/scale\""));

  StatusWriter status(context_, [](const control::WriteStatus&) { return std::string("{}"); });
  status.Write({.uid = "a-1",
                .key = {"shop", "web"},
                .kind = core::ObjectKind::kAutoscaler,
                .status = {},
                .explanation = ""});
  EXPECT_TRUE(AwaitDenial("status of shop/web", "patch", "autoscalers/status"));
  EventWriter events(context_);
  events.Write({.uid = "a-1",
                .key = {"shop", "web"},
                .kind = core::ObjectKind::kAutoscaler,
                .event = {.type = core::EventType::kNormal, .reason = "R", .message = "m"}});
  EXPECT_TRUE(AwaitDenial("event of shop/web", "create", "events"));
  // A denied view never becomes an empty one.
  EXPECT_TRUE(All<control::PodsReplaced>().empty());
  EXPECT_TRUE(All<control::SpecsReplaced>().empty());
}

// What a proxy or an authorizer says that names nobody is completed by what we know.
TEST_F(Trouble, ADenialWithoutWordsStillSaysWhatWasAskedAndByWhom) {
  server_.On("GET", kPods, {.status = 403, .body = "Forbidden"});
  PodViews pods(context_);
  pods.SetNamespaces({"shop"});
  EXPECT_TRUE(AwaitReport("pods of shop: GET " + server_.url() + kPods +
                          ": the server answered 403 (Forbidden): Forbidden (in-cluster)"));
}

TEST_F(Trouble, AnObjectOfANewerVersionIsServedAndItsUnknownFieldsAreNamed) {
  server_.On("GET", kAutoscalers,
             {.body = List("7", Autoscaler(R"(,"forecast":{"horizon":"1h"},"minReplica":2)"))});
  std::vector<std::string> warnings;
  std::vector<std::string> errors;
  AutoscalerView view(context_, {}, [&](const ObjectNews& news) {
    warnings = news.warnings;
    errors = news.errors;
  });
  ASSERT_TRUE(Await<control::SpecsReplaced>(1));
  Settle();
  EXPECT_EQ(All<control::SpecsReplaced>()[0].all.size(), 1U);
  EXPECT_TRUE(errors.empty());
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings[0] + warnings[1],
              AllOf(HasSubstr("forecast"), HasSubstr("minReplica"), HasSubstr("minReplicas")));
}

// A status without a selector would select all pods of the namespace, were it read as "nothing
// required": it is handed on as empty, which the decision refuses.
TEST_F(Trouble, AScaleWithoutASelectorSelectsNothing) {
  server_.On("GET", "/apis/example.com",
             {.body = R"({"preferredVersion":{"version":"v1"},"versions":[{"version":"v1"}]})"});
  server_.On("GET", "/apis/example.com/v1",
             {.body = R"({"resources":[{"name":"widgets","kind":"Widget","namespaced":true},
                 {"name":"widgets/scale","kind":"Scale","namespaced":true}]})"});
  server_.On("GET", "/apis/example.com/v1/namespaces/shop/widgets/web/scale",
             {.body = R"({"kind":"Scale","metadata":{"uid":"u","resourceVersion":"1"},
                 "spec":{"replicas":3},"status":{"replicas":3}})"});
  ScaleViews scales(context_);
  scales.SetTargets({{.group = "example.com", .kind = "Widget", .ns = "shop", .name = "web"}});
  ASSERT_TRUE(Await<control::ScaleChange>(1));
  const auto change = All<control::ScaleChange>()[0];
  ASSERT_TRUE(change.scale.has_value());
  EXPECT_EQ(change.scale->selector, "");
  EXPECT_EQ(change.scale->spec_replicas, 3);
}

TEST_F(Trouble, AMegabyteInAnAnnotationIsPassedOver) {
  const std::string much(size_t{1} << 20, 'x');
  server_.On("GET", kAutoscalers, {.body = List("7", Autoscaler("", much))});
  server_.On("GET", kDeployments, {.body = List("7", Deployment(much))});
  server_.On("GET", kPods, {.body = List("7", Pod("a", "2026-01-01T00:00:00Z", much))});
  AutoscalerView autoscalers(context_, {}, [](const ObjectNews&) {});
  ScaleViews scales(context_);
  scales.SetTargets({kWeb});
  PodViews pods(context_);
  pods.SetNamespaces({"shop"});
  ASSERT_TRUE(Await<control::SpecsReplaced>(1));
  ASSERT_TRUE(Await<control::ScalesReplaced>(1));
  ASSERT_TRUE(Await<control::PodsReplaced>(1));
  EXPECT_EQ(All<control::SpecsReplaced>()[0].all.size(), 1U);
  EXPECT_EQ(All<control::ScalesReplaced>()[0].all.size(), 1U);
  ASSERT_EQ(All<control::PodsReplaced>()[0].all.size(), 1U);
  // The same as events.
  ASSERT_TRUE(server_.AwaitWatches(kPods, 1));
  server_.Send(kPods, Event("MODIFIED", Pod("a", "2026-01-01T00:00:00Z", much)));
  ASSERT_TRUE(Await<control::PodChange>(1));
  ASSERT_TRUE(server_.AwaitWatches(kDeployments, 1));
  server_.Send(kDeployments, Event("MODIFIED", Deployment(much)));
  ASSERT_TRUE(Await<control::ScaleChange>(1));
  EXPECT_THAT(reports(), testing::IsEmpty());
}

// The server's clock is an hour ahead: its pods have started in our future. They are what they are;
// how far the clocks are apart is measured, for /metrics.
TEST_F(Trouble, AServerWhoseClockIsAheadIsRead) {
  const absl::Time there = absl::Now() + absl::Hours(1);
  server_.On("GET", kPods,
             {.body = List("7", Pod("a", base::FormatTime(there))),
              .headers = {{"Date", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", there,
                                                    absl::UTCTimeZone())}}});
  PodViews pods(context_);
  pods.SetNamespaces({"shop"});
  ASSERT_TRUE(Await<control::PodsReplaced>(1));
  const control::PodState pod = All<control::PodsReplaced>()[0].all[0];
  EXPECT_EQ(base::FormatTime(pod.pod.start), base::FormatTime(there));
  EXPECT_EQ(pod.pod.ready, core::PodReady::kTrue);
  ASSERT_TRUE(pod_client_->counters().clock_skew.has_value());
  EXPECT_GE(*pod_client_->counters().clock_skew, absl::Minutes(59));
  EXPECT_LE(*pod_client_->counters().clock_skew, absl::Minutes(61));
}

}  // namespace
}  // namespace neap::kube
