#include "tools/neapctl/manifests.h"

#include <algorithm>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"

namespace neap::ctl {
namespace {

std::vector<catalog::TriggerType> ParseAll() {
  std::vector<catalog::TriggerType> out;
  for (const auto& [id, text] : EmbeddedManifests()) {
    auto types = catalog::ParseManifest(text, id);
    NEAP_CHECK(types.ok(), "embedded manifest: {}", base::Message(types.status()));
    out.insert(out.end(), types->begin(), types->end());
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.type < b.type; });
  return out;
}

}  // namespace

const std::vector<catalog::TriggerType>& TriggerTypes() {
  static const std::vector<catalog::TriggerType> types = ParseAll();
  return types;
}

const catalog::TriggerType* FindTriggerType(std::string_view name) {
  for (const catalog::TriggerType& type : TriggerTypes()) {
    if (type.type == name) return &type;
  }
  return nullptr;
}

std::vector<std::string> TriggerTypeNames() {
  std::vector<std::string> out;
  for (const catalog::TriggerType& type : TriggerTypes()) out.push_back(type.type);
  return out;
}

}  // namespace neap::ctl
