#include "autoscaler/base/lookup.h"

#include <gtest/gtest.h>

#include <string>

namespace neap::base {
namespace {

struct Thing {
  int id = 0;
  Follower<Thing> follower = {};
};

// Finds things by their number and counts how often it had to look them up.
struct Things {
  Thing* Get(int id) {
    return in_order.Get([&](const Thing& next) { return next.id == id; },
                        [&]() -> Thing* {
                          ++looked_up;
                          return by_id.Find(id);
                        });
  }
  Lookup<int, Thing> by_id;
  InOrder<Thing> in_order;
  int looked_up = 0;
};

TEST(InOrder, WhatFollowedTheLastTimeIsNotLookedUp) {
  Things things;
  for (int id : {1, 2, 3}) things.by_id[id].id = id;
  for (int round = 0; round < 3; ++round) {
    for (int id : {1, 2, 3}) EXPECT_EQ(things.Get(id)->id, id);
  }
  EXPECT_EQ(things.looked_up, 4);  // 3, and the first one after the last
  EXPECT_EQ(things.Get(2)->id, 2);
  EXPECT_EQ(things.looked_up, 5);
}

TEST(InOrder, WhatIsNotThereIsNotFoundAndChangesNothing) {
  Things things;
  for (int id : {1, 2}) things.by_id[id].id = id;
  things.Get(1);
  things.Get(2);
  things.Get(1);
  EXPECT_EQ(things.Get(7), nullptr);
  const int before = things.looked_up;
  EXPECT_EQ(things.Get(2)->id, 2);
  EXPECT_EQ(things.looked_up, before);
}

TEST(InOrder, ForgetsWhatHasDied) {
  Things things;
  for (int id : {1, 2}) things.by_id[id].id = id;
  for (int id : {1, 2, 1}) things.Get(id);
  things.by_id.Erase(2);
  things.in_order.Forget();
  EXPECT_EQ(things.Get(2), nullptr);
  EXPECT_EQ(things.Get(1)->id, 1);
  things.by_id[2].id = 2;
  EXPECT_EQ(things.Get(2)->id, 2);
}

}  // namespace
}  // namespace neap::base
