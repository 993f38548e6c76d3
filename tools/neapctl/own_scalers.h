// OwnScalers: the neap-scalers that lies beside neapctl, started on a Unix socket of its own and
// stopped again. Used by the commands that need scalers when the user names none. One thread.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <memory>
#include <string>

namespace neap::ctl {

class OwnScalers {
 public:
  // Returns when it answers. Errors: NotFound naming the missing file; Unavailable with what it
  // wrote, when it ends or does not answer within 20 s.
  static absl::StatusOr<std::unique_ptr<OwnScalers>> Start();
  ~OwnScalers();  // stops it, kills it after 5 s, and removes its directory
  OwnScalers(const OwnScalers&) = delete;
  OwnScalers& operator=(const OwnScalers&) = delete;

  const std::string& address() const { return address_; }

 private:
  OwnScalers() = default;
  absl::Status Spawn(const std::string& program);
  absl::Status WaitUntilItAnswers();
  std::string Log() const;  // what it wrote, without the last line's end

  std::string directory_;
  std::string address_;
  pid_t pid_ = -1;  // -1: not running
};

}  // namespace neap::ctl
