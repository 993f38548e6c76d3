#include "tools/neapctl/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "autoscaler/base/status.h"
#include "tools/neapctl/manifests.h"

namespace neap::ctl {

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

}  // namespace neap::ctl
