// KEDA's rules for the text of a parameter.
#include "autoscaler/catalog/values.h"

#include <gtest/gtest.h>

#include <limits>

namespace neap::catalog {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(Values, Trim) {
  EXPECT_EQ(Trim(" \t a b\n"), "a b");
  EXPECT_EQ(Trim("   "), "");
  EXPECT_EQ(Trim(""), "");
}

TEST(Values, IntegersAreJsonNumbers) {
  EXPECT_EQ(*ParseInt("5"), 5);
  EXPECT_EQ(*ParseInt("0"), 0);
  EXPECT_EQ(*ParseInt("-17"), -17);
  EXPECT_EQ(*ParseInt("9223372036854775807"), std::numeric_limits<int64_t>::max());
  for (const char* text :
       {"", "+5", "007", "5.5", "5.0", "1e2", "0x10", "1_000", "five", "-", "5 "}) {
    EXPECT_FALSE(ParseInt(text).ok()) << text;
  }
  EXPECT_EQ(ParseInt("9223372036854775808").status().message(),
            "\"9223372036854775808\" is beyond 64 bits");
  EXPECT_EQ(ParseInt("5.5").status().message(), "\"5.5\" is not an integer");
}

TEST(Values, NumbersAreJsonNumbers) {
  EXPECT_EQ(*ParseFloat("5"), 5);
  EXPECT_EQ(*ParseFloat("2.5"), 2.5);
  EXPECT_EQ(*ParseFloat("-1e3"), -1000);
  EXPECT_EQ(*ParseFloat("1E+2"), 100);
  EXPECT_EQ(*ParseFloat("1e-400"), 0);
  for (const char* text :
       {"", "+5", ".5", "5.", "05", "NaN", "inf", "Infinity", "1e", "1e400", "0x1p3", "1,5"}) {
    EXPECT_FALSE(ParseFloat(text).ok()) << text;
  }
}

TEST(Values, Booleans) {
  for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) EXPECT_TRUE(*ParseBool(yes));
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"}) EXPECT_FALSE(*ParseBool(no));
  for (const char* bad : {"", "yes", "no", "on", "2", "tRUE"}) EXPECT_FALSE(ParseBool(bad).ok());
}

TEST(Values, DurationsMayBeMilliseconds) {
  EXPECT_EQ(*ParseDurationValue("1m30s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDurationValue("250"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseDurationValue("0"), absl::ZeroDuration());
  for (const char* bad : {"", "-1s", "-5", "1.5", "soon"}) {
    EXPECT_FALSE(ParseDurationValue(bad).ok()) << bad;
  }
}

TEST(Values, ListsKeepEmptyElements) {
  EXPECT_EQ(ParseList("a, b ,c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(ParseList("a,,b,"), (std::vector<std::string>{"a", "", "b", ""}));
  EXPECT_EQ(ParseList("a;b", ';'), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ParseList("a"), (std::vector<std::string>{"a"}));
}

TEST(Values, MapsHaveOneEqualsSignEach) {
  EXPECT_EQ(*ParseMap("a=1, b = 2"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(*ParseMap("a=1,a=2,b="), (Pairs{{"a", "2"}, {"b", ""}}));
  for (const char* bad : {"", "a", "a=1,b", "a=b=c", "a=1,"}) {
    EXPECT_FALSE(ParseMap(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace neap::catalog
