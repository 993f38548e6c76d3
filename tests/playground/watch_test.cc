// Watches, by Neap's own client and byte by byte.
#include "autoscaler/kube/api/watch.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "autoscaler/base/mutex.h"
#include "tests/playground/ground.h"

namespace neap::playground {
namespace {

using testing::HasSubstr;
using testing_support::WaitFor;

// The lines of a stream as they come.
class Lines {
 public:
  Lines(Ground& ground, const std::string& path, std::string accept = "application/json")
      : http_(ground.http()) {
    http::Request request{.url = ground.url(path), .timeout = absl::InfiniteDuration()};
    request.headers = {{"Accept", std::move(accept)}};
    id_ =
        http_.Stream(std::move(request), {.on_data = [this](std::string_view chunk) { Add(chunk); },
                                          .on_end = [this](absl::Status status) { End(status); }});
  }
  ~Lines() {
    http_.Cancel(id_);
    EXPECT_TRUE(WaitFor([this] { return ended(); }));
  }
  std::vector<Json> Get() const {
    base::MutexLock lock(mutex_);
    return lines_;
  }
  bool ended() const {
    base::MutexLock lock(mutex_);
    return status_.has_value();
  }
  absl::Status status() const {
    base::MutexLock lock(mutex_);
    return status_.value_or(absl::UnknownError("it goes on"));
  }
  // The first line of that type, and of that name if not "".
  std::optional<Json> Find(const std::string& type, const std::string& name = "") const {
    for (const Json& line : Get()) {
      if (line["type"] != type) continue;
      if (name.empty() || line["object"]["metadata"]["name"] == name) return line;
    }
    return std::nullopt;
  }

 private:
  void Add(std::string_view chunk) {
    base::MutexLock lock(mutex_);
    rest_ += chunk;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      lines_.push_back(Json::parse(rest_.substr(0, end), nullptr, false));
      rest_.erase(0, end + 1);
    }
  }
  void End(absl::Status status) {
    base::MutexLock lock(mutex_);
    status_ = std::move(status);
  }

  http::Client& http_;
  http::Id id_ = 0;
  mutable base::Mutex mutex_;
  std::string rest_ NEAP_GUARDED_BY(mutex_);
  std::vector<Json> lines_ NEAP_GUARDED_BY(mutex_);
  std::optional<absl::Status> status_ NEAP_GUARDED_BY(mutex_);
};

// What Neap's own watch makes of it: the replicas of each Deployment.
class Replicas : public kube::api::WatchHandler {
 public:
  void ListBegan() override { listing_.clear(); }
  absl::Status ListItem(kube::api::JsonObject& object) override { return Read(object, listing_); }
  void ListDone() override {
    base::MutexLock lock(mutex_);
    now_ = listing_;
    ++lists_;
  }
  absl::Status Changed(kube::api::JsonObject& object, bool) override {
    base::MutexLock lock(mutex_);
    ++changes_;
    return Read(object, now_);
  }
  void Heard() override {}
  void Trouble(const absl::Status& error, absl::Duration) override {
    base::MutexLock lock(mutex_);
    trouble_ = error.ToString();
  }
  int64_t Of(const std::string& name) {
    base::MutexLock lock(mutex_);
    return now_.contains(name) ? now_[name] : -1;
  }
  int lists() {
    base::MutexLock lock(mutex_);
    return lists_;
  }
  std::string trouble() {
    base::MutexLock lock(mutex_);
    return trouble_;
  }

 private:
  static absl::Status Read(kube::api::JsonObject& object, std::map<std::string, int64_t>& out) {
    std::string_view raw;
    if (auto error = object.raw_json().get(raw)) return kube::api::JsonError(error);
    const Json document = Json::parse(raw);
    out[document["metadata"]["name"]] = document["spec"]["replicas"];
    return absl::OkStatus();
  }

  std::map<std::string, int64_t> listing_;  // the http client's thread
  base::Mutex mutex_;
  std::map<std::string, int64_t> now_ NEAP_GUARDED_BY(mutex_);
  int lists_ NEAP_GUARDED_BY(mutex_) = 0;
  int changes_ NEAP_GUARDED_BY(mutex_) = 0;
  std::string trouble_ NEAP_GUARDED_BY(mutex_);
};

TEST(Watch, NeapsOwnClientFollowsListsAndChanges) {
  Ground ground;
  Replicas handler;
  kube::api::Watch watch(ground.client(), {.path = "/apis/apps/v1/deployments", .page_size = 10},
                         handler);
  ASSERT_TRUE(WaitFor([&] { return handler.Of("many-24") == 1; })) << handler.trouble();
  EXPECT_EQ(handler.Of("checkout"), 2);
  ground.MergePatch(kScale, {{"spec", {{"replicas", 4}}}});
  EXPECT_TRUE(WaitFor([&] { return handler.Of("checkout") == 4; })) << handler.trouble();
  EXPECT_EQ(handler.lists(), 1);
  EXPECT_EQ(handler.trouble(), "");
}

TEST(Watch, NeapsOwnClientListsAgainWhenItsVersionIsGone) {
  Ground ground;
  Replicas handler;
  kube::api::Watch watch(
      ground.client(), {.path = "/apis/apps/v1/deployments", .backoff_min = absl::Milliseconds(10)},
      handler);
  ASSERT_TRUE(WaitFor([&] { return handler.lists() == 1; }));
  ground.Send("POST", "/faults",
              R"({"fault": "expire", "path": "/apis/apps/v1/deployments", "count": 1})");
  EXPECT_TRUE(WaitFor([&] { return handler.lists() == 2; })) << handler.trouble();
}

TEST(Watch, NeapsOwnClientResumesAfterACut) {
  Ground ground;
  Replicas handler;
  kube::api::Watch watch(
      ground.client(), {.path = "/apis/apps/v1/deployments", .backoff_min = absl::Milliseconds(10)},
      handler);
  ASSERT_TRUE(WaitFor([&] { return handler.lists() == 1; }));
  ground.Send(
      "POST", "/faults",
      R"({"fault": "cut", "path": "/apis/apps/v1/deployments", "method": "GET", "count": 3})");
  EXPECT_TRUE(WaitFor([&] { return ground.Get("/faults").empty(); }));
  ground.MergePatch(kScale, {{"spec", {{"replicas", 4}}}});
  EXPECT_TRUE(WaitFor([&] { return handler.Of("checkout") == 4; })) << handler.trouble();
}

TEST(Watch, SendsEachChangeWithItsVersion) {
  Ground ground;
  const std::string version = ground.Get("/api/v1/pods")["metadata"]["resourceVersion"];
  Lines pods(ground, "/api/v1/namespaces/shop/pods?watch=true&resourceVersion=" + version);
  ground.MergePatch(kScale, {{"spec", {{"replicas", 3}}}});
  ASSERT_TRUE(WaitFor([&] { return pods.Get().size() >= 3; }));
  const std::vector<Json> lines = pods.Get();
  const std::string name = lines[0]["object"]["metadata"]["name"];
  EXPECT_EQ(lines[0]["type"], "ADDED");
  EXPECT_EQ(lines[0]["object"]["kind"], "Pod");
  EXPECT_EQ(lines[0]["object"]["status"]["phase"], "Pending");
  EXPECT_EQ(lines[1]["type"], "MODIFIED");
  EXPECT_EQ(lines[1]["object"]["status"]["phase"], "Running");
  int64_t last = std::stoll(version);
  for (const Json& line : lines) {
    const int64_t now =
        std::stoll(line["object"]["metadata"]["resourceVersion"].get<std::string>());
    EXPECT_GT(now, last);
    last = now;
  }
  ground.MergePatch(kScale, {{"spec", {{"replicas", 1}}}});
  ASSERT_TRUE(WaitFor([&] { return pods.Find("DELETED").has_value(); }));
  EXPECT_TRUE(pods.Find("DELETED")->at("object")["metadata"].contains("deletionTimestamp"));
}

TEST(Watch, WithoutAVersionItBeginsWithWhatIsThere) {
  Ground ground;
  Lines pods(ground, "/api/v1/pods?watch=1&labelSelector=app%3Dcheckout");
  EXPECT_TRUE(WaitFor([&] { return pods.Get().size() == 2; }));
  EXPECT_EQ(pods.Get()[0]["type"], "ADDED");
}

TEST(Watch, ASelectorMakesObjectsAppearAndVanish) {
  Ground ground;
  ASSERT_EQ(ground.Send("POST", kAutoscalers, kAutoscaler).status, 201);
  Lines chosen(ground, std::string(kAutoscalers) + "?watch=1&labelSelector=team%3Da");
  const std::string path = std::string(kAutoscalers) + "/checkout";
  ground.MergePatch(path, {{"metadata", {{"labels", {{"team", "a"}}}}}});
  EXPECT_TRUE(WaitFor([&] { return chosen.Find("ADDED", "checkout").has_value(); }));
  ground.MergePatch(path, {{"metadata", {{"labels", {{"team", "b"}}}}}});
  EXPECT_TRUE(WaitFor([&] { return chosen.Find("DELETED", "checkout").has_value(); }));
}

TEST(Watch, EndsAfterItsTimeWithABookmark) {
  Ground ground(Options{.bookmark_every = absl::Milliseconds(300)});
  Lines pods(ground, "/api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=1");
  EXPECT_TRUE(WaitFor([&] { return pods.ended(); }));
  EXPECT_TRUE(pods.status().ok()) << pods.status();
  const auto bookmark = pods.Find("BOOKMARK");
  ASSERT_TRUE(bookmark.has_value());
  EXPECT_EQ((*bookmark)["object"]["kind"], "Pod");
  EXPECT_TRUE((*bookmark)["object"]["metadata"].contains("resourceVersion"));
  Lines plain(ground, "/api/v1/pods?watch=1&timeoutSeconds=1");
  EXPECT_TRUE(WaitFor([&] { return plain.ended(); }));
  EXPECT_FALSE(plain.Find("BOOKMARK").has_value());
}

TEST(Watch, AVersionThatIsTooOldGetsAnErrorEvent) {
  Ground ground(Options{.kept_events = 3});
  for (int i = 3; i < 9; ++i) ground.MergePatch(kScale, {{"spec", {{"replicas", i}}}});
  Lines old(ground, "/apis/apps/v1/deployments?watch=1&resourceVersion=1");
  EXPECT_TRUE(WaitFor([&] { return old.ended(); }));
  const auto error = old.Find("ERROR");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ((*error)["object"]["code"], 410);
  EXPECT_EQ((*error)["object"]["reason"], "Expired");
  EXPECT_THAT((*error)["object"]["message"].get<std::string>(),
              HasSubstr("too old resource version: 1"));
}

TEST(Watch, TablesForKubectl) {
  Ground ground;
  Lines rows(ground, "/apis/apps/v1/namespaces/shop/deployments?watch=1&resourceVersion=0",
             "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  ASSERT_TRUE(WaitFor([&] { return rows.Get().size() >= 2; }));
  const Json first = rows.Get()[0]["object"];
  EXPECT_EQ(first["kind"], "Table");
  EXPECT_EQ(first["columnDefinitions"][0]["name"], "Name");
  EXPECT_EQ(first["rows"][0]["cells"][0], "checkout");
  EXPECT_EQ(first["rows"][0]["cells"][1], "2/2");
  EXPECT_EQ(first["rows"][0]["object"]["kind"], "PartialObjectMetadata");
  EXPECT_TRUE(rows.Get()[1]["object"]["columnDefinitions"].empty());
}

TEST(Watch, StopEndsRunningWatches) {
  Ground ground;
  Lines pods(ground, "/api/v1/pods?watch=1");
  EXPECT_TRUE(WaitFor([&] { return !pods.Get().empty(); }));
  ground.playground().Stop();
  EXPECT_TRUE(WaitFor([&] { return pods.ended(); }));
}

// A client that goes away frees its thread: with room for three connections, ten watches in turn
// are served.
TEST(Watch, AClientThatGoesAwayLeavesNothingBehind) {
  Ground ground(Options{.threads = 3});
  for (int i = 0; i < 10; ++i) {
    Lines pods(ground, "/api/v1/pods?watch=1");
    ASSERT_TRUE(WaitFor([&] { return pods.Get().size() >= 27; })) << "watch " << i;
  }
}

}  // namespace
}  // namespace neap::playground
