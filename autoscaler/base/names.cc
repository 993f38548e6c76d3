#include "autoscaler/base/names.h"

namespace neap::base {

bool IsDnsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  char before = '.';
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!letter && c != '-' && c != '.') return false;
    if ((c == '.' || c == '-') && before == '.') return false;
    if (c == '.' && before == '-') return false;
    before = c;
  }
  return before != '.' && before != '-';
}

bool IsDnsLabel(std::string_view text) {
  return text.size() <= 63 && text.find('.') == std::string_view::npos && IsDnsSubdomain(text);
}

}  // namespace neap::base
