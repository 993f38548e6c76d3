// api::Watch against a server that speaks the API's wire format: lists by pages, bookmarks, and
// each way in which lists and watches fail.
#include "autoscaler/kube/api/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tests/kube/api_server.h"

namespace neap::kube::api {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::WaitFor;

constexpr char kPath[] = "/api/v1/namespaces/shop/things";

std::string Thing(const std::string& name, const std::string& version = "1") {
  return R"({"kind":"Thing","metadata":{"name":")" + name + R"(","resourceVersion":")" + version +
         R"("}})";
}

// Writes what happens as lines. Thread-safe.
class Log final : public WatchHandler {
 public:
  void ListBegan() override { Add("began"); }
  absl::Status ListItem(JsonObject& object) override { return AddNamed("item ", object); }
  void ListDone() override { Add("done"); }
  absl::Status Changed(JsonObject& object, bool deleted) override {
    return AddNamed(deleted ? "deleted " : "changed ", object);
  }
  void Heard() override {
    base::MutexLock lock(mutex_);
    ++heard_;
  }
  void Trouble(const absl::Status& error, absl::Duration delay) override {
    base::MutexLock lock(mutex_);
    lines_.push_back("trouble");
    troubles_.emplace_back(std::string(base::Message(error)), delay);
  }

  std::vector<std::string> lines() const {
    base::MutexLock lock(mutex_);
    return lines_;
  }
  std::vector<std::pair<std::string, absl::Duration>> troubles() const {
    base::MutexLock lock(mutex_);
    return troubles_;
  }
  int heard() const {
    base::MutexLock lock(mutex_);
    return heard_;
  }
  size_t Count(const std::string& line) const {
    const auto all = lines();
    return static_cast<size_t>(std::count(all.begin(), all.end(), line));
  }
  bool Await(const std::string& line, size_t times = 1) const {
    return WaitFor([&] { return Count(line) >= times; });
  }

 private:
  void Add(std::string line) {
    base::MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  absl::Status AddNamed(const std::string& what, JsonObject& object) {
    std::string name;
    NEAP_RETURN_IF_ERROR(EachMember(object, [&](std::string_view key, JsonValue& value) {
      if (key != "metadata") return absl::OkStatus();
      return EachMember(value, [&](std::string_view field, JsonValue& text) {
        return field == "name" ? GetString(text, &name) : absl::OkStatus();
      });
    }));
    Add(what + name);
    return absl::OkStatus();
  }

  mutable base::Mutex mutex_;
  std::vector<std::string> lines_ NEAP_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, absl::Duration>> troubles_ NEAP_GUARDED_BY(mutex_);
  int heard_ NEAP_GUARDED_BY(mutex_) = 0;
};

class WatchTest : public testing::Test {
 protected:
  WatchTest() {
    options_.path = kPath;
    options_.backoff_min = absl::Milliseconds(10);
    options_.backoff_max = absl::Milliseconds(80);
  }
  void Start(const std::string& url = "") {
    ClusterConfig config;
    config.server = url.empty() ? server_.url() : url;
    client_ = std::make_unique<Client>(http_, std::move(config));
    watch_ = std::make_unique<Watch>(*client_, options_, log_);
  }
  void StartWithOne() {
    server_.On("GET", kPath, {.body = List("7", Thing("a"))});
    const size_t before = server_.Watches(kPath);
    Start();
    ASSERT_TRUE(server_.AwaitWatches(kPath, before + 1));
  }
  ApiServer::Request LastRequest() { return server_.Requests(kPath).back(); }

  ApiServer server_;
  Log log_;
  WatchOptions options_;
  http::Client http_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Watch> watch_;
};

TEST_F(WatchTest, ListsPageByPageThenWatchesFromThere) {
  server_.On("GET", kPath, [](const ApiServer::Request& request) -> Answer {
    if (request.Query("continue").empty()) return {.body = List("7", Thing("a"), "t/1=")};
    return {.body = List("7", Thing("b") + "," + Thing("c"))};
  });
  options_.page_size = 2;
  options_.query = {{"labelSelector", "app in (a,b)"}};
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kPath, 1));
  EXPECT_THAT(log_.lines(), ElementsAre("began", "item a", "item b", "item c", "done"));
  const auto requests = server_.Requests(kPath);
  ASSERT_EQ(requests.size(), 3U);
  for (const auto& request : requests) EXPECT_EQ(request.Query("labelSelector"), "app in (a,b)");
  EXPECT_EQ(requests[0].Query("limit"), "2");
  EXPECT_EQ(requests[1].Query("continue"), "t/1=");
  EXPECT_EQ(requests[2].Query("resourceVersion"), "7");
  EXPECT_EQ(requests[2].Query("allowWatchBookmarks"), "true");
  EXPECT_EQ(requests[2].Query("timeoutSeconds"), "300");
  server_.Send(kPath, Event("ADDED", Thing("d", "8")));
  server_.Send(kPath, Event("MODIFIED", Thing("a", "9")) + Event("DELETED", Thing("b", "10")));
  ASSERT_TRUE(log_.Await("deleted b"));
  EXPECT_EQ(log_.Count("changed d"), 1U);
  EXPECT_EQ(log_.Count("changed a"), 1U);
  EXPECT_THAT(log_.troubles(), ElementsAre());
}

TEST_F(WatchTest, AnEmptyListMayHaveNullItems) {
  server_.On("GET", kPath, {.body = R"({"metadata":{"resourceVersion":"1"},"items":null})"});
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kPath, 1));
  EXPECT_THAT(log_.lines(), ElementsAre("began", "done"));
}

TEST_F(WatchTest, ResumesWhereBookmarksAndEventsHaveCome) {
  StartWithOne();
  server_.Send(kPath, Event("ADDED", Thing("b", "8")));
  server_.Send(kPath, Bookmark("20"));
  const int before = log_.heard();
  ASSERT_TRUE(WaitFor([&] { return log_.heard() > before || log_.heard() >= 4; }));
  server_.End(kPath);
  ASSERT_TRUE(server_.AwaitWatches(kPath, 2));
  EXPECT_EQ(LastRequest().Query("resourceVersion"), "20");
  EXPECT_THAT(log_.lines(), ElementsAre("began", "item a", "done", "changed b"));
  EXPECT_GE(log_.heard(), 5);  // list, watch, event, bookmark, watch
}

TEST_F(WatchTest, AnEventMayComeInPieces) {
  StartWithOne();
  const std::string event = Event("ADDED", Thing("b", "8"));
  for (const char c : event) server_.Send(kPath, std::string(1, c));
  ASSERT_TRUE(log_.Await("changed b"));
}

TEST_F(WatchTest, ACutConnectionResumesWithoutAList) {
  StartWithOne();
  server_.Send(kPath, Event("ADDED", Thing("b", "8")));
  ASSERT_TRUE(log_.Await("changed b"));
  server_.Send(kPath, R"({"type":"ADDED","object":{"met)");
  server_.Cut(kPath);
  ASSERT_TRUE(server_.AwaitWatches(kPath, 2));
  EXPECT_EQ(LastRequest().Query("resourceVersion"), "8");
  EXPECT_EQ(log_.Count("began"), 1U);
  EXPECT_EQ(log_.Count("trouble"), 1U);
}

TEST_F(WatchTest, ASilentStreamIsOpenedAnewAndCountsAsHeardOf) {
  options_.idle_timeout = absl::Milliseconds(50);
  StartWithOne();
  ASSERT_TRUE(server_.AwaitWatches(kPath, 4));
  EXPECT_GE(log_.heard(), 4);
  EXPECT_THAT(log_.troubles(), ElementsAre());  // it is nothing to report
  EXPECT_EQ(log_.Count("began"), 1U);
}

TEST_F(WatchTest, ASignOfLifeComesWithinWhatControlWants) {
  EXPECT_LE(WatchOptions().idle_timeout, absl::Seconds(28));
}

TEST_F(WatchTest, ExpiredVersionsAreListedAnew) {
  StartWithOne();
  server_.On("GET", kPath, {.body = List("30", Thing("z"))});
  server_.RefuseWatch(kPath, Refusal(410, "Expired", "too old resource version: 7 (25)"));
  server_.Send(kPath, Bookmark("8"));
  server_.End(kPath);
  ASSERT_TRUE(server_.AwaitWatches(kPath, 2));
  EXPECT_EQ(LastRequest().Query("resourceVersion"), "30");
  EXPECT_EQ(log_.Count("item z"), 1U);
  // The same as an event inside a watch.
  server_.Send(kPath, Event("ERROR", Refusal(410, "Expired", "too old resource version").body));
  ASSERT_TRUE(log_.Await("item z", 2));
  ASSERT_TRUE(server_.AwaitWatches(kPath, 3));
  for (const auto& [text, delay] : log_.troubles()) {
    if (text.find("too old") != std::string::npos) {
      EXPECT_EQ(delay, absl::ZeroDuration()) << text;
    }
  }
}

TEST_F(WatchTest, AnErrorEventThatMayPassKeepsThePlace) {
  StartWithOne();
  server_.Send(kPath, Event("ERROR", Refusal(500, "InternalError", "etcd is away").body));
  ASSERT_TRUE(server_.AwaitWatches(kPath, 2));
  EXPECT_EQ(LastRequest().Query("resourceVersion"), "7");
  EXPECT_EQ(log_.Count("began"), 1U);
  ASSERT_EQ(log_.troubles().size(), 1U);
  EXPECT_THAT(log_.troubles()[0].first, HasSubstr("etcd is away"));
}

TEST_F(WatchTest, AForgottenContinueTokenIsAskedAgainAsAWhole) {
  std::atomic<int> lists = 0;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("GET", kPath, [&](const ApiServer::Request& request) -> Answer {
    ++lists;
    if (!request.Query("continue").empty()) {
      return Refusal(410, "Expired", "The provided continue parameter is too old");
    }
    if (!request.Query("limit").empty()) return {.body = List("7", Thing("a"), "t")};
    return {.body = List("9", Thing("a") + "," + Thing("b"))};
  });
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kPath, 1));
  EXPECT_EQ(lists, 3);
  EXPECT_THAT(log_.lines(),
              ElementsAre("began", "item a", "trouble", "began", "item a", "item b", "done"));
}

TEST_F(WatchTest, RefusedListsAreTriedAgainWithGrowingDelays) {
  std::atomic<int> left = 5;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("GET", kPath, [&](const ApiServer::Request&) -> Answer {
    if (left-- > 0) return Refusal(500, "InternalError", "boom");
    return {.body = List("7", "")};
  });
  Start();
  ASSERT_TRUE(log_.Await("done"));
  std::vector<absl::Duration> delays;
  for (const auto& [text, delay] : log_.troubles()) {
    EXPECT_THAT(text,
                AllOf(StartsWith("GET http://127.0.0.1:"), HasSubstr(kPath), HasSubstr("boom")));
    delays.push_back(delay);
  }
  EXPECT_THAT(delays,
              ElementsAre(absl::Milliseconds(10), absl::Milliseconds(20), absl::Milliseconds(40),
                          absl::Milliseconds(80), absl::Milliseconds(80)));
}

TEST_F(WatchTest, EveryRefusalOfAListIsToldAndTriedAgain) {
  std::atomic<bool> refused = false;
  const ApiServer::StopAtEnd stop(server_);
  for (const int code : {400, 401, 403, 404, 409, 422, 429, 500, 503}) {
    SCOPED_TRACE(code);
    watch_.reset();
    refused = false;
    server_.On("GET", kPath, [&, code](const ApiServer::Request&) -> Answer {
      if (!refused.exchange(true)) return Refusal(code, "", "no: " + std::to_string(code));
      return {.body = List("7", "")};
    });
    const size_t done = log_.Count("done");
    Start();
    ASSERT_TRUE(log_.Await("done", done + 1));
    EXPECT_THAT(log_.troubles().back().first, HasSubstr("no: " + std::to_string(code)));
    watch_.reset();
  }
}

TEST_F(WatchTest, RetryAfterIsObeyed) {
  std::atomic<bool> refused = false;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("GET", kPath, [&](const ApiServer::Request&) -> Answer {
    if (refused.exchange(true)) return {.body = List("7", "")};
    Answer answer = Refusal(429, "TooManyRequests", "slow down");
    answer.headers = {{"Retry-After", "1"}};
    return answer;
  });
  Start();
  ASSERT_TRUE(log_.Await("done"));
  ASSERT_EQ(log_.troubles().size(), 1U);
  EXPECT_EQ(log_.troubles()[0].second, absl::Seconds(1));
}

TEST_F(WatchTest, AWatchThatIsRefusedAgainAndAgainEndsInAList) {
  StartWithOne();
  for (int i = 0; i < 5; ++i) server_.RefuseWatch(kPath, Refusal(500, "InternalError", "boom"));
  server_.End(kPath);
  ASSERT_TRUE(server_.AwaitWatches(kPath, 2));
  EXPECT_EQ(log_.Count("began"), 2U);
  // A 403 lists at once: it says what is missing.
  server_.RefuseWatch(kPath, Refusal(403, "Forbidden", "no watch for you"));
  server_.End(kPath);
  ASSERT_TRUE(server_.AwaitWatches(kPath, 3));
  EXPECT_EQ(log_.Count("began"), 3U);
}

TEST_F(WatchTest, WatchesThatEndAtOnceDoNotSpin) {
  options_.backoff_min = absl::Milliseconds(50);
  StartWithOne();
  server_.End(kPath);
  ASSERT_TRUE(log_.Await("trouble"));
  EXPECT_THAT(log_.troubles()[0].first, HasSubstr("the server ended the watch at once"));
  EXPECT_GE(log_.troubles()[0].second, absl::Milliseconds(50));
}

TEST_F(WatchTest, GarbageInListsIsNeverACompleteList) {
  const std::string good = List("7", Thing("a"));
  std::atomic<int> asked = 0;
  const ApiServer::StopAtEnd stop(server_);
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("{}"), std::string("[]"),
        std::string("null"), good.substr(0, good.size() / 2), good.substr(0, good.size() - 1),
        std::string(R"({"metadata":{"resourceVersion":"7"},"items":[3]})"),
        std::string(R"({"metadata":{"resourceVersion":"7"},"items":{}})"),
        std::string(R"({"metadata":{},"items":[]})"), std::string("{\"metadata\":{\"resourceVers"),
        std::string("\xff\xfe\x00\x01", 4)}) {
    SCOPED_TRACE(body);
    watch_.reset();
    asked = 0;
    server_.On("GET", kPath, [&asked, body](const ApiServer::Request&) -> Answer {
      ++asked;
      return {.body = body};
    });
    Start();
    ASSERT_TRUE(WaitFor([&] { return asked >= 2; }));
    watch_.reset();
    EXPECT_EQ(log_.Count("done"), 0U);
    ASSERT_FALSE(log_.troubles().empty());
    EXPECT_THAT(log_.troubles().back().first, HasSubstr("broken"));
  }
}

TEST_F(WatchTest, GarbageInAWatchIsListedAnew) {
  for (const std::string& line :
       {std::string("garbage\n"), std::string("{\"type\":\"ADDED\"}\n"),
        std::string(
            "{\"type\":\"SURPRISE\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}\n"),
        std::string("{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n"), std::string("[]\n"),
        Event("MODIFIED", R"({"metadata":{"resourceVersion":"8","name":3}})")}) {
    SCOPED_TRACE(line);
    watch_.reset();
    StartWithOne();
    const size_t lists = log_.Count("done");
    const size_t watches = server_.Watches(kPath);
    server_.Send(kPath, line);
    ASSERT_TRUE(log_.Await("done", lists + 1));
    ASSERT_TRUE(server_.AwaitWatches(kPath, watches + 1));
    watch_.reset();
  }
}

TEST_F(WatchTest, AnEndlessLineIsCutOff) {
  options_.max_event_bytes = 10000;
  StartWithOne();
  server_.Send(kPath, "{\"type\":\"" + std::string(20000, 'x'));
  ASSERT_TRUE(log_.Await("done", 2));
  EXPECT_THAT(log_.troubles()[0].first, HasSubstr("an event is larger than 10000 bytes"));
}

TEST_F(WatchTest, ABodyThatBreaksOffIsNoList) {
  testing_support::RawServer raw([](int socket, int connection) {
    if (!testing_support::RawServer::ReadHead(socket)) return;
    if (connection == 0) return;  // no answer at all
    const std::string body = List("7", Thing("a"));
    testing_support::RawServer::Write(
        socket, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size() + 10) +
                    "\r\n\r\n" + body);
  });
  Start(raw.url());
  ASSERT_TRUE(log_.Await("trouble", 3));
  watch_.reset();
  EXPECT_EQ(log_.Count("done"), 0U);
}

TEST_F(WatchTest, NoServerIsTroubleAndNotTheEnd) {
  Start("http://127.0.0.1:" + std::to_string(testing_support::FreePort()));
  ASSERT_TRUE(log_.Await("trouble", 3));
  EXPECT_THAT(log_.troubles()[0].first, HasSubstr("127.0.0.1"));
}

// An API server that is gone for minutes: refused connections, then one that answers but is not
// ready, then one that has forgotten where we were.
TEST_F(WatchTest, AfterAnOutageNothingIsLost) {
  auto first = std::make_unique<ApiServer>();
  const std::string url = first->url();
  const int port = std::stoi(url.substr(url.rfind(':') + 1));
  first->On("GET", kPath, {.body = List("7", Thing("a") + "," + Thing("b"))});
  Start(url);
  ASSERT_TRUE(first->AwaitWatches(kPath, 1));
  first.reset();
  ASSERT_TRUE(log_.Await("trouble", 5));
  EXPECT_EQ(log_.Count("began"), 1U);  // what is known stays, and nobody hears that it is gone
  std::unique_ptr<ApiServer> second;
  http_.RunAndWait([&] {  // nobody asks before it is set up
    second = std::make_unique<ApiServer>(
        testing_support::HttpServer::Options{.keep_alive = false, .port = port});
    for (int i = 0; i < 3; ++i) {
      second->RefuseWatch(kPath, Refusal(503, "ServiceUnavailable", "etcd is away"));
    }
    second->RefuseWatch(kPath, Refusal(410, "Expired", "too old resource version: 7 (90)"));
    second->On("GET", kPath, {.body = List("90", Thing("a") + "," + Thing("c"))});
  });
  ASSERT_TRUE(second->AwaitWatches(kPath, 1));
  const auto lines = log_.lines();
  EXPECT_THAT(std::vector<std::string>(lines.end() - 4, lines.end()),
              ElementsAre("began", "item a", "item c", "done"));
  const auto requests = second->Requests(kPath);
  ASSERT_EQ(requests.size(), 6U);  // 4 refused watches from where it was, a list, a watch
  for (int i = 0; i < 4; ++i) EXPECT_EQ(requests[i].Query("resourceVersion"), "7");
  EXPECT_EQ(requests[5].Query("resourceVersion"), "90");
  watch_.reset();
}

TEST_F(WatchTest, RelistsAreSpreadSinceAServerForgetsAllPlacesAtOnce) {
  options_.backoff_min = absl::Milliseconds(40);
  options_.jitter = [] { return 0.5; };
  StartWithOne();
  server_.Send(kPath, Event("ERROR", Refusal(410, "Expired", "too old resource version").body));
  ASSERT_TRUE(log_.Await("done", 2));
  ASSERT_EQ(log_.troubles().size(), 1U);
  EXPECT_EQ(log_.troubles()[0].second, absl::Milliseconds(20));
}

// Many watches whose places are all forgotten come back within the budget of reads.
TEST_F(WatchTest, ManyRelistsKeepToTheBudget) {
  constexpr int kWatches = 30;
  constexpr double kPerSecond = 100;
  constexpr double kBurst = kWatches;
  ClusterConfig config;
  config.server = server_.url();
  client_ = std::make_unique<Client>(
      http_, std::move(config), ClientOptions{.reads_per_second = kPerSecond, .burst = kBurst});
  const auto path = [](int i) { return std::string(kPath) + std::to_string(i); };
  const base::Clock clock;
  std::vector<std::unique_ptr<Log>> logs;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < kWatches; ++i) {
    server_.On("GET", path(i), {.body = List("7", Thing("a"))});
    options_.path = path(i);
    logs.push_back(std::make_unique<Log>());
    watches.push_back(std::make_unique<Watch>(*client_, options_, *logs.back()));
  }
  for (int i = 0; i < kWatches; ++i) ASSERT_TRUE(server_.AwaitWatches(path(i), 1));
  for (int i = 0; i < kWatches; ++i) {
    server_.Send(path(i), Event("ERROR", Refusal(410, "Expired", "too old").body));
  }
  for (int i = 0; i < kWatches; ++i) ASSERT_TRUE(server_.AwaitWatches(path(i), 2));
  EXPECT_GE(client_->counters().delayed, 1U);
  EXPECT_LE(4 * kWatches, kBurst + kPerSecond * absl::ToDoubleSeconds(clock.Elapsed()) + 1);
  for (const auto& log : logs) EXPECT_EQ(log->Count("done"), 2U);
}

TEST_F(WatchTest, AHostileRetryAfterDoesNotBlindUs) {
  Answer answer = Refusal(429, "TooManyRequests", "slow down");
  answer.headers = {{"Retry-After", "999999999"}};
  server_.On("GET", kPath, answer);
  Start();
  ASSERT_TRUE(log_.Await("trouble"));
  EXPECT_EQ(log_.troubles()[0].second, absl::Minutes(5));
  watch_.reset();
}

TEST_F(WatchTest, BeingDeniedNamesWhoIsDenied) {
  server_.On("GET", kPath, {.body = List("7", Thing("a"))});
  server_.RefuseWatch(kPath, Refusal(403, "Forbidden", "no watch for you"));
  ClusterConfig config;
  config.origin = "file";
  config.context = "main";
  config.cluster = "prod";
  config.user = "bob";
  config.server = server_.url();
  client_ = std::make_unique<Client>(http_, std::move(config));
  watch_ = std::make_unique<Watch>(*client_, options_, log_);
  ASSERT_TRUE(log_.Await("trouble"));
  EXPECT_EQ(log_.troubles()[0].first,
            "watch " + std::string(kPath) +
                ": no watch for you (context \"main\", cluster \"prod\", user \"bob\" of file)");
}

TEST_F(WatchTest, NothingIsCalledAfterTheEnd) {
  StartWithOne();
  ASSERT_TRUE(log_.Await("done"));
  watch_.reset();
  const auto before = log_.lines();
  server_.Send(kPath, Event("ADDED", Thing("b", "8")));
  server_.Cut(kPath);
  http_.RunAndWait([] {});
  EXPECT_EQ(log_.lines(), before);
}

}  // namespace
}  // namespace neap::kube::api
