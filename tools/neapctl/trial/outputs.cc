#include "tools/neapctl/trial/outputs.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "autoscaler/base/status.h"
#include "tools/neapctl/output.h"

namespace neap::ctl {

absl::Status WriteFile(const std::string& path, std::string_view text) {
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out) return base::Unavailable("{}: {}", path, std::strerror(errno));
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return base::Unavailable("{}: {}", path, error.message());
  return absl::OkStatus();
}

std::string FileName(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c == '/' || c == ' ' || c == '\\') c = '-';
  }
  return out;
}

int FailTrial(const absl::Status& status) {
  const bool places = status.code() == absl::StatusCode::kInvalidArgument ||
                      status.code() == absl::StatusCode::kUnimplemented;
  if (places) {  // file:line: field: message, or --flag: message, perhaps several
    fmt::print(stderr, "{}\n", base::Message(status));
  } else {
    PrintError(base::Message(status));
  }
  return kFailed;
}

}  // namespace neap::ctl
