#include "autoscaler/base/boxed.h"

#include <gtest/gtest.h>

#include <string>

namespace neap::base {
namespace {

struct Pair {
  int a = 0;
  std::string b;
  bool operator==(const Pair&) const = default;
};

TEST(Boxed, IsEightBytesAndEmptyAtFirst) {
  static_assert(sizeof(Boxed<Pair>) == sizeof(void*));
  Boxed<Pair> none;
  EXPECT_FALSE(none.has_value());
  EXPECT_EQ(none, std::nullopt);
  EXPECT_EQ(none.get(), nullptr);
  EXPECT_EQ(none, Boxed<Pair>(std::optional<Pair>()));
}

TEST(Boxed, CopiesAreOneUntilOneIsChanged) {
  Boxed<Pair> one = Pair{.a = 1, .b = "x"};
  Boxed<Pair> two = one;
  EXPECT_EQ(one, two);
  EXPECT_EQ(one.get(), two.get());
  two->a = 2;
  EXPECT_NE(one.get(), two.get());
  EXPECT_EQ(std::as_const(one)->a, 1);
  EXPECT_NE(one, two);
  EXPECT_EQ(one, (Pair{.a = 1, .b = "x"}));
  one = two;
  EXPECT_EQ(one->a, 2);
  one = std::nullopt;
  EXPECT_NE(one, two);
  two = one;
  EXPECT_FALSE(two);
}

TEST(Boxed, IsMadeOfWhatItsValueIsMadeOf) {
  Boxed<std::string> text = "words";
  EXPECT_EQ(*text, "words");
  text = std::optional<std::string>("others");
  EXPECT_EQ(*text, "others");
  text.emplace(3, 'a');
  EXPECT_EQ(*text, "aaa");
  const std::string moved = *std::move(text);
  EXPECT_EQ(moved, "aaa");
}

}  // namespace
}  // namespace neap::base
