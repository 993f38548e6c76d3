// http::Client: many requests at once, streams, cancellation, timers and the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "autoscaler/base/status.h"
#include "autoscaler/http/client.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::http {
namespace {

using ::testing::HasSubstr;
using testing_support::HttpServer;
using testing_support::RawServer;
using testing_support::WaitFor;

TEST(ClientThreads, TwoHundredRequestsAtOnceFromFourThreads) {
  HttpServer server;
  server->Get("/n", [](const auto& request, auto& r) {
    r.set_content(request.get_param_value("i"), "text/plain");
  });
  const std::string url = server.Start();
  Client client({.max_connections_per_host = 40});
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  std::latch finished(kThreads * kEach);
  std::atomic<int> right{0};
  std::vector<std::jthread> senders;
  for (int t = 0; t < kThreads; ++t) {
    senders.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string n = std::to_string(t * kEach + i);
        client.Send({.url = url + "/n?i=" + n}, [&, n](absl::StatusOr<Response> response) {
          if (response.ok() && response->status == 200 && response->body == n) ++right;
          finished.count_down();
        });
      }
    });
  }
  finished.wait();
  EXPECT_EQ(right, kThreads * kEach);
}

TEST(ClientThreads, ASlowServerDelaysNoOther) {
  RawServer hanging([](int socket, int) { RawServer::AwaitClose(socket); });
  HttpServer server;
  server->Get("/x", [](const auto&, auto& r) { r.set_content("1", "text/plain"); });
  const std::string url = server.Start();
  Client client;
  std::atomic<int> ended{0};
  for (int i = 0; i < 20; ++i) {
    client.Send({.url = hanging.url()}, [&](absl::StatusOr<Response>) { ++ended; });
  }
  EXPECT_EQ(client.Do({.url = url + "/x"})->status, 200);
  EXPECT_EQ(ended, 0);
  client.Stop();
  EXPECT_EQ(ended, 20);
}

TEST(ClientThreads, StreamHandsOnHeadersChunksAndTheEnd) {
  std::promise<void> got_head;
  std::promise<void> got_first;
  RawServer server([&](int socket, int) {
    RawServer::ReadHead(socket);
    RawServer::Write(socket, "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    got_head.get_future().wait();
    RawServer::Write(socket, "5\r\nfirst\r\n");
    got_first.get_future().wait();
    RawServer::Write(socket, "6\r\nsecond\r\n0\r\n\r\n");
  });
  Client client;
  std::string body;
  std::promise<absl::Status> end;
  client.Stream({.url = server.url(), .timeout = absl::InfiniteDuration()},
                {.on_headers =
                     [&](const Response& head) {
                       EXPECT_EQ(head.status, 200);
                       EXPECT_EQ(head.Header("x-a"), "b");
                       got_head.set_value();
                     },
                 .on_data =
                     [&](std::string_view chunk) {
                       body += chunk;
                       if (body == "first") got_first.set_value();
                     },
                 .on_end = [&](absl::Status status) { end.set_value(status); }});
  EXPECT_EQ(end.get_future().get(), absl::OkStatus());
  EXPECT_EQ(body, "firstsecond");
}

TEST(ClientThreads, SilentStreamEndsAfterItsIdleTimeout) {
  RawServer server([](int socket, int) {
    RawServer::ReadHead(socket);
    RawServer::Write(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    RawServer::AwaitClose(socket);
  });
  Client client;
  std::promise<absl::Status> end;
  client.Stream(
      {.url = server.url(),
       .timeout = absl::InfiniteDuration(),
       .idle_timeout = absl::Milliseconds(80)},
      {.on_headers = {}, .on_data = {}, .on_end = [&](absl::Status s) { end.set_value(s); }});
  const absl::Status status = end.get_future().get();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(base::Message(status)), HasSubstr("nothing arrived for 80ms"));
}

TEST(ClientThreads, CancelEndsARequestOnceWithCancelled) {
  RawServer server([](int socket, int) { RawServer::AwaitClose(socket); });
  Client client;
  std::promise<absl::Status> end;
  const Id id = client.Send({.url = server.url()},
                            [&](absl::StatusOr<Response> r) { end.set_value(r.status()); });
  ASSERT_TRUE(WaitFor([&] { return server.connections() == 1; }));
  client.Cancel(id);
  client.Cancel(id);
  const absl::Status status = end.get_future().get();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  client.Cancel(id);  // long over
  client.Cancel(12345);
}

TEST(ClientThreads, DoEndsWhenItsStopTokenSaysSo) {
  RawServer server([](int socket, int) { RawServer::AwaitClose(socket); });
  Client client;
  std::stop_source stop;
  std::jthread stopper([&] {
    WaitFor([&] { return server.connections() == 1; });
    stop.request_stop();
  });
  const auto cancelled = client.Do({.url = server.url()}, stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(cancelled.status())) << cancelled.status();
}

TEST(ClientThreads, CancelInsideADataCallbackStopsTheData) {
  RawServer server([](int socket, int) {
    RawServer::ReadHead(socket);
    RawServer::Write(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (RawServer::Write(socket, "5\r\nhello\r\n")) {
    }
  });
  Client client;
  std::promise<absl::Status> end;
  std::promise<Id> id;
  auto shared_id = id.get_future().share();
  int chunks = 0;
  id.set_value(client.Stream({.url = server.url(), .timeout = absl::InfiniteDuration()},
                             {.on_headers = {},
                              .on_data =
                                  [&](std::string_view) {
                                    ++chunks;
                                    client.Cancel(shared_id.get());
                                  },
                              .on_end = [&](absl::Status status) { end.set_value(status); }}));
  EXPECT_TRUE(absl::IsCancelled(end.get_future().get()));
  EXPECT_EQ(chunks, 1);
}

TEST(ClientThreads, DroppedRequestsAndTimersCallNothing) {
  RawServer server([](int socket, int) { RawServer::AwaitClose(socket); });
  Client client;
  std::atomic<bool> called{false};
  const Id request =
      client.Send({.url = server.url()}, [&](absl::StatusOr<Response>) { called = true; });
  const Id timer = client.After(absl::Hours(1), [&] { called = true; });
  ASSERT_TRUE(WaitFor([&] { return server.connections() == 1; }));
  client.RunAndWait([&] {
    client.Drop(request);
    client.Drop(timer);
    // begun on this thread and dropped before it could start
    client.Drop(
        client.Send({.url = server.url()}, [&](absl::StatusOr<Response>) { called = true; }));
    client.Drop(client.After(absl::ZeroDuration(), [&] { called = true; }));
  });
  client.Stop();
  EXPECT_FALSE(called);
}

TEST(ClientThreads, TimersRunInOrderAndMayBeCancelled) {
  Client client;
  std::promise<void> last;
  std::string order;
  client.RunAndWait([&] {
    client.After(absl::Milliseconds(30), [&] {
      order += "c";
      last.set_value();
    });
    client.After(absl::Milliseconds(20), [&] { order += "b"; });
    client.Cancel(client.After(absl::Milliseconds(10), [&] { order += "x"; }));
    client.After(absl::ZeroDuration(), [&] { order += "a"; });
  });
  last.get_future().wait();
  EXPECT_EQ(order, "abc");
}

TEST(ClientThreads, CallbacksMaySendAgain) {
  HttpServer server;
  server->Get("/x", [](const auto&, auto& r) { r.set_content("1", "text/plain"); });
  const std::string url = server.Start() + "/x";
  Client client;
  std::promise<int> done;
  int count = 0;
  std::function<void(absl::StatusOr<Response>)> again = [&](absl::StatusOr<Response> response) {
    ASSERT_TRUE(response.ok()) << response.status();
    if (++count == 10) {
      done.set_value(count);
    } else {
      client.Send({.url = url}, again);
    }
  };
  client.Send({.url = url}, again);
  EXPECT_EQ(done.get_future().get(), 10);
}

// A request whose credentials come later.
class LaterRequests : public ::testing::Test {
 protected:
  LaterRequests() {
    server_->Get("/x", [](const auto&, auto& r) { r.set_content("1", "text/plain"); });
    url_ = server_.Start() + "/x";
  }
  Id Ask() {
    return client_.SendLater([this](Client::Supply supply) { supply_.Set(std::move(supply)); },
                             [this](absl::StatusOr<Response> response) {
                               answer_.Set(response.ok()
                                               ? response->body
                                               : std::string(base::Message(response.status())));
                               ++answers_;
                             });
  }
  Client::Supply AwaitSupply() {
    EXPECT_TRUE(WaitFor([&] { return supply_.Get() != nullptr; }));
    return supply_.Get();
  }
  bool AwaitAnswer() {
    return WaitFor([&] { return answers_ > 0; });
  }

  HttpServer server_;
  std::string url_;
  testing_support::Guarded<Client::Supply> supply_;
  testing_support::Guarded<std::string> answer_;
  std::atomic<int> answers_{0};
  Client client_;
};

TEST_F(LaterRequests, AreSentWhenTheyAreSupplied) {
  Ask();
  const auto supply = AwaitSupply();
  EXPECT_EQ(answers_, 0);
  supply(Request{.url = url_});
  ASSERT_TRUE(AwaitAnswer());
  EXPECT_EQ(answer_.Get(), "1");
  supply(Request{.url = url_});  // once is enough
  client_.RunAndWait([] {});
  EXPECT_EQ(answers_, 1);
}

TEST_F(LaterRequests, EndWithTheReasonWhenThereWillBeNone) {
  Ask();
  AwaitSupply()(base::Unauthenticated("no credentials"));
  ASSERT_TRUE(AwaitAnswer());
  EXPECT_EQ(answer_.Get(), "no credentials");
}

TEST_F(LaterRequests, MayBeCancelledAndDroppedWhileTheyWait) {
  client_.Cancel(Ask());
  const auto supply = AwaitSupply();
  ASSERT_TRUE(AwaitAnswer());
  EXPECT_THAT(answer_.Get(), HasSubstr("cancelled"));
  supply(Request{.url = url_});  // too late
  supply_.Set(nullptr);
  const Id dropped = Ask();
  const auto of_dropped = AwaitSupply();
  client_.RunAndWait([&] { client_.Drop(dropped); });
  of_dropped(Request{.url = url_});
  client_.RunAndWait([] {});
  EXPECT_EQ(answers_, 1);
}

// What is queued without an id of its own was once forgotten with it: a supply, or what a thread
// had run and waited for (it waited for ever).
TEST_F(LaterRequests, AreSentWhenNoneIsDropped) {
  Ask();
  const auto supply = AwaitSupply();
  client_.RunAndWait([&] {
    supply(Request{.url = url_});
    client_.Drop(kNone);
  });
  ASSERT_TRUE(AwaitAnswer());
  EXPECT_EQ(answer_.Get(), "1");
}

TEST_F(LaterRequests, AreCancelledWhenTheClientStops) {
  Ask();
  const auto supply = AwaitSupply();
  client_.Stop();
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(answer_.Get(), HasSubstr("stopped"));
  supply(Request{.url = url_});
}

TEST_F(LaterRequests, MayBeStreams) {
  std::atomic<bool> ended = false;
  testing_support::Guarded<std::string> body;
  client_.StreamLater(
      [&](const Client::Supply& supply) { supply(Request{.url = url_}); },
      {.on_data = [&](std::string_view chunk) { body.Set(body.Get() + std::string(chunk)); },
       .on_end = [&](const absl::Status& end) { ended = end.ok(); }});
  ASSERT_TRUE(WaitFor([&] { return ended.load(); }));
  EXPECT_EQ(body.Get(), "1");
}

TEST(ClientThreads, AfterStopEverythingEndsAtOnce) {
  Client client;
  client.Stop();
  client.Stop();
  bool called = false;
  client.Send({.url = "http://127.0.0.1/"}, [&](absl::StatusOr<Response> response) {
    called = true;
    EXPECT_TRUE(absl::IsCancelled(response.status())) << response.status();
  });
  EXPECT_TRUE(called);
  EXPECT_TRUE(absl::IsCancelled(client.Do({.url = "http://127.0.0.1/"}).status()));
  bool ran = false;
  client.RunAndWait([&] { ran = true; });
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace neap::http
