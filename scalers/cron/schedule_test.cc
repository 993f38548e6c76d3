#include "scalers/cron/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

namespace neap::scalers::cron {
namespace {

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << text << ": " << error;
  return time;
}

std::string Next(const std::string& schedule, const std::string& now, const std::string& zone) {
  absl::StatusOr<Schedule> parsed = Schedule::Parse(schedule);
  if (!parsed.ok()) return parsed.status().ToString();
  const absl::TimeZone loaded = *LoadZone(zone);
  const std::optional<absl::Time> next = parsed->Next(At(now), loaded);
  return next ? absl::FormatTime("%Y-%m-%d %H:%M:%S%Ez", *next, loaded) : "never";
}

// Every line holds: expression, zone, now (nanoseconds), and what robfig/cron v3.0.1 gives as the
// next second, NEVER, or ERR for an expression it refuses.
TEST(Schedule, AgreesWithTheLibraryThatKedaUses) {
  gzFile file = gzopen("scalers/cron/vectors.tsv.gz", "rb");
  ASSERT_NE(file, nullptr);
  int checked = 0;
  std::vector<char> buffer(4096);
  while (gzgets(file, buffer.data(), static_cast<int>(buffer.size())) != nullptr) {
    const std::string line(buffer.data());
    const size_t third = line.rfind('\t');
    const size_t second = line.rfind('\t', third - 1);
    const size_t first = line.rfind('\t', second - 1);
    const std::string expect = line.substr(third + 1, line.find('\n') - third - 1);
    std::string text;
    for (size_t i = 1; i + 1 < first; ++i) {
      if (line.compare(i, 2, "\\t") == 0) {
        text += '\t';
        ++i;
      } else {
        text += line[i];
      }
    }
    std::string actual = "ERR";
    if (const absl::StatusOr<Schedule> schedule = Schedule::Parse(text); schedule.ok()) {
      const absl::Time now = absl::FromUnixNanos(std::stoll(line.substr(second + 1)));
      const auto next = schedule->Next(now, *LoadZone(line.substr(first + 1, second - first - 1)));
      actual = next ? std::to_string(absl::ToUnixSeconds(*next)) : "NEVER";
    }
    EXPECT_EQ(actual, expect) << line;
    ++checked;
  }
  gzclose(file);
  EXPECT_EQ(checked, 3382);
}

TEST(Schedule, BothDayFieldsRestrictedMeansEither) {
  // 2026-05-05 is a Tuesday.
  EXPECT_EQ(Next("0 0 13 * FRI", "2026-05-05T00:00:00Z", "UTC"), "2026-05-08 00:00:00+00:00");
  EXPECT_EQ(Next("0 0 6 * FRI", "2026-05-05T00:00:00Z", "UTC"), "2026-05-06 00:00:00+00:00");
  EXPECT_EQ(Next("0 0 * * FRI", "2026-05-05T00:00:00Z", "UTC"), "2026-05-08 00:00:00+00:00");
}

TEST(Schedule, AnHourThatDaylightSavingLeavesOutIsSkipped) {
  // In Berlin 02:30 does not exist on 29 March 2026.
  EXPECT_EQ(Next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"),
            "2026-03-30 02:30:00+02:00");
}

TEST(Schedule, ADayThatAZoneLeftOutDoesNotStopTheSearch) {
  // Samoa had no 30 December 2011. (The library behind KEDA searches for ever here.)
  EXPECT_EQ(Next("0 0 1 * *", "2011-12-29T23:00:00Z", "Pacific/Apia"), "2012-01-01 00:00:00+14:00");
}

TEST(Schedule, ErrorsSayWhatIsWrong) {
  const auto error = [](std::string_view text) {
    return std::string(Schedule::Parse(text).status().message());
  };
  EXPECT_THAT(error("61 * * * *"), testing::HasSubstr("end of range (61) above maximum (59)"));
  EXPECT_THAT(error("0 0 * * 7"), testing::HasSubstr("end of range (7) above maximum (6)"));
  EXPECT_THAT(error("* * * *"), testing::HasSubstr("expected exactly 5 fields, found 4"));
  EXPECT_THAT(error("0 * * * * *"), testing::HasSubstr("found 6"));
  EXPECT_THAT(error("@daily"), testing::HasSubstr("descriptors are not accepted"));
  EXPECT_THAT(error("* * * tuesday *"), testing::HasSubstr("\"tuesday\""));
  EXPECT_THAT(error("CRON_TZ=Nowhere/X 0 0 * * *"), testing::HasSubstr("Nowhere/X"));
  EXPECT_THAT(error(""), testing::HasSubstr("empty"));
}

TEST(LoadZone, RefusesPaths) {
  EXPECT_TRUE(LoadZone("Europe/Berlin").ok());
  EXPECT_TRUE(LoadZone("Local").ok());
  for (const char* name : {"/etc/passwd", "../zone", "file:/etc/localtime", "", "Nowhere/X"}) {
    EXPECT_FALSE(LoadZone(name).ok()) << name;
  }
}

}  // namespace
}  // namespace neap::scalers::cron
