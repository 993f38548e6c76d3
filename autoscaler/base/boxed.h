// Boxed<T>: what std::optional<T> is, kept on the heap: eight bytes where there is none, and copies
// share one value until one of them is changed (access through a Boxed that is not const counts as
// a change). For large parts of many objects which few have, or which many have alike. A value;
// equal when the values are. Copies may be used by different threads.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "autoscaler/base/shared.h"

namespace neap::base {

template <typename T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(std::nullopt_t) {}
  template <typename U = T>
    requires(std::constructible_from<T, U &&> && !std::same_as<std::remove_cvref_t<U>, Boxed> &&
             !std::same_as<std::remove_cvref_t<U>, std::optional<T>> &&
             !std::same_as<std::remove_cvref_t<U>, std::nullopt_t>)
  Boxed(U&& value) {
    emplace(std::forward<U>(value));
  }
  Boxed(std::optional<T> value) {
    if (value) emplace(*std::move(value));
  }

  bool has_value() const { return holder_.get() != nullptr; }
  explicit operator bool() const { return has_value(); }
  const T& operator*() const& { return holder_.get()->value; }
  T& operator*() & { return Own(); }
  T operator*() && { return std::move(Own()); }
  const T* operator->() const { return get(); }
  T* operator->() { return &Own(); }
  // Null: there is none.
  const T* get() const { return has_value() ? &holder_.get()->value : nullptr; }
  template <typename... A>
  T& emplace(A&&... arguments) {
    holder_ = Holder<Counted<T>>(new Counted<T>{.value = T(std::forward<A>(arguments)...)});
    return holder_.get()->value;
  }
  void reset() { holder_ = Holder<Counted<T>>(); }

  friend bool operator==(const Boxed& a, const Boxed& b) {
    if (a.get() == b.get()) return true;
    return a.has_value() && b.has_value() && *a == *b;
  }
  friend bool operator==(const Boxed& a, std::nullopt_t) { return !a.has_value(); }
  template <typename U>
    requires(std::same_as<U, T>)
  friend bool operator==(const Boxed& a, const U& b) {
    return a.has_value() && *a == b;
  }

 private:
  T& Own() {
    if (!holder_.alone()) emplace(std::as_const(holder_.get()->value));
    return holder_.get()->value;
  }

  Holder<Counted<T>> holder_;
};

}  // namespace neap::base
