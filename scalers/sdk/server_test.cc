// The server over real connections: addresses, TLS, calls, health, reflection, stopping.
#include "scalers/sdk/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <future>
#include <thread>

#include "autoscaler/base/version.h"
#include "neap/scaler/v1/scaler.grpc.pb.h"
#include "scalers/sdk/fake_scaler.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"

namespace neap::sdk {
namespace {

namespace pb = ::neap::scaler::v1;
using ::testing::HasSubstr;
using testing_support::TempDir;
using testing_support::TestAuthority;
using testing_support::TestCertificate;
using testing_support::WaitFor;

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

std::unique_ptr<grpc::ClientContext> Context(absl::Duration timeout = absl::Seconds(30)) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  return context;
}

std::shared_ptr<grpc::Channel> Channel(const std::string& address,
                                       const std::shared_ptr<grpc::ChannelCredentials>&
                                           credentials = grpc::InsecureChannelCredentials()) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

std::shared_ptr<grpc::ChannelCredentials> TlsWith(const std::string& ca,
                                                  const TestCertificate* own = nullptr) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca;
  if (own != nullptr) {
    options.pem_cert_chain = own->cert;
    options.pem_private_key = own->key;
  }
  return grpc::SslCredentials(options);
}

pb::Trigger Fake(const std::string& id, const std::map<std::string, std::string>& metadata) {
  pb::Trigger trigger;
  trigger.set_id(id);
  trigger.set_type("fake");
  trigger.mutable_metadata()->insert(metadata.begin(), metadata.end());
  return trigger;
}

grpc::Status Read(const std::shared_ptr<grpc::Channel>& channel,
                  const std::vector<pb::Trigger>& triggers, pb::ReadResponse& response,
                  absl::Duration timeout = absl::Seconds(30)) {
  pb::ReadRequest request;
  for (const pb::Trigger& trigger : triggers) *request.add_triggers() = trigger;
  return pb::ScalerService::NewStub(channel)->Read(Context(timeout).get(), request, &response);
}

// "5" or "KIND: message".
std::string Text(const pb::Reading& reading) {
  const auto error = [](const pb::Error& e) {
    std::string out = pb::Error::Kind_Name(e.kind()) + ": " + e.message();
    for (const pb::FieldError& field : e.fields()) out += field.parameter() + " " + field.message();
    return out;
  };
  if (reading.has_error()) return error(reading.error());
  if (reading.metrics(0).has_error()) return error(reading.metrics(0).error());
  return fmt::format("{}", reading.metrics(0).series().real(0));
}

std::string ReadOne(const std::shared_ptr<grpc::Channel>& channel, const pb::Trigger& trigger) {
  pb::ReadResponse response;
  const grpc::Status status = Read(channel, {trigger}, response);
  return status.ok() ? Text(response.readings(0)) : "status: " + status.error_message();
}

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}
std::string TextOf(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  bytes.Dump(&slices);
  std::string out;
  for (const grpc::Slice& slice : slices) {
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return out;
}

// Health's messages by hand: field 1 of the request is the service, of the answer the status.
std::string Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  grpc::GenericStub stub(channel);
  const auto context = Context();
  const grpc::ByteBuffer request =
      Bytes(std::string("\x0a") + static_cast<char>(service.size()) + service);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(context.get(), kHealthCheck, {}, &request, &response,
                 [&](const grpc::Status& status) { done.set_value(status); });
  const grpc::Status status = done.get_future().get();
  if (!status.ok()) return "code " + std::to_string(status.error_code());
  const std::string answer = TextOf(response);
  return answer == "\x08\x01" ? "SERVING" : "NOT SERVING";
}

class ServerTest : public ::testing::Test {
 protected:
  ~ServerTest() override { control_.Release(); }

  absl::StatusOr<std::unique_ptr<Server>> TryStart(ServerOptions options = {}) {
    return Server::Start(FakeScaler::Make(control_), std::move(options));
  }
  // Lives as long as the test: its end waits for Reads that hang, so they are released before.
  Server* Start(ServerOptions options = {}) {
    auto server = TryStart(std::move(options));
    if (!server.ok()) {
      ADD_FAILURE() << server.status();
      std::abort();
    }
    servers_.push_back(*std::move(server));
    return servers_.back().get();
  }
  std::string Socket() const { return "unix://" + dir_.path() + "/socket"; }

  TempDir dir_;
  FakeControl control_;
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(ServerTest, DescribesItsTypes) {
  Server* const server = Start({.name = "neap-scaler-fake"});
  pb::DescribeResponse response;
  ASSERT_TRUE(pb::ScalerService::NewStub(Channel(server->address()))
                  ->Describe(Context().get(), {}, &response)
                  .ok());
  EXPECT_EQ(response.name(), "neap-scaler-fake");
  EXPECT_EQ(response.version(), base::Version());
  EXPECT_EQ(response.max_triggers_per_read(), kMaxTriggersPerRead);
  ASSERT_EQ(response.trigger_types_size(), 1);
  EXPECT_EQ(response.trigger_types(0).type(), "fake");
  EXPECT_TRUE(response.trigger_types(0).pushes());
  ASSERT_EQ(response.trigger_types(0).parameters_size(), 5);
  EXPECT_TRUE(response.trigger_types(0).parameters(4).secret());
  EXPECT_EQ(response.trigger_types(0).parameters(4).sources_size(), 2);
}

TEST_F(ServerTest, ReadsTriggersInTheirOrder) {
  Server* const server = Start();
  EXPECT_EQ(server->address().find("127.0.0.1:"), 0U);
  pb::Trigger unknown = Fake("u", {});
  unknown.set_type("fakke");
  pb::ReadResponse response;
  ASSERT_TRUE(Read(Channel(server->address()),
                   {Fake("a", {{"value", "5"}}), Fake("b", {{"value", "x"}}), unknown,
                    Fake("c", {{"value", "7"}, {"source", "there"}})},
                   response)
                  .ok());
  ASSERT_EQ(response.readings_size(), 4);
  ASSERT_EQ(response.statuses_size(), 4);
  EXPECT_EQ(Text(response.readings(0)), "5");
  EXPECT_THAT(Text(response.readings(1)), HasSubstr("BAD_PARAMETER: value "));
  EXPECT_THAT(Text(response.readings(2)), HasSubstr("did you mean \"fake\"?"));
  EXPECT_EQ(Text(response.readings(3)), "7");
  EXPECT_EQ(response.readings(3).trigger_id(), "c");
  EXPECT_EQ(response.statuses(0).metrics(0).name(), "fake");
  EXPECT_EQ(response.statuses(0).metrics(0).target().amount(), 1000);
  EXPECT_TRUE(response.statuses(1).has_error());
}

TEST_F(ServerTest, RefusesTooManyTriggers) {
  Server* const server = Start();
  pb::ReadResponse response;
  const std::vector<pb::Trigger> triggers(kMaxTriggersPerRead + 1, Fake("a", {}));
  EXPECT_EQ(Read(Channel(server->address()), triggers, response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, TurnsFaultsOfTheScalerIntoErrors) {
  Server* const server = Start();
  const auto channel = Channel(server->address());
  EXPECT_THAT(ReadOne(channel, Fake("a", {{"fault", "throw"}})),
              HasSubstr("INTERNAL: fault of the scaler: it threw: read threw"));
  EXPECT_THAT(ReadOne(channel, Fake("a", {{"fault", "open"}})),
              HasSubstr("INTERNAL: the scaler threw in Open: open threw"));
  EXPECT_THAT(ReadOne(channel, Fake("a", {{"fault", "count"}})),
              HasSubstr("INTERNAL: fault of the scaler: 0 readings for 1 triggers"));
  EXPECT_THAT(ReadOne(channel, Fake("a", {{"fault", "nan"}})), HasSubstr("INTERNAL: "));
  EXPECT_THAT(ReadOne(channel, Fake("a", {{"fault", "inactive"}})), HasSubstr("INTERNAL: "));
  EXPECT_THAT(ReadOne(channel, Fake("a", {{"fault", "name"}})), HasSubstr("INTERNAL: "));
  // What a source says may be no UTF-8, which a message could not carry.
  EXPECT_EQ(ReadOne(channel, Fake("a", {{"fault", "error"}})), "NOT_FOUND: no ? here");
}

TEST_F(ServerTest, AnswersForAReadThatOverrunsItsDeadline) {
  Server* const server = Start();
  pb::ReadResponse response;
  ASSERT_TRUE(Read(Channel(server->address()),
                   {Fake("a", {{"fault", "hang"}}), Fake("b", {{"source", "there"}})}, response,
                   absl::Seconds(1))
                  .ok());
  EXPECT_THAT(Text(response.readings(0)), HasSubstr("TIMEOUT: "));
  EXPECT_EQ(Text(response.readings(1)), "1");
  EXPECT_EQ(control_.hanging(), 1);
}

TEST_F(ServerTest, AThousandHangingTriggersHoldNobodyElseUp) {
  Server* const server = Start();
  const auto channel = Channel(server->address());
  const auto stub = pb::ScalerService::NewStub(channel);
  // Each by a call of its own, so that each could take a thread.
  struct Call {
    std::unique_ptr<grpc::ClientContext> context = Context(absl::Minutes(5));
    pb::ReadRequest request;
    pb::ReadResponse response;
  };
  std::vector<Call> calls(1000);
  std::atomic<int> done = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    Call& call = calls[i];
    *call.request.add_triggers() = Fake(std::to_string(i), {{"fault", "hang"}, {"source", "slow"}});
    stub->async()->Read(call.context.get(), &call.request, &call.response,
                        [&](const grpc::Status&) { ++done; });
  }
  ASSERT_TRUE(WaitFor([&] { return control_.hanging() == 4; }));
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(ReadOne(channel, Fake("x", {{"value", std::to_string(i)}, {"source", "quick"}})),
              std::to_string(i));
  }
  EXPECT_EQ(done, 0);
  EXPECT_EQ(control_.hanging(), 4);
  control_.Release();
  EXPECT_TRUE(WaitFor([&] { return done == 1000; }));
}

TEST_F(ServerTest, ValidatesWithAndWithoutTheSource) {
  Server* const server = Start();
  const auto stub = pb::ScalerService::NewStub(Channel(server->address()));
  const auto validate = [&](const std::map<std::string, std::string>& metadata, bool try_source) {
    pb::ValidateRequest request;
    *request.mutable_trigger() = Fake("", metadata);
    request.set_try_source(try_source);
    pb::ValidateResponse response;
    EXPECT_TRUE(stub->Validate(Context().get(), request, &response).ok());
    return response;
  };
  pb::ValidateResponse good = validate({{"valuee", "5"}, {"fault", "error"}}, false);
  EXPECT_EQ(good.metrics_size(), 1);
  EXPECT_EQ(good.errors_size(), 0);
  ASSERT_EQ(good.warnings_size(), 1);
  EXPECT_THAT(good.warnings(0), HasSubstr("did you mean \"value\"?"));
  EXPECT_FALSE(good.has_source_error());
  EXPECT_EQ(validate({{"fault", "error"}}, true).source_error().kind(), pb::Error::NOT_FOUND);
  EXPECT_FALSE(validate({}, true).has_source_error());
  const pb::ValidateResponse bad = validate({{"value", "x"}}, true);
  ASSERT_EQ(bad.errors_size(), 1);
  EXPECT_EQ(bad.errors(0).parameter(), "value");
  EXPECT_EQ(bad.metrics_size(), 0);
}

TEST_F(ServerTest, TakesSecretsOnlyWhereNobodyListensIn) {
  pb::Trigger secret = Fake("a", {{"value", "5"}});
  (*secret.mutable_auth())["password"] = "x";
  pb::Trigger variable = Fake("a", {{"value", "5"}, {"passwordFromEnv", "PASSWORD"}});
  (*variable.mutable_env())["PASSWORD"] = "x";
  Server* const open = Start();
  for (const pb::Trigger& trigger : {secret, variable}) {
    EXPECT_THAT(ReadOne(Channel(open->address()), trigger), HasSubstr("DENIED: secrets"));
  }
  Server* const socket = Start({.listen = Socket()});
  EXPECT_EQ(ReadOne(Channel(socket->address()), secret), "5");
  EXPECT_EQ(ReadOne(Channel(socket->address()), variable), "5");
}

TEST_F(ServerTest, SpeaksTlsAndAsksForAClientCertificate) {
  const TestAuthority ca;
  const TestCertificate own = ca.Issue("localhost");
  const TestCertificate client = ca.Issue("host");
  const TestCertificate stranger = TestAuthority("other").Issue("host");
  Server* const server = Start({.listen = "127.0.0.1:0",
                                .tls = {.cert_file = dir_.Write("cert", own.cert),
                                        .key_file = dir_.Write("key", own.key),
                                        .client_ca_file = dir_.Write("ca", ca.cert())}});
  pb::Trigger secret = Fake("a", {{"value", "5"}});
  (*secret.mutable_auth())["password"] = "x";
  EXPECT_EQ(ReadOne(Channel(server->address(), TlsWith(ca.cert(), &client)), secret), "5");
  EXPECT_THAT(ReadOne(Channel(server->address(), TlsWith(ca.cert())), secret), HasSubstr("status"));
  EXPECT_THAT(ReadOne(Channel(server->address(), TlsWith(ca.cert(), &stranger)), secret),
              HasSubstr("status"));
  EXPECT_THAT(ReadOne(Channel(server->address()), secret), HasSubstr("status"));
}

TEST_F(ServerTest, TakesANewCertificateWhileItServes) {
  const TestAuthority first("first");
  const TestAuthority second("second");
  const TestCertificate before = first.Issue("localhost");
  const TestCertificate after = second.Issue("localhost");
  Server* const server = Start({.listen = "127.0.0.1:0",
                                .tls = {.cert_file = dir_.Write("cert", before.cert),
                                        .key_file = dir_.Write("key", before.key),
                                        .reload_every = absl::Seconds(1)}});
  EXPECT_EQ(ReadOne(Channel(server->address(), TlsWith(first.cert())), Fake("a", {})), "1");
  for (const auto& [name, text] : {std::pair("key", after.key), std::pair("cert", after.cert)}) {
    const std::string file = dir_.Write(std::string(name) + ".new", text);
    ASSERT_EQ(rename(file.c_str(), (dir_.path() + "/" + name).c_str()), 0);
  }
  EXPECT_TRUE(WaitFor([&] {
    return ReadOne(Channel(server->address(), TlsWith(second.cert())), Fake("a", {})) == "1";
  }));
  EXPECT_THAT(ReadOne(Channel(server->address(), TlsWith(first.cert())), Fake("a", {})),
              HasSubstr("status"));
}

TEST_F(ServerTest, RefusesFilesThatCanNotBeUsed) {
  const TestAuthority ca;
  const TestCertificate one = ca.Issue("localhost");
  const TestCertificate other = ca.Issue("localhost");
  const std::string cert = dir_.Write("cert", one.cert);
  const std::string key = dir_.Write("key", one.key);
  const auto error = [&](const ServerTls& tls, const std::string& listen = "127.0.0.1:0") {
    return std::string(TryStart({.listen = listen, .tls = tls}).status().message());
  };
  EXPECT_THAT(error({.cert_file = dir_.path() + "/none", .key_file = key}),
              HasSubstr("--tls-cert-file " + dir_.path() + "/none"));
  EXPECT_THAT(error({.cert_file = cert, .key_file = dir_.Write("other", other.key)}),
              HasSubstr("--tls-private-key-file"));
  EXPECT_THAT(error({.cert_file = cert}), HasSubstr("are given together"));
  EXPECT_THAT(error({.client_ca_file = cert}), HasSubstr("are given together"));
  EXPECT_THAT(
      error({.cert_file = cert, .key_file = key, .client_ca_file = dir_.Write("empty", "")}),
      HasSubstr("--client-ca-file"));
  EXPECT_THAT(error({.cert_file = cert, .key_file = key}, Socket()), HasSubstr("takes no TLS"));
}

TEST_F(ServerTest, RefusesAddressesThatAreNone) {
  for (const char* listen : {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80",
                             "unix:", "unix://relative", "127.0.0.1:-1"}) {
    const absl::Status status = TryStart({.listen = listen}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << listen << " " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string("--listen ") + listen));
  }
  Server* const server = Start();
  const absl::Status taken = TryStart({.listen = server->address()}).status();
  EXPECT_TRUE(absl::IsUnavailable(taken)) << taken;
}

TEST_F(ServerTest, OneServerForASocketPath) {
  const std::string path = dir_.path() + "/socket";
  {
    const auto started = TryStart({.listen = Socket(), .socket_mode = 0600});
    ASSERT_TRUE(started.ok()) << started.status();
    const std::unique_ptr<Server>& server = *started;
    EXPECT_EQ(server->address(), Socket());
    struct stat info = {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    const absl::Status second = TryStart({.listen = Socket()}).status();
    EXPECT_TRUE(absl::IsAlreadyExists(second)) << second;
    EXPECT_THAT(std::string(second.message()), HasSubstr(std::to_string(getpid())));
    EXPECT_EQ(ReadOne(Channel(server->address()), Fake("a", {})), "1") << "the first goes on";
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "nothing is left behind";
  EXPECT_NE(access((path + ".lock").c_str(), F_OK), 0);

  // What a killed process leaves: a socket that nobody listens on, and an unlocked lock file.
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(stale, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(stale);
  dir_.Write("socket.lock", "1");
  EXPECT_EQ(ReadOne(Channel(Start({.listen = Socket()})->address()), Fake("a", {})), "1");
}

TEST_F(ServerTest, LeavesAFileThatIsNoSocket) {
  dir_.Write("socket", "precious");
  const absl::Status status = TryStart({.listen = Socket()}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  std::string text;
  std::ifstream(dir_.path() + "/socket") >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(ServerTest, AnswersHealthPerService) {
  Server* const server = Start();
  const auto channel = Channel(server->address());
  EXPECT_EQ(Health(channel, ""), "SERVING");
  EXPECT_EQ(Health(channel, "neap.scaler.v1.ScalerService"), "SERVING");
  EXPECT_EQ(Health(channel, "neap.scaler.v9.ScalerService"),
            "code " + std::to_string(grpc::StatusCode::NOT_FOUND));
}

TEST_F(ServerTest, AnswersReflection) {
  Server* const server = Start();
  grpc::GenericStub stub(Channel(server->address()));
  const auto context = Context();
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(context.get(), kReflection, &queue);
  const auto step = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(step());
  call->Write(Bytes(std::string("\x3a\x01*")), nullptr);  // list_services: "*"
  ASSERT_TRUE(step());
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(step());
  EXPECT_THAT(TextOf(answer), HasSubstr("neap.scaler.v1.ScalerService"));
  EXPECT_THAT(TextOf(answer), HasSubstr("grpc.health.v1.Health"));
  context->TryCancel();
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
}

TEST_F(ServerTest, StopsUnderLoad) {
  Server* const server = Start({.listen = Socket()});
  const auto channel = Channel(server->address());
  std::atomic<int> answered = 0;
  std::atomic<bool> stopped = false;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      while (!stopped) {
        pb::ReadResponse response;
        const grpc::Status status =
            Read(channel, {Fake("a", {{"source", std::to_string(i)}})}, response);
        if (!status.ok()) continue;  // it stops
        EXPECT_EQ(Text(response.readings(0)), "1");
        ++answered;
      }
    });
  }
  EXPECT_TRUE(WaitFor([&] { return answered > 100; }));
  EXPECT_TRUE(server->Stop(absl::Seconds(20))) << "every Read has returned";
  stopped = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(control_.hanging(), 0);
}

TEST_F(ServerTest, StopDoesNotWaitForASourceThatHangs) {
  Server* const server = Start();
  const auto channel = Channel(server->address());
  std::thread client([&] {
    pb::ReadResponse response;
    const grpc::Status status =
        Read(channel, {Fake("a", {{"fault", "hang"}})}, response, absl::Minutes(5));
    EXPECT_FALSE(status.ok());
  });
  EXPECT_TRUE(WaitFor([&] { return control_.hanging() == 1; }));
  EXPECT_FALSE(server->Stop(absl::Milliseconds(100)));
  client.join();
  control_.Release();
}

}  // namespace
}  // namespace neap::sdk
