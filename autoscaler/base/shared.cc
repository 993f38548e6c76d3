#include "autoscaler/base/shared.h"

#include <new>

namespace neap::base {

SharedText::Block* SharedText::Make(std::string_view text) {
  if (text.empty()) return nullptr;
  const size_t size = text.size();
  const size_t before = size < kLong ? 1 : 1 + sizeof(size);
  auto* block = new (::operator new(sizeof(Block) + before + size)) Block;
  char* at = TextOf(block);
  *at = static_cast<char>(size < kLong ? size : kLong);
  if (size >= kLong) std::memcpy(at + 1, &size, sizeof(size));
  std::memcpy(at + before, text.data(), size);
  return block;
}

}  // namespace neap::base
