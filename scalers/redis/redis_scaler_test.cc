#include "scalers/redis/redis_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <cstdlib>
#include <memory>
#include <thread>

#include "scalers/sdk/testing.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"

namespace neap::scalers::redis {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::FreePort;
using testing_support::Process;
using testing_support::TempDir;
using testing_support::WaitFor;

// A redis-server on loopback, without files, ready.
class Server {
 public:
  explicit Server(std::vector<std::string> options = {}, int port = FreePort()) : port_(port) {
    std::vector<std::string> argv = {"redis-server", "--save", "", "--bind", "127.0.0.1"};
    const bool tls = !options.empty() && options[0] == "--tls-port";
    if (tls) options.insert(options.begin() + 1, std::to_string(port_));
    argv.insert(argv.end(), {"--port", tls ? "0" : std::to_string(port_)});
    argv.insert(argv.end(), options.begin(), options.end());
    process_ = std::make_unique<Process>(argv, dir_.path());
    const bool ready =
        WaitFor([&] { return process_->Log().find("Ready to accept") != std::string::npos; });
    if (!ready) ADD_FAILURE() << process_->Log();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  Process& process() { return *process_; }
  // Runs a command by redis-cli.
  void Cli(const std::string& arguments) const {
    const std::string command =
        "redis-cli -p " + std::to_string(port_) + " " + arguments + " >/dev/null 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }

 private:
  const int port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

class RedisTest : public testing::Test {
 protected:
  // Metadata of a trigger on `jobs` with further entries.
  sdk::Opened Open(const Server& server, catalog::Texts more = {}, catalog::Texts auth = {},
                   catalog::Texts env = {}) {
    catalog::Texts metadata = {{"address", server.address()}, {"listName", "jobs"}};
    for (auto& [name, text] : more) metadata[name] = text;
    return scaler_.Open("redis", std::move(metadata), std::move(auth), std::move(env));
  }
  std::string Read(const sdk::Opened& opened, absl::Duration deadline = absl::Seconds(5)) {
    return Describe(scaler_.Read(opened, deadline));
  }

  sdk::TestScaler scaler_{Make()};
};

TEST_F(RedisTest, AgreesWithKedasParser) {
  int passed = 0;
  for (const std::string& line : CompareParseRows(scaler_, "redis", passed)) ADD_FAILURE() << line;
  EXPECT_EQ(passed, 26);
}

TEST_F(RedisTest, OtherTypesOfKedaAreNotKnown) {
  for (const char* type : {"redis-cluster", "redis-sentinel", "redis-streams"}) {
    EXPECT_THAT(scaler_.Open(type, {}).ErrorText(), HasSubstr("unknown trigger type"));
  }
}

TEST_F(RedisTest, CountsEveryKindOfCollection) {
  const Server server;
  server.Cli("rpush jobs a b c");
  server.Cli("sadd set 1 2");
  server.Cli("zadd zset 1 x 2 y 3 z 4 w");
  server.Cli("hset hash f v");
  server.Cli("set text 12");
  server.Cli("xadd stream '*' f v");
  const sdk::Opened jobs = Open(server);
  EXPECT_EQ(Read(jobs), "3 active");
  EXPECT_EQ(Read(Open(server, {{"listName", "set"}})), "2 active");
  EXPECT_EQ(Read(Open(server, {{"listName", "zset"}})), "4 active");
  EXPECT_EQ(Read(Open(server, {{"listName", "hash"}})), "1 active");
  EXPECT_EQ(Read(Open(server, {{"listName", "none"}})), "0");
  EXPECT_THAT(Read(Open(server, {{"listName", "text"}})),
              AllOf(StartsWith("BadParameter: "), HasSubstr(server.address()),
                    HasSubstr("text is a string")));
  EXPECT_THAT(Read(Open(server, {{"listName", "stream"}})), HasSubstr("stream is a stream"));
  EXPECT_EQ(Read(Open(server, {{"activationListLength", "3"}})), "3");
  EXPECT_EQ(Read(Open(server, {{"activationListLength", "2"}})), "3 active");
  const sdk::Reading reading = scaler_.Read(jobs);
  EXPECT_EQ(reading.metrics[0].name, "redis-jobs");
  EXPECT_FALSE(reading.metrics[0].absent);
}

TEST_F(RedisTest, ABatchIsReadOverOneConnectionAndFailsInParts) {
  const Server server;
  server.Cli("rpush jobs a b c");
  server.Cli("set text 12");
  std::vector<sdk::Opened> opened;
  std::vector<const sdk::Trigger*> triggers;
  for (int i = 0; i < 300; ++i) {
    const char* name = i % 3 == 0 ? "jobs" : i % 3 == 1 ? "text" : "none";
    opened.push_back(Open(server, {{"listName", name}}));
    ASSERT_EQ(opened.back()->source_key(), opened[0]->source_key());
    triggers.push_back(opened.back().trigger.get());
  }
  sdk::TestContext context(scaler_.http());
  const std::vector<sdk::Reading> readings = scaler_.Read(triggers, context);
  ASSERT_EQ(readings.size(), 300U);
  EXPECT_EQ(Describe(readings[0]), "3 active");
  EXPECT_THAT(Describe(readings[1]), HasSubstr("text is a string"));
  EXPECT_EQ(Describe(readings[299]), "0");
}

TEST_F(RedisTest, Databases) {
  const Server server;
  server.Cli("-n 3 rpush jobs a b");
  EXPECT_EQ(Read(Open(server)), "0");
  EXPECT_EQ(Read(Open(server, {{"databaseIndex", "3"}})), "2 active");
  EXPECT_NE(Open(server)->source_key(), Open(server, {{"databaseIndex", "3"}})->source_key());
  EXPECT_THAT(Read(Open(server, {{"databaseIndex", "99"}})),
              AllOf(StartsWith("BadParameter: "), HasSubstr("databaseIndex 99")));
  EXPECT_THAT(Open(server, {{"databaseIndex", "-1"}}).ErrorText(), HasSubstr("databaseIndex"));
}

TEST_F(RedisTest, PasswordOfTheServer) {
  const Server server({"--requirepass", "s3cret"});
  EXPECT_THAT(Read(Open(server)), AllOf(StartsWith("Denied: "), HasSubstr(server.address())));
  EXPECT_THAT(Read(Open(server, {{"password", "wrong-one"}})),
              AllOf(StartsWith("Denied: "), Not(HasSubstr("wrong-one"))));
  EXPECT_EQ(Read(Open(server, {{"password", "s3cret"}})), "0");
  EXPECT_EQ(Read(Open(server, {}, {{"password", "s3cret"}})), "0");
  EXPECT_EQ(Read(Open(server, {{"passwordFromEnv", "PW"}}, {}, {{"PW", "s3cret"}})), "0");
  const std::string key = Open(server, {}, {{"password", "s3cret"}})->source_key();
  EXPECT_THAT(key, Not(HasSubstr("s3cret")));
  EXPECT_NE(key, Open(server, {}, {{"password", "other"}})->source_key());
}

TEST_F(RedisTest, APasswordForAServerWithoutOneIsDenied) {
  const Server server;
  EXPECT_THAT(Read(Open(server, {{"password", "s3cret"}})),
              AllOf(StartsWith("Denied: "), Not(HasSubstr("s3cret"))));
}

TEST_F(RedisTest, UsersOfTheAcl) {
  const Server server;
  server.Cli("rpush jobs a b c");
  server.Cli("acl setuser neap on '>pw' '~jobs' '+type' '+llen' '+select'");
  EXPECT_EQ(Read(Open(server, {{"username", "neap"}, {"password", "pw"}})), "3 active");
  EXPECT_THAT(Read(Open(server, {{"username", "neap"}, {"password", "no"}})),
              StartsWith("Denied: "));
  EXPECT_THAT(Read(Open(server, {{"username", "neap"}, {"password", "pw"}, {"listName", "other"}})),
              AllOf(StartsWith("Denied: "), HasSubstr("NOPERM")));
}

class RedisTlsTest : public RedisTest {
 protected:
  // A server that speaks TLS alone; `clients` is what it wants of client certificates.
  std::unique_ptr<Server> Start(const std::string& clients) {
    const testing_support::TestCertificate mine = ca_.Issue("127.0.0.1");
    return std::make_unique<Server>(std::vector<std::string>{
        "--tls-port", "--tls-cert-file", dir_.Write("cert", mine.cert), "--tls-key-file",
        dir_.Write("key", mine.key), "--tls-ca-cert-file", dir_.Write("ca", ca_.cert()),
        "--tls-auth-clients", clients});
  }
  TempDir dir_;
  testing_support::TestAuthority ca_;
};

TEST_F(RedisTlsTest, TheServersCertificateIsVerified) {
  const auto server = Start("no");
  EXPECT_EQ(Read(Open(*server, {}, {{"tls", "enable"}, {"ca", ca_.cert()}})), "0");
  EXPECT_EQ(Read(Open(*server, {{"enableTLS", "true"}, {"unsafeSsl", "true"}})), "0");
  EXPECT_THAT(
      Read(Open(*server, {{"enableTLS", "true"}})),
      AllOf(StartsWith("Denied: "), HasSubstr("not trusted"), HasSubstr(server->address())));
  const testing_support::TestAuthority other("another ca");
  EXPECT_THAT(Read(Open(*server, {}, {{"tls", "enable"}, {"ca", other.cert()}})),
              StartsWith("Denied: "));
  // localhost is in the certificate, localhost.localdomain is not.
  EXPECT_EQ(Read(Open(*server, {{"address", "localhost:" + std::to_string(server->port())}},
                      {{"tls", "enable"}, {"ca", ca_.cert()}})),
            "0");
}

TEST_F(RedisTlsTest, ANameThatIsNotInTheCertificateIsRefused) {
  const testing_support::TestCertificate mine = ca_.Issue("elsewhere.example", true);
  Server server({"--tls-port", "--tls-cert-file", dir_.Write("cert", mine.cert), "--tls-key-file",
                 dir_.Write("key", mine.key), "--tls-ca-cert-file", dir_.Write("ca", ca_.cert()),
                 "--tls-auth-clients", "no"});
  EXPECT_THAT(Read(Open(server, {}, {{"tls", "enable"}, {"ca", ca_.cert()}})),
              AllOf(StartsWith("Denied: "), HasSubstr("mismatch")));
}

TEST_F(RedisTlsTest, ClientCertificates) {
  const auto server = Start("yes");
  const testing_support::TestCertificate client = ca_.Issue("neap");
  const catalog::Texts with = {
      {"tls", "enable"}, {"ca", ca_.cert()}, {"cert", client.cert}, {"key", client.key}};
  EXPECT_EQ(Read(Open(*server, {}, with)), "0");
  catalog::Texts encrypted = with;
  encrypted["key"] = testing_support::EncryptKey(client.key, "pw");
  encrypted["keyPassword"] = "pw";
  EXPECT_EQ(Read(Open(*server, {}, encrypted)), "0");
  encrypted["keyPassword"] = "no";
  EXPECT_THAT(Open(*server, {}, encrypted).ErrorText(),
              AllOf(HasSubstr("key: "), HasSubstr("keyPassword is wrong")));
  EXPECT_THAT(Read(Open(*server, {}, {{"tls", "enable"}, {"ca", ca_.cert()}})),
              AllOf(StartsWith("Denied: "), HasSubstr("refuses our certificate")));
  catalog::Texts mixed = with;
  mixed["key"] = ca_.Issue("other").key;
  EXPECT_THAT(Open(*server, {}, mixed).ErrorText(), HasSubstr("does not belong to cert"));
}

TEST_F(RedisTlsTest, PlainAndTlsDoNotUnderstandEachOther) {
  const auto tls = Start("no");
  EXPECT_THAT(Read(Open(*tls), absl::Seconds(2)),
              testing::AnyOf(StartsWith("Unavailable: "), StartsWith("BadAnswer: "),
                             StartsWith("Timeout: ")));
  const Server plain;
  EXPECT_THAT(Read(Open(plain, {{"enableTLS", "true"}}), absl::Seconds(2)),
              testing::AnyOf(StartsWith("Unavailable: "), StartsWith("Timeout: ")));
}

TEST_F(RedisTest, AServerThatGoesAndComesBack) {
  const int port = FreePort();
  auto server = std::make_unique<Server>(std::vector<std::string>{}, port);
  const sdk::Opened jobs = Open(*server);
  EXPECT_EQ(Read(jobs), "0");
  server.reset();
  EXPECT_THAT(Read(jobs), AllOf(StartsWith("Unavailable: "), HasSubstr("onnection refused")));
  server = std::make_unique<Server>(std::vector<std::string>{}, port);
  server->Cli("rpush jobs a");
  EXPECT_EQ(Read(jobs), "1 active");
  // Restarted between two reads: the idle connection is dead, and nobody sees an error.
  server.reset();
  server = std::make_unique<Server>(std::vector<std::string>{}, port);
  EXPECT_EQ(Read(jobs), "0");
}

TEST_F(RedisTest, AServerThatHangsIsATimeout) {
  Server server;
  const sdk::Opened jobs = Open(server);
  EXPECT_EQ(Read(jobs), "0");
  server.process().Signal(SIGSTOP);
  EXPECT_THAT(Read(jobs, absl::Milliseconds(300)),
              AllOf(StartsWith("Timeout: "), HasSubstr(server.address())));
  EXPECT_THAT(Read(jobs, absl::Milliseconds(300)), StartsWith("Timeout: "));
  server.process().Signal(SIGCONT);
  EXPECT_EQ(Read(jobs), "0");
}

TEST_F(RedisTest, SomethingThatIsNotRedis) {
  httplib::Server http;
  const int port = http.bind_to_any_port("127.0.0.1");
  std::jthread thread([&] { http.listen_after_bind(); });
  const sdk::Opened opened = scaler_.Open(
      "redis", {{"address", "127.0.0.1:" + std::to_string(port)}, {"listName", "jobs"}});
  EXPECT_THAT(Read(opened, absl::Seconds(2)),
              testing::AnyOf(StartsWith("BadAnswer: "), StartsWith("Unavailable: ")));
  http.stop();
}

TEST_F(RedisTest, AddressesThatLeadNowhere) {
  const auto read = [&](const std::string& address) {
    return Read(scaler_.Open("redis", {{"address", address}, {"listName", "jobs"}}),
                absl::Seconds(5));
  };
  EXPECT_THAT(read("host-without-port"),
              AllOf(StartsWith("BadParameter: "), HasSubstr("is not host:port")));
  EXPECT_THAT(read("127.0.0.1:" + std::to_string(FreePort())), StartsWith("Unavailable: "));
  EXPECT_THAT(read("no-such-host.invalid:6379"),
              AllOf(testing::AnyOf(StartsWith("Unavailable: "), StartsWith("Timeout: ")),
                    HasSubstr("no-such-host.invalid")));
}

TEST_F(RedisTest, HostsAndPorts) {
  const Server server;
  server.Cli("rpush jobs a");
  const std::string port = std::to_string(server.port());
  EXPECT_EQ(
      Read(scaler_.Open("redis", {{"host", "127.0.0.1"}, {"port", port}, {"listName", "jobs"}})),
      "1 active");
  EXPECT_EQ(
      Read(scaler_.Open("redis", {{"hostFromEnv", "H"}, {"portFromEnv", "P"}, {"listName", "jobs"}},
                        {}, {{"H", "127.0.0.1"}, {"P", port}})),
      "1 active");
  EXPECT_THAT(
      scaler_.Open("redis", {{"host", "a,b"}, {"port", "1"}, {"listName", "jobs"}}).ErrorText(),
      HasSubstr("port: 1 ports are given for 2 hosts"));
}

}  // namespace
}  // namespace neap::scalers::redis
