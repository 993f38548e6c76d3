#include "autoscaler/base/shared.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace neap::base {
namespace {

TEST(SharedText, HoldsTextsOfAnySize) {
  EXPECT_EQ(sizeof(SharedText), sizeof(void*));
  for (const size_t size : {0, 1, 15, 127, 128, 254, 255, 256, 65536, 1000000}) {
    std::string text(size, 'x');
    if (size > 0) text.back() = '\0';
    const SharedText shared = text;
    EXPECT_EQ(shared.view(), text) << size;
    EXPECT_EQ(shared.size(), size);
    EXPECT_EQ(shared.empty(), size == 0);
  }
}

TEST(SharedText, ComparesAsTextsDo) {
  const SharedText a = "web-1";
  const SharedText b = std::string("web-1");
  EXPECT_FALSE(a.same(b));
  EXPECT_TRUE(a == b);
  EXPECT_TRUE(a == "web-1" && "web-1" == a && a == std::string("web-1"));
  EXPECT_TRUE(a < SharedText("web-10") && a < std::string("web-2") && SharedText() < a);
  EXPECT_TRUE(a != SharedText() && SharedText() == "");
  EXPECT_EQ(fmt::format("{:>7}", a), "  web-1");
}

TEST(SharedText, CopiesShareAndTheLastOneFrees) {
  SharedText a = "a text of more than sixteen characters";
  EXPECT_TRUE(a.alone());
  {
    const SharedText copy = a;
    EXPECT_TRUE(copy.same(a));
    EXPECT_FALSE(a.alone());
  }
  EXPECT_TRUE(a.alone());
  const SharedText moved = std::move(a);
  EXPECT_TRUE(moved.alone());
  a = moved;
  a = a;  // NOLINT: to itself
  EXPECT_TRUE(a.same(moved));
  EXPECT_FALSE(SharedText().alone());
}

TEST(SharedText, MayBeHeldOnSeveralThreads) {
  const SharedText text = "checkout-7d9f8b6c5-00001";
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([text] {
      for (int n = 0; n < 10000; ++n) {
        const SharedText copy = text;
        ASSERT_EQ(copy.size(), 24u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(text.alone());
}

TEST(Shared, IsAPointerToAValue) {
  EXPECT_EQ(sizeof(Shared<std::string>), sizeof(void*));
  Shared<std::string> none = nullptr;
  EXPECT_TRUE(none == nullptr && none.empty() && !none.alone());
  const auto a = Shared<std::string>::Of("x");
  const auto b = Shared<std::string>::Of("x");
  EXPECT_FALSE(a == b);  // two places
  EXPECT_EQ(*a, *b);
  none = a;
  EXPECT_TRUE(none == a);
  EXPECT_EQ(none->size(), 1u);
  EXPECT_FALSE(a.alone());
  none = nullptr;
  EXPECT_TRUE(a.alone());
}

}  // namespace
}  // namespace neap::base
