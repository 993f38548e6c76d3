#include "autoscaler/app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "autoscaler/app/check_config.h"
#include "autoscaler/base/status.h"
#include "tests/support/process.h"

namespace neap::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::TempDir;

absl::StatusOr<Parsed> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "neapd");
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
}
Options Good(std::vector<const char*> arguments) {
  const auto parsed = Parse(std::move(arguments));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->options : Options();
}
std::string Error(std::vector<const char*> arguments) {
  const auto parsed = Parse(std::move(arguments));
  EXPECT_FALSE(parsed.ok());
  return parsed.ok() ? "" : std::string(base::Message(parsed.status()));
}

TEST(Options, DefaultsAreTheHpas) {
  const Options o = Good({});
  EXPECT_EQ(o.hpa, core::HpaOptions());
  EXPECT_EQ(o.sync_period, absl::Seconds(15));
  EXPECT_THAT(o.sources, ElementsAre("api"));
  EXPECT_THAT(o.namespaces, IsEmpty());
  EXPECT_EQ(o.shutdown_timeout, absl::Seconds(5));
  EXPECT_FALSE(o.dry_run);
  EXPECT_TRUE(o.write_status);
  EXPECT_TRUE(o.write_events);
}

TEST(Options, LeasesAreOnInAPodAlone) {
  unsetenv("KUBECONFIG");
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_FALSE(Good({}).leases);
  EXPECT_TRUE(Good({"--leases=true"}).leases);
  setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
  EXPECT_TRUE(Good({}).leases);
  EXPECT_TRUE(Good({"--dry-run"}).leases);
  EXPECT_FALSE(Good({"--leases=false"}).leases);
  EXPECT_FALSE(Good({"--kubeconfig=k"}).leases);
  setenv("KUBECONFIG", "k", 1);
  EXPECT_FALSE(Good({}).leases);
  unsetenv("KUBECONFIG");
  unsetenv("KUBERNETES_SERVICE_HOST");
}

TEST(Options, SharesAndLeases) {
  const Options o = Good({});
  EXPECT_EQ(o.shards, 16);
  EXPECT_EQ(o.lease_duration, absl::Seconds(15));
  EXPECT_EQ(o.lease_renew_deadline, absl::Seconds(10));
  EXPECT_EQ(o.lease_retry_period, absl::Seconds(2));
  EXPECT_TRUE(o.keep_history);
  EXPECT_FALSE(Good({"--dry-run"}).keep_history);
  EXPECT_TRUE(Good({"--dry-run", "--keep-history=true"}).keep_history);
  EXPECT_THAT(Error({"--shards=0"}), HasSubstr("--shards"));
  EXPECT_THAT(Error({"--shards=257"}), HasSubstr("--shards"));
  EXPECT_THAT(Error({"--lease-duration=1500ms"}), HasSubstr("--lease-duration"));
  EXPECT_THAT(Error({"--lease-renew-deadline=15s"}), HasSubstr("--lease-renew-deadline"));
  EXPECT_THAT(Error({"--lease-retry-period=5s"}), HasSubstr("--lease-retry-period"));
  EXPECT_THAT(Error({"--lease-name=A_b"}), HasSubstr("--lease-name"));
  EXPECT_THAT(Error({"--lease-namespace=a.b"}), HasSubstr("--lease-namespace"));
  EXPECT_THAT(Error({"--identity=Me"}), HasSubstr("--identity"));
}

TEST(Options, HowTheApiServerIsReached) {
  const Options o = Good({"--kubeconfig=k", "--context=c", "--kube-api-qps=7", "--kube-api-burst=9",
                          "--scalers-service-account=s", "--scalers-token-file=t"});
  EXPECT_EQ(o.kubeconfig, "k");
  EXPECT_EQ(o.context, "c");
  EXPECT_EQ(o.kube_api_qps, 7);
  EXPECT_EQ(o.kube_api_burst, 9);
  EXPECT_EQ(o.scalers_service_account, "s");
  EXPECT_EQ(o.scalers_token_file, "t");
}

TEST(Options, FlagsOfKubeControllerManager) {
  const Options o =
      Good({"--horizontal-pod-autoscaler-sync-period=1s",
            "--horizontal-pod-autoscaler-downscale-stabilization=1m30s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=10s",
            "--horizontal-pod-autoscaler-tolerance=0.05", "--feature-gates=HPAScaleToZero=false"});
  EXPECT_EQ(o.sync_period, absl::Seconds(1));
  EXPECT_EQ(o.hpa.downscale_stabilization, absl::Seconds(90));
  EXPECT_EQ(o.hpa.cpu_initialization_period, absl::ZeroDuration());
  EXPECT_EQ(o.hpa.initial_readiness_delay, absl::Seconds(10));
  EXPECT_EQ(o.hpa.tolerance, 0.05);
  EXPECT_FALSE(o.hpa.scale_to_zero);
}

TEST(Options, Lists) {
  const Options o = Good({"--namespaces=shop,blog", "--scalers", "unix:///run/a.sock", "--scalers",
                          "redis:9090", "--trigger-endpoint", "kafka=kafka:1"});
  EXPECT_THAT(o.namespaces, ElementsAre("shop", "blog"));
  EXPECT_THAT(o.scalers, ElementsAre("unix:///run/a.sock", "redis:9090"));
  EXPECT_THAT(o.trigger_endpoints, ElementsAre(std::pair("kafka", "kafka:1")));
}

TEST(Options, HpasAreWatchedAndShadowedWhenAsked) {
  EXPECT_TRUE(Good({}).watch_hpas);
  EXPECT_FALSE(Good({}).shadow_hpas);
  EXPECT_TRUE(Good({"--shadow-hpas"}).shadow_hpas);
  EXPECT_FALSE(Good({"--watch-hpas=false"}).watch_hpas);
  EXPECT_THAT(Error({"--watch-hpas=some"}), HasSubstr("--watch-hpas"));
}

TEST(Options, ADryRunWritesNothingUnlessAskedTo) {
  const Options o = Good({"--dry-run"});
  EXPECT_TRUE(o.dry_run);
  EXPECT_FALSE(o.write_status);
  EXPECT_FALSE(o.write_events);
  const Options status = Good({"--dry-run", "--write-status=true"});
  EXPECT_TRUE(status.write_status);
  EXPECT_FALSE(status.write_events);
}

TEST(Options, ErrorsNameTheFlagAndSuggest) {
  EXPECT_THAT(Error({"--dry-rum"}), HasSubstr("--dry-rum (did you mean \"--dry-run\"?)"));
  EXPECT_THAT(Error({"--horizontal-pod-autoscaler-sync-period=15"}),
              HasSubstr("--horizontal-pod-autoscaler-sync-period"));
  EXPECT_THAT(Error({"--horizontal-pod-autoscaler-sync-period=100ms"}), HasSubstr("less than 1s"));
  EXPECT_THAT(Error({"--horizontal-pod-autoscaler-tolerance=-1"}),
              HasSubstr("--horizontal-pod-autoscaler-tolerance"));
  EXPECT_THAT(Error({"--feature-gates=HPAScaleToZro=true"}),
              HasSubstr("did you mean \"HPAScaleToZero\"?"));
  EXPECT_THAT(Error({"--feature-gates=HPAScaleToZero=yes"}), HasSubstr("true or false"));
  EXPECT_THAT(Error({"--source=file:/x"}), HasSubstr("neither api nor dir:PATH"));
  EXPECT_THAT(Error({"--source=dir:"}), HasSubstr("neither api nor dir:PATH"));
  EXPECT_THAT(Error({"--source=dir:/a", "--source=dir:/b"}), HasSubstr("at most one"));
  EXPECT_THAT(Error({"--scalers=nowhere"}), AllOf(HasSubstr("--scalers"), HasSubstr("nowhere")));
  EXPECT_THAT(Error({"--trigger-endpoint=kafka"}), HasSubstr("TYPE=ADDRESS"));
  EXPECT_THAT(Error({"--listen-address=here"}), HasSubstr("--listen-address"));
  EXPECT_THAT(Error({"--listen-address=:70000"}), HasSubstr("--listen-address"));
  EXPECT_THAT(Error({"--journal-max-size=1Ki"}), HasSubstr("at least 1Mi"));
  EXPECT_THAT(Error({"--journal-max-size=big"}), HasSubstr("--journal-max-size"));
  EXPECT_THAT(Error({"--write-qps=0"}), HasSubstr("--write-qps"));
  EXPECT_THAT(Error({"--scaler-tls-cert-file=/x"}), HasSubstr("both or neither"));
  EXPECT_THAT(Error({"--shutdown-timeout=0s"}), HasSubstr("--shutdown-timeout"));
  EXPECT_THAT(Error({"--scalers-token-file=/x"}), HasSubstr("both or neither"));
  EXPECT_THAT(Error({"--scalers-service-account=x"}), HasSubstr("both or neither"));
  EXPECT_THAT(Error({"--kube-api-qps=0"}), HasSubstr("--kube-api-qps"));
}

TEST(Options, HelpAndVersion) {
  const auto help = Parse({"--help"});
  ASSERT_TRUE(help.ok()) << help.status();
  EXPECT_EQ(help->what, Parsed::Do::kExit);
  EXPECT_EQ(help->exit_code, 0);
  EXPECT_THAT(help->output, AllOf(HasSubstr("--kubeconfig"), HasSubstr("Exit codes")));
  const auto version = Parse({"--version"});
  ASSERT_TRUE(version.ok());
  EXPECT_THAT(version->output, ::testing::MatchesRegex("neapd [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

class ConfigFile : public ::testing::Test {
 protected:
  std::string Write(const std::string& text) { return dir_.Write("neapd.yaml", text); }
  const TempDir dir_;
};

TEST_F(ConfigFile, HoldsFlagsByName) {
  const std::string path = Write(
      "horizontal-pod-autoscaler-sync-period: 5s\n"
      "namespaces: [shop, blog]\n"
      "dry-run: true\n"
      "write-qps: 5\n"
      "trigger-endpoint:\n- kafka=kafka:1\n");
  const Options o = Good({"--config", path.c_str()});
  EXPECT_EQ(o.sync_period, absl::Seconds(5));
  EXPECT_THAT(o.namespaces, ElementsAre("shop", "blog"));
  EXPECT_TRUE(o.dry_run);
  EXPECT_FALSE(o.write_status);
  EXPECT_EQ(o.write_qps, 5);
  EXPECT_THAT(o.trigger_endpoints, ElementsAre(std::pair("kafka", "kafka:1")));
}

TEST_F(ConfigFile, TheCommandLineWins) {
  const std::string path = Write("horizontal-pod-autoscaler-sync-period: 5s\nwrite-qps: 5\n");
  const Options o = Good({"--horizontal-pod-autoscaler-sync-period=7s", "--config", path.c_str()});
  EXPECT_EQ(o.sync_period, absl::Seconds(7));
  EXPECT_EQ(o.write_qps, 5);
}

TEST_F(ConfigFile, ErrorsNameFileLineAndKey) {
  const auto error = [&](const std::string& text) {
    const std::string path = Write(text);
    return Error({"--config", path.c_str()});
  };
  EXPECT_THAT(error("dry-run: true\nnamespace: [a]\n"),
              AllOf(HasSubstr("neapd.yaml:2:"), HasSubstr("namespace: unknown option"),
                    HasSubstr("did you mean \"namespaces\"?")));
  EXPECT_THAT(error("horizontal-pod-autoscaler-sync-period: soon\n"),
              AllOf(HasSubstr("neapd.yaml:1:"), HasSubstr("soon")));
  EXPECT_THAT(error("namespaces: {a: b}\n"), AllOf(HasSubstr(":1:"), HasSubstr("not a map")));
  EXPECT_THAT(error("- a\n"), HasSubstr("must be one map"));
  EXPECT_THAT(error("a: [\n"), HasSubstr("neapd.yaml:"));
  EXPECT_THAT(error("version: true\n"), HasSubstr("unknown option"));
  EXPECT_THAT(Error({"--config=/nonexistent.yaml"}), HasSubstr("/nonexistent.yaml"));
}

constexpr char kAutoscaler[] = R"(apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
)";

TEST(CheckConfig, ReadsTheObjectsOfADirectory) {
  const TempDir dir;
  dir.Write("good.yaml", kAutoscaler);
  Options options;
  options.sources = {"dir:" + dir.path()};
  ConfigReport report = CheckConfig(options);
  EXPECT_THAT(report.errors, IsEmpty());
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("1 valid objects")));

  std::string bad = kAutoscaler;
  bad.replace(bad.find("maxReplicas"), 11, "maxReplica");
  dir.Write("bad.yaml", bad);
  report = CheckConfig(options);
  EXPECT_THAT(report.errors,
              ::testing::Contains(AllOf(HasSubstr("bad.yaml:6"), HasSubstr("spec.maxReplica"),
                                        HasSubstr("maxReplicas"))));
}

TEST(CheckConfig, NamesWhatIsMissing) {
  Options options;
  options.sources = {"dir:/nonexistent-directory"};
  options.kubeconfig = "/nonexistent-kubeconfig";
  EXPECT_THAT(CheckConfig(options).errors, ElementsAre(HasSubstr("/nonexistent-kubeconfig"),
                                                       HasSubstr("/nonexistent-directory")));
}

}  // namespace
}  // namespace neap::app
