// What the author of a C++ scaler writes against: derive from Scaler and Trigger, hand the scalers
// to Serve(). Neither gRPC nor protobuf is seen here. scalers/redis is a complete example.
//
//   class QueueTrigger : public sdk::Trigger { ... metrics(), source_key() ... };
//   class QueueScaler : public sdk::Scaler { ... manifest(), Open(), Read() ... };
//   int main(int argc, char** argv) { return sdk::Serve(scalers::queue::Make(), argc, argv); }
//
// Threads: Open, Read and Watch are called from several threads at a time and must be thread-safe.
// Open and Watch are short: a stream waits for them. A Trigger is immutable after Open and outlives
// every call that is given it.
//
// What a scaler says is checked (check_reading.h): a metric that is missing, not finite or without
// `active`, and anything it throws, reaches the host as a kInternal error of that metric.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scalers/sdk/parameters.h"

namespace neap::http {
class Client;
}

namespace neap::sdk {

// Why a metric could not be read; one kind per cause, so that people and counters can tell them
// apart. A metric that could not be read is an error and never a zero.
enum class ErrorKind {
  kUnavailable,     // the source can't be reached, or says it can't answer now
  kTimeout,         // no answer in time
  kDenied,          // wrong or missing credentials, or no permission
  kNotFound,        // the thing that is asked for is not there
  kBadParameter,    // the trigger itself is at fault
  kBadAnswer,       // an answer that is not understood
  kThrottled,       // asked too often
  kInternal,        // a fault of this scaler
  kUnknownTrigger,  // made by the SDK, never by a scaler
};
std::string_view ErrorKindName(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;  // what and which peer; never a secret
  std::optional<absl::Duration> retry_after = std::nullopt;
};
// The error that a status means: kUnavailable for Unavailable, kTimeout for DeadlineExceeded,
// kDenied for PermissionDenied and Unauthenticated, kNotFound, kBadParameter for InvalidArgument,
// kBadAnswer for DataLoss and FailedPrecondition, kThrottled for ResourceExhausted, else kInternal.
Error FromStatus(const absl::Status& status);

enum class TargetKind { kUnspecified, kValue, kAverageValue, kUtilization };
struct Target {
  TargetKind kind = TargetKind::kAverageValue;
  int64_t amount = 0;  // thousandths; whole percent for kUtilization
  bool operator==(const Target&) const = default;
};
// What a trigger measures. Names are without the "sN-" of the object's trigger list.
struct MetricSpec {
  std::string name;              // unique in the trigger
  std::optional<Target> target;  // absent only for hpa-* types, whose target stands in the object
  bool has_activity = true;      // takes part in activation
};

// Values that are summed by the reader, in order; exactly one of the two is filled.
struct Series {
  std::vector<int64_t> milli;  // exact thousandths
  std::vector<double> real;    // anything else, finite
};
// Columns of equal length n; a pod without a sample is left out.
struct PodValues {
  std::vector<std::string> pod;
  std::vector<int64_t> milli;
  std::vector<absl::Time> sampled_at;  // n entries, or 1 for all
  std::vector<absl::Duration> window;  // n entries, or 1 for all
};
struct MetricReading {
  std::string name;  // of MetricSpec
  std::variant<Series, PodValues, Error> result;
  std::optional<bool> active;                 // required when the metric has activity and no error
  bool absent = false;                        // the source had nothing; the value is a stand-in
  absl::Duration age = absl::ZeroDuration();  // at the end of Read, by the monotonic clock
  absl::Time sampled_at = absl::InfinitePast();  // the source's clock; InfinitePast = it says none
  std::optional<Target> suggested_target;  // overrides MetricSpec.target until the next reading
};
struct Reading {
  std::vector<MetricReading> metrics;
  std::optional<Error> error;  // the whole trigger failed; metrics is empty

  static Reading Failed(Error error) { return {.metrics = {}, .error = std::move(error)}; }
  // One metric with one value; active is `value > activation`, KEDA's rule.
  static Reading Of(std::string name, double value, double activation, bool absent = false);
};

// One parsed subscription.
class Trigger {
 public:
  virtual ~Trigger() = default;
  virtual std::vector<MetricSpec> metrics() const = 0;
  // Names the peer and how one talks to it; never a secret in the open (hash it). Triggers of the
  // same key are read together, and the number of calls at work for one key is limited, so that a
  // hanging peer takes no other's thread.
  virtual std::string source_key() const = 0;
};

// What a Read may use. Lives as long as the call. Thread-safe.
class ReadContext {
 public:
  virtual ~ReadContext() = default;
  virtual absl::Duration remaining() const = 0;  // until the deadline; zero when it has passed
  virtual bool cancelled() const = 0;            // nobody waits any longer
  virtual absl::Time now() const = 0;            // wall clock (tests set it)
  virtual http::Client& http() = 0;              // shared by all scalers of the process
};

// Takes pushed readings. Thread-safe; outlives the Subscription it was given for.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Push(Reading reading) = 0;
};
// Pushes until it is destroyed; the destructor returns when no further Push can begin.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class Scaler {
 public:
  virtual ~Scaler() = default;
  // The text of manifest.textproto: which trigger types this scaler reads.
  virtual std::string_view manifest() const = 0;
  // Parses a trigger; never talks to the source. The parameters have been checked against the
  // manifest. Errors: BadParameter(name, ...), which names the field.
  virtual absl::StatusOr<std::unique_ptr<Trigger>> Open(const Parameters& parameters) = 0;
  // One reading per trigger, in the same order. All triggers are of this scaler and of one
  // source_key: one request may answer many. Returns by the context's deadline: what comes later is
  // not waited for, and the thread counts against the key until it returns.
  virtual std::vector<Reading> Read(std::span<const Trigger* const> triggers,
                                    ReadContext& context) = 0;
  // Optional; called for types whose manifest says `pushes: true`. nullptr means that this trigger
  // is only polled.
  virtual std::unique_ptr<Subscription> Watch(const Trigger& trigger, Sink& sink);
};

// Opens a trigger as a server does: finds its type in the scaler's manifest, checks the parameters
// against it, then calls Open. `errors` gets one entry per bad parameter (one with an empty name
// when it is of no single one); nullptr means there are some.
std::unique_ptr<Trigger> OpenTrigger(Scaler& scaler, const catalog::TriggerType& type,
                                     const TriggerRequest& request,
                                     std::vector<catalog::FieldError>& errors);

// Metric names by KEDA's rule: each of / . : % ( ) becomes "-".
std::string NormalizeName(std::string_view name);
// A target as KEDA gives it to the HPA: printed with three decimals and read as a quantity, so
// that 0.0005 is one thousandth and what is negative or not finite is 0. Thousandths.
int64_t TargetMilli(double amount);
// An integer target, which KEDA prints as it is. Thousandths.
int64_t IntTargetMilli(int64_t amount);
// The target of a trigger's only kind of metric: `metricType` Value or AverageValue (the default).
// Errors: BadParameter for Utilization, which external metrics do not have.
absl::StatusOr<Target> ExternalTarget(const Parameters& parameters, int64_t milli);

// Serves scalers until SIGTERM or SIGINT; returns the process's exit code. `--help` lists flags.
int Serve(std::vector<std::unique_ptr<Scaler>> scalers, int argc, char** argv);

}  // namespace neap::sdk
