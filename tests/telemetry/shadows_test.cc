// Shadows: the document of /shadow, made between steps.
#include "autoscaler/telemetry/shadows.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/status.h"
#include "tests/support/process.h"

namespace neap::telemetry {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

// Shadows shop/web-0 and on, with 3 replicas each, and an Autoscaler that is none.
void Fill(control::Controller& controller, int objects) {
  control::SpecsReplaced specs{.source = "hpa", .all = {}};
  control::ScalesReplaced scales{.group = "apps", .kind = "Deployment", .all = {}};
  for (int i = 0; i <= objects; ++i) {
    auto spec = std::make_shared<core::AutoscalerSpec>();
    const std::string name = i == objects ? "own" : "web-" + std::to_string(i);
    spec->key = {.ns = "shop", .name = name};
    spec->uid = "uid-" + name;
    spec->target = {.api_version = "apps/v1", .kind = "Deployment", .name = name};
    spec->max_replicas = 9;
    core::Status status;
    status.desired_replicas = 4;
    specs.all.push_back({.uid = spec->uid,
                         .spec = spec,
                         .status = status,
                         .source = "hpa",
                         .shadow = i != objects});
    core::Scale scale;
    scale.uid = "d";
    scale.spec_replicas = scale.status_replicas = 12;  // above the maximum: 9 are desired
    scale.selector = "app=" + name;
    scales.all.push_back(
        {.target = {.group = "apps", .kind = "Deployment", .ns = "shop", .name = name},
         .scale = scale,
         .error = {}});
  }
  std::vector<control::Message> messages;
  messages.emplace_back(std::move(specs));
  messages.emplace_back(std::move(scales));
  controller.Step(std::move(messages), kNow);
  controller.Step({}, kNow + absl::Seconds(15));
}

TEST(Shadows, AllOfThemAndNobodyElse) {
  control::Controller controller{control::ControllerOptions{}};
  const int objects = Shadows::kChunk + 7;
  Fill(controller, objects);
  std::atomic<bool> woken = false;
  Shadows shadows([&] { woken = true; });
  shadows.Serve(controller);  // nobody asks
  absl::StatusOr<std::string> text;
  std::thread asks([&] { text = shadows.Get(absl::Minutes(1)); });
  ASSERT_TRUE(testing_support::WaitFor([&] { return woken.load(); }));
  EXPECT_TRUE(absl::IsResourceExhausted(shadows.Get(absl::Minutes(1)).status()));
  for (int i = 0; i < 2; ++i) {  // two pieces, and no more
    woken = false;
    shadows.Serve(controller);
  }
  EXPECT_FALSE(woken);
  asks.join();
  ASSERT_TRUE(text.ok()) << text.status();
  const auto document = nlohmann::json::parse(*text);
  ASSERT_EQ(document["shadows"].size(), static_cast<size_t>(objects));
  const auto& web = document["shadows"][0];
  EXPECT_EQ(web["namespace"], "shop");
  EXPECT_EQ(web["name"], "web-0");
  EXPECT_EQ(web["target"], "Deployment/web-0");
  EXPECT_EQ(web["replicas"], 12);
  EXPECT_EQ(web["hpaDesired"], 4);
  EXPECT_EQ(web["neapDesired"], 9);
  EXPECT_EQ(web["since"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(web["compared"], 0);
  EXPECT_TRUE(web.contains("differsSince"));
  EXPECT_FALSE(web.contains("last"));
}

TEST(Shadows, WaitingEnds) {
  Shadows shadows([] {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(shadows.Get(absl::Milliseconds(1)).status()));
  shadows.Close();
  EXPECT_TRUE(absl::IsUnavailable(shadows.Get(absl::Minutes(1)).status()));
}

}  // namespace
}  // namespace neap::telemetry
