#include "tools/neapctl/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "autoscaler/base/status.h"
#include "tools/neapctl/manifests.h"

namespace neap::ctl {

namespace objects = kube::objects;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::NotFound("{}: {}", path, std::strerror(errno));
  file.peek();  // a directory opens, but can't be read
  if (file.bad()) return base::NotFound("{}: {}", path, std::strerror(errno));
  file.clear();
  text << file.rdbuf();
  return text.str();
}

kube::objects::DecodeOptions StrictOptions() {
  kube::objects::DecodeOptions options;
  options.unknown_fields_are_errors = true;
  options.find_type = FindTriggerType;
  options.known_types = TriggerTypeNames();
  return options;
}

absl::StatusOr<std::vector<value::Value>> ReadDocuments(const std::string& path) {
  NEAP_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return value::ParseDocuments(text, path);
}

absl::StatusOr<objects::Decoded> ReadObject(const std::string& path,
                                            const objects::DecodeOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const std::vector<value::Value> documents, ReadDocuments(path));
  std::optional<objects::Decoded> found;
  std::string others;
  for (const value::Value* document : objects::Flatten(documents)) {
    NEAP_ASSIGN_OR_RETURN(const auto kind, objects::KindOf(*document));
    if (!kind) {
      const value::Value* name = document->Find("kind");
      others += (others.empty() ? "; it has " : ", ") +
                (name == nullptr ? std::string("a document without kind") : name->text());
      continue;
    }
    if (found) {
      return base::InvalidArgument("{}:{}: a second object: one is wanted", path, document->line());
    }
    found = objects::DecodeDocument(*document, options);
  }
  if (!found) {
    return base::InvalidArgument("{}: no Autoscaler or HorizontalPodAutoscaler in this file{}",
                                 path, others);
  }
  if (!found->errors.empty()) {
    return base::InvalidArgument("{}", objects::Text(found->errors, path));
  }
  return *std::move(found);
}

}  // namespace neap::ctl
