// http::Client against real servers: what is sent, what comes back, and every way in which an
// exchange can fail.
#include "autoscaler/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "autoscaler/base/status.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::Guarded;
using testing_support::HttpServer;
using testing_support::RawServer;

std::string Text(const absl::Status& status) { return std::string(base::Message(status)); }

TEST(Client, SendsMethodHeadersAndBodyAndReturnsAnyStatus) {
  HttpServer server;
  Guarded<httplib::Request> seen_by_server;
  const auto keep = [&](const httplib::Request& request, httplib::Response& response) {
    seen_by_server.Set(request);
    response.status = 409;
    response.set_header("Retry-After", "7");
    response.set_content("conflict", "text/plain");
  };
  server->Patch("/x", keep);
  server->Post("/x", keep);
  server->Put("/x", keep);
  server->Delete("/x", keep);
  const std::string url = server.Start();
  Client client({.user_agent = "neap-test"});
  for (const std::string method : {"PATCH", "POST", "PUT", "DELETE"}) {
    const auto response =
        client.Do({.method = method,
                   .url = url + "/x?a=b%20c",
                   .headers = {{"Content-Type", "application/json-patch+json"}, {"X-Empty", ""}},
                   .body = method == "DELETE" ? "" : "[1]"});
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 409);
    EXPECT_EQ(response->body, "conflict");
    EXPECT_EQ(response->Header("retry-after"), "7");
    const httplib::Request seen = seen_by_server.Get();
    EXPECT_EQ(seen.method, method);
    EXPECT_EQ(seen.get_param_value("a"), "b c");
    EXPECT_EQ(seen.get_header_value("User-Agent"), "neap-test");
    EXPECT_FALSE(seen.has_header("Expect"));
    if (method != "DELETE") {
      EXPECT_EQ(seen.body, "[1]");
      EXPECT_EQ(seen.get_header_value("Content-Type"), "application/json-patch+json");
    }
  }
}

TEST(Client, HeadHasNoBodyAndEmptyPostHasNoContentType) {
  HttpServer server;
  Guarded<std::string> content_type("unset");
  server->Get("/x", [](const auto&, auto& r) { r.set_content("body", "text/plain"); });
  server->Post("/x", [&](const auto& request, auto&) {
    content_type.Set(request.get_header_value("Content-Type"));
  });
  const std::string url = server.Start();
  Client client;
  const auto head = client.Do({.method = "HEAD", .url = url + "/x"});
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  const auto post = client.Do({.method = "POST", .url = url + "/x"});
  ASSERT_TRUE(post.ok()) << post.status();
  EXPECT_EQ(content_type.Get(), "");
}

// A request begun while a connection to the same server was being made waited until another ended.
TEST(Client, EndlessStreamsOfOneServerDoNotHoldUpEachOther) {
  RawServer server([](int socket, int) {
    if (!RawServer::ReadHead(socket)) return;
    RawServer::Write(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    RawServer::AwaitClose(socket);
  });
  std::atomic<int> begun = 0;
  Client client;
  for (int i = 0; i < 20; ++i) {
    client.Stream({.url = server.url()}, {.on_headers = [&](const Response&) { ++begun; }});
  }
  EXPECT_TRUE(testing_support::WaitFor([&] { return begun == 20; }));
}

TEST(Client, ReusesConnections) {
  HttpServer server;
  server->Get("/x", [](const auto&, auto& r) { r.set_content("1", "text/plain"); });
  const std::string url = server.Start();
  Client client;
  EXPECT_FALSE(client.Do({.url = url + "/x"})->reused);
  EXPECT_TRUE(client.Do({.url = url + "/x"})->reused);
}

// What waits for a connection may be too late when it gets one; so after a stop of the process.
TEST(Client, AsksInTheLastMomentWhetherARequestMayBeSent) {
  HttpServer server;
  std::atomic<int> patches = 0;
  std::atomic<bool> go_on = false;
  std::atomic<bool> busy = false;
  server->Get("/slow", [&](const httplib::Request&, httplib::Response& response) {
    busy = true;
    testing_support::WaitFor([&] { return go_on.load(); });
    response.set_content("ok", "text/plain");
  });
  server->Patch("/x", [&](const httplib::Request&, httplib::Response& response) {
    ++patches;
    response.set_content("ok", "text/plain");
  });
  const std::string url = server.Start();
  Client client({.max_connections_per_host = 1});
  std::atomic<bool> may = true;
  const auto patch = [&] {
    return Request{
        .method = "PATCH", .url = url + "/x", .body = "b", .may_send = [&] { return may.load(); }};
  };
  ASSERT_TRUE(client.Do(patch()).ok());
  EXPECT_EQ(patches, 1);

  Guarded<std::optional<absl::Status>> slow;
  Guarded<std::optional<absl::Status>> late;
  client.Send({.url = url + "/slow"}, [&](const auto& r) { slow.Set(r.status()); });
  ASSERT_TRUE(testing_support::WaitFor([&] { return busy.load(); }));
  client.Send(patch(), [&](const auto& r) { late.Set(r.status()); });
  client.RunAndWait([] {});  // it has been taken up
  may = false;
  go_on = true;
  ASSERT_TRUE(testing_support::WaitFor([&] { return slow.Get() && late.Get(); }));
  EXPECT_TRUE(slow.Get()->ok());
  EXPECT_EQ(late.Get()->code(), absl::StatusCode::kAborted) << *late.Get();
  EXPECT_THAT(Text(*late.Get()), HasSubstr("PATCH " + url + "/x"));
  EXPECT_EQ(client.Do(patch()).status().code(), absl::StatusCode::kAborted);  // on a connection
  EXPECT_EQ(patches, 1);
  may = true;
  EXPECT_TRUE(client.Do(patch()).ok());  // the connection is as good as before
  EXPECT_EQ(patches, 2);
}

TEST(Client, DecompressesAndBoundsWhatComesOut) {
  HttpServer server;
  server->Get("/big",
              [](const auto&, auto& r) { r.set_content(std::string(1 << 20, 'a'), "text/plain"); });
  const std::string url = server.Start();
  Client client;
  const auto whole = client.Do({.url = url + "/big"});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->body.size(), size_t{1} << 20);
  EXPECT_NE(whole->Header("Content-Encoding"), "") << "the server should have compressed it";
  const auto over = client.Do({.url = url + "/big", .max_response_bytes = 1000});
  EXPECT_TRUE(absl::IsResourceExhausted(over.status())) << over.status();
  EXPECT_THAT(Text(over.status()), HasSubstr("larger than 1000 bytes"));
}

TEST(Client, FollowsRedirectsOnlyWhenAsked) {
  HttpServer server;
  HttpServer other;
  Guarded<std::string> authorization("unset");
  other->Get("/end", [&](const auto& request, auto& r) {
    authorization.Set(request.get_header_value("Authorization"));
    r.set_content("here", "text/plain");
  });
  const std::string other_url = other.Start();
  server->Get("/start", [&](const auto&, auto& r) {
    // another host name: localhost, not 127.0.0.1
    r.set_redirect("http://localhost:" + std::to_string(other.port()) + "/end");
  });
  server->Get("/loop", [](const auto&, auto& r) { r.set_redirect("/loop"); });
  server->Get("/file", [](const auto&, auto& r) { r.set_redirect("file:///etc/passwd"); });
  const std::string url = server.Start();
  Client client;
  EXPECT_EQ(client.Do({.url = url + "/start"})->status, 302);
  const Headers secret = {{"Authorization", "Bearer s3cret"}};
  const auto followed =
      client.Do({.url = url + "/start", .headers = secret, .follow_redirects = true});
  ASSERT_TRUE(followed.ok()) << followed.status();
  EXPECT_EQ(followed->status, 200);
  EXPECT_EQ(followed->body, "here");
  EXPECT_THAT(followed->url, HasSubstr("/end"));
  EXPECT_EQ(authorization.Get(), "");
  const auto loop = client.Do({.url = url + "/loop", .follow_redirects = true});
  EXPECT_TRUE(absl::IsFailedPrecondition(loop.status())) << loop.status();
  const auto file = client.Do({.url = url + "/file", .follow_redirects = true});
  EXPECT_FALSE(file.ok());
}

TEST(Client, TimesOutWithoutSecretsInTheError) {
  RawServer server([](int socket, int) {
    RawServer::ReadHead(socket);
    RawServer::AwaitClose(socket);
  });
  Client client;
  const auto late =
      client.Do({.url = server.url() + "/q?key=s3cret", .timeout = absl::Milliseconds(50)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  EXPECT_THAT(Text(late.status()), HasSubstr("GET " + server.url() + "/q?..."));
  EXPECT_THAT(Text(late.status()), Not(HasSubstr("s3cret")));
  const auto none = client.Do({.url = server.url(), .timeout = absl::ZeroDuration()});
  EXPECT_TRUE(absl::IsDeadlineExceeded(none.status())) << none.status();
}

TEST(Client, BodyClosedInTheMiddleIsAnError) {
  RawServer server([](int socket, int connection) {
    RawServer::ReadHead(socket);
    RawServer::Write(socket,
                     connection == 0
                         ? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"items\":["
                         : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  });
  Client client;
  for (int i = 0; i < 2; ++i) {
    const auto cut = client.Do({.url = server.url()});
    EXPECT_TRUE(absl::IsUnavailable(cut.status())) << cut.status();
    EXPECT_THAT(Text(cut.status()), HasSubstr("in the middle of the body"));
  }
}

TEST(Client, GarbageIsAnError) {
  const std::vector<std::string> answers = {
      "\x16\x03\x01 this is no HTTP\r\n\r\n",
      "HTTP/1.1 abc\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
      "",
  };
  RawServer server([&](int socket, int connection) {
    RawServer::ReadHead(socket);
    RawServer::Write(socket, answers[static_cast<size_t>(connection) % answers.size()]);
  });
  Client client;
  for (const std::string& answer : answers) {
    const auto bad = client.Do({.url = server.url()});
    ASSERT_FALSE(bad.ok()) << answer;
    EXPECT_TRUE(absl::IsDataLoss(bad.status()) || absl::IsUnavailable(bad.status()))
        << bad.status();
  }
}

TEST(Client, EndlessHeadersAreAnError) {
  RawServer server([](int socket, int) {
    RawServer::ReadHead(socket);
    if (!RawServer::Write(socket, "HTTP/1.1 200 OK\r\n")) return;
    const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
    while (RawServer::Write(socket, line)) {
    }
  });
  Client client;
  const auto endless = client.Do({.url = server.url()});
  EXPECT_TRUE(absl::IsResourceExhausted(endless.status())) << endless.status();
}

TEST(Client, RefusesBadRequests) {
  Client client;
  const std::vector<Request> bad = {
      {.url = ""},
      {.url = "http://"},
      {.url = "ftp://127.0.0.1/x"},
      {.url = "file:///etc/passwd"},
      {.url = "http://127.0.0.1:99999/"},
      {.method = "GET /", .url = "http://127.0.0.1/"},
      {.method = "", .url = "http://127.0.0.1/"},
      {.url = "http://127.0.0.1/", .headers = {{"A", "b\r\nC: d"}}},
      {.url = "http://127.0.0.1/", .headers = {{"A B", "b"}}},
  };
  for (const Request& request : bad) {
    const auto refused = client.Do(request);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << request.url << refused.status();
  }
}

TEST(Client, NobodyListens) {
  Client client;
  const auto refused =
      client.Do({.url = "http://127.0.0.1:" + std::to_string(testing_support::FreePort())});
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
}

TEST(Client, SpeaksOverAUnixSocket) {
  const testing_support::TempDir dir;
  const std::string path = dir.path() + "/s";
  const auto missing = Client().Do({.url = "http://any/x", .unix_socket = path});
  EXPECT_TRUE(absl::IsUnavailable(missing.status())) << missing.status();
  RawServer server(path, [](int socket, int) {
    RawServer::ReadHead(socket);
    RawServer::Write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix");
  });
  const auto there = Client().Do({.url = "http://any/x", .unix_socket = path});
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(there->body, "unix");
}

TEST(Client, UsesTheProxyItIsGiven) {
  Guarded<std::string> head;
  RawServer proxy([&](int socket, int) {
    std::string read;
    RawServer::ReadHead(socket, &read);
    head.Set(read);
    RawServer::Write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy");
  });
  Client client;
  const auto response = client.Do(
      {.url = "http://nowhere.invalid/x", .headers = {{"X-Empty", ""}}, .proxy = proxy.url()});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "proxy");
  EXPECT_THAT(head.Get(), HasSubstr("GET http://nowhere.invalid/x HTTP/1.1"));
  EXPECT_THAT(head.Get(), HasSubstr("X-Empty:"));
}

}  // namespace
}  // namespace neap::http
