// The views against a server that speaks the API's wire format: which messages come of lists,
// events, relists, and of kinds and namespaces that join and leave.
#include <atomic>
#include <optional>

#include "autoscaler/kube/autoscaler_view.h"
#include "autoscaler/kube/pod_views.h"
#include "autoscaler/kube/scale_views.h"
#include "tests/kube/edge.h"

namespace neap::kube {
namespace {

using control::ScaleChange;
using control::ScalesReplaced;
using control::TargetRef;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using testing_support::WaitFor;

// ---- scales

constexpr char kDeployments[] = "/apis/apps/v1/deployments";

std::string Deployment(const std::string& name, int replicas, const std::string& version = "1",
                       const std::string& ns = "shop") {
  return R"({"metadata":{"name":")" + name + R"(","namespace":")" + ns + R"(","uid":"u-)" + name +
         R"(","resourceVersion":")" + version + R"("},"spec":{"replicas":)" +
         std::to_string(replicas) + R"(,"selector":{"matchLabels":{"app":")" + name +
         R"("}}},"status":{"replicas":)" + std::to_string(replicas) + "}}";
}
TargetRef Target(const std::string& name, const std::string& kind = "Deployment",
                 const std::string& group = "apps") {
  return {.group = group, .kind = kind, .ns = "shop", .name = name};
}
// "web=3", "web gone" or "web: error".
std::string Text(const ScaleChange& change) {
  if (change.error) return change.target.name + ": " + change.error->message;
  if (!change.scale) return change.target.name + " gone";
  return change.target.name + "=" + std::to_string(change.scale->spec_replicas);
}
template <typename Changes>
std::vector<std::string> Texts(const Changes& changes) {
  std::vector<std::string> out;
  for (const ScaleChange& change : changes) out.push_back(Text(change));
  return out;
}

class ScaleViewsTest : public Edge {
 protected:
  void ServeWidgets() {
    server_.On("GET", "/apis/example.com",
               {.body = R"({"kind":"APIGroup","preferredVersion":{"version":"v1"},
                   "versions":[{"version":"v1"}]})"});
    server_.On("GET", "/apis/example.com/v1",
               {.body = R"({"resources":[{"name":"widgets","kind":"Widget","namespaced":true},
                   {"name":"widgets/scale","kind":"Scale","namespaced":true}]})"});
  }
  static std::string WidgetPath(const std::string& name) {
    return "/apis/example.com/v1/namespaces/shop/widgets/" + name + "/scale";
  }
  static std::string Scale(int replicas) {
    return R"({"kind":"Scale","metadata":{"uid":"u","resourceVersion":"1"},"spec":{"replicas":)" +
           std::to_string(replicas) + R"(},"status":{"replicas":1,"selector":"a=b"}})";
  }
  static TargetRef Widget(const std::string& name) { return Target(name, "Widget", "example.com"); }
};

TEST_F(ScaleViewsTest, AWatchedKindIsWholeThenChangesOneByOne) {
  server_.On("GET", kDeployments,
             {.body = List("7", Deployment("web", 3) + "," + Deployment("db", 0))});
  ScaleViews views(context_);
  views.SetTargets({Target("web")});
  ASSERT_TRUE(server_.AwaitWatches(kDeployments, 1));
  auto lists = All<ScalesReplaced>();
  ASSERT_EQ(lists.size(), 1U);
  EXPECT_EQ(lists[0].group, "apps");
  EXPECT_EQ(lists[0].kind, "Deployment");
  EXPECT_THAT(Texts(lists[0].all), UnorderedElementsAre("web=3", "db=0"));
  EXPECT_EQ(lists[0].all[0].scale->selector, "app=web");
  server_.Send(kDeployments, Event("MODIFIED", Deployment("web", 5, "8")));
  server_.Send(kDeployments, Event("DELETED", Deployment("web", 5, "9")));
  ASSERT_TRUE(Await<ScaleChange>(2));
  EXPECT_THAT(Texts(All<ScaleChange>()), ElementsAre("web=5", "web gone"));
  EXPECT_EQ(All<ScaleChange>()[0].scale->resource_version, "8");
  // A new target of the kind is known already: nobody is asked.
  const size_t asked = server_.Requests().size();
  views.SetTargets({Target("db"), Target("web")});
  Settle();
  EXPECT_EQ(server_.Requests().size(), asked);
}

TEST_F(ScaleViewsTest, ARelistReplacesWhenItIsComplete) {
  std::atomic<int> n = 0;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("GET", kDeployments, {.body = List("7", Deployment("web", 3))});
  ScaleViews views(context_);
  views.SetTargets({Target("web")});
  ASSERT_TRUE(server_.AwaitWatches(kDeployments, 1));
  server_.On("GET", kDeployments, [&](const ApiServer::Request& request) -> Answer {
    if (n++ == 1) return Refusal(500, "InternalError", "boom");  // between two pages
    if (request.Query("continue").empty()) return {.body = List("20", Deployment("web", 4), "t")};
    return {.body = List("20", Deployment("db", 1))};
  });
  server_.Send(kDeployments, Event("ERROR", Refusal(410, "Expired", "too old").body));
  ASSERT_TRUE(Await<ScalesReplaced>(2));
  ASSERT_TRUE(server_.AwaitWatches(kDeployments, 2));
  const auto lists = All<ScalesReplaced>();
  ASSERT_EQ(lists.size(), 2U);
  EXPECT_THAT(Texts(lists[1].all), ElementsAre("web=4", "db=1"));
  EXPECT_TRUE(AwaitReport("deployments: "));
}

TEST_F(ScaleViewsTest, AKindThatNobodyNeedsIsNoLongerWatched) {
  server_.On("GET", kDeployments, {.body = List("7", Deployment("web", 3))});
  ScaleViews views(context_);
  views.SetTargets({Target("web")});
  ASSERT_TRUE(server_.AwaitWatches(kDeployments, 1));
  ASSERT_TRUE(Await<ScalesReplaced>(1));
  views.SetTargets({});
  Settle();
  const size_t before = messages().size();
  server_.Send(kDeployments, Event("MODIFIED", Deployment("web", 5, "8")));
  Settle();
  EXPECT_EQ(messages().size(), before);
  views.SetTargets({Target("web")});  // and starts from a new list
  ASSERT_TRUE(Await<ScalesReplaced>(2));
}

TEST_F(ScaleViewsTest, AQuietKindIsHeardOf) {
  server_.On("GET", kDeployments, {.body = List("7", Deployment("web", 3))});
  context_.watch.idle_timeout = absl::Milliseconds(1100);  // a message a second at most
  ScaleViews views(context_);
  views.SetTargets({Target("web")});
  ASSERT_TRUE(Await<control::ViewHeard>(3));
  for (const auto& heard : All<control::ViewHeard>()) {
    EXPECT_EQ(heard.view, control::View::kScales);
    EXPECT_EQ(heard.scope, "apps/Deployment");
  }
  EXPECT_THAT(All<ScalesReplaced>(), SizeIs(1));
}

TEST_F(ScaleViewsTest, SeveralNamespacesAreOneView) {
  context_.namespaces = {"shop", "ops"};
  const std::string shop = "/apis/apps/v1/namespaces/shop/deployments";
  const std::string ops = "/apis/apps/v1/namespaces/ops/deployments";
  std::atomic<bool> ops_up = false;
  std::atomic<int> relists = 0;
  const ApiServer::StopAtEnd stop(server_);
  server_.On("GET", shop, {.body = List("7", Deployment("web", 3))});
  server_.On("GET", ops, [&](const ApiServer::Request&) -> Answer {
    if (!ops_up) return Refusal(403, "Forbidden", "not yours");
    return {.body = List("9", Deployment("db", 1, "1", "ops"))};
  });
  ScaleViews views(context_);
  views.SetTargets({Target("web")});
  ASSERT_TRUE(server_.AwaitWatches(shop, 1));
  ASSERT_TRUE(AwaitReport("not yours"));
  EXPECT_THAT(messages(), IsEmpty());  // half a list is no list
  server_.Send(shop, Event("MODIFIED", Deployment("web", 5, "8")));
  server_.Send(shop, Event("ADDED", Deployment("new", 2, "9")));
  server_.Send(shop, Bookmark("10"));
  // The one that has its list loses it meanwhile and is listing anew, in vain, when the other
  // comes.
  server_.On("GET", shop, [&](const ApiServer::Request&) -> Answer {
    ++relists;
    return {.body = "garbage"};
  });
  server_.Send(shop, Event("ERROR", Refusal(410, "Expired", "too old").body));
  ASSERT_TRUE(WaitFor([&] { return relists >= 2; }));
  ops_up = true;
  ASSERT_TRUE(Await<ScalesReplaced>(1));
  EXPECT_THAT(Texts(All<ScalesReplaced>()[0].all), UnorderedElementsAre("web=5", "new=2", "db=1"));
  // A relist of one becomes single changes.
  server_.On("GET", shop, {.body = List("20", Deployment("web", 6))});
  ASSERT_TRUE(Await<ScaleChange>(2));
  EXPECT_THAT(Texts(All<ScaleChange>()), ElementsAre("web=6", "new gone"));
  EXPECT_THAT(All<ScalesReplaced>(), SizeIs(1));
}

TEST_F(ScaleViewsTest, OtherKindsAreReadOneByOne) {
  ServeWidgets();
  server_.On("GET", WidgetPath("a"), {.body = Scale(3)});
  server_.On("GET", WidgetPath("b"), Refusal(403, "Forbidden", "not yours"));
  ScaleViews views(context_, {.poll_period = absl::Milliseconds(20)});
  views.SetTargets(
      {Widget("a"), Widget("b"), Widget("gone"), Target("x", "Gadget", "example.com")});
  ASSERT_TRUE(WaitFor([&] {
    const auto texts = Texts(All<ScaleChange>());
    return texts.size() >= 12;
  }));
  const auto texts = Texts(All<ScaleChange>());
  EXPECT_THAT(texts, Contains("a=3"));
  EXPECT_THAT(texts, Contains("b: not yours"));
  EXPECT_THAT(texts, Contains("gone gone"));
  EXPECT_THAT(texts, Contains("x: no matches for kind \"Gadget\" in group \"example.com\""));
  EXPECT_THAT(All<ScalesReplaced>(), IsEmpty());
  // One that comes later does not look as if it did not exist until it was read.
  server_.On("GET", WidgetPath("late"), {.body = Scale(4)});
  const size_t before = All<ScaleChange>().size();
  views.SetTargets({Widget("late")});
  ASSERT_TRUE(Await<ScaleChange>(before + 3));
  for (const ScaleChange& change : All<ScaleChange>()) {
    if (change.target.name == "late") {
      EXPECT_EQ(Text(change), "late=4");
    }
  }
}

TEST_F(ScaleViewsTest, RefreshReadsAtOnceAndKeepsOnePace) {
  ServeWidgets();
  server_.On("GET", WidgetPath("a"), {.body = Scale(3)});
  ScaleViews views(context_, {.poll_period = absl::Milliseconds(400)});
  views.SetTargets({Widget("a")});
  ASSERT_TRUE(Await<ScaleChange>(1));
  for (size_t i = 2; i <= 10; ++i) {
    views.Refresh(Widget("a"));
    ASSERT_TRUE(Await<ScaleChange>(i));
  }
  views.Refresh(Widget("stranger"));  // no target: nothing happens
  const base::Clock clock;
  ASSERT_TRUE(Await<ScaleChange>(13));
  EXPECT_GE(clock.Elapsed(), absl::Milliseconds(900));  // 3 periods, not 3 of 10 paces
  for (const auto& request : server_.Requests()) {
    EXPECT_THAT(request.path, ::testing::Not(HasSubstr("stranger")));
  }
}

TEST_F(ScaleViewsTest, GarbageIsAnErrorAndNotZero) {
  ServeWidgets();
  server_.On("GET", WidgetPath("a"), {.body = "{}"});
  ScaleViews views(context_);
  views.SetTargets({Widget("a")});
  ASSERT_TRUE(Await<ScaleChange>(1));
  const ScaleChange change = All<ScaleChange>()[0];
  EXPECT_FALSE(change.scale.has_value());
  ASSERT_TRUE(change.error.has_value());
  EXPECT_EQ(change.error->kind, core::ErrorKind::kBadAnswer);
  EXPECT_TRUE(AwaitReport("scale of Widget shop/a: "));
}

// ---- pods

class PodViewsTest : public Edge {
 protected:
  static std::string Path(const std::string& ns) { return "/api/v1/namespaces/" + ns + "/pods"; }
  static std::string Pod(const std::string& name, const std::string& version = "1") {
    return R"({"metadata":{"name":")" + name + R"(","namespace":"shop","resourceVersion":")" +
           version + R"(","labels":{"app":"web"}},"spec":{"containers":[]},"status":{}})";
  }
};

TEST_F(PodViewsTest, NamespacesJoinAndLeave) {
  server_.On("GET", Path("shop"), {.body = List("7", Pod("a") + "," + Pod("b"))});
  server_.On("GET", Path("ops"), {.body = List("3", "")});
  context_.namespaces = {"shop", "ops", "other"};  // each view looks at its own alone
  PodViews views(context_);
  views.SetNamespaces({"ops", "shop"});
  ASSERT_TRUE(server_.AwaitWatches(Path("shop"), 1));
  ASSERT_TRUE(server_.AwaitWatches(Path("ops"), 1));
  ASSERT_TRUE(Await<control::PodsReplaced>(2));
  for (const auto& list : All<control::PodsReplaced>()) {
    EXPECT_EQ(list.all.size(), list.ns == "shop" ? 2U : 0U);
    if (list.ns == "shop") {
      EXPECT_EQ(list.all[0].labels, list.all[1].labels);
    }
  }
  server_.Send(Path("shop"), Event("ADDED", Pod("c", "8")) + Event("DELETED", Pod("a", "9")));
  ASSERT_TRUE(Await<control::PodChange>(2));
  const auto changes = All<control::PodChange>();
  EXPECT_EQ(changes[0].ns, "shop");
  EXPECT_EQ(changes[0].name, "c");
  EXPECT_TRUE(changes[0].pod.has_value());
  EXPECT_EQ(changes[1].name, "a");
  EXPECT_FALSE(changes[1].pod.has_value());

  views.SetNamespaces({"ops"});
  Settle();
  const size_t before = messages().size();
  server_.Send(Path("shop"), Event("ADDED", Pod("d", "10")));
  Settle();
  EXPECT_EQ(messages().size(), before);
  EXPECT_EQ(server_.Watches(Path("ops")), 1U);  // that one goes on
  views.SetNamespaces({"ops", "shop"});
  ASSERT_TRUE(Await<control::PodsReplaced>(3));
}

TEST_F(PodViewsTest, ARelistReplacesAndOddPodsAreReported) {
  server_.On("GET", Path("shop"), {.body = List("7", Pod("a"))});
  PodViews views(context_);
  views.SetNamespaces({"shop"});
  ASSERT_TRUE(server_.AwaitWatches(Path("shop"), 1));
  server_.On("GET", Path("shop"),
             {.body = List("20", R"({"metadata":{"name":"odd"},"spec":{"containers":[{"name":"c",
                 "resources":{"requests":{"cpu":"lots"}}}]},"status":{}})")});
  server_.Send(Path("shop"), Event("ERROR", Refusal(410, "Expired", "too old").body));
  ASSERT_TRUE(Await<control::PodsReplaced>(2));
  const auto list = All<control::PodsReplaced>()[1];
  ASSERT_EQ(list.all.size(), 1U);
  EXPECT_TRUE(list.all[0].requests->containers[0].requests.empty());
  EXPECT_TRUE(AwaitReport("pod shop/odd: resources.requests.cpu"));
}

// ---- Autoscaler objects

constexpr char kObjects[] = "/apis/neap.dev/v1alpha1/autoscalers";

std::string Object(const std::string& name, int generation, const std::string& spec = "",
                   const std::string& uid = "", const std::string& status = "{}") {
  return R"({"apiVersion":"neap.dev/v1alpha1","kind":"Autoscaler","metadata":{"name":")" + name +
         R"(","namespace":"shop","uid":")" + (uid.empty() ? "uid-" + name : uid) +
         R"(","resourceVersion":"1)" + std::to_string(generation) + R"(","generation":)" +
         std::to_string(generation) +
         R"(},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":")" +
         name + R"("},"maxReplicas":)" + std::to_string(10 + generation) +
         R"(,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":)"
         R"({"type":"Utilization","averageUtilization":60}}}])" +
         spec + R"(},"status":)" + status + "}";
}
// minReplicas above maxReplicas.
std::string Bad(const std::string& name, int generation) {
  return Object(name, generation, R"(,"minReplicas":1000)");
}

class AutoscalerViewTest : public Edge {
 protected:
  // News and messages in one order: "web Live", "web refused: ...", "list: a b", "change a 12",
  // "gone uid-a".
  void Start() {
    context_.sink = [this](control::Message message) { Add(TextOf(message)); };
    view_.emplace(context_, objects::DecodeOptions{}, [this](const ObjectNews& news) {
      std::string text = news.key.name;
      if (news.errors.empty()) {
        text += " " + std::string(objects::ModeName(news.mode));
      } else {
        text += " refused: " + news.errors[0];
      }
      for (const std::string& warning : news.warnings) text += " warning: " + warning;
      for (const auto& condition : news.own_conditions) text += " has " + condition.type;
      Add(text);
    });
  }
  ~AutoscalerViewTest() override { view_.reset(); }

  std::vector<std::string> lines() const {
    base::MutexLock lock(mutex_);
    return lines_;
  }
  bool AwaitLines(size_t n) const {
    return WaitFor([&] { return lines().size() >= n; });
  }
  void Clear() {
    base::MutexLock lock(mutex_);
    lines_.clear();
  }

  std::optional<AutoscalerView> view_;

 private:
  void Add(std::string line) {
    if (line.empty()) return;
    base::MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  static std::string TextOf(const control::Message& message) {
    if (const auto* list = std::get_if<control::SpecsReplaced>(&message)) {
      EXPECT_EQ(list->source, "api");
      std::string text = "list:";
      for (const auto& change : list->all) {
        text += " " + change.spec->key.name + "/" + std::to_string(change.spec->max_replicas);
      }
      return text;
    }
    if (const auto* change = std::get_if<control::SpecChange>(&message)) {
      EXPECT_EQ(change->source, "api");
      return "change " + change->spec->key.name + "/" + std::to_string(change->spec->max_replicas) +
             " desired " + std::to_string(change->status.desired_replicas);
    }
    if (const auto* gone = std::get_if<control::SpecGone>(&message)) return "gone " + gone->uid;
    return "";  // ViewHeard
  }

  mutable base::Mutex mutex_;
  std::vector<std::string> lines_ NEAP_GUARDED_BY(mutex_);
};

TEST_F(AutoscalerViewTest, ModesComeBeforeTheMessageThatBringsTheObject) {
  server_.On("GET", kObjects,
             {.body = List("7", Object("web", 1) + "," +
                                    Object("db", 2, R"(,"mode":"DryRun")", "",
                                           R"({"currentReplicas":1,"desiredReplicas":4,"conditions":
                                           [{"type":"DryRun","status":"True"}]})"))});
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kObjects, 1));
  EXPECT_THAT(lines(), ElementsAre("web Live", "db DryRun has DryRun", "list: web/11 db/12"));
  Clear();
  server_.Send(kObjects, Event("ADDED", Object("new", 3, "", "",
                                               R"({"currentReplicas":1,"desiredReplicas":4})")));
  server_.Send(kObjects, Event("MODIFIED", Object("web", 2, R"(,"mode":"Paused")")));
  server_.Send(kObjects, Event("DELETED", Object("db", 2)));
  ASSERT_TRUE(AwaitLines(5));
  EXPECT_THAT(lines(), ElementsAre("new Live", "change new/13 desired 4", "web Paused",
                                   "change web/12 desired 0", "gone uid-db"));
}

// Another process, which takes over one day, goes on from the status that was written last.
TEST_F(AutoscalerViewTest, AStatusAloneIsToldToControlAndIsNoNews) {
  server_.On("GET", kObjects, {.body = List("7", Object("web", 1))});
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kObjects, 1));
  Clear();
  server_.Send(kObjects, Event("MODIFIED", Object("web", 1, "", "", R"({"desiredReplicas":4})")));
  server_.Send(kObjects, Event("MODIFIED", Object("web", 1, R"(,"mode":"DryRun")")));
  ASSERT_TRUE(AwaitLines(3));
  EXPECT_THAT(lines(),
              ElementsAre("change web/11 desired 4", "web DryRun", "change web/11 desired 0"));
}

TEST_F(AutoscalerViewTest, ABadObjectStopsNoOtherAndKeepsWhatItSaidBefore) {
  server_.On(
      "GET", kObjects,
      {.body = List("7", Bad("bad", 1) + "," + Object("web", 1) + "," +
                             R"({"metadata":{"name":"empty","namespace":"shop","uid":"e"}})" + "," +
                             Object("odd", 1, R"(,"surprise":1)"))});
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kObjects, 1));
  auto seen = lines();
  ASSERT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen[0], "web Live");
  EXPECT_THAT(seen[1], HasSubstr("odd Live warning: spec.surprise"));
  EXPECT_EQ(seen[2], "list: web/11 odd/11");
  EXPECT_THAT(seen[3], HasSubstr("bad refused: spec.maxReplicas: Invalid value: 11"));
  EXPECT_THAT(seen[4], HasSubstr("empty refused: "));
  Clear();
  // A good one turns bad: what it said stays in force. Said once per generation.
  server_.Send(kObjects, Event("MODIFIED", Bad("web", 2)));
  server_.Send(kObjects, Event("MODIFIED", Bad("web", 2)));
  server_.Send(kObjects, Event("MODIFIED", Bad("web", 3)));
  server_.Send(kObjects, Event("MODIFIED", Object("bad", 2)));
  ASSERT_TRUE(AwaitLines(4));
  seen = lines();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_THAT(seen[0], HasSubstr("web refused: "));
  EXPECT_THAT(seen[1], HasSubstr("web refused: "));
  EXPECT_EQ(seen[2], "bad Live");
  EXPECT_EQ(seen[3], "change bad/12 desired 0");
  Clear();
  // Also over a relist.
  server_.On("GET", kObjects, {.body = List("20", Bad("web", 3) + "," + Object("bad", 2))});
  server_.Send(kObjects, Event("ERROR", Refusal(410, "Expired", "too old").body));
  ASSERT_TRUE(AwaitLines(1));
  EXPECT_THAT(lines(), ElementsAre("list: web/11 bad/12"));
}

TEST_F(AutoscalerViewTest, AnotherObjectOfTheSameNameIsAnother) {
  server_.On("GET", kObjects, {.body = List("7", Object("web", 1))});
  Start();
  ASSERT_TRUE(server_.AwaitWatches(kObjects, 1));
  Clear();
  // The deletion was missed.
  server_.Send(kObjects, Event("MODIFIED", Object("web", 1, "", "uid-2")));
  ASSERT_TRUE(AwaitLines(3));
  EXPECT_THAT(lines(), ElementsAre("gone uid-web", "web Live", "change web/11 desired 0"));
  Clear();
  server_.Send(kObjects, Event("DELETED", Object("web", 1, "", "uid-2")));
  ASSERT_TRUE(AwaitLines(1));
  EXPECT_THAT(lines(), ElementsAre("gone uid-2"));
}

TEST_F(AutoscalerViewTest, WithoutTheCrdItSaysWhatToDoAndWaits) {
  Start();
  ASSERT_TRUE(
      AwaitReport("Autoscaler objects: the API server does not know "
                  "autoscalers.neap.dev: install the CRD (charts/neap/crds) or read objects "
                  "from files with --source=dir:PATH"));
  EXPECT_THAT(lines(), IsEmpty());  // not even an empty list
  server_.On("GET", kObjects, {.body = List("7", Object("web", 1))});
  ASSERT_TRUE(AwaitLines(2));
  EXPECT_THAT(lines(), ElementsAre("web Live", "list: web/11"));
}

TEST_F(AutoscalerViewTest, SeveralNamespaces) {
  context_.namespaces = {"shop", "ops"};
  server_.On("GET", "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers",
             {.body = List("7", Object("web", 1))});
  server_.On("GET", "/apis/neap.dev/v1alpha1/namespaces/ops/autoscalers", {.body = List("8", "")});
  Start();
  ASSERT_TRUE(AwaitLines(2));
  EXPECT_THAT(lines(), ElementsAre("web Live", "list: web/11"));
}

}  // namespace
}  // namespace neap::kube
