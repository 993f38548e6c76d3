#include "autoscaler/telemetry/object_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "autoscaler/telemetry/metric_list.h"
#include "autoscaler/telemetry/process_metrics.h"
#include "tests/support/process.h"

namespace neap::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(400000);

// An object with a CPU metric and two triggers, one of which has a name.
std::shared_ptr<core::AutoscalerSpec> Spec(const std::string& ns, const std::string& name) {
  auto spec = std::make_shared<core::AutoscalerSpec>();
  spec->key = {.ns = ns, .name = name};
  spec->uid = "uid-" + ns + "-" + name;
  spec->generation = 7;
  spec->target = {.api_version = "apps/v1", .kind = "Deployment", .name = name};
  spec->min_replicas = 2;
  spec->max_replicas = 9;
  core::MetricSpec cpu;
  cpu.source = core::MetricSource::kResource;
  cpu.name = "cpu";
  cpu.target = {.kind = core::TargetKind::kUtilization,
                .average_utilization = 60,
                .average_value = {},
                .value = {}};
  spec->metrics.push_back(cpu);
  core::TriggerSpec redis;
  redis.type = "redis";
  redis.metadata = {{"listName", name}};
  spec->triggers.push_back(redis);
  core::TriggerSpec named;
  named.type = "prometheus";
  named.name = "rps";
  named.metadata = {{"query", name}};
  spec->triggers.push_back(named);
  return spec;
}

// A controller that knows the specs, and answers for their triggers.
class ObjectMetricsTest : public ::testing::Test {
 protected:
  void Add(std::vector<std::shared_ptr<core::AutoscalerSpec>> specs) {
    control::SpecsReplaced all{.source = "api", .all = {}};
    for (auto& spec : specs) {
      all.all.push_back({.uid = spec->uid, .spec = std::move(spec), .status = {}, .source = "api"});
    }
    std::vector<control::Message> messages;
    messages.emplace_back(std::move(all));
    std::vector<control::Message> next;
    for (int i = 0; i < 6; ++i) {  // until all that follows has come back
      for (const control::Action& action : controller_.Step(std::move(messages), kNow)) {
        if (const auto* subscribe = std::get_if<control::Subscribe>(&action)) {
          for (const auto& put : subscribe->put) Open(*put, &next);
        } else if (const auto* poll = std::get_if<control::Poll>(&action)) {
          for (const std::string& id : poll->trigger_ids) next.push_back(Read(id, poll->round));
        } else if (const auto* watch = std::get_if<control::Watch>(&action)) {
          control::ScalesReplaced scales{.group = "apps", .kind = "Deployment", .all = {}};
          for (const control::TargetRef& target : watch->targets) {
            core::Scale scale;
            scale.uid = "d";
            scale.spec_replicas = scale.status_replicas = 3;
            scale.selector = "app=x";
            scales.all.push_back({.target = target, .scale = scale, .error = {}});
          }
          next.emplace_back(std::move(scales));
          for (const std::string& ns : watch->pod_namespaces) {
            next.emplace_back(control::PodsReplaced{.ns = ns, .all = {}});
          }
        }
      }
      messages = std::exchange(next, {});
    }
  }

  void Open(const control::Subscription& put, std::vector<control::Message>* out) {
    opened_[put.id] = put;
    if (put.type != "redis" && put.type != "prometheus") return;
    core::MetricSpec metric;
    metric.name = NameOf(put);
    metric.from_trigger = true;
    metric.has_activity = true;
    metric.target = {.kind = core::TargetKind::kAverageValue,
                     .average_utilization = {},
                     .average_value = 20500,
                     .value = {}};
    out->emplace_back(
        control::TriggerOpened{.trigger_id = put.id, .metrics = {metric}, .error = {}});
  }
  static std::string NameOf(const control::Subscription& put) {
    return put.type + "-" + put.metadata[0].second;
  }
  // Redis has a value, nothing else can be read.
  control::Message Read(const std::string& id, uint64_t round) {
    control::TriggerReading reading{.trigger_id = id, .round = round, .metrics = {}, .error = {}};
    const control::Subscription& trigger = opened_[id];
    core::Reading value;
    if (trigger.type == "redis") {
      value.form = core::Reading::Form::kMilli;
      value.milli = {30500, 12000};
      value.active = true;
      value.observed_at = kNow - absl::Seconds(2);
      reading.metrics.push_back({.name = NameOf(trigger), .reading = value, .pod_samples = {}});
    } else {
      reading.error = {.kind = core::ErrorKind::kUnavailable, .message = "no route"};
    }
    return reading;
  }

  std::string Family(int family, int* calls = nullptr) const {
    std::string after;
    std::string out;
    bool more = true;
    while (more) {
      more = metrics_.Write(family, kNow, &after, &out);
      if (calls != nullptr) ++*calls;
    }
    return out;
  }
  std::string All() const {
    std::string out;
    for (int i = 0; i < ObjectMetrics::Families(); ++i) out += Family(i);
    return out;
  }

  control::Controller controller_{control::ControllerOptions{}};
  std::map<std::string, control::Subscription> opened_;  // by id
  ObjectMetrics metrics_{controller_, [](std::string_view uid) { return uid.ends_with("-dry"); }};
};

TEST_F(ObjectMetricsTest, LabelsAreThoseOfKubeStateMetricsAndKeda) {
  Add({Spec("shop", "web"), Spec("shop", "dry")});
  const std::string text = All();
  const std::string hpa = "{namespace=\"shop\",horizontalpodautoscaler=\"web\"";
  EXPECT_THAT(text, HasSubstr("# TYPE neap_autoscaler_info gauge\nneap_autoscaler_info{namespace="
                              "\"shop\",horizontalpodautoscaler=\"dry\",scaletargetref_api_version="
                              "\"apps/v1\",scaletargetref_kind=\"Deployment\","
                              "scaletargetref_name=\"dry\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_metadata_generation" + hpa + "} 7\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_spec_min_replicas" + hpa + "} 2\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_spec_max_replicas" + hpa + "} 9\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_spec_target_metric" + hpa +
                              ",metric_name=\"cpu\",metric_target_type=\"utilization\"} 60\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_spec_target_metric" + hpa +
                              ",metric_name=\"redis-web\",metric_target_type=\"average\"} 20.5\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_writes_withheld" + hpa + "} 0\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_writes_withheld{namespace=\"shop\","
                              "horizontalpodautoscaler=\"dry\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("neap_scaled_object_paused{namespace=\"shop\",scaledObject=\"web\"} 0\n"));

  const std::string redis =
      "{namespace=\"shop\",metric=\"redis-web\",scaledObject=\"web\",scaler=\"redisScaler\","
      "triggerIndex=\"0\",type=\"autoscaler\"}";
  const std::string prometheus =
      "{namespace=\"shop\",metric=\"prometheus-web\",scaledObject=\"web\",scaler=\"rps\","
      "triggerIndex=\"1\",type=\"autoscaler\"}";
  EXPECT_THAT(text, HasSubstr("neap_scaler_metrics_value" + redis + " 42.5\n"));
  EXPECT_THAT(text, HasSubstr("neap_scaler_active" + redis + " 1\n"));
  EXPECT_THAT(text, HasSubstr("neap_scaler_reading_age_seconds" + redis + " 2\n"));
  // What can't be read has no value: never a zero.
  EXPECT_THAT(text, Not(HasSubstr("neap_scaler_metrics_value" + prometheus)));
  EXPECT_THAT(text, HasSubstr("neap_scaler_failing" + redis + " 0\n"));
  EXPECT_THAT(text, HasSubstr("neap_scaler_failing" + prometheus + " 1\n"));
}

TEST_F(ObjectMetricsTest, DecisionsAreShown) {
  Add({Spec("shop", "web")});
  control::TargetInfo info;
  ASSERT_TRUE(controller_.FindTarget("uid-shop-web", &info));
  ASSERT_NE(info.decision, nullptr);
  const std::string text = All();
  const std::string hpa = "{namespace=\"shop\",horizontalpodautoscaler=\"web\"";
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_decisions_total" + hpa + "} " +
                              std::to_string(info.decisions) + "\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_status_current_replicas" + hpa + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_status_condition" + hpa +
                              ",condition=\"AbleToScale\",status=\"true\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("neap_autoscaler_status_condition" + hpa +
                              ",condition=\"AbleToScale\",status=\"unknown\"} 0\n"));
}

TEST_F(ObjectMetricsTest, LabelValuesAreEscaped) {
  auto spec = Spec("shop", "web");
  spec->target.name = "a\"b\\c\nd";
  Add({spec});
  EXPECT_THAT(All(), HasSubstr("scaletargetref_name=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST_F(ObjectMetricsTest, IsWrittenInPieces) {
  std::vector<std::shared_ptr<core::AutoscalerSpec>> specs;
  for (int i = 0; i < 2500; ++i) specs.push_back(Spec("shop", "web-" + std::to_string(i)));
  Add(std::move(specs));
  int calls = 0;
  const std::string text = Family(0, &calls);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2500 + 2);  // each once, HELP and TYPE once
  std::string after;
  std::string first;
  EXPECT_TRUE(metrics_.Write(0, kNow, &after, &first));
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 1000 + 2);
}

// An Autoscaler beside the HPA has its name, as a rule.
TEST_F(ObjectMetricsTest, ShadowsHaveSeriesOfTheirOwn) {
  Add({Spec("shop", "web")});
  auto hpa = Spec("shop", "web");
  hpa->uid = "uid-hpa";
  core::Status said;
  said.desired_replicas = 7;
  std::vector<control::Message> messages;
  messages.emplace_back(control::SpecsReplaced{
      .source = "hpa",
      .all = {{.uid = hpa->uid, .spec = hpa, .status = said, .source = "hpa", .shadow = true}}});
  controller_.Step(std::move(messages), kNow);
  const std::string text = All();
  const std::string labels = "{namespace=\"shop\",horizontalpodautoscaler=\"web\"";
  EXPECT_THAT(text, HasSubstr("neap_shadow_decisions_total" + labels + ",result=\"equal\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("neap_shadow_decisions_total" + labels + ",result=\"different\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("neap_shadow_hpa_desired_replicas" + labels + "} 7\n"));
  EXPECT_THAT(text, HasSubstr("neap_shadow_differs_seconds" + labels + "} 0\n"));
  std::set<std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
}

// No two series with the same name and labels: Prometheus refuses them.
TEST_F(ObjectMetricsTest, NoSeriesIsThereTwice) {
  auto spec = Spec("shop", "web");
  spec->metrics.push_back(spec->metrics[0]);
  Add({spec});
  std::set<std::string> series;
  std::istringstream lines(All());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
}

TEST_F(ObjectMetricsTest, EveryFamilyIsInTheList) {
  Add({Spec("shop", "web")});
  std::set<std::string> typed;
  std::istringstream lines(All());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      const std::string name = line.substr(7, line.rfind(' ') - 7);
      EXPECT_EQ(line.substr(line.rfind(' ') + 1), MetricTypeName(FindMetric(name).type));
      EXPECT_TRUE(typed.insert(name).second);
    }
  }
  EXPECT_EQ(static_cast<int>(typed.size()), ObjectMetrics::Families());
}

// Prometheus' own reader takes it, beside the process' series.
TEST_F(ObjectMetricsTest, PromtoolAcceptsTheText) {
  if (!testing_support::HaveProgram("promtool")) GTEST_SKIP() << "promtool is not installed";
  Add({Spec("shop", "web"), Spec("shop", "dry")});
  ProcessMetrics process("1.2.3");
  process.OnStep(absl::Milliseconds(1), 3, controller_);
  process.OnApiError("503");
  const testing_support::TempDir dir;
  const std::string path = dir.Write("metrics", process.Text() + All());
  testing_support::Process promtool({"sh", "-c", "promtool check metrics < " + path}, dir.path());
  ASSERT_TRUE(testing_support::WaitFor([&] { return !promtool.Running(); }));
  // It also lints: KEDA's labels are in camel case, and that is how they are.
  std::istringstream lines(promtool.Log());
  for (std::string line; std::getline(lines, line);) {
    EXPECT_THAT(line, HasSubstr("camelCase"));
  }
}

}  // namespace
}  // namespace neap::telemetry
