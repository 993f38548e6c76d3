// Files that the user named: their text, and the objects in them with everything that is wrong with
// them. Used by `validate` and `explain`. One thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::ctl {

// The whole file; "-" is standard input. Errors name the file: NotFound, or what the system says.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Decodes as Neap does files: unknown fields are errors, trigger types are those of the embedded
// manifests.
kube::objects::DecodeOptions StrictOptions();

// YAML or JSON documents of a file. Errors name file, line and column.
absl::StatusOr<std::vector<value::Value>> ReadDocuments(const std::string& path);

}  // namespace neap::ctl
