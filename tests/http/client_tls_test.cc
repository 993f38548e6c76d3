// http::Client over TLS: whom it trusts, what it shows, and HTTP/2 where it is offered.
#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>

#include "autoscaler/base/status.h"
#include "autoscaler/http/client.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::http {
namespace {

using testing_support::Guarded;
using testing_support::HttpServer;
using testing_support::TempDir;
using testing_support::TestAuthority;
using testing_support::TestCertificate;

class ClientTls : public ::testing::Test {
 protected:
  std::string Start(HttpServer& server) {
    server->Get("/x", [this](const httplib::Request& request, httplib::Response& r) {
      host_.Set(request.get_header_value("Host"));
      r.set_content("tls", "text/plain");
    });
    return server.Start() + "/x";
  }
  const TestAuthority ca_;
  const TestAuthority other_ca_{"somebody else"};
  const TestCertificate server_cert_ = ca_.Issue("127.0.0.1");
  Guarded<std::string> host_;
  Client client_;
};

TEST_F(ClientTls, TrustsTheAuthorityItIsGivenAsTextOrFile) {
  HttpServer server({.tls = &server_cert_, .keep_alive = false});
  const std::string url = Start(server);
  const auto text = client_.Do({.url = url, .tls = {.ca_pem = ca_.cert()}});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->body, "tls");
  const TempDir dir;
  const auto file = client_.Do({.url = url, .tls = {.ca_file = dir.Write("ca.pem", ca_.cert())}});
  EXPECT_TRUE(file.ok()) << file.status();
}

TEST_F(ClientTls, ARenewedAuthorityFileIsReadAtTheNextConnection) {
  HttpServer server({.tls = &server_cert_, .keep_alive = false});
  const std::string url = Start(server);
  const TempDir dir;
  const Tls tls{.ca_file = dir.Write("ca.pem", other_ca_.cert())};
  EXPECT_TRUE(absl::IsUnauthenticated(client_.Do({.url = url, .tls = tls}).status()));
  dir.Write("ca.pem", ca_.cert());
  const auto renewed = client_.Do({.url = url, .tls = tls});
  EXPECT_TRUE(renewed.ok()) << renewed.status();
}

TEST_F(ClientTls, ACertificateOutOfItsTimeIsCalledThat) {
  const struct {
    long from;
    long until;
    std::string words;
  } cases[] = {{-7200, -3600, "certificate has expired"},
               {3600, 7200, "certificate is not yet valid"}};
  for (const auto& c : cases) {
    const TestCertificate certificate = ca_.Issue("127.0.0.1", false, c.from, c.until);
    HttpServer server({.tls = &certificate, .keep_alive = false});
    const auto refused = client_.Do({.url = Start(server), .tls = {.ca_pem = ca_.cert()}});
    EXPECT_TRUE(absl::IsUnauthenticated(refused.status())) << refused.status();
    EXPECT_THAT(std::string(base::Message(refused.status())), testing::HasSubstr(c.words));
  }
}

TEST_F(ClientTls, RefusesStrangersUnlessInsecure) {
  HttpServer server({.tls = &server_cert_, .keep_alive = false});
  const std::string url = Start(server);
  for (const Tls& tls : {Tls{}, Tls{.ca_pem = other_ca_.cert()}}) {
    const auto refused = client_.Do({.url = url, .tls = tls});
    EXPECT_TRUE(absl::IsUnauthenticated(refused.status())) << refused.status();
  }
  EXPECT_TRUE(client_.Do({.url = url, .tls = {.insecure = true}}).ok());
  // A connection made without trust is not reused by those who ask for it.
  const auto still = client_.Do({.url = url, .tls = {.ca_pem = other_ca_.cert()}});
  EXPECT_TRUE(absl::IsUnauthenticated(still.status())) << still.status();
}

TEST_F(ClientTls, ServerNameIsWhatIsVerified) {
  const TestCertificate named = ca_.Issue("api.internal", true);
  HttpServer server({.tls = &named, .keep_alive = false});
  const std::string url = Start(server);
  const auto refused = client_.Do({.url = url, .tls = {.ca_pem = ca_.cert()}});
  EXPECT_TRUE(absl::IsUnauthenticated(refused.status())) << refused.status();
  const auto right =
      client_.Do({.url = url, .tls = {.ca_pem = ca_.cert(), .server_name = "api.internal"}});
  ASSERT_TRUE(right.ok()) << right.status();
  EXPECT_EQ(host_.Get(), "127.0.0.1:" + std::to_string(server.port()));
  const auto wrong =
      client_.Do({.url = url, .tls = {.ca_pem = ca_.cert(), .server_name = "other.internal"}});
  EXPECT_TRUE(absl::IsUnauthenticated(wrong.status())) << wrong.status();
}

TEST_F(ClientTls, ShowsItsCertificateWhereOneIsRequired) {
  HttpServer server({.tls = &server_cert_, .client_ca = &ca_, .keep_alive = false});
  const std::string url = Start(server);
  const TestCertificate mine = ca_.Issue("neap");
  const TestCertificate strange = other_ca_.Issue("neap");
  const auto as_text = client_.Do(
      {.url = url, .tls = {.ca_pem = ca_.cert(), .cert_pem = mine.cert, .key_pem = mine.key}});
  EXPECT_TRUE(as_text.ok()) << as_text.status();
  const TempDir dir;
  const auto as_file = client_.Do({.url = url,
                                   .tls = {.ca_pem = ca_.cert(),
                                           .cert_file = dir.Write("c.pem", mine.cert),
                                           .key_file = dir.Write("k.pem", mine.key)}});
  EXPECT_TRUE(as_file.ok()) << as_file.status();
  const auto none = client_.Do({.url = url, .tls = {.ca_pem = ca_.cert()}});
  // The server closes at once, which may overtake its alert.
  EXPECT_TRUE(absl::IsUnauthenticated(none.status()) || absl::IsUnavailable(none.status()))
      << none.status();
  const auto refused =
      client_.Do({.url = url,
                  .tls = {.ca_pem = ca_.cert(), .cert_pem = strange.cert, .key_pem = strange.key}});
  EXPECT_TRUE(absl::IsUnauthenticated(refused.status()) || absl::IsUnavailable(refused.status()))
      << refused.status();
}

TEST_F(ClientTls, UnusableCertificatesAreNamed) {
  HttpServer server({.tls = &server_cert_, .keep_alive = false});
  const std::string url = Start(server);
  const TestCertificate one = ca_.Issue("one");
  const TestCertificate two = ca_.Issue("two");
  const std::vector<Tls> bad = {
      {.ca_pem = ca_.cert(), .cert_pem = one.cert, .key_pem = two.key},
      {.ca_pem = ca_.cert(), .cert_pem = "rubbish", .key_pem = one.key},
      {.ca_file = "/nonexistent/ca.pem"},
      {.ca_pem = ca_.cert(), .cert_file = "/nonexistent/c.pem", .key_file = "/nonexistent/k.pem"},
  };
  for (const Tls& tls : bad) {
    const auto refused = client_.Do({.url = url, .tls = tls});
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  }
}

// A gRPC server is a real HTTP/2 server: it knows no such method, but says so over HTTP/2. /a/hang
// is never answered.
class Http2Server {
 public:
  explicit Http2Server(const TestCertificate& certificate) {
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({certificate.key, certificate.cert});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Http2Server() { server_->Shutdown(std::chrono::system_clock::now()); }  // waits for nobody

  Request To(const std::string& path, const std::string& ca) const {
    return {.method = "POST",
            .url = "https://127.0.0.1:" + std::to_string(port_) + path,
            .headers = {{"Content-Type", "application/grpc"}, {"TE", "trailers"}},
            .tls = {.ca_pem = ca}};
  }

 private:
  struct Hang : grpc::ServerGenericBidiReactor {
    void OnDone() override { delete this; }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  };
  struct Service : grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor* CreateReactor(
        grpc::GenericCallbackServerContext* context) override {
      if (context->method() == "/a/hang") return new Hang;
      return grpc::CallbackGenericService::CreateReactor(context);
    }
  };
  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ClientTls, SpeaksHttp2OverOneConnection) {
  const Http2Server server(server_cert_);
  const Request request = server.To("/a/b", ca_.cert());
  const auto first = client_.Do(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->http_major, 2);
  const auto second = client_.Do(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->reused);
}

// A process that hangs behind a machine that still acknowledges: curl would keep the connection.
TEST_F(ClientTls, AConnectionOnWhichNothingIsAnsweredIsNotUsedAgain) {
  const Http2Server server(server_cert_);
  ASSERT_TRUE(client_.Do(server.To("/a/b", ca_.cert())).ok());
  Request hang = server.To("/a/hang", ca_.cert());
  hang.timeout = absl::Milliseconds(200);
  EXPECT_TRUE(absl::IsDeadlineExceeded(client_.Do(hang).status()));
  const auto next = client_.Do(server.To("/a/b", ca_.cert()));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(next->reused);
}

TEST_F(ClientTls, AStreamWithoutAnAnswerDoubtsItsConnectionToo) {
  const Http2Server server(server_cert_);
  ASSERT_TRUE(client_.Do(server.To("/a/b", ca_.cert())).ok());
  Request hang = server.To("/a/hang", ca_.cert());
  hang.timeout = absl::InfiniteDuration();
  hang.idle_timeout = absl::Milliseconds(200);
  std::promise<absl::Status> ended;
  client_.Stream(hang, {.on_end = [&](absl::Status status) { ended.set_value(status); }});
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended.get_future().get()));
  const auto next = client_.Do(server.To("/a/b", ca_.cert()));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(next->reused);
}

TEST_F(ClientTls, ASlowRequestBreaksNoConnectionOnWhichOthersAreAnswered) {
  const Http2Server server(server_cert_);
  ASSERT_TRUE(client_.Do(server.To("/a/b", ca_.cert())).ok());
  Request hang = server.To("/a/hang", ca_.cert());
  hang.timeout = absl::Milliseconds(300);
  std::promise<absl::Status> ended;
  client_.Send(hang, [&](absl::StatusOr<Response> r) { ended.set_value(r.status()); });
  const auto meanwhile = client_.Do(server.To("/a/b", ca_.cert()));
  ASSERT_TRUE(meanwhile.ok() && meanwhile->reused) << meanwhile.status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended.get_future().get()));
  const auto next = client_.Do(server.To("/a/b", ca_.cert()));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_TRUE(next->reused);
}

}  // namespace
}  // namespace neap::http
