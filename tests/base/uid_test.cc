#include "autoscaler/base/uid.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"

namespace neap::base {
namespace {

constexpr char kUuid[] = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

const std::vector<std::string>& Texts() {
  static const std::vector<std::string> texts = {
      "",
      kUuid,
      "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f8",
      "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "0a1b2c3d-4e5f-6071-ffff-ffffffffffff",
      "0A1B2C3D-4e5f-6071-8293-a4b5c6d7e8f9",  // not as an API server writes it
      "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8fg",
      "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f",
      "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f90",
      "0a1b2c3d04e5f-6071-8293-a4b5c6d7e8f9",
      "dir:/etc/neap/shop.yaml:shop/checkout",
      "x",
  };
  return texts;
}

TEST(Uid, KeepsAnyText) {
  for (const std::string& text : Texts()) EXPECT_EQ(Uid(text).Text(), text);
  EXPECT_EQ(Uid().Text(), "");
}

TEST(Uid, IsEqualWhereTheTextIs) {
  for (const std::string& a : Texts()) {
    for (const std::string& b : Texts()) {
      EXPECT_EQ(Uid(a) == Uid(b), a == b) << a << " " << b;
      if (a == b) {
        EXPECT_EQ(Uid(a).Hash(), Uid(b).Hash());
      }
    }
    EXPECT_EQ(Uid(a).empty(), a.empty()) << a;
  }
}

TEST(Uid, IsAValue) {
  for (const std::string& text : Texts()) {
    Uid a(text);
    Uid b = a;
    EXPECT_EQ(a, b);
    Uid c = std::move(a);
    EXPECT_EQ(c, b);
    EXPECT_TRUE(a.empty());  // NOLINT: said here that it is
    a = c;
    EXPECT_EQ(a.Text(), text);
    Uid& same = a;
    a = same;
    EXPECT_EQ(a.Text(), text);
    a = Uid("another");
    EXPECT_EQ(a.Text(), "another");
    EXPECT_EQ(c.Text(), text);
  }
}

TEST(Uid, IsAKey) {
  Lookup<Uid, std::string> table;
  for (const std::string& text : Texts()) table[Uid(text)] = text;
  EXPECT_EQ(table.size(), Texts().size());
  for (const std::string& text : Texts()) {
    ASSERT_NE(table.Find(Uid(text)), nullptr) << text;
    EXPECT_EQ(*table.Find(Uid(text)), text);
  }
  EXPECT_EQ(table.Find(Uid("y")), nullptr);
}

TEST(Uid, OfAnApiServerTakesTwoWords) { EXPECT_EQ(sizeof(Uid), 16); }

}  // namespace
}  // namespace neap::base
