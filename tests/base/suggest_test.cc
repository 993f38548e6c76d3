#include "autoscaler/base/suggest.h"

#include <gtest/gtest.h>

#include <vector>

namespace neap::base {
namespace {

TEST(Suggest, FindsTheNearestName) {
  const std::vector<std::string_view> names = {"listName", "listLength", "address", "minReplicas"};
  EXPECT_EQ(Nearest("listLenght", names), "listLength");
  EXPECT_EQ(Nearest("MINREPLICAS", names), "minReplicas");
  EXPECT_EQ(Nearest("adress", names), "address");
  EXPECT_EQ(Nearest("quite different", names), "");
  EXPECT_EQ(Nearest("x", names), "");
  EXPECT_EQ(Nearest("", names), "");
  EXPECT_EQ(Nearest("anything", {}), "");
}

TEST(Suggest, TakesTheFirstOfEquals) {
  const std::vector<std::string_view> names = {"cat", "car"};
  EXPECT_EQ(Nearest("cax", names), "cat");
}

TEST(Suggest, Words) {
  const std::vector<std::string_view> names = {"behavior"};
  EXPECT_EQ(DidYouMean("behaviour", names), " (did you mean \"behavior\"?)");
  EXPECT_EQ(DidYouMean("metrics", names), "");
}

}  // namespace
}  // namespace neap::base
