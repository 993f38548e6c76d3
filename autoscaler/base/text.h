// Text: an immutable string that many objects have alike (reasons, words of a condition, kinds,
// names, uids): equal ones are stored once in the process, and a Text is one pointer to it. It is
// made with a look into a table under a mutex (about 0.1 us), and copied and compared with another
// without: not for texts that change all the time. Converts to std::string (a copy) and
// std::string_view. A value; different Texts may be used by different threads.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace neap::base {

class Text {
 public:
  Text() = default;  // ""
  Text(std::string_view text) : entry_(Take(text)) {}
  Text(const std::string& text) : Text(std::string_view(text)) {}
  Text(const char* text) : Text(std::string_view(text)) {}
  Text(const Text& other) : entry_(other.entry_) {
    if (entry_ != nullptr) entry_->uses.fetch_add(1, std::memory_order_relaxed);
  }
  Text(Text&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  Text& operator=(Text other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~Text() {
    if (entry_ != nullptr) Leave(entry_);
  }

  std::string_view view() const { return entry_ == nullptr ? std::string_view() : entry_->text(); }
  std::string str() const { return std::string(view()); }
  operator std::string_view() const { return view(); }
  operator std::string() const { return str(); }
  bool empty() const { return entry_ == nullptr; }
  size_t size() const { return view().size(); }
  bool starts_with(std::string_view prefix) const { return view().starts_with(prefix); }
  void clear() { *this = Text(); }

  // How many texts there are in the process, "" not counted.
  static size_t count();

  friend bool operator==(const Text& a, const Text& b) { return a.entry_ == b.entry_; }
  friend std::strong_ordering operator<=>(const Text& a, const Text& b) {
    return a.entry_ == b.entry_ ? std::strong_ordering::equal : a.view() <=> b.view();
  }
  template <typename S>
    requires(std::convertible_to<const S&, std::string_view> && !std::same_as<S, Text>)
  friend bool operator==(const Text& a, const S& b) {
    return a.view() == std::string_view(b);
  }
  friend std::string operator+(const Text& a, std::string_view b) { return a.str().append(b); }
  friend std::string operator+(std::string_view a, const Text& b) {
    return std::string(a).append(b.view());
  }
  friend std::ostream& operator<<(std::ostream& out, const Text& text) {
    return out << text.view();
  }

 private:
  struct Entry {  // the text follows
    explicit Entry(uint32_t s) : size(s) {}
    std::string_view text() const { return {reinterpret_cast<const char*>(this + 1), size}; }
    std::atomic<uint32_t> uses = 1;  // only under the table's mutex from or to 0
    const uint32_t size;
  };
  struct Table;
  static Table& TheTable();
  static Entry* Take(std::string_view text);
  static void Leave(Entry* entry);

  Entry* entry_ = nullptr;  // null: ""
};

}  // namespace neap::base

template <>
struct fmt::formatter<neap::base::Text> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const neap::base::Text& text, Context& context) const {
    return fmt::formatter<std::string_view>::format(text.view(), context);
  }
};
