#include "autoscaler/base/file.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::base {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return NotFound("{}: cannot be read", path);
  return std::move(text).str();
}

}  // namespace neap::base
