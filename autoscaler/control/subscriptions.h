// What control asks of scalers for an object's metrics and triggers: the HPA's five sources become
// subscriptions of the reserved types below, triggers keep their type and metadata. Pure functions;
// called by the controller alone. Whoever serves the reserved types (the kubernetes-metrics scaler)
// reads this table.
//
//   type                    metadata keys                                    ns   pod_selector
//   hpa-resource            resource                                         yes  yes
//   hpa-container-resource  resource, container                              yes  yes
//   hpa-pods                metric, selector?                                yes  yes
//   hpa-object              metric, selector?, apiVersion?, kind, name       yes  no
//   hpa-external            metric, selector?                                yes  no
//
// `ns` is the object's namespace, in which upstream asks. `pod_selector` is the canonical text of
// the scale's status.selector. `selector` is the canonical text of the metric's label selector; a
// key with "?" is left out when it would be empty. apiVersion, kind and name are describedObject's,
// verbatim. These queries carry no object fields, so that equal ones of several objects are one. A
// reading of theirs has one metric, named "": form kPods for the first three (values in
// pod_samples), kMilli for hpa-object (exactly one value) and hpa-external (one per series).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "autoscaler/control/messages.h"
#include "autoscaler/core/spec.h"

namespace neap::control {

inline constexpr std::string_view kHpaResource = "hpa-resource";
inline constexpr std::string_view kHpaContainerResource = "hpa-container-resource";
inline constexpr std::string_view kHpaPods = "hpa-pods";
inline constexpr std::string_view kHpaObject = "hpa-object";
inline constexpr std::string_view kHpaExternal = "hpa-external";

inline constexpr std::string_view kKeyResource = "resource";
inline constexpr std::string_view kKeyContainer = "container";
inline constexpr std::string_view kKeyMetric = "metric";
inline constexpr std::string_view kKeySelector = "selector";
inline constexpr std::string_view kKeyApiVersion = "apiVersion";
inline constexpr std::string_view kKeyKind = "kind";
inline constexpr std::string_view kKeyName = "name";

// Which parts of the context a trigger's scaler is told. Fewer means that more objects share one
// query.
struct TriggerContext {
  bool object = false;        // object_kind, object_name, object_uid
  bool pod_selector = false;  // the type's manifest says needs_pod_selector
};

// Whether deciding this metric takes the target's pods (per-pod values, or a Value that is
// multiplied with the ready pods). A trigger's metrics are known only once its scaler answered.
bool NeedsPods(const core::MetricSpec& metric);

// The query of an object's metric, without id and interval. nullopt: nothing can be asked (unknown
// source, or an invalid label selector; Decide says so), or it needs a pod selector and there is
// none yet.
std::optional<Subscription> QueryOf(const core::MetricSpec& metric, const std::string& ns,
                                    const std::optional<base::Text>& pod_selector);

// The query of a trigger, likewise; nullopt only for want of the pod selector.
std::optional<Subscription> QueryOf(const core::TriggerSpec& trigger,
                                    const core::AutoscalerSpec& spec, const std::string& uid,
                                    TriggerContext context,
                                    const std::optional<base::Text>& pod_selector);

// An id from everything that makes two queries one (all fields but id and interval): the type and
// 128 bits of hash.
std::string ContentId(const Subscription& query);
// Equal in all that ContentId looks at.
bool SameQuery(const Subscription& a, const Subscription& b);

// The stand-in metric of a trigger whose scaler has not said yet what it makes of it.
core::MetricSpec PlaceholderOf(const core::TriggerSpec& trigger);

}  // namespace neap::control
