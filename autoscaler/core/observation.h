// Observation: everything a decision may know of the world at `now`, as borrowed views into tables
// that control (or record, sim's scenarios, the conformance runner) owns. Nothing here is fetched:
// what is missing is an error with a reason. A plain value of spans and pointers; valid while its
// owner's tables are unchanged; one thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/boxed.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/shared.h"
#include "autoscaler/base/stamp.h"
#include "autoscaler/base/text.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/core/status.h"

namespace neap::core {

// The scale subresource as last seen.
struct Scale {
  base::Text uid;               // of the target object
  base::Text resource_version;  // for reports; the write's precondition is uid + spec
  int32_t spec_replicas = 0;
  int32_t status_replicas = 0;
  base::Text selector;  // status.selector, as the API wrote it
  // What the workload's own status says beyond its scale; guards look at it.
  std::optional<int32_t> ready_replicas = {};  // unset: not known (kinds read by their scale alone)
  bool quota_refused = false;                  // a quota refuses its pods
  bool operator==(const Scale&) const = default;
};

enum class PodPhase : uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };
enum class PodReady : uint8_t {
  kNone,
  kTrue,
  kFalse,
  kUnknown
};  // kNone: there is no Ready condition

enum class PodTrouble : uint8_t {
  kNone,
  kCrashLoop,      // a container waits in CrashLoopBackOff
  kUnschedulable,  // the scheduler found no node
};

// One pod that the target's selector returns. There may be very many: 32 bytes and the name, which
// copies share.
struct Pod {
  base::SharedText name;
  base::Stamp start = {};     // status.startTime; InfinitePast = not set
  base::Stamp ready_at = {};  // lastTransitionTime of Ready; InfinitePast = the API's zero time
  uint32_t requests = 0;      // index into Observation.requests
  PodPhase phase = PodPhase::kPending;
  PodReady ready = PodReady::kNone;
  bool deleting = false;
  PodTrouble trouble = PodTrouble::kNone;
  bool operator==(const Pod&) const = default;
};

// An amount of a resource: milli rounds each quantity away from zero, `rounded_up_nano` says by how
// much (see Quantity).
struct ResourceAmount {
  std::string resource;
  int64_t milli = 0;
  int32_t rounded_up_nano = 0;
  bool operator==(const ResourceAmount&) const = default;

  static ResourceAmount Of(std::string resource, const base::Quantity& quantity) {
    return {.resource = std::move(resource),
            .milli = quantity.Milli(),
            .rounded_up_nano = quantity.RoundedUpNano()};
  }
};
// What the containers of a pod ask for; shared by the pods of one template.
using ResourceAmounts = std::vector<ResourceAmount>;  // sorted by resource name
struct PodRequests {
  struct Container {
    std::string name;
    bool sidecar = false;  // an init container with restartPolicy Always
    ResourceAmounts requests;
    bool operator==(const Container&) const = default;
  };
  std::vector<Container> containers;
  std::vector<Container> init_containers;
  std::optional<ResourceAmounts> pod_level;  // spec.resources.requests
  ResourceAmounts overhead;
  bool operator==(const PodRequests&) const = default;
};

enum class ErrorKind : uint8_t {
  kUnavailable,
  kTimeout,
  kDenied,
  kNotFound,
  kBadParameter,
  kBadAnswer,
  kThrottled,
  kInternal,
  kUnknownTrigger,
  kNeverRead,  // no reading has arrived yet
  kStale,      // the last one is older than its limit (made by Decide, never by a scaler)
};

// A metric that could not be read. The message says what and which peer; for the HPA's own sources
// it is upstream's text, since conditions and events show it.
struct ReadingError {
  ErrorKind kind = ErrorKind::kUnavailable;
  base::Text message;
  bool operator==(const ReadingError&) const = default;
};

// Per-pod values, joined to Observation.pods when they arrived (control does that, so that a
// decision hashes no name).
struct PodSample {
  int64_t milli = 0;
  absl::Time at = absl::InfinitePast();
  absl::Duration window = absl::ZeroDuration();
  bool present = false;
  bool operator==(const PodSample&) const = default;
};
struct PodSamples {
  std::vector<PodSample> by_pod;  // parallel to Observation.pods; shorter means the rest have none
  std::vector<int64_t>
      stray;  // milli of samples whose name is no listed pod: upstream averages them in
  bool operator==(const PodSamples&) const = default;
};

// One metric's latest reading: a value with its times, or a typed error.
struct Reading {
  enum class Form : uint8_t { kError, kMilli, kReal, kPods };
  Form form = Form::kError;
  ReadingError error;          // kError
  std::vector<int64_t> milli;  // kMilli: exact thousandths, unsummed; may be empty
  std::vector<double> real;    // kReal: finite
  PodSamples pods;             // kPods
  bool absent = false;         // the source had nothing, the value is a stand-in
  std::optional<bool> active;  // with has_activity
  // The scaler's suggested target, overrides the spec's until the next reading.
  base::Boxed<MetricTarget> target;
  base::Stamp observed_at = {};  // receipt minus the scaler's age: what staleness is judged by
  base::Stamp sampled_at = {};   // the source's clock, for people and records
  uint64_t sequence = 0;         // grows with each distinct reading of this metric; 0 = never read
  bool operator==(const Reading&) const = default;
};

// One metric with its reading. In order: AutoscalerSpec.metrics, then each trigger's metrics as its
// scaler named them (a trigger whose scaler has not answered yet is one entry with a kNeverRead
// reading, so that it counts as invalid).
struct MetricInput {
  const MetricSpec* spec = nullptr;
  const Reading* reading = nullptr;                       // never null
  absl::Duration stale_after = absl::InfiniteDuration();  // limit of now - observed_at
};

struct Observation {
  absl::Time now = absl::InfinitePast();
  const Scale* scale = nullptr;  // null: it could not be read, `scale_error` says why
  const ReadingError* scale_error = nullptr;
  const std::string* selector_error =
      nullptr;                // why the scale's selector can't be parsed; null when it can
  std::span<const Pod> pods;  // what the scale's selector returns, in the lister's order
  std::span<const PodRequests> requests;  // templates that Pod.requests names
  std::span<const MetricInput> metrics;
  // Keys ("ns/name", sorted, this one included) of the autoscalers of the namespace whose
  // remembered selector matches at least one of `pods`; two or more make the selector ambiguous.
  // See core::MatchesAnyPod.
  std::span<const std::string> overlapping;
  const Status* previous = nullptr;  // never null; an empty Status before the first
  bool views_synced = true;   // specs, scales and pods are complete: else hold, ViewNotSynced
  bool views_silent = false;  // nothing heard from a view for 90 s: no scale-down
  // A periodic or spec-change decision takes a new base for relative metrics (ARCHITECTURE.md, life
  // of a sample, 2).
  bool takes_base = true;
};

}  // namespace neap::core
