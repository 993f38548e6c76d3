// Core's value types <-> the messages of neap.record.v1, one pair of functions per type. Pure
// functions; used by the journal (through changes.h), replay and whoever shows a record as a
// message. The same value gives the same bytes (Serialised).
//
// What is not kept: the metadata of triggers, fractions of a nanosecond, and the fields of a pod
// sample that is not present. Decode checks enums, so that a record of a newer version is an
// error that names the field, never a wrong value.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "autoscaler/control/messages.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/record/owned_observation.h"
#include "neap/record/v1/record.pb.h"

namespace neap::record {

void Encode(const core::HpaOptions& options, v1::HpaOptions* out);
absl::Status Decode(const v1::HpaOptions& in, core::HpaOptions* options);

void Encode(const core::AutoscalerSpec& spec, v1::AutoscalerSpec* out);
absl::Status Decode(const v1::AutoscalerSpec& in, core::AutoscalerSpec* spec);

void Encode(const core::MetricSpec& metric, v1::MetricSpec* out);
absl::Status Decode(const v1::MetricSpec& in, core::MetricSpec* metric);
void Encode(const core::MetricTarget& target, v1::MetricTarget* out);
absl::Status Decode(const v1::MetricTarget& in, core::MetricTarget* target);
void Encode(const core::ObjectReference& reference, v1::ObjectReference* out);
absl::Status Decode(const v1::ObjectReference& in, core::ObjectReference* reference);
void Encode(const base::LabelSelector& selector, v1::LabelSelector* out);
absl::Status Decode(const v1::LabelSelector& in, base::LabelSelector* selector);

void Encode(const core::Scale& scale, v1::Scale* out);
absl::Status Decode(const v1::Scale& in, core::Scale* scale);
void Encode(const core::Pod& pod, v1::Pod* out);
absl::Status Decode(const v1::Pod& in, core::Pod* pod);
void Encode(const core::PodRequests& requests, v1::PodRequests* out);
absl::Status Decode(const v1::PodRequests& in, core::PodRequests* requests);
void Encode(const core::ReadingError& error, v1::ReadingError* out);
absl::Status Decode(const v1::ReadingError& in, core::ReadingError* error);
// Times of a reading are kept as ages at `now`.
void Encode(const core::Reading& reading, absl::Time now, v1::Reading* out);
absl::Status Decode(const v1::Reading& in, absl::Time now, core::Reading* reading);
void Encode(const OwnedObservation::Metric& metric, v1::MetricInput* out);
absl::Status Decode(const v1::MetricInput& in, OwnedObservation::Metric* metric);

void Encode(const core::Recommendation& recommendation, v1::Recommendation* out);
absl::Status Decode(const v1::Recommendation& in, core::Recommendation* recommendation);
void Encode(const core::ScaleEvent& event, v1::ScaleEvent* out);
absl::Status Decode(const v1::ScaleEvent& in, core::ScaleEvent* event);
void Encode(const core::CrashLoop& loop, v1::CrashLoop* out);
absl::Status Decode(const v1::CrashLoop& in, core::CrashLoop* loop);
void Encode(const core::Base& base, v1::Base* out);
absl::Status Decode(const v1::Base& in, core::Base* base);

void Encode(const control::KeptHistory& kept, v1::KeptHistory* out);
absl::Status Decode(const v1::KeptHistory& in, control::KeptHistory* kept);
// As bytes, for those who know no protobuf. Errors: InvalidArgument.
std::string Encoded(const control::KeptHistory& kept);
absl::StatusOr<control::KeptHistory> DecodedHistory(std::string_view bytes);

void Encode(const core::Condition& condition, v1::Condition* out);
absl::Status Decode(const v1::Condition& in, core::Condition* condition);
void Encode(const core::MetricStatus& metric, v1::MetricStatus* out);
absl::Status Decode(const v1::MetricStatus& in, core::MetricStatus* metric);
void Encode(const core::Event& event, v1::Event* out);
absl::Status Decode(const v1::Event& in, core::Event* event);
void Encode(const core::ApplyResult& result, v1::ApplyResult* out);
absl::Status Decode(const v1::ApplyResult& in, core::ApplyResult* result);

void Encode(const core::Decision& decision, v1::Decision* out);
absl::Status Decode(const v1::Decision& in, core::Decision* decision);
v1::Cause Encode(control::Cause cause);
absl::Status Decode(v1::Cause in, control::Cause* cause);

// The one encoding of a message: fields in order, no unordered parts.
std::string Serialised(const google::protobuf::MessageLite& message);

}  // namespace neap::record
