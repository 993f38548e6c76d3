#include "autoscaler/app/object_table.h"

#include <gtest/gtest.h>

namespace neap::app {
namespace {

using kube::objects::Mode;

ObjectTable::Object From(const std::string& source, Mode mode) {
  return {.source = source, .mode = mode, .own_conditions = {}, .errors = {}, .warnings = {}};
}

std::vector<core::Condition> Own(ObjectTable& objects, absl::Time now) {
  return objects.Complete("a", core::Status(), now).own_conditions;
}

TEST(ObjectTable, OnlyLiveObjectsAreWritten) {
  ObjectTable objects(/*dry_run=*/false);
  objects.Put("live", From("api", Mode::kLive));
  objects.Put("dry", From("api", Mode::kDryRun));
  EXPECT_FALSE(objects.Withheld("live"));
  EXPECT_TRUE(objects.Withheld("dry"));
  EXPECT_TRUE(objects.Withheld("nobody"));  // what is not known is not written
  objects.Put("live", From("api", Mode::kDryRun));
  EXPECT_TRUE(objects.Withheld("live"));
}

TEST(ObjectTable, ADryRunOfTheInstallationWithholdsAll) {
  ObjectTable objects(/*dry_run=*/true);
  objects.Put("live", From("api", Mode::kLive));
  EXPECT_TRUE(objects.Withheld("live"));
}

TEST(ObjectTable, ForgetsWhatASourceDropped) {
  ObjectTable objects(/*dry_run=*/false);
  objects.Put("a", From("api", Mode::kLive));
  objects.Put("b", From("api", Mode::kLive));
  objects.Put("file", From("dir:/x", Mode::kLive));
  objects.Apply("api", control::SpecsReplaced{.source = "api",
                                              .all = {{.uid = "b", .spec = {}, .status = {}}}});
  EXPECT_TRUE(objects.Withheld("a"));
  EXPECT_FALSE(objects.Withheld("b"));
  EXPECT_FALSE(objects.Withheld("file"));  // of another source
  objects.Apply("dir:/x", control::SpecGone{.uid = "file"});
  EXPECT_TRUE(objects.Withheld("file"));
  EXPECT_EQ(objects.size(), 1u);
}

TEST(ObjectTable, OnlyObjectsOfTheApiHaveAStatusThere) {
  ObjectTable objects(/*dry_run=*/false);
  objects.Put("a", From("api", Mode::kLive));
  objects.Put("file", From("dir:/x", Mode::kLive));
  EXPECT_TRUE(objects.InApi("a"));
  EXPECT_FALSE(objects.InApi("file"));
  EXPECT_FALSE(objects.InApi("nobody"));
}

TEST(ObjectTable, TheDryRunConditionKeepsItsTimeUntilItTurns) {
  const absl::Time t0 = absl::UnixEpoch() + absl::Hours(1);
  ObjectTable objects(/*dry_run=*/false);
  objects.Put("a", From("api", Mode::kDryRun));
  const auto first = Own(objects, t0);
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(first[0].type, "DryRun");
  EXPECT_EQ(first[0].status, core::ConditionStatus::kTrue);
  EXPECT_EQ(first[0].last_transition, t0);
  EXPECT_EQ(Own(objects, t0 + absl::Minutes(1)), first);

  objects.Put("a", From("api", Mode::kLive));
  const auto turned = Own(objects, t0 + absl::Minutes(2));
  EXPECT_EQ(turned[0].status, core::ConditionStatus::kFalse);
  EXPECT_EQ(turned[0].reason, "Live");
  EXPECT_EQ(turned[0].last_transition, t0 + absl::Minutes(2));
}

TEST(ObjectTable, TheAcceptedConditionTellsTheProblems) {
  const absl::Time t0 = absl::UnixEpoch() + absl::Hours(1);
  const auto accepted = [&](ObjectTable& objects) { return Own(objects, t0).at(1); };
  ObjectTable objects(/*dry_run=*/false);
  ObjectTable::Object object = From("api", Mode::kLive);
  object.warnings = {"spec.foo: unknown field"};
  EXPECT_TRUE(objects.Put("a", object));
  EXPECT_FALSE(objects.Put("a", object));  // nothing new
  EXPECT_EQ(accepted(objects).type, "Accepted");
  EXPECT_EQ(accepted(objects).status, core::ConditionStatus::kTrue);
  EXPECT_EQ(accepted(objects).message, "spec.foo: unknown field");

  object.errors = {"spec.maxReplicas: must be set", "spec.x: wrong"};
  EXPECT_TRUE(objects.Put("a", object));
  EXPECT_EQ(accepted(objects).status, core::ConditionStatus::kFalse);
  EXPECT_EQ(accepted(objects).message, "spec.maxReplicas: must be set; spec.x: wrong");
  EXPECT_EQ(objects.ProblemsOf("api").errors, 2u);
  EXPECT_EQ(objects.ProblemsOf("api").warnings, 1u);
  EXPECT_EQ(objects.ProblemsOf("dir:/x").errors, 0u);
}

TEST(ObjectTable, OneDryRunConditionWithCoresWords) {
  const absl::Time t0 = absl::UnixEpoch() + absl::Hours(1);
  ObjectTable objects(/*dry_run=*/false);
  objects.Put("a", From("api", Mode::kDryRun));
  Own(objects, t0);
  core::Status status;
  status.current_replicas = 1;
  status.desired_replicas = 3;
  status.conditions.push_back({.type = "DryRun",
                               .status = core::ConditionStatus::kTrue,
                               .reason = "Withheld",
                               .message = "would scale from 1 to 3",
                               .last_transition = t0 + absl::Minutes(1)});
  const auto full = objects.Complete("a", status, t0 + absl::Minutes(1));
  EXPECT_TRUE(full.status.conditions.empty());
  EXPECT_EQ(full.own_conditions[0].reason, "Withheld");
  EXPECT_EQ(full.own_conditions[0].message, "would scale from 1 to 3");
  EXPECT_EQ(full.own_conditions[0].last_transition, t0);  // it was true before
  status.desired_replicas = 1;                            // nothing is withheld any more
  EXPECT_EQ(objects.Complete("a", status, t0).own_conditions[0].reason, "DryRun");
}

core::Status Able() {
  core::Status status;
  status.conditions.push_back({.type = "AbleToScale",
                               .status = core::ConditionStatus::kTrue,
                               .reason = "ReadyForNewScale",
                               .message = "fine",
                               .last_transition = absl::UnixEpoch()});
  return status;
}

TEST(ObjectTable, ARivalIsAConditionUntilItIsGone) {
  const absl::Time t0 = absl::UnixEpoch() + absl::Hours(1);
  ObjectTable objects(/*dry_run=*/false);
  objects.Put("a", From("api", Mode::kLive));
  EXPECT_FALSE(objects.SetRival("nobody", "x"));
  EXPECT_FALSE(objects.SetRival("a", ""));
  EXPECT_TRUE(objects.SetRival("a", "not listed yet"));
  objects.Complete("a", Able(), t0);
  EXPECT_TRUE(objects.SetRival("a", "HPA web scales it"));
  EXPECT_FALSE(objects.SetRival("a", "HPA web scales it"));
  const auto full = objects.Complete("a", Able(), t0 + absl::Minutes(1));
  EXPECT_EQ(full.status.conditions[0].status, core::ConditionStatus::kFalse);
  EXPECT_EQ(full.status.conditions[0].reason, "TargetScaledByHPA");
  EXPECT_EQ(full.status.conditions[0].message, "HPA web scales it");
  EXPECT_EQ(full.status.conditions[0].last_transition, t0);
  EXPECT_EQ(full.own_conditions[0].type, "DryRun");
  EXPECT_EQ(full.own_conditions[0].status, core::ConditionStatus::kTrue);
  EXPECT_EQ(full.own_conditions[0].reason, "TargetScaledByHPA");
  EXPECT_TRUE(objects.SetRival("a", ""));
  const auto free = objects.Complete("a", Able(), t0 + absl::Minutes(2));
  EXPECT_EQ(free.status, Able());
  EXPECT_EQ(free.own_conditions[0].status, core::ConditionStatus::kFalse);
}

}  // namespace
}  // namespace neap::app
