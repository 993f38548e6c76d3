// The SDK's values and the contract's messages, one into the other. Messages are only declared
// here: the headers of the SDK see no protobuf. Pure functions.
#pragma once

#include "autoscaler/catalog/catalog.h"
#include "scalers/sdk/outbox.h"
#include "scalers/sdk/scaler.h"

namespace neap::scaler::v1 {
class Error;
class MetricSpec;
class Reading;
class Trigger;
class TriggerStatus;
class TriggerType;
}  // namespace neap::scaler::v1

namespace neap::sdk {

namespace pb = ::neap::scaler::v1;

TriggerRequest FromWire(const pb::Trigger& trigger);

// Each fills an empty message. Texts are cut to what a message can hold and a person reads.
void ToWire(const catalog::TriggerType& type, pb::TriggerType& to);
void ToWire(const MetricSpec& metric, pb::MetricSpec& to);
void ToWire(const Error& error, pb::Error& to);
void ToWire(const Refusal& refusal, pb::Error& to);
void ToWire(const TriggerState& state, pb::TriggerStatus& to);
// Ages grow by the time since `taken_at`. A reading that is too large for one message becomes an
// error.
void ToWire(const StampedReading& reading, pb::Reading& to);

}  // namespace neap::sdk
