#include "scalers/sdk/check_reading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace neap::sdk {
namespace {

using ::testing::HasSubstr;

const std::vector<MetricSpec> kTwo = {{.name = "a", .target = Target{}},
                                      {.name = "b", .target = Target{}}};

Reading Both() {
  Reading out = Reading::Of("a", 1, 0);
  out.metrics.push_back(Reading::Of("b", 2, 0).metrics[0]);
  return out;
}

// "a=1 b=Internal: ...".
std::string Text(const Reading& reading) {
  if (reading.error) return "all=" + reading.error->message;
  std::string out;
  for (const MetricReading& metric : reading.metrics) {
    out += metric.name + "=";
    if (const auto* error = std::get_if<Error>(&metric.result)) {
      out += fmt::format("{}: {} ", ErrorKindName(error->kind), error->message);
    } else if (const auto* series = std::get_if<Series>(&metric.result)) {
      for (double value : series->real) out += fmt::format("{} ", value);
    } else {
      out += "pods ";
    }
  }
  return out;
}

TEST(CheckReading, PassesWhatIsInOrder) { EXPECT_EQ(Text(CheckReading(kTwo, Both())), "a=1 b=2 "); }

TEST(CheckReading, PutsMetricsInTheOrderOfTheTrigger) {
  Reading reading = Both();
  std::swap(reading.metrics[0], reading.metrics[1]);
  EXPECT_EQ(Text(CheckReading(kTwo, reading)), "a=1 b=2 ");
}

TEST(CheckReading, FailsOnlyTheMetricThatIsNotFinite) {
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                     -std::numeric_limits<double>::infinity()}) {
    Reading reading = Both();
    reading.metrics[1] = Reading::Of("b", bad, 0).metrics[0];
    const std::string text = Text(CheckReading(kTwo, reading));
    EXPECT_THAT(text, HasSubstr("a=1 b=Internal: ")) << bad;
    EXPECT_THAT(text, HasSubstr("the value is")) << bad;
  }
}

TEST(CheckReading, MakesNegativeZeroPlain) {
  Reading reading = Both();
  reading.metrics[0] = Reading::Of("a", -0.0, 0).metrics[0];
  const Reading checked = CheckReading(kTwo, reading);
  EXPECT_FALSE(std::signbit(std::get<Series>(checked.metrics[0].result).real[0]));
}

TEST(CheckReading, FailsAMetricThatIsMissingAndNamesTheStranger) {
  Reading reading = Both();
  reading.metrics[1].name = "";
  EXPECT_THAT(Text(CheckReading(kTwo, reading)),
              HasSubstr("a=1 b=Internal: fault of the scaler: metric \"b\": there is no reading of "
                        "it, but one of \"\""));
}

TEST(CheckReading, FailsAMetricThatWasReadTwice) {
  Reading reading = Both();
  reading.metrics.push_back(reading.metrics[0]);
  EXPECT_THAT(Text(CheckReading(kTwo, reading)), HasSubstr("it was read twice"));
}

TEST(CheckReading, RequiresActiveWhereTheMetricHasActivity) {
  Reading reading = Both();
  reading.metrics[0].active.reset();
  EXPECT_THAT(Text(CheckReading(kTwo, reading)), HasSubstr("whether it is active"));
  std::vector<MetricSpec> without = kTwo;
  without[0].has_activity = false;
  EXPECT_EQ(Text(CheckReading(without, reading)), "a=1 b=2 ");
}

TEST(CheckReading, RequiresExactlyOneFormOfValues) {
  Reading reading = Both();
  std::get<Series>(reading.metrics[0].result).milli = {1};
  std::get<Series>(reading.metrics[1].result).real.clear();
  const std::string text = Text(CheckReading(kTwo, reading));
  EXPECT_THAT(text, HasSubstr("both milli and real"));
  EXPECT_THAT(text, HasSubstr("there is no value"));
}

TEST(CheckReading, RequiresColumnsOfOneLength) {
  Reading reading = Both();
  reading.metrics[0].result = PodValues{.pod = {"p", "q"},
                                        .milli = {1, 2},
                                        .sampled_at = {absl::UnixEpoch()},
                                        .window = {absl::Seconds(1), absl::Seconds(1)}};
  EXPECT_EQ(Text(CheckReading(kTwo, reading)), "a=pods b=2 ");
  std::get<PodValues>(reading.metrics[0].result).milli.pop_back();
  EXPECT_THAT(Text(CheckReading(kTwo, reading)), HasSubstr("columns of unequal length"));
}

TEST(CheckReading, LeavesErrorsAlone) {
  Reading reading = Both();
  reading.error = Error{.kind = ErrorKind::kDenied, .message = "no"};
  const Reading checked = CheckReading(kTwo, reading);
  EXPECT_EQ(Text(checked), "all=no");
  EXPECT_TRUE(checked.metrics.empty());
}

}  // namespace
}  // namespace neap::sdk
