// LabelSet: the labels of one object, immutable and small: eight bytes a holder and one block,
// which many holders share. The keys are a text of their own, which the sets of like objects share;
// the values stand in the block, a value that repeats but once. For tables of very many objects;
// elsewhere Labels, a map, does. Holders may be on any threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "autoscaler/base/selector.h"
#include "autoscaler/base/shared.h"

namespace neap::base {

class LabelSet {
 public:
  using Label = std::pair<std::string_view, std::string_view>;

  LabelSet() = default;  // no labels
  explicit LabelSet(const Labels& labels);
  static LabelSet Of(const SharedText& keys, std::string_view values);  // what Encode wrote

  // Appends to `keys` and `values` what a set of these labels is made of; of equal keys the last
  // counts, as in a map that is assigned to. `labels` are sorted on the way. Equal labels are equal
  // texts.
  static void Encode(std::span<Label> labels, std::string* keys, std::string* values);

  std::optional<std::string_view> Find(std::string_view key) const;
  // Calls each(key, value) in the order of the keys.
  template <typename Each>
  void ForEach(Each each) const {
    if (empty()) return;
    std::string_view keys = block()->keys.view();
    std::string_view values = block()->values();
    while (!keys.empty()) {
      const std::string_view key = Take(&keys, TakeNumber(&keys));
      each(key, TakeValue(&values));
    }
  }

  bool empty() const { return holder_.get() == nullptr; }
  bool alone() const { return holder_.alone(); }  // the labels are held by this one only
  SharedText keys() const { return empty() ? SharedText() : block()->keys; }
  std::string_view values() const { return empty() ? std::string_view() : block()->values(); }

  friend bool operator==(const LabelSet& a, const LabelSet& b) {
    return a.holder_.get() == b.holder_.get() || (a.values() == b.values() && a.keys() == b.keys());
  }

 private:
  struct Block {  // followed by the values
    HolderCount holders = {};
    uint32_t size = 0;  // of the values
    SharedText keys = {};
    std::string_view values() const {
      return {reinterpret_cast<const char*>(this) + sizeof(Block), size};
    }
    static void Free(Block* block) {
      block->~Block();
      ::operator delete(block);
    }
  };
  static Block* Make(const SharedText& keys, std::string_view values);
  const Block* block() const { return holder_.get(); }

  // Keys are: size, text, size, text and so on. Of values the number before it is twice the size,
  // or one more than twice the index of the value that it repeats.
  static uint64_t TakeNumber(std::string_view* from);  // of 7 bits a byte, the low ones first
  static std::string_view Take(std::string_view* from, uint64_t size);
  std::string_view TakeValue(std::string_view* from) const;
  std::string_view ValueAt(uint64_t index) const;

  Holder<Block> holder_;
};

inline uint64_t LabelSet::TakeNumber(std::string_view* from) {
  uint64_t number = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(from->front());
    from->remove_prefix(1);
    number |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return number;
  }
}

inline std::string_view LabelSet::Take(std::string_view* from, uint64_t size) {
  const std::string_view text = from->substr(0, size);
  from->remove_prefix(size);
  return text;
}

inline std::string_view LabelSet::TakeValue(std::string_view* from) const {
  const uint64_t number = TakeNumber(from);
  return number % 2 == 0 ? Take(from, number / 2) : ValueAt(number / 2);
}

}  // namespace neap::base
