// AutoscalerSpec: what a user asks of Neap for one target, after the API's defaulting, as plain
// values. Made by kube/objects (and by the conformance runner), owned by control, read by Decide.
// Immutable once made; thread-safe.
//
// Words are the HPA's (autoscaling/v2) and KEDA's. Amounts are int64 thousandths ("milli"),
// percents are whole.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/boxed.h"
#include "autoscaler/base/selector.h"
#include "autoscaler/base/text.h"

namespace neap::core {

struct ObjectKey {  // namespace/name
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  std::string Text() const { return ns + "/" + name; }
  // nullopt: `text` is not "namespace/name".
  static std::optional<ObjectKey> Parse(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) return {};
    return ObjectKey{.ns = std::string(text.substr(0, slash)),
                     .name = std::string(text.substr(slash + 1))};
  }
};

// The group of an apiVersion: "apps/v1" -> "apps", "v1" -> "".
inline std::string_view GroupOf(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? "" : api_version.substr(0, slash);
}

// scaleTargetRef, or a metric's describedObject.
struct ObjectReference {
  base::Text api_version;  // "apps/v1"; may be ""
  base::Text kind;
  std::string name;
  auto operator<=>(const ObjectReference&) const = default;
};

enum class MetricSource : uint8_t {
  kResource,
  kContainerResource,
  kPods,
  kObject,
  kExternal,
  kUnknown,  // a type the HPA does not know: InvalidMetricSourceType
};

enum class TargetKind : uint8_t { kUnspecified, kUtilization, kAverageValue, kValue };

// A metric's target. The HPA consults which field is set, and `kind` for Object metrics only
// (horizontal.go), so the fields stay apart. Amounts > 0, save that a quantity which overflowed
// upstream is 0.
struct MetricTarget {
  TargetKind kind = TargetKind::kUnspecified;
  std::optional<int32_t> average_utilization;  // percent of request, >= 1
  std::optional<int64_t> average_value;        // milli per pod
  std::optional<int64_t> value;                // milli
  bool operator==(const MetricTarget&) const = default;
};

// One input with its target: a `metrics[]` entry of the object, or what a scaler made of a trigger
// (then kExternal).
struct MetricSpec {
  MetricSource source = MetricSource::kExternal;
  base::Text source_text;  // as written; differs from the enum's name only for kUnknown
  base::Text name;         // resource name ("cpu") or metric name
  base::Text container;    // kContainerResource
  base::Boxed<ObjectReference> described_object;  // exactly with kObject
  base::Boxed<base::LabelSelector> selector;      // kPods, kObject, kExternal
  base::Text selector_error;  // why `selector` is invalid, "" when fine; both by SetSelector
  MetricTarget target;
  bool from_trigger = false;  // made from a trigger by its scaler
  bool has_activity = false;  // triggers: takes part in activation (cpu and memory do not)
  bool operator==(const MetricSpec&) const = default;

  // `described_object`, or an empty one.
  const ObjectReference& described() const {
    static const ObjectReference kNone;
    return described_object ? *described_object : kNone;
  }

  // Sets `selector` and checks it once, so that a decision does not. Admission lets bad ones
  // through; they surface as Failed...Metric in each decision.
  void SetSelector(base::LabelSelector value) {
    const auto parsed = value.ToSelector();
    selector_error = parsed.ok() ? std::string() : std::string(parsed.status().message());
    selector = std::move(value);
  }
};

// A trigger's parameters: texts by their names, sorted. Copies share them.
class Metadata {
 public:
  using Entry = std::pair<std::string, std::string>;

  Metadata() = default;
  Metadata(std::initializer_list<Entry> entries) : Metadata(std::vector<Entry>(entries)) {}
  // Sorted by the caller.
  Metadata(std::vector<Entry> entries) {
    if (!entries.empty()) entries_ = std::move(entries);
  }
  std::span<const Entry> entries() const {
    return entries_ ? std::span<const Entry>(*entries_) : std::span<const Entry>();
  }
  auto begin() const { return entries().begin(); }
  auto end() const { return entries().end(); }
  size_t size() const { return entries().size(); }
  bool empty() const { return entries().empty(); }
  const Entry& operator[](size_t i) const { return entries()[i]; }
  bool operator==(const Metadata&) const = default;

 private:
  base::Boxed<std::vector<Entry>> entries_;  // none: empty
};

// One `triggers[]` entry, verbatim; what it means only its scaler knows.
struct TriggerSpec {
  base::Text type;
  base::Text name;                                    // optional, unique in the object
  Metadata metadata;                                  // never holds secrets
  TargetKind metric_type = TargetKind::kUnspecified;  // the user's metricType
  bool use_cached_metrics = false;
  bool operator==(const TriggerSpec&) const = default;
};

enum class PolicyType : uint8_t { kPods, kPercent };
struct ScalingPolicy {
  PolicyType type = PolicyType::kPods;
  int32_t value = 0;           // pods or percent, > 0
  int32_t period_seconds = 0;  // 1..1800
  bool operator==(const ScalingPolicy&) const = default;
};
enum class SelectPolicy : uint8_t { kMax, kMin, kDisabled };
struct ScalingRules {
  std::optional<int32_t> stabilization_window_seconds;  // 0..3600; unset on scaleDown:
                                                        // HpaOptions.downscale_stabilization
  SelectPolicy select_policy = SelectPolicy::kMax;
  std::vector<ScalingPolicy> policies;
  std::optional<double> tolerance;  // >= 0; unset: HpaOptions.tolerance
  bool operator==(const ScalingRules&) const = default;
};
struct Behavior {  // both directions are filled by the API's defaulting
  ScalingRules scale_up;
  ScalingRules scale_down;
  bool operator==(const Behavior&) const = default;
};

enum class Guards : uint8_t { kSafe, kNone };
enum class ZeroPolicy : uint8_t { kHpa, kActivation };
enum class OnAbsent : uint8_t { kHold, kValue };
// Opt-in reasons not to scale up: more pods would not run either. Not a default, since cluster
// autoscalers need pending pods to see.
struct HoldScaleUp {
  bool unschedulable_pods = false;  // while a pod of the target finds no node
  bool quota_exceeded = false;      // while a quota refuses pods of the target
  bool operator==(const HoldScaleUp&) const = default;
};
enum class ObjectKind : uint8_t { kAutoscaler, kHpa, kScaledObject };

struct AutoscalerSpec {
  ObjectKey key;
  base::Text uid;          // of the object
  int64_t generation = 0;  // metadata.generation; status.observedGeneration shows it
  ObjectReference target;

  std::optional<int32_t> min_replicas;  // unset means 1
  int32_t max_replicas = 0;
  ObjectKind kind = ObjectKind::kAutoscaler;
  std::vector<MetricSpec> metrics;
  std::vector<TriggerSpec> triggers;
  base::Boxed<Behavior> behavior;  // unset: the HPA's legacy path

  bool paused = false;  // mode: Paused (KEDA's pause annotations with the issue on KEDA's objects)
  Guards guards = Guards::kSafe;
  ZeroPolicy zero_policy = ZeroPolicy::kHpa;
  OnAbsent on_absent = OnAbsent::kHold;
  HoldScaleUp hold_scale_up;
  absl::Duration period = absl::Seconds(15);               // between periodic decisions, >= 1 s
  absl::Duration polling_interval = absl::ZeroDuration();  // of triggers; zero means `period`
  // KEDA's activation fields (cooldownPeriod, idleReplicaCount, fallback, scalingModifiers) join
  // here with stage `zero`.

  int32_t MinReplicas() const { return min_replicas.value_or(1); }
  bool operator==(const AutoscalerSpec&) const = default;
};

// Which upstream release's behaviour where releases differ. The default made the
// conformance vectors.
enum class Level : uint8_t { kV1_37 };

// Installation-wide options: neapd flags with kube-controller-manager's names, recorded in the
// journal.
struct HpaOptions {
  Level level = Level::kV1_37;
  double tolerance = 0.1;                                       // fraction, >= 0
  absl::Duration downscale_stabilization = absl::Minutes(5);    // >= 0
  absl::Duration cpu_initialization_period = absl::Minutes(5);  // >= 0
  absl::Duration initial_readiness_delay = absl::Seconds(30);   // >= 0
  bool scale_to_zero = true;                                    // gate HPAScaleToZero
  bool operator==(const HpaOptions&) const = default;
};

}  // namespace neap::core
