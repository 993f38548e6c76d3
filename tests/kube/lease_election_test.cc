// The rules of the shards' leases in virtual time: members with clocks of their own, one made-up
// server, messages that are late or lost. At every moment that a member takes a shard, nobody else
// may write it any more: that is looked at at each acquisition of each run.
#include "autoscaler/kube/lease_election.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "autoscaler/base/status.h"

namespace neap::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

ShardLeasesOptions Defaults(int shards = 16) {
  ShardLeasesOptions options;
  options.ns = "neap";
  options.shards = shards;
  return options;
}

struct Faults {
  double lost = 0;  // share of the requests, and of the answers, that never arrive
  double late = 0;  // share of them that take up to `latest`
  absl::Duration latest = absl::Seconds(4);
};

class World {
 public:
  struct Member {
    std::string identity;
    ShardLeasesOptions options;
    std::unique_ptr<LeaseElection> election;
    double rate = 1;                                 // of its clock
    absl::Duration offset;                           // of its clock
    absl::Duration skew;                             // of its wall clock
    absl::Duration drain = absl::Milliseconds(500);  // from `leave` to Release
    bool dead = false;
    absl::Duration frozen_until;
    int wake = 0;  // the wake-up that counts
    std::set<int> held;
    std::set<int> leaving;
    size_t left = 0;  // how often it was told to leave
    std::vector<std::string> lost;
    std::vector<ShardAcquired> acquired;
    bool resigned = false;
  };

  explicit World(uint64_t seed) : random_(seed) {}

  // `rate`, `offset` and `skew` by chance.
  Member& Join(const std::string& identity, ShardLeasesOptions options) {
    auto member = std::make_unique<Member>();
    Member& m = *member;
    options.identity = identity;
    m.identity = identity;
    m.options = options;
    m.election = std::make_unique<LeaseElection>(options, [this] { return Chance(); });
    m.rate = 0.98 + 0.04 * Chance();
    m.offset = absl::Seconds(1000) * Chance();
    m.skew = absl::Hours(10) * (Chance() - 0.5);
    members_.push_back(std::move(member));
    Pump(m);
    return m;
  }
  void Kill(Member& m) { m.dead = true; }
  void Freeze(Member& m, absl::Duration duration) { m.frozen_until = now_ + duration; }
  void Resign(Member& m) {
    m.election->Resign();
    Pump(m);
  }

  void RunFor(absl::Duration duration) {
    const absl::Duration end = now_ + duration;
    while (!events_.empty() && events_.begin()->first <= end) {
      const auto event = events_.extract(events_.begin());
      now_ = event.key();
      event.mapped()();
    }
    now_ = end;
  }
  // How long it took; more than `patience` when it did not happen.
  absl::Duration RunUntil(const std::function<bool()>& condition,
                          absl::Duration patience = absl::Minutes(5)) {
    const absl::Duration begin = now_;
    while (!condition() && now_ - begin <= patience) RunFor(absl::Milliseconds(10));
    return now_ - begin;
  }

  // Each shard has one holder, who may write it, among those that live.
  bool Settled(int shards) const {
    int held = 0;
    for (const auto& m : members_) {
      if (m->dead) continue;
      for (int shard = 0; shard < shards; ++shard) {
        if (m->held.contains(shard) && MayWrite(*m, shard)) ++held;
      }
      if (!m->leaving.empty()) return false;
    }
    return held == shards;
  }
  bool MayWrite(const Member& m, int shard) const {
    return shard < m.options.shards && ClockOf(m) < m.election->MayWriteUntil(shard);
  }
  std::vector<size_t> Loads() const {
    std::vector<size_t> out;
    for (const auto& m : members_) {
      if (!m->dead) out.push_back(m->held.size());
    }
    return out;
  }

  const std::vector<std::unique_ptr<Member>>& members() const { return members_; }
  absl::Duration now() const { return now_; }
  Faults faults;
  bool server_gone = false;
  std::map<std::string, LeaseRecord> leases;
  uint64_t requests = 0;
  std::vector<std::string> violations;
  std::vector<std::string> troubles;
  std::set<LeaseWrite::Kind> refused;

 private:
  double Chance() { return static_cast<double>(random_() >> 11) / 9007199254740992.0; }
  absl::Duration ClockOf(const Member& m) const { return m.offset + now_ * m.rate; }
  void At(absl::Duration time, std::function<void()> what) {
    events_.emplace(std::max(time, now_), std::move(what));
  }
  absl::Duration Delay() {
    if (Chance() < faults.late) return faults.latest * Chance();
    return absl::Milliseconds(1) + absl::Milliseconds(20) * Chance();
  }
  // What a frozen process finds when it goes on.
  void For(Member& m, std::function<void()> what) {
    if (m.dead) return;
    if (now_ < m.frozen_until) {
      return At(m.frozen_until, [this, &m, what = std::move(what)] { For(m, what); });
    }
    what();
  }

  void Pump(Member& m) {
    LeaseElection::Actions actions = m.election->Step(ClockOf(m));
    for (const LeaseWrite& write : actions.writes) Send(m, write);
    if (actions.list) SendList(m);
    for (const auto& event : actions.events) std::visit([&](const auto& e) { On(m, e); }, event);
    if (actions.wake_at == absl::InfiniteDuration()) return;
    const int wake = ++m.wake;
    At((actions.wake_at - m.offset) / m.rate + absl::Microseconds(1), [this, &m, wake] {
      For(m, [this, &m, wake] {
        if (m.wake == wake) Pump(m);
      });
    });
  }

  // A request to the server and its answer, or the time-out.
  template <typename Answer>
  void Exchange(Member& m, std::function<Answer()> serve, std::function<void(Answer)> done) {
    ++requests;
    auto answered = std::make_shared<bool>(false);
    const auto answer = [this, &m, answered, done](absl::Duration at, Answer what) {
      At(at, [this, &m, answered, done, what] {
        For(m, [answered, done, what] {
          if (!std::exchange(*answered, true)) done(what);
        });
      });
    };
    answer(now_ + m.options.timeout / m.rate, base::DeadlineExceeded("no answer"));
    if (server_gone) return answer(now_ + absl::Milliseconds(1), base::Unavailable("refused"));
    if (Chance() < faults.lost) return;
    At(now_ + Delay(), [this, serve, answer] {
      if (server_gone) return;
      Answer what = serve();
      if (Chance() >= faults.lost) answer(now_ + Delay(), what);
    });
  }

  void SendList(Member& m) {
    using List = absl::StatusOr<std::vector<LeaseRecord>>;
    Exchange<List>(
        m,
        [this]() -> List {
          std::vector<LeaseRecord> all;
          for (const auto& [name, lease] : leases) all.push_back(lease);
          return all;
        },
        [this, &m, sent_at = ClockOf(m)](const List& list) {
          m.election->OnList(ClockOf(m), sent_at, list);
          Pump(m);
        });
  }

  void Send(Member& m, const LeaseWrite& write) {
    const absl::Time stamp = absl::UnixEpoch() + now_ + m.skew;
    Exchange<absl::StatusOr<LeaseRecord>>(
        m, [this, &m, write, stamp] { return Apply(m, write, stamp); },
        [this, &m, write](const absl::StatusOr<LeaseRecord>& lease) {
          m.election->OnWritten(ClockOf(m), write, lease);
          Pump(m);
        });
  }

  absl::StatusOr<LeaseRecord> Apply(const Member& m, const LeaseWrite& write, absl::Time stamp) {
    using Kind = LeaseWrite::Kind;
    if (refused.contains(write.kind)) return base::PermissionDenied("not allowed");
    const auto at = leases.find(write.name);
    if (write.kind == Kind::kCreate) {
      if (at != leases.end()) return base::AlreadyExists("{} exists", write.name);
      LeaseRecord& lease = leases[write.name];
      lease.name = write.name;
      lease.created = absl::UnixEpoch() + absl::Floor(now_, absl::Seconds(1));
      return Take(m, write, stamp, lease);
    }
    if (at == leases.end()) return base::NotFound("{} not found", write.name);
    LeaseRecord& lease = at->second;
    if (!write.version.empty() && write.version != lease.version) {
      return base::Aborted("{} has been modified", write.name);
    }
    if (write.kind == Kind::kDelete) {
      leases.erase(at);
      return LeaseRecord{};
    }
    if (write.kind == Kind::kTake) return Take(m, write, stamp, lease);
    if (write.kind == Kind::kClear) lease.holder.clear();
    lease.renewed = stamp;
    lease.version = std::to_string(++version_);
    return lease;
  }
  LeaseRecord Take(const Member& m, const LeaseWrite& write, absl::Time stamp, LeaseRecord& lease) {
    lease.holder = m.identity;
    lease.lasts = m.options.lease_duration;
    lease.transitions = write.transitions;
    lease.shards = m.options.shards;
    lease.renewed = stamp;
    lease.version = std::to_string(++version_);
    return lease;
  }

  void On(Member& m, const ShardAcquired& event) {
    for (const auto& other : members_) {
      if (other.get() == &m || !MayWrite(*other, event.shard)) continue;
      violations.push_back(fmt::format("{}: {} takes shard {} while {} may still write it",
                                       absl::FormatDuration(now_), m.identity, event.shard,
                                       other->identity));
    }
    int64_t& epoch = epochs_[event.shard];
    if (event.epoch <= epoch) {
      violations.push_back(
          fmt::format("shard {}: epoch {} after {}", event.shard, event.epoch, epoch));
    }
    epoch = event.epoch;
    m.held.insert(event.shard);
    m.acquired.push_back(event);
  }
  void On(Member& m, const LeaseElection::Leave& event) {
    ++m.left;
    m.leaving.insert(event.shard);
    At(now_ + m.drain, [this, &m, shard = event.shard] {
      For(m, [this, &m, shard] {
        if (m.leaving.erase(shard) == 0) return;
        m.held.erase(shard);
        m.election->Release(shard);
        Pump(m);
      });
    });
  }
  void On(Member& m, const LeaseElection::Lost& event) {
    EXPECT_FALSE(MayWrite(m, event.shard));
    m.held.erase(event.shard);
    m.leaving.erase(event.shard);
    m.lost.emplace_back(base::Message(event.why));
  }
  void On(Member& m, const LeaseElection::Resigned&) { m.resigned = true; }
  void On(Member& m, const LeaseElection::Trouble& event) {
    troubles.push_back(m.identity + ": " + event.what + ": " +
                       std::string(base::Message(event.error)));
  }

  std::mt19937_64 random_;
  absl::Duration now_;
  std::multimap<absl::Duration, std::function<void()>> events_;
  std::vector<std::unique_ptr<Member>> members_;
  std::map<int, int64_t> epochs_;
  uint64_t version_ = 0;
};

class LeaseElectionTest : public testing::Test {
 protected:
  ~LeaseElectionTest() override { EXPECT_THAT(world_.violations, IsEmpty()); }
  World::Member& Join(const std::string& identity, int shards = 16) {
    return world_.Join(identity, Defaults(shards));
  }
  World world_{7};
};

TEST_F(LeaseElectionTest, OneMemberTakesAllAtOnce) {
  World::Member& a = Join("a");
  EXPECT_LT(world_.RunUntil([&] { return a.held.size() == 16; }), absl::Seconds(1));
  for (const ShardAcquired& acquired : a.acquired) {
    EXPECT_TRUE(acquired.clean);
    EXPECT_EQ(acquired.former_holder, "");
    EXPECT_EQ(acquired.former_renewal, absl::InfinitePast());
  }
  world_.RunFor(absl::Hours(1));
  EXPECT_EQ(a.held.size(), 16U);
  EXPECT_EQ(a.left, 0U);
  EXPECT_THAT(a.lost, IsEmpty());
  EXPECT_THAT(world_.troubles, IsEmpty());
}

TEST_F(LeaseElectionTest, WithOneShardItIsLeaderElection) {
  World::Member& a = Join("a", 1);
  world_.RunFor(absl::Seconds(5));
  World::Member& b = Join("b", 1);
  World::Member& c = Join("c", 1);
  world_.RunFor(absl::Minutes(1));
  ASSERT_EQ(a.held.size() + b.held.size() + c.held.size(), 1U);
  for (World::Member* m : {&a, &b, &c}) {
    if (!m->held.empty()) world_.Kill(*m);
  }
  EXPECT_LE(world_.RunUntil([&] { return world_.Settled(1); }), absl::Seconds(17.6));
}

TEST_F(LeaseElectionTest, ThreeMembersShareEvenly) {
  Join("neap-5f7c9-aaaaa");
  Join("neap-5f7c9-bbbbb");
  Join("neap-5f7c9-ccccc");
  world_.RunFor(absl::Seconds(30));
  EXPECT_TRUE(world_.Settled(16));
  EXPECT_THAT(world_.Loads(), testing::Each(Le(6U)));
}

TEST_F(LeaseElectionTest, AJoiningMemberIsHandedItsShareAndNothingElseMoves) {
  World::Member& a = Join("a");
  World::Member& b = Join("b");
  world_.RunFor(absl::Seconds(30));
  ASSERT_TRUE(world_.Settled(16));
  const auto before = std::make_pair(a.held, b.held);
  World::Member& c = Join("c");
  const size_t share = 4;  // at least: the others have at most 6
  EXPECT_LT(world_.RunUntil([&] { return c.held.size() >= share && world_.Settled(16); }),
            absl::Seconds(8));
  world_.RunFor(absl::Minutes(5));
  EXPECT_THAT(world_.Loads(), testing::Each(Le(6U)));
  for (const ShardAcquired& acquired : c.acquired) {
    EXPECT_TRUE(acquired.clean);  // by leave and release
    EXPECT_NE(acquired.former_renewal, absl::InfinitePast());
  }
  EXPECT_THAT(a.lost, IsEmpty());
  EXPECT_THAT(b.lost, IsEmpty());
  std::vector<int> swapped;  // between the two who stay: the bound on a share moves few
  std::set_difference(a.held.begin(), a.held.end(), before.first.begin(), before.first.end(),
                      std::back_inserter(swapped));
  std::set_difference(b.held.begin(), b.held.end(), before.second.begin(), before.second.end(),
                      std::back_inserter(swapped));
  EXPECT_LE(swapped.size(), 2U);
}

TEST_F(LeaseElectionTest, AKilledMemberIsReplacedWithinALeaseAndARetryPeriod) {
  for (int run = 0; run < 50; ++run) {
    World world(static_cast<uint64_t>(run));
    for (const char* identity : {"a", "b", "c"}) world.Join(identity, Defaults());
    world.RunFor(absl::Seconds(30) + absl::Milliseconds(137) * run);
    ASSERT_TRUE(world.Settled(16));
    World::Member& victim = *world.members()[static_cast<size_t>(run) % 3];
    const std::set<int> orphans = victim.held;
    world.Kill(victim);
    const auto all_taken = [&] {
      return std::all_of(orphans.begin(), orphans.end(), [&](int shard) {
        return std::any_of(world.members().begin(), world.members().end(), [&](const auto& m) {
          return !m->dead && m->held.contains(shard) && world.MayWrite(*m, shard);
        });
      });
    };
    // 15 s and 2 s on a clock that may be 2 % slow, and the requests.
    EXPECT_LE(world.RunUntil(all_taken), absl::Seconds(17.6)) << run;
    size_t replaced = 0;
    for (const auto& m : world.members()) {
      for (const ShardAcquired& acquired : m->acquired) {
        if (acquired.clean) continue;
        EXPECT_EQ(acquired.former_holder, victim.identity);
        ++replaced;
      }
    }
    EXPECT_EQ(replaced, orphans.size());
    EXPECT_THAT(world.violations, IsEmpty());
  }
}

TEST_F(LeaseElectionTest, WhoSleptPastItsLeaseLostIt) {
  World::Member& a = Join("a");
  Join("b");
  world_.RunFor(absl::Seconds(30));
  ASSERT_EQ(a.held.size(), 8U);
  world_.Freeze(a, absl::Minutes(1));
  world_.RunFor(absl::Seconds(11));
  for (int shard = 0; shard < 16; ++shard) EXPECT_FALSE(world_.MayWrite(a, shard));
  world_.RunFor(absl::Seconds(120));
  EXPECT_EQ(a.lost.size(), 8U);
  EXPECT_TRUE(world_.Settled(16));
  EXPECT_THAT(world_.Loads(), ElementsAre(8U, 8U));  // and it has its share again
}

TEST_F(LeaseElectionTest, AShortSleepCostsNothing) {
  World::Member& a = Join("a");
  Join("b");
  world_.RunFor(absl::Seconds(30));
  const size_t left = a.left;
  world_.Freeze(a, absl::Seconds(5));
  world_.RunFor(absl::Minutes(1));
  EXPECT_THAT(a.lost, IsEmpty());
  EXPECT_EQ(a.left, left);
}

TEST_F(LeaseElectionTest, AnOutageEndsAllAndAfterItEachTakesItsShare) {
  for (const char* identity : {"a", "b", "c"}) Join(identity);
  world_.RunFor(absl::Seconds(30));
  const std::vector<size_t> before = world_.Loads();
  size_t left = 0;
  for (const auto& m : world_.members()) left += m->left;
  world_.server_gone = true;
  world_.RunFor(absl::Seconds(5));
  EXPECT_TRUE(world_.Settled(16));  // held until the own deadline
  world_.RunFor(absl::Seconds(55));
  EXPECT_THAT(world_.Loads(), testing::Each(0U));
  const uint64_t requests = world_.requests;
  world_.server_gone = false;
  EXPECT_LT(world_.RunUntil([&] { return world_.Settled(16); }), absl::Seconds(8));
  EXPECT_EQ(world_.Loads(), before);
  EXPECT_LT(world_.requests - requests, 100U);
  for (const auto& m : world_.members()) {
    left -= m->left;
    EXPECT_THAT(m->lost, testing::Each(HasSubstr("the last error: refused")));
    EXPECT_EQ(m->election->counts().lost, m->lost.size());
  }
  EXPECT_EQ(left, 0U);  // nobody took what it had to give back
}

TEST_F(LeaseElectionTest, ResigningHandsOverWithoutWaiting) {
  World::Member& a = Join("a");
  Join("b");
  world_.RunFor(absl::Seconds(30));
  ASSERT_EQ(a.held.size(), 8U);
  world_.Resign(a);
  EXPECT_LT(world_.RunUntil([&] { return a.resigned; }), absl::Seconds(1));
  EXPECT_THAT(a.held, IsEmpty());
  EXPECT_FALSE(world_.leases.contains("neap-member-a"));
  world_.Kill(a);
  EXPECT_LE(world_.RunUntil([&] { return world_.Settled(16); }), absl::Seconds(2.3));
}

TEST_F(LeaseElectionTest, ResigningEndsAlsoWithoutAServer) {
  World::Member& a = Join("a");
  world_.RunFor(absl::Seconds(30));
  world_.server_gone = true;
  world_.Resign(a);
  EXPECT_LT(world_.RunUntil([&] { return a.resigned; }), absl::Seconds(11));
}

TEST_F(LeaseElectionTest, RestartedUnderItsOldNameItWaitsForItsOldLease) {
  World::Member& a = Join("a");
  world_.RunFor(absl::Seconds(30));
  world_.Kill(a);
  World::Member& again = Join("a");
  world_.RunFor(absl::Seconds(14));
  EXPECT_THAT(again.held, IsEmpty());
  world_.RunFor(absl::Seconds(4));
  EXPECT_EQ(again.held.size(), 16U);
}

TEST_F(LeaseElectionTest, ADeletedLeaseIsLostAndTakenOnlyAfterItWouldHaveExpired) {
  World::Member& a = Join("a");
  World::Member& b = Join("b");
  world_.RunFor(absl::Seconds(30));
  const int shard = *a.held.begin();
  world_.leases.erase(fmt::format("neap-shard-{}", shard));
  world_.RunFor(absl::Seconds(5));
  ASSERT_EQ(a.lost.size(), 1U);
  EXPECT_FALSE(world_.Settled(16));
  world_.RunFor(absl::Seconds(15));
  EXPECT_TRUE(world_.Settled(16));
  EXPECT_THAT(b.lost, IsEmpty());
  EXPECT_FALSE(a.acquired.back().clean);
  EXPECT_NE(a.acquired.back().former_renewal, absl::InfinitePast());
}

TEST_F(LeaseElectionTest, ALeaseThatSomebodyElseTookIsLost) {
  World::Member& a = Join("a", 1);
  world_.RunFor(absl::Seconds(30));
  LeaseRecord& lease = world_.leases["neap-shard-0"];
  lease.holder = "kubectl";
  lease.version += "x";
  world_.RunFor(absl::Seconds(3));
  EXPECT_THAT(a.lost, ElementsAre("lease neap-shard-0: kubectl took it"));
}

TEST_F(LeaseElectionTest, WhoAnnotatesALeaseChangesNothing) {
  World::Member& a = Join("a", 1);
  world_.RunFor(absl::Seconds(30));
  for (int i = 0; i < 100; ++i) {
    world_.leases["neap-shard-0"].version += "x";
    world_.RunFor(absl::Milliseconds(777));
  }
  EXPECT_THAT(a.lost, IsEmpty());
  world_.Kill(a);
  // Nor does it keep a dead holder alive.
  World::Member& b = Join("b", 1);
  for (int i = 0; i < 20; ++i) {
    world_.leases["neap-shard-0"].version += "x";
    world_.RunFor(absl::Seconds(1));
  }
  EXPECT_EQ(b.held.size(), 1U);
}

TEST_F(LeaseElectionTest, AnUpdateThatChangesTheNumberOfShardsNeverMixesThem) {
  World::Member& a = Join("a", 16);
  World::Member& b = Join("b", 16);
  world_.RunFor(absl::Seconds(30));
  World::Member& c = Join("c", 8);
  World::Member& d = Join("d", 8);
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(a.held.size() + b.held.size(), 16U);
  EXPECT_EQ(c.held.size() + d.held.size(), 0U);
  EXPECT_THAT(world_.troubles, testing::Contains(HasSubstr("which counts 16 shards, and we 8")));
  world_.Resign(a);
  world_.RunFor(absl::Seconds(10));
  EXPECT_EQ(b.held.size(), 16U);
  EXPECT_EQ(c.held.size() + d.held.size(), 0U);
  world_.Resign(b);
  world_.RunFor(absl::Seconds(10));
  EXPECT_EQ(c.held.size() + d.held.size(), 8U);
}

TEST_F(LeaseElectionTest, OfTwoNumbersOfShardsAtOnceOneGivesWay) {
  World::Member& a = Join("a", 16);
  World::Member& b = Join("b", 8);
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(std::min(a.held.size(), b.held.size()), 0U);
  EXPECT_GT(a.held.size() + b.held.size(), 0U);
}

TEST_F(LeaseElectionTest, LeasesOfTheDeadAreSweptAndThoseOfTheLivingAreNot) {
  World::Member& a = Join("a");
  Join("b");
  World::Member& c = Join("c");
  world_.RunFor(absl::Seconds(30));
  world_.Kill(a);
  world_.Kill(c);
  world_.RunFor(absl::Minutes(2));
  EXPECT_FALSE(world_.leases.contains("neap-member-a"));
  EXPECT_FALSE(world_.leases.contains("neap-member-c"));
  EXPECT_TRUE(world_.leases.contains("neap-member-b"));
}

TEST_F(LeaseElectionTest, WithoutTheRightToRenewItHoldsUntilItsDeadlineAndSaysSo) {
  World::Member& a = Join("a", 1);
  world_.RunFor(absl::Seconds(30));
  world_.refused = {LeaseWrite::Kind::kRenew, LeaseWrite::Kind::kTake};
  world_.RunFor(absl::Seconds(5));
  EXPECT_EQ(a.held.size(), 1U);
  world_.RunFor(absl::Minutes(1));
  EXPECT_THAT(a.lost, ElementsAre("lease neap-shard-0: not renewed for 10s; the last error: not "
                                  "allowed"));
  EXPECT_THAT(world_.troubles, testing::IsSupersetOf({"a: lease neap-shard-0: not allowed",
                                                      "a: lease neap-member-a: not allowed"}));
  EXPECT_GT(a.election->counts().refusals, 2U);
}

// 3 members and 16 shards: what the header says.
TEST_F(LeaseElectionTest, RequestsPerSecond) {
  for (const char* identity : {"a", "b", "c"}) Join(identity);
  world_.RunFor(absl::Seconds(30));
  const uint64_t before = world_.requests;
  world_.RunFor(absl::Minutes(10));
  const double per_second = static_cast<double>(world_.requests - before) / 600;
  EXPECT_GT(per_second, 5.5);
  EXPECT_LT(per_second, 6.8);
  RecordProperty("requests_per_second", fmt::format("{:.2f}", per_second));
}

// Whatever is lost, late, frozen, killed, cut off: never two at a time, and when it is over all is
// held again.
absl::Duration RunTroubled(uint64_t seed, const ShardLeasesOptions& options,
                           std::vector<std::string>* violations) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return static_cast<size_t>(random() % n); };
  World world(seed * 31 + 1);
  int made = 0;
  const auto join = [&] {
    World::Member& m = world.Join(fmt::format("m-{}", made++), options);
    m.drain = absl::Milliseconds(static_cast<int64_t>(below(6000)));
  };
  for (int i = 0; i < 3; ++i) join();
  world.faults = {.lost = 0.03, .late = 0.1};
  for (int step = 0; step < 60; ++step) {
    world.RunFor(absl::Milliseconds(static_cast<int64_t>(below(12000))));
    World::Member& m = *world.members()[below(world.members().size())];
    switch (below(8)) {
      case 0:
        world.Kill(m);
        join();
        break;
      case 1:
        world.Resign(m);
        join();
        break;
      case 2:
      case 3:
        world.Freeze(m, absl::Milliseconds(static_cast<int64_t>(below(40000))));
        break;
      case 4:
        world.server_gone = true;
        world.RunFor(absl::Milliseconds(static_cast<int64_t>(below(25000))));
        world.server_gone = false;
        break;
      default:
        break;
    }
  }
  world.faults = {};
  join();
  const absl::Duration took = world.RunUntil([&] { return world.Settled(options.shards); });
  *violations = world.violations;
  return took;
}

TEST(LeaseElection, NeverTwoHoldersWhateverHappens) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::vector<std::string> violations;
    const absl::Duration took = RunTroubled(seed, Defaults(6), &violations);
    ASSERT_THAT(violations, IsEmpty()) << "seed " << seed;
    ASSERT_LT(took, absl::Seconds(90)) << "seed " << seed;
  }
}

// The same runs find what is wrong when it is: a deadline behind the lease's end.
TEST(LeaseElection, TheRunsAboveFindADeadlineThatIsTooLong) {
  ShardLeasesOptions options = Defaults(6);
  options.renew_deadline = absl::Seconds(25);
  std::vector<std::string> violations;
  for (uint64_t seed = 0; seed < 60 && violations.empty(); ++seed) {
    RunTroubled(seed, options, &violations);
  }
  EXPECT_THAT(violations, testing::Not(IsEmpty()));
}

// Processes of two versions must agree on it during an update: these numbers never change.
TEST(AssignShards, IsTheSameEverywhere) {
  EXPECT_THAT(
      AssignShards({"neap-0", "neap-1", "neap-2"}, 16),
      ElementsAre("neap-0", "neap-0", "neap-1", "neap-1", "neap-2", "neap-2", "neap-1", "neap-1",
                  "neap-2", "neap-0", "neap-1", "neap-2", "neap-2", "neap-2", "neap-1", "neap-0"));
  EXPECT_THAT(AssignShards({"neap-0"}, 2), ElementsAre("neap-0", "neap-0"));
}

TEST(AssignShards, NobodyGetsMoreThanItsShareRoundedUp) {
  std::mt19937_64 random(1);
  for (int members = 1; members <= 20; ++members) {
    std::set<std::string> names;
    while (names.size() < static_cast<size_t>(members)) {
      names.insert(fmt::format("neap-{:x}", random()));
    }
    std::map<std::string, int> got;
    for (const std::string& name : AssignShards(names, 16)) {
      EXPECT_TRUE(names.contains(name));
      ++got[name];
    }
    for (const auto& [name, count] : got) EXPECT_LE(count, (16 + members - 1) / members);
  }
}

// Of 16 shards: who joins or leaves moves its own, and few others for the bound.
TEST(AssignShards, MovesLittle) {
  std::mt19937_64 random(1);
  double moved = 0;
  for (int run = 0; run < 200; ++run) {
    std::set<std::string> names;
    for (int i = 0; i < 3; ++i) names.insert(fmt::format("neap-{:x}", random()));
    const auto before = AssignShards(names, 16);
    names.insert(fmt::format("neap-{:x}", random()));
    const auto after = AssignShards(names, 16);
    for (size_t i = 0; i < 16; ++i) moved += before[i] != after[i] ? 1 : 0;
  }
  EXPECT_LT(moved / 200, 6);  // the new one's 4, and the bound's
}

}  // namespace
}  // namespace neap::kube
