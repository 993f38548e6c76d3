#include "autoscaler/telemetry/process_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "autoscaler/telemetry/metric_list.h"

namespace neap::telemetry {
namespace {

using core::ApplyResult;
using ::testing::HasSubstr;

double ValueOf(const std::string& text, const std::string& series) {
  const size_t at = text.find("\n" + series + " ");
  EXPECT_NE(at, std::string::npos) << series << " is not there";
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

class ProcessMetricsTest : public ::testing::Test {
 protected:
  void Decide(const core::Decision& decision, std::vector<core::MetricSource> sources,
              control::Cause cause = control::Cause::kPeriodic) {
    std::vector<core::MetricSpec> specs(sources.size());
    std::vector<core::MetricInput> inputs(sources.size());
    const core::Reading reading;
    for (size_t i = 0; i < sources.size(); ++i) {
      specs[i].source = sources[i];
      inputs[i] = {.spec = &specs[i], .reading = &reading};
    }
    core::Observation seen;
    seen.metrics = inputs;
    const core::AutoscalerSpec spec;
    metrics_.OnDecision({.uid = "u",
                         .decision_id = 1,
                         .spec = &spec,
                         .spec_version = 1,
                         .cause = cause,
                         .seen = &seen,
                         .before = nullptr,
                         .decision = &decision});
  }
  void Finish(ApplyResult::Kind kind) {
    metrics_.OnOutcome({.uid = "u",
                        .decision_id = 1,
                        .result = {.kind = kind, .at = {}, .error = ""},
                        .outcome = nullptr});
  }

  ProcessMetrics metrics_{"1.2.3"};
};

TEST_F(ProcessMetricsTest, CountsDecisionsByActionAndError) {
  core::Decision up;
  up.verdict = core::Verdict::kComputed;
  up.current = 2;
  up.desired = 4;
  up.metrics.resize(2);
  up.metrics[0].valid = true;
  up.metrics[0].proposal = 4;
  up.metrics[1].error_kind = core::ErrorKind::kTimeout;
  Decide(up, {core::MetricSource::kResource, core::MetricSource::kExternal});
  core::Decision failed;
  failed.verdict = core::Verdict::kFailed;
  failed.failure = core::Reason::kInvalidSelector;
  failed.current = failed.desired = 3;
  Decide(failed, {}, control::Cause::kSpecChange);
  core::Decision unread;
  unread.verdict = core::Verdict::kNoScale;
  Decide(unread, {});

  const std::string text = metrics_.Text();
  EXPECT_EQ(ValueOf(text, "neap_reconciliations_total{action=\"scale_up\",error=\"none\"}"), 1);
  EXPECT_EQ(ValueOf(text, "neap_reconciliations_total{action=\"none\",error=\"spec\"}"), 1);
  EXPECT_EQ(ValueOf(text, "neap_reconciliations_total{action=\"none\",error=\"internal\"}"), 1);
  EXPECT_EQ(ValueOf(text, "neap_reconciliations_total{action=\"scale_down\",error=\"none\"}"), 0);
  EXPECT_EQ(ValueOf(text,
                    "neap_metric_computation_total{action=\"scale_up\",error=\"none\","
                    "metric_type=\"Resource\"}"),
            1);
  EXPECT_EQ(ValueOf(text,
                    "neap_metric_computation_total{action=\"none\",error=\"internal\","
                    "metric_type=\"External\"}"),
            1);
  EXPECT_EQ(ValueOf(text, "neap_decisions_total{cause=\"periodic\"}"), 2);
  EXPECT_EQ(ValueOf(text, "neap_decisions_total{cause=\"spec_change\"}"), 1);
}

TEST_F(ProcessMetricsTest, CountsWritesByResult) {
  Finish(ApplyResult::Kind::kApplied);
  Finish(ApplyResult::Kind::kNotTried);  // nothing was to be written
  Finish(ApplyResult::Kind::kConflict);
  const std::string text = metrics_.Text();
  EXPECT_EQ(ValueOf(text, "neap_writes_total{result=\"applied\"}"), 1);
  EXPECT_EQ(ValueOf(text, "neap_writes_total{result=\"conflict\"}"), 1);
  EXPECT_EQ(ValueOf(text, "neap_writes_total{result=\"unknown\"}"), 0);
}

TEST_F(ProcessMetricsTest, SourcesAreReadAtEachScrape) {
  double value = 1;
  metrics_.AddSource("neap_replaced_readings_total",
                     [&] { return std::vector<ProcessMetrics::Sample>{{{}, value}}; });
  metrics_.AddSource("neap_scaler_up", [] {
    return std::vector<ProcessMetrics::Sample>{{{"unix:///a"}, 1}, {{"b:9090"}, 0}};
  });
  EXPECT_EQ(ValueOf(metrics_.Text(), "neap_replaced_readings_total"), 1);
  value = 2;
  const std::string text = metrics_.Text();
  EXPECT_EQ(ValueOf(text, "neap_replaced_readings_total"), 2);
  EXPECT_EQ(ValueOf(text, "neap_scaler_up{endpoint=\"unix:///a\"}"), 1);
  EXPECT_EQ(ValueOf(text, "neap_scaler_up{endpoint=\"b:9090\"}"), 0);
}

TEST_F(ProcessMetricsTest, TellsOfTheProcess) {
  const std::string text = metrics_.Text();
  EXPECT_EQ(ValueOf(text, "neap_build_info{version=\"1.2.3\"}"), 1);
  EXPECT_GT(ValueOf(text, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(ValueOf(text, "process_start_time_seconds"), 1.6e9);
  EXPECT_GT(ValueOf(text, "process_open_fds"), 2);
  EXPECT_GE(ValueOf(text, "process_cpu_seconds_total"), 0);
}

TEST_F(ProcessMetricsTest, EverySeriesIsInTheList) {
  metrics_.OnApiError("503");
  const std::string text = metrics_.Text();
  int types = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::string hash;
    std::string keyword;
    std::string name;
    std::string type;
    std::istringstream(line) >> hash >> keyword >> name >> type;
    if (hash != "#" || keyword != "TYPE") continue;
    EXPECT_EQ(type, MetricTypeName(FindMetric(name).type));
    ++types;
  }
  EXPECT_GT(types, 20);
  EXPECT_THAT(text, HasSubstr("neap_api_errors_total{code=\"503\"} 1"));
}

}  // namespace
}  // namespace neap::telemetry
