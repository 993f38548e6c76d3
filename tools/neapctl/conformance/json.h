// JSON of the controller family to core's types and back: specs, options, status. Used by the
// conformance runner and by tests that play its series another way. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "autoscaler/core/spec.h"
#include "autoscaler/core/status.h"
#include "tools/neapctl/conformance/world.h"

namespace neap::conformance {

// A series' `options`.
core::HpaOptions ReadOptions(const Json& options);

// An HPA ("spec" after the API's defaulting, "generation"), with guards None.
core::AutoscalerSpec ReadSpec(const Json& hpa);

// Status, both ways. Times in it are whole seconds, as the API stores them.
core::Status ReadStatus(const Json& json, const World& world);
Json WriteStatus(const core::Status& status, const World& world);

// Quantities are compared as numbers, nil and empty lists are equal, an absent key is null.
Json Canonical(const Json& json, const std::string& key = "");

// An absent key means null, so a null is dropped before anything is read; nulls in lists stay.
Json WithoutNulls(const Json& json);

}  // namespace neap::conformance
