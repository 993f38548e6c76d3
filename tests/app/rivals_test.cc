#include "autoscaler/app/rivals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace neap::app {
namespace {

using ::testing::HasSubstr;

control::TargetRef Deployment(const std::string& name) {
  return {.group = "apps", .kind = "Deployment", .ns = "shop", .name = name};
}
kube::HpaTarget Hpa(const std::string& name, const std::string& target,
                    const std::string& owner = "") {
  return {.key = {"shop", name}, .target = Deployment(target), .owner = owner};
}

TEST(Rivals, NothingIsWrittenBeforeTheHpasAreListed) {
  Rivals rivals(/*watched=*/true);
  EXPECT_THAT(rivals.Refusal(Deployment("web")), HasSubstr("not listed yet"));
  rivals.Put(Hpa("hpa", "web"));
  EXPECT_THAT(rivals.Refusal(Deployment("other")), HasSubstr("not listed yet"));
  rivals.Replace({});
  EXPECT_EQ(rivals.Refusal(Deployment("web")), "");
}

TEST(Rivals, AnHpaOnTheTargetIsNamed) {
  Rivals rivals(/*watched=*/true);
  rivals.Replace({Hpa("web", "web"), Hpa("keda-hpa-jobs", "jobs", "ScaledObject jobs")});
  EXPECT_EQ(
      rivals.Refusal(Deployment("web")),
      "HorizontalPodAutoscaler web scales Deployment web too: Neap does not write until it is "
      "gone or has another target");
  EXPECT_THAT(rivals.Refusal(Deployment("jobs")),
              HasSubstr("HorizontalPodAutoscaler keda-hpa-jobs (of ScaledObject jobs) scales"));
  EXPECT_EQ(rivals.Refusal(Deployment("free")), "");
  EXPECT_EQ(rivals.Refusal({.group = "apps", .kind = "StatefulSet", .ns = "shop", .name = "web"}),
            "");
  EXPECT_EQ(rivals.Refusal({.group = "apps", .kind = "Deployment", .ns = "blog", .name = "web"}),
            "");
}

TEST(Rivals, TheTargetIsFreeWhenTheHpaIsGoneOrHasAnother) {
  Rivals rivals(/*watched=*/true);
  rivals.Replace({Hpa("a", "web"), Hpa("b", "web")});
  rivals.Put(Hpa("a", "other"));
  EXPECT_THAT(rivals.Refusal(Deployment("web")), HasSubstr("Autoscaler b scales"));
  EXPECT_THAT(rivals.Refusal(Deployment("other")), HasSubstr("Autoscaler a scales"));
  rivals.Remove({"shop", "b"});
  rivals.Remove({"shop", "b"});
  EXPECT_EQ(rivals.Refusal(Deployment("web")), "");
  rivals.Replace({});
  EXPECT_EQ(rivals.Refusal(Deployment("other")), "");
}

TEST(Rivals, WhatCantBeReadOrIsNotWatchedRefusesNothing) {
  Rivals unreadable(/*watched=*/true);
  unreadable.SetUnreadable();
  EXPECT_EQ(unreadable.Refusal(Deployment("web")), "");
  Rivals unwatched(/*watched=*/false);
  EXPECT_EQ(unwatched.Refusal(Deployment("web")), "");
  unwatched.Await(absl::Hours(1));  // does not wait
}

TEST(Rivals, AwaitEndsWithTheList) {
  Rivals rivals(/*watched=*/true);
  rivals.Await(absl::Milliseconds(1));
  std::thread lists([&] { rivals.Replace({}); });
  rivals.Await(absl::Hours(1));
  lists.join();
  EXPECT_EQ(rivals.Refusal(Deployment("web")), "");
}

}  // namespace
}  // namespace neap::app
