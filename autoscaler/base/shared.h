// Immutable values that many hold and that free themselves, at eight bytes a holder: Shared<T>, a
// std::shared_ptr<const T> of one pointer, and SharedText, a text with no more than five bytes
// beside it. For what there are hundreds of thousands of; elsewhere the standard's types do.
// Holders may be on any threads; one holder is for one thread at a time, like a pointer.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

namespace neap::base {

// How many hold a value; made with one holder.
class HolderCount {
 public:
  void Add() { count_.fetch_add(1, std::memory_order_relaxed); }
  // True: that was the last one, the value is to be freed.
  bool Drop() { return count_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  // Nobody but the caller, who is one of them: it stays so, since only holders make holders.
  bool one() const { return count_.load(std::memory_order_acquire) == 1; }

 private:
  std::atomic<uint32_t> count_ = 1;
};

// A pointer to a counted block; Block has `HolderCount holders` and `static void Free(Block*)`.
template <typename Block>
class Holder {
 public:
  Holder() = default;
  explicit Holder(Block* made) : block_(made) {}  // its first holder
  Holder(const Holder& other) : block_(other.block_) {
    if (block_ != nullptr) block_->holders.Add();
  }
  Holder(Holder&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Holder& operator=(Holder other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Holder() {
    if (block_ != nullptr && block_->holders.Drop()) Block::Free(block_);
  }
  Block* get() const { return block_; }
  bool alone() const { return block_ != nullptr && block_->holders.one(); }

 private:
  Block* block_ = nullptr;
};

// A block that is one value.
template <typename T>
struct Counted {
  HolderCount holders = {};
  T value;
  static void Free(Counted* counted) { delete counted; }
};

template <typename T>
class Shared {
 public:
  Shared() = default;
  Shared(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): as for a pointer
  static Shared Of(T value) {
    Shared shared;
    shared.holder_ = Holder<Counted<T>>(new Counted<T>{.value = std::move(value)});
    return shared;
  }

  const T* get() const { return holder_.get() == nullptr ? nullptr : &holder_.get()->value; }
  bool empty() const { return get() == nullptr; }
  const T& operator*() const { return *get(); }
  const T* operator->() const { return get(); }
  bool alone() const { return holder_.alone(); }  // the value is held by this one only
  // Of the place, as with pointers.
  friend bool operator==(const Shared& a, const Shared& b) { return a.get() == b.get(); }

 private:
  Holder<Counted<T>> holder_;
};

// Converts from and to the usual texts and compares as they do.
class SharedText {
 public:
  SharedText() = default;
  template <std::convertible_to<std::string_view> T>
    requires(!std::same_as<std::remove_cvref_t<T>, SharedText>)
  SharedText(const T& text)  // NOLINT(google-explicit-constructor): it stands for a std::string
      : holder_(Make(text)) {}

  std::string_view view() const {
    if (holder_.get() == nullptr) return {};
    const char* at = TextOf(holder_.get());
    size_t size = static_cast<unsigned char>(*at++);
    if (size == kLong) {
      std::memcpy(&size, at, sizeof(size));
      at += sizeof(size);
    }
    return {at, size};
  }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)
  bool empty() const { return holder_.get() == nullptr; }
  size_t size() const { return view().size(); }
  bool alone() const { return holder_.alone(); }  // the text is held by this one only
  bool same(const SharedText& other) const { return holder_.get() == other.holder_.get(); }

  template <std::convertible_to<std::string_view> T>
  friend bool operator==(const SharedText& a, const T& b) {
    if constexpr (std::same_as<T, SharedText>) {
      if (a.same(b)) return true;
    }
    return a.view() == std::string_view(b);
  }
  template <std::convertible_to<std::string_view> T>
  friend std::strong_ordering operator<=>(const SharedText& a, const T& b) {
    return a.view() <=> std::string_view(b);
  }

 private:
  // Followed by the text's size in one byte (kLong: in the eight after it) and the text.
  struct Block {
    HolderCount holders = {};
    static void Free(Block* block) {
      block->~Block();
      ::operator delete(block);
    }
  };
  static constexpr size_t kLong = 255;
  static char* TextOf(Block* block) { return reinterpret_cast<char*>(block) + sizeof(Block); }
  static Block* Make(std::string_view text);

  Holder<Block> holder_;
};

}  // namespace neap::base

template <>
struct fmt::formatter<neap::base::SharedText> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const neap::base::SharedText& text, Context& context) const {
    return fmt::formatter<std::string_view>::format(text.view(), context);
  }
};
