// ShardLeases against a server that speaks the API's wire format and keeps resourceVersions. (The
// rules themselves: lease_election_test.cc, in virtual time.)
#include "autoscaler/kube/shard_leases.h"

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/duration.h"
#include "tests/kube/edge.h"
#include "tests/kube/object_store.h"

namespace neap::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::WaitFor;
using Json = nlohmann::json;

constexpr char kPath[] = "/apis/coordination.k8s.io/v1/namespaces/neap/leases";

// One neapd's leases, and what they told it.
class Process {
 public:
  Process(const Context& context, ShardLeasesOptions options, absl::Duration skew = {}) {
    options.elapsed = [this] { return base::SinceBoot() + absl::Nanoseconds(ahead_.load()); };
    options.wall = [skew, clock = base::Clock()] { return clock.Now() + skew; };
    leases_ = std::make_unique<ShardLeases>(
        context, options,
        ShardCallbacks{.acquired =
                           [this](const ShardAcquired& acquired) {
                             base::MutexLock lock(mutex_);
                             acquired_.push_back(acquired);
                             held_.insert(acquired.shard);
                           },
                       .leave =
                           [this](int shard) {
                             base::MutexLock lock(mutex_);
                             left_.insert(shard);
                           },
                       .lost =
                           [this](int shard, const absl::Status& why) {
                             base::MutexLock lock(mutex_);
                             lost_.emplace_back(base::Message(why));
                             held_.erase(shard);
                           }});
  }

  ShardLeases& leases() { return *leases_; }
  void JumpAhead(absl::Duration by) { ahead_ += absl::ToInt64Nanoseconds(by); }
  void Kill() { leases_.reset(); }
  void Release(int shard) {
    {
      base::MutexLock lock(mutex_);
      held_.erase(shard);
      left_.erase(shard);
    }
    leases_->Release(shard);
  }

  std::set<int> held() const {
    base::MutexLock lock(mutex_);
    return held_;
  }
  std::set<int> left() const {
    base::MutexLock lock(mutex_);
    return left_;
  }
  std::vector<std::string> lost() const {
    base::MutexLock lock(mutex_);
    return lost_;
  }
  std::vector<ShardAcquired> acquired() const {
    base::MutexLock lock(mutex_);
    return acquired_;
  }
  bool AwaitHeld(size_t n) const {
    return WaitFor([&] { return held().size() == n; });
  }

 private:
  mutable base::Mutex mutex_;
  std::set<int> held_ NEAP_GUARDED_BY(mutex_);
  std::set<int> left_ NEAP_GUARDED_BY(mutex_);
  std::vector<std::string> lost_ NEAP_GUARDED_BY(mutex_);
  std::vector<ShardAcquired> acquired_ NEAP_GUARDED_BY(mutex_);
  std::atomic<int64_t> ahead_ = 0;  // nanoseconds
  std::unique_ptr<ShardLeases> leases_;
};

class ShardLeasesTest : public Edge {
 protected:
  static ShardLeasesOptions Options(const std::string& identity, int shards) {
    ShardLeasesOptions options;
    options.ns = "neap";
    options.identity = identity;
    options.shards = shards;
    options.lease_duration = absl::Seconds(4);
    options.renew_deadline = absl::Seconds(3);
    options.retry_period = absl::Milliseconds(50);
    options.renew_interval = absl::Milliseconds(200);
    options.timeout = absl::Seconds(2);
    return options;
  }
  std::unique_ptr<Process> Start(const std::string& identity, int shards,
                                 absl::Duration skew = {}) {
    return std::make_unique<Process>(context_, Options(identity, shards), skew);
  }
  Json Spec(const std::string& name) const {
    const auto lease = store_.Find(name);
    return lease ? lease->value("spec", Json::object()) : Json();
  }

  ObjectStore store_{server_, kPath};
  ApiServer::StopAtEnd stop_{server_};
};

TEST_F(ShardLeasesTest, MakesTheLeasesAndRenewsThem) {
  const absl::Time before = base::Clock().Now() - absl::Seconds(1);
  const auto a = Start("neap-0", 1);
  ASSERT_TRUE(a->AwaitHeld(1));
  EXPECT_TRUE(a->leases().MayWrite(0));
  EXPECT_THAT(store_.Names(), ElementsAre("neap-member-neap-0", "neap-shard-0"));
  const auto list = server_.Requests(kPath).front();
  EXPECT_EQ(list.method, "GET");
  EXPECT_EQ(list.Query("labelSelector"), "neap.dev/leases=neap");

  const Json lease = *store_.Find("neap-shard-0");
  EXPECT_EQ(lease["apiVersion"], "coordination.k8s.io/v1");
  EXPECT_EQ(lease["kind"], "Lease");
  EXPECT_EQ(lease["metadata"]["labels"]["neap.dev/leases"], "neap");
  EXPECT_EQ(lease["metadata"]["annotations"]["neap.dev/shards"], "1");
  EXPECT_EQ(lease["spec"]["holderIdentity"], "neap-0");
  EXPECT_EQ(lease["spec"]["leaseDurationSeconds"], 4);
  EXPECT_EQ(lease["spec"]["leaseTransitions"], 1);
  EXPECT_GE(*base::ParseTime(lease["spec"]["acquireTime"].get<std::string>()), before);
  // A MicroTime has six decimals.
  EXPECT_EQ(lease["spec"]["renewTime"].get<std::string>().size(),
            std::string("2026-01-01T00:00:00.000000Z").size());

  const ShardAcquired acquired = a->acquired().front();
  EXPECT_EQ(acquired.epoch, 1767225600LL * 1'000'000 + 1);  // when the store made it
  EXPECT_TRUE(acquired.clean);
  EXPECT_EQ(acquired.former_renewal, absl::InfinitePast());

  ASSERT_TRUE(server_.AwaitRequests(std::string(kPath) + "/neap-shard-0", 2));
  const auto renewal = server_.Requests(std::string(kPath) + "/neap-shard-0").back();
  EXPECT_EQ(renewal.method, "PATCH");
  const Json body = Json::parse(renewal.body);
  EXPECT_TRUE(body["metadata"].contains("resourceVersion"));
  EXPECT_THAT(body["spec"], SizeIs(1));
  EXPECT_TRUE(body["spec"].contains("renewTime"));
  EXPECT_THAT(reports(), IsEmpty());
}

TEST_F(ShardLeasesTest, NothingMayBeWrittenPastTheDeadlineWhateverWasRead) {
  const auto a = Start("neap-0", 2);
  ASSERT_TRUE(a->AwaitHeld(2));
  // As after SIGSTOP, or a suspend: the clock went on, nothing was heard.
  a->JumpAhead(absl::Seconds(3));
  EXPECT_FALSE(a->leases().MayWrite(0));
  EXPECT_FALSE(a->leases().MayWrite(1));
  ASSERT_TRUE(WaitFor([&] { return a->lost().size() == 2; }));
  EXPECT_THAT(a->lost()[0], HasSubstr("not renewed for 3s"));
  EXPECT_EQ(a->leases().counts().lost, 2U);
}

TEST_F(ShardLeasesTest, HandsOverWithLeaveAndRelease) {
  const auto a = Start("neap-a", 4);
  ASSERT_TRUE(a->AwaitHeld(4));
  const auto b = Start("neap-b", 4);
  ASSERT_TRUE(WaitFor([&] { return a->left().size() == 2; }));
  for (const int shard : a->left()) {
    EXPECT_TRUE(a->leases().MayWrite(shard));  // what is in flight, and the history
    EXPECT_FALSE(b->leases().MayWrite(shard));
    a->Release(shard);
    EXPECT_FALSE(a->leases().MayWrite(shard));
  }
  ASSERT_TRUE(b->AwaitHeld(2));
  EXPECT_THAT(a->held(), SizeIs(2));
  for (const ShardAcquired& acquired : b->acquired()) {
    EXPECT_TRUE(acquired.clean);
    EXPECT_EQ(acquired.former_holder, "");
    EXPECT_GT(acquired.former_renewal, base::Clock().Now() - absl::Seconds(30));
    EXPECT_EQ(acquired.epoch % 1'000'000, 2);
    EXPECT_FALSE(a->leases().MayWrite(acquired.shard));
    EXPECT_TRUE(b->leases().MayWrite(acquired.shard));
  }
  EXPECT_TRUE(WaitFor([&] { return a->leases().counts().released == 2; }));
  EXPECT_EQ(a->leases().counts().members, 2);
  EXPECT_THAT(a->lost(), IsEmpty());
}

TEST_F(ShardLeasesTest, TakesOverFromADeadHolderWhateverItsStampsSay) {
  auto a = Start("neap-a", 2, /*skew=*/absl::Hours(5));
  ASSERT_TRUE(a->AwaitHeld(2));
  const auto b = Start("neap-b", 2);
  ASSERT_TRUE(WaitFor([&] { return a->left().size() == 1; }));
  a->Kill();
  const base::Clock clock;
  ASSERT_TRUE(b->AwaitHeld(2));
  EXPECT_GT(clock.Elapsed(), absl::Seconds(3));
  for (const ShardAcquired& acquired : b->acquired()) {
    EXPECT_FALSE(acquired.clean);
    EXPECT_EQ(acquired.former_holder, "neap-a");
    EXPECT_GT(acquired.former_renewal, clock.Now() + absl::Hours(4));  // as it stamped it
  }
  EXPECT_EQ(Spec("neap-shard-0")["holderIdentity"], "neap-b");
  EXPECT_EQ(Spec("neap-shard-0")["leaseTransitions"], 2);
}

TEST_F(ShardLeasesTest, SomebodyElsesPatchIsAConflictAndNoLoss) {
  const auto a = Start("neap-0", 1);
  ASSERT_TRUE(a->AwaitHeld(1));
  const uint64_t before = a->leases().counts().conflicts;
  // Each time right before a renewal arrives.
  std::atomic<int> patched = 0;
  const ApiServer::StopAtEnd stop(server_);
  store_.SetBefore([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (request.method == "PATCH" && request.path.ends_with("neap-shard-0") && patched < 3) {
      store_.Patch("neap-shard-0", {{"metadata", {{"annotations", {{"note", "me"}}}}}});
      ++patched;
    }
    return std::nullopt;
  });
  ASSERT_TRUE(WaitFor([&] { return patched == 3; }));
  ASSERT_TRUE(WaitFor([&] { return a->leases().counts().conflicts == before + 3; }));
  const Json was = Spec("neap-shard-0");
  ASSERT_TRUE(WaitFor([&] { return Spec("neap-shard-0")["renewTime"] != was["renewTime"]; }));
  EXPECT_TRUE(a->leases().MayWrite(0));
  EXPECT_THAT(a->lost(), IsEmpty());
}

TEST_F(ShardLeasesTest, AnAnswerThatIsLostIsNoLoss) {
  const auto a = Start("neap-0", 1);
  ASSERT_TRUE(a->AwaitHeld(1));
  std::atomic<int> swallowed = 0;
  const ApiServer::StopAtEnd stop(server_);
  store_.SetAfter([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (request.method != "PATCH" || swallowed >= 3) return std::nullopt;
    ++swallowed;
    return Refusal(504, "Timeout", "the server could not say in time");
  });
  ASSERT_TRUE(WaitFor([&] { return swallowed == 3; }));
  const Json was = Spec("neap-shard-0");
  ASSERT_TRUE(WaitFor([&] { return Spec("neap-shard-0")["renewTime"] != was["renewTime"]; }));
  EXPECT_TRUE(a->leases().MayWrite(0));
  EXPECT_THAT(a->lost(), IsEmpty());
  EXPECT_GT(a->leases().counts().errors, 2U);
}

TEST_F(ShardLeasesTest, WithoutRightsItTakesNothingAndSaysWhy) {
  std::atomic<bool> refuse = true;
  const ApiServer::StopAtEnd stop(server_);
  store_.SetBefore([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (!refuse || request.method != "POST") return std::nullopt;
    return Refusal(403, "Forbidden", "leases is forbidden: cannot create");
  });
  const auto a = Start("neap-0", 1);
  ASSERT_TRUE(AwaitReport("lease neap-member-neap-0: "));
  ASSERT_TRUE(AwaitReport("leases is forbidden: cannot create"));
  ASSERT_TRUE(WaitFor([&] { return a->leases().counts().refusals >= 3; }));
  EXPECT_THAT(a->held(), IsEmpty());
  refuse = false;
  EXPECT_TRUE(a->AwaitHeld(1));
}

TEST_F(ShardLeasesTest, AListThatCannotBeReadTakesNothing) {
  std::atomic<int> kind = 0;
  const ApiServer::StopAtEnd stop(server_);
  store_.SetBefore([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (request.path != kPath || request.method != "GET") return std::nullopt;
    switch (kind.load()) {
      case 0:
        return Answer{.body = "<html>"};
      case 1:
        return Answer{.body = "{}"};
      case 2:
        return Answer{.body = List("1", R"({"metadata":{"name":"neap-shard-0"}})")};
      case 3:
        return Refusal(500, "InternalError", "etcd");
      default:
        return std::nullopt;
    }
  });
  const auto a = Start("neap-0", 1);
  for (; kind < 4; ++kind) {
    const size_t n = server_.Requests(kPath).size();
    ASSERT_TRUE(server_.AwaitRequests(kPath, n + 2));
    EXPECT_THAT(a->held(), IsEmpty());
    EXPECT_THAT(store_.Names(), IsEmpty());
  }
  EXPECT_TRUE(a->AwaitHeld(1));
  EXPECT_TRUE(AwaitReport("listing leases: "));
}

TEST_F(ShardLeasesTest, WithoutAServerItHoldsUntilItsDeadline) {
  const auto a = Start("neap-0", 1);
  ASSERT_TRUE(a->AwaitHeld(1));
  const base::Clock clock;
  server_.Stop();
  EXPECT_TRUE(a->leases().MayWrite(0));
  ASSERT_TRUE(WaitFor([&] { return !a->lost().empty(); }));
  EXPECT_GT(clock.Elapsed(), absl::Seconds(2.5));
  EXPECT_FALSE(a->leases().MayWrite(0));
  EXPECT_THAT(a->lost()[0], HasSubstr("the last error: "));
}

TEST_F(ShardLeasesTest, ResigningGivesAllBack) {
  const auto a = Start("neap-a", 3);
  ASSERT_TRUE(a->AwaitHeld(3));
  std::atomic<bool> done = false;
  a->leases().Resign([&] { done = true; });
  ASSERT_TRUE(WaitFor([&] { return a->left().size() == 3; }));
  Settle();
  EXPECT_FALSE(done);
  for (const int shard : a->left()) a->Release(shard);
  ASSERT_TRUE(WaitFor([&] { return done.load(); }));
  EXPECT_THAT(store_.Names(), ElementsAre("neap-shard-0", "neap-shard-1", "neap-shard-2"));
  for (const std::string& name : store_.Names()) {
    EXPECT_FALSE(Spec(name).contains("holderIdentity")) << name;
  }
  const base::Clock clock;
  const auto b = Start("neap-b", 3);
  ASSERT_TRUE(b->AwaitHeld(3));
  EXPECT_LT(clock.Elapsed(), absl::Seconds(3));  // nothing has to expire
}

TEST_F(ShardLeasesTest, GoneInTheMiddleOfRequestsItSaysNothingMore) {
  for (int i = 0; i < 20; ++i) {
    const auto a = Start("neap-" + std::to_string(i), 4);
    ASSERT_TRUE(server_.AwaitRequests("", server_.Requests().size() + 1));
  }
}

TEST(ShardLeasesOptions, AreChecked) {
  ShardLeasesOptions right;
  right.ns = "neap";
  right.identity = "neap-0.a1b2";
  EXPECT_EQ(Check(right), absl::OkStatus());
  const auto wrong = [&](const std::function<void(ShardLeasesOptions&)>& change) {
    ShardLeasesOptions options = right;
    change(options);
    return std::string(base::Message(Check(options)));
  };
  EXPECT_EQ(wrong([](auto& o) { o.ns = ""; }), "shard leases: ns is not the name of a namespace");
  EXPECT_EQ(wrong([](auto& o) { o.name = "Neap"; }), "shard leases: name is not a DNS label");
  EXPECT_EQ(wrong([](auto& o) { o.identity = "A B"; }),
            "shard leases: identity makes no name of a Lease");
  EXPECT_EQ(wrong([](auto& o) { o.identity = std::string(250, 'a'); }),
            "shard leases: identity makes no name of a Lease");
  EXPECT_EQ(wrong([](auto& o) { o.shards = 0; }), "shard leases: shards 0 is not from 1 to 256");
  EXPECT_EQ(wrong([](auto& o) { o.shards = 257; }),
            "shard leases: shards 257 is not from 1 to 256");
  EXPECT_EQ(wrong([](auto& o) { o.lease_duration = absl::Milliseconds(15500); }),
            "shard leases: lease_duration is not a whole number of seconds from 1");
  EXPECT_EQ(wrong([](auto& o) { o.renew_deadline = absl::Seconds(15); }),
            "shard leases: renew_deadline is not less than lease_duration");
  EXPECT_EQ(wrong([](auto& o) { o.retry_period = absl::ZeroDuration(); }),
            "shard leases: retry_period is not positive");
  EXPECT_EQ(wrong([](auto& o) { o.renew_interval = absl::Seconds(1); }),
            "shard leases: renew_interval is less than retry_period");
  EXPECT_EQ(
      wrong([](auto& o) { o.renew_interval = absl::Seconds(8); }),
      "shard leases: renew_deadline is not more than renew_interval and retry_period together");
  EXPECT_EQ(wrong([](auto& o) { o.timeout = absl::ZeroDuration(); }),
            "shard leases: timeout is not positive");
}

}  // namespace
}  // namespace neap::kube
