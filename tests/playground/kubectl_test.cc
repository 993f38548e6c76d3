// The real kubectl against the playground.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "autoscaler/base/status.h"
#include "autoscaler/playground/playground.h"
#include "tests/support/process.h"

namespace neap::playground {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing_support::Process;
using testing_support::WaitFor;

constexpr char kWorld[] = R"(
deployments:
- name: checkout
  namespace: shop
  replicas: 2
  requests: {cpu: 500m}
  cpu: {perRequest: 20m}
  startup: {running: 50ms, ready: 50ms}
  load: {constant: 20}
)";
constexpr char kAutoscaler[] = R"(
apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {name: checkout, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  minReplicas: 1
  maxReplicas: 10
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
)";

class Kubectl : public testing::Test {
 protected:
  void SetUp() override {
    if (!testing_support::HaveProgram("kubectl")) {
      GTEST_SKIP() << "kubectl is not installed (tools/install-deps)";
    }
    Options options;
    options.world_file = dir_.Write("world.yaml", kWorld);
    options.kubeconfig = dir_.path() + "/kubeconfig";
    // kubectl sends a token over TLS alone.
    options.token = "secret";
    options.tls = true;
    playground_ = std::make_unique<Playground>(options);
    const absl::Status started = playground_->Start();
    ASSERT_TRUE(started.ok()) << started;
    file_ = dir_.Write("autoscaler.yaml", kAutoscaler);
  }
  std::vector<std::string> Command(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {
        "kubectl",     "--kubeconfig",         dir_.path() + "/kubeconfig",
        "--cache-dir", dir_.path() + "/cache", "--namespace",
        "shop"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }
  // Runs it to its end; what it wrote, with its exit status in front when that is not 0.
  std::string Ask(const std::vector<std::string>& arguments) {
    Process process(Command(arguments), dir_.path(), fmt::format("log{}", ++runs_));
    EXPECT_TRUE(WaitFor([&] { return !process.Running(); }, absl::Seconds(60)));
    const int status = process.Stop();
    return (status == 0 ? "" : fmt::format("[{}] ", status)) + process.Log();
  }

  testing_support::TempDir dir_;
  std::unique_ptr<Playground> playground_;
  std::string file_;
  int runs_ = 0;
};

TEST_F(Kubectl, GetPrintsProperColumns) {
  EXPECT_THAT(Ask({"get", "deploy"}),
              AllOf(ContainsRegex("NAME +READY +UP-TO-DATE +AVAILABLE +AGE"),
                    ContainsRegex("checkout +2/2 +2 +2 +10m")));
  EXPECT_THAT(Ask({"get", "pods"}),
              AllOf(ContainsRegex("NAME +READY +STATUS +RESTARTS +AGE"),
                    ContainsRegex("checkout-[a-z0-9]+-[a-z0-9]+ +1/1 +Running +0 +10m")));
  Ask({"create", "-f", file_});
  EXPECT_THAT(Ask({"get", "deploy,pods,autoscalers"}),
              AllOf(HasSubstr("deployment.apps/checkout"), HasSubstr("pod/checkout-"),
                    HasSubstr("autoscaler.neap.dev/checkout")));
  EXPECT_THAT(
      Ask({"get", "autoscalers"}),
      ContainsRegex("NAME +TARGET +METRICS +MIN +MAX +REPLICAS +DESIRED +MODE +REASON +AGE"));
  EXPECT_THAT(Ask({"get", "ns"}), ContainsRegex("shop +Active"));
  EXPECT_THAT(Ask({"get", "deploy", "none"}), HasSubstr("deployments.apps \"none\" not found"));
}

TEST_F(Kubectl, ScalesADeployment) {
  EXPECT_THAT(Ask({"scale", "deploy/checkout", "--replicas=3"}),
              HasSubstr("deployment.apps/checkout scaled"));
  EXPECT_TRUE(WaitFor([&] {
    return Ask({"get", "deploy", "checkout", "-o", "jsonpath={.status.readyReplicas}"}) == "3";
  }));
}

TEST_F(Kubectl, AppliesChangesAndDeletesAutoscalers) {
  EXPECT_THAT(Ask({"apply", "-f", file_}), HasSubstr("autoscaler.neap.dev/checkout created"));
  EXPECT_THAT(Ask({"apply", "-f", file_}), HasSubstr("unchanged"));
  const std::string larger = dir_.Write(
      "larger.yaml",
      std::string(kAutoscaler)
          .replace(std::string(kAutoscaler).find("maxReplicas: 10"), 15, "maxReplicas: 12"));
  EXPECT_THAT(Ask({"apply", "-f", larger}), HasSubstr("configured"));
  EXPECT_THAT(Ask({"get", "autoscalers", "-o", "yaml"}),
              AllOf(HasSubstr("maxReplicas: 12"), HasSubstr("generation: 2"),
                    HasSubstr("kind: Autoscaler")));
  const std::string wrong = dir_.Write(
      "wrong.yaml",
      std::string(kAutoscaler)
          .replace(std::string(kAutoscaler).find("minReplicas: 1"), 14, "minReplicas: 50"));
  EXPECT_THAT(Ask({"apply", "-f", wrong}),
              AllOf(HasSubstr("[256]"), HasSubstr("spec.maxReplicas")));
  EXPECT_THAT(Ask({"delete", "-f", file_}), HasSubstr("deleted"));
  EXPECT_THAT(Ask({"get", "autoscalers"}), HasSubstr("No resources found"));
}

TEST_F(Kubectl, WatchesChanges) {
  Process watch(Command({"get", "pods", "-w"}), dir_.path(), "watch");
  ASSERT_TRUE(
      WaitFor([&] { return watch.Log().find("Running") != std::string::npos; }, absl::Seconds(60)));
  Ask({"scale", "deploy/checkout", "--replicas=3"});
  EXPECT_TRUE(WaitFor([&] {
    const std::string log = watch.Log();
    return log.find("ContainerCreating") != std::string::npos &&
           log.find("0s") != std::string::npos;
  })) << watch.Log();
  watch.Stop();
}

}  // namespace
}  // namespace neap::playground
