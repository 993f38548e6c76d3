#include "autoscaler/web/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>

namespace neap::web {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What stands between `open` and the next `close` after `from`.
std::string Between(const std::string& text, std::string_view open, std::string_view close,
                    size_t from = 0) {
  const size_t begin = text.find(open, from) + open.size();
  return text.substr(begin, text.find(close, begin) - begin);
}

std::string Sha256(const std::string& text) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  std::array<unsigned char, 64> base64{};
  EVP_EncodeBlock(base64.data(), digest.data(), digest.size());
  return reinterpret_cast<const char*>(base64.data());
}

TEST(Page, EscapesTextForElementsAndAttributes) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\" title='y'>&</a>é"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;&lt;/a&gt;é");
}

TEST(Page, JsonInAScriptCanNotEndIt) {
  EXPECT_EQ(EscapeJsonForScript(R"({"a":"</script><!-- & é"})"),
            R"({"a":"\u003c/script\u003e\u003c!-- \u0026 é"})");
  EXPECT_EQ(EscapeJsonForScript("\"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xa7\""),
            "\"\\u2028\\u2029\xe2\x80\xa7\"");
}

TEST(Page, TitleDataAndFallbackAreEscaped) {
  const std::string html = RenderPage({.title = "</title><b>",
                                       .body = "<main></main>",
                                       .data = R"("</script><b>")",
                                       .script = "start();",
                                       .style = "main{}",
                                       .without_script = "</pre><b>"});
  EXPECT_THAT(html, HasSubstr("<title>&lt;/title&gt;&lt;b&gt;</title>"));
  EXPECT_THAT(html, HasSubstr("<noscript><pre>&lt;/pre&gt;&lt;b&gt;</pre></noscript>"));
  EXPECT_THAT(html, Not(HasSubstr("<b>")));
  EXPECT_THAT(html, HasSubstr("<main></main>"));
}

TEST(Page, PolicyAllowsItsOwnScriptsAndStyleAndNothingElse) {
  const std::string html = RenderPage({.title = "t", .script = "start();", .style = "main{}"});
  const std::string policy =
      Between(html, "<meta http-equiv=\"Content-Security-Policy\" content=\"", "\">");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_THAT(policy, Not(HasSubstr("http")));
  EXPECT_THAT(policy, HasSubstr(Sha256(Between(html, "<style>", "</style>"))));
  size_t at = html.find("<script>");
  int scripts = 0;
  for (; at != std::string::npos; at = html.find("<script>", at + 1), ++scripts) {
    EXPECT_THAT(policy, HasSubstr(Sha256(Between(html, "<script>", "</script>", at))));
  }
  EXPECT_EQ(scripts, 2);  // uPlot, ours
  EXPECT_THAT(Between(html, "<style>", "</style>"), HasSubstr("main{}"));
}

TEST(Page, NamesNoAddressThatABrowserWouldFetch) {
  const std::string html = RenderPage({.title = "t"});
  EXPECT_THAT(html, Not(HasSubstr("src=\"")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_THAT(html, HasSubstr("<script type=\"application/json\" id=\"data\">null</script>"));
}

}  // namespace
}  // namespace neap::web
