// HpaView against a server that speaks the API's wire format: who scales what, what shadows come of
// HPAs, and servers that do not let them be read.
#include "autoscaler/kube/hpa_view.h"

#include <fmt/format.h>

#include "tests/kube/edge.h"

namespace neap::kube {
namespace {

using control::SpecChange;
using control::SpecGone;
using control::SpecsReplaced;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kHpas[] = "/apis/autoscaling/v2/horizontalpodautoscalers";

std::string Hpa(const std::string& name, const std::string& target,
                const std::string& status = "{}", const std::string& more = "") {
  return fmt::format(
      R"({{"metadata":{{"name":"{0}","namespace":"shop","uid":"u-{0}","resourceVersion":"5",
      "generation":1{3}}},"spec":{{"scaleTargetRef":{{"apiVersion":"apps/v1","kind":"Deployment",
      "name":"{1}"}},"minReplicas":1,"maxReplicas":9}},"status":{2}}})",
      name, target, status, more);
}

// An event is one line of a watch.
std::string Told(const std::string& type, std::string object) {
  std::erase(object, '\n');
  return Event(type, object);
}

class HpaViewTest : public Edge {
 protected:
  HpaViewTest() {
    handlers_.replaced = [this](std::vector<HpaTarget> all) {
      for (const HpaTarget& hpa : all) Note("has " + Text(hpa));
      Note("listed");
    };
    handlers_.changed = [this](const HpaTarget& hpa) { Note("has " + Text(hpa)); };
    handlers_.deleted = [this](const core::ObjectKey& key) { Note("gone " + key.Text()); };
    handlers_.unreadable = [this](const absl::Status& error) {
      Note("unreadable: " + std::string(base::Message(error)));
    };
    handlers_.refused = [this](const core::ObjectKey& key, const std::vector<std::string>& why) {
      Note(fmt::format("refused {}: {}", key.Text(), why.at(0)));
    };
    handlers_.shadow = [this](const control::Message&) { Note("shadow"); };
  }
  static std::string Text(const HpaTarget& hpa) {
    return fmt::format("{} of {}{}", hpa.key.Text(), hpa.target.Text(),
                       hpa.owner.empty() ? "" : " by " + hpa.owner);
  }
  void Note(std::string line) {
    base::MutexLock lock(mutex_);
    notes_.push_back(std::move(line));
  }
  std::vector<std::string> notes() {
    base::MutexLock lock(mutex_);
    return notes_;
  }
  bool AwaitNotes(size_t n) {
    return testing_support::WaitFor([&] { return notes().size() >= n; });
  }

  HpaHandlers handlers_;
  base::Mutex mutex_;
  std::vector<std::string> notes_ NEAP_GUARDED_BY(mutex_);
};

TEST_F(HpaViewTest, TellsWhoScalesWhatAndMakesNoShadows) {
  server_.On("GET", kHpas,
             {.body = List("7", Hpa("web", "web") + "," +
                                    Hpa("keda-hpa-jobs", "jobs", "{}",
                                        R"(,"ownerReferences":[{"apiVersion":"keda.sh/v1alpha1",
                                        "kind":"ScaledObject","name":"jobs","uid":"s"}])"))});
  HpaView view(context_, {}, handlers_, /*shadows=*/false);
  ASSERT_TRUE(server_.AwaitWatches(kHpas, 1));
  // It has another target now, and one that this version can't read in full counts all the same.
  server_.Send(kHpas, Told("MODIFIED", Hpa("web", "shop", R"({"desiredReplicas":3})")));
  server_.Send(kHpas, Told("ADDED", R"({"metadata":{"name":"odd","namespace":"shop","uid":"o",
      "resourceVersion":"8"},"spec":{"scaleTargetRef":{"kind":"Widget","name":"w",
      "apiVersion":"example.com/v2"},"maxReplicas":"many"}})"));
  server_.Send(kHpas, Told("DELETED", Hpa("web", "shop")));
  ASSERT_TRUE(AwaitNotes(6));
  EXPECT_THAT(notes(),
              ElementsAre("has shop/web of Deployment shop/web",
                          "has shop/keda-hpa-jobs of Deployment shop/jobs by ScaledObject jobs",
                          "listed", "has shop/web of Deployment shop/shop",
                          "has shop/odd of Widget shop/w", "gone shop/web"));
  EXPECT_THAT(messages(), IsEmpty());
}

TEST_F(HpaViewTest, ShadowsAreHpasWithWhatTheirControllerSays) {
  server_.On("GET", kHpas, {.body = List("7", Hpa("web", "web", R"({"desiredReplicas":2})"))});
  objects::DecodeOptions decode;
  decode.default_period = absl::Seconds(20);
  HpaView view(context_, decode, handlers_, /*shadows=*/true);
  ASSERT_TRUE(server_.AwaitWatches(kHpas, 1));
  const auto lists = All<SpecsReplaced>();
  ASSERT_EQ(lists.size(), 1U);
  EXPECT_EQ(lists[0].source, "hpa");
  ASSERT_EQ(lists[0].all.size(), 1U);
  const SpecChange& web = lists[0].all[0];
  EXPECT_TRUE(web.shadow);
  EXPECT_EQ(web.uid, "u-web");
  EXPECT_EQ(web.spec->kind, core::ObjectKind::kHpa);
  EXPECT_EQ(web.spec->guards, core::Guards::kNone);
  EXPECT_EQ(web.spec->period, absl::Seconds(20));
  EXPECT_EQ(web.status.desired_replicas, 2);
  // Metric values alone are no news; what its controller did is.
  server_.Send(kHpas, Told("MODIFIED", Hpa("web", "web", R"({"desiredReplicas":2,
      "currentReplicas":2,"currentMetrics":[{"type":""}]})")));
  server_.Send(kHpas, Told("MODIFIED", Hpa("web", "web", R"({"desiredReplicas":4,
      "currentReplicas":2,"lastScaleTime":"2026-01-01T00:00:00Z"})")));
  server_.Send(kHpas, Told("DELETED", Hpa("web", "web")));
  ASSERT_TRUE(Await<SpecGone>(1));
  const auto changes = All<SpecChange>();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].status.desired_replicas, 4);
  EXPECT_EQ(changes[0].status.current_replicas, 2);
  EXPECT_EQ(changes[0].status.last_scale_time, absl::FromUnixSeconds(1767225600));
  EXPECT_EQ(changes[0].spec, web.spec);
  EXPECT_EQ(All<SpecGone>()[0].uid, "u-web");
}

TEST_F(HpaViewTest, AnHpaThatCantBeReadStopsNoOtherAndIsSaidOnce) {
  const std::string odd =
      R"({"metadata":{"name":"odd","namespace":"shop","uid":"o","resourceVersion":"8"},
      "spec":{"scaleTargetRef":{"kind":"Deployment","name":"w","apiVersion":"apps/v1"},
      "maxReplicas":"many"}})";
  server_.On("GET", kHpas, {.body = List("7", odd + "," + Hpa("web", "web"))});
  HpaView view(context_, {}, handlers_, /*shadows=*/true);
  ASSERT_TRUE(server_.AwaitWatches(kHpas, 1));
  server_.Send(kHpas, Told("MODIFIED", odd));
  server_.Send(kHpas, Told("MODIFIED", Hpa("web", "web", R"({"desiredReplicas":3})")));
  ASSERT_TRUE(Await<SpecChange>(1));
  EXPECT_EQ(All<SpecsReplaced>()[0].all.size(), 1U);
  size_t refusals = 0;
  for (const std::string& note : notes()) {
    if (!note.starts_with("refused")) continue;
    ++refusals;
    EXPECT_THAT(note, HasSubstr("refused shop/odd: spec.maxReplicas: "));
  }
  EXPECT_EQ(refusals, 1U);
}

TEST_F(HpaViewTest, ADenialIsSaidOnceAndIsNoTrouble) {
  server_.On("GET", kHpas, Refusal(403, "Forbidden", "may not list HPAs"));
  HpaView view(context_, {}, handlers_, /*shadows=*/false);
  ASSERT_TRUE(server_.AwaitRequests(kHpas, 3));
  Settle();
  EXPECT_THAT(notes(), ElementsAre(HasSubstr("may not list HPAs")));
  EXPECT_THAT(reports(), IsEmpty());
  // The right is granted later.
  server_.On("GET", kHpas, {.body = List("7", Hpa("web", "web"))});
  ASSERT_TRUE(server_.AwaitWatches(kHpas, 1));
  ASSERT_TRUE(AwaitNotes(3));
  EXPECT_EQ(notes().back(), "listed");
}

TEST_F(HpaViewTest, OtherTroubleIsReported) {
  server_.On("GET", kHpas, Refusal(500, "InternalError", "etcd is away"));
  HpaView view(context_, {}, handlers_, /*shadows=*/false);
  ASSERT_TRUE(AwaitReport("HorizontalPodAutoscaler objects: "));
  EXPECT_THAT(notes(), IsEmpty());
}

}  // namespace
}  // namespace neap::kube
