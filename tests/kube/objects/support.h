// For the tests of the decoders: objects from YAML, problems as text lines.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/kube/objects/objects.h"

namespace neap::kube::objects {

inline value::Value Parse(std::string_view yaml) {
  auto documents = value::ParseYaml(yaml, "a.yaml");
  EXPECT_TRUE(documents.ok()) << documents.status() << "\n" << yaml;
  if (!documents.ok() || documents->size() != 1) return {};
  return std::move(documents->front());
}

inline std::vector<std::string> Lines(const std::vector<Problem>& problems) {
  std::vector<std::string> out;
  for (const Problem& p : problems) out.push_back(Text(p, "a.yaml"));
  return out;
}

// Every line of `text` behind `indent` blanks.
inline std::string Indent(std::string_view text, size_t indent) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out += std::string(indent, ' ') + std::string(text.substr(0, end)) + "\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace neap::kube::objects
