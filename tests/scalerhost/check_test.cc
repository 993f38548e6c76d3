// Each lie that a scaler can tell about one reading, judged without a scaler.
#include "autoscaler/scalerhost/check.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
constexpr double kInfinity = std::numeric_limits<double>::infinity();

control::TriggerOpened OpenedWith(std::vector<std::string> names) {
  control::TriggerOpened opened{.trigger_id = "t", .metrics = {}, .error = {}};
  for (std::string& name : names) {
    core::MetricSpec& metric = opened.metrics.emplace_back();
    metric.name = std::move(name);
    metric.from_trigger = true;
    metric.has_activity = true;
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = 1000;
  }
  return opened;
}

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// A good reading of metric "m" which a case then spoils.
pb::MetricReading Good() {
  return Parse<pb::MetricReading>(
      "name: 'm' series { real: 5 } active: true age { seconds: 2 } "
      "sampled_at { seconds: 1699999990 }");
}

struct Judged {
  core::Reading reading;
  Violations violations = {};
  uint64_t of(Violation violation) const { return violations[static_cast<size_t>(violation)]; }
  std::vector<control::NamedPodSample> pods;
};

Judged Judge(const pb::MetricReading& metric, const std::string& type = "stub") {
  pb::Reading reading;
  reading.set_trigger_id("t");
  *reading.add_metrics() = metric;
  const auto opened = IsHpaType(type) ? OpenedWith({}) : OpenedWith({"m"});
  Judged judged;
  auto result = CheckReading(reading, type, opened, kNow, judged.violations);
  EXPECT_FALSE(result.error.has_value());
  EXPECT_EQ(result.metrics.size(), 1u);
  judged.reading = result.metrics.at(0).reading;
  judged.pods = result.metrics.at(0).pod_samples;
  return judged;
}

// It is an error of the metric, counted as `violation`, and nothing of a value is left over.
void ExpectRefused(const Judged& judged, Violation violation, const std::string& what) {
  EXPECT_EQ(judged.reading.form, core::Reading::Form::kError) << what;
  EXPECT_EQ(judged.reading.error.kind, core::ErrorKind::kBadAnswer) << what;
  EXPECT_THAT(judged.reading.error.message, StartsWith("bad answer of the scaler: "));
  EXPECT_THAT(judged.reading.error.message, HasSubstr(what));
  EXPECT_EQ(judged.of(violation), 1u) << ViolationName(violation);
  EXPECT_TRUE(judged.reading.real.empty() && judged.reading.milli.empty() && judged.pods.empty());
  EXPECT_FALSE(judged.reading.target.has_value());
  EXPECT_FALSE(judged.reading.active.has_value());
}

TEST(CheckReading, TakesAGoodValue) {
  pb::MetricReading metric = Good();
  metric.mutable_suggested_target()->set_kind(pb::VALUE);
  metric.mutable_suggested_target()->set_amount(7000);
  const Judged judged = Judge(metric);
  ASSERT_EQ(judged.reading.form, core::Reading::Form::kReal);
  EXPECT_THAT(judged.reading.real, testing::ElementsAre(5.0));
  EXPECT_EQ(judged.reading.observed_at, kNow - absl::Seconds(2));
  EXPECT_EQ(judged.reading.sampled_at, absl::FromUnixSeconds(1699999990));
  EXPECT_EQ(judged.reading.active, std::optional(true));
  EXPECT_EQ(judged.reading.target->value, std::optional<int64_t>(7000));
  EXPECT_EQ(judged.violations, Violations{});
}

TEST(CheckReading, RefusesNumbersThatAreNone) {
  for (const double value : {std::nan(""), kInfinity, -kInfinity}) {
    pb::MetricReading metric = Good();
    metric.mutable_series()->set_real(0, value);
    ExpectRefused(Judge(metric), Violation::kBadNumber, "the value is ");
    metric.mutable_series()->set_real(0, 1);
    metric.mutable_series()->add_real(value);  // not only the first is looked at
    ExpectRefused(Judge(metric), Violation::kBadNumber, "the value is ");
  }
}

TEST(CheckReading, MakesNegativeZeroZero) {
  pb::MetricReading metric = Good();
  metric.mutable_series()->set_real(0, -0.0);
  const Judged judged = Judge(metric);
  ASSERT_EQ(judged.reading.real.size(), 1u);
  EXPECT_EQ(judged.reading.real[0], 0);
  EXPECT_FALSE(std::signbit(judged.reading.real[0]));
  EXPECT_EQ(judged.of(Violation::kNegativeZero), 1u);
}

TEST(CheckReading, RefusesSeriesThatAreBothOrNone) {
  pb::MetricReading metric = Good();
  metric.mutable_series()->add_milli(5);
  ExpectRefused(Judge(metric), Violation::kBadSeries, "both milli and real");
  metric.mutable_series()->Clear();
  ExpectRefused(Judge(metric), Violation::kBadSeries, "without values");
}

TEST(CheckReading, LetsAnExternalMetricHaveNoSeries) {
  const Judged judged = Judge(Parse<pb::MetricReading>("series {}"), "hpa-external");
  EXPECT_EQ(judged.reading.form, core::Reading::Form::kMilli);
  EXPECT_TRUE(judged.reading.milli.empty());
}

TEST(CheckReading, BoundsTheNumberOfValues) {
  pb::MetricReading metric = Good();
  metric.mutable_series()->mutable_real()->Resize(kMaxValues, 1);
  EXPECT_EQ(Judge(metric).reading.form, core::Reading::Form::kReal);
  metric.mutable_series()->mutable_real()->Resize(2'000'000, 1);
  ExpectRefused(Judge(metric), Violation::kBadSeries, "2000000 values");

  pb::MetricReading pods = Parse<pb::MetricReading>("pods { sampled_at_ns: 1 window_ns: 1 }");
  for (int i = 0; i <= kMaxValues; ++i) pods.mutable_pods()->add_pod("p");
  ExpectRefused(Judge(pods, "hpa-pods"), Violation::kBadColumns, "150001 pods");
}

TEST(CheckReading, RefusesGarbageAges) {
  const auto with_age = [](int64_t seconds, int32_t nanos) {
    pb::MetricReading metric = Good();
    metric.mutable_age()->set_seconds(seconds);
    metric.mutable_age()->set_nanos(nanos);
    return Judge(metric);
  };
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  ExpectRefused(with_age(-1, 0), Violation::kBadTime, "negative");
  ExpectRefused(with_age(0, -1), Violation::kBadTime, "negative");
  ExpectRefused(with_age(400LL * 86400, 0), Violation::kBadTime, "more than a year");
  ExpectRefused(with_age(kMost, 0), Violation::kBadTime, "no duration");
  ExpectRefused(with_age(kLeast, 0), Violation::kBadTime, "no duration");
  ExpectRefused(with_age(0, std::numeric_limits<int32_t>::min()), Violation::kBadTime,
                "no duration");
  // Old, but believable: Decide calls it stale.
  EXPECT_EQ(with_age(86400, 0).reading.observed_at, kNow - absl::Hours(24));
  pb::MetricReading ageless = Good();
  ageless.clear_age();
  EXPECT_EQ(Judge(ageless).reading.observed_at, kNow);
}

TEST(CheckReading, RefusesTimesThatCannotBe) {
  const auto at = [](int64_t seconds, int32_t nanos = 0) {
    pb::MetricReading metric = Good();
    metric.mutable_sampled_at()->set_seconds(seconds);
    metric.mutable_sampled_at()->set_nanos(nanos);
    return Judge(metric);
  };
  const int64_t now = absl::ToUnixSeconds(kNow);
  ExpectRefused(at(0), Violation::kBadTime, "before the year 2000");
  ExpectRefused(at(std::numeric_limits<int64_t>::min()), Violation::kBadTime, "before");
  ExpectRefused(at(now + 3601), Violation::kBadTime, "in the future");
  ExpectRefused(at(now * 1000), Violation::kBadTime, "in the future");  // milliseconds
  ExpectRefused(at(std::numeric_limits<int64_t>::max()), Violation::kBadTime, "in the future");
  ExpectRefused(at(now, -1), Violation::kBadTime, "no time");
  // A clock that goes wrong by minutes is no lie, and an old sample with its true age neither.
  EXPECT_EQ(at(now + 300).reading.sampled_at, kNow + absl::Minutes(5));
  EXPECT_EQ(at(now - 86400).reading.sampled_at, kNow - absl::Hours(24));
  pb::MetricReading timeless = Good();
  timeless.clear_sampled_at();
  EXPECT_EQ(Judge(timeless).reading.sampled_at, absl::InfinitePast());
}

TEST(CheckReading, RefusesAnActivityThatIsNotSaid) {
  pb::MetricReading metric = Good();
  metric.clear_active();
  ExpectRefused(Judge(metric), Violation::kBadActivity, "whether it is active");
}

TEST(CheckReading, RefusesImpossibleSuggestedTargets) {
  const auto with_target = [](pb::TargetKind kind, int64_t amount) {
    pb::MetricReading metric = Good();
    metric.mutable_suggested_target()->set_kind(kind);
    metric.mutable_suggested_target()->set_amount(amount);
    return Judge(metric);
  };
  ExpectRefused(with_target(pb::VALUE, 0), Violation::kBadTarget, "target 0 is not positive");
  ExpectRefused(with_target(pb::AVERAGE_VALUE, -5), Violation::kBadTarget, "-5m is not positive");
  ExpectRefused(with_target(pb::UTILIZATION, 50), Violation::kBadTarget, "Utilization");
  ExpectRefused(with_target(pb::TARGET_KIND_UNSPECIFIED, 5), Violation::kBadTarget, "no kind");
  ExpectRefused(with_target(static_cast<pb::TargetKind>(77), 5), Violation::kBadTarget, "no kind");
  pb::MetricReading external =
      Parse<pb::MetricReading>("series { milli: 1 } suggested_target { kind: VALUE amount: 1 }");
  ExpectRefused(Judge(external, "hpa-external"), Violation::kBadTarget, "stands in the object");
}

TEST(CheckReading, RefusesTheWrongForm) {
  pb::MetricReading metric = Good();
  metric.clear_result();
  ExpectRefused(Judge(metric), Violation::kBadForm, "neither a value nor an error");
  metric.mutable_pods();
  ExpectRefused(Judge(metric), Violation::kBadForm, "per-pod values");
  ExpectRefused(Judge(Parse<pb::MetricReading>("series { milli: 5 }"), "hpa-resource"),
                Violation::kBadForm, "a series where per-pod values belong");
}

TEST(CheckReading, TakesColumnsOfPods) {
  const Judged judged =
      Judge(Parse<pb::MetricReading>("pods { pod: 'a' pod: 'b' milli: 100 milli: 200 "
                                     "sampled_at_ns: 1699999999500000000 window_ns: 30000000000 "
                                     "window_ns: 60000000000 }"),
            "hpa-resource");
  ASSERT_EQ(judged.reading.form, core::Reading::Form::kPods);
  ASSERT_EQ(judged.pods.size(), 2u);
  EXPECT_EQ(judged.pods[1].pod, "b");
  EXPECT_EQ(judged.pods[1].milli, 200);
  EXPECT_EQ(judged.pods[1].at, absl::FromUnixMillis(1699999999500));
  EXPECT_EQ(judged.pods[0].window, absl::Seconds(30));
  EXPECT_EQ(judged.pods[1].window, absl::Minutes(1));
  EXPECT_EQ(Judge(Parse<pb::MetricReading>("pods {}"), "hpa-pods").reading.form,
            core::Reading::Form::kPods);
}

TEST(CheckReading, RefusesColumnsThatDoNotFit) {
  const auto pods = [](const std::string& text) {
    return Judge(Parse<pb::MetricReading>("pods { " + text + " }"), "hpa-resource");
  };
  const std::string time = "sampled_at_ns: 1699999999000000000 ";
  const std::string window = "window_ns: 1 ";
  ExpectRefused(pods("pod: 'a' pod: 'b' milli: 1 " + time + window), Violation::kBadColumns,
                "2 pods, 1 values");
  ExpectRefused(pods("pod: 'a' milli: 1 milli: 2 " + time + window), Violation::kBadColumns,
                "unequal");
  ExpectRefused(pods("pod: 'a' milli: 1 " + window), Violation::kBadColumns, "0 times");
  ExpectRefused(pods("pod: 'a' milli: 1 " + time), Violation::kBadColumns, "0 windows");
  ExpectRefused(pods("pod: 'a' milli: 1 " + time + time + window), Violation::kBadColumns,
                "2 times");
  ExpectRefused(pods("milli: 1 " + time + window), Violation::kBadColumns, "0 pods");
  ExpectRefused(pods(time + window), Violation::kBadColumns, "0 pods");
  ExpectRefused(pods("pod: '' milli: 1 " + time + window), Violation::kBadColumns,
                "without a name");
  ExpectRefused(pods("pod: 'a' pod: 'a' milli: 1 milli: 2 " + time + window),
                Violation::kBadColumns, "pod a twice");
  ExpectRefused(pods("pod: 'a' milli: 1 sampled_at_ns: 0 " + window), Violation::kBadTime,
                "before the year 2000");
  ExpectRefused(pods("pod: 'a' milli: 1 sampled_at_ns: -9223372036854775808 " + window),
                Violation::kBadTime, "before the year 2000");
  ExpectRefused(pods("pod: 'a' milli: 1 sampled_at_ns: 9223372036854775807 " + window),
                Violation::kBadTime, "in the future");
  ExpectRefused(pods("pod: 'a' milli: 1 " + time + "window_ns: -1"), Violation::kBadTime,
                "window is negative");
}

TEST(CheckReading, KeepsTheScalersOwnErrors) {
  const Judged judged = Judge(Parse<pb::MetricReading>(
      "name: 'm' error { kind: DENIED message: 'redis:6379 says\\nNOAUTH' }"));
  EXPECT_EQ(judged.reading.form, core::Reading::Form::kError);
  EXPECT_EQ(judged.reading.error.kind, core::ErrorKind::kDenied);
  EXPECT_EQ(judged.reading.error.message, "redis:6379 says NOAUTH");
  EXPECT_EQ(judged.violations, Violations{});
}

control::TriggerReading CheckText(const std::string& text, const control::TriggerOpened& opened,
                                  Violations& violations) {
  return CheckReading(Parse<pb::Reading>(text), "stub", opened, kNow, violations);
}

TEST(CheckReading, FailsOneMetricAlone) {
  Violations violations = {};
  const auto result = CheckText(
      "trigger_id: 't' round: 9 "
      "metrics { name: 'b' series { real: nan } active: true } "
      "metrics { name: 'a' series { real: 3 } active: true }",
      OpenedWith({"a", "b"}), violations);
  EXPECT_EQ(result.round, 9u);
  ASSERT_EQ(result.metrics.size(), 2u);
  EXPECT_EQ(result.metrics[0].name, "a");
  EXPECT_EQ(result.metrics[0].reading.real, std::vector<double>{3});
  EXPECT_EQ(result.metrics[1].reading.form, core::Reading::Form::kError);
}

TEST(CheckReading, NamesMissingDuplicateAndForeignMetrics) {
  Violations violations = {};
  const auto result = CheckText(
      "trigger_id: 't' "
      "metrics { name: 'a' series { real: 1 } active: true } "
      "metrics { name: 'a' series { real: 2 } active: true } "
      "metrics { name: '' series { real: 3 } active: true } "
      "metrics { name: 'zzz' series { real: 4 } active: true }",
      OpenedWith({"a", "b"}), violations);
  ASSERT_EQ(result.metrics.size(), 2u);
  EXPECT_THAT(result.metrics[0].reading.error.message, HasSubstr("twice"));
  EXPECT_THAT(result.metrics[1].reading.error.message, HasSubstr("missing"));
  EXPECT_EQ(violations[static_cast<size_t>(Violation::kBadName)], 3u);
  EXPECT_EQ(violations[static_cast<size_t>(Violation::kMissingMetric)], 1u);
}

TEST(CheckReading, BoundsTheNumberOfMetrics) {
  pb::Reading reading;
  for (int i = 0; i < 1'000'000; ++i) reading.add_metrics()->set_name("a");
  Violations violations = {};
  const auto result = CheckReading(reading, "stub", OpenedWith({"a"}), kNow, violations);
  ASSERT_TRUE(result.error.has_value());
  EXPECT_THAT(result.error->message, HasSubstr("1000000 metrics"));
}

TEST(CheckReading, AnErrorOfTheTriggerWinsOverItsMetrics) {
  Violations violations = {};
  const auto result =
      CheckText("error { kind: TIMEOUT message: 'slow' } metrics { name: 'a' series { real: 1 } }",
                OpenedWith({"a"}), violations);
  EXPECT_EQ(result.error, (core::ReadingError{core::ErrorKind::kTimeout, "slow"}));
  EXPECT_TRUE(result.metrics.empty());
}

TEST(CheckReading, AReadingOfARefusedTriggerIsTheRefusal) {
  Violations violations = {};
  control::TriggerOpened refused = OpenedWith({});
  refused.error = core::ReadingError{core::ErrorKind::kBadParameter, "listName: is required"};
  EXPECT_EQ(CheckText("metrics { name: 'a' series { real: 1 } }", refused, violations).error,
            refused.error);
}

control::TriggerOpened StatusFrom(const std::string& text, Violations& violations,
                                  const std::string& type = "stub") {
  return CheckStatus(Parse<pb::TriggerStatus>(text), type, violations);
}

TEST(CheckStatus, MakesMetricSpecs) {
  Violations violations = {};
  const auto opened = StatusFrom(
      "trigger_id: 't' "
      "metrics { name: 'a' target { kind: AVERAGE_VALUE amount: 1500 } has_activity: true } "
      "metrics { name: 'b' target { kind: VALUE amount: 1 } }",
      violations);
  ASSERT_FALSE(opened.error.has_value());
  ASSERT_EQ(opened.metrics.size(), 2u);
  EXPECT_EQ(opened.metrics[0].source, core::MetricSource::kExternal);
  EXPECT_TRUE(opened.metrics[0].from_trigger && opened.metrics[0].has_activity);
  EXPECT_EQ(opened.metrics[0].target.average_value, std::optional<int64_t>(1500));
  EXPECT_FALSE(opened.metrics[0].target.value.has_value());
  EXPECT_EQ(opened.metrics[1].target.value, std::optional<int64_t>(1));
  EXPECT_FALSE(opened.metrics[1].has_activity);
  EXPECT_EQ(violations, Violations{});
}

TEST(CheckStatus, RefusesMetricsThatCannotBeUsed) {
  const auto refused = [](const std::string& text, Violation violation, const std::string& what) {
    Violations violations = {};
    const auto opened = StatusFrom(text, violations);
    ASSERT_TRUE(opened.error.has_value()) << text;
    EXPECT_EQ(opened.error->kind, core::ErrorKind::kBadAnswer);
    EXPECT_THAT(opened.error->message, HasSubstr(what));
    EXPECT_TRUE(opened.metrics.empty());
    EXPECT_EQ(violations[static_cast<size_t>(violation)], 1u) << text;
  };
  refused("", Violation::kBadName, "0 metrics");
  refused("metrics { name: 'a' }", Violation::kBadTarget, "metric a: no target");
  refused("metrics { name: 'a' target { kind: VALUE } }", Violation::kBadTarget, "not positive");
  refused("metrics { name: 'a' target { kind: UTILIZATION amount: 50 } }", Violation::kBadTarget,
          "Utilization");
  refused("metrics { name: '' target { kind: VALUE amount: 1 } }", Violation::kBadName,
          "can't be used");
  refused("metrics { name: 'a\\nb' target { kind: VALUE amount: 1 } }", Violation::kBadName,
          "can't be used");
  refused("metrics { name: '" + std::string(300, 'x') + "' target { kind: VALUE amount: 1 } }",
          Violation::kBadName, "can't be used");
  refused(
      "metrics { name: 'a' target { kind: VALUE amount: 1 } } "
      "metrics { name: 'a' target { kind: VALUE amount: 2 } }",
      Violation::kBadName, "metric a twice");
}

TEST(CheckStatus, BoundsTheNumberOfMetrics) {
  pb::TriggerStatus status;
  for (int i = 0; i < 500'000; ++i) status.add_metrics()->set_name(std::to_string(i));
  Violations violations = {};
  const auto opened = CheckStatus(status, "stub", violations);
  ASSERT_TRUE(opened.error.has_value());
  EXPECT_THAT(opened.error->message, HasSubstr("500000 metrics"));
}

TEST(CheckStatus, HpaTypesHaveNoMetrics) {
  Violations violations = {};
  const auto opened =
      StatusFrom("trigger_id: 't' metrics { name: 'a' }", violations, "hpa-external");
  EXPECT_TRUE(opened.metrics.empty());
  EXPECT_FALSE(opened.error.has_value());
}

TEST(ErrorOf, KnowsEveryKindAndDistrustsOthers) {
  pb::Error error;
  error.set_kind(static_cast<pb::Error::Kind>(99));
  EXPECT_EQ(ErrorOf(error).kind, core::ErrorKind::kInternal);
  EXPECT_EQ(ErrorOf(error).message, "the scaler gave no reason");
  error.set_kind(pb::Error::BAD_PARAMETER);
  error.add_fields()->set_parameter("listName");
  error.mutable_fields(0)->set_message("is required");
  EXPECT_EQ(ErrorOf(error).kind, core::ErrorKind::kBadParameter);
  EXPECT_EQ(ErrorOf(error).message, "listName: is required");
}

TEST(CleanText, CutsBetweenCharacters) {
  const std::string long_text = std::string(999, 'x') + "ä" + std::string(1 << 20, 'y');
  const std::string clean = CleanText(long_text);
  EXPECT_EQ(clean, std::string(999, 'x') + "...");
}

}  // namespace
}  // namespace neap::scalerhost
