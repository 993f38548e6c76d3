// Target: all that control knows of one Autoscaler, and the write that is under way for it. Plain
// data; the controller alone owns and changes it. One thread only.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <forward_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autoscaler/base/boxed.h"
#include "autoscaler/base/stamp.h"
#include "autoscaler/base/text.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/control/pod_table.h"
#include "autoscaler/control/scale_table.h"
#include "autoscaler/control/shadow.h"
#include "autoscaler/core/decide.h"

namespace neap::control {

struct Query;

// A PATCH that nobody has answered yet, with what Remember needs of the observation it came from
// (no pods: Remember looks at none).
struct Write {
  uint64_t id = 0;
  uint64_t decision_id = 0;
  TargetRef ref;
  core::Scale observed;  // the precondition
  int32_t asked = 0;     // replicas
  bool took_slot = false;
  std::shared_ptr<const core::AutoscalerSpec> spec;
  std::vector<core::MetricSpec> specs;  // of the metrics, in their order
  std::vector<core::Reading> readings;  // parallel to specs, without values per pod
  base::Stamp decided_at;
  base::Stamp until = absl::InfiniteFuture();  // the outcome is Unknown from here on
  // The outcome is Unknown: the scale is watched until `until` for what was asked.
  std::optional<core::ApplyResult> unknown;
};

// What outlives a target that vanishes and returns.
struct Memory {
  core::Outcome outcome;    // of the last decision: history, status
  core::Decision decision;  // the last; while a write is under way the one it came from
  std::unique_ptr<Write> write;
};

// A status in short, to tell whether it changed.
struct StatusDigest {
  uint64_t facts = 0;  // what is written at once: counts, each condition's status and reason, the
                       // last scale
  uint64_t all = 0;
  bool operator==(const StatusDigest&) const = default;
};

struct Target {
  uint64_t serial = 0;  // order of appearance: the order in which targets are tended
  base::Text uid;
  base::Text source;  // the view of specs it belongs to
  std::shared_ptr<const core::AutoscalerSpec> spec;
  uint64_t spec_version = 0;
  Memory memory;
  std::unique_ptr<Shadow> shadow;  // null: nobody else scales it
  // What its controller's status said while a write was under way: it comes after the outcome.
  std::unique_ptr<const core::Status> other_said;

  // Whose it is.
  int shard = 0;
  bool held = false;  // it is ours; others are known by spec and selector alone
  struct Takeover {   // what is still to be entered into the history, once the scale is known
    std::optional<int32_t> replicas;  // that the former owner's events lead to
    std::string scale_version;        // that it knew: an older one is not looked at
    base::Stamp former_until = {};
    base::Stamp since = {};  // it is ours
  };
  base::Boxed<Takeover> takeover;

  // What it looks at.
  ScaleTable::Entry* scale = nullptr;  // never null between messages
  base::Text selector;  // of the scale, as read when queries and pods were last resolved
  std::optional<base::Text> pod_selector;  // its canonical text
  PodTable::Set* pods = nullptr;           // null: no usable selector yet
  bool needs_pods = false;
  bool asks_for_scale = false;        // it is counted among those whose scale is watched
  base::Stamp unhealthy_at;           // when last at most half of its pods were ready
  bool counts_pod_namespace = false;  // it is counted among those that need its namespace's pods
  struct Input {                      // one metric
    Query* query = nullptr;           // null: nothing can be asked
    int slot = -1;  // of the query's readings; -1: the scaler has not said what it makes
    const core::MetricSpec* spec = nullptr;
    absl::Duration stale_after = absl::InfiniteDuration();
  };
  std::vector<Input> inputs;
  struct Use {
    Query* query = nullptr;
    absl::Duration interval = absl::ZeroDuration();
  };
  std::vector<Use> uses;                             // each query once
  std::forward_list<core::MetricSpec> placeholders;  // that inputs' specs point to; mostly none

  // When it is decided.
  base::Stamp next_due;              // start of the next period
  std::optional<Cause> wants_round;  // a decision that polls first
  bool in_round = false;             // waiting for `awaited` until `round_until`
  Cause round_cause = Cause::kPeriodic;
  base::Stamp round_until = absl::InfiniteFuture();
  std::vector<Query*> awaited;
  std::optional<Cause> ripe;  // to be decided as soon as spacing and the write under way allow
  uint32_t timer = 0;
  base::Stamp wake = absl::InfiniteFuture();  // what it is set to
  bool touched = false;

  // Writes.
  bool decided = false;    // once at least
  bool withholds = false;  // its last write was withheld: it needs no slot
  base::Stamp waits_since = absl::InfiniteFuture();  // for a write slot
  base::Stamp wait_key = absl::InfiniteFuture();     // its place in the queue

  // What was reported.
  StatusDigest written;     // of the status last written
  StatusDigest conditions;  // of those it has now
  base::Stamp status_written_at;
  base::Stamp status_due = absl::InfiniteFuture();
  base::Stamp status_key = absl::InfiniteFuture();  // its place among those to be written
  struct Announced {
    uint64_t warning = 0;
    base::Stamp at;
  };
  std::vector<Announced> announced;

  // For people.
  base::Stamp decided_at;
  uint64_t decision_id = 0;
  base::Text broken;
  uint64_t decisions = 0;
  uint64_t rescales = 0;
  uint64_t failures = 0;
};

}  // namespace neap::control
