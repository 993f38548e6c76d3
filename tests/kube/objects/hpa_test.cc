// HorizontalPodAutoscaler objects: the API's defaults and its refusals, in its words.
#include <gtest/gtest.h>

#include "tests/kube/objects/support.h"

namespace neap::kube::objects {
namespace {

using Strings = std::vector<std::string>;

std::string Hpa(std::string_view spec) {
  return "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web, "
         "namespace: shop}\n"
         "spec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n" +
         Indent(spec, 2);
}

Decoded Decode(std::string_view spec, const DecodeOptions& options = {}) {
  return DecodeHpa(Parse(Hpa(spec)), options);
}

// The errors without file and line.
Strings Errors(std::string_view spec, const DecodeOptions& options = {}) {
  Strings out;
  for (const Problem& p : Decode(spec, options).errors) {
    EXPECT_GT(p.line, 0) << p.path;
    out.push_back(Text(p));
  }
  return out;
}

// The errors of one entry of metrics, without "spec.metrics[0]".
Strings MetricErrors(std::string_view metric) {
  Strings out;
  for (std::string line : Errors("maxReplicas: 5\nmetrics:\n- " + std::string(metric))) {
    const std::string prefix = "spec.metrics[0]";
    EXPECT_EQ(line.substr(0, prefix.size()), prefix);
    out.push_back(line.substr(prefix.size()));
  }
  return out;
}

Strings BehaviorErrors(std::string_view rules) {
  return Errors("maxReplicas: 5\nbehavior: {scaleUp: " + std::string(rules) + "}");
}

TEST(Hpa, Defaults) {
  const Decoded object = Decode("maxReplicas: 5");
  EXPECT_EQ(Lines(object.errors), Strings{});
  ASSERT_TRUE(object.spec.has_value());
  const core::AutoscalerSpec& spec = *object.spec;
  EXPECT_EQ(spec.kind, core::ObjectKind::kHpa);
  EXPECT_EQ(spec.key.Text(), "shop/web");
  EXPECT_EQ(spec.target, (core::ObjectReference{"apps/v1", "Deployment", "web"}));
  EXPECT_EQ(spec.min_replicas, 1);
  EXPECT_EQ(spec.max_replicas, 5);
  EXPECT_EQ(spec.guards, core::Guards::kNone);
  EXPECT_FALSE(spec.behavior.has_value());
  ASSERT_EQ(spec.metrics.size(), 1u);
  EXPECT_EQ(spec.metrics[0].source, core::MetricSource::kResource);
  EXPECT_EQ(spec.metrics[0].name, "cpu");
  EXPECT_EQ(spec.metrics[0].target.average_utilization, 80);
}

TEST(Hpa, BehaviorIsFilledPerField) {
  const Decoded empty = Decode("maxReplicas: 5\nbehavior: {}");
  ASSERT_TRUE(empty.spec && empty.spec->behavior);
  const core::ScalingRules& up = empty.spec->behavior->scale_up;
  const core::ScalingRules& down = empty.spec->behavior->scale_down;
  EXPECT_EQ(up.stabilization_window_seconds, 0);
  EXPECT_EQ(up.select_policy, core::SelectPolicy::kMax);
  EXPECT_EQ(up.policies, (std::vector<core::ScalingPolicy>{{core::PolicyType::kPods, 4, 15},
                                                           {core::PolicyType::kPercent, 100, 15}}));
  EXPECT_FALSE(down.stabilization_window_seconds.has_value());  // the installation's option
  EXPECT_EQ(down.policies,
            (std::vector<core::ScalingPolicy>{{core::PolicyType::kPercent, 100, 15}}));
  EXPECT_FALSE(down.tolerance.has_value());

  const Decoded some = Decode(
      "maxReplicas: 5\nbehavior:\n  scaleDown:\n    selectPolicy: Disabled\n    tolerance: 50m\n"
      "    stabilizationWindowSeconds: 60\n  scaleUp:\n    policies: [{type: Pods, value: 1, "
      "periodSeconds: 60}]\n");
  ASSERT_TRUE(some.spec.has_value()) << Lines(some.errors)[0];
  EXPECT_EQ(some.spec->behavior->scale_down.select_policy, core::SelectPolicy::kDisabled);
  EXPECT_EQ(some.spec->behavior->scale_down.tolerance, 50 * 1e-3);
  EXPECT_EQ(some.spec->behavior->scale_down.stabilization_window_seconds, 60);
  EXPECT_EQ(some.spec->behavior->scale_down.policies, down.policies);
  EXPECT_EQ(some.spec->behavior->scale_up.policies.size(), 1u);
  EXPECT_EQ(some.spec->behavior->scale_up.stabilization_window_seconds, 0);
  EXPECT_FALSE(Decode("maxReplicas: 5\nbehavior: null").spec->behavior.has_value());
}

TEST(Hpa, AllFiveSources) {
  const Decoded object = Decode(R"(minReplicas: 2
maxReplicas: 5
metrics:
- type: Resource
  resource: {name: memory, target: {type: AverageValue, averageValue: 1.5Gi}}
- type: ContainerResource
  containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 60}}
- type: Pods
  pods:
    metric: {name: rps, selector: {matchLabels: {b: "2", a: "1"}}}
    target: {type: AverageValue, averageValue: 10}
- type: Object
  object:
    describedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: main}
    metric: {name: hits}
    target: {type: Value, value: 2k}
- type: External
  external:
    metric: {name: queue, selector: {matchExpressions: [{key: q, operator: In, values: []}]}}
    target: {type: AverageValue, averageValue: "30"}
)");
  ASSERT_TRUE(object.spec.has_value()) << Lines(object.errors)[0];
  const auto& m = object.spec->metrics;
  ASSERT_EQ(m.size(), 5u);
  EXPECT_EQ(m[0].target.average_value, 1610612736000);
  EXPECT_EQ(m[0].target.kind, core::TargetKind::kAverageValue);
  EXPECT_EQ(m[1].container, "app");
  EXPECT_EQ(m[1].target.average_utilization, 60);
  EXPECT_EQ(m[2].target.average_value, 10000);  // a number is a quantity, too
  EXPECT_EQ(m[2].selector->match_labels[0].first, "a");
  EXPECT_EQ(m[3].described_object->kind, "Ingress");
  EXPECT_EQ(m[3].target.value, 2000000);
  // Admission does not look at metric selectors: a bad one fails in each decision.
  EXPECT_NE(m[4].selector_error, "");
}

TEST(Hpa, BoundsAndTarget) {
  EXPECT_EQ(Errors("minReplicas: 1"),
            Strings{"spec.maxReplicas: Required value: must be greater than 0"});
  EXPECT_EQ(Errors("maxReplicas: 0"),
            Strings{"spec.maxReplicas: Invalid value: 0: must be greater than 0"});
  EXPECT_EQ(Errors("minReplicas: 9\nmaxReplicas: 5"),
            Strings{"spec.maxReplicas: Invalid value: 5: must be greater than or equal to "
                    "`minReplicas`, which is 9"});
  EXPECT_EQ(Errors("minReplicas: -1\nmaxReplicas: 5"),
            Strings{"spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"});
  EXPECT_EQ(
      Errors("minReplicas: 0\nmaxReplicas: 5"),
      Strings{"spec.metrics: Forbidden: must specify at least one Object or External metric to "
              "support scaling to zero replicas"});
  DecodeOptions no_zero;
  no_zero.scale_to_zero = false;
  EXPECT_EQ(Errors("minReplicas: 0\nmaxReplicas: 5", no_zero)[0],
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1");

  const auto with_target = [](std::string_view target) {
    Strings out;
    for (const Problem& p :
         DecodeHpa(Parse("metadata: {name: a}\nspec:\n  maxReplicas: 1\n  scaleTargetRef: " +
                         std::string(target)),
                   {})
             .errors) {
      out.push_back(Text(p));
    }
    return out;
  };
  EXPECT_EQ(with_target("{apiVersion: v1, kind: ReplicationController, name: a}"), Strings{});
  EXPECT_EQ(
      with_target("{apiVersion: v1, kind: Deployment, name: a}"),
      Strings{"spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify "
              "API group"});
  EXPECT_EQ(
      with_target("{apiVersion: a/b/c, kind: D/E, name: ..}"),
      (Strings{"spec.scaleTargetRef.kind: Invalid value: \"D/E\": may not contain '/'",
               "spec.scaleTargetRef.name: Invalid value: \"..\": may not be '..'",
               "spec.scaleTargetRef.apiVersion: Invalid value: \"a/b/c\": must be \"version\" or "
               "\"group/version\""}));
  EXPECT_EQ(with_target("{apiVersion: apps/v1}"),
            (Strings{"spec.scaleTargetRef.kind: Required value",
                     "spec.scaleTargetRef.name: Required value"}));
}

TEST(Hpa, MetricTypes) {
  EXPECT_EQ(MetricErrors("{}"),
            Strings{".type: Required value: must specify a metric source type"});
  EXPECT_EQ(
      MetricErrors("{type: Resorce}"),
      Strings{".type: Unsupported value: \"Resorce\": supported values: \"ContainerResource\", "
              "\"External\", \"Object\", \"Pods\", \"Resource\" (did you mean \"Resource\"?)"});
  EXPECT_EQ(
      MetricErrors("{type: Resource}"),
      Strings{".resource: Required value: must populate information for the given metric source"});
  EXPECT_EQ(MetricErrors("{type: Resource, resource: {name: cpu, target: {type: Utilization, "
                         "averageUtilization: 5}}, "
                         "external: {metric: {name: q}, target: {type: Value, value: 1}}}"),
            Strings{".external: Forbidden: must populate the given metric source only"});
  EXPECT_EQ(MetricErrors("5"), Strings{": expected a map, got 5"});
}

TEST(Hpa, Targets) {
  const auto resource = [](std::string_view target) {
    return MetricErrors("{type: Resource, resource: {name: cpu, target: " + std::string(target) +
                        "}}");
  };
  EXPECT_EQ(resource("{averageUtilization: 5}"),
            Strings{".resource.target.type: Required value: must specify a metric target type"});
  EXPECT_EQ(
      resource("{type: Average, averageUtilization: 5}"),
      Strings{".resource.target.type: Invalid value: \"Average\": must be either Utilization, "
              "Value, or AverageValue"});
  EXPECT_EQ(
      resource("{type: Utilization}"),
      Strings{".resource.target.averageUtilization: Required value: must set either a target raw "
              "value or a target utilization"});
  EXPECT_EQ(
      resource("{type: Utilization, averageUtilization: 5, averageValue: 1}"),
      Strings{".resource.target.averageValue: Forbidden: may not set both a target raw value and "
              "a target utilization"});
  EXPECT_EQ(
      resource("{type: Utilization, averageUtilization: 0}"),
      Strings{".resource.target.averageUtilization: Invalid value: 0: must be greater than 0"});
  EXPECT_EQ(resource("{type: Utilization, averageUtilization: \"60\"}"),
            Strings{".resource.target.averageUtilization: expected an integer, got \"60\""});
  EXPECT_EQ(resource("{type: Utilization, averageUtilization: 3000000000}"),
            Strings{".resource.target.averageUtilization: 3000000000 is beyond 32 bits"});
  EXPECT_EQ(resource("{type: AverageValue, averageValue: -1m}"),
            Strings{".resource.target.averageValue: Invalid value: \"-1m\": must be positive"});
  EXPECT_EQ(
      resource("{type: AverageValue, averageValue: 10Mb}"),
      Strings{".resource.target.averageValue: \"10Mb\" is not a quantity: unknown suffix \"Mb\""});
  EXPECT_EQ(resource("{type: AverageValue, averageValue: 1E}"),
            Strings{});  // overflows, is positive
  EXPECT_EQ(
      MetricErrors("{type: Pods, pods: {metric: {name: m}, target: {type: Value, value: 1}}}"),
      Strings{".pods.target.averageValue: Required value: must specify a positive target "
              "averageValue"});
  EXPECT_EQ(
      MetricErrors("{type: External, external: {metric: {name: m}, target: {type: Value, value: 1, "
                   "averageValue: 1}}}"),
      Strings{".external.target.value: Forbidden: may not set both a target value for metric and a "
              "per-pod target"});
  EXPECT_EQ(
      MetricErrors("{type: External, external: {metric: {name: m}, target: {type: Utilization, "
                   "averageUtilization: 5}}}"),
      Strings{".external.target.averageValue: Required value: must set either a target value for "
              "metric or a per-pod target"});
  EXPECT_EQ(
      MetricErrors("{type: Object, object: {metric: {name: m}, describedObject: {kind: A, name: "
                   "b}, target: {type: Value}}}"),
      Strings{".object.target.averageValue: Required value: must set either a target value or "
              "averageValue"});
}

TEST(Hpa, MetricNames) {
  EXPECT_EQ(MetricErrors("{type: Pods, pods: {target: {type: AverageValue, averageValue: 1}}}"),
            Strings{".pods.metric.name: Required value: must specify a metric name"});
  EXPECT_EQ(MetricErrors("{type: Pods, pods: {metric: {name: a/b}, target: {type: AverageValue, "
                         "averageValue: 1}}}"),
            Strings{".pods.metric.name: Invalid value: \"a/b\": may not contain '/'"});
  EXPECT_EQ(MetricErrors("{type: ContainerResource, containerResource: {target: {type: "
                         "Utilization, averageUtilization: 5}}}"),
            (Strings{".containerResource.name: Required value: must specify a resource name",
                     ".containerResource.container: Required value: must specify a container"}));
}

TEST(Hpa, Behavior) {
  EXPECT_EQ(
      BehaviorErrors("{stabilizationWindowSeconds: -1}"),
      Strings{
          "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater "
          "than or equal to zero"});
  EXPECT_EQ(
      BehaviorErrors("{stabilizationWindowSeconds: 3601}"),
      Strings{"spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less "
              "than or equal to 3600"});
  EXPECT_EQ(
      BehaviorErrors("{policies: []}"),
      Strings{"spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"});
  EXPECT_EQ(BehaviorErrors("{policies: null}"), Strings{});
  EXPECT_EQ(
      BehaviorErrors("{selectPolicy: Most}"),
      Strings{"spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Most\": supported values: "
              "\"Disabled\", \"Max\", \"Min\""});
  EXPECT_EQ(
      BehaviorErrors("{policies: [{type: Pod, value: 0, periodSeconds: 1801}]}"),
      (Strings{
          "spec.behavior.scaleUp.policies[0].type: Unsupported value: \"Pod\": supported "
          "values: \"Percent\", \"Pods\" (did you mean \"Pods\"?)",
          "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
          "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less "
          "than or equal to 1800"}));
  EXPECT_EQ(BehaviorErrors("{policies: [{type: Pods}]}").size(), 2u);
  EXPECT_EQ(
      BehaviorErrors("{tolerance: -0.1}"),
      Strings{"spec.behavior.scaleUp.tolerance: Invalid value: -0.1: must be greater than or equal "
              "to 0"});
}

TEST(Hpa, FieldsOfTheWrongKind) {
  EXPECT_EQ(Errors("maxReplicas: five"),
            Strings{"spec.maxReplicas: expected an integer, got \"five\""});
  EXPECT_EQ(Errors("maxReplicas: 5.0"), Strings{"spec.maxReplicas: expected an integer, got 5.0"});
  EXPECT_EQ(Errors("maxReplicas: 5\nmetrics: {}"),
            Strings{"spec.metrics: expected a list, got a map"});
  EXPECT_EQ(Errors("maxReplicas: 5\nbehavior: []"),
            Strings{"spec.behavior: expected a map, got a list"});
}

TEST(Hpa, UnknownFieldsAreErrorsInFilesAndWarningsFromTheApi) {
  EXPECT_EQ(Errors("maxReplicas: 5\nbehaviour: {}"),
            Strings{"spec.behaviour: unknown field (did you mean \"behavior\"?)"});
  DecodeOptions api;
  api.unknown_fields_are_errors = false;
  const Decoded object = Decode("maxReplicas: 5\nbehaviour: {}", api);
  EXPECT_TRUE(object.spec.has_value());
  EXPECT_EQ(Lines(object.warnings),
            Strings{"a.yaml:7: spec.behaviour: unknown field (did you mean \"behavior\"?)"});
}

}  // namespace
}  // namespace neap::kube::objects
