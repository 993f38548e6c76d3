// The REST API against what a real server answers.
#include <gmock/gmock.h>

#include <fstream>
#include <set>
#include <sstream>

#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/api/discovery.h"
#include "tests/playground/ground.h"

namespace neap::playground {
namespace {

using testing::HasSubstr;

absl::StatusOr<kube::api::Resource> Find(kube::api::Discovery& discovery, const std::string& group,
                                         const std::string& kind) {
  absl::StatusOr<kube::api::Resource> found = absl::UnknownError("nothing came");
  std::atomic<bool> done{false};
  discovery.Find(group, kind, [&](absl::StatusOr<kube::api::Resource> resource) {
    found = std::move(resource);
    done = true;
  });
  EXPECT_TRUE(testing_support::WaitFor([&] { return done.load(); }));
  return found;
}

TEST(Playground, DiscoveryLeadsFromKindToResource) {
  Ground ground;
  kube::api::Discovery discovery(ground.client());
  const auto deployment = Find(discovery, "apps", "Deployment");
  ASSERT_TRUE(deployment.ok()) << deployment.status();
  EXPECT_EQ(deployment->plural, "deployments");
  EXPECT_TRUE(deployment->has_scale);
  const auto autoscaler = Find(discovery, "neap.dev", "Autoscaler");
  ASSERT_TRUE(autoscaler.ok()) << autoscaler.status();
  EXPECT_EQ(autoscaler->version, "v1alpha1");
  EXPECT_TRUE(autoscaler->has_status);
  EXPECT_TRUE(Find(discovery, "", "Pod").ok());
  EXPECT_EQ(Find(discovery, "apps", "DaemonSet").status().code(), absl::StatusCode::kNotFound);
}

TEST(Playground, UnknownPathsAndObjectsAreNotFoundInTheApisWords) {
  Ground ground;
  EXPECT_EQ(ground.Raw({.url = "/nothing"}).body, "404 page not found\n");
  EXPECT_EQ(ground.Get("/apis/apps/v1/daemonsets")["message"],
            "the server could not find the requested resource");
  const Json status = ground.Get("/apis/apps/v1/namespaces/shop/deployments/none");
  EXPECT_EQ(status["kind"], "Status");
  EXPECT_EQ(status["code"], 404);
  EXPECT_EQ(status["message"], "deployments.apps \"none\" not found");
  EXPECT_EQ(status["details"],
            Json({{"name", "none"}, {"group", "apps"}, {"kind", "deployments"}}));
}

TEST(Playground, ListsComeInPagesOfOneVersion) {
  Ground ground;
  const std::string path = "/apis/apps/v1/namespaces/other/deployments?limit=10";
  std::set<std::string> names;
  Json page = ground.Get(path);
  EXPECT_EQ(page["kind"], "DeploymentList");
  EXPECT_EQ(page["metadata"]["remainingItemCount"], 15);
  const std::string version = page["metadata"]["resourceVersion"];
  // What changes meanwhile is not in the later pages.
  ground.MergePatch("/apis/apps/v1/namespaces/other/deployments/many-9/scale",
                    {{"spec", {{"replicas", 7}}}});
  for (int pages = 1;; ++pages) {
    EXPECT_EQ(page["metadata"]["resourceVersion"], version);
    for (const Json& item : page["items"]) {
      names.insert(item["metadata"]["name"]);
      EXPECT_FALSE(item.contains("kind"));
      EXPECT_EQ(item["spec"]["replicas"], 1);
    }
    if (!page["metadata"].contains("continue")) {
      EXPECT_EQ(pages, 3);
      break;
    }
    page = ground.Get(path + "&continue=" + page["metadata"]["continue"].get<std::string>());
  }
  EXPECT_EQ(names.size(), 25u);
  const http::Response old = ground.Raw({.url = path + "&continue=999.5"});
  EXPECT_EQ(old.status, 410);
  EXPECT_EQ(Json::parse(old.body)["reason"], "Expired");
}

TEST(Playground, SelectorsKeepWhatTheyMatch) {
  Ground ground;
  EXPECT_EQ(ground.Get("/api/v1/pods?labelSelector=app%3Dcheckout")["items"].size(), 2u);
  EXPECT_EQ(ground.Get("/api/v1/pods?labelSelector=app%20notin%20(checkout)")["items"].size(), 25u);
  EXPECT_EQ(ground.Get("/api/v1/namespaces/shop/pods?fieldSelector=status.phase%3DRunning")["items"]
                .size(),
            2u);
  EXPECT_EQ(ground.Get("/api/v1/pods?fieldSelector=metadata.namespace!%3Dshop")["items"].size(),
            25u);
  EXPECT_EQ(ground.Raw({.url = "/api/v1/pods?labelSelector=a%20b"}).status, 400);
  EXPECT_THAT(ground.Raw({.url = "/api/v1/pods?fieldSelector=spec.x%3D1"}).body,
              HasSubstr("field label not supported: spec.x"));
}

TEST(Playground, PodsCarryWhatDecisionsRead) {
  Ground ground;
  const Json pod =
      ground.Get("/api/v1/namespaces/shop/pods?labelSelector=app%3Dcheckout")["items"][0];
  EXPECT_EQ(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"], "500m");
  EXPECT_EQ(pod["status"]["phase"], "Running");
  EXPECT_TRUE(pod["status"].contains("startTime"));
  bool ready = false;
  for (const Json& condition : pod["status"]["conditions"]) {
    ready |= condition["type"] == "Ready" && condition["status"] == "True" &&
             condition.contains("lastTransitionTime");
  }
  EXPECT_TRUE(ready);
}

TEST(Playground, ScaleReadsAsTheRealOne) {
  Ground ground;
  const Json scale = ground.Get(kScale);
  EXPECT_EQ(scale["kind"], "Scale");
  EXPECT_EQ(scale["apiVersion"], "autoscaling/v1");
  EXPECT_EQ(scale["spec"], Json({{"replicas", 2}}));
  EXPECT_EQ(scale["status"], Json({{"replicas", 2}, {"selector", "app=checkout"}}));
  // At zero the field is left out.
  const std::string worker = "/apis/apps/v1/namespaces/shop/deployments/worker/scale";
  EXPECT_EQ(ground.Get(worker)["spec"], Json::object());
  const http::Response up = ground.JsonPatch(
      worker, {{{"op", "test"}, {"path", "/spec"}, {"value", Json::object()}},
               {{"op", "replace"}, {"path", "/spec"}, {"value", {{"replicas", 2}}}}});
  EXPECT_EQ(up.status, 200) << up.body;
  EXPECT_EQ(Json::parse(up.body)["spec"]["replicas"], 2);
  EXPECT_TRUE(testing_support::WaitFor([&] { return ground.Ready("worker") == 2; }));
}

TEST(Playground, APatchWhoseTestFailsIsRefusedInTheRealServersWords) {
  Ground ground;
  const std::string uid = ground.Get(kScale)["metadata"]["uid"];
  for (const Json& test : {Json({{"op", "test"}, {"path", "/spec/replicas"}, {"value", 9}}),
                           Json({{"op", "test"}, {"path", "/metadata/uid"}, {"value", "other"}})}) {
    const http::Response refused = ground.JsonPatch(
        kScale, Json::array({test, {{"op", "replace"}, {"path", "/spec/replicas"}, {"value", 4}}}));
    EXPECT_EQ(refused.status, 422);
    const Json status = Json::parse(refused.body);
    EXPECT_EQ(status["reason"], "Invalid");
    EXPECT_EQ(status["message"], "the server rejected our request due to an error in our request");
    EXPECT_TRUE(status.value("details", Json::object()).empty());
  }
  EXPECT_EQ(ground.Get(kScale)["spec"]["replicas"], 2);
  const http::Response applied = ground.JsonPatch(
      kScale, {{{"op", "test"}, {"path", "/metadata/uid"}, {"value", uid}},
               {{"op", "test"}, {"path", "/spec"}, {"value", {{"replicas", 2}}}},
               {{"op", "replace"}, {"path", "/spec"}, {"value", {{"replicas", 4}}}}});
  EXPECT_EQ(applied.status, 200);
}

TEST(Playground, ScaleConflictsAndBadNumbers) {
  Ground ground;
  Json scale = ground.Get(kScale);
  const http::Response other_uid =
      ground.MergePatch(kScale, {{"metadata", {{"uid", "x"}}}, {"spec", {{"replicas", 5}}}});
  EXPECT_EQ(other_uid.status, 409);
  EXPECT_THAT(other_uid.body, HasSubstr("Precondition failed: UID in precondition: x"));
  ASSERT_EQ(ground.MergePatch(kScale, {{"spec", {{"replicas", 3}}}}).status, 200);
  scale["spec"]["replicas"] = 5;
  const http::Response stale = ground.Send("PUT", kScale, scale.dump());
  EXPECT_EQ(stale.status, 409);
  EXPECT_THAT(
      Json::parse(stale.body)["message"].get<std::string>(),
      HasSubstr("Operation cannot be fulfilled on deployments.apps \"checkout\": the object "
                "has been modified"));
  const Json negative = Json::parse(ground.MergePatch(kScale, {{"spec", {{"replicas", -1}}}}).body);
  EXPECT_EQ(negative["code"], 422);
  EXPECT_EQ(negative["details"]["kind"], "Scale");
  EXPECT_EQ(negative["message"],
            "Scale.autoscaling \"checkout\" is invalid: spec.replicas: Invalid value: -1: must be "
            "greater than or equal to 0");
  EXPECT_EQ(ground.MergePatch(kScale, {{"spec", {{"replicas", "many"}}}}).status, 400);
  EXPECT_EQ(ground.MergePatch(kScale, {{"spec", {{"replicas", int64_t{1} << 40}}}}).status, 400);
  EXPECT_EQ(ground.Send("PATCH", kScale, "{", "application/merge-patch+json").status, 400);
  EXPECT_EQ(ground.Send("PATCH", kScale, "{}", "text/plain").status, 415);
  EXPECT_EQ(ground.Send("POST", kScale, "{}").status, 405);
  EXPECT_EQ(ground.Get(kScale)["spec"]["replicas"], 3);
}

TEST(Playground, AutoscalersAreCreatedChangedAndDeleted) {
  Ground ground;
  const http::Response created = ground.Send("POST", kAutoscalers, kAutoscaler);
  ASSERT_EQ(created.status, 201) << created.body;
  const Json object = Json::parse(created.body);
  EXPECT_EQ(object["metadata"]["generation"], 1);
  EXPECT_TRUE(object["metadata"].contains("uid"));
  EXPECT_EQ(Json::parse(ground.Send("POST", kAutoscalers, kAutoscaler).body)["reason"],
            "AlreadyExists");
  const std::string path = std::string(kAutoscalers) + "/checkout";
  EXPECT_EQ(ground.Get(kAutoscalers)["items"][0]["kind"], "Autoscaler");

  // The status is its own: a write there leaves the spec and the generation alone.
  const Json status =
      Json::parse(ground
                      .MergePatch(path + "/status", {{"spec", {{"maxReplicas", 99}}},
                                                     {"status", {{"desiredReplicas", 4}}}})
                      .body);
  EXPECT_EQ(status["spec"]["maxReplicas"], 10);
  EXPECT_EQ(status["status"]["desiredReplicas"], 4);
  EXPECT_EQ(status["metadata"]["generation"], 1);
  // What changes nothing makes no new version.
  const Json again =
      Json::parse(ground.MergePatch(path + "/status", {{"status", {{"desiredReplicas", 4}}}}).body);
  EXPECT_EQ(again["metadata"]["resourceVersion"], status["metadata"]["resourceVersion"]);

  const Json changed = Json::parse(
      ground.MergePatch(path, {{"spec", {{"maxReplicas", 12}}}, {"status", nullptr}}).body);
  EXPECT_EQ(changed["metadata"]["generation"], 2);
  EXPECT_EQ(changed["status"]["desiredReplicas"], 4);

  Json stale = object;
  EXPECT_EQ(ground.Send("PUT", path, stale.dump()).status, 409);
  stale["metadata"].erase("resourceVersion");
  EXPECT_EQ(ground.Send("PUT", path, stale.dump()).status, 422);
  stale["metadata"]["resourceVersion"] = changed["metadata"]["resourceVersion"];
  EXPECT_EQ(ground.Send("PUT", path, stale.dump()).status, 200);
  EXPECT_EQ(ground.Get(path)["spec"]["maxReplicas"], 10);
  EXPECT_EQ(ground.Send("PATCH", path, "{}", "application/strategic-merge-patch+json").status, 415);

  EXPECT_EQ(ground.Send("DELETE", path, R"({"preconditions": {"uid": "other"}})").status, 409);
  EXPECT_EQ(ground.Send("DELETE", path, "").status, 200);
  EXPECT_EQ(ground.Send("DELETE", path, "").status, 404);
}

// kubectl shows an Autoscaler here as it does on a real server, which goes by the CRD.
TEST(Playground, AutoscalersHaveTheColumnsOfTheCrd) {
  std::ifstream file("charts/neap/crds/autoscalers.neap.dev.yaml");
  std::ostringstream text;
  text << file.rdbuf();
  const auto documents = value::ParseYaml(text.str(), "crd");
  ASSERT_TRUE(documents.ok()) << documents.status();
  const value::Value* version = &(*documents)[0].Find("spec.versions")->list()[0];
  std::vector<std::pair<std::string, int64_t>> expected = {{"Name", 0}};
  for (const value::Value& column : version->Get("additionalPrinterColumns")->list()) {
    expected.emplace_back(column.StringAt("name"), column.IntAt("priority"));
  }
  Ground ground;
  const http::Response table =
      ground.Raw({.url = kAutoscalers,
                  .headers = {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}}});
  std::vector<std::pair<std::string, int64_t>> found;
  const Json document = Json::parse(table.body);
  for (const Json& column : document["columnDefinitions"]) {
    found.emplace_back(column["name"], column["priority"]);
  }
  EXPECT_EQ(found, expected);
}

TEST(Playground, AdmissionRefusesWhatTheRulesForbid) {
  Ground ground;
  Json object = Json::parse(kAutoscaler);
  object["spec"]["minReplicas"] = 20;
  const Json refused = Json::parse(ground.Send("POST", kAutoscalers, object.dump()).body);
  EXPECT_EQ(refused["code"], 422);
  EXPECT_EQ(refused["details"]["causes"][0]["field"], "spec.maxReplicas");
  object = Json::parse(kAutoscaler);
  object["spec"]["maxReplica"] = 20;
  const http::Response warned = ground.Send("POST", kAutoscalers, object.dump());
  EXPECT_EQ(warned.status, 201);
  EXPECT_THAT(std::string(warned.Header("Warning")), HasSubstr("spec.maxReplica"));
  EXPECT_EQ(
      ground.Send("POST", std::string(kAutoscalers) + "?fieldValidation=Strict", object.dump())
          .status,
      409);
  object["metadata"]["name"] = "Upper";
  EXPECT_EQ(ground.Send("POST", kAutoscalers, object.dump()).status, 422);
  object["metadata"] = {{"name", "a"}, {"namespace", "elsewhere"}};
  EXPECT_EQ(ground.Send("POST", kAutoscalers, object.dump()).status, 400);
  EXPECT_EQ(ground
                .Send("POST", "/apis/neap.dev/v1alpha1/namespaces/none/autoscalers",
                      R"({"apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler"})")
                .status,
            404);

  Ground all(Options{.admit_all = true});
  object = Json::parse(kAutoscaler);
  object["spec"]["minReplicas"] = 20;
  EXPECT_EQ(all.Send("POST", kAutoscalers, object.dump()).status, 201);
}

TEST(Playground, EventsAreCreatedAndCounted) {
  Ground ground;
  const std::string events = "/api/v1/namespaces/shop/events";
  const Json event = {{"apiVersion", "v1"},
                      {"kind", "Event"},
                      {"metadata", {{"name", "checkout.1"}, {"namespace", "shop"}}},
                      {"involvedObject", {{"kind", "Autoscaler"}, {"name", "checkout"}}},
                      {"reason", "SuccessfulRescale"},
                      {"count", 1}};
  EXPECT_EQ(ground.Send("POST", events, event.dump()).status, 201);
  EXPECT_EQ(ground.MergePatch(events + "/checkout.1", {{"count", 2}}).status, 200);
  const Json found = ground.Get(events + "?fieldSelector=involvedObject.name%3Dcheckout");
  ASSERT_EQ(found["items"].size(), 1u);
  EXPECT_EQ(found["items"][0]["count"], 2);
}

TEST(Playground, ADryRunOfAWriteChangesNothing) {
  Ground ground;
  const http::Response scaled =
      ground.MergePatch(std::string(kScale) + "?dryRun=All", {{"spec", {{"replicas", 9}}}});
  EXPECT_EQ(scaled.status, 200);
  EXPECT_EQ(Json::parse(scaled.body)["spec"]["replicas"], 9);
  EXPECT_EQ(ground.Get(kScale)["spec"]["replicas"], 2);
}

TEST(Playground, LogsWritesAndOnlyWrites) {
  Ground ground;
  ground.Get("/apis/apps/v1/deployments");
  EXPECT_EQ(ground.Get("/writes")["total"], 0);
  ground.MergePatch(kScale, {{"spec", {{"replicas", 5}}}});
  ground.MergePatch(kScale, {{"spec", {{"replicas", -5}}}});
  const Json log = ground.Get("/writes");
  EXPECT_EQ(log["total"], 2);
  EXPECT_EQ(log["byCode"], Json({{"200", 1}, {"422", 1}}));
  const Json& write = log["writes"][0];
  EXPECT_EQ(write["method"], "PATCH");
  EXPECT_EQ(write["name"], "checkout");
  EXPECT_EQ(write["from"], 2);
  EXPECT_EQ(write["to"], 5);
  EXPECT_FALSE(log["writes"][1].contains("to"));
  EXPECT_EQ(ground.Get("/writes?after=1")["writes"].size(), 1u);
}

TEST(Playground, DeletedPodsAreReplacedAndSaySo) {
  Ground ground;
  const std::string pods = "/api/v1/namespaces/shop/pods";
  const std::string name =
      ground.Get(pods + "?labelSelector=app%3Dcheckout")["items"][0]["metadata"]["name"];
  const Json deleted = Json::parse(ground.Send("DELETE", pods + "/" + name, "").body);
  EXPECT_TRUE(deleted["metadata"].contains("deletionTimestamp"));
  EXPECT_TRUE(testing_support::WaitFor(
      [&] { return ground.Raw({.url = pods + "/" + name}).status == 404; }));
  EXPECT_TRUE(testing_support::WaitFor([&] { return ground.Ready("checkout") == 2; }));
}

TEST(Playground, AsksForItsTokenOverTls) {
  Ground ground(Options{.token = "secret", .tls = true});
  EXPECT_TRUE(ground.client().Do({.path = "/api/v1/pods"}).ok());
  const auto without =
      ground.http().Do({.url = ground.url("/api/v1/pods"), .tls = ground.client().config().tls});
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(without->status, 401);
  EXPECT_EQ(Json::parse(without->body)["message"], "Unauthorized");
  // The world's own pages need none.
  const auto page =
      ground.http().Do({.url = ground.url("/metrics"), .tls = ground.client().config().tls});
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page->body,
              HasSubstr("world_request_rate{namespace=\"shop\",deployment=\"checkout\"} 20\n"));
}

TEST(Playground, StartNamesWhatItCannotUse) {
  const testing_support::TempDir dir;
  EXPECT_EQ(Playground({.world_file = dir.path() + "/none.yaml"}).Start().code(),
            absl::StatusCode::kNotFound);
  const std::string world = dir.Write("world.yaml", kWorld);
  const std::string bad = dir.Write("bad.yaml",
                                    "apiVersion: neap.dev/v1alpha1\nkind: Autoscaler\n"
                                    "metadata: {name: x}\nspec:\n  maxReplica: 3\n");
  const absl::Status refused = Playground({.world_file = world, .object_files = {bad}}).Start();
  EXPECT_THAT(std::string(base::Message(refused)), HasSubstr("bad.yaml:5: spec.maxReplica"));
  Ground ground;
  const std::string url = ground.playground().url();
  const int port = std::stoi(url.substr(url.rfind(':') + 1));
  const absl::Status taken = Playground({.world_file = world, .port = port}).Start();
  EXPECT_THAT(std::string(base::Message(taken)), HasSubstr(std::to_string(port)));
}

}  // namespace
}  // namespace neap::playground
