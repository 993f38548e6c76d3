// Discovery: from group and kind to the resource that serves it, as the HPA's REST mapper does: the
// version part of a reference does not matter, the group's preferred version comes first. Answers
// are cached; what was not found is asked for again sooner, since a CRD may have been added. Owned
// by app; borrows the api::Client. Thread-safe; callbacks run on the http::Client's thread, never
// inside Find.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "autoscaler/kube/api/client.h"

namespace neap::kube::api {

struct Resource {
  std::string group;    // "" = core
  std::string version;  // to be used in paths
  std::string plural;   // "deployments"
  std::string kind;     // "Deployment"
  bool namespaced = false;
  bool has_scale = false;   // has the subresource scale
  bool has_status = false;  // has the subresource status
  bool operator==(const Resource&) const = default;
};

struct DiscoveryOptions {
  absl::Duration keep = absl::Minutes(10);          // what was found
  absl::Duration keep_missing = absl::Seconds(30);  // groups and kinds that were not there
};

class Discovery {
 public:
  using Callback = std::function<void(absl::StatusOr<Resource>)>;

  explicit Discovery(Client& client, DiscoveryOptions options = {});
  ~Discovery();  // callbacks that have not run are dropped

  // `kind` as written in objects; its lower-case form is known, too. Errors: NotFound with
  // upstream's words (no matches for kind "X" in group "g"), or those of the requests.
  void Find(std::string group, std::string kind, Callback done);

  // Asks the server again at the next Find in that group.
  void Forget(std::string group);

 private:
  class Cache;
  Client& client_;
  const std::shared_ptr<Cache> cache_;
};

}  // namespace neap::kube::api
