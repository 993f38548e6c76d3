#include "autoscaler/web/page.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "autoscaler/base/check.h"

// Made from the files beside this one and from third_party/uplot by CMake.
extern const char neap_web_uplot_js[];
extern const char neap_web_uplot_css[];
extern const char neap_web_page_css[];
extern const char neap_web_format_js[];
extern const char neap_web_plots_js[];

namespace neap::web {
namespace {

// A source of a Content-Security-Policy: exactly this text may run, or style.
std::string HashSource(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  NEAP_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1,
             "SHA-256 failed");
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return fmt::format("'sha256-{}'",
                     std::string_view(reinterpret_cast<const char*>(base64.data()), length));
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string EscapeJsonForScript(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = json.substr(i, 3);
    if (rest == "\xe2\x80\xa8" || rest == "\xe2\x80\xa9") {
      out += rest[2] == '\xa8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (json[i] == '<' || json[i] == '>' || json[i] == '&') {
      out += fmt::format("\\u{:04x}", static_cast<int>(json[i]));
    } else {
      out += json[i];
    }
  }
  return out;
}

std::string RenderPage(const Page& page) {
  const std::string style =
      fmt::format("\n{}\n{}\n{}", neap_web_uplot_css, neap_web_page_css, page.style);
  const std::string uplot = fmt::format("\n{}\n", neap_web_uplot_js);
  const std::string script =
      fmt::format("\n{}\n{}\n{}", neap_web_format_js, neap_web_plots_js, page.script);
  // Hashes, not a nonce: the file is the same each time it is read, so a nonce would be no secret.
  const std::string policy = fmt::format(
      "default-src 'none'; script-src {} {}; style-src {}; img-src data:; base-uri 'none'; "
      "form-action 'none'",
      HashSource(uplot), HashSource(script), HashSource(style));
  std::string fallback;
  if (!page.without_script.empty()) {
    fallback = fmt::format("<noscript><pre>{}</pre></noscript>\n", EscapeHtml(page.without_script));
  }
  return fmt::format(
      "<!DOCTYPE html>\n"
      "<html lang=\"en\">\n"
      "<head>\n"
      "<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{}</title>\n"
      "<style>{}</style>\n"
      "</head>\n"
      "<body>\n"
      "{}{}"
      "<script type=\"application/json\" id=\"data\">{}</script>\n"
      "<script>{}</script>\n"
      "<script>{}</script>\n"
      "</body>\n"
      "</html>\n",
      policy, EscapeHtml(page.title), style, fallback, page.body,
      page.data.empty() ? "null" : EscapeJsonForScript(page.data), uplot, script);
}

}  // namespace neap::web
