// The tables behind the controller: pods by selector, scales by target, queries by content.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/control/pod_table.h"
#include "autoscaler/control/query_table.h"
#include "autoscaler/control/scale_table.h"
#include "autoscaler/control/subscriptions.h"
#include "tests/control/desk.h"

namespace neap::control {
namespace {

using ::testing::ElementsAre;

PodState PodOf(const std::string& name, const base::Labels& labels) {
  PodState state;
  state.pod.name = name;
  state.pod.phase = core::PodPhase::kRunning;
  state.pod.ready = core::PodReady::kTrue;
  state.labels = base::LabelSet(labels);
  return state;
}

PodTable::Set* Acquire(PodTable& table, const std::string& text) {
  return table.Acquire("shop", *base::Selector::Parse(text), text);
}

std::vector<std::string> Names(const PodTable::Set& set) {
  std::vector<std::string> names;
  for (const core::Pod& pod : set.pods) names.emplace_back(pod.name);
  return names;
}

TEST(PodTable, GroupsPodsBySelectorWhicheverCameFirst) {
  PodTable table;
  table.Replace({.ns = "shop",
                 .all = {PodOf("b", {{"app", "web"}}), PodOf("a", {{"app", "web"}}),
                         PodOf("c", {{"app", "db"}, {"tier", "x"}})}});
  PodTable::Set* web = Acquire(table, "app=web");
  PodTable::Set* tier = Acquire(table, "tier in (x,y)");
  PodTable::Set* rest = Acquire(table, "app!=web");
  table.Settle();
  EXPECT_THAT(Names(*web), ElementsAre("a", "b"));
  EXPECT_THAT(Names(*tier), ElementsAre("c"));
  EXPECT_THAT(Names(*rest), ElementsAre("c"));
  EXPECT_EQ(Acquire(table, "app=web"), web);
  EXPECT_EQ(table.pods(), 3u);
}

TEST(PodTable, ChangesMoveAPodBetweenSets) {
  PodTable table;
  PodTable::Set* web = Acquire(table, "app=web");
  PodTable::Set* db = Acquire(table, "app=db");
  table.Settle();
  table.Change({.ns = "shop", .name = "a", .pod = PodOf("a", {{"app", "web"}})});
  EXPECT_THAT(Names(*web), ElementsAre("a"));
  const uint64_t version = web->version;
  table.Change({.ns = "shop", .name = "a", .pod = PodOf("a", {{"app", "web"}, {"x", "y"}})});
  EXPECT_EQ(web->version, version);  // the same pods
  table.Change({.ns = "shop", .name = "a", .pod = PodOf("a", {{"app", "db"}})});
  EXPECT_THAT(Names(*web), ElementsAre());
  EXPECT_THAT(Names(*db), ElementsAre("a"));
  EXPECT_NE(web->version, version);
  table.Change({.ns = "shop", .name = "a", .pod = {}});
  EXPECT_EQ(table.pods(), 0u);
}

std::vector<std::string> OverlappingOf(const PodTable& table, const PodTable::Set& web) {
  std::vector<std::string> keys;
  table.Overlapping(web, "shop/web", /*assume_pods=*/false, /*shadows=*/false, &keys);
  return keys;
}

TEST(PodTable, OverlapsAreThoseWithAPodInCommon) {
  PodTable table;
  PodTable::Set* web = Acquire(table, "app=web");
  PodTable::Set* blue = Acquire(table, "colour=blue");
  table.Settle();
  web->Remember("web", /*shadow=*/false);
  blue->Remember("blue", /*shadow=*/false);
  table.Change({.ns = "shop", .name = "a", .pod = PodOf("a", {{"app", "web"}})});
  table.Change({.ns = "shop", .name = "b", .pod = PodOf("b", {{"colour", "blue"}})});
  EXPECT_THAT(OverlappingOf(table, *web), ElementsAre("shop/web"));
  table.Change(
      {.ns = "shop", .name = "c", .pod = PodOf("c", {{"app", "web"}, {"colour", "blue"}})});
  EXPECT_THAT(OverlappingOf(table, *web), ElementsAre("shop/blue", "shop/web"));
  table.Change({.ns = "shop", .name = "c", .pod = {}});
  EXPECT_THAT(OverlappingOf(table, *web), ElementsAre("shop/web"));
}

TEST(PodTable, ShadowsAreAmbiguousAmongThemselves) {
  PodTable table;
  PodTable::Set* web = Acquire(table, "app=web");
  const auto keys = [&](const std::string& self, bool shadows) {
    std::vector<std::string> found = {"what", "was", "there", "before"};
    table.Overlapping(*web, self, /*assume_pods=*/true, shadows, &found);
    return found;
  };
  web->Remember("web", false);
  web->Remember("web", false);
  web->Remember("a-name-that-is-longer", false);
  web->Remember("hpa", true);
  EXPECT_THAT(keys("shop/web", false), ElementsAre("shop/a-name-that-is-longer", "shop/web"));
  EXPECT_THAT(keys("shop/other", true), ElementsAre("shop/hpa", "shop/other"));
  web->Forget("hpa", false);  // it is a shadow
  web->Forget("web", false);
  EXPECT_THAT(keys("shop/hpa", true), ElementsAre("shop/hpa"));
  EXPECT_THAT(keys("shop/web", false), ElementsAre("shop/a-name-that-is-longer", "shop/web"));
  web->Forget("a-name-that-is-longer", false);
  web->Forget("hpa", true);
  EXPECT_THAT(keys("shop/web", false), ElementsAre("shop/web"));
  std::vector<std::string> none = {"what was there before"};
  table.Overlapping(*web, "shop/web", /*assume_pods=*/false, /*shadows=*/false, &none);
  EXPECT_THAT(none, ElementsAre());
}

// Whatever happens in whatever order, a set holds the pods that its selector matches.
TEST(PodTable, AgreesWithAPlainModel) {
  const std::vector<std::string> texts = {
      "",       "app",        "app=a",  "app=a,tier=x",   "app=b",         "app in (a,c)",
      "tier=x", "!tier",      "app!=a", "tier notin (x)", "app=c,tier!=x", "tier in (x,y),app=b",
      "size>3", "app=nobody", "app==a", "name=p3"};
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](int below) {
      return static_cast<int>(random() % static_cast<unsigned>(below));
    };
    PodTable table;
    std::map<std::string, base::Labels> pods;
    std::map<std::string, std::pair<PodTable::Set*, int>> sets;  // and how often acquired
    const auto labels_of = [&](const std::string& name) {
      base::Labels labels = {{"name", name}};
      if (draw(6) != 0) labels["app"] = std::string(1, "abcd"[draw(4)]);
      if (draw(2) != 0) labels["tier"] = std::string(1, "xyz"[draw(3)]);
      if (draw(3) == 0) labels["size"] = std::to_string(draw(8));
      return labels;
    };
    const auto acquire = [&] {
      const std::string& text = texts[static_cast<size_t>(draw(static_cast<int>(texts.size())))];
      auto& [set, users] = sets[text];
      PodTable::Set* got = Acquire(table, text);
      if (users++ > 0) {
        EXPECT_EQ(got, set);
      }
      set = got;
      if (users == 1) set->Remember(text.empty() ? "all" : text, false);
    };
    for (int step = 0; step < 300; ++step) {
      const std::string name = fmt::format("p{}", draw(30));
      switch (draw(8)) {
        case 0:
          acquire();
          break;
        case 1:
          if (const auto at = sets.begin(); at != sets.end()) {
            const auto one = std::next(at, draw(static_cast<int>(sets.size())));
            one->second.first->Forget(one->first.empty() ? "all" : one->first, false);
            table.Release(one->second.first);
            if (--one->second.second == 0) {
              sets.erase(one);
            } else {
              one->second.first->Remember(one->first.empty() ? "all" : one->first, false);
            }
          }
          break;
        case 2: {
          PodsReplaced list{.ns = "shop", .all = {}};
          pods.clear();
          for (int i = draw(25); i > 0; --i) {
            const std::string one = fmt::format("p{}", draw(30));
            pods[one] = labels_of(one);
            list.all.push_back(PodOf(one, pods[one]));
          }
          table.Replace(std::move(list));
          break;
        }
        case 3:
          pods.erase(name);
          table.Change({.ns = "shop", .name = name, .pod = {}});
          break;
        default:
          pods[name] = labels_of(name);
          table.Change({.ns = "shop", .name = name, .pod = PodOf(name, pods[name])});
      }
      table.Settle();
      EXPECT_EQ(table.pods(), pods.size());
      std::map<std::string, std::vector<std::string>> matched;
      for (const auto& [text, set] : sets) {
        const auto selector = *base::Selector::Parse(text);
        std::vector<std::string>& names = matched[text];
        for (const auto& [pod, labels] : pods) {
          if (selector.Matches(labels)) names.push_back(pod);
        }
        ASSERT_EQ(Names(*set.first), names) << "seed " << seed << " step " << step << ": " << text;
      }
      for (const auto& [text, set] : sets) {
        std::set<std::string> wanted;
        if (!matched[text].empty()) wanted.insert("shop/self");
        for (const auto& [other, names] : matched) {
          std::vector<std::string> common;
          std::set_intersection(names.begin(), names.end(), matched[text].begin(),
                                matched[text].end(), std::back_inserter(common));
          if (!common.empty()) wanted.insert("shop/" + (other.empty() ? "all" : other));
        }
        std::vector<std::string> keys;
        table.Overlapping(*set.first, "shop/self", false, false, &keys);
        ASSERT_EQ(keys, std::vector<std::string>(wanted.begin(), wanted.end()))
            << "seed " << seed << " step " << step << ": " << text;
      }
    }
  }
}

// The budget of a target that needs no pods, in a namespace with very many: its set, with its
// selector, what it remembers and what it is found by. (A sanitizer's allocator has other sizes.)
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(PodTable, ASetThatSeesNoPodTakesAtMost150Bytes) {
  constexpr size_t kSets = 10'000;
  const auto used = [] {  // large blocks are counted apart
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const size_t before = used();
  PodTable table;
  for (size_t i = 0; i < kSets; ++i) {
    Acquire(table, fmt::format("app=checkout-{}", i))
        ->Remember(fmt::format("checkout-{}", i), false);
  }
  table.Settle();
  const double each = static_cast<double>(used() - before) / kSets;
  std::printf("bytes per set: %.1f\n", each);
  EXPECT_LE(each, 150);
}
#endif

TEST(PodTable, RequestsOfOneTemplateAreOne) {
  PodTable table;
  PodTable::Set* web = Acquire(table, "app=web");
  table.Settle();
  const auto requests = base::Shared<core::PodRequests>::Of({});
  for (int i = 0; i < 5; ++i) {
    PodState pod = PodOf(fmt::format("p{}", i), {{"app", "web"}});
    pod.requests = requests;
    table.Change({.ns = "shop", .name = std::string(pod.pod.name), .pod = pod});
  }
  EXPECT_EQ(web->requests().size(), 1u);
}

TEST(ScaleTable, VersionsAreDecimalsOfAnyLength) {
  EXPECT_EQ(ScaleTable::CompareVersions("9", "10"), -1);
  EXPECT_EQ(ScaleTable::CompareVersions("0010", "10"), 0);
  EXPECT_EQ(ScaleTable::CompareVersions("18446744073709551617", "18446744073709551616"), 1);
  EXPECT_EQ(ScaleTable::CompareVersions("x1", "10"), std::nullopt);
  EXPECT_EQ(ScaleTable::CompareVersions("", "10"), std::nullopt);
}

TEST(ScaleTable, AReplyIsNotOlderThanTheWatchEventThatOvertookIt) {
  ScaleTable table;
  const TargetRef ref{.group = "apps", .kind = "Deployment", .ns = "shop", .name = "web"};
  table.Use(ref);
  core::Scale scale{.uid = "u",
                    .resource_version = "12",
                    .spec_replicas = 9,
                    .status_replicas = 5,
                    .selector = "app=web"};
  table.Change({.target = ref, .scale = scale, .error = {}});
  scale.resource_version = "11";
  scale.spec_replicas = 8;
  table.Written(ref, scale, 8);
  EXPECT_EQ(table.Find(ref)->scale->spec_replicas, 9);
}

TEST(ScaleTable, ASelectorThatDoesNotParseIsKeptAsAnError) {
  ScaleTable table;
  const TargetRef ref{.group = "apps", .kind = "Deployment", .ns = "shop", .name = "web"};
  table.Use(ref);
  const core::Scale scale{.uid = "u",
                          .resource_version = "1",
                          .spec_replicas = 1,
                          .status_replicas = 1,
                          .selector =
                              "app=="
                              "==web"};
  table.Change({.target = ref, .scale = scale, .error = {}});
  EXPECT_TRUE(table.Find(ref)->selector_error.has_value());
}

TEST(Subscriptions, EqualContentHasEqualIds) {
  core::MetricSpec metric = Desk::Spec("web").metrics[0];
  const Subscription a = *QueryOf(metric, "shop", std::nullopt);
  const Subscription b = *QueryOf(metric, "shop", "app=other");  // External asks for no pods
  EXPECT_EQ(ContentId(a), ContentId(b));
  EXPECT_NE(ContentId(a), ContentId(*QueryOf(metric, "shop2", std::nullopt)));
  metric.source = core::MetricSource::kPods;
  EXPECT_FALSE(QueryOf(metric, "shop", std::nullopt).has_value());
  EXPECT_TRUE(QueryOf(metric, "shop", "app=web").has_value());
}

TEST(Subscriptions, TheObjectMattersOnlyWhereTheTypeKeysOnIt) {
  const core::TriggerSpec trigger{.type = "redis", .name = "", .metadata = {{"listName", "jobs"}}};
  const core::AutoscalerSpec a = Desk::Spec("a");
  const core::AutoscalerSpec b = Desk::Spec("b");
  const auto id = [&](const core::AutoscalerSpec& spec, bool object) {
    return ContentId(*QueryOf(trigger, spec, spec.uid, {.object = object}, std::nullopt));
  };
  EXPECT_EQ(id(a, false), id(b, false));
  EXPECT_NE(id(a, true), id(b, true));
}

// Values per pod find their pods by name; those of unlisted pods are kept, as upstream averages
// them in.
TEST(Queries, PodSamplesAreJoinedWhicheverCameFirst) {
  PodTable pods;
  QueryTable queries(&pods);
  core::MetricSpec metric;
  metric.source = core::MetricSource::kPods;
  metric.name = "rps";
  Query* query = queries.Use(*QueryOf(metric, "shop", "app=web"), nullptr, absl::Seconds(15));
  pods.Settle();
  for (const char* name : {"a", "b", "c"}) {
    pods.Change({.ns = "shop", .name = name, .pod = PodOf(name, {{"app", "web"}})});
  }
  MetricReading reading;
  reading.reading.form = core::Reading::Form::kPods;
  reading.pod_samples = {{.pod = "zz", .milli = 9, .at = kStart, .window = {}},
                         {.pod = "b", .milli = 2, .at = kStart, .window = {}},
                         {.pod = "a", .milli = 1, .at = kStart, .window = {}}};
  uint64_t unknown = 0;
  queries.Answered(*query,
                   {.trigger_id = query->id(), .round = 0, .metrics = {reading}, .error = {}},
                   kStart, &unknown);
  const core::Reading* joined = queries.Read(*query, 0);
  ASSERT_EQ(joined->pods.by_pod.size(), 3u);
  EXPECT_EQ(joined->pods.by_pod[0].milli, 1);
  EXPECT_EQ(joined->pods.by_pod[1].milli, 2);
  EXPECT_FALSE(joined->pods.by_pod[2].present);
  EXPECT_THAT(joined->pods.stray, ElementsAre(9));
  const uint64_t sequence = joined->sequence;
  pods.Change({.ns = "shop", .name = "zz", .pod = PodOf("zz", {{"app", "web"}})});
  joined = queries.Read(*query, 0);
  ASSERT_EQ(joined->pods.by_pod.size(), 4u);
  EXPECT_EQ(joined->pods.by_pod[3].milli, 9);
  EXPECT_EQ(joined->sequence, sequence);
}

TEST(Queries, TheSameDatedReadingKeepsItsSequence) {
  PodTable pods;
  QueryTable queries(&pods);
  const core::MetricSpec metric = Desk::Spec("web").metrics[0];
  Query* query = queries.Use(*QueryOf(metric, "shop", std::nullopt), nullptr, absl::Seconds(1));
  const auto answer = [&](int64_t milli, absl::Time sampled, bool fails = false) {
    MetricReading reading;
    reading.reading.form = core::Reading::Form::kMilli;
    reading.reading.milli = {milli};
    reading.reading.observed_at = kStart + absl::Minutes(1);
    reading.reading.sampled_at = sampled;
    TriggerReading message{.trigger_id = "", .round = 0, .metrics = {reading}, .error = {}};
    if (fails) message.error = core::ReadingError{core::ErrorKind::kUnavailable, "down"};
    uint64_t unknown = 0;
    queries.Answered(*query, std::move(message), kStart + absl::Hours(1), &unknown);
    return queries.Read(*query, 0)->sequence;
  };
  const uint64_t first = answer(5, kStart);
  EXPECT_EQ(answer(5, kStart), first);
  answer(5, kStart, /*fails=*/true);
  EXPECT_EQ(answer(5, kStart), first);  // an error between does not make it another
  EXPECT_GT(answer(5, kStart + absl::Seconds(1)), first);
  EXPECT_NE(answer(5, absl::InfinitePast()), answer(5, absl::InfinitePast()));  // undated
}

TEST(Queries, AnOlderPushDoesNotReplaceANewerReading) {
  Desk desk;
  desk.values["web"] = 50'000;
  desk.Put(Desk::Spec("web"));
  desk.SyncSpecs();
  desk.Step();
  desk.Scale("web", 5);
  desk.Run(absl::Seconds(1));
  MetricReading reading;
  reading.reading.form = core::Reading::Form::kMilli;
  reading.reading.milli = {90'000};
  reading.reading.observed_at = kStart - absl::Seconds(10);
  desk.In(TriggerReading{
      .trigger_id = desk.IdOf("web"), .round = 0, .metrics = {reading}, .error = {}});
  EXPECT_THAT(desk.Step(), ElementsAre());
}

}  // namespace
}  // namespace neap::control
