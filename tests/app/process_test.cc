// neapd as a process: exit codes, signals, health, without an API server that answers.

#include "tests/support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace neap::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::FreePort;
using testing_support::Process;
using testing_support::TempDir;
using testing_support::WaitFor;

class NeapdProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* bin = std::getenv("NEAP_BIN");
    ASSERT_NE(bin, nullptr) << "NEAP_BIN must name the folder of the binaries";
    neapd_ = std::string(bin) + "/neapd";
  }

  std::vector<std::string> Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), neapd_);
    return arguments;
  }
  // Runs it to its end. Exit code (-1: ended by a signal) and what it printed.
  std::pair<int, std::string> Run(std::vector<std::string> arguments) {
    Process process(Command(std::move(arguments)), dir_.path());
    EXPECT_TRUE(WaitFor([&] { return !process.Running(); }));
    const int status = process.Stop();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, process.Log()};
  }
  // A kubeconfig of a server that nobody serves.
  std::string DeadServer() {
    return dir_.Write("kubeconfig",
                      "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                      "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:" +
                          std::to_string(FreePort()) +
                          "'}}]\n"
                          "users: [{name: u, user: {}}]\n"
                          "contexts: [{name: c, context: {cluster: c, user: u}}]\n");
  }
  // The port that a running neapd says it serves; 0 when it says none in time.
  static int PortOf(const Process& process) {
    int port = 0;
    WaitFor([&] {
      const std::string log = process.Log();
      constexpr std::string_view kBefore = "at port ";
      const size_t at = log.find(kBefore);
      // Whole once what follows it is there, too.
      if (at != std::string::npos && log.find(' ', at + kBefore.size()) != std::string::npos) {
        port = std::stoi(log.substr(at + kBefore.size()));
      }
      return port != 0;
    });
    return port;
  }

  const TempDir dir_;
  std::string neapd_;
};

TEST_F(NeapdProcess, WrongFlagsAreRefusedWithExitCode2) {
  const auto [code, text] = Run({"--dry-rum"});
  EXPECT_EQ(code, 2);
  EXPECT_THAT(text, HasSubstr("did you mean \"--dry-run\"?"));
}

TEST_F(NeapdProcess, AMissingKubeconfigIsRefusedByName) {
  const auto [code, text] = Run({"--kubeconfig", "/nonexistent/kubeconfig"});
  EXPECT_EQ(code, 2);
  EXPECT_THAT(text, HasSubstr("/nonexistent/kubeconfig"));
}

TEST_F(NeapdProcess, ABrokenKubeconfigIsRefusedWithItsLine) {
  const std::string path = dir_.Write("broken", "apiVersion: v1\nkind: Config\nclusters: 7\n");
  const auto [code, text] = Run({"--kubeconfig", path});
  EXPECT_EQ(code, 2);
  EXPECT_THAT(text, HasSubstr(path));
}

TEST_F(NeapdProcess, CheckConfigPrintsProblemsAndTalksToNobody) {
  const std::string bad = dir_.Write("web.yaml",
                                     "apiVersion: neap.dev/v1alpha1\nkind: Autoscaler\n"
                                     "metadata: {name: web}\nspec:\n  maxReplica: 5\n");
  const auto [code, text] = Run({"--check-config", "--source=dir:" + dir_.path()});
  EXPECT_EQ(code, 2);
  EXPECT_THAT(text, AllOf(HasSubstr(bad + ":5"), HasSubstr("maxReplicas")));
}

TEST_F(NeapdProcess, ATakenPortKeepsItFromRunning) {
  httplib::Server taken;
  const int port = taken.bind_to_any_port("127.0.0.1");
  const auto [code, text] =
      Run({"--kubeconfig", DeadServer(), "--listen-address", "127.0.0.1:" + std::to_string(port)});
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, HasSubstr("127.0.0.1:" + std::to_string(port)));
}

TEST_F(NeapdProcess, WithoutApiServerAndScalerItRunsAndStopsCleanly) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Process neapd(
        Command({"--kubeconfig", DeadServer(), "--scalers",
                 "unix://" + dir_.path() + "/nobody.sock", "--listen-address", "127.0.0.1:0"}),
        dir_.path(), "log-" + std::to_string(signal));
    const int port = PortOf(neapd);
    ASSERT_NE(port, 0) << neapd.Log();
    httplib::Client client("127.0.0.1", port);
    client.set_keep_alive(true);
    const auto health = client.Get("/healthz");
    ASSERT_TRUE(health) << httplib::to_string(health.error()) << "\n" << neapd.Log();
    EXPECT_EQ(health->status, 200);
    const auto ready = client.Get("/readyz");
    ASSERT_TRUE(ready);
    EXPECT_EQ(ready->status, 503);
    const auto metrics = client.Get("/metrics");
    ASSERT_TRUE(metrics);
    EXPECT_THAT(metrics->body, HasSubstr("neap_build_info{version="));
    ASSERT_TRUE(WaitFor([&] { return neapd.Log().find("127.0.0.1") != std::string::npos; }));

    neapd.Signal(signal);
    ASSERT_TRUE(WaitFor([&] { return !neapd.Running(); }));
    const int status = neapd.Stop();
    ASSERT_TRUE(WIFEXITED(status)) << neapd.Log();
    // It ends itself with 1 when a clean stop took longer than --shutdown-timeout.
    EXPECT_EQ(WEXITSTATUS(status), 0) << neapd.Log();
  }
}

// In a container it is process 1, from which the kernel keeps every signal that is not handled.
TEST_F(NeapdProcess, AsProcess1ItStopsOnSigtermToo) {
  const std::vector<std::string> unshare = {"unshare", "--user", "--map-root-user", "--pid",
                                            "--fork"};
  std::vector<std::string> probe = unshare;
  probe.emplace_back("true");
  Process possible(probe, dir_.path(), "probe");
  ASSERT_TRUE(WaitFor([&] { return !possible.Running(); }));
  if (possible.Stop() != 0) GTEST_SKIP() << "no PID namespaces here: " << possible.Log();

  std::vector<std::string> command = unshare;
  for (const std::string& argument :
       Command({"--kubeconfig", DeadServer(), "--listen-address", "127.0.0.1:0"})) {
    command.push_back(argument);
  }
  Process parent(command, dir_.path());
  ASSERT_NE(PortOf(parent), 0) << parent.Log();
  const std::string task = std::to_string(parent.pid());
  std::ifstream children("/proc/" + task + "/task/" + task + "/children");
  pid_t neapd = 0;
  children >> neapd;
  ASSERT_GT(neapd, 0);
  ASSERT_EQ(kill(neapd, SIGTERM), 0);
  ASSERT_TRUE(WaitFor([&] { return !parent.Running(); })) << parent.Log();
  EXPECT_EQ(WEXITSTATUS(parent.Stop()), 0) << parent.Log();  // unshare gives the code of its child
  EXPECT_THAT(parent.Log(), HasSubstr("stopped"));
}

}  // namespace
}  // namespace neap::app
