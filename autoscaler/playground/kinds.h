// The kinds of objects that the playground serves, as one table: discovery, routing and the store
// read it. The metrics APIs hold no objects and are not in it. Constants; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace neap::playground {

// Positions in Kinds().
enum class KindId : uint8_t {
  kNamespace,
  kPod,
  kEvent,
  kDeployment,
  kReplicaSet,
  kStatefulSet,
  kAutoscaler,
  kHpa,  // stored and served; nobody in here acts on one
  kConfigMap,
  kLease
};
inline constexpr size_t kKindCount = 10;

struct Kind {
  KindId id;
  std::string_view group;  // "" = core
  std::string_view version;
  std::string_view plural;
  std::string_view singular;
  std::string_view kind;
  std::string_view short_name;  // "" = none
  bool namespaced;
  bool all;       // in kubectl's category "all"
  bool writable;  // created, replaced, patched and deleted through the API
  bool status;    // has the subresource status; then writes elsewhere leave the status alone
  bool scale;     // has the subresource scale
  bool custom;    // served as a custom resource: items of lists carry apiVersion and kind
  std::vector<std::string_view> verbs;

  std::string ApiVersion() const;  // "v1", "apps/v1"
  std::string Resource() const;    // "pods", "deployments.apps": as errors name it
};

std::span<const Kind> Kinds();
const Kind& KindOf(KindId id);
// Nullptr when there is none.
const Kind* FindKind(std::string_view group, std::string_view version, std::string_view plural);

// Documents of discovery. "" when the group or version is not served. `custom_metrics` and
// `external_metrics` are names as they stand in resource lists ("pods/hits").
std::string VersionDocument();                      // /version
std::string CoreVersionsDocument();                 // /api
std::string GroupsDocument();                       // /apis
std::string GroupDocument(std::string_view group);  // /apis/{group}
std::string ResourcesDocument(std::string_view group, std::string_view version,
                              const std::vector<std::string>& metrics);

}  // namespace neap::playground
