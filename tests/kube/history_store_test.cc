// HistoryStore against a server that keeps ConfigMaps as a real one does.
#include "autoscaler/kube/history_store.h"

#include <absl/strings/escaping.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "tests/kube/edge.h"
#include "tests/kube/object_store.h"

namespace neap::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using testing_support::WaitFor;
using Json = nlohmann::json;

constexpr char kPath[] = "/api/v1/namespaces/neap/configmaps";

class HistoryStoreTest : public Edge {
 protected:
  static HistoryStoreOptions Options(size_t part_bytes = 0) {
    HistoryStoreOptions options;
    options.ns = "neap";
    if (part_bytes != 0) options.part_bytes = part_bytes;
    return options;
  }
  absl::StatusOr<LoadedHistories> Load(HistoryStore& store, int shard, int64_t epoch) {
    testing_support::Guarded<std::optional<absl::StatusOr<LoadedHistories>>> result;
    store.Load(shard, epoch, [&](auto loaded) { result.Set(std::move(loaded)); });
    EXPECT_TRUE(WaitFor([&] { return result.Get().has_value(); }));
    return result.Get().value_or(absl::UnknownError("no answer"));
  }
  absl::Status Save(HistoryStore& store, int shard, Histories changed,
                    std::vector<std::string> removed = {}) {
    testing_support::Guarded<std::optional<absl::Status>> result;
    store.Save(shard, std::move(changed), std::move(removed),
               [&](const absl::Status& status) { result.Set(status); });
    EXPECT_TRUE(WaitFor([&] { return result.Get().has_value(); }));
    return result.Get().value_or(absl::UnknownError("no answer"));
  }
  // What another process finds.
  Histories Found(int shard, int64_t epoch, size_t part_bytes = 0) {
    HistoryStore store(context_, Options(part_bytes));
    const auto loaded = Load(store, shard, epoch);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.ok() ? loaded->histories : Histories{};
  }
  std::vector<Json> Writes() {
    std::vector<Json> out;
    for (const auto& request : server_.Requests()) {
      if (request.method == "PATCH" || request.method == "POST") {
        out.push_back(Json::parse(request.body));
      }
    }
    return out;
  }
  std::string Data(const std::string& name, const std::string& key) const {
    std::string bytes;
    const auto map = maps_.Find(name);
    if (map && map->contains("binaryData") && (*map)["binaryData"].contains(key)) {
      EXPECT_TRUE(absl::Base64Unescape((*map)["binaryData"][key].get<std::string>(), &bytes));
    }
    return bytes;
  }

  ObjectStore maps_{server_, kPath};
  ApiServer::StopAtEnd stop_{server_};
};

TEST_F(HistoryStoreTest, WhatIsSavedIsFoundByTheNext) {
  const std::string all_bytes("\x00\x01\xff z", 5);
  {
    HistoryStore store(context_, Options());
    const auto empty = Load(store, 3, 7);
    ASSERT_TRUE(empty.ok()) << empty.status();
    EXPECT_THAT(empty->histories, IsEmpty());
    ASSERT_EQ(Save(store, 3, {{"uid-1", all_bytes}, {"uid-2", ""}}), absl::OkStatus());
  }
  EXPECT_THAT(Found(3, 8), UnorderedElementsAre(Pair("uid-1", all_bytes), Pair("uid-2", "")));
  EXPECT_THAT(Found(4, 8), IsEmpty());

  EXPECT_EQ(server_.Requests().front().Query("labelSelector"),
            "neap.dev/history=neap,neap.dev/shard=3");
  EXPECT_THAT(maps_.Names(), ElementsAre("neap-history-3-0"));
  const Json map = *maps_.Find("neap-history-3-0");
  EXPECT_EQ(map["apiVersion"], "v1");
  EXPECT_EQ(map["kind"], "ConfigMap");
  EXPECT_EQ(map["metadata"]["labels"]["neap.dev/history"], "neap");
  EXPECT_EQ(map["metadata"]["annotations"]["neap.dev/epoch"], "8");  // the last that loaded it
  // version, epoch, sequence, history
  EXPECT_EQ(Data("neap-history-3-0", "uid-1"),
            std::string("\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01", 17) + all_bytes);
}

TEST_F(HistoryStoreTest, OnlyWhatChangedIsSent) {
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  ASSERT_EQ(Save(store, 0, {{"a", "1"}, {"b", "1"}, {"c", "1"}}), absl::OkStatus());
  ASSERT_EQ(Save(store, 0, {{"b", "2"}}, {"c", "unknown"}), absl::OkStatus());
  const size_t writes = Writes().size();
  ASSERT_EQ(writes, 2U);
  const Json last = Writes().back();
  EXPECT_TRUE(last["metadata"].contains("resourceVersion"));
  EXPECT_THAT(last["binaryData"], SizeIs(2));
  EXPECT_TRUE(last["binaryData"]["c"].is_null());
  EXPECT_THAT(Found(0, 2), UnorderedElementsAre(Pair("a", "1"), Pair("b", "2")));
  ASSERT_EQ(Save(store, 0, {}), absl::OkStatus());  // nothing to write: no request
  EXPECT_EQ(Writes().size(), writes + 1);           // that of Found, which claims
}

TEST_F(HistoryStoreTest, PartsGrowAndEachStaysBelowItsLimit) {
  EXPECT_LT(HistoryStoreOptions().part_bytes, size_t{1} << 20);  // the API server's limit
  constexpr size_t kPart = size_t{90} << 10;
  Histories all;
  {
    HistoryStore store(context_, Options(kPart));
    ASSERT_TRUE(Load(store, 0, 1).ok());
    for (int i = 0; i < 40; ++i) {
      all["uid-" + std::to_string(i)] = std::string(10'000, static_cast<char>(i));
    }
    ASSERT_EQ(Save(store, 0, all), absl::OkStatus());
    EXPECT_GE(maps_.Names().size(), 5U);
    // They grow, each where it is or in another part.
    for (auto& [uid, history] : all) history += std::string(15'000, 'x');
    ASSERT_EQ(Save(store, 0, all), absl::OkStatus());
    ASSERT_EQ(Save(store, 0, {}), absl::OkStatus());
  }
  std::set<std::string> keys;
  for (const std::string& name : maps_.Names()) {
    size_t bytes = 0;
    const Json map = *maps_.Find(name);
    for (const auto& [key, value] : map["binaryData"].items()) {
      bytes += key.size() + Data(name, key).size();
      EXPECT_TRUE(keys.insert(key).second) << key << " is in two parts";
    }
    EXPECT_LE(bytes, kPart) << name;
    EXPECT_GT(bytes, 0U) << name;
  }
  EXPECT_EQ(Found(0, 2, kPart), all);
}

TEST_F(HistoryStoreTest, OfTwoCopiesAfterAnInterruptedMoveTheLaterCounts) {
  constexpr size_t kPart = 400;
  {
    HistoryStore store(context_, Options(kPart));
    ASSERT_TRUE(Load(store, 0, 1).ok());
    ASSERT_EQ(Save(store, 0, {{"a", std::string(60, 'a')}, {"b", std::string(60, 'b')}}),
              absl::OkStatus());
    EXPECT_THAT(maps_.Names(), ElementsAre("neap-history-0-0"));
    // The new copy is written, and the old one cannot be taken away.
    maps_.SetBefore([&](const ApiServer::Request& request) -> std::optional<Answer> {
      if (request.method != "PATCH") return std::nullopt;
      return Refusal(500, "InternalError", "etcd");
    });
    const absl::Status status = Save(store, 0, {{"a", std::string(350, 'A')}});
    EXPECT_THAT(base::Message(status), HasSubstr("ConfigMap neap/neap-history-0-0: "));
    EXPECT_THAT(maps_.Names(), ElementsAre("neap-history-0-0", "neap-history-0-1"));
    maps_.SetBefore({});
  }
  EXPECT_NE(Data("neap-history-0-0", "a"), "");
  EXPECT_NE(Data("neap-history-0-1", "a"), "");
  HistoryStore next(context_, Options(kPart));
  const auto loaded = Load(next, 0, 2);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->histories.at("a"), std::string(350, 'A'));
  EXPECT_EQ(loaded->histories.at("b"), std::string(60, 'b'));
  // The old copy goes with the next write.
  ASSERT_EQ(Save(next, 0, {{"b", "B"}}), absl::OkStatus());
  EXPECT_EQ(Data("neap-history-0-0", "a"), "");
  EXPECT_EQ(Found(0, 3, kPart), (Histories{{"a", std::string(350, 'A')}, {"b", "B"}}));
}

TEST_F(HistoryStoreTest, AFailedMoveLosesNothing) {
  constexpr size_t kPart = 400;
  HistoryStore store(context_, Options(kPart));
  ASSERT_TRUE(Load(store, 0, 1).ok());
  ASSERT_EQ(Save(store, 0, {{"a", std::string(60, 'a')}, {"b", std::string(60, 'b')}}),
            absl::OkStatus());
  maps_.SetBefore([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (request.method != "POST") return std::nullopt;
    return Refusal(403, "Forbidden", "configmaps is forbidden");
  });
  EXPECT_TRUE(absl::IsPermissionDenied(Save(store, 0, {{"a", std::string(350, 'A')}})));
  EXPECT_EQ(Data("neap-history-0-0", "a").substr(17), std::string(60, 'a'));  // still there
  maps_.SetBefore({});
  ASSERT_EQ(Save(store, 0, {}), absl::OkStatus());  // what failed was kept
  EXPECT_EQ(Data("neap-history-0-0", "a"), "");
  EXPECT_EQ(Found(0, 2, kPart),
            (Histories{{"a", std::string(350, 'A')}, {"b", std::string(60, 'b')}}));
}

TEST_F(HistoryStoreTest, AConflictIsAnErrorAndThenReadAnew) {
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  ASSERT_EQ(Save(store, 0, {{"a", "1"}}), absl::OkStatus());
  maps_.Patch("neap-history-0-0", {{"binaryData", {{"theirs", absl::Base64Escape("?")}}}});
  const absl::Status status = Save(store, 0, {{"a", "2"}});
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(base::Message(status),
              HasSubstr("ConfigMap neap/neap-history-0-0: somebody else wrote it: "));
  EXPECT_EQ(Data("neap-history-0-0", "a").substr(17), "1");  // not overwritten
  ASSERT_EQ(Save(store, 0, {{"b", "1"}}), absl::OkStatus());
  EXPECT_EQ(Data("neap-history-0-0", "a").substr(17), "2");
  EXPECT_EQ(Data("neap-history-0-0", "b").substr(17), "1");
  EXPECT_EQ(Data("neap-history-0-0", "theirs"), "?");
}

TEST_F(HistoryStoreTest, ALowerEpochNeverOverwritesAHigherOne) {
  HistoryStore old_holder(context_, Options());
  HistoryStore new_holder(context_, Options());
  ASSERT_TRUE(Load(old_holder, 0, 5).ok());
  ASSERT_EQ(Save(old_holder, 0, {{"a", "old"}}), absl::OkStatus());
  const auto loaded = Load(new_holder, 0, 6);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->histories.at("a"), "old");
  // Claimed already, before anything is saved: what the old one sends now does not land.
  EXPECT_TRUE(absl::IsAborted(Save(old_holder, 0, {{"a", "late"}})));
  EXPECT_EQ(Data("neap-history-0-0", "a").substr(17), "old");
  ASSERT_EQ(Save(new_holder, 0, {{"a", "new"}}), absl::OkStatus());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = Save(old_holder, 0, {{"a", "later"}});
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(base::Message(status),
                HasSubstr("written in epoch 6, which is later than ours, 5"));
  }
  const auto again = Load(old_holder, 0, 5);
  EXPECT_TRUE(absl::IsFailedPrecondition(again.status())) << again.status();
  EXPECT_EQ(Found(0, 7), (Histories{{"a", "new"}}));
}

TEST_F(HistoryStoreTest, APartThatAFormerHolderMadeLateIsTakenOver) {
  HistoryStore old_holder(context_, Options());
  HistoryStore new_holder(context_, Options());
  ASSERT_TRUE(Load(old_holder, 0, 5).ok());
  ASSERT_TRUE(Load(new_holder, 0, 6).ok());  // there is nothing to claim
  ASSERT_EQ(Save(old_holder, 0, {{"a", "old"}, {"b", "old"}}), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(Save(new_holder, 0, {{"a", "new"}})));
  ASSERT_EQ(Save(new_holder, 0, {}), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(Save(old_holder, 0, {{"a", "late"}})));
  EXPECT_TRUE(absl::IsFailedPrecondition(Save(old_holder, 0, {})));
  EXPECT_EQ(Found(0, 7), (Histories{{"a", "new"}, {"b", "old"}}));
}

TEST_F(HistoryStoreTest, WhoStillWritesWhileItIsClaimedIsWaitedFor) {
  {
    HistoryStore store(context_, Options());
    ASSERT_TRUE(Load(store, 0, 1).ok());
    ASSERT_EQ(Save(store, 0, {{"a", "1"}}), absl::OkStatus());
  }
  const Json value = (*maps_.Find("neap-history-0-0"))["binaryData"]["a"];
  std::atomic<int> late = 0;
  maps_.SetBefore([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (request.method == "PATCH" && late++ < 2) {
      maps_.Patch("neap-history-0-0", {{"binaryData", {{"late", value}}}});
    }
    return std::nullopt;
  });
  EXPECT_EQ(Found(0, 2), (Histories{{"a", "1"}, {"late", "1"}}));
  EXPECT_EQ(late, 3);
}

TEST_F(HistoryStoreTest, WhatCannotBeReadIsNamedAndTheRestIsThere) {
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  ASSERT_EQ(Save(store, 0, {{"a", "1"}}), absl::OkStatus());
  maps_.Patch("neap-history-0-0", {{"binaryData",
                                    {{"cut", absl::Base64Escape(std::string("\x01\0\0", 3))},
                                     {"empty", ""},
                                     {"newer", absl::Base64Escape(std::string("\x02zzz"))},
                                     {"_zz", absl::Base64Escape("?")}}}});
  HistoryStore next(context_, Options());
  const auto loaded = Load(next, 0, 2);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->histories, (Histories{{"a", "1"}}));
  std::vector<std::string> texts;
  for (const absl::Status& error : loaded->unreadable) texts.emplace_back(base::Message(error));
  const std::string where = "ConfigMap neap/neap-history-0-0, key ";
  EXPECT_THAT(texts,
              UnorderedElementsAre(where + "cut: cut off after 3 bytes", where + "empty: empty",
                                   where + "newer: of version 2; this neapd knows 1",
                                   where + "_zz: not made from a uid"));
  // It stays until its target is saved or removed.
  ASSERT_EQ(Save(next, 0, {{"a", "2"}, {"cut", "whole"}}, {"empty"}), absl::OkStatus());
  EXPECT_EQ(Data("neap-history-0-0", "newer"), "\x02zzz");
  const auto again = Load(next, 0, 2);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->histories, (Histories{{"a", "2"}, {"cut", "whole"}}));
  EXPECT_THAT(again->unreadable, SizeIs(2));
}

TEST_F(HistoryStoreTest, AConfigMapThatMakesNoSenseIsAnErrorThatNamesIt) {
  const Json labels = {{"neap.dev/history", "neap"}, {"neap.dev/shard", "0"}};
  maps_.Patch("copy-of-history", {{"metadata", {{"labels", labels}}}});
  HistoryStore store(context_, Options());
  EXPECT_THAT(base::Message(Load(store, 0, 1).status()),
              HasSubstr("ConfigMap neap/copy-of-history: its label says"));
  maps_.Delete("copy-of-history");
  maps_.Patch("neap-history-0-0",
              {{"metadata", {{"labels", labels}, {"annotations", {{"neap.dev/epoch", "x"}}}}}});
  EXPECT_THAT(
      base::Message(Load(store, 0, 1).status()),
      HasSubstr("ConfigMap neap/neap-history-0-0: annotation neap.dev/epoch: \"x\" is no number"));
}

TEST_F(HistoryStoreTest, WhatWasWrittenThoughTheAnswerWasLostIsFound) {
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  std::atomic<bool> lose = true;
  maps_.SetAfter([&](const ApiServer::Request& request) -> std::optional<Answer> {
    if (!lose || request.method == "GET") return std::nullopt;
    return Refusal(504, "Timeout", "the server could not say in time");
  });
  EXPECT_FALSE(Save(store, 0, {{"a", "1"}}).ok());  // made
  EXPECT_FALSE(Save(store, 0, {{"a", "2"}, {"b", "1"}}).ok());
  lose = false;
  ASSERT_EQ(Save(store, 0, {{"b", "2"}}), absl::OkStatus());
  EXPECT_EQ(Found(0, 2), (Histories{{"a", "2"}, {"b", "2"}}));
}

TEST_F(HistoryStoreTest, ADeletedConfigMapIsMadeAnew) {
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  ASSERT_EQ(Save(store, 0, {{"a", "1"}}), absl::OkStatus());
  maps_.Delete("neap-history-0-0");
  EXPECT_TRUE(absl::IsNotFound(Save(store, 0, {{"a", "2"}})));
  ASSERT_EQ(Save(store, 0, {}), absl::OkStatus());
  EXPECT_EQ(Found(0, 2), (Histories{{"a", "2"}}));
}

TEST_F(HistoryStoreTest, OneWriteAtATimeAndTheLatestWins) {
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  ASSERT_EQ(Save(store, 0, {{"a", "0"}}), absl::OkStatus());
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  maps_.SetBefore([&](const ApiServer::Request&) -> std::optional<Answer> {
    most = std::max(most.load(), ++running);
    return std::nullopt;
  });
  maps_.SetAfter([&](const ApiServer::Request&) -> std::optional<Answer> {
    --running;
    return std::nullopt;
  });
  const size_t before = Writes().size();
  std::atomic<int> done = 0;
  for (int i = 1; i <= 500; ++i) {
    store.Save(0, {{"a", std::to_string(i)}}, {}, [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ++done;
    });
  }
  ASSERT_TRUE(WaitFor([&] { return done == 500; }));
  EXPECT_EQ(most, 1);
  EXPECT_LT(Writes().size() - before, 500U);
  maps_.SetBefore({});
  maps_.SetAfter({});
  EXPECT_EQ(Found(0, 2), (Histories{{"a", "500"}}));
}

TEST_F(HistoryStoreTest, WhatIsTooLargeOrHasNoKeyIsRefusedAndTheRestSaved) {
  HistoryStore store(context_, Options(1000));
  ASSERT_TRUE(Load(store, 0, 1).ok());
  const absl::Status large = Save(store, 0, {{"a", "1"}, {"big", std::string(1000, 'x')}});
  EXPECT_TRUE(absl::IsResourceExhausted(large));
  EXPECT_THAT(base::Message(large),
              HasSubstr("that of big has 1020 bytes, and a ConfigMap may have 1000"));
  EXPECT_TRUE(absl::IsInvalidArgument(Save(store, 0, {{"b", "1"}, {"", "1"}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Save(store, 0, {{std::string(300, 'u'), "1"}})));
  EXPECT_EQ(Found(0, 2, 1000), (Histories{{"a", "1"}, {"b", "1"}}));
}

TEST_F(HistoryStoreTest, AnyUidMakesAKeyAndComesBack) {
  Histories all;
  for (const char* uid :
       {"0f8e-11", "dir:/etc/neap/web.yaml#0", "..", ".a", "a.b", "A_b", "\xc3\xa4"}) {
    all[uid] = uid;
  }
  {
    HistoryStore store(context_, Options());
    ASSERT_TRUE(Load(store, 0, 1).ok());
    ASSERT_EQ(Save(store, 0, all), absl::OkStatus());
  }
  const Json map = *maps_.Find("neap-history-0-0");
  for (const auto& [key, value] : map["binaryData"].items()) {
    EXPECT_EQ(
        key.find_first_not_of("-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        std::string::npos)
        << key;
    EXPECT_FALSE(key.starts_with("..")) << key;
    EXPECT_NE(key, ".");
  }
  EXPECT_EQ(Found(0, 2), all);
}

TEST_F(HistoryStoreTest, WithoutALoadNothingIsSaved) {
  HistoryStore store(context_, Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(Save(store, 0, {{"a", "1"}})));
  maps_.SetBefore([&](const ApiServer::Request&) -> std::optional<Answer> {
    return Refusal(403, "Forbidden", "configmaps is forbidden: cannot list");
  });
  const auto loaded = Load(store, 0, 1);
  EXPECT_TRUE(absl::IsPermissionDenied(loaded.status())) << loaded.status();
  EXPECT_THAT(base::Message(loaded.status()), HasSubstr("configmaps is forbidden: cannot list"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Save(store, 0, {{"a", "1"}})));
  maps_.SetBefore({});
  EXPECT_TRUE(Load(store, 0, 1).ok());  // again
  EXPECT_EQ(Save(store, 0, {{"a", "1"}}), absl::OkStatus());
}

TEST_F(HistoryStoreTest, WhatIsForgottenIsCancelled) {
  std::atomic<bool> hold = true;
  const ApiServer::StopAtEnd stop(server_);
  HistoryStore store(context_, Options());
  ASSERT_TRUE(Load(store, 0, 1).ok());
  maps_.SetBefore([&](const ApiServer::Request&) -> std::optional<Answer> {
    WaitFor([&] { return !hold; });
    return std::nullopt;
  });
  testing_support::Guarded<std::vector<absl::Status>> results;
  base::Mutex mutex;
  std::vector<absl::Status> got;
  const auto note = [&](const absl::Status& status) {
    base::MutexLock lock(mutex);
    got.push_back(status);
    results.Set(got);
  };
  store.Save(0, {{"a", "1"}}, {}, note);
  store.Save(0, {{"a", "2"}}, {}, note);
  store.Load(1, 1, [&](const absl::StatusOr<LoadedHistories>& loaded) { note(loaded.status()); });
  store.Forget(0);
  store.Forget(1);
  ASSERT_TRUE(WaitFor([&] { return results.Get().size() == 3; }));
  for (const absl::Status& status : results.Get()) EXPECT_TRUE(absl::IsCancelled(status)) << status;
  hold = false;
  EXPECT_TRUE(absl::IsFailedPrecondition(Save(store, 0, {})));
}

}  // namespace
}  // namespace neap::kube
