// Control's words and the contract's: the triggers that are sent, the errors that come back. Pure
// functions, thread-safe.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

#include "autoscaler/control/messages.h"
#include "autoscaler/core/observation.h"
#include "neap/scaler/v1/scaler.pb.h"

namespace neap::scalerhost {

namespace pb = ::neap::scaler::v1;

pb::Trigger ToWire(const control::Subscription& subscription);

// Of a call that failed: Unavailable, DeadlineExceeded, PermissionDenied, ... by their codes.
core::ReadingError ErrorOf(const absl::Status& status);
// Of a scaler. A kind that this release does not know is kInternal; the fields' messages are added
// to the message, which is cut and cleaned of control characters.
core::ReadingError ErrorOf(const pb::Error& error);

// Whether its metrics' targets stand in the object (hpa-resource and its like).
bool IsHpaType(std::string_view type);
// Whether its readings are per-pod values.
bool IsPodType(std::string_view type);

// What a scaler wrote, fit for a condition or a log line: at most 1,000 bytes, no control
// characters.
std::string CleanText(std::string_view text);

}  // namespace neap::scalerhost
