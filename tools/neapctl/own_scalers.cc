#include "tools/neapctl/own_scalers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "autoscaler/base/status.h"
#include "autoscaler/scalerhost/client.h"
#include "tools/neapctl/files.h"

namespace neap::ctl {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(20);
constexpr auto kStopLimit = std::chrono::seconds(5);
constexpr auto kLookAgain = std::chrono::milliseconds(20);

}  // namespace

absl::StatusOr<std::unique_ptr<OwnScalers>> OwnScalers::Start() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = self.parent_path() / "neap-scalers";
  if (error || ::access(program.c_str(), X_OK) != 0) {
    return base::NotFound("{}: {}: start scalers yourself and name them with --scalers", program,
                          std::strerror(errno));
  }
  std::unique_ptr<OwnScalers> out(new OwnScalers);
  NEAP_RETURN_IF_ERROR(out->Spawn(program));
  NEAP_RETURN_IF_ERROR(out->WaitUntilItAnswers());
  return out;
}

absl::Status OwnScalers::Spawn(const std::string& program) {
  std::string pattern = (std::filesystem::temp_directory_path() / "neapctl-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    return base::Unavailable("{}: {}", pattern, std::strerror(errno));
  }
  directory_ = pattern;
  address_ = fmt::format("unix://{}/scalers.sock", directory_);
  const std::string listen = "--listen=" + address_;
  const std::string log = directory_ + "/log";
  char* const arguments[] = {const_cast<char*>(program.c_str()), const_cast<char*>(listen.c_str()),
                             nullptr};
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return base::Unavailable("fork: {}", std::strerror(errno));
  if (pid_ == 0) {  // only what is safe between fork and exec
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0) {
      ::dup2(file, STDOUT_FILENO);
      ::dup2(file, STDERR_FILENO);
    }
    ::execv(arguments[0], arguments);
    ::_exit(127);
  }
  return absl::OkStatus();
}

absl::Status OwnScalers::WaitUntilItAnswers() {
  NEAP_ASSIGN_OR_RETURN(const auto client, scalerhost::Client::Make(address_));
  const auto end = std::chrono::steady_clock::now() + kStartLimit;
  while (std::chrono::steady_clock::now() < end) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return base::Unavailable("neap-scalers ended at once: {}", Log());
    }
    if (client->Describe(absl::Seconds(1)).ok()) return absl::OkStatus();
    std::this_thread::sleep_for(kLookAgain);
  }
  return base::Unavailable("neap-scalers does not answer at {}: {}", address_, Log());
}

std::string OwnScalers::Log() const {
  std::string log = ReadFile(directory_ + "/log").value_or("");
  while (!log.empty() && log.back() == '\n') log.pop_back();
  return log.empty() ? "it wrote nothing" : log;
}

OwnScalers::~OwnScalers() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    const auto end = std::chrono::steady_clock::now() + kStopLimit;
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() >= end) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        break;
      }
      std::this_thread::sleep_for(kLookAgain);
    }
  }
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

}  // namespace neap::ctl
