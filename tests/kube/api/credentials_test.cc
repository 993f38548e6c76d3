// Credentials and the plugins that give them: real programs (shell scripts), what they are told,
// what they may answer, and every way in which they fail.
#include "autoscaler/kube/api/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/file.h"
#include "autoscaler/base/status.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::kube::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::Guarded;
using testing_support::TempDir;
using testing_support::WaitFor;

constexpr char kV1[] = "client.authentication.k8s.io/v1";
constexpr char kWho[] =
    "context \"main\", cluster \"prod\", user \"bob\" of config: credential plugin ";

std::string Text(const absl::Status& status) { return std::string(base::Message(status)); }

std::string Answer(const std::string& status, const std::string& version = kV1) {
  return R"({"apiVersion":")" + version + R"(","kind":"ExecCredential","status":{)" + status + "}}";
}

class Plugin : public testing::Test {
 protected:
  // The shell script `text` as the plugin.
  void Script(const std::string& text) {
    command_ = dir_.Write("plugin", "#!/bin/sh\ncd " + dir_.path() + "\n" + text + "\n");
    std::filesystem::permissions(command_, std::filesystem::perms::owner_all);
  }
  ClusterConfig Config() const {
    ClusterConfig config{.origin = "config",
                         .context = "main",
                         .cluster = "prod",
                         .user = "bob",
                         .server = "https://10.0.0.1:6443",
                         .exec = ExecPlugin{.api_version = kV1, .command = command_}};
    return config;
  }
  absl::StatusOr<ExecCredential> Run(const ClusterConfig& config, const ExecLimits& limits = {}) {
    return RunExecPlugin(config, limits, std::stop_token());
  }
  std::string File(const std::string& name) const {
    return base::ReadFile(dir_.path() + "/" + name).value_or("");
  }
  size_t Runs() const { return File("runs").size(); }
  // Get, and wait for it.
  static absl::StatusOr<Credential> Ask(Credentials& credentials) {
    Guarded<absl::StatusOr<Credential>> got(absl::UnknownError("none"));
    std::atomic<bool> done = false;
    credentials.Get([&](absl::StatusOr<Credential> credential) {
      got.Set(std::move(credential));
      done = true;
    });
    EXPECT_TRUE(WaitFor([&] { return done.load(); }));
    return got.Get();
  }

  TempDir dir_;
  std::string command_;
};

TEST_F(Plugin, GivesATokenWithItsTime) {
  Script("echo '" + Answer(R"("token":"t0k","expirationTimestamp":"2030-01-02T03:04:05Z")") + "'");
  const auto given = Run(Config());
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->token, "t0k");
  EXPECT_EQ(given->cert_pem, "");
  EXPECT_EQ(base::FormatTime(given->expires), "2030-01-02T03:04:05Z");
}

TEST_F(Plugin, GivesACertificateForGood) {
  Script("echo '" + Answer(R"("clientCertificateData":"C","clientKeyData":"K")") + "'");
  const auto given = Run(Config());
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->cert_pem, "C");
  EXPECT_EQ(given->key_pem, "K");
  EXPECT_EQ(given->expires, absl::InfiniteFuture());
}

TEST_F(Plugin, IsToldAboutUsInItsEnvironmentAndArguments) {
  Script(
      "echo \"$KUBERNETES_EXEC_INFO\" > info; echo \"$1|$2|$A|${PATH:+path}|$(cat)\" > told\necho "
      "'" +
      Answer(R"("token":"t")") + "'");
  ClusterConfig config = Config();
  config.exec->args = {"get token", ""};
  config.exec->env = {{"A", "b c"}};
  setenv("A", "ours", 1);
  ASSERT_TRUE(Run(config).ok());
  unsetenv("A");
  EXPECT_EQ(File("told"), "get token||b c|path|\n");  // and nothing to read
  EXPECT_EQ(nlohmann::json::parse(File("info")),
            nlohmann::json::parse(R"({"apiVersion":"client.authentication.k8s.io/v1",
                "kind":"ExecCredential","spec":{"interactive":false}})"));
  config.exec->provide_cluster_info = true;
  config.exec->cluster_extension = R"({"audience":"x"})";
  config.tls.ca_file = dir_.Write("ca.crt", "PEM");
  config.tls.server_name = "k8s";
  config.proxy = "http://p:1";
  ASSERT_TRUE(Run(config).ok());
  EXPECT_EQ(nlohmann::json::parse(File("info"))["spec"]["cluster"], nlohmann::json::parse(R"({
      "server":"https://10.0.0.1:6443","tls-server-name":"k8s","certificate-authority-data":"UEVN",
      "proxy-url":"http://p:1","config":{"audience":"x"}})"));
}

TEST_F(Plugin, ErrorsNameContextClusterUserAndCommand) {
  const struct {
    std::string script;
    std::string error;
  } cases[] = {
      {"echo 'log in first' >&2; exit 3", "exit code 3: log in first"},
      {"kill -9 $$", "it was ended by signal 9"},
      {"", "its output is no JSON"},
      {"echo s3cret", "its output is no JSON"},
      {"echo '{}'", "its output is no ExecCredential"},
      {"echo '" + Answer(R"("token":"t")", "client.authentication.k8s.io/v1beta1") + "'",
       "its output has apiVersion \"client.authentication.k8s.io/v1beta1\", the kubeconfig asks "
       "for "
       "\"client.authentication.k8s.io/v1\""},
      {"echo '" + Answer("") + "'", "its output has neither status.token nor a client certificate"},
      {"echo '" + Answer(R"("token":3)") + "'", "status.token is no string"},
      {"cat <<'END'\n" + Answer(R"("token":"a\nb")") + "\nEND", "status.token has a line break"},
      {"echo '" + Answer(R"("clientCertificateData":"C")") + "'", "belong together"},
      {"echo '" + Answer(R"("token":"t","expirationTimestamp":"soon")") + "'",
       "status.expirationTimestamp: "},
      {"head -c 2000000 /dev/zero", "it printed more than 1048576 bytes"},
      {"head -c 2000000 /dev/zero >&2", "it printed more than 1048576 bytes to stderr"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.script);
    Script(c.script);
    const auto given = Run(Config());
    ASSERT_FALSE(given.ok());
    EXPECT_TRUE(absl::IsUnauthenticated(given.status()));
    EXPECT_THAT(Text(given.status()), AllOf(StartsWith(kWho + command_ + ": "), HasSubstr(c.error),
                                            Not(HasSubstr("s3cret"))));
  }
}

TEST_F(Plugin, ThatIsNotThereIsToldHowToGet) {
  ClusterConfig config = Config();
  config.exec->command = "neap-no-such-plugin";
  config.exec->install_hint = "Get it at\nexample.com";
  EXPECT_EQ(Text(Run(config).status()),
            kWho + std::string("neap-no-such-plugin: can't be started: No such file or directory. "
                               "Get it at example.com"));
}

TEST_F(Plugin, ThatHangsIsEndedWithWhatItStarted) {
  Script("sleep 1000 & echo $! > child; wait");
  const auto given = Run(Config(), {.timeout = absl::Milliseconds(500)});
  EXPECT_THAT(Text(given.status()), HasSubstr("it did not end within 500ms"));
  ASSERT_FALSE(File("child").empty());
  EXPECT_TRUE(WaitFor([&] {
    // Ended, though perhaps not reaped by whoever adopted it.
    const std::string stat =
        base::ReadFile("/proc/" + std::to_string(std::stoi(File("child"))) + "/stat").value_or("");
    return stat.empty() || stat.find(") Z ") != std::string::npos;
  }));
}

TEST_F(Plugin, ThatLeavesAChildBehindHasEndedAllTheSame) {
  Script("sleep 1000 & echo $! > child\necho '" + Answer(R"("token":"t")") + "'");
  const auto given = Run(Config(), {.timeout = absl::Seconds(60)});
  EXPECT_TRUE(given.ok()) << given.status();  // though its output is still open
  kill(std::stoi(File("child")), SIGKILL);
}

TEST_F(Plugin, RunsOnceForAllWhoWaitAndNotAgainWhileItsCredentialIsGood) {
  Script("printf x >> runs\nwhile [ ! -e go ]; do sleep 0.01; done\necho '" +
         Answer(R"("token":"t")") + "'");
  Credentials credentials(Config());
  std::atomic<int> served = 0;
  for (int i = 0; i < 10; ++i) {
    credentials.Get([&](const absl::StatusOr<Credential>& credential) {
      if (credential.ok() && credential->authorization == "Bearer t") ++served;
    });
  }
  EXPECT_FALSE(credentials.Current().has_value());
  EXPECT_EQ(served, 0);
  dir_.Write("go", "");
  ASSERT_TRUE(WaitFor([&] { return served == 10; }));
  ASSERT_TRUE(credentials.Current().has_value());
  EXPECT_EQ(Runs(), 1U);
  EXPECT_EQ(credentials.counters().plugin_runs, 1U);
}

TEST_F(Plugin, IsRunAgainBeforeItsCredentialExpiresAndTheOldOneServesMeanwhile) {
  Script(
      "printf x >> runs\n"
      "echo '{\"apiVersion\":\"" +
      std::string(kV1) +
      "\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$(wc -c < runs)'\","
      "\"expirationTimestamp\":\"'$(date -u -d '+5 seconds' +%Y-%m-%dT%H:%M:%SZ)'\"}}'");
  Credentials credentials(Config());
  EXPECT_EQ(Ask(credentials)->authorization, "Bearer 1");
  // It lives for 4 to 5 seconds and is renewed at 80 % of that.
  bool good = true;
  ASSERT_TRUE(WaitFor([&] {
    const auto now = credentials.Current();
    good = good && now.has_value() && now->ok();
    return now.has_value() && now->ok() && (*now)->authorization == "Bearer 2";
  }));
  EXPECT_TRUE(good);
}

TEST_F(Plugin, AnExpiredCredentialIsAnError) {
  Script("echo '" + Answer(R"("token":"t","expirationTimestamp":"2020-01-01T00:00:00Z")") + "'");
  Credentials credentials(Config());
  EXPECT_THAT(Text(Ask(credentials).status()), HasSubstr("what it gave expired at 2020-01-01"));
}

TEST_F(Plugin, ARefusedCredentialIsRenewedUnlessItIsNew) {
  Script("printf x >> runs\necho '" + Answer(R"("token":"'$(wc -c < runs)'")") + "'");
  Credentials patient(Config());
  const auto first = Ask(patient);
  ASSERT_TRUE(first.ok()) << first.status();
  patient.Refused(first->number);
  EXPECT_EQ(Ask(patient)->authorization, "Bearer 1");  // a new one would be refused, too
  Credentials credentials(Config(), {.refusal_spacing = absl::ZeroDuration()});
  const auto old = Ask(credentials);
  EXPECT_EQ(old->authorization, "Bearer 2");
  credentials.Refused(old->number);
  EXPECT_EQ(Ask(credentials)->authorization, "Bearer 3");
  credentials.Refused(old->number);  // of a request that was sent before
  EXPECT_EQ(Ask(credentials)->authorization, "Bearer 3");
}

TEST_F(Plugin, AfterAFailureItIsLeftAloneForAWhile) {
  Script("printf x >> runs\nexit 1");
  Credentials credentials(Config(), {.retry_min = absl::Minutes(1), .retry_max = absl::Minutes(1)});
  EXPECT_THAT(Text(Ask(credentials).status()), HasSubstr("exit code 1"));
  EXPECT_THAT(Text(Ask(credentials).status()), HasSubstr("exit code 1"));
  EXPECT_EQ(Runs(), 1U);
  Credentials impatient(Config(), {.retry_min = absl::ZeroDuration()});
  EXPECT_FALSE(Ask(impatient).ok());
  Script("echo '" + Answer(R"("token":"t")") + "'");
  EXPECT_TRUE(Ask(impatient).ok());
  EXPECT_EQ(impatient.counters().plugin_failures, 1U);
}

TEST_F(Plugin, StopEndsItAndAnswersWhoWaits) {
  Script("printf x >> runs; sleep 1000");
  Credentials credentials(Config());
  Guarded<absl::Status> status;
  std::atomic<bool> done = false;
  credentials.Get([&](const absl::StatusOr<Credential>& credential) {
    status.Set(credential.status());
    done = true;
  });
  ASSERT_TRUE(WaitFor([&] { return Runs() == 1; }));
  credentials.Stop();
  EXPECT_TRUE(done);
  EXPECT_TRUE(absl::IsCancelled(status.Get())) << status.Get();
  EXPECT_TRUE(absl::IsCancelled(Ask(credentials).status()));
}

}  // namespace
}  // namespace neap::kube::api
