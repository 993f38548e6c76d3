// Page: one self-contained HTML file: a frame with our style in light and dark, the plots of
// plots.js over uPlot, the data they show, and a policy under which a browser runs nothing else and
// fetches nothing. Used by reports and by pages that a server shows. Pure functions; thread-safe.
//
// What a page's script finds: `neap.data` (the parsed data), `neap.format` (format.js: numbers with
// units, times), `neap.plots` and `neap.scatter` (plots.js).
#pragma once

#include <string>
#include <string_view>

namespace neap::web {

struct Page {
  std::string title = {};           // plain text
  std::string body = {};            // HTML; what comes from users went through EscapeHtml
  std::string data = {};            // JSON; plain, escaped here. "" = null
  std::string_view script = {};     // JavaScript of ours, run when the body is there
  std::string_view style = {};      // CSS of ours, after the frame's
  std::string without_script = {};  // plain text for browsers that run no scripts
};

std::string RenderPage(const Page& page);

// For element content and quoted attributes: & < > " '.
std::string EscapeHtml(std::string_view text);

// JSON that may stand in a <script> element: < > & and the line separators U+2028, U+2029 as \u
// escapes (in JSON they occur in strings alone).
std::string EscapeJsonForScript(std::string_view json);

}  // namespace neap::web
