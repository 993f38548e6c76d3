// What Neap would have decided against what another controller did: the rules of the comparison by
// themselves, and a shadowed object in the controller.
#include "autoscaler/control/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/control/desk.h"

namespace neap::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

absl::Time At(int seconds) { return kStart + absl::Seconds(seconds); }

// "equal different [waiting since]".
std::string Counts(const Shadow& shadow) {
  std::string out = std::to_string(shadow.equal()) + " " + std::to_string(shadow.different());
  if (shadow.differs_since()) {
    out +=
        " differs since " + std::to_string(absl::ToInt64Seconds(*shadow.differs_since() - kStart));
  }
  return out;
}

TEST(Shadow, TheSameCountIsEqualAtOnce) {
  Shadow shadow(At(0));
  shadow.Decided(At(0), 3, 3, "");
  shadow.Decided(At(15), 3, 3, "");
  EXPECT_EQ(Counts(shadow), "2 0");
  EXPECT_EQ(shadow.compared(), 2U);
  EXPECT_FALSE(shadow.last().has_value());
}

TEST(Shadow, TheOtherMayComeToItWithinOnePeriodOfItsOwn) {
  Shadow shadow(At(0));
  shadow.Decided(At(0), 3, 5, "cpu above target");
  EXPECT_EQ(Counts(shadow), "0 0 differs since 0");
  shadow.Scaled(At(14), 5);
  EXPECT_EQ(Counts(shadow), "1 0");
  shadow.Decided(At(15), 5, 5, "");
  EXPECT_EQ(Counts(shadow), "2 0");
}

TEST(Shadow, NeapMayComeToItWithinOnePeriodOfTheOther) {
  Shadow shadow(At(0));
  shadow.Decided(At(0), 3, 3, "");
  shadow.Scaled(At(7), 4);  // on newer readings
  shadow.Decided(At(15), 4, 3, "all below");
  shadow.Decided(At(30), 4, 4, "");
  EXPECT_EQ(Counts(shadow), "3 0");
}

TEST(Shadow, ADifferenceThatStandsLongerCounts) {
  Shadow shadow(At(0));
  shadow.Decided(At(0), 3, 5, "cpu above target");
  shadow.Decided(At(15), 3, 5, "cpu above target");
  EXPECT_EQ(Counts(shadow), "0 0 differs since 0");  // one period, not beyond
  shadow.Decided(At(30), 3, 6, "cpu above target");
  EXPECT_EQ(Counts(shadow), "0 1 differs since 0");
  ASSERT_TRUE(shadow.last().has_value());
  EXPECT_EQ(shadow.last()->at, At(0));
  EXPECT_EQ(shadow.last()->desired, 5);
  EXPECT_EQ(shadow.last()->count, 3);
  EXPECT_EQ(shadow.last()->reason, "cpu above target");
  // What the other does now settles the decisions that are young enough, by their own counts.
  shadow.Scaled(At(31), 5);
  EXPECT_EQ(Counts(shadow), "1 1 differs since 0");  // that of 15 is met, that of 30 is not
  shadow.Scaled(At(40), 6);
  EXPECT_EQ(Counts(shadow), "2 1");
}

TEST(Shadow, TheOtherPeriodIsTheMeasure) {
  Shadow shadow(At(0), absl::Seconds(60));
  shadow.Decided(At(0), 3, 5, "");
  shadow.Decided(At(61), 3, 5, "");
  EXPECT_EQ(shadow.different(), 0U);
  shadow.Decided(At(62), 3, 5, "");
  EXPECT_EQ(shadow.different(), 1U);
}

TEST(Shadow, NothingIsComparedOfWhatIsNotKnown) {
  Shadow shadow(At(0));
  shadow.Decided(At(0), 3, 5, "");
  shadow.Unknown();
  shadow.Decided(At(60), 3, 3, "");
  EXPECT_EQ(Counts(shadow), "1 0");
}

// ---- in the controller

core::AutoscalerSpec HpaSpec() {
  core::AutoscalerSpec spec = Desk::Spec("web");
  spec.kind = core::ObjectKind::kHpa;
  spec.guards = core::Guards::kNone;
  spec.behavior = core::Behavior{.scale_up = {.stabilization_window_seconds = 0,
                                              .select_policy = core::SelectPolicy::kMax,
                                              .policies = {{core::PolicyType::kPods, 4, 60}},
                                              .tolerance = {}},
                                 .scale_down = {.stabilization_window_seconds = 300,
                                                .select_policy = core::SelectPolicy::kMax,
                                                .policies = {{core::PolicyType::kPercent, 100, 15}},
                                                .tolerance = {}}};
  return spec;
}

// A desk with the shadow of the HPA web on 2 replicas, which needs that many.
class ShadowedTest : public ::testing::Test {
 protected:
  ShadowedTest() {
    desk_.on_write = [](const PatchScale&) { return core::ApplyResult::Kind::kWithheld; };
    spec_ = std::make_shared<const core::AutoscalerSpec>(HpaSpec());
    desk_.values["web"] = 20'000;
    desk_.In(SpecsReplaced{.source = "hpa", .all = {Change({})}});
    desk_.Scale("web", 2);
  }
  SpecChange Change(core::Status status) const {
    return {.uid = "uid-web",
            .spec = spec_,
            .status = std::move(status),
            .source = "hpa",
            .shadow = true};
  }
  // The HPA controller scaled: first the workload, then its own status.
  void HpaScales(int32_t from, int32_t to) {
    desk_.Scale("web", to);
    core::Status status;
    status.current_replicas = from;
    status.desired_replicas = to;
    status.last_scale_time =
        absl::Trunc(desk_.now() - absl::UnixEpoch(), absl::Seconds(1)) + absl::UnixEpoch();
    desk_.In(Change(status));
  }
  std::vector<std::string> Run(absl::Duration duration) {
    std::vector<std::string> lines;
    const absl::Time end = desk_.now() + duration;
    while (desk_.now() < end) {
      desk_.In(ViewHeard{.view = View::kSpecs, .scope = "hpa"});
      for (std::string& line : desk_.Run(std::min(absl::Seconds(15), end - desk_.now()))) {
        lines.push_back(std::move(line));
      }
    }
    return lines;
  }
  const Shadow& shadow() { return *desk_.Info("web").shadow; }

  std::shared_ptr<const core::AutoscalerSpec> spec_;
  Desk desk_;
};

TEST_F(ShadowedTest, IsComparedAndItsControllersChangeIsItsOwn) {
  Run(absl::Seconds(31));
  EXPECT_GE(shadow().equal(), 2U);
  EXPECT_EQ(shadow().different(), 0U);
  desk_.values["web"] = 50'000;
  Run(absl::Seconds(15));
  EXPECT_THAT(desk_.patches(), Not(IsEmpty()));  // all withheld: the count is the HPA's
  EXPECT_EQ(desk_.replicas("web"), 2);
  HpaScales(2, 5);
  // It is the HPA's write, and no reason to decide before the period: as it for its own.
  EXPECT_THAT(desk_.Run(absl::Milliseconds(200)), Not(Contains(HasSubstr("decide"))));
  Run(absl::Seconds(30));
  EXPECT_EQ(shadow().different(), 0U);
  EXPECT_EQ(shadow().other_desired(), 5);
  const core::History& history = *desk_.Info("web").history;
  ASSERT_EQ(history.up_events.size(), 1U);
  EXPECT_EQ(history.up_events[0].change, 3);
  // Its event counts for the policy: of 4 per minute 1 is left.
  desk_.values["web"] = 100'000;
  Run(absl::Seconds(15));
  EXPECT_EQ(desk_.Info("web").decision->desired, 6);
}

TEST_F(ShadowedTest, WhatItsControllerRecommendedHoldsTheWindow) {
  Run(absl::Seconds(31));
  HpaScales(2, 6);  // on a spike that we did not see
  Run(absl::Seconds(60));
  EXPECT_EQ(desk_.Info("web").decision->desired, 6);
  EXPECT_EQ(shadow().different(), 0U);
  Run(absl::Minutes(6));  // the window is over; this HPA sits still: a difference
  EXPECT_EQ(desk_.Info("web").decision->desired, 2);
  EXPECT_GT(shadow().different(), 0U);
  EXPECT_EQ(shadow().last()->desired, 2);
  EXPECT_EQ(shadow().last()->count, 6);
  EXPECT_EQ(shadow().last()->reason, "All metrics below target");
}

// As HPAs among themselves: one shadow per target and an Autoscaler beside it are not ambiguous.
TEST_F(ShadowedTest, AnAutoscalerBesideItIsNotAmbiguous) {
  core::AutoscalerSpec own = HpaSpec();
  own.kind = core::ObjectKind::kAutoscaler;
  own.key.name = "web-by-neap";
  own.uid = "uid-own";
  desk_.In(SpecsReplaced{.source = "api",
                         .all = {{.uid = "uid-own",
                                  .spec = std::make_shared<const core::AutoscalerSpec>(own),
                                  .status = {},
                                  .source = "api"}}});
  Run(absl::Seconds(46));
  EXPECT_EQ(desk_.Info("web").decision->verdict, core::Verdict::kComputed);
  EXPECT_EQ(desk_.Info("own").decision->verdict, core::Verdict::kComputed);
  // Two shadows are.
  core::AutoscalerSpec second = HpaSpec();
  second.key.name = "web-2";
  second.uid = "uid-web-2";
  desk_.In(SpecChange{.uid = "uid-web-2",
                      .spec = std::make_shared<const core::AutoscalerSpec>(second),
                      .status = {},
                      .source = "hpa",
                      .shadow = true});
  Run(absl::Seconds(46));
  EXPECT_EQ(desk_.Info("web").decision->failure, core::Reason::kAmbiguousSelector);
  EXPECT_EQ(desk_.Info("own").decision->verdict, core::Verdict::kComputed);
}

}  // namespace
}  // namespace neap::control
