// Which shard a target belongs to. Every neapd of an installation must agree on it, also while one
// build replaces another: this function never changes. A pure function.
#pragma once

#include <cstdint>
#include <string_view>

namespace neap::control {

// FNV-1a (64 bits, offset basis 14695981039346656037, prime 1099511628211) of the object's uid,
// modulo the number of shards, > 0.
constexpr int ShardOf(std::string_view uid, int shards) {
  uint64_t hash = 14695981039346656037U;
  for (const char c : uid) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211U;
  }
  return static_cast<int>(hash % static_cast<uint64_t>(shards));
}

}  // namespace neap::control
