// What goes into Controller::Step and what comes out. I/O threads (kube, kube/dir, scalerhost)
// build complete messages and hand them to a sink; app carries them to the controller's thread and
// the actions back. Plain values, each owned by whoever holds it; no message refers to another.
//
// Level-triggered: a *Replaced message is a whole view, what it omits is gone; a single change
// replaces one object.
//
// A view is synced once its first *Replaced came (for a kind read object by object: once the
// object's first ScaleChange came), and silent when for 90 s nothing of it came. So a sender whose
// source is alive but quiet sends ViewHeard at least every 30 s. Control keeps every scale and pod
// that it is told of while the last Watch asks for its kind or namespace; when a kind or namespace
// leaves the Watch it forgets them, and a later Watch that names it again starts from a new list.
#pragma once

#include <absl/time/time.h>
#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "autoscaler/base/label_set.h"
#include "autoscaler/base/selector.h"
#include "autoscaler/base/shared.h"
#include "autoscaler/base/text.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/core/spec.h"

namespace neap::control {

// The thing that is scaled. The version part of scaleTargetRef.apiVersion does not matter, as
// upstream.
struct TargetRef {
  base::Text group;  // "" for the core group
  base::Text kind;
  base::Text ns;
  std::string name;
  auto operator<=>(const TargetRef&) const = default;
  std::string Text() const { return fmt::format("{} {}/{}", kind, ns, name); }
};

// ---- in: objects
// -------------------------------------------------------------------------------------------------------

// An Autoscaler (or HPA) appeared or changed.
struct SpecChange {
  std::string uid;
  std::shared_ptr<const core::AutoscalerSpec> spec;  // never null
  core::Status status;      // as stored, for a controller that has not seen it before
  std::string source = {};  // whose view it belongs to ("api", "dir:PATH"); "" is the view named ""
  // Another controller scales its target; it is decided to be compared (shadow.h). `status` is then
  // that controller's, and its changes of the count come by it.
  bool shadow = false;
};
struct SpecGone {
  std::string uid;
};
struct SpecsReplaced {          // a source's complete list; its specs that are not in it are gone
  std::string source;           // "api" or "dir:PATH"
  std::vector<SpecChange> all;  // their own `source` is ignored
};

// ---- in: the cluster
// ---------------------------------------------------------------------------------------------------

struct ScaleChange {
  TargetRef target;
  std::optional<core::Scale> scale;  // nullopt: gone, or unreadable when `error` is set
  std::optional<core::ReadingError> error;
};
struct ScalesReplaced {  // a kind's complete list
  std::string group;
  std::string kind;
  std::vector<ScaleChange> all;
};

// A pod as control needs it: what Decide uses plus what selects it.
struct PodState {
  core::Pod pod;          // pod.requests is not set yet: control interns `requests`
  base::LabelSet labels;  // interned by the sender where it can
  base::Shared<core::PodRequests> requests = {};  // likewise; null: none
};
struct PodChange {
  std::string ns;
  std::string name;
  std::optional<PodState> pod;  // nullopt: gone
};
struct PodsReplaced {  // a namespace's complete list
  std::string ns;
  std::deque<PodState> all;  // a deque does not move when it grows, and may be freed bit by bit
};

enum class View : uint8_t { kSpecs, kScales, kPods };
// A view was heard of: an event, a bookmark or a complete relist. `scope` is the source,
// "group/kind" or the namespace.
struct ViewHeard {
  View view = View::kSpecs;
  std::string scope;
};

// ---- in: scalers
// -------------------------------------------------------------------------------------------------------

// What a scaler makes of a trigger (TriggerStatus), or why it refuses it.
struct TriggerOpened {
  std::string trigger_id;
  std::vector<core::MetricSpec>
      metrics;  // from_trigger set, except for hpa-* triggers, whose list is empty
  std::optional<core::ReadingError> error;
};

// Per-pod values by name; control joins them to its pods.
struct NamedPodSample {
  std::string pod;
  int64_t milli = 0;
  absl::Time at = absl::InfinitePast();
  absl::Duration window = absl::ZeroDuration();
};
struct MetricReading {
  std::string
      name;  // the metric's name within its trigger; "" for hpa-* triggers (one metric each)
  core::Reading reading;  // form kPods: values are in `pod_samples`, reading.pods is empty
  std::vector<NamedPodSample> pod_samples;
};
struct TriggerReading {
  std::string trigger_id;
  uint64_t round = 0;  // of the poll; 0 = pushed
  std::vector<MetricReading> metrics;
  std::optional<core::ReadingError> error;  // the whole trigger failed
};

// ---- in: outcomes
// ------------------------------------------------------------------------------------------------------

struct WriteOutcome {
  uint64_t write_id = 0;  // of PatchScale
  // `at` is set by Step, not by the sender. kNotTried: it was not sent, since meanwhile we were not
  // allowed to; `error` says why. The target is observed again.
  core::ApplyResult result;
  std::optional<core::Scale> scale;  // the server's reply, with kApplied
};

// ---- in: shards
// ------------------------------------------------------------------------------------------------------

// What one owner of a target leaves to the next.
struct KeptHistory {
  core::History history;            // without `counted`: a reading's sequence is the process's own
  std::optional<int32_t> replicas;  // the count up to which the events are complete
  std::string scale_version;        // resourceVersion of the scale that was known; "": none
  bool operator==(const KeptHistory&) const = default;
};

// With ControllerOptions.shards: from now on this process alone decides the shard's targets (again,
// if it was told so before). `former_until` is when the former owner last renewed its lease: what
// it did until then, beyond what it kept, is not known. InfinitePast: there was nobody, or it is
// not known who; then the unknown ends now.
struct ShardHeld {
  int shard = 0;
  std::map<std::string, KeptHistory> histories;  // by uid
  absl::Time former_until = absl::InfinitePast();
};
// Decide nothing of it any more, finish what is under way, then say ShardQuiet. What its targets
// remember is kept until the next ShardHeld.
struct ShardLeaving {
  int shard = 0;
};
// Somebody else may decide its targets by now: stop at once.
struct ShardLost {
  int shard = 0;
};

using Message = std::variant<SpecChange, SpecGone, SpecsReplaced, ScaleChange, ScalesReplaced,
                             PodChange, PodsReplaced, ViewHeard, TriggerOpened, TriggerReading,
                             WriteOutcome, ShardHeld, ShardLeaving, ShardLost>;

// Thread-safe; called from I/O threads; must not block for long.
using Sink = std::function<void(Message)>;

// ---- out
// ---------------------------------------------------------------------------------------------------------------

// One subscription at a scaler. Equal queries of several targets share one (same type, metadata,
// context as far as it matters).
struct Subscription {
  base::Text id;    // stable for equal content; opaque
  base::Text type;  // trigger type, or hpa-resource, hpa-container-resource, hpa-pods, hpa-object,
                    // hpa-external
  core::Metadata metadata;
  base::Text ns;
  base::Text object_kind;
  base::Text object_name;
  base::Text object_uid;
  base::Text pod_selector;  // canonical; for types that need it
  absl::Duration interval = absl::ZeroDuration();
  core::TargetKind requested_target = core::TargetKind::kUnspecified;
  bool operator==(const Subscription&) const = default;
};
struct Subscribe {  // changes of the set; at the first Step everything is in `put`
  std::vector<std::shared_ptr<const Subscription>> put;  // never null; both sides keep the same
  std::vector<std::string> remove;
};
// One per step and deadline (a target with a short period waits less long). At most one is
// outstanding per trigger. Each id is to be answered once, with a reading or an error.
struct Poll {
  uint64_t round = 0;
  std::vector<std::string> trigger_ids;
  absl::Duration deadline = absl::ZeroDuration();  // from now
};
// The whole set of what must be watched; replaces the former one. Emitted only when it changes.
struct Watch {
  std::vector<TargetRef> targets;           // whose scale is needed, sorted
  std::vector<std::string> pod_namespaces;  // whose pods are needed, sorted
};
struct PatchScale {
  uint64_t write_id = 0;
  std::string uid;  // the Autoscaler's: app routes by it to the writing or the withholding client
  TargetRef target;
  core::Scale observed;  // precondition: uid and spec
  int32_t replicas = 0;
};
struct WriteStatus {
  std::string uid;
  core::ObjectKey key;
  core::ObjectKind kind = core::ObjectKind::kAutoscaler;
  core::Status status;
  std::string explanation;   // the last decision's steps in words
  std::string metrics = {};  // each metric's value and target: "cpu: 45%/60%, queue: 7/10 (avg)"
};
struct EmitEvent {
  std::string uid;
  core::ObjectKey key;
  core::ObjectKind kind = core::ObjectKind::kAutoscaler;
  core::Event event;
};

// The answer to ShardLeaving, once for each: nothing of the shard is under way any more.
struct ShardQuiet {
  int shard = 0;
};

// Why a target was decided at this moment.
enum class Cause : uint8_t {
  kPeriodic,
  kSpecChange,
  kScaleChange,  // someone else changed the scale, or a write met a conflict
  kPushed,       // a pushed reading of an absolute metric, or the step from zero
  kWriteSlot,    // it waited for a write slot, one is free
};

// A decision was taken, or the outcome of its write was remembered: for the journal, metrics and
// logs. The pointers are valid until the next call of Step; handle it at once, on the controller's
// thread.
struct DecisionRecord {
  std::string uid;
  uint64_t decision_id = 0;  // grows by one per decision of this process
  const core::AutoscalerSpec* spec = nullptr;
  uint64_t spec_version = 0;  // grows with each spec that control took, over all objects
  Cause cause = Cause::kPeriodic;
  const core::Observation* seen = nullptr;
  const core::History* before = nullptr;
  const core::Decision* decision = nullptr;
};
struct OutcomeRecord {
  std::string uid;
  uint64_t decision_id = 0;
  core::ApplyResult result;
  const core::Outcome* outcome = nullptr;  // history after, status, events
};

using Action = std::variant<Subscribe, Poll, Watch, PatchScale, WriteStatus, EmitEvent,
                            DecisionRecord, OutcomeRecord, ShardQuiet>;

}  // namespace neap::control
