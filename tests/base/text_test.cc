#include "autoscaler/base/text.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace neap::base {
namespace {

TEST(Text, ReadsLikeAString) {
  const Text text = "ValidMetricFound";
  EXPECT_EQ(text, "ValidMetricFound");
  EXPECT_EQ(text, std::string("ValidMetricFound"));
  EXPECT_NE(text, "ValidMetric");
  EXPECT_EQ(text.size(), 16);
  EXPECT_EQ(fmt::format("{:>18}", text), "  ValidMetricFound");
  const std::string as_string = text;
  const std::string_view as_view = text;
  EXPECT_EQ(as_string, as_view);
  EXPECT_LT(Text("a"), Text("b"));
  EXPECT_GT(Text("b"), Text(""));
}

TEST(Text, TheEmptyOneIsTheDefault) {
  EXPECT_EQ(Text(), Text(""));
  EXPECT_EQ(Text(), "");
  EXPECT_TRUE(Text("").empty());
  EXPECT_EQ(Text().str(), "");
}

TEST(Text, EqualOnesAreStoredOnceAsLongAsOneIsLeft) {
  const size_t before = Text::count();
  {
    const Text one = "stored once";
    Text two = std::string("stored ") + "once";
    EXPECT_EQ(one.view().data(), two.view().data());
    EXPECT_EQ(Text::count(), before + 1);
    const Text three = two;
    two = "another";
    EXPECT_EQ(Text::count(), before + 2);
    EXPECT_EQ(two, "another");
    EXPECT_EQ(three, one);
  }
  EXPECT_EQ(Text::count(), before);
}

TEST(Text, IsMadeAndDroppedByManyThreads) {
  const size_t before = Text::count();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong] {
      for (int i = 0; i < 20'000; ++i) {
        const std::string words = fmt::format("text {}", i % 3);
        const Text text = words;
        const Text copy = text;
        if (copy != words || Text(words) != text) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(Text::count(), before);
}

}  // namespace
}  // namespace neap::base
