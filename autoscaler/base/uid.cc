#include "autoscaler/base/uid.h"

#include <fmt/format.h>

#include <optional>

namespace neap::base {
namespace {

constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

struct Halves {
  uint64_t high = 0;
  uint64_t low = 0;
};

// The halves of a UUID that is written as API servers write it, so that the text can be made again.
std::optional<Halves> ParseUuid(std::string_view text) {
  if (text.size() != kForm.size()) return std::nullopt;
  Halves halves;
  for (size_t i = 0; i < kForm.size(); ++i) {
    const char c = text[i];
    if (kForm[i] == '-') {
      if (c != '-') return std::nullopt;
      continue;
    }
    uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    halves.high = halves.high << 4 | halves.low >> 60;
    halves.low = halves.low << 4 | digit;
  }
  return halves;
}

const std::string* TextAt(uint64_t address) {
  return reinterpret_cast<const std::string*>(address);
}

}  // namespace

Uid::Uid(std::string_view text) {
  if (const auto uuid = ParseUuid(text); uuid && uuid->low != kText) {
    high_ = uuid->high;
    low_ = uuid->low;
  } else if (!text.empty()) {
    high_ = reinterpret_cast<uint64_t>(new std::string(text));
  }
}

Uid::Uid(const Uid& other) : high_(other.high_), low_(other.low_) {
  if (low_ == kText && high_ != 0)
    high_ = reinterpret_cast<uint64_t>(new std::string(*TextAt(high_)));
}

void Uid::DropText() {
  if (low_ == kText) delete TextAt(high_);
}

std::string_view Uid::Other() const {
  return high_ == 0 ? std::string_view() : std::string_view(*TextAt(high_));
}

std::string Uid::Text() const {
  if (low_ == kText) return std::string(Other());
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high_ >> 32, high_ >> 16 & 0xffff,
                     high_ & 0xffff, low_ >> 48, low_ & 0xffff'ffff'ffff);
}

size_t Uid::Hash() const noexcept {
  if (low_ == kText) return std::hash<std::string_view>()(Other());
  return static_cast<size_t>(high_ ^ low_ * 0x9e3779b97f4a7c15);
}

}  // namespace neap::base
