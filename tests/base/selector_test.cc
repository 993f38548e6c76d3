#include "autoscaler/base/selector.h"

#include <gtest/gtest.h>

#include <utility>

#include "autoscaler/base/label_set.h"

namespace neap::base {
namespace {

const Labels kWeb = {{"app", "web"}, {"tier", "b"}, {"empty", ""}, {"size", "7"}};

bool Matches(std::string_view text, const Labels& labels = kWeb) {
  const auto selector = Selector::Parse(text);
  EXPECT_TRUE(selector.ok()) << text << ": " << selector.status();
  if (!selector.ok()) return false;
  EXPECT_EQ(selector->MatchesSet(LabelSet(labels)), selector->Matches(labels)) << text;
  return selector->Matches(labels);
}

TEST(Selector, EachOperator) {
  EXPECT_TRUE(Matches("app"));
  EXPECT_FALSE(Matches("other"));
  EXPECT_TRUE(Matches("!other"));
  EXPECT_FALSE(Matches("!app"));
  EXPECT_TRUE(Matches("app=web"));
  EXPECT_TRUE(Matches("app==web"));
  EXPECT_FALSE(Matches("app=db"));
  EXPECT_TRUE(Matches("app!=db"));
  EXPECT_TRUE(Matches("other!=db"));  // also where the key is missing
  EXPECT_FALSE(Matches("app!=web"));
  EXPECT_TRUE(Matches("tier in (a,b)"));
  EXPECT_FALSE(Matches("tier in (a,c)"));
  EXPECT_FALSE(Matches("tier notin (a,b)"));
  EXPECT_TRUE(Matches("other notin (a,b)"));
  EXPECT_TRUE(Matches("size>6"));
  EXPECT_FALSE(Matches("size>7"));
  EXPECT_TRUE(Matches("size<8"));
  EXPECT_FALSE(Matches("app>1"));  // its value is no number
  EXPECT_FALSE(Matches("other<1"));
}

TEST(Selector, RequirementsAreJoinedByAnd) {
  EXPECT_TRUE(Matches("app=web,tier in (a,b),!x"));
  EXPECT_FALSE(Matches("app=web,tier in (c),!x"));
  EXPECT_TRUE(Matches(" app = web , tier  in ( a , b ) , ! x "));
}

TEST(Selector, EmptyValues) {
  EXPECT_TRUE(Matches("empty="));
  EXPECT_FALSE(Matches("app="));
  EXPECT_TRUE(Matches("empty in ()"));
  EXPECT_TRUE(Matches("empty in (,a)"));
}

TEST(Selector, EmptyMatchesAllAndNothingMatchesNone) {
  EXPECT_TRUE(Selector().Matches({}));
  EXPECT_TRUE(Selector().empty());
  EXPECT_TRUE(Selector::Parse("")->empty());
  EXPECT_FALSE(Selector::Nothing().Matches({}));
  EXPECT_FALSE(Selector::Nothing().Matches(kWeb));
  EXPECT_TRUE(Selector().MatchesSet(LabelSet()));
  EXPECT_FALSE(Selector::Nothing().MatchesSet(LabelSet()));
  EXPECT_FALSE(Selector::Nothing().MatchesSet(LabelSet(kWeb)));
  EXPECT_FALSE(Selector::Nothing().empty());
}

TEST(Selector, CanonicalTextSorts) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"b=2,a=1", "a=1,b=2"},
      {"a==1", "a==1"},  // "=" and "==" are kept apart
      {"tier in (b,a,b)", "tier in (a,b)"},
      {"tier notin (z)", "tier notin (z)"},
      {"!x,app", "app,!x"},
      {"x=", "x="},
      {"a in ()", "a in ()"},
      {"size > 5", "size>5"},
      {"example.com/app=web", "example.com/app=web"},
      {"in=notin", "in=notin"},  // words that are operators elsewhere
  };
  for (const auto& [text, canonical] : cases) {
    const auto selector = Selector::Parse(text);
    ASSERT_TRUE(selector.ok()) << text << ": " << selector.status();
    EXPECT_EQ(selector->Text(), canonical);
    const auto again = Selector::Parse(canonical);
    ASSERT_TRUE(again.ok()) << canonical;
    EXPECT_EQ(again->Text(), canonical);
  }
}

TEST(Selector, RefusesWhatIsNone) {
  for (const char* text : {"a=b,", ",a=b", "a=b,,c=d",        "a in",   "a in (", "a in (b", "a b",
                           "=",    "!",    "a=b=c",           "a in b", "a=-x",   "-a=b",    "a=x_",
                           "a>b",  "a>",   "UPPER.com/a=b/c", "/a=b",   "a/=b",   "a===b"}) {
    const auto selector = Selector::Parse(text);
    EXPECT_FALSE(selector.ok()) << text << " gave " << selector->Text();
  }
  EXPECT_FALSE(Selector::Parse(std::string(64, 'a')).ok());
  EXPECT_TRUE(Selector::Parse(std::string(63, 'a')).ok());
}

TEST(Selector, ErrorsNameWhatWasFound) {
  EXPECT_EQ(Selector::Parse("a=b,").status().message(), "found '', expected: identifier after ','");
  const auto bad = Selector::Parse("-a=b");
  EXPECT_NE(bad.status().message().find("\"-a\""), absl::string_view::npos) << bad.status();
}

TEST(LabelSelector, MeansItsRequirements) {
  LabelSelector selector;
  selector.match_labels = {{"app", "web"}};
  selector.match_expressions = {{.key = "tier", .op = "In", .values = {"b", "a"}},
                                {.key = "gone", .op = "DoesNotExist", .values = {}},
                                {.key = "app", .op = "Exists", .values = {}},
                                {.key = "zone", .op = "NotIn", .values = {"x"}}};
  const auto meant = selector.ToSelector();
  ASSERT_TRUE(meant.ok()) << meant.status();
  EXPECT_EQ(meant->Text(), "app=web,app,!gone,tier in (a,b),zone notin (x)");
  EXPECT_TRUE(meant->Matches(kWeb));
  EXPECT_TRUE(LabelSelector{}.ToSelector()->Matches({}));
}

TEST(LabelSelector, RefusesBadExpressions) {
  const LabelSelector::Expression bad[] = {
      {.key = "a", .op = "In", .values = {}},
      {.key = "a", .op = "NotIn", .values = {}},
      {.key = "a", .op = "Exists", .values = {"x"}},
      {.key = "a", .op = "Equals", .values = {"x"}},
      {.key = "", .op = "Exists", .values = {}},
      {.key = "a", .op = "In", .values = {"not a value"}},
  };
  for (const auto& expression : bad) {
    LabelSelector selector;
    selector.match_expressions = {expression};
    EXPECT_FALSE(selector.ToSelector().ok()) << expression.key << " " << expression.op;
  }
  LabelSelector selector;
  selector.match_expressions = {{.key = "a", .op = "Equals", .values = {"x"}}};
  EXPECT_EQ(selector.ToSelector().status().message(),
            "\"Equals\" is not a valid label selector operator");
}

}  // namespace
}  // namespace neap::base
