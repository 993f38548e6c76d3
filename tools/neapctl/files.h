// Files that the user named: their text, and the objects in them with everything that is wrong with
// them. Used by the commands that take files. One thread.
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

// The one Autoscaler or HorizontalPodAutoscaler of a file, whole and valid; documents of other
// kinds beside it are passed over. Errors: every problem as file:line: field: message; none or
// several objects, naming what else the file has.
absl::StatusOr<kube::objects::Decoded> ReadObject(const std::string& path,
                                                  const kube::objects::DecodeOptions& options);

}  // namespace neap::ctl
