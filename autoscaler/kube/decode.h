// Decoders of the API's own kinds, keeping only the fields that decisions use: workloads as scales,
// Scale objects, pods. Errors are DataLoss: the JSON is broken or not of the API's schema. Pure
// functions over the parser's input; Interner is for one thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "autoscaler/base/selector.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/core/observation.h"
#include "autoscaler/kube/api/json.h"

namespace neap::kube {

// A Deployment, ReplicaSet or StatefulSet, as its scale subresource would show it.
struct Workload {
  std::string ns;
  std::string name;
  core::Scale scale;
};
absl::Status DecodeWorkload(api::JsonObject& object, Workload* out);

// autoscaling/v1 Scale. `where` names the answer in errors.
absl::StatusOr<core::Scale> DecodeScale(std::string_view json, std::string_view where);

// Label sets and container requests that pods share: the pods of one template are alike. Entries
// live as long as a pod uses them.
class Interner {
 public:
  std::shared_ptr<const base::Labels> Labels(base::Labels labels);
  std::shared_ptr<const core::PodRequests> Requests(core::PodRequests requests);
  size_t size() const { return labels_.size() + requests_.size(); }

 private:
  // By hash of the value: the labels of a StatefulSet's pods are each pod's own, and a text to find
  // them by would cost more than they do.
  template <typename T>
  using Table = std::unordered_multimap<size_t, std::weak_ptr<const T>>;
  template <typename T>
  std::shared_ptr<const T> Intern(Table<T>& table, size_t& sweep_at, std::string_view key, T value);

  Table<base::Labels> labels_;
  Table<core::PodRequests> requests_;
  size_t sweep_labels_at_ = 64;  // table sizes at which unused entries are looked for
  size_t sweep_requests_at_ = 64;
};

struct DecodedPod {
  std::string ns;
  control::PodState state;
  std::string
      problem;  // what in it made no sense (an amount, a time) and was left out; "" if nothing
};
absl::Status DecodePod(api::JsonObject& object, Interner& interner, DecodedPod* out);

}  // namespace neap::kube
