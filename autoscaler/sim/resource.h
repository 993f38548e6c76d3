// The API resource of a kind, as most kinds are named; pure.
#pragma once

#include <string>
#include <string_view>

#include "autoscaler/core/spec.h"

namespace neap::sim {

// Service, v1 -> "services"; Ingress, networking.k8s.io/v1 -> "ingresses.networking.k8s.io".
inline std::string ResourceOf(std::string_view kind, std::string_view api_version) {
  std::string out;
  for (char c : kind) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  out += out.ends_with("s") ? "es" : "s";
  const std::string_view group = core::GroupOf(api_version);
  if (!group.empty()) out.append(".").append(group);
  return out;
}

}  // namespace neap::sim
