// Host: the one place that talks to scalers. It keeps what control subscribes to open at the scaler
// that serves the trigger's type, carries polls there and readings back, and turns everything a
// scaler may do wrong into a typed error and a counter: never a crash and never a zero.
//
// Owned by app. Thread-safe: every function may be called from any thread but the sink's, and none
// waits for a scaler.
//
//   NEAP_ASSIGN_OR_RETURN(auto host, scalerhost::Host::Make(
//       {.scalers = {"unix:///run/neap/scalers.sock"}}, clock,
//       {.sink = [&](control::Message m) { inbox.Push(std::move(m)); }}));
//   host->Subscribe(std::move(subscribe));   // control's actions, in their order
//   host->Poll(std::move(poll));
//
// Which scaler serves a type: the explicit pairs first; else the first of `scalers` whose Describe
// names it. Each endpoint is asked to Describe at every new connection, and again with backoff
// while it is down, so that a scaler that comes back, or comes back as a newer release, is used at
// once. A trigger of a type that nobody serves is refused by name; while some endpoint has not
// answered yet it is kUnavailable instead, for that one may serve it.
//
// Life at an endpoint: Describe, then one Watch stream that opens with the whole set (frames of at
// most 1 MiB) and carries changes, polls and readings; where Watch is UNIMPLEMENTED each poll is a
// Read. Any doubt about a stream (broken, silent, set not acknowledged) closes it and starts anew.
//
// Answers. Each id of a Poll is answered exactly once: by a reading, by an error of the scaler or
// of its connection, or by kTimeout shortly before the poll's deadline. A poll waits for a
// connection that is being made; once an attempt has failed it is answered at once with
// kUnavailable, until there is a connection. What comes later than its round is dropped and
// counted.
//
// Judging what a scaler says (check.h): observed_at is the receipt minus the reading's age; times
// are those of the clock given to Make. Reading::sequence is left to control.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/catalog/catalog.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/scalerhost/address.h"

namespace neap::scalerhost {

struct HostOptions {
  std::vector<std::string> scalers = {};  // addresses; earlier ones win
  std::vector<std::pair<std::string, std::string>> trigger_endpoints = {};  // type -> address
  // How to speak to a TCP address of the two above; one without an entry is spoken to in the open.
  std::map<std::string, Tls> tls = {};

  absl::Duration describe_timeout = absl::Seconds(5);
  // Between attempts to connect: doubles from the first to the last, each +-20 % at random. An
  // endpoint whose streams end within 5 s, or that breaks the contract, waits up to 10 times more.
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration last_backoff = absl::Seconds(1);
  uint64_t seed = 0;  // of the backoff's randomness; 0 = a random one
  // A connection on which nothing came for `keepalive_time` is asked for a sign of life, and given
  // up after `keepalive_timeout` more.
  absl::Duration keepalive_time = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  // A stream that leaves a set unacknowledged, takes no frame, or answers no poll for so long is
  // opened anew.
  absl::Duration silence_limit = absl::Seconds(30);
};

// What a scaler may do wrong, one counter each.
enum class Violation : uint8_t {
  kBadNumber,            // NaN or infinite
  kNegativeZero,         // -0.0: harmless, read as 0
  kBadSeries,            // both or none of milli and real filled, or too many values
  kBadColumns,           // pod columns of unequal length, empty or duplicate pod names
  kBadForm,              // the wrong kind of result, or none
  kBadTime,              // age negative, absurd or unreadable; a time in the future or before 2000
  kBadActivity,          // `active` is missing where it is required
  kBadTarget,            // missing, not positive, or of a kind that triggers do not have
  kBadName,              // a metric without a name, named twice, or not of the trigger
  kMissingMetric,        // a metric of the trigger is not in its reading
  kMissingAnswer,        // a complete answer lacks a trigger that was asked for
  kUnknownId,            // a trigger that is not at this endpoint
  kDuplicateAnswer,      // a second answer of one round
  kLateAnswer,           // of a round that is over
  kBadGeneration,        // of a set that was never sent, or older than the trigger
  kReadingBeforeStatus,  // a reading of a trigger that was not acknowledged
  kBadFrame,             // an empty or meaningless frame, or a manifest that can't be used
  kCount
};
inline constexpr size_t kViolations = static_cast<size_t>(Violation::kCount);
std::string_view ViolationName(Violation violation);  // "bad_number", for labels

struct EndpointCounters {
  uint64_t polls = 0;            // triggers asked
  uint64_t readings = 0;         // answers that carry at least one value
  uint64_t pushed = 0;           // of these, unasked
  uint64_t failed_readings = 0;  // answers without any value: errors of the scaler or about it
  uint64_t timeouts = 0;         // of these, made by the host
  uint64_t bytes = 0;            // of frames and answers received
  std::array<uint64_t, kViolations> violations = {};
};

// An endpoint as telemetry and the readiness page show it.
struct EndpointHealth {
  std::string address;
  std::string name;     // the scaler's own, "" before it answered
  std::string version;  // likewise
  bool connected = false;
  bool watches = false;    // by a Watch stream; false: by Read (or not connected)
  std::string last_error;  // of the connection; kept after it is mended
  absl::Time last_error_at = absl::InfinitePast();
  uint64_t connects = 0;           // successful ones; 1 + the number of times it came back
  uint64_t failures = 0;           // attempts and connections that failed
  size_t triggers = 0;             // subscribed here
  std::vector<std::string> types;  // routed here
  EndpointCounters counters;
};

// Counters beside the endpoints'.
struct HostCounters {
  uint64_t refused_types = 0;     // polls of triggers whose type nobody serves
  uint64_t unknown_triggers = 0;  // polls of ids that were never subscribed
  EndpointCounters endpoints;     // the sum over all
};

// The trigger types that the endpoints serve. Immutable.
class TriggerTypes {
 public:
  TriggerTypes() = default;
  TriggerTypes(std::vector<catalog::TriggerType> types, bool complete);

  const catalog::TriggerType* Find(std::string_view type) const;    // nullptr: unknown
  const std::vector<std::string>& names() const { return names_; }  // sorted
  // False while an endpoint has never answered: a type that is not here may still come.
  bool complete() const { return complete_; }

 private:
  std::vector<std::string> names_;
  std::vector<catalog::TriggerType> types_;  // parallel to names_
  bool complete_ = true;
};

// Called on the host's thread, one at a time. A sink that waits holds up the host.
struct HostHandlers {
  control::Sink sink;  // takes TriggerOpened and TriggerReading
  // May be empty: the types that endpoints serve have changed.
  std::function<void(std::shared_ptr<const TriggerTypes>)> types_changed = {};
  // May be empty. For logs, one call per change: an endpoint connected (OK) or was lost (why), two
  // endpoints serve one type, a scaler breaks the contract in a new way.
  std::function<void(std::string_view what, const absl::Status& error)> report = {};
};

class Host {
 public:
  // Starts to connect. `clock` is borrowed and outlives the host. Errors: InvalidArgument naming
  // the address, type or file.
  static absl::StatusOr<std::unique_ptr<Host>> Make(HostOptions options, const base::Clock& clock,
                                                    HostHandlers handlers);
  // Ends all calls and returns when no callback runs any more: at once, unless the sink waits, so
  // let go a waiting sink (Inbox::Close) first. Not from a callback.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Control's actions; take them in their order. `poll.deadline` counts from this call.
  void Subscribe(control::Subscribe change);
  void Poll(control::Poll poll);

  std::shared_ptr<const TriggerTypes> types() const;
  std::vector<EndpointHealth> health() const;  // in the order of the options, each address once
  HostCounters counters() const;

 private:
  class Impl;
  explicit Host(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::scalerhost
