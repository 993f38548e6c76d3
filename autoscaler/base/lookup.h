// Lookup<K, V>: a hash map that cannot be iterated, so that no result can depend on hash order.
// Keep what must be walked in a vector or a std::map beside it. One thread only. Pointers to values
// stay valid until that key is erased.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace neap::base {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

template <typename K, typename V, typename Hash = std::hash<K>, typename Equal = std::equal_to<>>
class Lookup {
 public:
  // The value of `key`, or nullptr. `key` may be anything the hash accepts.
  template <typename Q>
  V* Find(const Q& key) {
    auto at = map_.find(key);
    return at == map_.end() ? nullptr : &at->second;
  }
  template <typename Q>
  const V* Find(const Q& key) const {
    auto at = map_.find(key);
    return at == map_.end() ? nullptr : &at->second;
  }
  template <typename Q>
  bool Contains(const Q& key) const {
    return map_.find(key) != map_.end();
  }
  // The value of `key`, default-made when new.
  V& operator[](K key) { return map_[std::move(key)]; }
  // False (and no change) when `key` is there already.
  bool Insert(K key, V value) { return map_.try_emplace(std::move(key), std::move(value)).second; }
  template <typename Q>
  bool Erase(const Q& key) {
    auto at = map_.find(key);
    if (at == map_.end()) return false;
    map_.erase(at);
    return true;
  }
  void Clear() { map_.clear(); }
  void Reserve(std::size_t n) { map_.reserve(n); }
  std::size_t size() const { return map_.size(); }
  bool empty() const { return map_.empty(); }

 private:
  std::unordered_map<K, V, Hash, Equal> map_;
};

template <typename V>
using StringLookup = Lookup<std::string, V, StringHash, std::equal_to<>>;

// InOrder<T>: for things that are looked up in nearly the same order round after round: whatever
// followed the last time is looked at first, which saves most hashes and their cache misses. T has
// a member `follower`. Forget() when a T that was found has died.
template <typename T>
struct Follower {
  T* next = nullptr;
  std::size_t epoch = 0;
};
template <typename T>
class InOrder {
 public:
  // What followed the last one, if `matches(it)`, else `find()`: a T* or nullptr.
  template <typename Matches, typename Find>
  T* Get(Matches matches, Find find) {
    T* found = last_ != nullptr && last_->follower.epoch == epoch_ ? last_->follower.next : nullptr;
    if (found == nullptr || !matches(*found)) {
      found = find();
      if (found == nullptr) return nullptr;
      if (last_ != nullptr) last_->follower = {.next = found, .epoch = epoch_};
    }
    last_ = found;
    return found;
  }
  void Forget() {
    last_ = nullptr;
    ++epoch_;
  }

 private:
  T* last_ = nullptr;
  std::size_t epoch_ = 1;
};

}  // namespace neap::base
