// What the controller is told of a metric: by the metrics APIs, by scalers, with their lag, their
// errors and their faults.
#include "autoscaler/sim/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autoscaler/control/subscriptions.h"
#include "tests/sim/specs.h"

namespace neap::sim {
namespace {

using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using What = ControlFault::What;

constexpr int64_t kSecond = 1'000'000'000;

// A pipeline beside a world, moved by hand.
class Bench {
 public:
  explicit Bench(SimulationSpec spec)
      : spec_(std::move(spec)), world_(spec_.world, spec_.start), pipeline_(spec_, world_) {}

  void MoveTo(absl::Duration since) {
    const int64_t to = absl::ToInt64Nanoseconds(since);
    while (pipeline_.next_event() <= to) {
      now_ = pipeline_.next_event();
      world_.Advance(spec_.start + absl::Nanoseconds(now_));
      pipeline_.Advance(now_);
    }
    now_ = to;
    world_.Advance(spec_.start + since);
  }

  std::string Open(const core::MetricSpec& metric, const std::string& selector = "app=web") {
    auto query = control::QueryOf(metric, "shop", selector);
    query->id = control::ContentId(*query);
    opened = pipeline_.Open(*query);
    return query->id;
  }

  control::TriggerReading Read(const std::string& id) {
    auto answer = pipeline_.Read(id, 1, now_);
    EXPECT_TRUE(answer.has_value());
    delay = absl::Nanoseconds(answer->delay);
    return answer->reading;
  }
  bool Answers(const std::string& id) { return pipeline_.Read(id, 1, now_).has_value(); }
  core::Reading Value(const std::string& id) {
    const control::TriggerReading reading = Read(id);
    if (reading.metrics.size() != 1) {
      ADD_FAILURE() << (reading.error ? reading.error->message : "no metric");
      return {};
    }
    return reading.metrics[0].reading;
  }

  absl::Time now() const { return spec_.start + absl::Nanoseconds(now_); }
  World& world() { return world_; }
  Pipeline& pipeline() { return pipeline_; }
  control::TriggerOpened opened;
  absl::Duration delay;

 private:
  const SimulationSpec spec_;
  World world_;
  Pipeline pipeline_;
  int64_t now_ = 0;
};

core::MetricSpec Metric(core::MetricSource source, const std::string& name) {
  core::MetricSpec metric;
  metric.source = source;
  metric.name = name;
  return metric;
}
core::MetricSpec External(const std::string& name) {
  return Metric(core::MetricSource::kExternal, name);
}

// 40 requests per second; 100 from the second minute on. Two pods do all of it.
SimulationSpec Steps() {
  SimulationSpec spec =
      Web(Load::Steps({{absl::ZeroDuration(), 40'000}, {absl::Minutes(1), 100'000}},
                      /*repeat=*/false));
  spec.world.deployments[0].capacity = 0;
  return spec;
}

TEST(Pipeline, ExternalMetricIsTheValueOfTheMoment) {
  Bench bench(Steps());
  const std::string id = bench.Open(External("load"));
  EXPECT_TRUE(bench.opened.metrics.empty());
  bench.MoveTo(absl::Milliseconds(90'400));
  const core::Reading reading = bench.Value(id);
  EXPECT_EQ(reading.milli, std::vector<int64_t>{100'000});
  EXPECT_EQ(reading.observed_at, bench.now());
  EXPECT_EQ(reading.sampled_at, bench.now() - absl::Milliseconds(400));  // whole seconds
  EXPECT_EQ(bench.delay, absl::Milliseconds(20));
}

TEST(Pipeline, ExternalMetricsOfSeveralSeriesAndTheirErrors) {
  SimulationSpec spec = Steps();
  ExternalMetricSpec series = spec.world.external_metrics[0];
  series.labels = {{"queue", "a"}};
  series.from = {.what = Source::What::kFixed, .index = -1, .fixed = 7'500};
  spec.world.external_metrics.push_back(series);
  Bench bench(spec);
  EXPECT_EQ(bench.Value(bench.Open(External("load"))).milli, (std::vector<int64_t>{40'000, 7'500}));
  core::MetricSpec labelled = External("load");
  labelled.SetSelector({.match_labels = {{"queue", "a"}}, .match_expressions = {}});
  EXPECT_EQ(bench.Value(bench.Open(labelled)).milli, std::vector<int64_t>{7'500});
  labelled.SetSelector({.match_labels = {{"queue", "b"}}, .match_expressions = {}});
  EXPECT_EQ(bench.Read(bench.Open(labelled)).error->message,
            "no metrics returned from external metrics API");
  const auto error = bench.Read(bench.Open(External("other"))).error;
  EXPECT_EQ(error->kind, core::ErrorKind::kNotFound);
  EXPECT_EQ(error->message,
            "unable to fetch metrics from external metrics API: the server could not find the "
            "metric other in namespace shop");
}

TEST(Pipeline, CustomMetricsOfPodsAndObjects) {
  SimulationSpec spec = Steps();
  CustomMetricSpec pods;
  pods.name = "rps";
  pods.ns = "shop";
  pods.pods_of = 0;
  pods.from = {.what = Source::What::kRatePerPod, .index = 0, .fixed = 0};
  CustomMetricSpec object;
  object.name = "hits";
  object.ns = "shop";
  object.resource = "ingresses.networking.k8s.io";
  object.api_version = "networking.k8s.io/v1";
  object.kind = "Ingress";
  object.object = "main";
  object.from = {.what = Source::What::kRate, .index = 0, .fixed = 0};
  spec.world.custom_metrics = {pods, object};
  Bench bench(spec);
  const control::TriggerReading reading =
      bench.Read(bench.Open(Metric(core::MetricSource::kPods, "rps")));
  ASSERT_EQ(reading.metrics.size(), 1u);
  EXPECT_EQ(reading.metrics[0].reading.form, core::Reading::Form::kPods);
  EXPECT_THAT(reading.metrics[0].pod_samples, SizeIs(2));
  EXPECT_THAT(reading.metrics[0].pod_samples, Each(Field(&control::NamedPodSample::milli, 20'000)));
  EXPECT_THAT(reading.metrics[0].pod_samples,
              Each(Field(&control::NamedPodSample::window, absl::Minutes(1))));

  core::MetricSpec hits = Metric(core::MetricSource::kObject, "hits");
  hits.described_object = core::ObjectReference{
      .api_version = "networking.k8s.io/v1", .kind = "Ingress", .name = "main"};
  EXPECT_EQ(bench.Value(bench.Open(hits)).milli, std::vector<int64_t>{40'000});
  hits.described_object->name = "other";
  EXPECT_EQ(bench.Read(bench.Open(hits)).error->message,
            "unable to fetch metrics from custom metrics API: the server could not find the metric "
            "hits for ingresses.networking.k8s.io other");
  EXPECT_EQ(bench.Read(bench.Open(Metric(core::MetricSource::kPods, "x"))).error->message,
            "unable to fetch metrics from custom metrics API: the server could not find the metric "
            "x for pods *");
}

TEST(Pipeline, CpuIsWhatMetricsServerCollected) {
  // 40 rps over two pods at 5 ms: 100m each; from the second minute on 250m.
  Bench bench(Steps());
  const std::string id = bench.Open(Metric(core::MetricSource::kResource, "cpu"));
  bench.MoveTo(absl::Seconds(59));
  const control::TriggerReading before = bench.Read(id);
  for (const auto& sample : before.metrics[0].pod_samples) {
    EXPECT_EQ(sample.milli, 100);
    EXPECT_GE(sample.window, absl::Seconds(10));
    EXPECT_LE(sample.window, absl::Seconds(20));
    EXPECT_GE(bench.now() - sample.at, absl::Seconds(14));  // collected at 45 s
  }
  // What is collected at 75 s was measured between 55 and 75 s: a part of it is new.
  bench.MoveTo(absl::Seconds(74));
  EXPECT_THAT(bench.Read(id).metrics[0].pod_samples,
              Each(Field(&control::NamedPodSample::milli, 100)));
  bench.MoveTo(absl::Seconds(75));
  const control::TriggerReading after = bench.Read(id);
  for (const auto& sample : after.metrics[0].pod_samples) {
    EXPECT_GT(sample.milli, 100);
    EXPECT_LT(sample.milli, 251);
  }
  bench.MoveTo(absl::Seconds(106));
  EXPECT_THAT(bench.Read(id).metrics[0].pod_samples,
              Each(Field(&control::NamedPodSample::milli, 250)));
}

TEST(Pipeline, AFreshPodHasNoCpuUntilItWasMeasured) {
  Bench bench(Steps());
  const std::string id = bench.Open(Metric(core::MetricSource::kResource, "cpu"));
  ASSERT_TRUE(bench.world().Scale(0, 3).ok());
  bench.MoveTo(absl::Seconds(8));
  EXPECT_THAT(bench.Read(id).metrics[0].pod_samples, SizeIs(2));
  bench.MoveTo(absl::Seconds(46));
  EXPECT_THAT(bench.Read(id).metrics[0].pod_samples, SizeIs(3));
}

TEST(Pipeline, CpuAsThePlaygroundServesIt) {
  SimulationSpec spec = Steps();
  spec.pipeline.kubelet_every = absl::ZeroDuration();
  spec.world.metrics_window = absl::Seconds(2);
  spec.world.metrics_every = absl::Seconds(1);
  Bench bench(spec);
  const std::string id = bench.Open(Metric(core::MetricSource::kResource, "cpu"));
  bench.MoveTo(absl::Seconds(63));
  EXPECT_THAT(bench.Read(id).metrics[0].pod_samples,
              Each(Field(&control::NamedPodSample::milli, 250)));
}

TEST(Pipeline, ResourcesAndContainersThatPodsDoNotHave) {
  Bench bench(Steps());
  bench.MoveTo(absl::Seconds(30));
  core::MetricSpec container = Metric(core::MetricSource::kContainerResource, "cpu");
  container.container = "app";
  EXPECT_THAT(bench.Read(bench.Open(container)).metrics[0].pod_samples, SizeIs(2));
  container.container = "sidecar";
  EXPECT_THAT(bench.Read(bench.Open(container)).metrics[0].pod_samples, SizeIs(0));
  EXPECT_EQ(
      bench.Read(bench.Open(Metric(core::MetricSource::kResource, "cpu"), "app=x")).error->message,
      "no metrics returned from resource metrics API");
}

TEST(Pipeline, PrometheusShowsTheMeanRateAsOfTheLastScrape) {
  SimulationSpec spec = Steps();
  spec.pipeline.external = Via::kPrometheus;
  Bench bench(spec);
  const std::string id = bench.Open(External("load"));
  EXPECT_EQ(bench.Value(id).milli, std::vector<int64_t>{40'000});  // one scrape: as it stands
  bench.MoveTo(absl::Seconds(74));  // scraped at 60 s, before the change could show
  EXPECT_EQ(bench.Value(id).milli, std::vector<int64_t>{40'000});
  bench.MoveTo(absl::Seconds(76));  // from 15 to 75 s: a quarter is new
  EXPECT_NEAR(bench.Value(id).milli[0], 55'000, 100);
  bench.MoveTo(absl::Seconds(121));
  EXPECT_NEAR(bench.Value(id).milli[0], 100'000, 100);
}

TEST(Pipeline, PrometheusShowsAGaugeAsOfTheLastScrape) {
  SimulationSpec spec = Steps();
  spec.pipeline.external = Via::kPrometheus;
  spec.world.external_metrics[0].from.what = Source::What::kReplicas;
  Bench bench(spec);
  const std::string id = bench.Open(External("load"));
  bench.MoveTo(absl::Seconds(16));
  ASSERT_TRUE(bench.world().Scale(0, 7).ok());
  bench.MoveTo(absl::Seconds(29));
  EXPECT_EQ(bench.Value(id).milli, std::vector<int64_t>{2'000});
  bench.MoveTo(absl::Seconds(30));
  EXPECT_EQ(bench.Value(id).milli, std::vector<int64_t>{7'000});
}

// ---- faults ----

class PipelineFaults : public ::testing::Test {
 protected:
  Bench& With(ControlFault fault) {
    SimulationSpec spec = Steps();
    fault.at = absl::Seconds(30);
    fault.lasts = absl::Seconds(60);
    spec.faults = {fault};
    bench_ = std::make_unique<Bench>(spec);
    id = bench_->Open(External("load"));
    bench_->MoveTo(absl::Seconds(29));
    EXPECT_EQ(bench_->Value(id).milli, std::vector<int64_t>{40'000});
    return *bench_;
  }
  void ExpectOver() {
    bench_->MoveTo(absl::Seconds(90));
    EXPECT_EQ(bench_->Value(id).milli, std::vector<int64_t>{100'000});
    EXPECT_EQ(bench_->delay, absl::Milliseconds(20));
  }
  std::unique_ptr<Bench> bench_;
  std::string id;
};

TEST_F(PipelineFaults, Error) {
  Bench& bench = With({.what = What::kScalerError});
  bench.MoveTo(absl::Seconds(30));
  EXPECT_EQ(bench.Read(id).error->kind, core::ErrorKind::kUnavailable);
  ExpectOver();
}

TEST_F(PipelineFaults, OfAnotherMetric) {
  Bench& bench = With({.what = What::kScalerError, .metric = "other"});
  bench.MoveTo(absl::Seconds(40));
  EXPECT_EQ(bench.Value(id).milli, std::vector<int64_t>{40'000});
}

TEST_F(PipelineFaults, Slow) {
  Bench& bench = With({.what = What::kScalerSlow, .by = absl::Seconds(3)});
  bench.MoveTo(absl::Seconds(40));
  EXPECT_EQ(bench.Value(id).milli, std::vector<int64_t>{40'000});
  EXPECT_EQ(bench.delay, absl::Milliseconds(3020));
  ExpectOver();
}

TEST_F(PipelineFaults, Hang) {
  Bench& bench = With({.what = What::kScalerHang});
  bench.MoveTo(absl::Seconds(40));
  EXPECT_FALSE(bench.Answers(id));
  ExpectOver();
}

TEST_F(PipelineFaults, FrozenShowsTheValueOfTheBeginningWithItsAge) {
  Bench& bench = With({.what = What::kFrozen});
  bench.MoveTo(absl::Seconds(80));
  const core::Reading reading = bench.Value(id);
  EXPECT_EQ(reading.milli, std::vector<int64_t>{40'000});  // although it is 100 by now
  EXPECT_EQ(bench.now() - reading.observed_at, absl::Seconds(50));
  ExpectOver();
}

TEST_F(PipelineFaults, NotFiniteIsRefusedByTheHost) {
  Bench& bench = With({.what = What::kNotFinite});
  bench.MoveTo(absl::Seconds(40));
  const core::Reading reading = bench.Value(id);
  EXPECT_EQ(reading.form, core::Reading::Form::kError);
  EXPECT_EQ(reading.error.kind, core::ErrorKind::kBadAnswer);
  EXPECT_EQ(reading.error.message, "bad answer of the scaler: the value is NaN");
  ExpectOver();
}

TEST_F(PipelineFaults, ClockJumpMovesSampledAtAlone) {
  Bench& bench = With({.what = What::kClockJump, .by = -absl::Hours(2)});
  bench.MoveTo(absl::Seconds(40));
  core::Reading reading = bench.Value(id);
  EXPECT_EQ(reading.milli, std::vector<int64_t>{40'000});
  EXPECT_EQ(reading.observed_at, bench.now());
  EXPECT_EQ(reading.sampled_at, bench.now() - absl::Hours(2));
  ExpectOver();

  Bench& ahead = With({.what = What::kClockJump, .by = absl::Hours(2)});
  ahead.MoveTo(absl::Seconds(40));
  reading = ahead.Value(id);
  EXPECT_EQ(reading.error.message,
            "bad answer of the scaler: sampled_at lies more than an hour in the future");
}

TEST_F(PipelineFaults, AShareOfWhatItCouldMeet) {
  Bench& bench = With({.what = What::kScalerError, .permille = 300});
  bench.MoveTo(absl::Seconds(40));
  int failed = 0;
  for (int i = 0; i < 1000; ++i) failed += bench.Read(id).error ? 1 : 0;
  EXPECT_NEAR(failed, 300, 60);
}

// ---- what the controller makes of them ----

struct Seen {
  explicit Seen(ControlFault fault, absl::Duration until) {
    SimulationSpec spec = Steps();
    spec.objects = {OnExternal("web")};
    fault.at = absl::Minutes(3);
    spec.faults = {fault};
    Watcher watcher(spec);
    Simulation simulation(spec, {&watcher});
    EXPECT_EQ(simulation.Advance(spec.start + until), absl::OkStatus());
    error = watcher.last_error;
    replicas = simulation.world().deployments()[0].replicas;
    age = watcher.last_age;
  }
  std::string error;
  int replicas = 0;
  absl::Duration age;
};

TEST(PipelineInSimulation, FaultsAreSeenAsARealNeapdSeesThem) {
  const absl::Duration until = absl::Minutes(6);
  EXPECT_THAT(Seen({.what = What::kScalerError}, until).error,
              HasSubstr("the metric's source is unavailable"));
  EXPECT_THAT(Seen({.what = What::kScalerHang}, until).error, HasSubstr("did not answer"));
  EXPECT_THAT(Seen({.what = What::kScalerSlow, .by = absl::Seconds(7)}, until).error,
              HasSubstr("did not answer"));
  EXPECT_EQ(Seen({.what = What::kScalerSlow, .by = absl::Seconds(2)}, until).error, "");
  EXPECT_THAT(Seen({.what = What::kNotFinite}, until).error, HasSubstr("the value is NaN"));
  const Seen frozen({.what = What::kFrozen}, until);
  EXPECT_THAT(frozen.error, HasSubstr("old"));
  EXPECT_GT(frozen.age, absl::Minutes(2));
  EXPECT_EQ(Seen({.what = What::kClockJump, .by = -absl::Hours(3)}, until).error, "");
}

}  // namespace
}  // namespace neap::sim
