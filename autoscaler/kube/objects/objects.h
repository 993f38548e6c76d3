// Strict decoders of the objects that users write, Autoscaler (neap.dev/v1alpha1) and
// HorizontalPodAutoscaler (autoscaling/v2), from a value tree to core::AutoscalerSpec, with the
// API's defaulting and validation. Every problem of an object is collected and names line and
// field. The same decoder serves files, answers of the API server, and tools. No I/O; pure
// functions.
//
//   NEAP_ASSIGN_OR_RETURN(auto documents, value::ParseDocuments(text, path));
//   objects::Decoded object = objects::DecodeDocument(documents[0], {.unknown_fields_are_errors =
//   true}); for (const auto& problem : object.errors) log(objects::Text(problem, path));
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/value/value.h"
#include "autoscaler/catalog/catalog.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/core/status.h"

namespace neap::kube::objects {

inline constexpr std::string_view kGroup = "neap.dev";
inline constexpr std::string_view kVersion = "v1alpha1";
inline constexpr std::string_view kPlural = "autoscalers";
inline constexpr std::string_view kHpaGroup = "autoscaling";
inline constexpr std::string_view kHpaVersion = "v2";
inline constexpr std::string_view kHpaPlural = "horizontalpodautoscalers";

struct Problem {
  int line = 0;  // 1-based; 0: unknown
  int column = 0;
  std::string path;     // "spec.metrics[0].resource.target.averageUtilization"; "" = the document
  std::string message;  // with a suggestion where there is one
  bool operator==(const Problem&) const = default;
};

// "source:line: path: message"; "source: path: message" when the line is unknown.
std::string Text(const Problem& problem, std::string_view source);
// All of them, one per line; "" when there are none.
std::string Text(const std::vector<Problem>& problems, std::string_view source);
// "path: message": for an object of the API server, whose lines nobody sees.
std::string Text(const Problem& problem);

// spec.mode. kDryRun decides and reports, but its scale is never written: whoever writes asks for
// it (core and control see `paused` alone).
enum class Mode : uint8_t { kLive, kDryRun, kPaused };
std::string_view ModeName(Mode mode);  // "Live", "DryRun", "Paused"

struct DecodeOptions {
  // True for files. The API server's objects may come from a newer release: there unknown fields
  // are warnings.
  bool unknown_fields_are_errors = true;
  // The trigger type of that name, or nullptr. Empty: types and parameters are not checked.
  std::function<const catalog::TriggerType*(std::string_view)> find_type;
  // For suggestions when find_type knows none of that name.
  std::vector<std::string> known_types;
  std::string default_namespace = "default";          // of an object that names none
  absl::Duration default_period = absl::Seconds(15);  // of an object without spec.period
  bool scale_to_zero = true;  // HPA objects: minReplicas may be 0 (gate HPAScaleToZero)
  // When set: which field names the decoder knows at each path ("spec.metrics[]"). For the test
  // that decoder and CRD schema agree.
  std::map<std::string, std::set<std::string>>* record_fields = nullptr;
};

struct Decoded {
  // What the object is, as far as it can be read, so that errors can be told to its owner.
  core::ObjectKind kind = core::ObjectKind::kAutoscaler;
  core::ObjectKey key;
  std::string uid;
  int64_t generation = 0;
  std::string resource_version;
  bool deleting = false;  // metadata.deletionTimestamp is set

  Mode mode = Mode::kLive;
  std::optional<core::AutoscalerSpec> spec;  // absent when there are errors
  core::Status status;                       // as stored; unreadable parts are left out
  // Neap's own conditions of the stored status (DryRun, Accepted), which core does not know.
  std::vector<core::Condition> own_conditions;

  std::vector<Problem> errors;
  std::vector<Problem> warnings;
};

// The kind of a document by its apiVersion and kind; nullopt for objects that are none of ours
// (a Deployment in the same file). InvalidArgument for a document that is no object, and for one of
// our groups with an unknown kind or version.
absl::StatusOr<std::optional<core::ObjectKind>> KindOf(const value::Value& document);

// An object of that kind. apiVersion and kind are checked when they are there (items of an API
// server's list lack them).
Decoded DecodeAutoscaler(const value::Value& object, const DecodeOptions& options);
Decoded DecodeHpa(const value::Value& object, const DecodeOptions& options);

// By KindOf, which must have given a kind; else the result holds its error.
Decoded DecodeDocument(const value::Value& document, const DecodeOptions& options);

// The documents themselves, and the items of those that are a v1 List or one of our lists.
std::vector<const value::Value*> Flatten(const std::vector<value::Value>& documents);

}  // namespace neap::kube::objects
