// Autoscaler objects: what they mean, and every mistake with line, field and suggestion.
#include <gtest/gtest.h>

#include "tests/kube/objects/support.h"

namespace neap::kube::objects {
namespace {

using Strings = std::vector<std::string>;

constexpr std::string_view kManifest = R"(
trigger_types {
  type: "redis"
  allowed_targets: AVERAGE_VALUE
  allowed_targets: VALUE
  parameters { name: "address" required: true }
  parameters { name: "listName" required: true }
  parameters { name: "listLength" aliases: "length" kind: INT default_value: "5" }
  parameters { name: "password" secret: true sources: AUTH }
}
)";

// Checks triggers against one known type, "redis".
DecodeOptions WithCatalog() {
  static const auto* types =
      new std::vector<catalog::TriggerType>(*catalog::ParseManifest(kManifest, "test"));
  DecodeOptions options;
  options.find_type = [](std::string_view name) -> const catalog::TriggerType* {
    return name == "redis" ? &types->at(0) : nullptr;
  };
  options.known_types = {"redis"};
  return options;
}

std::string Object(std::string_view spec) {
  return "apiVersion: neap.dev/v1alpha1\nkind: Autoscaler\nmetadata: {name: web, namespace: "
         "shop}\nspec:\n"
         "  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  maxReplicas: "
         "10\n" +
         Indent(spec, 2);
}

constexpr std::string_view kCpu =
    "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, "
    "averageUtilization: 60}}}]\n";

Decoded Decode(std::string_view spec, const DecodeOptions& options = WithCatalog()) {
  return DecodeAutoscaler(Parse(Object(spec)), options);
}

Strings Errors(std::string_view spec) { return Lines(Decode(spec).errors); }

// The errors of one entry of triggers, without file, line and "spec.triggers[0]".
Strings TriggerErrors(std::string_view trigger) {
  Strings out;
  for (const Problem& p : Decode("triggers:\n- " + std::string(trigger)).errors) {
    EXPECT_EQ(p.line, 8) << p.path;
    out.push_back(Text(p).substr(std::string_view("spec.triggers[0]").size()));
  }
  return out;
}

TEST(Autoscaler, ReadsEverything) {
  const Decoded object = DecodeDocument(Parse(R"(apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata:
  name: checkout
  namespace: shop
  uid: u-1
  generation: 7
  resourceVersion: "42"
  labels: {team: a}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  minReplicas: 0
  maxReplicas: 50
  mode: DryRun
  period: 5s
  pollingInterval: 30
  guards: None
  onAbsent: Value
  zeroPolicy: Hpa
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
  triggers:
  - type: redis
    name: jobs
    metadata: {listName: jobs, address: "redis:6379", listLength: "20"}
    metricType: AverageValue
    useCachedMetrics: true
  - type: cpu
    metricType: Utilization
    metadata: {value: "70", containerName: app}
  behavior: {}
)"),
                                        WithCatalog());
  ASSERT_TRUE(object.spec.has_value()) << Lines(object.errors)[0];
  EXPECT_EQ(Lines(object.warnings), Strings{});
  EXPECT_EQ(object.mode, Mode::kDryRun);
  EXPECT_EQ(object.uid, "u-1");
  EXPECT_EQ(object.resource_version, "42");
  const core::AutoscalerSpec& spec = *object.spec;
  EXPECT_EQ(spec.kind, core::ObjectKind::kAutoscaler);
  EXPECT_EQ(spec.key.Text(), "shop/checkout");
  EXPECT_EQ(spec.uid, "u-1");
  EXPECT_EQ(spec.generation, 7);
  EXPECT_EQ(spec.min_replicas, 0);
  EXPECT_EQ(spec.max_replicas, 50);
  EXPECT_FALSE(spec.paused);
  EXPECT_EQ(spec.period, absl::Seconds(5));
  EXPECT_EQ(spec.polling_interval, absl::Seconds(30));
  EXPECT_EQ(spec.guards, core::Guards::kNone);
  EXPECT_EQ(spec.on_absent, core::OnAbsent::kValue);
  EXPECT_TRUE(spec.behavior.has_value());
  ASSERT_EQ(spec.metrics.size(), 2u);  // cpu is a metric, also where it is written as a trigger
  EXPECT_EQ(spec.metrics[1].source, core::MetricSource::kContainerResource);
  EXPECT_EQ(spec.metrics[1].container, "app");
  EXPECT_EQ(spec.metrics[1].target.average_utilization, 70);
  ASSERT_EQ(spec.triggers.size(), 1u);
  EXPECT_EQ(spec.triggers[0].type, "redis");
  EXPECT_EQ(spec.triggers[0].name, "jobs");
  EXPECT_EQ(spec.triggers[0].metric_type, core::TargetKind::kAverageValue);
  EXPECT_TRUE(spec.triggers[0].use_cached_metrics);
  EXPECT_EQ(spec.triggers[0].metadata,
            (std::vector<std::pair<std::string, std::string>>{
                {"address", "redis:6379"}, {"listLength", "20"}, {"listName", "jobs"}}));
}

TEST(Autoscaler, Defaults) {
  const Decoded object = Decode(kCpu);
  ASSERT_TRUE(object.spec.has_value());
  EXPECT_EQ(object.mode, Mode::kLive);
  EXPECT_EQ(object.spec->guards, core::Guards::kSafe);
  EXPECT_EQ(object.spec->on_absent, core::OnAbsent::kHold);
  EXPECT_EQ(object.spec->period, absl::Seconds(15));
  EXPECT_EQ(object.spec->polling_interval, absl::ZeroDuration());
  EXPECT_EQ(object.spec->MinReplicas(), 1);
  EXPECT_FALSE(object.spec->behavior.has_value());
  DecodeOptions options;
  options.default_period = absl::Seconds(3);
  EXPECT_EQ(Decode(kCpu, options).spec->period, absl::Seconds(3));
  EXPECT_TRUE(Decode(std::string(kCpu) + "mode: Paused").spec->paused);
}

TEST(Autoscaler, NeedsAMetricOrATrigger) {
  EXPECT_EQ(Errors(""),
            Strings{"a.yaml:4: spec.metrics: Required value: must specify at least one metric or "
                    "trigger"});
  EXPECT_EQ(Errors("metrics: []\ntriggers: []").size(), 1u);
}

TEST(Autoscaler, ZeroNeedsSomebodyToMeasure) {
  EXPECT_EQ(Errors("minReplicas: 0\n" + std::string(kCpu)).size(), 1u);
  EXPECT_EQ(Errors("minReplicas: 0\ntriggers: [{type: cpu, metricType: Utilization, metadata: "
                   "{value: \"5\"}}]")
                .size(),
            1u);
  EXPECT_EQ(
      Errors("minReplicas: 0\ntriggers: [{type: redis, metadata: {address: a, listName: b}}]"),
      Strings{});
}

TEST(Autoscaler, EveryProblemIsNamedByLine) {
  EXPECT_EQ(
      Errors("minReplicas: 20\n"
             "mode: Dryrun\n"
             "periode: 5s\n"
             "metrics:\n"
             "- type: Resource\n"
             "  resource:\n"
             "    name: cpu\n"
             "    target: {type: Utilization, averageUtilisation: 60}\n"
             "triggers:\n"
             "- type: redis\n"
             "  metadata:\n"
             "    listName: jobs\n"
             "    listLength: \"many\"\n"
             "- type: rediss\n"),
      (Strings{
          "a.yaml:6: spec.maxReplicas: Invalid value: 10: must be greater than or equal to "
          "`minReplicas`, which is 20",
          "a.yaml:8: spec.mode: Unsupported value: \"Dryrun\": supported values: \"Live\", "
          "\"DryRun\", \"Paused\" (did you mean \"DryRun\"?)",
          "a.yaml:9: spec.periode: unknown field (did you mean \"period\"?)",
          "a.yaml:14: spec.metrics[0].resource.target.averageUtilisation: unknown field (did you "
          "mean \"averageUtilization\"?)",
          "a.yaml:14: spec.metrics[0].resource.target.averageUtilization: Required value: must set "
          "either a target raw value or a target utilization",
          "a.yaml:17: spec.triggers[0].metadata.address: missing required parameter \"address\" in "
          "metadata",
          "a.yaml:19: spec.triggers[0].metadata.listLength: \"many\" is not an integer",
          "a.yaml:20: spec.triggers[1].type: unknown trigger type \"rediss\" (did you mean "
          "\"redis\"?)",
      }));
}

TEST(Autoscaler, Triggers) {
  EXPECT_EQ(TriggerErrors("{metadata: {a: b}}"),
            Strings{".type: Required value: must name what the trigger reads"});
  EXPECT_EQ(
      TriggerErrors("{type: hpa-resource}"),
      Strings{".type: Forbidden: \"hpa-resource\" is reserved: write it as an entry of metrics"});
  EXPECT_EQ(TriggerErrors("{type: redis, metadata: {address: a, listName: b, listLength: 20}}"),
            Strings{".metadata.listLength: expected a string, got 20; write \"20\""});
  EXPECT_EQ(TriggerErrors("{type: redis, metadata: {address: a, listName: b, length: x}}"),
            Strings{".metadata.length: \"x\" is not an integer"});
  EXPECT_EQ(TriggerErrors("{type: redis, metadata: [a]}")[0],
            ".metadata: expected a map, got a list");
  EXPECT_EQ(
      TriggerErrors("{type: redis, metricType: Utilization, metadata: {address: a, listName: b}}"),
      Strings{".metricType: Unsupported value: \"Utilization\": supported values: "
              "\"AverageValue\", \"Value\""});
  EXPECT_EQ(
      TriggerErrors("{type: redis, metricType: Total, metadata: {address: a, listName: b}}"),
      Strings{".metricType: Unsupported value: \"Total\": supported values: \"AverageValue\", "
              "\"Value\", \"Utilization\""});
  EXPECT_EQ(
      TriggerErrors(
          "{type: redis, metadata: {address: a, listName: b}, authenticationRef: {name: x}}"),
      Strings{".authenticationRef: Forbidden: credentials by reference are not supported yet"});
  EXPECT_EQ(
      TriggerErrors("{type: redis, metadata: {address: a, listName: b, passwordFromEnv: P}}"),
      Strings{".metadata.passwordFromEnv: Forbidden: values from the target's environment are not "
              "supported yet"});
  EXPECT_EQ(Errors("triggers:\n- {type: redis, name: a, metadata: {address: a, listName: b}}\n"
                   "- {type: redis, name: a, metadata: {address: a, listName: b}}\n"),
            Strings{"a.yaml:9: spec.triggers[1].name: \"a\" is the name of spec.triggers[0], too"});
}

TEST(Autoscaler, ResourceTriggers) {
  EXPECT_EQ(TriggerErrors("{type: cpu, metadata: {value: \"50\"}}"),
            Strings{".metricType: Required value: must be Utilization or AverageValue"});
  EXPECT_EQ(TriggerErrors("{type: cpu, metricType: Value, metadata: {value: \"50\"}}"),
            Strings{".metricType: Unsupported value: \"Value\": supported values: \"Utilization\", "
                    "\"AverageValue\""});
  EXPECT_EQ(TriggerErrors("{type: memory, metricType: Utilization}"),
            Strings{".metadata.value: missing required parameter \"value\" in metadata"});
  EXPECT_EQ(
      TriggerErrors("{type: cpu, metricType: Utilization, metadata: {value: \"5.5\"}}"),
      Strings{".metadata: value: \"5.5\" is not a whole percentage, which metricType Utilization "
              "asks for"});
  EXPECT_EQ(TriggerErrors("{type: cpu, metricType: Utilization, metadata: {value: \"0\"}}"),
            Strings{".metadata.value: Invalid value: \"0\": must be greater than 0"});
  EXPECT_EQ(TriggerErrors("{type: memory, metricType: AverageValue, metadata: {value: \"-1Mi\"}}"),
            Strings{".metadata.value: Invalid value: \"-1Mi\": must be positive"});
  EXPECT_EQ(
      TriggerErrors(
          "{type: cpu, metricType: Utilization, useCachedMetrics: true, metadata: {value: \"5\"}}"),
      Strings{".useCachedMetrics: not for cpu triggers: their metric is read for each decision"});
}

TEST(Autoscaler, UnknownParametersAreWarnings) {
  const Decoded object =
      Decode("triggers:\n- {type: redis, metadata: {address: a, listName: b, listLenght: \"5\"}}");
  EXPECT_TRUE(object.spec.has_value());
  EXPECT_EQ(
      Lines(object.warnings),
      Strings{"a.yaml:8: spec.triggers[0].metadata.listLenght: unknown parameter (did you mean "
              "\"listLength\"?)"});
}

TEST(Autoscaler, WithoutACatalogTypesAreNotChecked) {
  const Decoded object =
      Decode("triggers: [{type: whatever, metadata: {x: y}, metricType: Value}]", {});
  ASSERT_TRUE(object.spec.has_value()) << Lines(object.errors)[0];
  EXPECT_EQ(object.spec->triggers[0].metric_type, core::TargetKind::kValue);
  EXPECT_FALSE(
      Decode("triggers: [{type: whatever, metricType: Utilization}]", {}).spec.has_value());
}

TEST(Autoscaler, Times) {
  const auto error = [](std::string_view field) {
    const Strings all = Errors(std::string(kCpu) + std::string(field));
    return all.empty() ? "" : all[0].substr(std::string_view("a.yaml:8: ").size());
  };
  EXPECT_EQ(error("period: 1s"), "");
  EXPECT_EQ(error("period: 1h"), "");
  EXPECT_EQ(error("period: 999ms"),
            "spec.period: Invalid value: \"999ms\": must be between 1s and 1h0m0s");
  EXPECT_EQ(error("period: 61m"),
            "spec.period: Invalid value: \"61m\": must be between 1s and 1h0m0s");
  EXPECT_EQ(error("period: 15"), "spec.period: expected a duration such as \"15s\", got 15");
  EXPECT_EQ(error("period: soon"),
            "spec.period: \"soon\" is not a duration such as 30s, 1m30s or 500ms");
  EXPECT_EQ(error("pollingInterval: 0"),
            "spec.pollingInterval: Invalid value: 0: must be between 1s and 24h0m0s");
  EXPECT_EQ(error("pollingInterval: 1m"), "");
  EXPECT_EQ(error("zeroPolicy: Activation").substr(0, 27), "spec.zeroPolicy: Forbidden:");
  const Decoded shorter = Decode(std::string(kCpu) + "pollingInterval: 5");
  EXPECT_TRUE(shorter.spec.has_value());
  EXPECT_EQ(
      Lines(shorter.warnings),
      Strings{"a.yaml:8: spec.pollingInterval: shorter than the period, 15s: triggers are read "
              "once a period"});
}

TEST(Autoscaler, HoldScaleUp) {
  const auto holds = [](std::string_view list) {
    const Decoded object = Decode(std::string(kCpu) + "holdScaleUp: " + std::string(list));
    EXPECT_TRUE(object.spec.has_value()) << list;
    return object.spec->hold_scale_up;
  };
  EXPECT_EQ(Decode(std::string(kCpu)).spec->hold_scale_up, core::HoldScaleUp());
  EXPECT_EQ(holds("[]"), core::HoldScaleUp());
  EXPECT_EQ(holds("[QuotaExceeded]"),
            (core::HoldScaleUp{.unschedulable_pods = false, .quota_exceeded = true}));
  EXPECT_EQ(holds("[UnschedulablePods, QuotaExceeded]"),
            (core::HoldScaleUp{.unschedulable_pods = true, .quota_exceeded = true}));
  EXPECT_EQ(
      Errors(std::string(kCpu) + "holdScaleUp: [QuotaExceeded, Quota, 3, QuotaExceeded]"),
      (Strings{"a.yaml:8: spec.holdScaleUp[1]: Unsupported value: \"Quota\": supported values: "
               "\"UnschedulablePods\", \"QuotaExceeded\"",
               "a.yaml:8: spec.holdScaleUp[2]: Unsupported value: 3: supported values: "
               "\"UnschedulablePods\", \"QuotaExceeded\"",
               "a.yaml:8: spec.holdScaleUp[3]: Duplicate value: \"QuotaExceeded\""}));
}

TEST(Autoscaler, Metadata) {
  const auto errors = [](std::string_view metadata) {
    Strings out;
    const std::string text =
        "metadata: " + std::string(metadata) +
        "\nspec:\n  maxReplicas: 1\n  scaleTargetRef: {apiVersion: apps/v1, kind: A, name: a}\n  " +
        std::string(kCpu);
    for (const Problem& p : DecodeAutoscaler(Parse(text), {}).errors) out.push_back(Text(p));
    return out;
  };
  EXPECT_EQ(errors("{name: web}"), Strings{});
  EXPECT_EQ(errors("{}"), Strings{"metadata.name: Required value: name is required"});
  EXPECT_EQ(errors("null"), Strings{"metadata: Required value: must have a name"});
  EXPECT_EQ(errors("{name: Web}").size(), 1u);
  EXPECT_EQ(errors("{name: web, namespace: a.b}").size(), 1u);
  EXPECT_EQ(errors("{name: 5}")[0], "metadata.name: expected a string, got 5; write \"5\"");
  EXPECT_EQ(errors("{name: web, namspace: a}"),
            Strings{"metadata.namspace: unknown field (did you mean \"namespace\"?)"});
  EXPECT_EQ(errors("{name: web, labels: {app: 5}}"),
            Strings{"metadata.labels.app: expected a string, got 5; write \"5\""});
  DecodeOptions options;
  options.default_namespace = "other";
  EXPECT_EQ(DecodeAutoscaler(Parse("metadata: {name: web}"), options).key.Text(), "other/web");
}

TEST(Autoscaler, ABadObjectStillTellsWhoItIs) {
  const Decoded object = DecodeAutoscaler(
      Parse("metadata: {name: web, namespace: shop, uid: u, generation: 3}\nspec: {}"), {});
  EXPECT_FALSE(object.spec.has_value());
  EXPECT_EQ(object.key.Text(), "shop/web");
  EXPECT_EQ(object.uid, "u");
  EXPECT_EQ(object.generation, 3);
}

TEST(Kind, IsToldByGroupAndKind) {
  const auto kind = [](std::string_view api_version, std::string_view name) -> std::string {
    const auto found =
        KindOf(Parse("apiVersion: " + std::string(api_version) + "\nkind: " + std::string(name)));
    if (!found.ok()) return std::string(found.status().message());
    if (!found->has_value()) return "foreign";
    return **found == core::ObjectKind::kHpa ? "hpa" : "autoscaler";
  };
  EXPECT_EQ(kind("neap.dev/v1alpha1", "Autoscaler"), "autoscaler");
  EXPECT_EQ(kind("autoscaling/v2", "HorizontalPodAutoscaler"), "hpa");
  EXPECT_EQ(kind("apps/v1", "Deployment"), "foreign");
  EXPECT_EQ(kind("v1", "ConfigMap"), "foreign");
  EXPECT_EQ(
      kind("neap.dev/v1alpha1", "Autoscalr"),
      "kind: neap.dev has no kind \"Autoscalr\", only Autoscaler (did you mean \"Autoscaler\"?)");
  EXPECT_EQ(kind("neap.dev/v1", "Autoscaler"),
            "apiVersion: \"neap.dev/v1\" is not known, only neap.dev/v1alpha1");
  EXPECT_EQ(kind("neap.io/v1alpha1", "Autoscaler"),
            "apiVersion: no Autoscaler of \"neap.io/v1alpha1\" is known (did you mean "
            "\"neap.dev/v1alpha1\"?)");
  EXPECT_EQ(kind("autoscaling/v1", "HorizontalPodAutoscaler"),
            "apiVersion: \"autoscaling/v1\" is not read, write autoscaling/v2");
  EXPECT_EQ(KindOf(Parse("[1, 2]")).status().message(),
            "expected an object with apiVersion and kind, got a list");
  EXPECT_EQ(KindOf(Parse("a: b")).status().message(),
            "apiVersion: Required value: an object has apiVersion and kind");
  EXPECT_EQ(Lines(DecodeDocument(Parse("apiVersion: apps/v1\nkind: Deployment"), {}).errors),
            Strings{"a.yaml:1: apps/v1 Deployment is neither an Autoscaler nor a "
                    "HorizontalPodAutoscaler"});
}

TEST(Kind, OfTheWrongDecoderIsAnError) {
  EXPECT_EQ(Lines(DecodeHpa(Parse(Object(kCpu)), {}).errors)[0],
            "a.yaml:1: apiVersion: Unsupported value: \"neap.dev/v1alpha1\": supported values: "
            "\"autoscaling/v2\"");
}

TEST(Flatten, OpensLists) {
  const auto documents = value::ParseYaml(
      "kind: List\nitems: [{kind: A}, {kind: B}]\n---\nkind: C\n---\nkind: List\n", "a.yaml");
  ASSERT_TRUE(documents.ok());
  const auto flat = Flatten(*documents);
  ASSERT_EQ(flat.size(), 4u);
  EXPECT_EQ(flat[1]->StringAt("kind"), "B");
  EXPECT_EQ(flat[2]->StringAt("kind"), "C");
}

}  // namespace
}  // namespace neap::kube::objects
