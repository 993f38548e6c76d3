// Where a trial's results go beside standard output: the files that --report, --csv and --json
// name. Used by simulate, compare and tune.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace neap::ctl {

// Errors: Unavailable with the file and what the system says.
absl::Status WriteFile(const std::string& path, std::string_view text);
absl::Status MakeDirectory(const std::string& path);

// "shop/checkout" as part of a file's name: "shop-checkout".
std::string FileName(std::string_view text);

// Prints why a trial could not be run, and gives the exit code for it.
int FailTrial(const absl::Status& status);

}  // namespace neap::ctl
