// Tables: how kubectl shows objects: columns with a cell per object, asked for by the media type
// "application/json;as=Table;v=v1;g=meta.k8s.io". Used by Api for lists, objects and watches; pure
// functions.
#pragma once

#include <absl/time/time.h>

#include <span>
#include <string>
#include <string_view>

#include "autoscaler/playground/store.h"

namespace neap::playground {

// How a client wants to see objects.
struct View {
  bool table = false;
  enum class Include { kMetadata, kObject, kNone } include = Include::kMetadata;
};
// From the Accept header and the parameter includeObject.
View ViewOf(std::string_view accept, std::string_view include_object);

// A Table object. `list_metadata` is the JSON of its metadata. Without `columns` their definitions
// are left out, as in all events of a watch but the first.
std::string TableText(const Kind& kind, std::span<const ObjectPtr> objects,
                      std::string_view list_metadata, const View& view, bool columns,
                      absl::Time now);

// "5d3h", "2m10s": how long ago, as kubectl writes ages.
std::string AgeText(absl::Duration age);

}  // namespace neap::playground
