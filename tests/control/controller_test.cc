// The controller, rule by rule (ARCHITECTURE.md, life of a sample): values in, actions out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/control/desk.h"

namespace neap::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using Kind = core::ApplyResult::Kind;

TEST(Controller, ASampleBecomesAPatch) {
  Desk desk;
  desk.Put(Desk::Spec("web"));
  desk.SyncSpecs();
  EXPECT_THAT(desk.Step(), ElementsAre("watch 1 scales, pods of []", "subscribe +1 -0"));
  desk.values["web"] = 50'000;
  desk.Scale("web", 2);
  EXPECT_THAT(desk.Step(), ElementsAre("poll web"));
  EXPECT_THAT(desk.Run(absl::Milliseconds(10)),
              ElementsAre("decide web periodic 2 -> 4 ScaleUpLimit", "patch web 2 -> 4"));
  EXPECT_THAT(desk.Run(absl::Milliseconds(20)),
              ElementsAre("outcome web Applied", "event web SuccessfulRescale", "status web"));
  EXPECT_EQ(desk.replicas("web"), 4);
}

}  // namespace
}  // namespace neap::control
