#include "autoscaler/base/text.h"

#include <absl/container/flat_hash_set.h>

#include <cstring>
#include <limits>
#include <new>

#include "autoscaler/base/check.h"
#include "autoscaler/base/mutex.h"

namespace neap::base {

struct Text::Table {
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    size_t operator()(const Entry* entry) const { return (*this)(entry->text()); }
  };
  struct Equal {
    using is_transparent = void;
    static std::string_view Of(std::string_view text) { return text; }
    static std::string_view Of(const Entry* entry) { return entry->text(); }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Of(a) == Of(b);
    }
  };
  Mutex mutex;
  absl::flat_hash_set<Entry*, Hash, Equal> entries NEAP_GUARDED_BY(mutex);  // never walked
};

// Never destroyed: texts of static objects may outlive whatever else is.
Text::Table& Text::TheTable() {
  static auto* const table = new Table();
  return *table;
}

Text::Entry* Text::Take(std::string_view text) {
  if (text.empty()) return nullptr;
  Table& table = TheTable();
  MutexLock lock(table.mutex);
  if (const auto found = table.entries.find(text); found != table.entries.end()) {
    (*found)->uses.fetch_add(1, std::memory_order_relaxed);
    return *found;
  }
  NEAP_CHECK(text.size() <= std::numeric_limits<uint32_t>::max(), "a text of {} bytes",
             text.size());
  void* const memory = ::operator new(sizeof(Entry) + text.size());
  std::memcpy(static_cast<char*>(memory) + sizeof(Entry), text.data(), text.size());
  auto* const entry = new (memory) Entry(static_cast<uint32_t>(text.size()));
  table.entries.insert(entry);
  return entry;
}

void Text::Leave(Entry* entry) {
  uint32_t uses = entry->uses.load(std::memory_order_relaxed);
  while (uses > 1) {
    if (entry->uses.compare_exchange_weak(uses, uses - 1, std::memory_order_release)) return;
  }
  // Perhaps the last one: whoever finds it in the table does so under the same mutex.
  Table& table = TheTable();
  MutexLock lock(table.mutex);
  if (entry->uses.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  table.entries.erase(entry);
  entry->~Entry();
  ::operator delete(entry);
}

size_t Text::count() {
  Table& table = TheTable();
  MutexLock lock(table.mutex);
  return table.entries.size();
}

}  // namespace neap::base
