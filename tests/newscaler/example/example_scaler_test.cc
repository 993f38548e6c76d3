#include "scalers/example/example_scaler.h"

#include <gtest/gtest.h>

#include "scalers/sdk/testing.h"
#include "tests/support/process.h"

namespace neap::scalers::example {
namespace {

TEST(Example, CountsLines) {
  const testing_support::TempDir dir;
  sdk::TestScaler scaler(Make());
  const sdk::Opened trigger =
      scaler.Open("example", {{"path", dir.Write("queue", "one\ntwo\nthree\n")}});
  EXPECT_EQ(sdk::Describe(scaler.Read(trigger)), "3 active");
}

TEST(Example, AFileThatIsNotThereIsAnError) {
  sdk::TestScaler scaler(Make());
  const sdk::Opened trigger = scaler.Open("example", {{"path", "/nowhere"}});
  EXPECT_EQ(sdk::Describe(scaler.Read(trigger)), "NotFound: /nowhere can't be read");
}

}  // namespace
}  // namespace neap::scalers::example
