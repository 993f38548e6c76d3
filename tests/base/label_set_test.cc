#include "autoscaler/base/label_set.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace neap::base {
namespace {

Labels MapOf(const LabelSet& set) {
  Labels map;
  std::string last;
  set.ForEach([&](std::string_view key, std::string_view value) {
    EXPECT_TRUE(map.empty() || last < key) << key;
    last = key;
    map.emplace(key, value);
  });
  return map;
}

TEST(LabelSet, ReadsAsTheMapItCameFrom) {
  const std::string much(200, 'k');
  const Labels maps[] = {
      {},
      {{"a", ""}},
      {{"", ""}},
      {{"app", "web"}, {"tier", "b"}, {"empty", ""}},
      // Values that repeat, one of them empty and one of a single byte.
      {{"a", "same"}, {"b", "x"}, {"c", "same"}, {"d", ""}, {"e", ""}, {"f", "x"}, {"g", "same"}},
      // Sizes beyond what one byte tells.
      {{much, "v"}, {"long", std::string(100000, 'v')}, {"z", std::string(64, 'v')}},
  };
  for (const Labels& map : maps) {
    const LabelSet set(map);
    EXPECT_EQ(MapOf(set), map);
    EXPECT_EQ(set.empty(), map.empty());
    for (const auto& [key, value] : map) EXPECT_EQ(set.Find(key), value) << key;
    EXPECT_EQ(set.Find("none"), std::nullopt);
    for (const Labels& other : maps) EXPECT_EQ(set == LabelSet(other), map == other);
  }
  EXPECT_EQ(sizeof(LabelSet), sizeof(void*));
}

TEST(LabelSet, AnyOrderAndRepeatedKeysMakeTheSameSet) {
  std::vector<LabelSet::Label> labels = {
      {"b", "gone"}, {"c", "gone"}, {"a", "1"}, {"c", "three"}, {"b", "three"}};
  std::string keys;
  std::string values;
  LabelSet::Encode(labels, &keys, &values);
  const LabelSet set = LabelSet::Of(keys, values);
  EXPECT_EQ(set, LabelSet(Labels{{"a", "1"}, {"b", "three"}, {"c", "three"}}));
  EXPECT_EQ(set.Find("c"), "three");
}

TEST(LabelSet, PartsAreKeptApart) {
  EXPECT_FALSE(LabelSet(Labels{{"a", "bc"}}) == LabelSet(Labels{{"ab", "c"}}));
  EXPECT_FALSE(LabelSet(Labels{{"a", "b"}, {"c", "d"}}) ==
               LabelSet(Labels{{"a", "bc"}, {"c", "d"}}));
  EXPECT_FALSE(LabelSet(Labels{{"a", ""}}) == LabelSet());
}

// The labels of a Job's pod: what repeats is there once, and the keys are the table's.
TEST(LabelSet, IsSmall) {
  const std::string name = "checkout-17-00000001";
  const std::string uid = "5f0c1c52-7a0b-4c0e-9f5e-000000000001";
  const LabelSet set(Labels{{"batch.kubernetes.io/job-name", name},
                            {"batch.kubernetes.io/controller-uid", uid},
                            {"job-name", name},
                            {"controller-uid", uid}});
  EXPECT_EQ(set.values().size(), name.size() + uid.size() + 4);
}

}  // namespace
}  // namespace neap::base
