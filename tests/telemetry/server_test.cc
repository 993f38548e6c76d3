#include "autoscaler/telemetry/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/status.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"

namespace neap::telemetry {
namespace {

using testing_support::Guarded;

class ServerTest : public ::testing::Test {
 protected:
  ~ServerTest() override {
    stop_ = true;
    controller_.join();
  }
  ServerHandlers Handlers() {
    return {.process_metrics = [] { return std::string("process 1\n"); },
            .object_metrics = [this] { return scrapes_.Open(); },
            .unhealthy = [this] { return unhealthy_.Get(); },
            .unready = [this] { return unready_.Get(); },
            .records = [](const core::ObjectKey& key,
                          absl::Duration patience) -> absl::StatusOr<std::string> {
              if (key.name == "none") return base::NotFound("{}: none", key.Text());
              if (key.name == "late") return base::DeadlineExceeded("{}: late", key.Text());
              if (key.name == "many") return base::ResourceExhausted("{}: many", key.Text());
              return fmt::format("{} {}", key.Text(), absl::FormatDuration(patience));
            }};
  }

  Guarded<std::string> unhealthy_;
  Guarded<std::string> unready_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> serve_ = true;
  Scrapes scrapes_{[] {}};
  std::thread controller_{[this] {
    while (!stop_) {
      if (!serve_) continue;
      scrapes_.Serve(2, [](int family, std::string*, std::string* out) {
        *out += "object " + std::to_string(family) + "\n";
        return false;
      });
    }
  }};
};

TEST_F(ServerTest, ServesMetricsAndHealth) {
  Server server(Handlers());
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  httplib::Client client("127.0.0.1", *port);
  auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_EQ(metrics->body, "process 1\nobject 0\nobject 1\n");
  EXPECT_EQ(metrics->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");

  EXPECT_EQ(client.Get("/healthz")->status, 200);
  EXPECT_EQ(client.Get("/readyz")->body, "ok\n");
  unready_.Set("no list from api yet");
  EXPECT_EQ(client.Get("/readyz")->status, 503);
  EXPECT_EQ(client.Get("/readyz")->body, "no list from api yet\n");
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  unhealthy_.Set("stuck");
  EXPECT_EQ(client.Get("/healthz")->status, 503);
  EXPECT_EQ(client.Get("/nothing")->status, 404);
}

TEST_F(ServerTest, HandsOutRecordsAndSaysWhyNot) {
  Server server(Handlers());
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  httplib::Client client("127.0.0.1", *port);
  const auto get = [&](const std::string& query) {
    const auto answer = client.Get("/records" + query);
    return answer ? fmt::format("{} {}", answer->status, answer->body) : "no answer";
  };
  EXPECT_EQ(get("?object=shop/web&wait=2s"), "200 shop/web 2s");
  EXPECT_EQ(get("?object=shop%2Fweb"), "200 shop/web 30s");
  EXPECT_EQ(get("?object=shop/web&wait=100h"), "200 shop/web 5m");
  EXPECT_EQ(get(""), "400 object=\"\" is not NAMESPACE/NAME\n");
  EXPECT_EQ(get("?object=web"), "400 object=\"web\" is not NAMESPACE/NAME\n");
  EXPECT_THAT(get("?object=shop/web&wait=soon"), ::testing::StartsWith("400 wait: "));
  EXPECT_EQ(get("?object=shop/none"), "404 shop/none: none\n");
  EXPECT_EQ(get("?object=shop/late"), "504 shop/late: late\n");
  EXPECT_EQ(get("?object=shop/many"), "503 shop/many: many\n");
}

TEST_F(ServerTest, SaysSoWhenTooManyScrape) {
  serve_ = false;
  std::vector<std::shared_ptr<Scrape>> open;
  while (auto scrape = scrapes_.Open()) open.push_back(scrape);
  Server server(Handlers());
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  httplib::Client client("127.0.0.1", *port);
  EXPECT_EQ(client.Get("/metrics")->status, 503);
  EXPECT_EQ(client.Get("/healthz")->status, 200);
}

TEST_F(ServerTest, CutsAnIncompleteAnswerSoThatTheScraperSeesIt) {
  serve_ = false;
  std::atomic<bool> opened = false;
  ServerHandlers handlers = Handlers();
  handlers.object_metrics = [&] {
    auto scrape = scrapes_.Open();
    opened = true;
    return scrape;
  };
  Server server(std::move(handlers));
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  std::thread closer([&] {
    if (testing_support::WaitFor([&] { return opened.load(); })) scrapes_.Close();
  });
  httplib::Client client("127.0.0.1", *port);
  const auto metrics = client.Get("/metrics");
  closer.join();
  EXPECT_TRUE(opened);
  EXPECT_FALSE(metrics) << metrics->status << " " << metrics->body;
}

size_t ThreadsOfThisProcess() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    ++count;
  return count;
}

// As many as there are connections, not as many as there may be.
TEST_F(ServerTest, MakesThreadsWhenTheyAreNeeded) {
  const size_t before = ThreadsOfThisProcess();
  Server server(Handlers());
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_LE(ThreadsOfThisProcess(), before + 1);  // the one that listens
  std::vector<std::unique_ptr<httplib::Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<httplib::Client>("127.0.0.1", *port));
    clients.back()->set_keep_alive(true);
    EXPECT_EQ(clients.back()->Get("/healthz")->status, 200);
  }
  EXPECT_LE(ThreadsOfThisProcess(), before + 1 + clients.size());
}

TEST_F(ServerTest, ServesManyConnectionsAtATime) {
  Server server(Handlers());
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  std::atomic<int> served = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 40; ++i) {
    threads.emplace_back([&] {
      httplib::Client client("127.0.0.1", *port);
      const auto answer = client.Get("/healthz");
      if (answer && answer->status == 200) ++served;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, 40);
}

TEST_F(ServerTest, RefusesATakenPortAndNamesIt) {
  Server first(Handlers());
  const auto port = first.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  Server second(Handlers());
  const auto again = second.Start("127.0.0.1:" + std::to_string(*port));
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(std::string(base::Message(again.status())),
              ::testing::HasSubstr("127.0.0.1:" + std::to_string(*port)));
  EXPECT_FALSE(second.Start("nonsense").ok());
  EXPECT_FALSE(second.Start("127.0.0.1:99999").ok());
}

TEST_F(ServerTest, StopsPromptlyWithAnIdleConnection) {
  Server server(Handlers());
  const auto port = server.Start("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  httplib::Client client("127.0.0.1", *port);
  client.set_keep_alive(true);
  ASSERT_TRUE(client.Get("/healthz"));
  const absl::Time began = absl::Now();
  server.Stop();
  EXPECT_LT(absl::Now() - began, absl::Seconds(3));
}

}  // namespace
}  // namespace neap::telemetry
