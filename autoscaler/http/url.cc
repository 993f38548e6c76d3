#include <absl/strings/escaping.h>
#include <absl/strings/string_view.h>
#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/http/client.h"

namespace neap::http {
namespace {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::string_view FindHeader(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (EqualsIgnoringCase(key, name)) return value;
  }
  return {};
}

std::string_view Response::Header(std::string_view name) const { return FindHeader(headers, name); }

std::string RedactedUrl(std::string_view url) {
  std::string_view rest = url.substr(0, url.find('#'));
  const size_t query = rest.find('?');
  const bool has_query = query != std::string_view::npos;
  rest = rest.substr(0, query);
  std::string_view scheme;
  if (const size_t end = rest.find("://"); end != std::string_view::npos) {
    scheme = rest.substr(0, end + 3);
    rest.remove_prefix(end + 3);
  }
  // A user part with an unescaped slash is still no part of the host: the last @ before a plain
  // path decides, so that a password never shows.
  const size_t at =
      scheme.empty() ? std::string_view::npos : rest.substr(0, rest.find('/')).rfind('@');
  if (at != std::string_view::npos) rest.remove_prefix(at + 1);
  return fmt::format("{}{}{}", scheme, rest, has_query ? "?..." : "");
}

std::string UrlEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string QueryString(const Headers& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += '&';
    out += UrlEncode(name) + "=" + UrlEncode(value);
  }
  return out;
}

std::string BasicAuthorization(std::string_view user, std::string_view password) {
  const std::string plain = fmt::format("{}:{}", user, password);
  return "Basic " + absl::Base64Escape(absl::string_view(plain.data(), plain.size()));
}

}  // namespace neap::http
