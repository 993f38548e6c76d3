#include "autoscaler/base/duration.h"

#include <gtest/gtest.h>

#include <utility>

namespace neap::base {
namespace {

TEST(Duration, ParsesGosForm) {
  const std::pair<const char*, absl::Duration> cases[] = {
      {"0", absl::ZeroDuration()},
      {"0s", absl::ZeroDuration()},
      {"15s", absl::Seconds(15)},
      {"1m30s", absl::Seconds(90)},
      {"15.04s", absl::Milliseconds(15040)},
      {"500ms", absl::Milliseconds(500)},
      {"1.5h", absl::Minutes(90)},
      {"250us", absl::Microseconds(250)},
      {"250\xC2\xB5s", absl::Microseconds(250)},
      {"250\xCE\xBCs", absl::Microseconds(250)},
      {"7ns", absl::Nanoseconds(7)},
      {"-2m", -absl::Minutes(2)},
      {"+2m", absl::Minutes(2)},
  };
  for (const auto& [text, expected] : cases) {
    const auto parsed = ParseDuration(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    EXPECT_EQ(*parsed, expected) << text;
  }
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* text : {"", "15", "s", "1x", "1s2", "five", "inf", "-inf", "1 s", "1d"}) {
    const auto parsed = ParseDuration(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_NE(parsed.status().message().find("is not a duration"), absl::string_view::npos);
  }
}

TEST(Duration, PrintsGosFormAndReadsItBack) {
  const std::pair<absl::Duration, const char*> cases[] = {
      {absl::ZeroDuration(), "0s"},
      {absl::Seconds(15), "15s"},
      {absl::Seconds(90), "1m30s"},
      {absl::Minutes(60), "1h0m0s"},
      {absl::Milliseconds(1500), "1.5s"},
      {absl::Milliseconds(250), "250ms"},
      {absl::Microseconds(1500), "1.5ms"},
      {absl::Nanoseconds(1500), "1.5\xC2\xB5s"},
      {absl::Nanoseconds(7), "7ns"},
      {-absl::Seconds(61), "-1m1s"},
      {absl::Seconds(3600) + absl::Nanoseconds(1), "1h0m0.000000001s"},
  };
  for (const auto& [duration, text] : cases) {
    EXPECT_EQ(base::FormatDuration(duration), text);
    const auto back = ParseDuration(text);
    ASSERT_TRUE(back.ok()) << text;
    EXPECT_EQ(*back, duration) << text;
  }
}

TEST(Time, ReadsRfc3339) {
  const absl::Time second = absl::FromUnixSeconds(1767225600);  // 2026-01-01
  EXPECT_EQ(*ParseTime("2026-01-01T00:00:00Z"), second);
  EXPECT_EQ(*ParseTime("2026-01-01T00:00:00.5Z"), second + absl::Milliseconds(500));
  EXPECT_EQ(*ParseTime("2026-01-01T01:00:00+01:00"), second);
  for (const char* text : {"", "2026-01-01", "yesterday", "2026-13-01T00:00:00Z"}) {
    EXPECT_FALSE(ParseTime(text).ok()) << text;
  }
}

TEST(Time, PrintsWholeSecondsAndMicroseconds) {
  const absl::Time time = absl::FromUnixSeconds(1767225600) + absl::Microseconds(1234567);
  EXPECT_EQ(base::FormatTime(time), "2026-01-01T00:00:01Z");
  EXPECT_EQ(base::FormatTimeMicro(time), "2026-01-01T00:00:01.234567Z");
}

}  // namespace
}  // namespace neap::base
