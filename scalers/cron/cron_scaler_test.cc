#include "scalers/cron/cron_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scalers/sdk/testing.h"

namespace neap::scalers::cron {
namespace {

using testing::HasSubstr;

class CronScalerTest : public testing::Test {
 protected:
  sdk::Opened Open(std::string start, std::string end, std::string zone = "Europe/Berlin",
                   std::string replicas = "10") {
    return scaler_.Open("cron", {{"start", std::move(start)},
                                 {"end", std::move(end)},
                                 {"timezone", std::move(zone)},
                                 {"desiredReplicas", std::move(replicas)}});
  }
  sdk::Reading ReadAt(const sdk::Opened& opened, const std::string& time) {
    absl::Time now;
    std::string error;
    EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, time, &now, &error)) << error;
    sdk::TestContext context(scaler_.http());
    context.set_now(now);
    return scaler_.Read(opened, context);
  }
  std::string At(const sdk::Opened& opened, const std::string& time) {
    return Describe(ReadAt(opened, time));
  }

  sdk::TestScaler scaler_{Make()};
};

TEST_F(CronScalerTest, AgreesWithKedasParser) {
  int passed = 0;
  for (const std::string& line : CompareParseRows(scaler_, "cron", passed)) ADD_FAILURE() << line;
  EXPECT_EQ(passed, 22);
}

TEST_F(CronScalerTest, DesiredReplicasInsideAndZeroOutside) {
  const sdk::Opened office = Open("0 8 * * MON-FRI", "0 18 * * MON-FRI");
  // Tuesday 5 May 2026; Berlin is two hours ahead of UTC.
  EXPECT_EQ(At(office, "2026-05-05T05:59:59Z"), "0");
  EXPECT_EQ(At(office, "2026-05-05T06:00:00Z"), "10 active");
  EXPECT_EQ(At(office, "2026-05-05T15:59:59Z"), "10 active");
  EXPECT_EQ(At(office, "2026-05-05T16:00:00Z"), "0");
  EXPECT_EQ(At(office, "2026-05-09T10:00:00Z"), "0") << "Saturday";
}

TEST_F(CronScalerTest, AnIntervalOverMidnightAndOverTheWeekend) {
  const sdk::Opened night = Open("0 22 * * *", "0 6 * * *");
  EXPECT_EQ(At(night, "2026-05-05T21:00:00Z"), "10 active");
  EXPECT_EQ(At(night, "2026-05-05T02:00:00Z"), "10 active");
  EXPECT_EQ(At(night, "2026-05-05T10:00:00Z"), "0");
  const sdk::Opened weekend = Open("0 18 * * FRI", "0 8 * * MON", "Etc/UTC");
  EXPECT_EQ(At(weekend, "2026-05-09T12:00:00Z"), "10 active");
  EXPECT_EQ(At(weekend, "2026-05-06T12:00:00Z"), "0");
}

TEST_F(CronScalerTest, AScheduleMayHaveAZoneOfItsOwn) {
  const sdk::Opened mixed = Open("CRON_TZ=Asia/Tokyo 0 8 * * *", "0 8 * * *", "Etc/UTC");
  EXPECT_EQ(At(mixed, "2026-05-04T23:30:00Z"), "10 active") << "08:30 in Tokyo";
  EXPECT_EQ(At(mixed, "2026-05-05T08:30:00Z"), "0");
}

TEST_F(CronScalerTest, TheReadingCarriesTheTimeItIsFor) {
  const sdk::Reading reading = ReadAt(Open("0 8 * * *", "0 18 * * *"), "2026-05-05T10:00:00Z");
  EXPECT_EQ(absl::FormatTime(reading.metrics[0].sampled_at, absl::UTCTimeZone()),
            "2026-05-05T10:00:00+00:00");
  EXPECT_EQ(reading.metrics[0].name, "cron-Europe-Berlin-08xxx-018xxx");
}

TEST_F(CronScalerTest, WhatCanNotBeDecidedIsAnErrorAndNotZero) {
  EXPECT_THAT(At(Open("0 8 * * *", "0 18 * * *", "Nowhere/X"), "2026-05-05T10:00:00Z"),
              HasSubstr("BadParameter: timezone: time zone \"Nowhere/X\" is not known"));
  EXPECT_THAT(At(Open("0 0 31 2 *", "0 18 * * *"), "2026-05-05T10:00:00Z"),
              HasSubstr("BadParameter: start: no such time"));
  EXPECT_THAT(At(Open("0 8 * * *", "0 0 31 2 *"), "2026-05-05T10:00:00Z"),
              HasSubstr("BadParameter: end: no such time"));
}

TEST_F(CronScalerTest, ErrorsNameTheField) {
  EXPECT_THAT(Open("61 * * * *", "0 0 * * *").ErrorText(), HasSubstr("start: end of range (61)"));
  EXPECT_THAT(Open("0 8 * * *", "0 0 * * 7").ErrorText(), HasSubstr("end: end of range (7)"));
  EXPECT_THAT(Open("0 0 * * *", "0 0 * * *").ErrorText(), HasSubstr("end: is the same as start"));
  EXPECT_THAT(Open("0 8 * * *", "0 0 * * *", "Etc/UTC", "0").ErrorText(),
              HasSubstr("desiredReplicas: must not be 0"));
  EXPECT_THAT(Open("0 8 * * *", "0 0 * * *", "", "x").ErrorText(),
              testing::AllOf(HasSubstr("timezone: missing required parameter"),
                             HasSubstr("desiredReplicas: \"x\" is not an integer")));
}

}  // namespace
}  // namespace neap::scalers::cron
