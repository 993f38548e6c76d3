#include "autoscaler/base/label_set.h"

#include <algorithm>
#include <limits>
#include <new>
#include <vector>

#include "autoscaler/base/check.h"

namespace neap::base {
namespace {

void AppendNumber(uint64_t number, std::string* out) {
  for (; number >= 0x80; number >>= 7) out->push_back(static_cast<char>(number | 0x80));
  out->push_back(static_cast<char>(number));
}

}  // namespace

LabelSet::LabelSet(const Labels& labels) {
  std::vector<Label> all(labels.begin(), labels.end());
  std::string keys;
  std::string values;
  Encode(all, &keys, &values);
  if (!all.empty()) holder_ = Holder<Block>(Make(keys, values));
}

LabelSet LabelSet::Of(const SharedText& keys, std::string_view values) {
  LabelSet set;
  if (!keys.empty()) set.holder_ = Holder<Block>(Make(keys, values));
  return set;
}

LabelSet::Block* LabelSet::Make(const SharedText& keys, std::string_view values) {
  // Four gigabytes of labels: the API's objects end at a few megabytes.
  NEAP_CHECK(values.size() <= std::numeric_limits<uint32_t>::max(), "labels of {} bytes",
             values.size());
  auto* block = new (::operator new(sizeof(Block) + values.size()))
      Block{.size = static_cast<uint32_t>(values.size()), .keys = keys};
  std::copy(values.begin(), values.end(), reinterpret_cast<char*>(block) + sizeof(Block));
  return block;
}

void LabelSet::Encode(std::span<Label> labels, std::string* keys, std::string* values) {
  const auto by_key = [](const Label& a, const Label& b) { return a.first < b.first; };
  if (!std::is_sorted(labels.begin(), labels.end(), by_key)) {
    std::stable_sort(labels.begin(), labels.end(), by_key);
  }
  uint64_t index = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto& [key, value] = labels[i];
    if (i + 1 < labels.size() && labels[i + 1].first == key) continue;
    AppendNumber(key.size(), keys);
    keys->append(key);
    // A repeated value of one byte is no longer than what would point to it.
    uint64_t repeated = index;
    if (value.size() > 1) {
      repeated = 0;
      for (size_t j = 0; j < i; ++j) {
        if (labels[j + 1].first == labels[j].first) continue;
        if (labels[j].second == value) break;
        ++repeated;
      }
    }
    if (repeated < index) {
      AppendNumber(2 * repeated + 1, values);
    } else {
      AppendNumber(2 * uint64_t{value.size()}, values);
      values->append(value);
    }
    ++index;
  }
}

std::string_view LabelSet::ValueAt(uint64_t index) const {
  std::string_view values = block()->values();
  for (;; --index) {
    const std::string_view value = TakeValue(&values);
    if (index == 0) return value;
  }
}

std::optional<std::string_view> LabelSet::Find(std::string_view key) const {
  if (empty()) return std::nullopt;
  std::string_view keys = block()->keys.view();
  for (uint64_t index = 0; !keys.empty(); ++index) {
    if (Take(&keys, TakeNumber(&keys)) == key) return ValueAt(index);
  }
  return std::nullopt;
}

}  // namespace neap::base
