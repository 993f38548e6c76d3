// A scaler that is a process of its own: it is killed, stopped, started again.
#include "tests/support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <cstdlib>

#include "tests/scalerhost/support.h"

namespace neap::scalerhost {
namespace {

using ::testing::HasSubstr;
using testing_support::Process;
using testing_support::TempDir;

class ScalerProcess {
 public:
  explicit ScalerProcess(const TempDir& dir, const std::string& log)
      : process_({Binary(), "--listen", Address(dir)}, dir.path(), log) {
    EXPECT_TRUE(WaitFor([&] { return process_.Log().find("control ") != std::string::npos; }))
        << process_.Log();
  }
  static std::string Address(const TempDir& dir) { return "unix://" + dir.path() + "/stub.sock"; }
  Process& process() { return process_; }
  int control_port() const {
    const std::string log = process_.Log();
    return std::atoi(log.c_str() + log.find("control ") + 8);
  }

 private:
  static std::string Binary() {
    const char* bin = std::getenv("NEAP_BIN");
    return bin == nullptr ? "neap-test-scaler" : std::string(bin) + "/neap-test-scaler";
  }
  Process process_;
};

TEST(ScalerProcess, DiesAndReturns) {
  TempDir dir;
  auto scaler = std::make_unique<ScalerProcess>(dir, "first");
  TestHost host({.scalers = {ScalerProcess::Address(dir)}});
  host.Put({Stub("t", {{"value", "5"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 5);
  scaler->process().Signal(SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return !host->health()[0].connected; }));
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kUnavailable);
  scaler.reset();

  scaler = std::make_unique<ScalerProcess>(dir, "second");
  const absl::Time back = host.clock().Now();
  EXPECT_TRUE(host.AskUntilValue("t"));
  // Used again within a second or two; the rest is for a busy machine.
  EXPECT_LT(host.clock().Now() - back, absl::Seconds(10));
  EXPECT_EQ(host->health()[0].connects, 2u);
}

// A process that is alive but does not run answers no sign of life.
TEST(ScalerProcess, StandsStillAndGoesOn) {
  TempDir dir;
  ScalerProcess scaler(dir, "log");
  TestHost host({.scalers = {ScalerProcess::Address(dir)},
                 .keepalive_time = absl::Seconds(1),
                 .keepalive_timeout = absl::Seconds(1)});
  host.Put({Stub("t", {{"value", "5"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 5);
  scaler.process().Signal(SIGSTOP);
  EXPECT_TRUE(WaitFor(
      [&] {
        host.Ask("t", absl::Milliseconds(200));
        return !host->health()[0].connected;
      },
      absl::Seconds(60)));
  scaler.process().Signal(SIGCONT);
  EXPECT_TRUE(host.AskUntilValue("t", absl::Seconds(60)));
}

TEST(ScalerProcess, IsDrivenOverHttp) {
  TempDir dir;
  ScalerProcess scaler(dir, "log");
  TestHost host({.scalers = {ScalerProcess::Address(dir)}});
  host.Put({Stub("t", {{"key", "load"}})});
  EXPECT_EQ(ValueOf(host.Ask("t")), 0);
  httplib::Client control("127.0.0.1", scaler.control_port());
  const auto post = [&](const std::string& path) { return control.Post(path)->status; };
  EXPECT_EQ(post("/set?key=load&value=12.5&push=1"), 200);
  EXPECT_EQ(ValueOf(host.Await("t", 0)), 12.5);
  EXPECT_EQ(ValueOf(host.Ask("t")), 12.5);
  EXPECT_EQ(post("/fault?key=load&kind=error"), 200);
  EXPECT_EQ(ErrorIn(host.Ask("t")).message, "stub: the source of load is down");
  EXPECT_EQ(post("/fault?key=load&kind=nan"), 200);
  EXPECT_EQ(ErrorIn(host.Ask("t")).kind, core::ErrorKind::kBadAnswer);
  EXPECT_EQ(post("/fault?key=load&kind=hang"), 200);
  EXPECT_EQ(ErrorIn(host.Ask("t", absl::Milliseconds(300))).kind, core::ErrorKind::kTimeout);
  EXPECT_EQ(post("/fault?key=load&kind=none"), 200);
  EXPECT_EQ(ValueOf(host.Ask("t")), 12.5);
  EXPECT_EQ(post("/fault?key=load&kind=bogus"), 400);
  EXPECT_EQ(post("/set?key=load&value=much"), 400);
  EXPECT_THAT(control.Get("/stats")->body, HasSubstr("\"polls\":6,"));
  EXPECT_EQ(scaler.process().Stop(), 0);
}

}  // namespace
}  // namespace neap::scalerhost
