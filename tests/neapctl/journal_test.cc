// neapctl explain and replay on journals that this test writes: of true decisions, and of one that
// this build would not take.
#include "autoscaler/record/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "autoscaler/base/duration.h"
#include "tests/support/process.h"

namespace neap {
namespace {

using testing::HasSubstr;
using testing_support::Process;
using testing_support::TempDir;

struct Done {
  int code = -1;
  std::string output;  // stdout and stderr
};

class Journal : public testing::Test {
 protected:
  Journal() {
    spec_.key = {.ns = "shop", .name = "checkout"};
    spec_.uid = "u1";
    spec_.target = {.api_version = "apps/v1", .kind = "Deployment", .name = "checkout"};
    spec_.min_replicas = 1;
    spec_.max_replicas = 50;
    core::MetricSpec& metric = spec_.metrics.emplace_back();
    metric.source = core::MetricSource::kExternal;
    metric.source_text = "External";
    metric.name = "jobs";
    metric.target.kind = core::TargetKind::kAverageValue;
    metric.target.average_value = 20'000;
  }

  // Two decisions, 15 s apart: the queue of 90, then of 150. `change` may falsify one that is
  // written.
  void Write(const std::function<void(core::Decision&)>& change = {}) {
    auto writer =
        record::Writer::Open({.directory = path(), .build = "test", .options = options_},
                             [](const absl::Status& status) { FAIL() << status.ToString(); });
    ASSERT_TRUE(writer.ok()) << writer.status();
    absl::Time now = base::ParseTime("2026-03-01T10:00:00Z").value();
    core::Scale scale = {.uid = "t1",
                         .resource_version = "1",
                         .spec_replicas = 4,
                         .status_replicas = 4,
                         .selector = "app=checkout"};
    core::History history;
    core::Status status;
    uint64_t id = 0;
    for (const int64_t milli : {90'000, 150'000}) {
      core::Reading reading;
      reading.form = core::Reading::Form::kMilli;
      reading.milli = {milli};
      reading.observed_at = now;
      reading.sequence = ++id;
      const core::MetricInput input = {
          .spec = &spec_.metrics[0], .reading = &reading, .stale_after = absl::Minutes(1)};
      core::Observation seen;
      seen.now = now;
      seen.scale = &scale;
      seen.metrics = {&input, 1};
      seen.previous = &status;
      core::Decision decision = core::Decide(options_, spec_, seen, history);
      if (change) change(decision);
      (*writer)->OnDecision({.uid = spec_.uid,
                             .decision_id = id,
                             .spec = &spec_,
                             .spec_version = 1,
                             .cause = control::Cause::kPeriodic,
                             .seen = &seen,
                             .before = &history,
                             .decision = &decision},
                            now);
      const core::ApplyResult result = {
          .kind = core::ApplyResult::Kind::kApplied, .at = now, .error = {}};
      core::Outcome outcome = core::Remember(options_, spec_, seen, decision, result, history);
      (*writer)->OnOutcome(
          {.uid = spec_.uid, .decision_id = id, .result = result, .outcome = &outcome}, now);
      (*writer)->EndStep(now);
      history = std::move(outcome.history);
      status = std::move(outcome.status);
      scale.spec_replicas = scale.status_replicas = decision.desired;
      now += absl::Seconds(15);
    }
    (*writer)->Close();
  }

  Done Run(std::vector<std::string> arguments) {
    const char* bin = std::getenv("NEAP_BIN");
    EXPECT_NE(bin, nullptr) << "NEAP_BIN says where neapctl is";
    arguments.insert(arguments.begin(), std::string(bin == nullptr ? "" : bin) + "/neapctl");
    Process process(arguments, dir_.path(), "log" + std::to_string(++runs_));
    EXPECT_TRUE(testing_support::WaitFor([&] { return !process.Running(); }, absl::Seconds(60)));
    const int status = process.Stop();
    return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .output = process.Log()};
  }

  std::string path() const { return dir_.path() + "/journal"; }

  TempDir dir_;
  int runs_ = 0;
  core::HpaOptions options_;
  core::AutoscalerSpec spec_;
};

TEST_F(Journal, ReplayAgrees) {
  Write();
  const Done done = Run({"replay", path()});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("2 decisions, 0 different; 2 outcomes, 0 different\n"));
  const auto json = nlohmann::json::parse(Run({"replay", "-o", "json", path()}).output);
  EXPECT_EQ(json["decisions"], 2);
  EXPECT_EQ(json["different"], 0);
  EXPECT_EQ(json["builds"], nlohmann::json::array({"test"}));
}

TEST_F(Journal, ReplayNamesTheFirstDifferenceAndFails) {
  Write([](core::Decision& decision) {
    if (decision.desired == 8) decision.desired = 7;
  });
  const Done done = Run({"replay", path()});
  EXPECT_EQ(done.code, 1) << done.output;
  EXPECT_THAT(done.output, HasSubstr("shop/checkout at 2026-03-01T10:00:15.000000Z, decision 2: "));
  EXPECT_THAT(done.output, HasSubstr("desired: recorded 7, recomputed 8"));
  EXPECT_THAT(done.output, HasSubstr("2 decisions, 1 different"));
}

TEST_F(Journal, ReplayOfATornJournalSaysSoAndOfACorruptOneFails) {
  Write();
  const auto json = nlohmann::json::parse(
      Run({"explain", "-o", "json", path(), "--object", "shop/checkout"}).output);
  const std::string file = json["journal"]["file"];
  std::string bytes;
  {
    std::ifstream in(file, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::ofstream(file, std::ios::binary) << bytes.substr(0, bytes.size() - 3);
  Done done = Run({"replay", path()});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr(file));

  bytes[static_cast<size_t>(json["journal"]["offset"]) + 20] ^= 0x40;
  std::ofstream(file, std::ios::binary) << bytes;
  done = Run({"replay", path()});
  EXPECT_EQ(done.code, 2) << done.output;
  EXPECT_THAT(done.output, HasSubstr(file));
}

TEST_F(Journal, ExplainFindsADecisionByObjectAndTime) {
  Write();
  Done done = Run({"explain", path(), "--object", "shop/checkout"});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output,
              HasSubstr("shop/checkout, 2026-03-01T10:00:15.000000Z, because of its period: scale "
                        "from 5 to 8\n"));
  EXPECT_THAT(done.output, HasSubstr("asks for 8 (150 of 20"));
  EXPECT_THAT(done.output, HasSubstr("written\nevent SuccessfulRescale: New size: 8"));
  done = Run({"explain", path(), "--object", "shop/checkout", "--at", "2026-03-01T10:00:14Z"});
  EXPECT_THAT(done.output, HasSubstr("scale from 4 to 5\n"));
}

TEST_F(Journal, ExplainShowsMetricsAndWhatWouldHaveToBeDifferent) {
  Write();
  const Done done = Run({"explain", path(), "--object", "shop/checkout"});
  EXPECT_THAT(done.output, HasSubstr("METRIC                      VALUE   TARGET       ASKS FOR\n"
                                     "external metric jobs(nil)   150     20 per pod   8\n"));
  EXPECT_THAT(done.output,
              HasSubstr("\nIt would be\n"
                        "  9 when external metric jobs(nil) is at 161 or more (now 150)\n"
                        "  7 when external metric jobs(nil) is at 140 or less (now 150)\n"));
  const auto json = nlohmann::json::parse(
      Run({"explain", "-o", "json", path(), "--object", "shop/checkout"}).output);
  EXPECT_EQ(json["metrics"][0]["asksFor"], 8);
  EXPECT_EQ(json["whatIf"][1]["replicas"], 7);
  EXPECT_EQ(json["whatIf"][1]["value"], 140);
}

class Other : public Journal {
 protected:
  // An HPA on the queue, `target` for each pod.
  std::string Policy(const std::string& name, int target, const std::string& metric = "jobs") {
    return dir_.Write(
        name + ".yaml",
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n"
        "metadata: {name: " +
            name +
            ", namespace: shop}\nspec:\n"
            "  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}\n"
            "  maxReplicas: 50\n  metrics:\n  - type: External\n"
            "    external: {metric: {name: " +
            metric + "}, target: {type: AverageValue, averageValue: \"" + std::to_string(target) +
            "\"}}\n");
  }
};

TEST_F(Other, PolicyIsComparedOnTheSameObservations) {
  Write();  // 90 and 150 waiting; 4 -> 5 -> 8
  Done done = Run({"replay", path(), "--with", Policy("checkout", 10)});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("shop/checkout, 2026-03-01T10:00:00Z to 2026-03-01T10:00:15Z: "
                                     "2 decisions, 2 different with "));
  EXPECT_THAT(done.output, HasSubstr("more in 2, fewer in 0; stretches: 1\n"));
  EXPECT_THAT(done.output,
              HasSubstr("2026-03-01T10:00:00Z   15s   2           5-8        8-10   asks for 5     "
                        "asks for 9, ScaleUpLimit\n"));
  EXPECT_THAT(done.output, HasSubstr("The replicas and readings are those of the recorded run"));
  EXPECT_THAT(done.output, HasSubstr("what it wanted and nobody did is no scale event"));
  const auto json = nlohmann::json::parse(
      Run({"replay", path(), "--with", Policy("checkout", 10), "-o", "json"}).output);
  EXPECT_EQ(json["different"], 2);
  EXPECT_EQ(json["more"], 2);
  EXPECT_EQ(json["stretches"][0]["other"]["most"], 10);
  EXPECT_EQ(json["longest"], json["stretches"][0]);

  done = Run({"replay", path(), "--with", Policy("checkout", 20)});
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("2 decisions, 0 different with "));
}

TEST_F(Other, PolicyOfAnotherNameTakesTheRecordsThatAreNamed) {
  Write();
  const std::string policy = Policy("web", 20);
  Done done = Run({"replay", path(), "--with", policy});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output, HasSubstr("no decision of shop/web is in it; it has shop/checkout"));
  done = Run({"replay", path(), "--with", policy, "--object", "shop/checkout"});
  EXPECT_EQ(done.code, 0) << done.output;
}

TEST_F(Other, PolicyThatReadsWhatWasNotRecordedIsRefused) {
  Write();
  Done done = Run({"replay", path(), "--with", Policy("checkout", 10, "mails")});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output,
              HasSubstr("spec.metrics[0], external metric mails(nil): the journal has "
                        "no reading of it; what it has is of external metric jobs(nil)"));
  done = Run({"replay", path(), "--with",
              dir_.Write("d.yaml", "apiVersion: apps/v1\nkind: Deployment\n")});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output, HasSubstr("d.yaml: no Autoscaler or HorizontalPodAutoscaler in this "
                                     "file; it has Deployment"));
  EXPECT_EQ(Run({"replay", path(), "--object", "shop/checkout"}).code, 2);  // of --with alone
}

TEST_F(Journal, WhatIsNotThereIsNamed) {
  Write();
  Done done = Run({"explain", path(), "--object", "shop/other"});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output, HasSubstr("shop/other"));
  done = Run({"explain", path(), "--object", "shop/checkout", "--at", "noon"});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.output, HasSubstr("--at: "));
  EXPECT_EQ(Run({"replay", path() + "/none"}).code, 2);
}

}  // namespace
}  // namespace neap
