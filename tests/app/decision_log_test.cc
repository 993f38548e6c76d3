#include "autoscaler/app/decision_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace neap::app {
namespace {

using core::ApplyResult;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DecisionLogTest : public ::testing::Test {
 protected:
  DecisionLogTest() {
    spec_.key = {.ns = "shop", .name = "checkout"};
    spec_.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "checkout"};
    metric_.source = core::MetricSource::kPods;
    metric_.name = "rps";
    inputs_.push_back({.spec = &metric_, .reading = &reading_});
    seen_.metrics = inputs_;
    seen_.scale = &scale_;
  }

  static core::Decision Computed(int32_t from, int32_t to) {
    core::Decision d;
    d.verdict = core::Verdict::kComputed;
    d.current = from;
    d.recommended = d.stabilised = d.desired = to;
    d.rescale = from != to;
    d.winner = 0;
    d.rescale_reason = to > from   ? core::RescaleReason::kMetricAboveTarget
                       : to < from ? core::RescaleReason::kAllMetricsBelowTarget
                                   : core::RescaleReason::kNone;
    return d;
  }

  void Decide(const core::Decision& decision, ApplyResult::Kind result,
              const std::string& error = "", const std::string& uid = "u") {
    log_.OnDecision({.uid = uid,
                     .decision_id = ++id_,
                     .spec = &spec_,
                     .spec_version = 1,
                     .cause = control::Cause::kPeriodic,
                     .seen = &seen_,
                     .before = nullptr,
                     .decision = &decision},
                    now_);
    log_.OnOutcome({.uid = uid,
                    .decision_id = id_,
                    .result = {.kind = result, .at = now_, .error = error},
                    .outcome = nullptr},
                   now_);
  }
  void Warn(const std::string& reason, const std::string& message) {
    log_.OnEvent(
        {.uid = "u",
         .key = spec_.key,
         .kind = core::ObjectKind::kAutoscaler,
         .event = {.type = core::EventType::kWarning, .reason = reason, .message = message}},
        now_);
  }
  std::vector<std::string> Lines() { return std::exchange(lines_, {}); }

  core::AutoscalerSpec spec_;
  core::MetricSpec metric_;
  core::Reading reading_;
  core::Scale scale_;
  std::vector<core::MetricInput> inputs_;
  core::Observation seen_;
  uint64_t id_ = 0;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  std::vector<std::string> lines_;
  DecisionLog log_{[this](DecisionLog::Severity severity, std::string_view line) {
    lines_.push_back((severity == DecisionLog::Severity::kWarning ? "W " : "I ") +
                     std::string(line));
  }};
};

TEST_F(DecisionLogTest, OneLinePerChange) {
  Decide(Computed(3, 5), ApplyResult::Kind::kApplied);
  EXPECT_THAT(Lines(), ElementsAre("I shop/checkout: Deployment checkout 3 -> 5: pods metric rps "
                                   "above target"));
}

TEST_F(DecisionLogTest, AChangeThatIsLessThanAskedForSaysWhy) {
  core::Decision limited = Computed(3, 5);
  limited.recommended = 20;
  limited.limited = core::Reason::kScaleUpLimit;
  Decide(limited, ApplyResult::Kind::kApplied);
  EXPECT_THAT(Lines(), ElementsAre("I shop/checkout: Deployment checkout 3 -> 5: pods metric rps "
                                   "above target (ScaleUpLimit: the metrics ask for 20)"));
}

TEST_F(DecisionLogTest, NoLinePerTick) {
  Decide(Computed(3, 3), ApplyResult::Kind::kNotTried);
  Lines();
  for (int i = 0; i < 100; ++i) {
    now_ += absl::Seconds(15);
    Decide(Computed(3, 3), ApplyResult::Kind::kNotTried);
  }
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(DecisionLogTest, ANewReasonIsSaidOnce) {
  Decide(Computed(3, 3), ApplyResult::Kind::kNotTried);
  Lines();
  core::Decision held = Computed(3, 3);
  held.recommended = 1;
  held.able = core::Reason::kScaleDownStabilized;
  now_ += absl::Seconds(15);
  Decide(held, ApplyResult::Kind::kNotTried);
  now_ += absl::Seconds(15);
  Decide(held, ApplyResult::Kind::kNotTried);
  EXPECT_THAT(Lines(), ElementsAre("I shop/checkout: stays at 3: ScaleDownStabilized: the metrics "
                                   "ask for 1"));
}

TEST_F(DecisionLogTest, AReasonThatComesAndGoesIsThrottled) {
  core::Decision held = Computed(3, 3);
  held.able = core::Reason::kScaleDownStabilized;
  for (int i = 0; i < 60; ++i) {
    now_ += absl::Seconds(1);
    Decide(i % 2 == 0 ? held : Computed(3, 3), ApplyResult::Kind::kNotTried);
  }
  const size_t lines = Lines().size();
  EXPECT_GE(lines, 2u);
  EXPECT_LE(lines, 10u);  // four, and one in 10 s
}

TEST_F(DecisionLogTest, AWithheldChangeIsSaidOnceThoughDecidedEachPeriod) {
  Decide(Computed(3, 5), ApplyResult::Kind::kWithheld);
  EXPECT_THAT(Lines(), ::testing::Contains(HasSubstr("3 -> 5 withheld (dry run)")));
  now_ += absl::Seconds(15);
  Decide(Computed(3, 5), ApplyResult::Kind::kWithheld);
  EXPECT_THAT(Lines(), IsEmpty());
  now_ += absl::Seconds(15);
  Decide(Computed(3, 6), ApplyResult::Kind::kWithheld);
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("3 -> 6 withheld")));
}

TEST_F(DecisionLogTest, AFailedWriteIsAWarningWithTheServersWords) {
  Decide(Computed(3, 5), ApplyResult::Kind::kRejected, "forbidden by quota");
  EXPECT_THAT(Lines(), ::testing::Contains("W shop/checkout: Deployment checkout 3 -> 5 not "
                                           "applied: refused: forbidden by quota"));
}

TEST_F(DecisionLogTest, WarningsThatRepeatAreCounted) {
  for (int i = 0; i < 10; ++i) {
    Warn("FailedGetPodsMetric", "unable to get metric rps");
    now_ += absl::Seconds(15);
  }
  EXPECT_THAT(Lines(),
              ElementsAre("W shop/checkout: FailedGetPodsMetric: unable to get metric rps"));
  now_ += absl::Minutes(5);
  Warn("FailedGetPodsMetric", "unable to get metric rps");
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("(9 times more)")));
}

TEST_F(DecisionLogTest, AFloodIsCutAndWhatIsLeftOutIsCounted) {
  for (int i = 0; i < 1000; ++i) {
    Decide(Computed(3, 3), ApplyResult::Kind::kNotTried, "", "uid" + std::to_string(i));
  }
  EXPECT_EQ(Lines().size(), 200u);
  now_ += absl::Minutes(1);
  Decide(Computed(3, 3), ApplyResult::Kind::kNotTried, "", "another");
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("800 lines about decisions were left out"),
                                   HasSubstr("stays at 3")));
}

}  // namespace
}  // namespace neap::app
