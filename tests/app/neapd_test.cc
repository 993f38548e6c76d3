// neapd in-process against the playground and the real scalers: objects in, PATCHes, status and
// metrics out.

#include "autoscaler/app/neapd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "autoscaler/playground/playground.h"
#include "autoscaler/record/journal.h"
#include "autoscaler/telemetry/metric_list.h"
#include "tests/support/process.h"

namespace neap::app {
namespace {

using ::testing::HasSubstr;
using testing_support::Process;
using testing_support::TempDir;
using testing_support::WaitFor;
using Json = nlohmann::json;

// A queue that only grows; each worker is to have 10 items.
constexpr char kWorld[] = R"(seed: 7
tick: 200ms
deployments:
- {name: worker, namespace: shop, replicas: 1, requests: {cpu: 100m}}
queues:
- {name: jobs, namespace: shop, waiting: 30, arrivals: {constant: 0}}
externalMetrics:
- {name: jobs_waiting, namespace: shop, labels: {queue: jobs}, from: {queue: jobs}}
)";

std::string Autoscaler(const std::string& name, const std::string& more) {
  return "apiVersion: neap.dev/v1alpha1\nkind: Autoscaler\nmetadata: {name: " + name +
         ", namespace: shop}\nspec:\n"
         "  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}\n" +
         more;
}
constexpr char kSpec[] =
    "  maxReplicas: 10\n  period: 1s\n  metrics:\n  - type: External\n    external: {metric: "
    "{name: "
    "jobs_waiting}, target: {type: AverageValue, averageValue: \"10\"}}\n";

class NeapdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* bin = std::getenv("NEAP_BIN");
    ASSERT_NE(bin, nullptr) << "NEAP_BIN must name the folder of the binaries";
    playground::Options options;
    options.world_file = dir_.Write("world.yaml", kWorld);
    options.object_files = {dir_.Write("objects.yaml", objects_)};
    options.kubeconfig = dir_.path() + "/kubeconfig";
    options.admit_all = true;
    playground_ = std::make_unique<playground::Playground>(options);
    const absl::Status started = playground_->Start();
    ASSERT_TRUE(started.ok()) << started;
    setenv("KUBECONFIG", options.kubeconfig.c_str(), 1);
    socket_ = "unix://" + dir_.path() + "/scalers.sock";
    scalers_ = std::make_unique<Process>(
        std::vector<std::string>{std::string(bin) + "/neap-scalers", "--listen", socket_},
        dir_.path(), "scalers.log");
    options_.kubeconfig = options.kubeconfig;
    options_.sources = {"api"};
    options_.scalers = {socket_};
    options_.listen_address = "127.0.0.1:0";
    options_.hpa.downscale_stabilization = absl::ZeroDuration();
  }
  void Start() {
    auto started = Neapd::Start(options_);
    ASSERT_TRUE(started.ok()) << started.status();
    neapd_ = *std::move(started);
  }

  static std::string Get(const std::string& origin, const std::string& path) {
    httplib::Client client(origin);
    const auto result = client.Get(path);
    return result ? result->body : "";
  }
  Json World(const std::string& path) {
    return Json::parse(Get(playground_->url(), path), nullptr, /*allow_exceptions=*/false);
  }
  int Replicas() {
    const Json scale = World("/apis/apps/v1/namespaces/shop/deployments/worker/scale");
    return scale.value("/spec/replicas"_json_pointer, -1);
  }
  // The object's condition: "True: reason: message", "" when there is none.
  std::string Condition(const std::string& name, const std::string& type) {
    const Json object = World("/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/" + name);
    for (const Json& c : object.value("/status/conditions"_json_pointer, Json::array())) {
      if (c["type"] == type) {
        return c["status"].get<std::string>() + ": " + c["reason"].get<std::string>() + ": " +
               c["message"].get<std::string>();
      }
    }
    return "";
  }
  std::string Page(const std::string& path) {
    return Get("http://127.0.0.1:" + std::to_string(neapd_->port()), path);
  }

  const TempDir dir_;
  std::string objects_ = Autoscaler("worker", kSpec);
  std::string socket_;
  std::unique_ptr<playground::Playground> playground_;
  std::unique_ptr<Process> scalers_;
  Options options_;
  std::unique_ptr<Neapd> neapd_;  // goes first
};

TEST_F(NeapdTest, ScalesAndSaysSo) {
  options_.journal_dir = dir_.path() + "/journal";
  options_.leases = true;
  options_.lease_namespace = "shop";
  options_.lease_duration = absl::Seconds(2);
  options_.lease_renew_deadline = absl::Milliseconds(1400);
  options_.lease_retry_period = absl::Milliseconds(400);
  Start();
  EXPECT_TRUE(WaitFor([&] { return Replicas() == 3; })) << Replicas();
  EXPECT_TRUE(WaitFor([&] { return Condition("worker", "ScalingActive").starts_with("True"); }));
  EXPECT_THAT(Condition("worker", "DryRun"), HasSubstr("False: Live"));
  EXPECT_THAT(Condition("worker", "Accepted"), HasSubstr("True"));
  EXPECT_TRUE(WaitFor([&] {
    return Get(playground_->url(), "/api/v1/namespaces/shop/events").find("SuccessfulRescale") !=
           std::string::npos;
  }));
  EXPECT_TRUE(WaitFor([&] { return Page("/readyz") == "ok\n"; })) << Page("/readyz");
  const std::string metrics = Page("/metrics");
  EXPECT_THAT(metrics, HasSubstr("neap_autoscaler_status_current_replicas{namespace=\"shop\","
                                 "horizontalpodautoscaler=\"worker\"}"));
  EXPECT_THAT(metrics, HasSubstr("neap_scaler_up{endpoint=\"" + socket_ + "\"} 1"));
  // All that is listed is there, and nothing else (the exporters look their names up in the list).
  for (const telemetry::MetricInfo& info : telemetry::MetricList()) {
    if (info.name == "neap_api_errors_total") continue;  // no request failed
    EXPECT_THAT(metrics, HasSubstr("# TYPE " + std::string(info.name) + " "));
  }
  neapd_->Stop();
  auto journal = record::Reader::Open(options_.journal_dir);
  ASSERT_TRUE(journal.ok()) << journal.status();
  bool applied = false;
  for (record::Entry entry; (*journal)->Next(&entry);) {
    const auto* outcome = std::get_if<record::OutcomeEntry>(&entry.what);
    applied = applied ||
              (outcome != nullptr && outcome->result.kind == core::ApplyResult::Kind::kApplied);
  }
  EXPECT_TRUE(applied);
  EXPECT_TRUE((*journal)->damage().empty());
}

TEST_F(NeapdTest, RequestsAreCountedAndAMissingTokenOfTheScalersIsNotReady) {
  options_.scalers_service_account = "neap-scalers";
  options_.scalers_token_file = dir_.path() + "/token";  // the playground gives none
  Start();
  EXPECT_TRUE(WaitFor([&] {
    const std::string page = Page("/readyz");
    return page.find("the token of service account ") != std::string::npos &&
           page.find("/neap-scalers in " + dir_.path() + "/token is not there yet: POST ") !=
               std::string::npos;
  })) << Page("/readyz");
  EXPECT_THAT(Page("/metrics"), HasSubstr("neap_api_requests_total{verb=\"list\",resource="
                                          "\"autoscalers\",code=\"200\"} "));
}

TEST_F(NeapdTest, ADryRunSendsNoWriteAtAll) {
  options_.dry_run = true;
  options_.write_status = options_.write_events = false;
  Start();
  EXPECT_TRUE(WaitFor([&] {
    return Page("/metrics").find("neap_writes_total{result=\"withheld\"} 0\n") == std::string::npos;
  }));
  EXPECT_EQ(Replicas(), 1);
  neapd_->Stop();
  EXPECT_EQ(World("/writes")["total"], 0) << World("/writes");
}

class ModesTest : public NeapdTest {
 protected:
  ModesTest() { objects_ = Autoscaler("worker", std::string(kSpec) + "  mode: DryRun\n"); }
};

TEST_F(ModesTest, AnObjectInDryRunIsReportedAndNotScaled) {
  Start();
  EXPECT_TRUE(WaitFor([&] { return Condition("worker", "DryRun").starts_with("True: Withheld"); }))
      << Condition("worker", "DryRun");
  EXPECT_THAT(Condition("worker", "DryRun"), HasSubstr("would scale from 1 to 3"));
  EXPECT_TRUE(WaitFor([&] {
    return Page("/metrics").find("neap_writes_total{result=\"withheld\"} 0\n") == std::string::npos;
  }));
  EXPECT_EQ(Replicas(), 1);
}

class BadObjectTest : public NeapdTest {
 protected:
  BadObjectTest() {
    objects_ = Autoscaler("bad", "  maxReplicas: 3\n  minReplicas: 9\n") + "---\n" +
               Autoscaler("worker", kSpec);
  }
};

TEST_F(BadObjectTest, ABadObjectIsToldItsProblemsAndStopsNoOther) {
  Start();
  EXPECT_TRUE(WaitFor([&] { return Replicas() == 3; })) << Replicas();
  EXPECT_TRUE(WaitFor([&] { return Condition("bad", "Accepted").starts_with("False"); }));
  EXPECT_THAT(Condition("bad", "Accepted"), HasSubstr("spec.maxReplicas: Invalid value: 3"));
  EXPECT_THAT(
      Page("/metrics"),
      ::testing::Not(HasSubstr("neap_object_problems{source=\"api\",severity=\"error\"} 0")));
}

TEST_F(NeapdTest, TakesObjectsFromFiles) {
  const TempDir files;
  options_.sources = {"dir:" + files.path()};
  Start();
  files.Write("worker.yaml", Autoscaler("from-file", kSpec));
  EXPECT_TRUE(WaitFor([&] { return Replicas() == 3; })) << Replicas();
  EXPECT_EQ(Condition("worker", "AbleToScale"), "");  // the API's objects are not served
}

}  // namespace
}  // namespace neap::app
